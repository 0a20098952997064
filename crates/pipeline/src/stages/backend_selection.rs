//! `semantic_router.backend.selection`: which endpoint of the model takes the attempt.

use std::sync::Arc;

use dialects::Dialect;
use trace::finding::{BackendSelection, Finding};
use trace::{Record, Stage};

use crate::policy::Model;
use crate::ports::{Backends, NoneAvailable, Selected};

/// Selects, and records.
pub(crate) fn run(
    backends: &Arc<dyn Backends>,
    model: &Model,
    dialect: Dialect,
    tried: &[Arc<str>],
    record: &mut Record,
) -> Result<Selected, NoneAvailable> {
    let index = record.begin(Stage::BackendSelection);
    let selected = backends.select(model, dialect, tried);
    let finding = match &selected {
        Ok(selected) => BackendSelection {
            endpoint: Some(Arc::clone(&selected.endpoint.name)),
            address: Some(Arc::clone(&selected.endpoint.address.origin)),
            strategy: selected.strategy,
            candidates: selected.candidates,
            excluded: selected.excluded.clone(),
        },
        Err(none) => BackendSelection {
            endpoint: None,
            address: None,
            strategy: none.strategy,
            candidates: 0,
            excluded: none.excluded.clone(),
        },
    };
    record.end(index, Finding::BackendSelection(finding));
    selected
}
