//! Calibration on the validation split: a temperature for many classes, Platt's slope for two.
//!
//! Guo et al., "On Calibration of Modern Neural Networks", ICML 2017; Platt, "Probabilistic Outputs for Support Vector
//! Machines", 1999.

/// The logits of one row and its right class.
pub(crate) type Judged = (Vec<f32>, usize);

/// The slope (one over the temperature) that makes the mean negative log likelihood of the right classes least.
pub(crate) fn slope(rows: &[Judged]) -> f32 {
    let loss = |slope: f64| {
        rows.iter().map(|(logits, class)| negative_log_likelihood(logits, *class, slope)).sum::<f64>()
    };
    golden_section(0.05, 20.0, loss) as f32
}

/// Slope and offset of a logistic curve through the scores of positive (`true`) and negative rows, classes weighted alike.
pub(crate) fn platt(rows: &[(f32, bool)]) -> (f32, f32) {
    let positives = rows.iter().filter(|(_, positive)| *positive).count().max(1) as f64;
    let negatives = (rows.len() as f64 - positives).max(1.0);
    let (mut slope, mut offset) = (1.0_f64, 0.0_f64);
    for _ in 0..2000 {
        let (mut by_slope, mut by_offset) = (0.0, 0.0);
        for (score, positive) in rows {
            let (score, weight, target) = (
                f64::from(*score),
                if *positive { positives } else { negatives },
                f64::from(u8::from(*positive)),
            );
            let error = (1.0 / (1.0 + (-(slope * score + offset)).exp()) - target) / weight;
            by_slope += error * score;
            by_offset += error;
        }
        slope -= 0.2 * by_slope;
        offset -= 0.2 * by_offset;
    }
    (slope as f32, offset as f32)
}

fn negative_log_likelihood(logits: &[f32], class: usize, slope: f64) -> f64 {
    let scaled: Vec<f64> = logits.iter().map(|logit| slope * f64::from(*logit)).collect();
    let highest = scaled.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = scaled.iter().map(|logit| (logit - highest).exp()).sum();
    total.ln() + highest - scaled[class]
}

/// The least point of a function with one valley.
fn golden_section(mut low: f64, mut high: f64, function: impl Fn(f64) -> f64) -> f64 {
    const RATIO: f64 = 0.618_033_988_749_895;
    for _ in 0..60 {
        let (left, right) = (high - RATIO * (high - low), low + RATIO * (high - low));
        if function(left) < function(right) {
            high = right;
        } else {
            low = left;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_valley() {
        assert!((golden_section(0.0, 10.0, |x| (x - 3.0) * (x - 3.0)) - 3.0).abs() < 1e-6);
    }

    #[test]
    fn overconfident_logits_get_a_smaller_slope() {
        // Right three times out of four at a margin of 4: the honest margin is ln 3.
        let rows: Vec<(Vec<f32>, usize)> =
            (0..100).map(|i| (vec![4.0, 0.0], usize::from(i % 4 == 0))).collect();
        assert!((slope(&rows) - 3.0_f32.ln() / 4.0).abs() < 1e-3);
    }
}
