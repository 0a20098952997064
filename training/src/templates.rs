//! Everyday prompts made from templates, since exam questions are not how people write to a chat.
//!
//! File format: `[section]` starts a section; `name: one | two | …` defines a list of the section (those of `[shared]` are for
//! all); any other line is a template whose `{name}` slots are filled from a list, again until no slot is left. `#` starts a comment line, and `\` a
//! template that would be taken for one of these.
//! Invariant: the same file and generator give the same prompts.

use std::collections::HashMap;

/// A parsed template file.
pub(crate) struct Templates<'a> {
    sections: Vec<Section<'a>>,
}

struct Section<'a> {
    name: &'a str,
    lists: HashMap<&'a str, Vec<&'a str>>,
    lines: Vec<&'a str>,
}

/// How deep slots may name lists whose entries have slots.
const DEPTH: usize = 4;

impl<'a> Templates<'a> {
    /// Reads the file's text.
    ///
    /// # Errors
    /// A line before the first section, with its number.
    pub(crate) fn parse(text: &'a str) -> Result<Self, String> {
        let mut sections: Vec<Section<'a>> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let last = sections.last_mut();
            if let (Some(template), Some(section)) = (line.strip_prefix('\\'), last) {
                section.lines.push(template);
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                sections.push(Section { name, lists: HashMap::new(), lines: Vec::new() });
                continue;
            }
            let section = sections.last_mut().ok_or(format!("line {}: not in a [section]", number + 1))?;
            match line
                .split_once(": ")
                .filter(|(name, _)| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
            {
                Some((name, list)) => {
                    section.lists.entry(name).or_default().extend(list.split('|').map(str::trim));
                }
                None => section.lines.push(line),
            }
        }
        Ok(Self { sections })
    }

    /// Up to `count` distinct prompts of a section: templates in turn, slots at random.
    pub(crate) fn prompts(&self, section: &str, count: usize, random: &mut fastrand::Rng) -> Vec<String> {
        let Some(own) = self.sections.iter().find(|candidate| candidate.name == section) else {
            return Vec::new();
        };
        let shared = self.sections.iter().find(|candidate| candidate.name == "shared");
        let with_topics = own.lists.contains_key("topic");
        let general = shared.filter(|_| with_topics).map_or(&[][..], |shared| &shared.lines);
        let mut prompts = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for attempt in 0..3 * count {
            // Half of the prompts are the section's own sentences, half the shared ones about its topics.
            let lines = if general.is_empty() || attempt % 2 == 0 && !own.lines.is_empty() {
                &own.lines[..]
            } else {
                general
            };
            let Some(line) = lines.get(random.usize(..lines.len().max(1))) else { break };
            let prompt = fill(line, own, shared, random);
            if prompts.len() < count && seen.insert(prompt.clone()) {
                prompts.push(prompt);
            }
        }
        prompts
    }
}

fn fill(line: &str, own: &Section<'_>, shared: Option<&Section<'_>>, random: &mut fastrand::Rng) -> String {
    let mut text = line.to_owned();
    for _ in 0..DEPTH {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let Some((name, behind)) = after.split_once('}') else {
                filled.push('{');
                rest = after;
                continue;
            };
            let list = own.lists.get(name).or_else(|| shared.and_then(|shared| shared.lists.get(name)));
            match list.filter(|list| !list.is_empty()) {
                Some(list) => filled.push_str(list[random.usize(..list.len())]),
                None if name == "number" => filled.push_str(&random.u32(2..200).to_string()),
                None => filled.push_str(&format!("{{{name}}}")),
            }
            rest = behind;
        }
        filled.push_str(rest);
        text = filled;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_slots_from_own_and_shared_lists() {
        let file =
            "[shared]\nplace: Rome\n# no line\n[tea]\nkind: green {place} | black\nBrew {kind} in {place}";
        let templates = Templates::parse(file).expect("valid");
        let mut prompts = templates.prompts("tea", 10, &mut fastrand::Rng::with_seed(1));
        prompts.sort_unstable();
        assert_eq!(prompts, ["Brew black in Rome", "Brew green Rome in Rome"]);
        assert!(Templates::parse("stray").is_err());
    }
}
