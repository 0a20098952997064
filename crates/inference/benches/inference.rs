//! Time per text of each built-in signal: a plain prompt, 200 characters, and a long document.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use inference::domain::DomainClassifier;
use inference::jailbreak::JailbreakDetector;
use inference::pii::PiiRecognizers;
use std::hint::black_box;

const PLAIN: &str = "Write a short story about a lighthouse keeper who finds a letter in a bottle, \
    reads it aloud to the gulls, and decides to leave the island before the winter storms begin, with an ending that is happy.";

const PERSONAL: &str = "Please write to jane.doe@example.com that her card 4111 1111 1111 1111 was charged on 2024-05-01 \
    and that she can call +49 30 901820 or visit https://shop.example.com from 192.168.0.17 before 10:30 pm.";

fn signals(criterion: &mut Criterion) {
    let long = PLAIN.repeat(500);
    // As a word processor writes it: one character that is not plain makes the recognisers read twice.
    let no_break = PERSONAL.replace("4111 1111", "4111\u{a0}1111");
    let accented = PERSONAL.replace("Please", "S'il vous plaît");
    let (domain, jailbreak, pii) =
        (DomainClassifier::built_in(), JailbreakDetector::built_in(), PiiRecognizers::built_in());
    for (name, text) in [
        ("plain_200", PLAIN),
        ("personal_200", PERSONAL),
        ("accented_200", &accented),
        ("no_break_200", &no_break),
        ("plain_100k", &long),
    ] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function("domain", |bench| bench.iter(|| domain.classify(black_box(text))));
        group.bench_function("jailbreak", |bench| bench.iter(|| jailbreak.detect(black_box(text))));
        group.bench_function("jailbreak_learned", |bench| bench.iter(|| jailbreak.learned(black_box(text))));
        group.bench_function("pii", |bench| bench.iter(|| pii.find(black_box(text))));
        group.finish();
    }
}

criterion_group!(benches, signals);
criterion_main!(benches);
