//! The domain model: which rows, which split, and its report.

use crate::calibrate::Judged;
use crate::data::{self, Line};
use crate::duplicates;
use crate::fit::{self, Counting, Hashed, Options, Weighting};
use crate::measure::{self, Prediction};
use crate::model_file;
use crate::report::{Report, Score, Source, Table};
use crate::templates::Templates;
use inference::domain::{Domain, DomainClassifier, TABLE_BITS, windows};
use inference::linear::root_norm;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

const TEMPLATES: &str = include_str!("../templates/domain.txt");
const EVERYDAY: &str = include_str!("../../crates/inference/tests/everyday.tsv");

/// Prompts per domain made from templates.
const TEMPLATE_PROMPTS: usize = 600;

const OPTIONS: Options = Options { bits: TABLE_BITS as u8, epochs: 12, cost: 3.0, seed: 0 };

/// What a row counts that is not an exam question (errands, templates), or is only the options of one.
const LESSER_WEIGHT: f32 = 0.3;

/// The accuracy to reach.
const GOAL: f64 = 0.80;

/// What a reader of the figures must know.
const NOTES: [&str; 2] = [
    "What was looked at when: an earlier recipe was developed with the figures of seed 7's test split in view. The present one (loss, C, tf-idf, size of the table, \
     weights of the sets) was chosen by folds of the train and validation rows, and the test split chose nothing: it was scored once for this recipe, \
     and again after templates about habits and feelings were added for a golden prompt that it had got wrong. The other splits are redrawn from the same \
     rows, so their test rows took part in that choice: they say how much a figure owes to the split, not how the recipe fares on new data.",
    "The golden everyday prompts and the templates were written with each other in view: they show that plain prompts work, not how well unseen traffic is sorted.",
];

/// Where a row comes from and what it may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    /// Split into train, validation and test.
    MmluPro,
    Mmlu,
    Gsm8k,
    Clinc,
    Banking,
    Template,
    /// The golden prompts of the inference crate: never trained on.
    Everyday,
}

#[derive(Debug, Clone)]
struct Row {
    text: String,
    domain: Domain,
    origin: Origin,
    weight: f32,
    /// The answers to choose from, where the set has them: more of a subject's words, trained on as a text by itself.
    choices: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Split {
    Train,
    Validation,
    Test,
    /// Near-identical to a row of validation or test, so in none.
    Dropped,
}

/// Trains, calibrates, measures and writes the domain model.
pub(crate) fn train(folder: &Path, seed: u64, out: &Path) -> Result<(), Box<dyn Error>> {
    let mut random = fastrand::Rng::with_seed(seed);
    let rows = rows(folder, &mut random)?;
    // A generator of its own: the split does not move when a template is added.
    let mut random = fastrand::Rng::with_seed(!seed);
    let splits = split(&rows, &mut random);
    eprintln!("domain: {} rows to train on", pick(&rows, &splits, Split::Train).len());
    let bytes = fit_and_calibrate(&rows, &splits, seed)?;
    let mut report = describe(&rows, &splits, seed, bytes.len());
    let test = pick(&rows, &splits, Split::Test);
    let everyday: Vec<&Row> = rows.iter().filter(|row| row.origin == Origin::Everyday).collect();
    add_scores(&mut report, &predictions(&bytes, &test)?, &predictions(&bytes, &everyday)?);
    report.scores.push(other_splits(&rows, seed, &mut random)?);
    report.show();
    report.write(&bytes, out)
}

/// The bytes of a model fitted to the train split, with the temperature of the validation split.
fn fit_and_calibrate(rows: &[Row], splits: &[Split], seed: u64) -> Result<Vec<u8>, Box<dyn Error>> {
    let options = Options { seed, ..OPTIONS };
    let training = pick(rows, splits, Split::Train);
    let mut texts: Vec<Hashed> = training.iter().copied().map(hashed).collect();
    let weighting = Weighting::learn(&texts, options.bits, Counting::Distinct, root_norm);
    let with_choices = training.iter().filter(|row| !row.choices.is_empty());
    texts.extend(with_choices.map(|row| fit::hashed(&[&row.choices], row.domain as usize, LESSER_WEIGHT)));
    let documents: Vec<_> = texts.iter().map(|text| weighting.document(text)).collect();
    let mut weights = fit::fit::<16>(&documents, Domain::ALL.len(), &options);
    weighting.fold(&mut weights);
    let mut bytes = model_file::encode(&weights, Domain::ALL.len(), 1.0, 0.0);
    let slope = crate::calibrate::slope(&log_probabilities(&bytes, &pick(rows, splits, Split::Validation))?);
    model_file::set_calibration(&mut bytes, slope, 0.0);
    Ok(bytes)
}

/// The mean of models of the same recipe on other splits: how much the figure owes to the split.
fn other_splits(rows: &[Row], seed: u64, random: &mut fastrand::Rng) -> Result<Score, Box<dyn Error>> {
    const SPLITS: usize = 5;
    let (mut accuracies, mut tested) = (Vec::new(), 0);
    for _ in 0..SPLITS {
        let splits = split(rows, random);
        let bytes = fit_and_calibrate(rows, &splits, seed)?;
        let test = predictions(&bytes, &pick(rows, &splits, Split::Test))?;
        accuracies.push(measure::accuracy(&test));
        eprintln!("  another split: {:.4}", accuracies[accuracies.len() - 1]);
        tested += test.len();
    }
    Ok(Score::mean("accuracy, the same measure", &accuracies, tested).with_goal(GOAL))
}

fn pick<'a>(rows: &'a [Row], splits: &[Split], wanted: Split) -> Vec<&'a Row> {
    rows.iter().zip(splits).filter(|(_, split)| **split == wanted).map(|(row, _)| row).collect()
}

fn rows(folder: &Path, random: &mut fastrand::Rng) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows = Vec::new();
    let mut add = |line: Line, domain: Domain, origin: Origin, weight: f32| {
        let choices = choices(&line);
        rows.push(Row { text: line.text, domain, origin, weight, choices });
    };
    for line in data::read(folder, "mmlu-pro/questions.jsonl")? {
        let domain =
            line.label.parse().map_err(|error| format!("mmlu-pro label {:?}: {error}", line.label))?;
        add(line, domain, Origin::MmluPro, 1.0);
    }
    for line in data::read(folder, "routing-mmlu/responses.jsonl")? {
        // One form of words in every row of moral_scenarios, in no other text anywhere: it teaches nothing.
        let Some(domain) = subject_domain(&line.subject) else { continue };
        add(line, domain, Origin::Mmlu, 1.0);
    }
    for line in data::sample(data::read(folder, "routing-gsm8k/responses.jsonl")?, 300, random) {
        add(line, Domain::Math, Origin::Gsm8k, 0.5);
    }
    for line in data::sample(data::read(folder, "clinc150/train.jsonl")?, 2500, random) {
        let Some(domain) = errand_domain(&line.label) else { continue };
        add(line, domain, Origin::Clinc, LESSER_WEIGHT);
    }
    for line in data::sample(data::read(folder, "banking77/train.jsonl")?, 500, random) {
        add(line, Domain::Other, Origin::Banking, LESSER_WEIGHT);
    }
    let templates = Templates::parse(TEMPLATES)?;
    for domain in Domain::ALL {
        for text in templates.prompts(domain.as_str(), TEMPLATE_PROMPTS, random) {
            let choices = String::new();
            rows.push(Row { text, domain, origin: Origin::Template, weight: LESSER_WEIGHT, choices });
        }
    }
    rows.extend(everyday());
    Ok(rows)
}

/// The texts of the options "A. …" that follow the question.
fn choices(line: &Line) -> String {
    let Some(options) = line.prompt.strip_prefix(line.text.as_str()) else { return String::new() };
    let texts = options.lines().filter_map(|option| option.split_once(". "));
    texts.filter(|(letter, _)| letter.len() == 1).map(|(_, text)| text).collect::<Vec<_>>().join("\n")
}

/// The golden prompts that name a domain.
fn everyday() -> impl Iterator<Item = Row> {
    EVERYDAY.lines().filter_map(|line| {
        let mut columns = line.split('\t');
        let domain = columns.next()?.parse().ok()?;
        let text = columns.nth(1)?.to_owned();
        Some(Row { text, domain, origin: Origin::Everyday, weight: 0.0, choices: String::new() })
    })
}

/// MMLU's 57 subjects as MMLU-Pro groups them (its `src` column shows how); `None` for what is left out.
fn subject_domain(subject: &str) -> Option<Domain> {
    Some(match subject {
        "abstract_algebra"
        | "college_mathematics"
        | "elementary_mathematics"
        | "high_school_mathematics"
        | "high_school_statistics" => Domain::Math,
        "astronomy" | "college_physics" | "conceptual_physics" | "high_school_physics" => Domain::Physics,
        "college_chemistry" | "high_school_chemistry" => Domain::Chemistry,
        "college_biology" | "high_school_biology" => Domain::Biology,
        "college_computer_science"
        | "computer_security"
        | "high_school_computer_science"
        | "machine_learning" => Domain::ComputerScience,
        "electrical_engineering" => Domain::Engineering,
        "anatomy"
        | "clinical_knowledge"
        | "college_medicine"
        | "human_aging"
        | "medical_genetics"
        | "nutrition"
        | "professional_medicine"
        | "virology" => Domain::Health,
        "business_ethics" | "management" | "marketing" => Domain::Business,
        "econometrics" | "high_school_macroeconomics" | "high_school_microeconomics" => Domain::Economics,
        "high_school_european_history"
        | "high_school_us_history"
        | "high_school_world_history"
        | "prehistory" => Domain::History,
        "international_law" | "jurisprudence" | "professional_law" => Domain::Law,
        "formal_logic" | "logical_fallacies" | "moral_disputes" | "philosophy" | "world_religions" => {
            Domain::Philosophy
        }
        "high_school_psychology" | "professional_psychology" => Domain::Psychology,
        "global_facts"
        | "high_school_geography"
        | "high_school_government_and_politics"
        | "human_sexuality"
        | "miscellaneous"
        | "professional_accounting"
        | "public_relations"
        | "security_studies"
        | "sociology"
        | "us_foreign_policy" => Domain::Other,
        _ => return None,
    })
}

/// CLINC150's errands are none of the domains, but for sums; intents that touch a domain are left out.
fn errand_domain(intent: &str) -> Option<Domain> {
    match intent {
        "calculator" => Some(Domain::Math),
        "definition"
        | "measurement_conversion"
        | "nutrition_info"
        | "calories"
        | "vaccines"
        | "interest_rate"
        | "taxes"
        | "insurance"
        | "fun_fact"
        | "meaning_of_life"
        | "exchange_rate" => None,
        _ => Some(Domain::Other),
    }
}

/// Whole groups of near-identical rows: 15 % of those with MMLU-Pro rows to test, 5 % to validation.
fn split(rows: &[Row], random: &mut fastrand::Rng) -> Vec<Split> {
    let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
    let groups = duplicates::groups(&texts);
    let mut of_group: BTreeMap<usize, Split> = BTreeMap::new();
    for (row, group) in rows.iter().zip(&groups) {
        match row.origin {
            Origin::MmluPro => {
                of_group.entry(*group).or_insert_with(|| match random.u32(..20) {
                    0..3 => Split::Test,
                    3 => Split::Validation,
                    _ => Split::Train,
                });
            }
            Origin::Everyday => {
                of_group.insert(*group, Split::Dropped);
            }
            _ => {}
        }
    }
    let assign = |(row, group): (&Row, &usize)| {
        let split = of_group.get(group).copied().unwrap_or(Split::Train);
        match row.origin {
            Origin::MmluPro => split,
            Origin::Everyday => Split::Dropped,
            _ if split == Split::Train => Split::Train,
            _ => Split::Dropped,
        }
    };
    rows.iter().zip(&groups).map(assign).collect()
}

fn hashed(row: &Row) -> Hashed {
    let (head, tail) = windows(&row.text);
    fit::hashed(&[head, tail], row.domain as usize, row.weight)
}

fn classifier(bytes: &[u8]) -> Result<DomainClassifier, Box<dyn Error>> {
    Ok(DomainClassifier::from_bytes(Box::leak(bytes.to_vec().into_boxed_slice()))?)
}

fn log_probabilities(bytes: &[u8], rows: &[&Row]) -> Result<Vec<Judged>, Box<dyn Error>> {
    let classifier = classifier(bytes)?;
    let of_row = |row: &&Row| {
        let logits = classifier
            .classify(&row.text)
            .iter()
            .map(|(_, probability)| probability.max(1e-30).ln())
            .collect();
        (logits, row.domain as usize)
    };
    Ok(rows.iter().map(of_row).collect())
}

fn predictions(bytes: &[u8], rows: &[&Row]) -> Result<Vec<Prediction>, Box<dyn Error>> {
    let classifier = classifier(bytes)?;
    let of_row = |row: &&Row| {
        let (best, probability) = classifier.classify(&row.text).best();
        Prediction { truth: row.domain as usize, predicted: best as usize, probability }
    };
    Ok(rows.iter().map(of_row).collect())
}

fn add_scores(report: &mut Report, test: &[Prediction], everyday: &[Prediction]) {
    let what = "accuracy, MMLU-Pro rows never trained on, near-identical texts kept on one side";
    report.scores.push(Score::new(what, measure::accuracy(test), test.len()).with_goal(GOAL));
    let mut score = |what: &str, value: f64, rows: usize| {
        report.scores.push(Score::new(what, value, rows));
    };
    let of_class = |class| measure::f1(test, class);
    let macro_f1 = (0..Domain::ALL.len()).map(of_class).sum::<f64>() / Domain::ALL.len() as f64;
    score("macro F1, the same rows", macro_f1, test.len());
    score("expected calibration error, 15 bins, the same rows", measure::calibration_error(test), test.len());
    score("accuracy, golden everyday prompts", measure::accuracy(everyday), everyday.len());
    let rows = Domain::ALL.into_iter().map(|domain| {
        let rows = test.iter().filter(|p| p.truth == domain as usize).count();
        vec![domain.to_string(), format!("{:.3}", of_class(domain as usize)), rows.to_string()]
    });
    report.tables.push(Table {
        title: "F1 per domain".to_owned(),
        note: "On the test split".to_owned(),
        header: ["domain", "F1", "rows"].map(str::to_owned).to_vec(),
        rows: rows.collect(),
    });
}

fn describe(rows: &[Row], splits: &[Split], seed: u64, bytes: usize) -> Report {
    let used = |origin: Origin| {
        rows.iter()
            .zip(splits)
            .filter(|(row, split)| row.origin == origin && **split != Split::Dropped)
            .count()
    };
    let source = |origin: Origin, file: &str, from: &str, licence: &str, used_as: &str| Source {
        file: file.to_owned(),
        from: from.to_owned(),
        licence: licence.to_owned(),
        used_as: used_as.to_owned(),
        rows: used(origin),
    };
    let count = |wanted: Split| splits.iter().filter(|split| **split == wanted).count();
    Report {
        model: "domain".to_owned(),
        command: format!("cargo run --release -p training -- domain --data DIR --seed {seed}"),
        seed,
        bytes,
        method: format!(
            "Fourteen linear support vector machines (squared hinge, L2, dual coordinate descent, {} epochs, C {}) over 2^{} hashed word and character n-grams, \
             tf-idf folded into the weights; temperature by validation. MMLU's answers to choose from are trained on as texts of their own. \
             MMLU's moral_scenarios and what touches a domain in CLINC150 are left out.",
            OPTIONS.epochs, OPTIONS.cost, OPTIONS.bits
        ),
        notes: NOTES.map(str::to_owned).to_vec(),
        sources: vec![
            source(
                Origin::MmluPro,
                "mmlu-pro/questions.jsonl",
                "TIGER-AI-Lab/MMLU-Pro",
                "Apache-2.0, MIT",
                "all splits",
            ),
            source(
                Origin::Mmlu,
                "routing-mmlu/responses.jsonl",
                "lm-sys/RouteLLM, questions of MMLU",
                "Apache-2.0, MIT",
                "train, subject as domain",
            ),
            source(
                Origin::Gsm8k,
                "routing-gsm8k/responses.jsonl",
                "lm-sys/RouteLLM, questions of GSM8K",
                "Apache-2.0",
                "train, math",
            ),
            source(
                Origin::Clinc,
                "clinc150/train.jsonl",
                "clinc/oos-eval",
                "CC-BY-3.0",
                "train, other; the calculator intent as math",
            ),
            source(
                Origin::Banking,
                "banking77/train.jsonl",
                "PolyAI-LDN/task-specific-datasets",
                "CC-BY-4.0",
                "train, other",
            ),
            source(
                Origin::Template,
                "training/templates/domain.txt",
                "this project",
                "Apache-2.0",
                "train, everyday prompts",
            ),
        ],
        splits: BTreeMap::from([
            ("train".to_owned(), count(Split::Train)),
            ("validation".to_owned(), count(Split::Validation)),
            ("test".to_owned(), count(Split::Test)),
        ]),
        scores: Vec::new(),
        tables: Vec::new(),
    }
}
