//! Span trees as the router prints them, and what of them differs from run to run.

use std::sync::LazyLock;

use regex::Regex;

/// The tree of one trace out of everything that was printed: from its request line to the empty line after it.
#[must_use]
pub fn find(printed: &str, trace_id: &str) -> Option<String> {
    let end = format!("trace {trace_id}");
    let lines: Vec<&str> = printed.lines().collect();
    let start = lines.iter().position(|line| line.ends_with(&end))?;
    let tree: Vec<&str> = lines[start..].iter().copied().take_while(|line| !line.is_empty()).collect();
    Some(tree.join("\n") + "\n")
}

/// Every tree, in the order in which it was printed.
#[must_use]
pub fn all(printed: &str) -> Vec<String> {
    let id = Regex::new(r"→ .* trace ([0-9a-f]{32})$").expect("a pattern");
    let ids = printed.lines().filter_map(|line| Some(id.captures(line)?.get(1)?.as_str()));
    ids.filter_map(|id| find(printed, id)).collect()
}

/// The names of a tree's spans, in order, the root first.
#[must_use]
pub fn names(tree: &str) -> Vec<&str> {
    let spans = tree.lines().map(|line| line.trim_start_matches(['├', '└', '─', ' ']));
    spans
        .filter(|line| line.starts_with("semantic_router."))
        .filter_map(|line| line.split(' ').next())
        .collect()
}

const TIME: &str = r"[0-9.]+(?:µs|ms|s)\b";

static MASKS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let mask = |pattern: &str, mask| (Regex::new(pattern).expect("a pattern"), mask);
    vec![
        mask(r"trace [0-9a-f]{32}", "trace _"),
        mask(&format!(r"\[{TIME}\]"), "[_]"),
        mask(&format!(r" · {TIME} · "), " · _ · "),
        mask(&format!(r"after {TIME}"), "after _"),
        mask(&format!(r"age: {TIME}"), "age: _"),
        mask(r"127\.0\.0\.1:\d+", "127.0.0.1:_"),
        // What the classifiers found is their own matter; here it would pin a file of weights.
        mask(r"category: [a-z ]+, confidence: \d\.\d\d, next: [a-z ]+ \d\.\d\d\b", "category: _"),
        mask(r"\b\d\.\d\d\b", "_"),
    ]
});

/// A tree without times, ids, ports, categories and probabilities.
#[must_use]
pub fn masked(tree: &str) -> String {
    let tree = without_stalls(tree);
    MASKS.iter().fold(tree, |text, (pattern, mask)| pattern.replace_all(&text, *mask).into_owned())
}

/// Without the leaves that say how long a client made the backend wait: a loaded machine makes any client slow. Each is
/// the last of its span, so that the leaf before it becomes the last.
fn without_stalls(tree: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in tree.lines() {
        if !line.contains("─ stalled by the client for ") {
            lines.push(line.to_owned());
        } else if let Some(last) = lines.last_mut().filter(|_| line.contains("└─ ")) {
            *last = last.replacen("├─ ", "└─ ", 1);
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "noise\n\
        POST /v1/chat/completions → 200 · small · 12ms · trace 0af7651916cd43dd8448eb211c80319c\n\
        semantic_router.request.received [12ms]\n\
        ├─ semantic_router.classification [45µs]\n\
        │  └─ category: math, confidence: 0.95, next: computer science 0.03\n\
        └─ semantic_router.cache.lookup [1.2ms]\n   └─ cache.hit: true, age: 0.1s\n\nmore\n";

    #[test]
    fn a_slow_client_is_no_part_of_a_tree() {
        let stalled = "│  ├─ status: 200\n│  └─ stalled by the client for 7ms\n";
        assert_eq!(masked(stalled), "│  └─ status: 200\n");
    }

    #[test]
    fn a_tree_is_found_and_masked() {
        let trees = all(PRINTED);
        let tree = masked(&trees[0]);
        assert_eq!(trees.len(), 1);
        assert!(tree.starts_with("POST /v1/chat/completions → 200 · small · _ · trace _\n"), "{tree}");
        assert!(tree.contains("└─ category: _\n"), "{tree}");
        assert!(
            tree.ends_with("└─ semantic_router.cache.lookup [_]\n   └─ cache.hit: true, age: _\n"),
            "{tree}"
        );
        let expected = [
            "semantic_router.request.received",
            "semantic_router.classification",
            "semantic_router.cache.lookup",
        ];
        assert_eq!(names(&trees[0]), expected);
    }
}
