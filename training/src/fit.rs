//! Fitting: one-against-the-rest linear support vector machines over tf-idf weighted, hashed n-grams.
//!
//! Squared hinge loss with an L2 penalty, solved by dual coordinate descent (Hsieh et al., "A Dual Coordinate Descent Method
//! for Large-scale Linear SVM", ICML 2008), all classes of a text at once. A row's inverse document frequency (Spärck Jones,
//! Journal of Documentation 28, 1972) multiplies its value in training and, [folded](Weighting::fold) into the weights, costs
//! inference nothing. Invariant: same texts, same seed, same weights; one thread.

use inference::features::{Sink, visit};

/// One text as a bag of table rows.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    /// Rows and their values, sorted by row.
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
    /// Passes over the texts; the solution moves little after ten.
    pub(crate) epochs: usize,
    /// What an error costs against the penalty of the weights: the `C` of the literature.
    pub(crate) cost: f32,
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

/// What a sum over so many features is multiplied by; inference must have the same.
pub(crate) type Norm = fn(u32) -> f32;

/// A text's features before they are mapped to rows.
#[derive(Debug, Clone)]
pub(crate) struct Hashed {
    pub(crate) hashes: Vec<u32>,
    pub(crate) class: usize,
    pub(crate) weight: f32,
}

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

/// What a table row counts, learned from whole texts.
#[derive(Debug)]
pub(crate) struct Weighting {
    bits: u8,
    counting: Counting,
    norm: Norm,
    /// Inverse document frequency of each row, scaled so that the mean squared length of the texts' vectors is one.
    by_row: Vec<f32>,
}

impl Weighting {
    /// Document frequencies of `texts`.
    pub(crate) fn learn(texts: &[Hashed], bits: u8, counting: Counting, norm: Norm) -> Self {
        let mut frequencies = vec![0_u32; 1 << bits];
        for text in texts {
            let mut rows = rows(&text.hashes, bits);
            rows.dedup();
            for row in rows {
                frequencies[row as usize] += 1;
            }
        }
        let all = 1.0 + texts.len() as f32;
        let by_row = frequencies.iter().map(|texts| (all / (1.0 + *texts as f32)).ln() + 1.0).collect();
        let mut weighting = Self { bits, counting, norm, by_row };
        let squares: f32 = texts.iter().map(|text| squared_length(&weighting.document(text).features)).sum();
        let scale = (texts.len().max(1) as f32 / squares.max(f32::MIN_POSITIVE)).sqrt();
        for weight in &mut weighting.by_row {
            *weight *= scale;
        }
        weighting
    }

    /// A bag of rows: counts times the norm of the number of features, as in inference, times the rows' weights.
    pub(crate) fn document(&self, text: &Hashed) -> Document {
        let mut rows = rows(&text.hashes, self.bits);
        if self.counting == Counting::Distinct {
            rows.dedup();
        }
        let norm = (self.norm)(rows.len() as u32);
        let value = |same: &[u32]| (same[0], same.len() as f32 * norm * self.by_row[same[0] as usize]);
        let features = rows.chunk_by(|a, b| a == b).map(value).collect();
        Document { features, class: text.class, weight: text.weight }
    }

    /// Multiplies each row's weight into the model, so that inference need not know it.
    pub(crate) fn fold<const L: usize>(&self, model: &mut Weights<L>) {
        for (row, weight) in model.rows.iter_mut().zip(&self.by_row) {
            for lane in row {
                *lane *= weight;
            }
        }
    }
}

fn rows(hashes: &[u32], bits: u8) -> Vec<u32> {
    let mut rows: Vec<u32> = hashes.iter().map(|hash| hash >> (32 - u32::from(bits))).collect();
    rows.sort_unstable();
    rows
}

fn squared_length(features: &[(u32, f32)]) -> f32 {
    features.iter().map(|(_, value)| value * value).sum()
}

/// The value of the constant feature whose weight is the bias.
const BIAS: f32 = 0.3;

/// Fits `L` lanes, of which `classes` are used.
pub(crate) fn fit<const L: usize>(documents: &[Document], classes: usize, options: &Options) -> Weights<L> {
    let mut model = Weights { rows: vec![[0.0; L]; 1 << options.bits], biases: [0.0; L] };
    let mut multipliers = vec![[0.0_f32; L]; documents.len()];
    let lengths: Vec<f32> =
        documents.iter().map(|document| squared_length(&document.features) + BIAS * BIAS).collect();
    let mut order: Vec<usize> = (0..documents.len()).collect();
    let mut random = fastrand::Rng::with_seed(options.seed);
    for _ in 0..options.epochs {
        random.shuffle(&mut order);
        for index in &order {
            let document = &documents[*index];
            let logits = logits(&model, document);
            let softness = 0.5 / (options.cost * document.weight);
            let moves =
                moves(&logits, document.class, classes, softness, lengths[*index], &mut multipliers[*index]);
            apply(&mut model, document, &moves);
        }
    }
    model
}

/// The step of each class' dual variable to its best value with all others held; signed by the class' target.
fn moves<const L: usize>(
    logits: &[f32; L],
    truth: usize,
    classes: usize,
    softness: f32,
    length: f32,
    multipliers: &mut [f32; L],
) -> [f32; L] {
    let mut moves = [0.0; L];
    for class in 0..classes {
        let positive = if classes == 1 { truth == 1 } else { truth == class };
        let target = if positive { 1.0 } else { -1.0 };
        let old = multipliers[class];
        let gradient = target * logits[class] - 1.0 + old * softness;
        let new = (old - gradient / (length + softness)).max(0.0);
        multipliers[class] = new;
        moves[class] = (new - old) * target;
    }
    moves
}

fn apply<const L: usize>(model: &mut Weights<L>, document: &Document, moves: &[f32; L]) {
    if moves.iter().all(|step| step.abs() < 1e-7) {
        return;
    }
    for (row, value) in &document.features {
        for (weight, step) in model.rows[*row as usize].iter_mut().zip(moves) {
            *weight += value * step;
        }
    }
    for (bias, step) in model.biases.iter_mut().zip(moves) {
        *bias += BIAS * BIAS * step;
    }
}

/// The logits of the classes.
pub(crate) fn logits<const L: usize>(model: &Weights<L>, document: &Document) -> [f32; L] {
    let mut logits = model.biases;
    for (row, value) in &document.features {
        for (logit, weight) in logits.iter_mut().zip(&model.rows[*row as usize]) {
            *logit += value * weight;
        }
    }
    logits
}

#[cfg(test)]
mod tests {
    use super::*;
    use inference::linear::root_norm;

    const OPTIONS: Options = Options { bits: 12, epochs: 30, cost: 1.0, seed: 1 };

    #[test]
    fn separates_what_can_be_separated() {
        let texts: Vec<Hashed> =
            ["green tea", "black tea", "milk coffee", "hot coffee", "red wine", "old wine"]
                .iter()
                .enumerate()
                .map(|(index, text)| hashed(&[text], index / 2, 1.0))
                .collect();
        let weighting = Weighting::learn(&texts, OPTIONS.bits, Counting::Distinct, root_norm);
        let documents: Vec<Document> = texts.iter().map(|text| weighting.document(text)).collect();
        let mean = documents.iter().map(|d| squared_length(&d.features)).sum::<f32>() / 6.0;
        assert!((mean - 1.0).abs() < 1e-3, "{mean}");
        let model = fit::<4>(&documents, 3, &OPTIONS);
        for document in &documents {
            let logits = logits(&model, document);
            let best = (0..3).max_by(|a, b| logits[*a].total_cmp(&logits[*b]));
            assert_eq!(best, Some(document.class), "{logits:?}");
            assert!(logits[3].abs() < f32::EPSILON, "an unused lane stays zero");
        }
    }

    #[test]
    fn rare_words_weigh_more() {
        let texts: Vec<Hashed> =
            ["the fox", "the owl", "the elk"].iter().map(|text| hashed(&[text], 0, 1.0)).collect();
        let weighting = Weighting::learn(&texts, 12, Counting::Occurrences, root_norm);
        let weight = |text| {
            let bag = weighting.document(&hashed(&[text], 0, 1.0));
            squared_length(&bag.features)
        };
        assert!(weight("the") < weight("fox") && weight("fox") <= weight("unseen"));
    }
}
