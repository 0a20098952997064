//! Spans as the JSON exporter prints them: one object per line.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// One span.
#[derive(Clone, Debug)]
pub struct Span {
    /// `semantic_router.…`
    pub name: String,
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// The parent's id; `None` at a root.
    pub parent_id: Option<String>,
    /// `server`, `client`, `internal`.
    pub kind: String,
    /// Nanoseconds since 1970.
    pub start_ns: u64,
    /// Its length in nanoseconds.
    pub duration_ns: u64,
    /// `unset` or `error`.
    pub status: String,
    /// The description of an error.
    pub description: String,
    /// The attributes.
    pub attributes: BTreeMap<String, Value>,
    /// Names, times in nanoseconds since 1970, and attributes.
    pub events: Vec<(String, u64, BTreeMap<String, Value>)>,
    /// Traces and spans that it links to.
    pub links: Vec<(String, String)>,
    /// Who made it.
    pub resource: BTreeMap<String, Value>,
}

impl Span {
    /// Nanoseconds since 1970.
    #[must_use]
    pub fn end_ns(&self) -> u64 {
        self.start_ns + self.duration_ns
    }

    /// An attribute; null where there is none.
    #[must_use]
    pub fn get(&self, key: &str) -> &Value {
        self.attributes.get(key).unwrap_or(&Value::Null)
    }

    /// In the words of the collector's reader, `tests/real-parts/rotel_spans.py`.
    #[must_use]
    pub fn told(&self) -> Value {
        let event = |(name, time_ns, attributes): &(String, u64, BTreeMap<String, Value>)| json!({ "name": name, "time_ns": time_ns, "attributes": attributes });
        let link = |(trace_id, span_id): &(String, String)| json!({ "trace_id": trace_id, "span_id": span_id, "attributes": {} });
        json!({
            "trace_id": self.trace_id,
            "span_id": self.span_id,
            "parent_id": self.parent_id,
            "name": self.name,
            "kind": self.kind,
            "start_ns": self.start_ns,
            "end_ns": self.end_ns(),
            "status": { "code": self.status, "message": self.description },
            "attributes": self.attributes,
            "events": self.events.iter().map(event).collect::<Vec<_>>(),
            "links": self.links.iter().map(link).collect::<Vec<_>>(),
            "resource": self.resource,
        })
    }

    fn read(object: &Value) -> Span {
        let event =
            |event: &Value| (text(&event["Name"]), nanoseconds(&event["Time"]), pairs(&event["Attributes"]));
        let link =
            |link: &Value| (text(&link["SpanContext"]["TraceID"]), text(&link["SpanContext"]["SpanID"]));
        Span {
            name: text(&object["Name"]),
            trace_id: text(&object["SpanContext"]["TraceID"]),
            span_id: text(&object["SpanContext"]["SpanID"]),
            parent_id: object["Parent"]["SpanID"].as_str().map(str::to_owned),
            kind: text(&object["Kind"]).to_lowercase(),
            start_ns: nanoseconds(&object["StartTime"]),
            duration_ns: object["Duration"].as_u64().expect("a duration in whole nanoseconds"),
            status: text(&object["Status"]["Code"]).to_lowercase(),
            description: object["Status"]["Description"].as_str().unwrap_or_default().to_owned(),
            attributes: pairs(&object["Attributes"]),
            events: list(&object["Events"]).map(event).collect(),
            links: list(&object["Links"]).map(link).collect(),
            resource: pairs(&object["Resource"]),
        }
    }
}

/// Every span that was printed, in order.
#[must_use]
pub fn all(printed: &str) -> Vec<Span> {
    let lines = printed.lines().filter(|line| line.starts_with("{\"Name\""));
    let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    lines.map(|line| Span::read(&read(line))).collect()
}

/// A span as the collector told it, without what the terminal does not show: who made it.
#[must_use]
pub fn without_scope(mut span: Value) -> Value {
    let scope = span.as_object_mut().and_then(|span| span.remove("scope"));
    assert!(scope.is_some_and(|scope| scope["name"].is_string()), "a span without a scope: {span}");
    span
}

/// Compares spans that were shown with those that were received, field by field, in whatever order they came.
pub fn assert_same(mut shown: Vec<Value>, mut received: Vec<Value>) {
    for spans in [&mut shown, &mut received] {
        spans.sort_by_key(|span| span["span_id"].to_string());
    }
    assert_eq!(shown.len(), received.len(), "spans");
    for (shown, received) in shown.iter().zip(&received) {
        for (key, value) in shown.as_object().into_iter().flatten() {
            assert_eq!(value, &received[key], "{key} of {}", shown["name"]);
        }
    }
}

/// The spans of one trace, the root first.
#[must_use]
pub fn of_trace(printed: &str, trace_id: &str) -> Vec<Span> {
    all(printed).into_iter().filter(|span| span.trace_id == trace_id).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn pairs(list_of_pairs: &Value) -> BTreeMap<String, Value> {
    list(list_of_pairs).map(|pair| (text(&pair["Key"]), pair["Value"].clone())).collect()
}

/// Reads `2024-05-01T12:00:00.000000001Z`. Days by the civil calendar's formula (years begin in March, 400 years repeat).
fn nanoseconds(time: &Value) -> u64 {
    let time = text(time);
    let number = |from: usize, to: usize| -> u64 {
        time.get(from..to)
            .and_then(|digits| digits.parse().ok())
            .unwrap_or_else(|| panic!("{time} is no time"))
    };
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468;
    let seconds = days * 86_400 + number(11, 13) * 3_600 + number(14, 16) * 60 + number(17, 19);
    seconds * 1_000_000_000 + number(20, 29)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read() {
        let line = r#"{"Name":"n","SpanContext":{"TraceID":"t","SpanID":"s"},"Attributes":[{"Key":"k","Value":1}],"Duration":5,"Parent":{"TraceID":"t","SpanID":"p"},"Kind":"SERVER","StartTime":"2024-05-01T12:00:00.000000001Z","Status":{"Code":"Unset"},"Events":[],"Links":[],"Resource":[]}"#;
        let spans = all(&format!("noise\n{line}\n"));
        assert_eq!(spans[0].start_ns, 1_714_564_800_000_000_001);
        assert_eq!((spans[0].parent_id.as_deref(), spans[0].kind.as_str()), (Some("p"), "server"));
        assert_eq!(spans[0].get("k"), 1);
    }
}
