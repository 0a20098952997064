//! The jailbreak model: which rows, which split, and its report.

mod documents;
mod scores;
mod sets;

use crate::data;
use crate::duplicates;
use crate::examples::{self, Blocks, Text};
use crate::fit::Options;
use crate::measure;
use crate::model_file;
use crate::report::{Report, Source};
use crate::templates::Templates;
use documents::Part;
use inference::jailbreak::{DEFAULT_THRESHOLD, JailbreakDetector};
use sets::{ATTACKS_BY_THEMSELVES, MORE, SETS};
use std::collections::{BTreeMap, HashSet};
use std::error::Error;
use std::path::Path;

const TEMPLATES: &str = include_str!("../templates/jailbreak.txt");
const EVERYDAY_TEMPLATES: &str = include_str!("../templates/domain.txt");
const DOCUMENT_TEMPLATES: &str = include_str!("../templates/documents.txt");
const EVERYDAY: &str = include_str!("../../crates/inference/tests/everyday.tsv");

const OPTIONS: Options = Options { bits: 18, epochs: 12, cost: 3.0, seed: 0 };

/// Share of harmless prompts that may be taken for attacks.
const FALSE_POSITIVES: f64 = 0.01;

/// What calibration allows of that. It scores each row by a model of four fifths of the rows, with its near-identical ones left out. On
/// random splits of single rows the model of all of them takes twice as many new harmless prompts for attacks, on splits by groups fewer.
const CALIBRATED_FALSE_POSITIVES: f64 = 0.004;

/// Parts that the training rows are cut into for calibration: each is scored by a model of the others.
const FOLDS: usize = 5;

/// What a row counts that was made from a template, or that is there only to be trained on.
const TEMPLATE_WEIGHT: f32 = 0.5;

/// Kinds of long text whose lines are prompts as well, and how many of each.
const LINES: [(&str, usize); 4] =
    [("other languages", 150), ("german", 300), ("letter", 150), ("manual", 150)];

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
    /// By place in [`MORE`]: trained on only.
    More(usize),
    Template,
    /// A file of this project: harmless, and long as what people paste into a prompt.
    File(Part),
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
    eprintln!("  its test split is measured; now other splits and sources left out");
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
    let lines = Templates::parse(DOCUMENT_TEMPLATES)?;
    for (kind, count) in LINES {
        let prompts = lines.prompts(kind, count, random);
        rows.extend(prompts.into_iter().map(|text| Row::new(text, false, Origin::Template)));
    }
    let everyday = Templates::parse(EVERYDAY_TEMPLATES)?;
    for domain in inference::domain::Domain::ALL {
        let prompts = everyday.prompts(domain.as_str(), 80, random);
        rows.extend(prompts.into_iter().map(|text| Row::new(text, false, Origin::Template)));
    }
    let mut known: HashSet<String> = rows.iter().map(|row| row.text.clone()).collect();
    for (index, set) in MORE.iter().enumerate() {
        let lines = data::sample(data::read(folder, set.file)?, set.limit, random);
        let new = lines.into_iter().filter(|line| known.insert(line.text.clone()));
        rows.extend(new.map(|line| Row::new(line.text, false, Origin::More(index))));
    }
    rows.extend(EVERYDAY.lines().filter_map(|line| {
        let mut columns = line.split('\t').skip(1);
        let (attack, text) = (columns.next()? == "yes", columns.next()?.to_owned());
        Some(Row::new(text, attack, Origin::Golden))
    }));
    let files = documents::files()?.into_iter();
    rows.extend(files.map(|(text, part)| Row::new(text, false, Origin::File(part))));
    Ok(rows)
}

/// Whole groups of rows: 80 % to train, 20 % to test; files by their folder. Templates and more rows are trained on only, and not those
/// that resemble a tested row.
fn split(rows: &[Row], group: impl Fn(usize) -> usize, random: &mut fastrand::Rng) -> Vec<Split> {
    let mut of_group: BTreeMap<usize, Split> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        if matches!(row.origin, Origin::Set(_)) {
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
    let split_of = |index: usize| of_group.get(&group(index)).copied().unwrap_or(Split::Train);
    let apart: HashSet<usize> = rows
        .iter()
        .enumerate()
        .filter(|(index, _)| split_of(*index) != Split::Train)
        .map(|(_, row)| row.group)
        .collect();
    let assign = |(index, row): (usize, &Row)| match row.origin {
        Origin::Set(_) => split_of(index),
        Origin::File(Part::Trained) => Split::Train,
        Origin::File(Part::HeldOut) => Split::Test,
        Origin::Template | Origin::More(_) if !apart.contains(&row.group) => Split::Train,
        Origin::Template | Origin::More(_) | Origin::Golden => Split::Dropped,
    };
    rows.iter().enumerate().map(assign).collect()
}

/// The bytes of a model fitted to `training`, not calibrated.
fn fit(training: &[&Row], seed: u64) -> Result<Vec<u8>, String> {
    let weight = |row: &Row| match row.origin {
        Origin::Template | Origin::More(_) => TEMPLATE_WEIGHT,
        Origin::Set(_) | Origin::File(_) | Origin::Golden => 1.0,
    };
    let texts_of = |wanted: &dyn Fn(&Row) -> bool| -> Vec<&str> {
        training.iter().filter(|row| wanted(row)).map(|row| row.text.as_str()).collect()
    };
    let harmless = texts_of(&|row| !row.attack && matches!(row.origin, Origin::Set(_) | Origin::More(_)));
    let mut long = documents::compilations(&harmless, &texts_of(&|row| row.attack), seed);
    long.extend(documents::written(&Templates::parse(DOCUMENT_TEMPLATES)?, seed));
    let rows =
        training.iter().map(|row| Text { blocks: &row.blocks, attack: row.attack, weight: weight(row) });
    let long = long.iter().map(|blocks| Text { blocks, attack: false, weight: TEMPLATE_WEIGHT });
    let texts: Vec<Text<'_>> = rows.chain(long).collect();
    Ok(model_file::encode(&examples::fit(&texts, &Options { seed, ..OPTIONS }), 1, 1.0, 0.0))
}

/// The bytes of a model fitted to `training`, calibrated on the scores that each fifth of the rows has from a model of the
/// other four (Platt's advice too): no row is left unused, and none is judged by a model that knows it.
fn fit_and_calibrate(training: &[&Row], seed: u64) -> Result<Vec<u8>, String> {
    let mut scores: Vec<(f32, bool)> = Vec::new();
    let mut harmless: Vec<f32> = Vec::new();
    for fold in 0..FOLDS {
        let (judged, known): (Vec<&Row>, Vec<&Row>) =
            training.iter().partition(|row| row.group % FOLDS == fold);
        let model = detector(&fit(&known, seed)?)?;
        for row in judged.iter().filter(|row| matches!(row.origin, Origin::Set(_))) {
            let score = model.logit(&row.text);
            scores.push((score, row.attack));
            if !row.attack {
                // What a pattern finds is taken for an attack whatever the model says, and counts among the false positives.
                let by_pattern = !model.detect(&row.text).patterns.is_empty();
                harmless.push(if by_pattern { f32::MAX } else { score });
            }
        }
    }
    let (slope, _) = crate::calibrate::platt(&scores);
    let threshold = measure::threshold_at(CALIBRATED_FALSE_POSITIVES, &harmless);
    // The slope is Platt's; the offset puts the point of so many false positives at the default threshold.
    let offset = (DEFAULT_THRESHOLD / (1.0 - DEFAULT_THRESHOLD)).ln() - slope * threshold;
    let mut bytes = fit(training, seed)?;
    model_file::set_calibration(&mut bytes, slope, offset);
    Ok(bytes)
}

fn is_hard(row: &Row) -> bool {
    !row.attack && matches!(row.origin, Origin::Set(index) if SETS[index].hard)
}

fn detector(bytes: &[u8]) -> Result<JailbreakDetector, String> {
    JailbreakDetector::from_bytes(Box::leak(bytes.to_vec().into_boxed_slice()))
        .map_err(|error| error.to_string())
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
    sources.extend(
        MORE.iter().enumerate().map(|(index, set)| {
            source(set.file, set.from, set.licence, set.used_as, used(Origin::More(index)))
        }),
    );
    let templates = "training/templates/jailbreak.txt, domain.txt, documents.txt";
    sources.push(source(templates, "this project", "Apache-2.0", "train, both", used(Origin::Template)));
    for (part, used_as) in
        [(Part::Trained, "train, harmless long texts"), (Part::HeldOut, "test, harmless long texts")]
    {
        let files = "this project's own files";
        sources.push(source(files, "this project", "Apache-2.0", used_as, used(Origin::File(part))));
    }
    let count = |wanted: Split| splits.iter().filter(|split| **split == wanted).count();
    Report {
        model: "jailbreak".to_owned(),
        command: format!("cargo run --release -p training -- jailbreak --data DIR --seed {seed}"),
        seed,
        bytes,
        method: format!(
            "Linear support vector machine (squared hinge, L2, dual coordinate descent, {} epochs, C {}) over 2^{} hashed word and character n-grams, \
             tf-idf folded into the weights; trained on whole texts and on their worst windows, scored by the worst window less a margin that grows with the \
             logarithm of the text's length. Platt's slope, and the offset that puts {:.2} % false positives of model and patterns at {DEFAULT_THRESHOLD}, \
             both from scores of {FOLDS}-fold cross-validation inside the train split.",
            OPTIONS.epochs,
            OPTIONS.cost,
            OPTIONS.bits,
            100.0 * CALIBRATED_FALSE_POSITIVES,
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
