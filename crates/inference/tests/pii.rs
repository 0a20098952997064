//! PII as users write it: a table of texts with what must be found, and properties that hold for any text.

#![allow(clippy::expect_used, reason = "helpers of tests")]

use inference::pii::{PiiEntity, PiiRecognizers, PiiType};
use proptest::prelude::*;

fn find(text: &str) -> Vec<PiiEntity> {
    PiiRecognizers::built_in().find(text)
}

/// Types and values found, in order.
fn found(text: &str) -> Vec<(&'static str, &str)> {
    find(text).iter().map(|entity| (entity.kind.as_str(), entity.value(text))).collect()
}

/// What must be found in a text: types and values.
type Row = (&'static str, &'static [(&'static str, &'static str)]);

const EACH_TYPE: &[Row] = &[
    ("Mail me at jane.doe+x@example.co.uk.", &[("EMAIL_ADDRESS", "jane.doe+x@example.co.uk")]),
    ("Card: 4111 1111 1111 1111, thanks", &[("CREDIT_CARD", "4111 1111 1111 1111")]),
    ("pay with 4111-1111-1111-1111 123", &[("CREDIT_CARD", "4111-1111-1111-1111")]),
    ("amex 378282246310005", &[("CREDIT_CARD", "378282246310005")]),
    ("IBAN DE89 3704 0044 0532 0130 00 please", &[("IBAN_CODE", "DE89 3704 0044 0532 0130 00")]),
    ("gb82west12345698765432", &[("IBAN_CODE", "gb82west12345698765432")]),
    ("My SSN is 536-22-8710.", &[("US_SSN", "536-22-8710")]),
    ("social security number 536228710", &[("US_SSN", "536228710")]),
    (
        "Call +49 30 901820 or (212) 555-0142",
        &[("PHONE_NUMBER", "+49 30 901820"), ("PHONE_NUMBER", "(212) 555-0142")],
    ),
    ("phone: 030 123456", &[("PHONE_NUMBER", "030 123456")]),
    ("1-800-555-0199 is free", &[("PHONE_NUMBER", "1-800-555-0199")]),
    ("ssh to 192.168.0.17 please", &[("IP_ADDRESS", "192.168.0.17")]),
    (
        "ping 2001:db8::8a2e:370:7334 and fe80::1",
        &[("IP_ADDRESS", "2001:db8::8a2e:370:7334"), ("IP_ADDRESS", "fe80::1")],
    ),
    ("see docs.example.com for more", &[("DOMAIN_NAME", "docs.example.com")]),
    (
        "postgres://admin:s3cret@db.example.com/x",
        &[("URL_CREDENTIALS", "admin:s3cret"), ("DOMAIN_NAME", "db.example.com")],
    ),
    ("key sk-proj-abcDEF1234567890abcDEF", &[("API_KEY", "sk-proj-abcDEF1234567890abcDEF")]),
    ("aws AKIAIOSFODNN7EXAMPLE", &[("API_KEY", "AKIAIOSFODNN7EXAMPLE")]),
    ("api_key = \"a1b2c3d4e5f6a7b8c9\"", &[("API_KEY", "a1b2c3d4e5f6a7b8c9")]),
    ("Authorization: Bearer abcdef1234567890abcd", &[("BEARER_TOKEN", "abcdef1234567890abcd")]),
    ("token eyJhbGciOi1.eyJzdWIiOiIx.c2ln", &[("BEARER_TOKEN", "eyJhbGciOi1.eyJzdWIiOiIx.c2ln")]),
    ("born 1984-02-29, seen 12/24/2023", &[("DATE_TIME", "1984-02-29"), ("DATE_TIME", "12/24/2023")]),
    ("on March 5th, 2021 at 10:30 pm", &[("DATE_TIME", "March 5th, 2021"), ("DATE_TIME", "10:30 pm")]),
    ("at 2024-05-01T10:00:00Z", &[("DATE_TIME", "2024-05-01T10:00:00Z")]),
    ("She is 34 years old; I'm 52.", &[("AGE", "34"), ("AGE", "52")]),
    ("Springfield, IL 62704", &[("ZIP_CODE", "62704")]),
    ("driver's license number: D1234567", &[("US_DRIVER_LICENSE", "D1234567")]),
];

#[test]
fn finds_each_type() {
    for (text, expected) in EACH_TYPE {
        assert_eq!(found(text), *expected, "{text}");
    }
}

/// The ways in which one and the same datum is written so that it looks the same to a reader and to a model.
const DISGUISES: [fn(char) -> String; 5] = [
    |character| match character {
        ' ' => "\u{a0}".to_owned(),
        other => other.to_string(),
    },
    |character| match character {
        '!'..='~' => char::from_u32(u32::from(character) + 0xFEE0).expect("full width").to_string(),
        other => other.to_string(),
    },
    |character| match character.to_digit(10) {
        Some(digit) => char::from_u32(0x0660 + digit).expect("Arabic-Indic").to_string(),
        None => character.to_string(),
    },
    |character| match character {
        '-' => "\u{2011}".to_owned(),
        other => other.to_string(),
    },
    |character| format!("{character}\u{200b}"),
];

#[test]
fn writing_it_in_other_characters_hides_nothing() {
    for (text, expected) in EACH_TYPE {
        for disguise in DISGUISES {
            let disguised = |plain: &str| plain.chars().map(disguise).collect::<String>();
            let hidden = disguised(text);
            let trimmed = |value: &str| value.trim_end_matches('\u{200b}').to_owned();
            let expected: Vec<_> =
                expected.iter().map(|(kind, value)| (*kind, trimmed(&disguised(value)))).collect();
            let found: Vec<_> =
                found(&hidden).into_iter().map(|(kind, value)| (kind, trimmed(value))).collect();
            assert_eq!(found, expected, "{hidden}");
        }
    }
}

#[test]
fn leaves_plain_prompts_alone() {
    for text in [
        "Write a haiku about tea",
        "What is the derivative of x^3?",
        "What is 2+2?",
        "Sum the numbers 10 20 30 40 50 60 70 80 90 100",
        "Use std::io and a::b in Rust 1.95.0",
        "python 3.12.10 with numpy 1.26",
        "def f(x): return x.info() or self.store",
        "open src/main.rs and README.md, e.g. in Node.js",
        "Order 1234567890123456 has shipped",
        "card 4111 1111 1111 1112",
        "IBAN DE89 3704 0044 0532 0130 01",
        "ssn 666-12-3456 and 000-12-3456 and 912-12-3456",
        "user@localhost or @handle",
        "sk-learn-is-a-library-for-people",
        "The war ended in 1945.I know.",
        "24/7 support, 1/2 cup, 16:9 screens",
        "x = 3.14159265358979",
        "999.999.999.999",
        "https://example/path?x=1",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn hostile_texts_take_linear_time() {
    // Each would take minutes were any recogniser quadratic.
    for piece in [
        "@",
        "a@",
        "1 ",
        "1-",
        "a.",
        "::",
        "://a:b",
        "[A",
        "12:",
        "DE89 ",
        "+1 ",
        "sk-a1",
        "bearer ",
        "4111 ",
        "(",
        "eyJaaaaaaaa.",
    ] {
        let text = piece.repeat(400_000 / piece.len());
        let entities = find(&text);
        assert!(entities.len() <= text.len());
    }
}

/// Texts made of what recognisers look at.
fn tricky() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("jane@example.com".to_owned()),
        Just("4111 1111 1111 1111".to_owned()),
        Just("DE89370400440532013000".to_owned()),
        Just("[EMAIL_ADDRESS_1]".to_owned()),
        Just("https://u:p@example.com".to_owned()),
        Just("10.0.0.1".to_owned()),
        Just("４１１１\u{a0}1111 １１１１\u{200b}1111".to_owned()),
        "[0-9@.:+() -]{0,12}",
        "\\PC{0,6}",
        Just(" ".to_owned()),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn entities_are_sorted_apart_and_on_boundaries(text in tricky()) {
        let entities = find(&text);
        let mut reached = 0;
        for entity in &entities {
            prop_assert!(reached <= entity.start && entity.start < entity.end && entity.end <= text.len());
            prop_assert!(text.is_char_boundary(entity.start) && text.is_char_boundary(entity.end));
            prop_assert!(entity.kind.is_recognised() && entity.confidence > 0.0 && entity.confidence <= 1.0);
            reached = entity.end;
        }
    }

    #[test]
    fn any_card_with_a_wrong_digit_is_none(digits in proptest::collection::vec(0_u8..10, 15), wrong in 1_u8..10) {
        let mut card: Vec<u8> = std::iter::once(4).chain(digits).collect();
        let sum: u32 = card.iter().rev().skip(1).enumerate()
            .map(|(place, d)| u32::from(if place % 2 == 0 { if *d > 4 { 2 * d - 9 } else { 2 * d } } else { *d })).sum();
        let check = ((10 - sum % 10) % 10) as u8;
        card[15] = check;
        let text = |card: &[u8]| card.iter().map(|d| char::from(b'0' + d)).collect::<String>();
        prop_assert!(find(&text(&card)).iter().any(|e| e.kind == PiiType::CreditCard));
        card[15] = (check + wrong) % 10;
        prop_assert!(!find(&text(&card)).iter().any(|e| e.kind == PiiType::CreditCard));
    }
}
