//! What the jailbreak model is measured by: the test split, other splits, each set, and sources that it never saw.

use super::{
    FALSE_POSITIVES, Origin, Row, SETS, Split, detector, fit, fit_and_calibrate, is_hard, pick, split,
};
use crate::data;
use crate::measure;
use crate::report::{Report, Score, Table};
use inference::jailbreak::{DEFAULT_THRESHOLD, JailbreakDetector};
use std::collections::HashSet;
use std::error::Error;
use std::path::Path;

/// The recall to reach on random splits of single rows.
const GOAL: f64 = 0.90;

/// Splits besides the one of the model that ships.
const SPLITS: usize = 5;

/// The scores of the test split.
pub(super) fn add(report: &mut Report, bytes: &[u8], test: &[&Row]) -> Result<(), Box<dyn Error>> {
    let model = detector(bytes)?;
    let (long, test): (Vec<&Row>, Vec<&Row>) =
        test.iter().copied().partition(|row| row.origin == Origin::Document);
    let test = test.as_slice();
    let of = |wanted: &dyn Fn(&Row) -> bool| -> Vec<&Row> {
        test.iter().copied().filter(|row| wanted(row)).collect()
    };
    let (attacks, harmless) = (of(&|row| row.attack), of(&|row| !row.attack));
    let (hard, easy) = (of(&is_hard), of(&|row| !row.attack && !is_hard(row)));
    let mut score =
        |what: &str, value: f64, rows: &[&Row]| report.scores.push(Score::new(what, value, rows.len()));
    score(
        "recall at 1 % false positives, near-identical texts kept on one side, model alone",
        recall(&model, test),
        &attacks,
    );
    let at_default = |rows: &[&Row]| reaching(rows, |row| model.detect(&row.text).score);
    score("recall at the default threshold, model and patterns", at_default(&attacks), &attacks);
    score("false positives at the default threshold", at_default(&harmless), &harmless);
    score(
        "of these, in sets that resemble attacks (wildguard, arena, mitre, deepset)",
        at_default(&hard),
        &hard,
    );
    score("of these, in everyday and exam prompts", at_default(&easy), &easy);
    score(
        "false positives at the default threshold, long texts: files of this project never trained on",
        at_default(&long),
        &long,
    );
    let by_patterns = |rows: &[&Row]| {
        reaching(rows, |row| f32::from(u8::from(!model.detect(&row.text).patterns.is_empty())))
    };
    score("recall of the patterns alone", by_patterns(&attacks), &attacks);
    score("false positives of the patterns alone", by_patterns(&harmless), &harmless);
    report.tables.push(by_set(&model, test));
    Ok(())
}

/// Share of rows whose score reaches the default threshold.
fn reaching(rows: &[&Row], score: impl Fn(&Row) -> f32) -> f64 {
    let scores: Vec<f32> = rows.iter().map(|row| score(row)).collect();
    measure::share_reaching(DEFAULT_THRESHOLD, &scores)
}

/// Recall of the learned model where one in a hundred of the same rows' harmless ones is taken for an attack.
fn recall(model: &JailbreakDetector, rows: &[&Row]) -> f64 {
    let logits = |attack: bool| -> Vec<f32> {
        let rows = rows.iter().filter(|row| row.attack == attack && row.origin != Origin::Document);
        rows.map(|row| model.logit(&row.text)).collect()
    };
    measure::share_reaching(measure::threshold_at(FALSE_POSITIVES, &logits(false)), &logits(true))
}

fn by_set(model: &JailbreakDetector, test: &[&Row]) -> Table {
    let mut lines = Vec::new();
    for attack in [false, true] {
        for (index, set) in SETS.iter().enumerate() {
            let of_set = |row: &&&Row| row.attack == attack && row.origin == Origin::Set(index);
            let rows: Vec<&Row> = test.iter().filter(of_set).copied().collect();
            if rows.is_empty() {
                continue;
            }
            let blocked = format!("{:.3}", reaching(&rows, |row| model.detect(&row.text).score));
            let kind = if attack { "attacks" } else { "harmless" };
            lines.push(vec![set.file.to_owned(), kind.to_owned(), blocked, rows.len().to_string()]);
        }
    }
    Table {
        title: "By set".to_owned(),
        note: "Share of the test split that reaches the default threshold, model and patterns: false positives of harmless rows, recall of attacks"
            .to_owned(),
        header: ["set", "rows that are", "reach the threshold", "rows"].map(str::to_owned).to_vec(),
        rows: lines,
    }
}

/// Means over other splits: by single rows, as most publications split, where texts of one template are on both sides; and by
/// groups, where they are not.
pub(super) fn other_splits(
    rows: &[Row],
    seed: u64,
    random: &mut fastrand::Rng,
) -> Result<Vec<Score>, Box<dyn Error>> {
    let mut scores = Vec::new();
    for (single, what) in
        [(true, "random splits of single rows"), (false, "near-identical texts kept on one side")]
    {
        let (mut recalls, mut tested) = (Vec::new(), 0);
        for _ in 0..SPLITS {
            let splits = split(rows, |index| if single { index } else { rows[index].group }, random);
            let model = detector(&fit(&pick(rows, &splits, Split::Train), seed))?;
            let test = pick(rows, &splits, Split::Test);
            tested += test.iter().filter(|row| row.attack).count();
            recalls.push(recall(&model, &test));
            eprintln!("  {what}: {:.4}", recalls[recalls.len() - 1]);
        }
        let score = Score::mean(&format!("recall at 1 % false positives, {what}"), &recalls, tested);
        scores.push(if single { score.with_goal(GOAL) } else { score });
    }
    Ok(scores)
}

/// Sources whose attacks are left out together, by their place in [`SETS`].
const FAMILIES: [(&str, &[usize]); 5] = [
    ("in_the_wild", &[0]),
    ("gptfuzz", &[1]),
    ("in_the_wild and gptfuzz (all personas)", &[0, 1]),
    ("cyberseceval", &[CYBERSECEVAL]),
    ("deepset", &[3]),
];

const CYBERSECEVAL: usize = 2;

/// Recall on each source of attacks by a model that never saw an attack of that source.
pub(super) fn left_out(
    folder: &Path,
    rows: &[Row],
    splits: &[Split],
    seed: u64,
) -> Result<Table, Box<dyn Error>> {
    let mut lines = Vec::new();
    for (name, family) in FAMILIES {
        let of_family =
            |row: &Row| row.attack && matches!(row.origin, Origin::Set(index) if family.contains(&index));
        // What is near-identical to a left-out row would give it away from another source.
        let known: HashSet<usize> = rows.iter().filter(|row| of_family(row)).map(|row| row.group).collect();
        let training: Vec<&Row> = pick(rows, splits, Split::Train)
            .into_iter()
            .filter(|row| !(row.attack && known.contains(&row.group)))
            .collect();
        let model = detector(&fit_and_calibrate(&training, seed)?)?;
        let held_out: Vec<&str> =
            rows.iter().filter(|row| of_family(row)).map(|row| row.text.as_str()).collect();
        lines.push(line(name, &model, &held_out));
        if family == [CYBERSECEVAL] {
            let all = data::read(folder, SETS[CYBERSECEVAL].file)?;
            let all: Vec<&str> = all.iter().map(|row| row.text.as_str()).collect();
            lines.push(line("cyberseceval, all its rows, see the note", &model, &all));
        }
    }
    Ok(Table {
        title: "Attacks of sources left out of training".to_owned(),
        note: "Recall at the default threshold, all rows of the source; the honest figure for attacks that nobody has seen yet. \
               The project's own templates stay in, and they were written by people who had read such attacks"
            .to_owned(),
        header: ["source", "model alone", "model and patterns", "rows"].map(str::to_owned).to_vec(),
        rows: lines,
    })
}

fn line(name: &str, model: &JailbreakDetector, texts: &[&str]) -> Vec<String> {
    let share = |score: &dyn Fn(&str) -> f32| {
        let scores: Vec<f32> = texts.iter().map(|text| score(text)).collect();
        format!("{:.3}", measure::share_reaching(DEFAULT_THRESHOLD, &scores))
    };
    let (learned, whole) = (share(&|text| model.learned(text)), share(&|text| model.detect(text).score));
    vec![name.to_owned(), learned, whole, texts.len().to_string()]
}
