//! `semantic_router.cache.store`: remembering the answer, after the last byte has been handed out.

use std::borrow::Cow;

use bytes::Bytes;
use trace::finding::{CacheStore, Finding};

use crate::outcome::StorePlan;

/// Why an answer is not worth remembering, or its body.
pub(crate) fn storable(
    plan: &StorePlan,
    status: Option<u16>,
    body: Option<Bytes>,
) -> Result<Bytes, &'static str> {
    if status != Some(200) {
        return Err("not_successful");
    }
    let Some(body) = body else { return Err("incomplete") };
    if body.len() > plan.max_entry_bytes {
        return Err("too_large");
    }
    Ok(body)
}

/// What the span says.
pub(crate) fn finding(reason: &'static str, bytes: usize) -> Finding {
    Finding::CacheStore(CacheStore {
        stored: reason == "stored",
        reason: Cow::Borrowed(reason),
        bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
    })
}
