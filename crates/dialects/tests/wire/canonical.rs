//! The canonical form: what counts as the same request.

use dialects::request::ParsedRequest;

use crate::fixtures::{chat, request};

fn form(request: &ParsedRequest) -> Vec<u8> {
    let mut form = Vec::new();
    request.canonical_form(&mut |piece| form.extend_from_slice(piece));
    form
}

fn same(one: &str, other: &str) -> bool {
    form(&chat(one)) == form(&chat(other))
}

const PLAIN: &str = r#"{"model":"a","messages":[{"role":"user","content":"What is x?"}],"temperature":0}"#;

#[test]
fn delivery_order_and_blanks_do_not_count() {
    let others = [
        r#"{"temperature":0,"messages":[{"content":"What is x?","role":"user"}],"model":"b"}"#,
        r#"{"messages":[{"role":"user","content":"What  is\u00a0x?"}],"temperature":0}"#,
        r#"{"messages":[{"role":"user","content":"  What\n is\u0020x? "}],"temperature":0,"user":"u","stream":true}"#,
        r#"{"messages":[{"role":"user","content":"What is x?"}],"temperature":0,"seed":null,"metadata":{"a":"b"}}"#,
    ];
    for other in others {
        assert!(same(PLAIN, other), "{other}");
    }
}

#[test]
fn everything_that_shapes_the_answer_counts() {
    let others = [
        r#"{"messages":[{"role":"user","content":"What is y?"}],"temperature":0}"#,
        r#"{"messages":[{"role":"user","content":"Whatis x?"}],"temperature":0}"#,
        r#"{"messages":[{"role":"system","content":"What is x?"}],"temperature":0}"#,
        r#"{"messages":[{"role":"user","content":"What is x?"}],"temperature":1}"#,
        r#"{"messages":[{"role":"user","content":"What is x?"}],"temperature":0,"seed":1}"#,
        r#"{"messages":[{"role":"user","content":"What is x?"}],"temperature":0,"unknown":{}}"#,
        r#"{"messages":[{"role":"user","content":"What is"},{"role":"user","content":"x?"}],"temperature":0}"#,
        r#"{"messages":[{"role":"user","content":"What is x?","name":"n"}],"temperature":0}"#,
    ];
    for other in others {
        assert!(!same(PLAIN, other), "{other}");
    }
    let stops =
        [r#"{"messages":[{"role":"user"}],"stop":"\n"}"#, r#"{"messages":[{"role":"user"}],"stop":" "}"#];
    assert!(!same(stops[0], stops[1]), "stop sequences count to the letter");
    assert_ne!(form(&request("python-embeddings.json")), form(&request("javascript-embeddings.json")));
}

#[test]
fn dialects_do_not_mix() {
    let body = bytes::Bytes::from_static(br#"{"prompt":"a","input":"a"}"#);
    let forms = [dialects::Dialect::Completions, dialects::Dialect::Embeddings]
        .map(|dialect| form(&ParsedRequest::parse(dialect, body.clone()).unwrap()));
    assert_ne!(forms[0], forms[1]);
}
