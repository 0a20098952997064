//! Bars with their spread, in SVG, without any library.

use std::fmt::Write;

use super::statistics::Spread;

const WIDTH: f64 = 760.0;
/// Where the bars begin.
const LEFT: f64 = 270.0;
/// Room for the figure behind the longest bar.
const RIGHT: f64 = 110.0;
const LINE: f64 = 22.0;
const TITLE: f64 = 30.0;
const STYLE: &str = "text{font:12px sans-serif;fill:#333}.title{font-weight:bold}.figure{fill:#555}.bar{fill:#4878a8}.plain{fill:#a8a8a8}.spread{stroke:#222;stroke-width:1.2}";

/// A bar with its spread.
pub(crate) struct Bar<'a> {
    /// What it stands for.
    pub(crate) name: &'a str,
    /// As long as the median; a line from the least to the most.
    pub(crate) spread: Spread,
    /// The figure beside it.
    pub(crate) text: String,
    /// Drawn in grey: what the others are compared with.
    pub(crate) is_reference: bool,
}

/// A picture of some charts, one below the other; its title is for those who cannot see it.
pub(crate) fn svg(title: &str, charts: &[(String, Vec<Bar<'_>>)]) -> String {
    let mut body = String::new();
    let mut y = 10.0;
    for (title, bars) in charts {
        y = chart(&mut body, y, title, bars);
    }
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y:.0}" viewBox="0 0 {WIDTH} {y:.0}" role="img">
<title>{title}</title>
<style>{STYLE}</style>
<rect width="100%" height="100%" fill="white"/>
{body}</svg>
"#
    )
}

/// Draws from `y` down; where the next one begins.
fn chart(body: &mut String, y: f64, title: &str, bars: &[Bar<'_>]) -> f64 {
    let most = bars.iter().map(|bar| bar.spread.most).fold(f64::MIN_POSITIVE, f64::max);
    let scale = (WIDTH - LEFT - RIGHT) / most;
    // Writing to a string does not fail.
    let _ = writeln!(body, r#"<text class="title" x="10" y="{:.0}">{title}</text>"#, y + 14.0);
    for (number, Bar { name, spread, text, is_reference }) in (0_u8..).zip(bars) {
        let class = if *is_reference { "plain" } else { "bar" };
        let top = y + TITLE + f64::from(number) * LINE;
        let (middle, base) = (top + 7.0, top + 11.0);
        let at = |figure: f64| LEFT + figure.max(0.0) * scale;
        let (least, end) = (at(spread.least), at(spread.most));
        let _ = writeln!(
            body,
            r#"<text x="{:.0}" y="{base:.0}" text-anchor="end">{name}</text><rect class="{class}" x="{LEFT}" y="{top:.0}" width="{:.1}" height="14"/><line class="spread" x1="{least:.1}" x2="{end:.1}" y1="{middle:.0}" y2="{middle:.0}"/><text class="figure" x="{:.1}" y="{base:.0}">{text}</text>"#,
            LEFT - 8.0,
            at(spread.median) - LEFT,
            end + 6.0,
        );
    }
    y + TITLE + LINE * bars.len() as f64 + 12.0
}
