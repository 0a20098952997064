//! Fitting: multinomial (or, with one class, binary) logistic regression by AdaGrad over sparse features.
//!
//! Duchi, Hazan, Singer, "Adaptive Subgradient Methods", JMLR 12, 2011: each weight's step shrinks with the root of the sum
//! of its squared gradients, which lets rare n-grams learn fast and common ones settle. Invariant: same rows, same seed, same
//! weights; one thread.

use inference::features::{Sink, visit};
use std::collections::HashMap;

/// One text as a bag of table rows.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    /// Rows and their values (count over the root of the number of features), sorted by row.
    pub(crate) features: Vec<(u32, f32)>,
    /// Class; with one class, 1 is positive.
    pub(crate) class: usize,
    /// How much the text counts.
    pub(crate) weight: f32,
}

/// How to fit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// The table has two to this power rows.
    pub(crate) bits: u8,
    pub(crate) epochs: usize,
    pub(crate) rate: f32,
    /// Weight decay, applied to the rows that a text touches.
    pub(crate) decay: f32,
    /// Share of a text's features that are left out each time it is seen, so that no single n-gram carries a text (Srivastava
    /// et al., JMLR 15, 2014, on the inputs).
    pub(crate) dropout: f32,
    /// Share of the target that goes to the other classes (Szegedy et al., CVPR 2016): exam labels are not beyond doubt.
    pub(crate) smoothing: f32,
    pub(crate) seed: u64,
}

/// A fitted model before quantisation.
#[derive(Debug)]
pub(crate) struct Weights<const L: usize> {
    pub(crate) rows: Vec<[f32; L]>,
    pub(crate) biases: [f32; L],
}

/// How often a feature of a text counts; inference must count alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counting {
    /// Once per table row.
    Distinct,
    /// Each time.
    Occurrences,
}

/// A text's features before they are mapped to rows.
#[derive(Debug, Clone)]
pub(crate) struct Hashed {
    hashes: Vec<u32>,
    class: usize,
    weight: f32,
}

/// Features of fewer training texts than this are left out: they teach one text by heart and disturb the rows that they share.
const FEWEST_TEXTS: u32 = 2;

impl Sink for Collected {
    fn feature(&mut self, hash: u32) {
        self.0.push(hash);
    }
}

struct Collected(Vec<u32>);

/// The features of the parts of a text.
pub(crate) fn hashed(parts: &[&str], class: usize, weight: f32) -> Hashed {
    let mut hashes = Collected(Vec::new());
    for part in parts {
        visit(part, &mut hashes);
    }
    Hashed { hashes: hashes.0, class, weight }
}

/// Bags of rows, with the values that inference gives them, without rare features.
pub(crate) fn documents(texts: &[Hashed], bits: u8, counting: Counting) -> Vec<Document> {
    let mut holders: HashMap<u32, u32> = HashMap::new();
    for text in texts {
        let mut hashes = text.hashes.clone();
        hashes.sort_unstable();
        hashes.dedup();
        for hash in hashes {
            *holders.entry(hash).or_default() += 1;
        }
    }
    texts.iter().map(|text| document(text, bits, counting, &holders)).collect()
}

fn document(text: &Hashed, bits: u8, counting: Counting, holders: &HashMap<u32, u32>) -> Document {
    let common =
        text.hashes.iter().filter(|hash| holders.get(hash).is_some_and(|texts| *texts >= FEWEST_TEXTS));
    let mut rows: Vec<u32> = common.map(|hash| hash >> (32 - u32::from(bits))).collect();
    rows.sort_unstable();
    if counting == Counting::Distinct {
        rows.dedup();
    }
    let norm = (rows.len().max(1) as f32).sqrt().recip();
    let features = rows.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as f32 * norm)).collect();
    Document { features, class: text.class, weight: text.weight }
}

/// Fits `L` lanes, of which `classes` are used.
pub(crate) fn fit<const L: usize>(documents: &[Document], classes: usize, options: &Options) -> Weights<L> {
    let mut weights = Weights { rows: vec![[0.0; L]; 1 << options.bits], biases: [0.0; L] };
    let mut squares = vec![[1e-6_f32; L]; 1 << options.bits];
    let mut bias_squares = [1e-6_f32; L];
    let mut order: Vec<usize> = (0..documents.len()).collect();
    let mut random = fastrand::Rng::with_seed(options.seed);
    let mut seen = Document { features: Vec::new(), class: 0, weight: 0.0 };
    for epoch in 0..options.epochs {
        random.shuffle(&mut order);
        let rate = options.rate * (1.0 - epoch as f32 / options.epochs as f32);
        let mut loss = 0.0_f64;
        for index in &order {
            thin(&documents[*index], options.dropout, &mut random, &mut seen);
            let mut errors = logits(&weights, &seen);
            loss += f64::from(to_errors(&mut errors, classes, options.smoothing, &seen));
            for (row, value) in &seen.features {
                let (row, value) = (*row as usize, *value);
                update(&mut weights.rows[row], &mut squares[row], &errors, value, rate, options.decay);
            }
            update(&mut weights.biases, &mut bias_squares, &errors, 0.1, rate, 0.0);
        }
        eprint!(
            "\r  epoch {:>2}/{}  loss {:.4}",
            epoch + 1,
            options.epochs,
            loss / documents.len().max(1) as f64
        );
    }
    eprintln!();
    weights
}

/// A document with a random part of its features, rescaled to the same norm.
fn thin(document: &Document, dropout: f32, random: &mut fastrand::Rng, thinned: &mut Document) {
    let scale = (1.0 - dropout).sqrt().recip();
    let kept = document.features.iter().filter(|_| dropout <= 0.0 || random.f32() >= dropout);
    thinned.features.clear();
    thinned.features.extend(kept.map(|(row, value)| (*row, value * scale)));
    (thinned.class, thinned.weight) = (document.class, document.weight);
}

#[inline]
fn update<const L: usize>(
    row: &mut [f32; L],
    squares: &mut [f32; L],
    errors: &[f32; L],
    value: f32,
    rate: f32,
    decay: f32,
) {
    for lane in 0..L {
        let gradient = value * errors[lane] + decay * row[lane];
        squares[lane] += gradient * gradient;
        row[lane] -= rate * gradient / squares[lane].sqrt();
    }
}

fn logits<const L: usize>(weights: &Weights<L>, document: &Document) -> [f32; L] {
    let mut logits = weights.biases;
    for (row, value) in &document.features {
        for (logit, weight) in logits.iter_mut().zip(&weights.rows[*row as usize]) {
            *logit += value * weight;
        }
    }
    logits
}

/// Turns logits into the gradient by logit, and returns the loss in nats.
fn to_errors<const L: usize>(
    logits: &mut [f32; L],
    classes: usize,
    smoothing: f32,
    document: &Document,
) -> f32 {
    if classes == 1 {
        let target = if document.class == 1 { 1.0 - smoothing } else { smoothing };
        let probability = 1.0 / (1.0 + (-logits[0]).exp());
        logits[0] = document.weight * (probability - target);
        let likelihood: f32 = if document.class == 1 { probability } else { 1.0 - probability };
        return -likelihood.max(1e-9).ln();
    }
    let highest = logits[..classes].iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f32 = logits[..classes].iter().map(|logit| (logit - highest).exp()).sum();
    let mut loss = 0.0;
    for (class, logit) in logits.iter_mut().enumerate() {
        let probability = if class < classes { (*logit - highest).exp() / total } else { 0.0 };
        let target = if class == document.class {
            1.0 - smoothing
        } else if class < classes {
            smoothing / (classes - 1) as f32
        } else {
            0.0
        };
        if class == document.class {
            loss = -probability.max(1e-9).ln();
        }
        *logit = document.weight * (probability - target);
    }
    loss
}
