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
