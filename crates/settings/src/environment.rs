//! The environment variables, captured once.
//!
//! What it is not: the process's environment; a test makes its own. Its invariant: after the capture nothing reads
//! variables from the process again, so that one start sees one state.

use std::collections::BTreeMap;

use crate::secret::Secret;

/// Environment variables by name.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<String, Secret>,
}

impl Environment {
    /// The variables of this process; those that are not valid UTF-8 are left out.
    #[must_use]
    pub fn capture() -> Self {
        Self::from_pairs(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    /// Variables of one's own.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        Self { variables: pairs.into_iter().map(|(name, value)| (name.into(), Secret::new(value))).collect() }
    }

    /// The value of `name`, where it is set; it may be empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(Secret::reveal)
    }

    /// The value of `name`, trimmed, where it is set and not empty.
    #[must_use]
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// Names of the variables that are set, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str)
    }
}
