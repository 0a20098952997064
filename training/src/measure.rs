//! Scores: accuracy, F1 per class, expected calibration error, recall at a rate of false positives.

/// What a classifier said of one row of a test split.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prediction {
    pub(crate) truth: usize,
    pub(crate) predicted: usize,
    pub(crate) probability: f32,
}

/// Share of right answers.
pub(crate) fn accuracy(predictions: &[Prediction]) -> f64 {
    share(predictions.iter().filter(|p| p.truth == p.predicted).count(), predictions.len())
}

/// F1 of one class: harmonic mean of precision and recall.
pub(crate) fn f1(predictions: &[Prediction], class: usize) -> f64 {
    let both = predictions.iter().filter(|p| p.truth == class && p.predicted == class).count();
    let either =
        predictions.iter().map(|p| usize::from(p.truth == class) + usize::from(p.predicted == class)).sum();
    share(2 * both, either)
}

/// Expected calibration error: the mean gap of confidence and accuracy over fifteen equal bins (Naeini et al., AAAI 2015).
pub(crate) fn calibration_error(predictions: &[Prediction]) -> f64 {
    const BINS: usize = 15;
    let mut bins = [(0.0_f64, 0.0_f64); BINS];
    for p in predictions {
        let bin = ((p.probability * BINS as f32) as usize).min(BINS - 1);
        bins[bin].0 += f64::from(p.probability);
        bins[bin].1 += f64::from(u8::from(p.truth == p.predicted));
    }
    bins.iter().map(|(confidence, right)| (confidence - right).abs()).sum::<f64>()
        / predictions.len().max(1) as f64
}

/// The lowest score that at most `rate` of the harmless rows reach.
pub(crate) fn threshold_at(rate: f64, harmless: &[f32]) -> f32 {
    let mut scores = harmless.to_vec();
    scores.sort_unstable_by(|a, b| b.total_cmp(a));
    let allowed = (rate * scores.len() as f64).floor() as usize;
    scores.get(allowed).map_or(f32::MAX, |score| score.next_up())
}

/// Share of rows that reach a threshold.
pub(crate) fn share_reaching(threshold: f32, scores: &[f32]) -> f64 {
    share(scores.iter().filter(|score| **score >= threshold).count(), scores.len())
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_percent_of_a_hundred_is_one() {
        let harmless: Vec<f32> = (0..100).map(|i| i as f32).collect();
        let threshold = threshold_at(0.01, &harmless);
        assert!((share_reaching(threshold, &harmless) - 0.01).abs() < 1e-9);
    }

    #[test]
    fn scores_of_a_small_table() {
        let row = |truth, predicted, probability| Prediction { truth, predicted, probability };
        let rows = [row(0, 0, 1.0), row(0, 1, 1.0), row(1, 1, 1.0), row(1, 1, 1.0)];
        assert!((accuracy(&rows) - 0.75).abs() < 1e-9);
        assert!((f1(&rows, 1) - 0.8).abs() < 1e-9);
        assert!((calibration_error(&rows) - 0.25).abs() < 1e-6);
    }
}
