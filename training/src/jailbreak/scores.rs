//! What the jailbreak model is measured by: the test split, other splits, each set, and sources that it never saw.

use super::{FALSE_POSITIVES, Origin, Row, SETS, Split, detector, fit_and_calibrate, is_hard, pick, split};
use crate::data;
use crate::measure;
use crate::parallel;
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
        test.iter().copied().partition(|row| matches!(row.origin, Origin::File(_)));
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
    report.tables.push(hidden(&model, &long, &attacks));
    Ok(())
}

/// Characters of the long texts that attacks are hidden in.
const LENGTHS: [usize; 3] = [2_000, 10_000, 50_000];

/// Attacks of the test split, each hidden in pieces of the files that were never trained on.
fn hidden(model: &JailbreakDetector, long: &[&Row], attacks: &[&Row]) -> Table {
    let all: Vec<char> = long.iter().flat_map(|row| row.text.chars().chain(['\n'])).collect();
    let is_found = |text: &str| model.detect(text).score >= DEFAULT_THRESHOLD;
    let mut lines = Vec::new();
    for length in LENGTHS {
        let pieces: Vec<String> = all.chunks_exact(length).map(|piece| piece.iter().collect()).collect();
        // An alarm that the piece gives by itself would count as a found attack.
        let quiet: Vec<&String> = pieces.iter().filter(|piece| !is_found(piece)).collect();
        let alarms = pieces.len() - quiet.len();
        let mut line = vec![length.to_string(), format!("{alarms} of {}", pieces.len())];
        for place in [0.0, 0.5, 1.0] {
            let found = attacks.iter().zip(quiet.iter().cycle());
            let found = found.filter(|(attack, piece)| is_found(&hide(&attack.text, piece, place))).count();
            line.push(format!("{:.3}", found as f64 / attacks.len().max(1) as f64));
        }
        lines.push(line);
    }
    Table {
        title: "Long texts".to_owned(),
        note: "Pieces of this project's files that were never trained on: how many are taken for attacks, and the recall at the default threshold, \
               model and patterns, of the test split's attacks when each is hidden in one"
            .to_owned(),
        header: ["characters", "harmless ones that reach the threshold", "attack at the beginning", "in the middle", "at the end"]
            .map(str::to_owned)
            .to_vec(),
        rows: lines,
    }
}

/// The attack as a paragraph of the text, at the line that is nearest after `place`, from 0 to 1.
fn hide(attack: &str, text: &str, place: f64) -> String {
    let near = (text.len() as f64 * place) as usize;
    let line = |at: &usize| *at == 0 || *at == text.len() || text.as_bytes()[at - 1] == b'\n';
    let at = (near..=text.len()).find(line).unwrap_or(text.len());
    format!("{}\n{attack}\n{}", &text[..at], &text[at..])
}

/// Share of rows whose score reaches the default threshold.
fn reaching(rows: &[&Row], score: impl Fn(&Row) -> f32) -> f64 {
    let scores: Vec<f32> = rows.iter().map(|row| score(row)).collect();
    measure::share_reaching(DEFAULT_THRESHOLD, &scores)
}

/// Recall of the learned model where one in a hundred of the same rows' harmless ones is taken for an attack.
fn recall(model: &JailbreakDetector, rows: &[&Row]) -> f64 {
    let logits = |attack: bool| -> Vec<f32> {
        let rows = rows.iter().filter(|row| row.attack == attack && matches!(row.origin, Origin::Set(_)));
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
        let mut draw = |_| split(rows, |index| if single { index } else { rows[index].group }, random);
        let splits: Vec<Vec<Split>> = (0..SPLITS).map(&mut draw).collect();
        let measured = parallel::map(&splits, |splits| of_split(rows, splits, seed, what))?;
        let mean = |figure: &str, of: &dyn Fn(&OfSplit) -> f64, rows: &dyn Fn(&OfSplit) -> usize| {
            let values: Vec<f64> = measured.iter().map(of).collect();
            Score::mean(&format!("{figure}, {what}"), &values, measured.iter().map(rows).sum())
        };
        let at_one_percent =
            mean("recall at 1 % false positives, model alone", &|m| m.at_one_percent, &|m| m.attacks);
        scores.push(if single { at_one_percent.with_goal(GOAL) } else { at_one_percent });
        scores
            .push(mean("recall at the default threshold, model and patterns", &|m| m.recall, &|m| m.attacks));
        scores.push(mean("false positives at the default threshold", &|m| m.alarms, &|m| m.harmless));
    }
    Ok(scores)
}

/// What was measured of one split.
struct OfSplit {
    at_one_percent: f64,
    /// At the default threshold, which is calibrated inside the train split.
    recall: f64,
    alarms: f64,
    attacks: usize,
    harmless: usize,
}

fn of_split(rows: &[Row], splits: &[Split], seed: u64, what: &str) -> Result<OfSplit, String> {
    let model = detector(&fit_and_calibrate(&pick(rows, splits, Split::Train), seed)?)?;
    let mut test = pick(rows, splits, Split::Test);
    test.retain(|row| matches!(row.origin, Origin::Set(_)));
    let (attacks, harmless): (Vec<&Row>, Vec<&Row>) = test.iter().copied().partition(|row| row.attack);
    let at_default = |rows: &[&Row]| reaching(rows, |row| model.detect(&row.text).score);
    let measured = OfSplit {
        at_one_percent: recall(&model, &test),
        recall: at_default(&attacks),
        alarms: at_default(&harmless),
        attacks: attacks.len(),
        harmless: harmless.len(),
    };
    eprintln!(
        "  {what}: recall {:.4} at 1 %; at the default threshold {:.4}, false positives {:.4}",
        measured.at_one_percent, measured.recall, measured.alarms
    );
    Ok(measured)
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
    let everything = data::read(folder, SETS[CYBERSECEVAL].file)?;
    let of_one = |(name, family): &(&str, &[usize])| {
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
        let mut lines = vec![line(name, &model, &held_out)];
        if *family == [CYBERSECEVAL] {
            let all: Vec<&str> = everything.iter().map(|row| row.text.as_str()).collect();
            lines.push(line("cyberseceval, all its rows, see the note", &model, &all));
        }
        eprintln!("  without {name}: done");
        Ok(lines)
    };
    let lines = parallel::map(&FAMILIES, of_one)?.concat();
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
