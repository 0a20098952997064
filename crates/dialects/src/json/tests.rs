use proptest::prelude::*;

use super::*;

fn accepts(text: &[u8]) -> bool {
    let Ok(mut scanner) = Scanner::from_bytes(text) else { return false };
    scanner.skip().and_then(|_| scanner.end()).is_ok()
}

#[test]
fn escapes_decode_to_what_they_mean() {
    assert_eq!(decode(r#"a\n\t\"\\\/\u00e9"#), "a\n\t\"\\/é");
    assert_eq!(decode(r"\ud83d\ude00!"), "😀!");
    assert_eq!(decode(r"\ud83d!\ude00"), "\u{FFFD}!\u{FFFD}");
    assert_eq!(decode(r"\ud83d\ud83d\ude00"), "\u{FFFD}😀");
    assert_eq!(decode(r"\u0000"), "\0");
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
    assert!(accepts(nested(127).as_bytes()));
    assert!(!accepts(nested(128).as_bytes()));
    assert!(!accepts("[".repeat(10_000_000).as_bytes()));
}

#[test]
fn errors_name_the_offset() {
    let mut scanner = Scanner::from_bytes(br#"{"a": tru}"#).unwrap();
    assert_eq!(scanner.skip().unwrap_err(), SyntaxError { message: "expected a value", offset: 6 });
    assert_eq!(Scanner::from_bytes(b"\"\xff\"").unwrap_err().offset, 1);
}

/// Texts near JSON: pieces of it in any order, so that both well-formed and broken ones come up.
fn near_json() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\"a\":", "null", "true", "false", "tru", "-", "0", "01",
            "1.5", "1.", "2e3", "2E+", "-0.0", " ", "\n", "\t", "\u{b}", r"\u00e9", r"\ud83d", r"\x", r"\",
            "\"\\n\"", "é",
        ])
        .prop_map(str::to_owned),
        any::<f64>().prop_map(|number| serde_json::json!(number).to_string()),
        ".{0,40}".prop_map(|text| encode(&text)),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn accepts_what_serde_json_accepts(text in near_json(), wrapped in any::<bool>()) {
        let text = if wrapped { format!("[{text}]") } else { text };
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(accepts(text.as_bytes()), theirs, "{}", text);
    }

    #[test]
    fn decodes_what_serde_json_decodes(body in r#"([a-zé😀 ]|\\[bfnrt"/\\]|\\u[0-9a-cefA-CEF][0-9a-fA-F]{3}|\\ud83d\\ude0[0-9]){0,30}"#) {
        let theirs: String = serde_json::from_str(&format!("\"{body}\"")).unwrap();
        prop_assert_eq!(decode(&body), theirs);
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let theirs = std::str::from_utf8(&bytes).is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
        prop_assert_eq!(accepts(&bytes), theirs);
    }

    #[test]
    fn encoding_and_decoding_are_inverse(text in any::<String>()) {
        let body = encode_body(&text);
        prop_assert_eq!(decode(&body), text);
    }
}
