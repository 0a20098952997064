//! A linear model over hashed features: 8-bit weights with one scale per class, read in place.
//!
//! File format, little-endian, all lengths in bytes:
//!
//! | offset | length | what |
//! |---|---|---|
//! | 0 | 4 | `SRLM` |
//! | 4 | 1 | feature scheme, [`crate::features::SCHEME`] |
//! | 5 | 1 | `b`: the table has `2^b` rows |
//! | 6 | 1 | classes, 1 to `L` |
//! | 7 | 1 | lanes `L` of a row, 1 or 16 |
//! | 8 | 8 | calibration: two `f32`, slope and offset |
//! | 16 | 8 per class | `f32` scale, `f32` bias |
//! | … | `2^b · L` | `i8` weights, row by row; lanes past the classes are zero |
//!
//! The logit of class `k` for a text with features `f₁…fₙ` is `bias_k + scale_k · norm(n) · Σᵢ weight[fᵢ][k]`, where the norm is
//! [`root_norm`] unless the model's user has another.
//! It is not a trainer and knows nothing of what its classes mean. Invariant: a [`LinearModel`] that exists has
//! exactly the bytes that its header promises.

use crate::features::SCHEME;

/// First bytes of a model file.
pub const MAGIC: [u8; 4] = *b"SRLM";

/// Bytes before the per-class scales.
pub const HEADER_BYTES: usize = 16;

/// A model with `L` lanes per row (classes padded to a power of two, so that a row is one vector load).
#[derive(Debug, Clone)]
pub struct LinearModel<'a, const L: usize> {
    rows: &'a [[u8; L]],
    shift: u32,
    classes: usize,
    scales: [f32; L],
    biases: [f32; L],
    slope: f32,
    offset: f32,
}

/// Why bytes are not a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadModel {
    /// Not a model file, or cut short.
    Format,
    /// Made for other features than this build extracts.
    Scheme {
        /// The scheme that the file names.
        found: u8,
    },
    /// Lanes or classes do not fit the use that it is loaded for.
    Shape,
}

impl std::fmt::Display for BadModel {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Format => {
                formatter.write_str("the model file is damaged or not a model file; train it again")
            }
            Self::Scheme { found } => {
                write!(
                    formatter,
                    "the model was trained for feature scheme {found}, this build has {SCHEME}; train it again"
                )
            }
            Self::Shape => formatter.write_str("the model file has another number of classes than expected"),
        }
    }
}

impl std::error::Error for BadModel {}

/// Running sums of the weights of the features seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sums<const L: usize> {
    /// Sum of 8-bit weights per lane. Wraps only past 16 million features, which [`LinearModel::logits`] callers bound.
    pub lanes: [i32; L],
    /// Features seen.
    pub count: u32,
}

impl<const L: usize> Default for Sums<L> {
    fn default() -> Self {
        Self { lanes: [0; L], count: 0 }
    }
}

impl<const L: usize> std::ops::AddAssign<&Self> for Sums<L> {
    fn add_assign(&mut self, other: &Self) {
        for (lane, added) in self.lanes.iter_mut().zip(other.lanes) {
            *lane = lane.wrapping_add(added);
        }
        self.count = self.count.saturating_add(other.count);
    }
}

impl<'a, const L: usize> LinearModel<'a, L> {
    /// Reads a model in place.
    ///
    /// # Errors
    /// When the bytes are damaged, made for other features, or of another shape.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BadModel> {
        let (header, rest) = bytes.split_at_checked(HEADER_BYTES).ok_or(BadModel::Format)?;
        if !header.starts_with(&MAGIC) {
            return Err(BadModel::Format);
        }
        let [scheme, bits, classes, lanes] = [header[4], header[5], header[6], header[7]];
        if scheme != SCHEME {
            return Err(BadModel::Scheme { found: scheme });
        }
        let classes = usize::from(classes);
        if usize::from(lanes) != L || classes == 0 || classes > L || !(1..=24).contains(&bits) {
            return Err(BadModel::Shape);
        }
        let (parameters, table) = rest.split_at_checked(8 * classes).ok_or(BadModel::Format)?;
        let (rows, odd) = table.as_chunks::<L>();
        if rows.len() != 1 << bits || !odd.is_empty() {
            return Err(BadModel::Format);
        }
        let (mut scales, mut biases) = ([0.0; L], [0.0; L]);
        for (class, pair) in parameters.chunks_exact(8).enumerate() {
            (scales[class], biases[class]) = float_pair(pair);
        }
        let (slope, offset) = float_pair(&header[8..]);
        Ok(Self { rows, shift: 32 - u32::from(bits), classes, scales, biases, slope, offset })
    }

    /// Adds the weights of one feature.
    #[inline]
    pub fn add(&self, hash: u32, sums: &mut Sums<L>) {
        // The shift leaves exactly as many bits as index the rows, so the row is always there.
        let Some(row) = self.rows.get((hash >> self.shift) as usize) else { return };
        for (lane, weight) in sums.lanes.iter_mut().zip(row) {
            *lane = lane.wrapping_add(i32::from(*weight as i8));
        }
        sums.count += 1;
    }

    /// The logits of the classes by [`root_norm`], uncalibrated; lanes past the classes are zero.
    #[must_use]
    pub fn logits(&self, sums: &Sums<L>) -> [f32; L] {
        self.logits_by(root_norm, sums)
    }

    /// The logits of the classes by another norm, uncalibrated; lanes past the classes are zero.
    #[inline]
    #[must_use]
    pub fn logits_by(&self, norm: impl Fn(u32) -> f32, sums: &Sums<L>) -> [f32; L] {
        let norm = norm(sums.count);
        std::array::from_fn(|lane| self.biases[lane] + self.scales[lane] * norm * sums.lanes[lane] as f32)
    }

    /// `b` of a table of `2^b` rows.
    #[must_use]
    pub fn bits(&self) -> u32 {
        32 - self.shift
    }

    /// Number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Slope and offset of the calibration: the calibrated logit is `slope · logit + offset`.
    #[must_use]
    pub fn calibration(&self) -> (f32, f32) {
        (self.slope, self.offset)
    }
}

/// What a sum over `features` features is multiplied by: one over their root, which makes random sums comparable.
#[inline]
#[must_use]
pub fn root_norm(features: u32) -> f32 {
    (features.max(1) as f32).sqrt().recip()
}

/// Two little-endian `f32` at the start of `bytes`; zero where they are missing.
fn float_pair(bytes: &[u8]) -> (f32, f32) {
    let (words, _) = bytes.as_chunks::<4>();
    let float = |index: usize| words.get(index).map_or(0.0, |word| f32::from_le_bytes(*word));
    (float(0), float(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([SCHEME, 1, 1, 1]);
        for float in [2.0_f32, -1.0, 0.5, 0.25] {
            bytes.extend(float.to_le_bytes());
        }
        bytes.extend([3, 0xFF]);
        bytes
    }

    #[test]
    fn reads_and_scores() {
        let bytes = tiny();
        let model = LinearModel::<1>::parse(&bytes).expect("valid");
        assert_eq!((model.classes(), model.calibration()), (1, (2.0, -1.0)));
        let mut sums = Sums::default();
        for hash in [0, 0, u32::MAX, 1] {
            model.add(hash, &mut sums);
        }
        // Three times the weight 3 and once −1, over √4, by the scale, plus the bias.
        assert_eq!(model.logits(&sums), [0.25 + 0.5 * 8.0 / 2.0]);
    }

    #[test]
    fn refuses_what_is_not_whole() {
        let bytes = tiny();
        for length in 0..bytes.len() {
            assert!(LinearModel::<1>::parse(&bytes[..length]).is_err(), "{length}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(LinearModel::<1>::parse(&longer).err(), Some(BadModel::Format));
        let mut older = bytes.clone();
        older[4] = SCHEME + 1;
        assert_eq!(LinearModel::<1>::parse(&older).err(), Some(BadModel::Scheme { found: SCHEME + 1 }));
        assert_eq!(LinearModel::<16>::parse(&bytes).err(), Some(BadModel::Shape));
    }
}
