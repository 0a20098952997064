//! The directions between crates, as ARCHITECTURE.md draws them.
//!
//! Not a style check: it looks at dependency edges only, and not at those of tests.
//! Invariant: every crate of the workspace stands in [`DIRECTIONS`], so that a new crate needs a decision.

use crate::Violations;
use crate::metadata::Graph;

/// From each crate to the crates of this workspace that it may depend on.
const DIRECTIONS: &[(&str, Allowed)] = &[
    ("dialects", Allowed::Only(&[])),
    ("settings", Allowed::Only(&[])),
    ("trace", Allowed::Only(&[])),
    ("telemetry", Allowed::Only(&["trace"])),
    ("pipeline", Allowed::Only(&["dialects", "trace"])),
    ("inference", Allowed::Only(&["dialects", "pipeline", "trace"])),
    ("cache", Allowed::Only(&["dialects", "pipeline", "trace"])),
    ("upstream", Allowed::Only(&["dialects", "pipeline", "trace"])),
    ("gateway", Allowed::Only(&["dialects", "pipeline", "trace", "upstream"])),
    ("simulator", Allowed::Only(&["dialects"])),
    ("semantic-router", Allowed::Any),
    // Not shipped: they may look at anything but the chores.
    ("training", Allowed::Only(&["inference", "pipeline"])),
    ("benches", Allowed::Any),
    ("tests", Allowed::Any),
    ("xtask", Allowed::Only(&[])),
];

/// Crates that only some of the shipped crates may name, and why.
const NAMED_BY: &[NamedBy] = &[
    NamedBy {
        names: &["axum", "axum-core", "tower"],
        by: &["gateway", "simulator"],
        why: "web frameworks stay at the rim, so that a door can be exchanged without touching the logic",
    },
    NamedBy {
        names: &["http", "http-body", "http-body-util", "hyper", "hyper-util"],
        by: &["gateway", "upstream", "simulator", "telemetry"],
        why: "only the doors, the backend client and the OTLP exporter speak HTTP; a status code means nothing further in",
    },
    NamedBy {
        names: &["tonic", "prost"],
        by: &["gateway", "telemetry", "simulator"],
        why: "gRPC is a transport of a door or of an exporter; the simulated engine exports for itself, as a real one does",
    },
    NamedBy {
        names: &["envoy-types", "tonic-health", "tonic-reflection"],
        by: &["gateway"],
        why: "Envoy's protocol is the matter of one door",
    },
    NamedBy {
        names: &["opentelemetry-proto", "opentelemetry", "opentelemetry_sdk", "opentelemetry-otlp"],
        by: &["telemetry", "simulator"],
        why: "the record is ours; OTLP is one form that it takes on leaving. The simulated engine writes its own span, so that it shares no reading of ours",
    },
    NamedBy {
        names: &["prometheus-client"],
        by: &["telemetry"],
        why: "metrics are folded from finished records and nowhere else",
    },
    NamedBy {
        names: &["rten", "tokenizers"],
        by: &["inference"],
        why: "how a model is run is a secret of the crate that runs it",
    },
    NamedBy {
        names: &["serde-saphyr", "serde_yaml_ng", "schemars"],
        by: &["settings"],
        why: "YAML is read once, at the start; everything further in gets checked values",
    },
];

/// Crates that may not even reach these through others.
const NEVER_BENEATH: &[NeverBeneath] = &[NeverBeneath {
    crates: &["pipeline", "dialects", "trace"],
    names: &["axum", "tonic", "hyper", "http", "rten", "serde-saphyr", "serde_yaml_ng", "rustls"],
    why: "the logic has no I/O of its own, so that it can be replayed and tested without any",
}];

enum Allowed {
    Any,
    Only(&'static [&'static str]),
}

struct NamedBy {
    names: &'static [&'static str],
    by: &'static [&'static str],
    why: &'static str,
}

struct NeverBeneath {
    crates: &'static [&'static str],
    names: &'static [&'static str],
    why: &'static str,
}

/// Crates of the workspace that are tools and tests: rules about frameworks do not bind them.
const NOT_SHIPPED: &[&str] = &["training", "benches", "tests", "xtask"];

/// Every edge of the graph that breaks a rule, in the order of the rules.
pub(crate) fn violations(graph: &Graph) -> Violations {
    let mut found = against_directions(graph);
    found.extend(NAMED_BY.iter().flat_map(|rule| against_names(graph, rule)));
    found.extend(NEVER_BENEATH.iter().flat_map(|rule| against_closure(graph, rule)));
    found
}

fn against_directions(graph: &Graph) -> Violations {
    let mut found = Vec::new();
    for member in &graph.members {
        let Some((_, allowed)) = DIRECTIONS.iter().find(|(name, _)| name == member) else {
            found.push(format!(
                "{member} has no place yet: say in DIRECTIONS of xtask/src/architecture.rs what it may depend on, and in ARCHITECTURE.md why"
            ));
            continue;
        };
        let Allowed::Only(allowed) = allowed else { continue };
        let own = graph.direct(member).filter(|name| graph.members.contains(*name));
        found.extend(own.filter(|name| !allowed.contains(name)).map(|name| {
            format!(
                "{member} depends on {name}, against the directions of ARCHITECTURE.md; it may name {}",
                listed(allowed)
            )
        }));
    }
    found
}

fn against_names(graph: &Graph, rule: &NamedBy) -> Violations {
    let bound =
        |member: &&String| !NOT_SHIPPED.contains(&member.as_str()) && !rule.by.contains(&member.as_str());
    let mut found = Vec::new();
    for member in graph.members.iter().filter(bound) {
        for name in graph.direct(member).filter(|name| rule.names.contains(name)) {
            found.push(format!("{member} names {name}, which only {} may: {}", listed(rule.by), rule.why));
        }
    }
    found
}

fn against_closure(graph: &Graph, rule: &NeverBeneath) -> Violations {
    let mut found = Vec::new();
    for member in rule.crates.iter().filter(|name| graph.members.contains(**name)) {
        for path in rule.names.iter().filter_map(|name| graph.path(member, name)) {
            found.push(format!("{}: {}", path.join(" → "), rule.why));
        }
    }
    found
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none of ours".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A graph in which the crates named here exist and the given edges hold.
    fn graph(members: &[&str], edges: &[(&str, &str)]) -> Graph {
        let mut graph =
            Graph { members: members.iter().map(ToString::to_string).collect(), ..Graph::default() };
        for (from, to) in edges {
            graph.edges.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        graph
    }

    #[test]
    fn allowed_edges_are_quiet() {
        let graph = graph(
            &["pipeline", "trace", "gateway", "semantic-router", "settings", "tests"],
            &[
                ("pipeline", "trace"),
                ("pipeline", "regex"),
                ("gateway", "axum"),
                ("semantic-router", "settings"),
                ("tests", "opentelemetry-proto"),
            ],
        );
        assert_eq!(violations(&graph), Vec::<String>::new());
    }

    #[test]
    fn an_edge_against_the_directions_is_named_from_end_to_end() {
        let found = violations(&graph(&["gateway", "settings"], &[("gateway", "settings")]));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("gateway depends on settings"), "{}", found[0]);
    }

    #[test]
    fn a_crate_without_a_place_is_a_violation() {
        let found = violations(&graph(&["shed"], &[]));
        assert!(found[0].starts_with("shed has no place yet"), "{}", found[0]);
    }

    #[test]
    fn a_framework_in_the_wrong_crate_is_found() {
        let found = violations(&graph(&["cache", "upstream"], &[("cache", "http"), ("upstream", "http")]));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("cache names http"), "{}", found[0]);
    }

    #[test]
    fn the_pipeline_may_not_reach_a_framework_through_a_friend() {
        let found = violations(&graph(&["pipeline"], &[("pipeline", "friend"), ("friend", "hyper")]));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("pipeline → friend → hyper"), "{}", found[0]);
    }

    #[test]
    fn every_rule_speaks_of_crates_that_have_a_place() {
        let has_place = |name: &&&str| DIRECTIONS.iter().any(|(member, _)| member == *name);
        let spoken_of =
            NAMED_BY.iter().flat_map(|rule| rule.by).chain(NEVER_BENEATH.iter().flat_map(|rule| rule.crates));
        assert_eq!(spoken_of.chain(NOT_SHIPPED).filter(|name| !has_place(name)).count(), 0);
    }
}
