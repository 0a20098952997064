//! The difference between the headers that Envoy has and those that should be there.

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::service::ext_proc::v3::HeaderMutation;
use http::{HeaderMap, HeaderValue};

use crate::headers::CONNECTION;

/// Headers that Envoy itself answers for: those of its connections, and what names the host.
fn is_envoys(name: &str) -> bool {
    name.starts_with(':') || name == "host" || CONNECTION.contains(&name)
}

/// What turns the headers that are there into those that should be.
pub(super) fn between(there: &HeaderMap, wanted: &HeaderMap) -> HeaderMutation {
    let mut mutation = HeaderMutation::default();
    for name in there.keys().filter(|name| !wanted.contains_key(*name) && !is_envoys(name.as_str())) {
        mutation.remove_headers.push(name.as_str().to_owned());
    }
    for name in wanted.keys().filter(|name| !is_envoys(name.as_str())) {
        let same = there.get_all(name).iter().eq(wanted.get_all(name).iter());
        if !same {
            let mut action = HeaderAppendAction::OverwriteIfExistsOrAdd;
            for value in wanted.get_all(name) {
                mutation.set_headers.push(line(name.as_str(), value.as_bytes(), action));
                action = HeaderAppendAction::AppendIfExistsOrAdd;
            }
        }
    }
    mutation
}

/// Sets one more header.
pub(super) fn set(mutation: &mut HeaderMutation, name: &str, value: &str) {
    mutation.set_headers.push(line(name, value.as_bytes(), HeaderAppendAction::OverwriteIfExistsOrAdd));
}

/// All of these headers, over whatever is there.
pub(super) fn all(headers: &HeaderMap<HeaderValue>) -> HeaderMutation {
    between(&HeaderMap::new(), headers)
}

/// Whether nothing changes.
pub(super) fn is_empty(mutation: &HeaderMutation) -> bool {
    mutation.set_headers.is_empty() && mutation.remove_headers.is_empty()
}

fn line(name: &str, value: &[u8], action: HeaderAppendAction) -> core::HeaderValueOption {
    core::HeaderValueOption {
        header: Some(core::HeaderValue {
            key: name.to_owned(),
            raw_value: value.to_vec(),
            ..core::HeaderValue::default()
        }),
        append_action: action.into(),
        ..core::HeaderValueOption::default()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn only_what_differs_is_told() {
        let there = map(&[("host", "h"), ("te", "trailers"), ("same", "1"), ("old", "1"), ("many", "1")]);
        let wanted = map(&[("same", "1"), ("many", "1"), ("many", "2"), ("new", "3")]);
        let mutation = between(&there, &wanted);
        assert_eq!(mutation.remove_headers, ["old"]);
        let set: Vec<(String, i32)> = mutation
            .set_headers
            .iter()
            .map(|option| (option.header.as_ref().unwrap().key.clone(), option.append_action))
            .collect();
        let (over, on) =
            (HeaderAppendAction::OverwriteIfExistsOrAdd, HeaderAppendAction::AppendIfExistsOrAdd);
        let expected = [("many", over), ("many", on), ("new", over)];
        assert_eq!(set, expected.map(|(name, action)| (name.to_owned(), i32::from(action))));
    }
}
