//! Check digits and the numbering plans that go with them.

/// Whether digits (most significant first) satisfy the Luhn formula, ISO/IEC 7812-1 annex B.
pub(super) fn luhn(digits: &[u8]) -> bool {
    let doubled = |digit: u8| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let weighed = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| if place % 2 == 1 { doubled(*digit) } else { *digit });
    !digits.is_empty() && weighed.map(u32::from).sum::<u32>() % 10 == 0
}

/// Whether digits have the length and the first digits of a card network: Visa, Mastercard, American Express,
/// Discover, JCB, Diners Club, UnionPay, Maestro (issuer identification numbers as the networks publish them).
pub(super) fn is_card_network(digits: &[u8]) -> bool {
    let prefix = |length: usize| {
        digits.iter().take(length).fold(0_u32, |number, digit| number * 10 + u32::from(*digit))
    };
    match digits.len() {
        13 => prefix(1) == 4,
        14 => matches!(prefix(2), 36 | 38 | 39) || matches!(prefix(3), 300..=305),
        15 => matches!(prefix(2), 34 | 37),
        16 => {
            prefix(1) == 4
                || matches!(prefix(2), 51..=55 | 62 | 65)
                || matches!(prefix(3), 644..=649)
                || matches!(prefix(4), 2221..=2720 | 3528..=3589 | 6011 | 5018 | 5020 | 5038 | 6304)
        }
        17 | 18 => prefix(2) == 62,
        19 => prefix(1) == 4 || prefix(2) == 62,
        _ => false,
    }
}

/// Whether letters and digits without spaces are an IBAN: a country's length and remainder 1 modulo 97 (ISO 13616,
/// ISO/IEC 7064 MOD 97-10).
pub(super) fn is_iban(code: &[u8]) -> bool {
    let Some((country, _)) = code.split_first_chunk::<2>() else { return false };
    if iban_length(*country) != Some(code.len()) {
        return false;
    }
    let mut rotated = code[4..].iter().chain(&code[..4]);
    let remainder = rotated.try_fold(0_u32, |remainder, character| match character.to_ascii_uppercase() {
        digit @ b'0'..=b'9' => Some((remainder * 10 + u32::from(digit - b'0')) % 97),
        letter @ b'A'..=b'Z' => Some((remainder * 100 + u32::from(letter - b'A') + 10) % 97),
        _ => None,
    });
    remainder == Some(1)
}

/// Characters of a country's IBAN, from the SWIFT IBAN registry.
pub(super) fn iban_length(country: [u8; 2]) -> Option<usize> {
    let country = country.map(|letter| letter.to_ascii_uppercase());
    Some(match &country {
        b"NO" => 15,
        b"BE" => 16,
        b"DK" | b"FI" | b"FO" | b"GL" | b"NL" | b"SD" | b"FK" => 18,
        b"MK" | b"SI" => 19,
        b"AT" | b"BA" | b"EE" | b"KZ" | b"LT" | b"LU" | b"XK" | b"MN" => 20,
        b"CH" | b"CR" | b"HR" | b"LI" | b"LV" => 21,
        b"BG" | b"BH" | b"DE" | b"GB" | b"GE" | b"IE" | b"ME" | b"RS" | b"VA" => 22,
        b"AE" | b"GI" | b"IL" | b"IQ" | b"OM" | b"SO" | b"TL" => 23,
        b"AD" | b"CZ" | b"ES" | b"MD" | b"PK" | b"RO" | b"SA" | b"SE" | b"SK" | b"TN" | b"VG" => 24,
        b"LY" | b"PT" | b"ST" => 25,
        b"IS" | b"TR" => 26,
        b"BI" | b"DJ" | b"FR" | b"GR" | b"IT" | b"MC" | b"MR" | b"SM" => 27,
        b"AL" | b"AZ" | b"BY" | b"CY" | b"DO" | b"GT" | b"HU" | b"LB" | b"NI" | b"PL" | b"SV" => 28,
        b"BR" | b"EG" | b"PS" | b"QA" | b"UA" => 29,
        b"JO" | b"KW" | b"MU" | b"YE" => 30,
        b"LC" | b"MT" => {
            if &country == b"MT" {
                31
            } else {
                32
            }
        }
        b"SC" => 31,
        b"RU" => 33,
        _ => return None,
    })
}

/// Whether area, group and serial number may have been issued: the Social Security Administration never issues area 000,
/// 666 or 900 to 999, group 00 or serial 0000.
pub(super) fn is_social_security(digits: &[u8; 9]) -> bool {
    let number = |range: std::ops::Range<usize>| {
        digits[range].iter().fold(0_u32, |n, digit| n * 10 + u32::from(*digit))
    };
    let area = number(0..3);
    area != 0 && area != 666 && area < 900 && number(3..5) != 0 && number(5..9) != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digits(text: &str) -> Vec<u8> {
        text.bytes().filter(u8::is_ascii_digit).map(|byte| byte - b'0').collect()
    }

    #[test]
    fn published_test_cards_pass() {
        for card in [
            "4111111111111111",
            "5555555555554444",
            "378282246310005",
            "6011111111111117",
            "3530111333300000",
            "30569309025904",
        ] {
            assert!(luhn(&digits(card)) && is_card_network(&digits(card)), "{card}");
        }
        assert!(!luhn(&[]));
        assert!(!is_card_network(&digits("1234567812345670")));
    }

    #[test]
    fn registry_examples_pass() {
        for iban in [
            "DE89370400440532013000",
            "GB82WEST12345698765432",
            "FR1420041010050500013M02606",
            "NO9386011117947",
            "MT84MALT011000012345MTLCAST001S",
        ] {
            assert!(is_iban(iban.as_bytes()), "{iban}");
        }
        assert!(!is_iban(b"DE89370400440532013001"));
        assert!(!is_iban(b"ZZ89370400440532013000"));
        assert!(!is_iban(b"D"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn one_wrong_digit_fails(place in 0_usize..16, change in 1_u8..10) {
            let mut card = digits("4111111111111111");
            card[place] = (card[place] + change) % 10;
            prop_assert!(!luhn(&card));
            let mut iban = *b"DE89370400440532013000";
            iban[4 + place] = b'0' + (iban[4 + place] - b'0' + change) % 10;
            prop_assert!(!is_iban(&iban));
        }
    }
}
