//! Deterministic embeddings: the sum of one pseudo-random direction per word, scaled to length 1. Texts that share
//! words are near each other, which is enough for a client to rank by.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::api::Vector;
use crate::request::Encoding;

/// The vector of a text. A text without words gets the direction of its seed.
pub(crate) fn vector(text: &str, dimensions: usize, seed: u64) -> Vec<f32> {
    let mut sum = vec![0.0f32; dimensions];
    let lower = text.to_lowercase();
    let mut words =
        lower.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default();
    for word in std::iter::once(first).chain(words) {
        let mut direction = fastrand::Rng::with_seed(seed ^ fnv1a(word.as_bytes()));
        for component in &mut sum {
            *component += direction.f32() - 0.5;
        }
    }
    let length = sum.iter().map(|component| component * component).sum::<f32>().sqrt();
    if length > 0.0 {
        sum.iter_mut().for_each(|component| *component /= length);
    }
    sum
}

/// Writes a vector in the asked form.
pub(crate) fn encoded(vector: Vec<f32>, encoding: Encoding) -> Vector {
    match encoding {
        Encoding::Float => Vector::Floats(vector),
        Encoding::Base64 => {
            let bytes: Vec<u8> = vector.iter().flat_map(|component| component.to_le_bytes()).collect();
            Vector::Base64(STANDARD.encode(bytes))
        }
    }
}

/// FNV-1a, 64 bits: a hash that is the same on every machine and in every version.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(left: &[f32], right: &[f32]) -> f32 {
        left.iter().zip(right).map(|(left, right)| left * right).sum()
    }

    #[test]
    fn vectors_have_length_one_and_shared_words_bring_them_near() {
        let cat = vector("the cat sat", 256, 1);
        assert!((cosine(&cat, &cat) - 1.0).abs() < 1e-5);
        let (near, far) = (vector("The cat ran", 256, 1), vector("stock prices fell", 256, 1));
        assert!(cosine(&cat, &near) > cosine(&cat, &far) + 0.3);
        assert_eq!(cat, vector("the cat sat", 256, 1));
        assert_ne!(cat, vector("the cat sat", 256, 2));
    }

    #[test]
    fn base64_holds_little_endian_floats() {
        let Vector::Base64(text) = encoded(vec![1.0, -2.0], Encoding::Base64) else { panic!("not base64") };
        assert_eq!(text, "AACAPwAAAMA=");
    }
}
