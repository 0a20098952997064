//! Medians, quantiles and spreads.

use serde_json::{Value, json};

/// A figure over the rounds of a run: its median, with the least and the most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    /// The median.
    pub(crate) median: f64,
    /// The least.
    pub(crate) least: f64,
    /// The most.
    pub(crate) most: f64,
}

impl Spread {
    /// Of some figures; zero without any.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Spread {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let at = |place: usize| figures.get(place).copied().unwrap_or(0.0);
        let last = figures.len().saturating_sub(1);
        Spread { median: f64::midpoint(at(last / 2), at(figures.len() / 2)), least: at(0), most: at(last) }
    }

    /// As text with so many decimals: `12.3 (11.9–12.8)`.
    pub(crate) fn text(self, decimals: usize) -> String {
        let Spread { median, least, most } = self;
        format!("{median:.decimals$} ({least:.decimals$} to {most:.decimals$})")
    }

    /// As an object.
    pub(crate) fn json(self) -> Value {
        json!({"median": self.median, "least": self.least, "most": self.most})
    }
}

/// The quantile of sorted figures by the nearest rank; 0 without any.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are far below 2^52, and a rank is not negative"
)]
pub(crate) fn quantile(sorted: &[u64], share: f64) -> u64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_lies_between_the_middle_figures() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Spread { median: 2.0, least: 1.0, most: 3.0 });
        assert_eq!(Spread::of([4.0, 1.0]).median, 2.5);
        assert_eq!(Spread::of([]).median, 0.0);
    }

    #[test]
    fn a_quantile_is_a_figure_that_occurred() {
        let sorted: Vec<u64> = (1..=100).collect();
        assert_eq!((quantile(&sorted, 0.5), quantile(&sorted, 0.99), quantile(&sorted, 1.0)), (50, 99, 100));
        assert_eq!(quantile(&[], 0.5), 0);
    }
}
