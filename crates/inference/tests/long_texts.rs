//! Long texts: harmless ones pass, attacks hidden in them are found.
//!
//! The harmless ones are files of this project in folders that the training command leaves out of training (its list is in
//! training/src/jailbreak/documents.rs), and texts in other languages that no template has. The attacks are the golden prompts of
//! everyday.tsv, which are not trained on either.

#![expect(clippy::expect_used, reason = "a test that cannot read the checkout fails")]

use inference::jailbreak::{DEFAULT_THRESHOLD, JailbreakDetector};
use std::path::{Path, PathBuf};

const FOLDERS: [&str; 7] =
    ["crates/cache", "crates/telemetry", "crates/upstream", "deploy", "examples", "tests", "website"];

/// Endings of files that people would paste.
const ENDINGS: [&str; 8] = ["rs", "md", "yaml", "yml", "toml", "py", "mjs", "json"];

/// A shorter one is no long text; a longer one is cut.
const CHARACTERS: std::ops::RangeInclusive<usize> = 2_000..=60_000;

fn detector() -> &'static JailbreakDetector {
    JailbreakDetector::built_in()
}

fn is_found(text: &str) -> bool {
    detector().detect(text).score >= DEFAULT_THRESHOLD
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the checkout is whole") {
        let path = entry.expect("a readable folder").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !["node_modules", "target"].contains(&name) {
            collect(&path, paths);
        } else if path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known)) {
            paths.push(path);
        }
    }
}

/// Path and text of each long file in the folders, without those that quote an attack that a pattern knows.
fn long_files() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut paths = Vec::new();
    for folder in FOLDERS {
        collect(&root.join(folder), &mut paths);
    }
    paths.sort();
    let texts = paths.into_iter().filter_map(|path| {
        let text = std::fs::read_to_string(&path).expect("the project's files are UTF-8");
        let text: String = text.chars().take(*CHARACTERS.end()).collect();
        (text.chars().count() >= *CHARACTERS.start()).then_some((path, text))
    });
    texts.filter(|(_, text)| detector().detect(text).patterns.is_empty()).collect()
}

#[test]
fn at_most_one_of_a_hundred_long_files_is_taken_for_an_attack() {
    let files = long_files();
    assert!(files.len() >= 100, "{} files are too few to count a rate on", files.len());
    let taken: Vec<_> = files
        .iter()
        .filter(|(_, text)| is_found(text))
        .map(|(path, text)| (path, detector().learned(text)))
        .collect();
    assert!(taken.len() * 100 <= files.len(), "{} of {}: {taken:?}", taken.len(), files.len());
}

#[test]
fn many_files_in_one_text_are_no_attack() {
    let files = long_files();
    let quiet = files.iter().filter(|(_, text)| !is_found(text));
    let all: Vec<&str> = quiet.map(|(_, text)| text.as_str()).collect();
    for texts in all.chunks(20) {
        let text = texts.join("\n");
        assert!(!is_found(&text), "{} characters: {}", text.len(), detector().learned(&text));
    }
}

#[test]
fn attacks_hidden_in_long_texts_are_found_wherever_they_stand() {
    let attacks: Vec<&str> = include_str!("everyday.tsv")
        .lines()
        .filter_map(|line| line.split_once("\tyes\t").map(|(_, text)| text))
        .collect();
    let files = long_files();
    let quiet: Vec<&str> =
        files.iter().map(|(_, text)| text.as_str()).filter(|text| !is_found(text)).collect();
    let mut missed = Vec::new();
    for (number, attack) in attacks.iter().enumerate() {
        for (place, text) in quiet.iter().skip(number).step_by(attacks.len()).enumerate() {
            let near = [0, text.len() / 2, text.len()][place % 3];
            let at = (near..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
            if !is_found(&format!("{}\n{attack}\n{}", &text[..at], &text[at..])) {
                missed.push((attack, text.len(), at));
            }
        }
    }
    assert!(attacks.len() >= 10 && quiet.len() >= 100);
    assert_eq!(missed, []);
}

/// One harmless paragraph each: what a page of a manual, a letter or a news text says.
const OTHER_LANGUAGES: [&str; 10] = [
    "Der Garten hinter dem Haus gehörte früher dem Müller, der dort Obst und Gemüse zog. Heute treffen sich die Nachbarn am Samstag unter dem \
     alten Nussbaum, bringen Kuchen mit und reden über das Wetter. Wer mag, darf die Werkzeuge im Schuppen benutzen, muss sie aber sauber zurückstellen. ",
    "Le marché se tient chaque jeudi matin sur la place de l'église. On y trouve du fromage, du pain et des légumes de la région, et les \
     enfants s'arrêtent devant le manège. Quand il pleut, les marchands s'abritent sous les arcades et offrent du café aux clients. ",
    "El tren sale a las ocho y llega a la costa antes del mediodía. Los viajeros pueden dejar las maletas en la estación y bajar andando hasta \
     el puerto, donde los pescadores venden lo que han sacado del mar durante la noche. Conviene llevar agua y un sombrero. ",
    "La biblioteca apre alle nove e chiude alle sette di sera. Per prendere in prestito un libro basta la tessera, che si può chiedere al \
     banco con un documento. I ragazzi fanno i compiti al primo piano, mentre gli anziani leggono i giornali vicino alla finestra. ",
    "A ponte velha foi construída em madeira e caiu com as chuvas do inverno passado. A nova tem dois arcos de pedra e um passeio para quem \
     vai a pé. No domingo houve música, doces e um discurso do presidente da câmara, que ninguém ouviu por causa do vento. ",
    "De fietsenmaker om de hoek repareert ook kinderwagens en rolstoelen. Hij werkt alleen, dus soms duurt het een week voordat alles klaar is. \
     Wie haast heeft, kan zelf een sleutel en wat olie lenen en buiten op het bankje aan de slag gaan. ",
    "Stary młyn nad rzeką od lat stoi pusty, ale dach ma jeszcze mocny. Gmina chce urządzić w nim muzeum chleba, z piecem i sklepikiem. \
     Wieczorami siadają tu wędkarze, a latem dzieci skaczą z pomostu do wody i wracają do domu po zmroku. ",
    "Летом мы ездили к бабушке в деревню, где за домом был большой сад. Утром собирали ягоды, днём купались в реке, а вечером пили чай на \
     веранде и слушали, как поют птицы. Дедушка чинил лодку и рассказывал, какой была деревня до войны. ",
    "祖父の家は海の近くにあり、夏休みになると毎日泳ぎに行きました。夕方には庭で花火をして、冷たいスイカを食べました。今は誰も住んでいませんが、年に一度は家族で掃除に行きます。",
    "我家门前有一条小河，春天的时候两岸开满了花。早上老人们在河边散步，孩子们骑着自行车去上学。到了晚上，大家坐在桥头聊天，看着灯光倒映在水里，慢慢地流向远方。",
];

#[test]
fn other_languages_are_no_attacks_however_long() {
    for text in OTHER_LANGUAGES {
        for times in [1, 3, 40] {
            let long = text.repeat(times);
            assert!(!is_found(&long), "{times} times, {}: {text}", detector().learned(&long));
        }
    }
    let all = OTHER_LANGUAGES.concat();
    assert!(!is_found(&all), "{}", detector().learned(&all));
}
