//! "Did you mean".
//!
//! What it is not: a spelling checker of values that may be secret; it is given keys and fixed words only.

/// The word of `known` that `written` most likely stands for, as `; did you mean "…"?`, or else the known words where
/// there are few.
pub(crate) fn did_you_mean<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(word) = nearest(written, &known) {
        return format!("; did you mean {word:?}?");
    }
    match known.len() {
        0 => String::new(),
        1..=20 => format!("; known: {}", known.join(", ")),
        _ => String::new(),
    }
}

/// The nearest word, where it is near enough to be worth a question.
fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let folded = fold(written);
    let near = |word: &str| {
        let word = fold(word);
        if !folded.is_empty() && (word.starts_with(&folded) || folded.starts_with(&word)) {
            return 0.9;
        }
        strsim::jaro_winkler(&folded, &word)
            .max(1.0 - strsim::osa_distance(&folded, &word) as f64 / 3.0 * 0.25)
    };
    let best = known.iter().max_by(|a, b| near(a).total_cmp(&near(b)))?;
    (written.len() <= 128 && near(best) >= 0.8).then_some(*best)
}

/// Case and the sort of separator do not make words differ.
fn fold(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn near_words_are_asked_for_and_far_ones_listed() {
        assert_eq!(did_you_mean("modles", ["models", "groups"]), "; did you mean \"models\"?");
        assert_eq!(did_you_mean("qwen3", ["qwen3-8b", "llama"]), "; did you mean \"qwen3-8b\"?");
        assert_eq!(did_you_mean("defaultModel", ["default_model"]), "; did you mean \"default_model\"?");
        assert_eq!(did_you_mean("zzz", ["grpc", "http/protobuf"]), "; known: grpc, http/protobuf");
        assert_eq!(did_you_mean("zzz", []), "");
    }
}
