//! Quantising weights to 8 bits and writing the format that `inference::linear` reads.

use crate::fit::Weights;
use inference::features::SCHEME;
use inference::linear::MAGIC;

/// Weights beyond this quantile of their class's magnitudes are clipped: a few outliers must not cost all others their resolution.
const CLIP_QUANTILE: f64 = 0.9998;

/// The bytes of a model file.
pub(crate) fn encode<const L: usize>(
    weights: &Weights<L>,
    classes: usize,
    slope: f32,
    offset: f32,
) -> Vec<u8> {
    let scales: Vec<f32> = (0..classes).map(|class| scale(weights, class)).collect();
    let mut bytes = MAGIC.to_vec();
    bytes.extend([SCHEME, weights.rows.len().trailing_zeros() as u8, classes as u8, L as u8]);
    bytes.extend(slope.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    for (scale, bias) in scales.iter().zip(weights.biases) {
        bytes.extend(scale.to_le_bytes());
        bytes.extend(bias.to_le_bytes());
    }
    for row in &weights.rows {
        for (lane, weight) in row.iter().enumerate() {
            let scale = scales.get(lane).copied().unwrap_or(1.0);
            let quantised =
                if lane < classes { (weight / scale).round().clamp(-127.0, 127.0) as i8 } else { 0 };
            bytes.push(quantised as u8);
        }
    }
    bytes
}

/// Writes another calibration into an encoded model.
pub(crate) fn set_calibration(bytes: &mut [u8], slope: f32, offset: f32) {
    bytes[8..12].copy_from_slice(&slope.to_le_bytes());
    bytes[12..16].copy_from_slice(&offset.to_le_bytes());
}

fn scale<const L: usize>(weights: &Weights<L>, class: usize) -> f32 {
    let mut magnitudes: Vec<f32> =
        weights.rows.iter().map(|row| row[class].abs()).filter(|weight| *weight > 0.0).collect();
    if magnitudes.is_empty() {
        return 1.0;
    }
    magnitudes.sort_unstable_by(f32::total_cmp);
    let index = ((magnitudes.len() - 1) as f64 * CLIP_QUANTILE) as usize;
    magnitudes[index] / 127.0
}
