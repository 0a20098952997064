//! The body of `GET /v1/models`.

use bytes::Bytes;
use serde_json::{Value, json};

/// A list of models: `{"object":"list","data":[{"id","object":"model","created","owned_by"}]}`. `models` gives
/// each name with its owner; `created` is in seconds since 1970.
#[must_use]
pub fn models_list<'a>(models: impl IntoIterator<Item = (&'a str, &'a str)>, created: u64) -> Bytes {
    let entry =
        |(id, owned_by)| json!({"id": id, "object": "model", "created": created, "owned_by": owned_by});
    let data: Vec<Value> = models.into_iter().map(entry).collect();
    Bytes::from(json!({"object": "list", "data": data}).to_string())
}
