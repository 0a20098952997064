//! The workspace as Cargo resolves it: which crate depends on which.
//!
//! Not a model of all that `cargo metadata` prints: only names, membership and edges.
//! Invariant: an edge is one of a build that ships (normal or build dependency); development
//! dependencies are left out, since a test may use what the crate itself may not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::ChoreError;

/// A dependency graph by crate name.
///
/// Versions are merged: two versions of one crate are one node, which is what rules about names need.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// The crates of this workspace.
    pub(crate) members: BTreeSet<String>,
    /// From a crate's name to the names of what it depends on directly.
    pub(crate) edges: BTreeMap<String, BTreeSet<String>>,
}

/// The folder of the workspace, whatever the current folder is.
pub(crate) fn workspace_root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

impl Graph {
    /// Asks Cargo for the graph of all platforms, as the lock file has it.
    ///
    /// # Errors
    /// When Cargo cannot be run, refuses (its own words are passed on), or prints something else than its format 1.
    pub(crate) fn load(root: &Path) -> Result<Self, ChoreError> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--format-version", "1", "--locked"])
            .current_dir(root)
            .output()
            .map_err(|error| format!("could not run cargo metadata: {error}"))?;
        if !output.status.success() {
            return Err(format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Self::parse(&output.stdout)
    }

    /// Reads what `cargo metadata --format-version 1` prints.
    fn parse(json: &[u8]) -> Result<Self, ChoreError> {
        let metadata: Metadata = serde_json::from_slice(json)?;
        let names: BTreeMap<&str, &str> =
            metadata.packages.iter().map(|package| (package.id.as_str(), package.name.as_str())).collect();
        let name_of = |id: &str| -> Result<String, ChoreError> {
            let name = names.get(id).ok_or_else(|| format!("cargo metadata names no package {id}"))?;
            Ok((*name).to_owned())
        };
        let mut graph = Self::default();
        for id in &metadata.workspace_members {
            graph.members.insert(name_of(id)?);
        }
        for node in &metadata.resolve.nodes {
            let targets = graph.edges.entry(name_of(&node.id)?).or_default();
            for dependency in node.deps.iter().filter(|dependency| dependency.ships()) {
                targets.insert(name_of(&dependency.pkg)?);
            }
        }
        Ok(graph)
    }

    /// What a crate depends on directly; empty for an unknown name.
    pub(crate) fn direct(&self, name: &str) -> impl Iterator<Item = &str> {
        self.edges.get(name).into_iter().flatten().map(String::as_str)
    }

    /// The way from a crate down to a dependency, both included, or `None` where there is none.
    pub(crate) fn path(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut waiting = vec![vec![from.to_owned()]];
        let mut seen = BTreeSet::new();
        while let Some(path) = waiting.pop() {
            let Some(last) = path.last() else { continue };
            if last == to {
                return Some(path);
            }
            for next in self.direct(last) {
                if seen.insert(next.to_owned()) {
                    waiting.push([path.as_slice(), &[next.to_owned()]].concat());
                }
            }
        }
        None
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    /// Absent for a normal dependency, else `build` or `dev`.
    kind: Option<String>,
}

impl Dependency {
    fn ships(&self) -> bool {
        self.dep_kinds.iter().any(|kind| kind.kind.as_deref() != Some("dev"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{
        "packages": [{"id": "a 1", "name": "a"}, {"id": "b 1", "name": "b"}, {"id": "c 1", "name": "c"}],
        "workspace_members": ["a 1"],
        "resolve": {"nodes": [
            {"id": "a 1", "deps": [
                {"pkg": "b 1", "dep_kinds": [{"kind": null}]},
                {"pkg": "c 1", "dep_kinds": [{"kind": "dev"}]}]},
            {"id": "b 1", "deps": [{"pkg": "c 1", "dep_kinds": [{"kind": "dev"}, {"kind": "build"}]}]},
            {"id": "c 1", "deps": []}]}
    }"#;

    #[test]
    fn development_dependencies_are_no_edges() {
        let graph = Graph::parse(METADATA.as_bytes()).unwrap();
        assert_eq!(graph.direct("a").collect::<Vec<_>>(), ["b"]);
        assert_eq!(graph.direct("b").collect::<Vec<_>>(), ["c"]);
        assert_eq!(graph.members.iter().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn a_path_names_every_step_and_ends_in_a_cycle() {
        let graph = Graph::parse(METADATA.as_bytes()).unwrap();
        assert_eq!(graph.path("a", "c").unwrap(), ["a", "b", "c"]);
        assert_eq!(graph.path("c", "a"), None);
        let circle =
            [("x", "y"), ("y", "x")].map(|(from, to)| (from.to_owned(), BTreeSet::from([to.to_owned()])));
        let graph = Graph { edges: circle.into(), ..Graph::default() };
        assert_eq!(graph.path("x", "z"), None);
    }

    #[test]
    fn an_edge_to_an_unlisted_package_is_an_error() {
        let broken = METADATA.replace(r#"{"id": "c 1", "name": "c"}"#, r#"{"id": "d 1", "name": "d"}"#);
        assert!(Graph::parse(broken.as_bytes()).unwrap_err().to_string().contains("c 1"));
    }
}
