//! What must not stand in a file of the repository: one machine's paths, a registry's host, a merge marker.
//!
//! Not a linter of style and not a secret scanner. It reads what Git tracks and what it would add,
//! so that a violation is found before it is committed.
//! Invariant: lock files are exempt, for their tools write them; nothing else is.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{ChoreError, Violations};

/// Top-level folders that hold one person's or one machine's files; what stands below them is private.
const PRIVATE_ROOTS: &[PrivateRoot] = &[
    PrivateRoot { folder: "root", owner: Owner::Folder },
    PrivateRoot { folder: "work", owner: Owner::Folder },
    PrivateRoot { folder: "farm", owner: Owner::Folder },
    PrivateRoot { folder: "home", owner: Owner::Child },
    PrivateRoot { folder: "Users", owner: Owner::Child },
];

/// Hosts of package registries as (name, top-level domain): a fork behind a mirror must not have to edit files.
const REGISTRY_HOSTS: &[(&str, &str)] = &[
    ("index.crates", "io"),
    ("static.crates", "io"),
    ("registry.npmjs", "org"),
    ("registry.yarnpkg", "com"),
    ("pypi", "org"),
    ("files.pythonhosted", "org"),
    ("proxy.golang", "org"),
];

/// What a conflicted merge leaves at the start of a line.
const MERGE_MARKERS: &[&str] = &["<<<<<<< ", ">>>>>>> ", "||||||| "];

const LOCK_FILES: &[&str] = &["Cargo.lock", "package-lock.json"];

struct PrivateRoot {
    folder: &'static str,
    owner: Owner,
}

/// Whose files a top-level folder holds.
#[derive(Clone, Copy)]
enum Owner {
    /// Its own: any path below it is private.
    Folder,
    /// A person's per child folder: a path is private from the second folder on.
    Child,
}

/// Reads every file that Git tracks or would add.
///
/// # Errors
/// When the folder is no Git checkout, or Git cannot be run.
pub(crate) fn violations(root: &Path) -> Result<Violations, ChoreError> {
    let mut found = Vec::new();
    for name in repository_files(root)? {
        let is_lock_file = LOCK_FILES.iter().any(|lock| name == *lock || name.ends_with(&format!("/{lock}")));
        // A file that Git lists but that is gone, or that is no text, has no line to complain about.
        let Some(text) = fs::read(root.join(&name)).ok().and_then(|bytes| String::from_utf8(bytes).ok())
        else {
            continue;
        };
        if !is_lock_file {
            found.extend(in_text(&name, &text));
        }
    }
    Ok(found)
}

fn repository_files(root: &Path) -> Result<Vec<String>, ChoreError> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("could not run git: {error}"))?;
    if !output.status.success() {
        return Err(format!("git ls-files failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let names = String::from_utf8(output.stdout)?;
    Ok(names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

fn in_text(name: &str, text: &str) -> Violations {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let place = format!("{name}:{}", index + 1);
        found.extend(objections(line).into_iter().map(|objection| format!("{place}: {objection}")));
    }
    found
}

fn objections(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    if MERGE_MARKERS.iter().any(|marker| line.starts_with(marker)) {
        found.push("a merge was not finished here".to_owned());
    }
    for (host, domain) in REGISTRY_HOSTS.iter().filter(|(host, domain)| names_host(line, host, domain)) {
        found
            .push(format!("{host}.{domain} is a registry's host; name the package, not where it is fetched"));
    }
    for root in PRIVATE_ROOTS.iter().filter(|root| names_private_path(line, root)) {
        found.push(format!(
            "a path under \"{}\" exists on one machine only; write it relative to the repository",
            root.folder
        ));
    }
    found
}

fn names_host(line: &str, host: &str, domain: &str) -> bool {
    let full = format!("{host}.{domain}");
    line.match_indices(&full).any(|(start, _)| {
        // "docs.pypi.org" is a page about the registry, not the registry.
        let before = line[..start].chars().next_back();
        !before.is_some_and(|character| character.is_alphanumeric() || matches!(character, '.' | '-'))
    })
}

fn names_private_path(line: &str, root: &PrivateRoot) -> bool {
    let prefix = format!("/{}/", root.folder);
    line.match_indices(&prefix).any(|(start, _)| {
        let begins_a_path = !line[..start].chars().next_back().is_some_and(continues_a_path);
        let below = &line[start + prefix.len()..];
        let folder: &str = below.split(|character| !continues_a_path(character)).next().unwrap_or_default();
        begins_a_path
            && match root.owner {
                Owner::Folder => !folder.is_empty(),
                Owner::Child => !folder.is_empty() && below[folder.len()..].starts_with('/'),
            }
    })
}

/// Characters that, right before a slash, make it the middle of a path or an address rather than its start.
fn continues_a_path(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '.' | '_' | '-' | '}' | '*' | '~')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line with a path below a top-level folder, spelt so that this file does not contain it.
    fn path(folder: &str, rest: &str) -> String {
        format!("cd '/{folder}/{rest}' # there")
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        for line in
            [path("home", "jane/code"), path("root", "x"), path("work", "main"), path("Users", "jane/x")]
        {
            assert_eq!(objections(&line).len(), 1, "{line}");
        }
    }

    #[test]
    fn addresses_and_relative_paths_are_no_machine_paths() {
        for line in [
            "http://host/root/page",
            "src/work/main.rs",
            "$HOME/work/x",
            "the folder /home/ of Linux",
            "${ROOT}/root/x",
            "cost/work/benefit",
        ] {
            assert_eq!(objections(line), Vec::<String>::new(), "{line}");
        }
    }

    #[test]
    fn registry_hosts_are_found_and_pages_about_them_are_not() {
        let (host, domain) = REGISTRY_HOSTS[2];
        assert_eq!(objections(&format!("https://{host}.{domain}/openai")).len(), 1);
        assert_eq!(objections("https://crates.io/crates/serde"), Vec::<String>::new());
    }

    #[test]
    fn an_unfinished_merge_is_found_at_the_start_of_a_line_only() {
        let found = in_text("a.md", &format!("fine\n{}ours\n  {}ours\n", MERGE_MARKERS[0], MERGE_MARKERS[0]));
        assert_eq!(found, ["a.md:2: a merge was not finished here"]);
    }
}
