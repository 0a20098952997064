//! Numbers of people and accounts: cards, bank accounts, social security, telephones, postal codes, driver licences.

use super::checksum::{iban_length, is_card_network, is_iban, is_social_security, luhn};
use super::scan::{Pass, Signs, compile, entity, stands_alone};
use super::{PiiEntity, PiiType};
use regex::Regex;
use std::ops::Range;

/// Digits of a card number, ISO/IEC 7812-1.
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Digits of a telephone number with country code, ITU-T E.164, and the fewest that are taken for one.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

#[derive(Debug)]
pub(super) struct Numbers {
    social_security: Regex,
    said_social_security: Regex,
    phone_abroad: Regex,
    phone_america: Regex,
    said_phone: Regex,
    zip: Regex,
    driver_license: Regex,
}

impl Numbers {
    pub(super) fn new() -> Self {
        let states = "A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|PR|RI|S[CD]|T[NX]|UT|V[AT]|W[AIVY]";
        Self {
            social_security: compile(r"(?-u)[0-9]{3}-[0-9]{2}-[0-9]{4}|[0-9]{3} [0-9]{2} [0-9]{4}"),
            said_social_security: compile(
                r"(?i)(?-u:\b)(?:ssn|social security)(?: number| no\.?)?(?: is)?[:#= ]{0,3}([0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4})",
            ),
            phone_abroad: compile(r"(?-u)\+[1-9][0-9]{0,3}(?:[ ./-]{0,2}\(?[0-9]{1,5}\)?){1,7}"),
            phone_america: compile(
                r"(?-u)(?:1[ .-])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}",
            ),
            said_phone: compile(
                r"(?i)(?-u:\b)(?:tel|telephone|phone|mobile|cell|call|fax|whatsapp|handy|telefon)(?-u:\b)[^0-9+\n]{0,20}(\(?[0-9][0-9 ()./-]{5,18}[0-9])",
            ),
            zip: compile(&format!(
                r"(?-u)\b(?:(?:{states}),? |(?i:zip|postal)(?: ?(?i:code))?(?: is)?[: ]{{1,3}})([0-9]{{5}}(?:-[0-9]{{4}})?)"
            )),
            driver_license: compile(
                r"(?i)(?-u:\b)driver'?s?'? licen[sc]e(?: number| no\.?| id)?(?: is)?[:#= ]{1,3}([A-Z]{0,2}[0-9][0-9-]{4,16}[0-9])",
            ),
        }
    }

    pub(super) fn find<E>(
        &self,
        text: &str,
        signs: Signs,
        found: &mut Vec<PiiEntity>,
        pass: &mut Pass<'_, E>,
    ) -> Result<(), E> {
        if signs.digits >= *CARD_DIGITS.start() {
            pass()?;
            cards(text, found);
        }
        if signs.digits >= 9 {
            pass()?;
            ibans(text, found);
            pass()?;
            let plain = self.social_security.find_iter(text).map(|hit| (hit.range(), 0.9));
            add_social_security(text, plain, found);
            pass()?;
            let said = self.said_social_security.captures_iter(text);
            add_social_security(text, said.filter_map(|hit| Some((hit.get(1)?.range(), 0.97))), found);
        }
        if signs.digits >= *PHONE_DIGITS.start() {
            pass()?;
            let abroad = self.phone_abroad.find_iter(text).map(|hit| (hit.range(), 0.85, 8));
            add_phones(text, abroad, found);
            pass()?;
            let america = self.phone_america.find_iter(text).map(|hit| (hit.range(), 0.8, 10));
            add_phones(text, america, found);
            pass()?;
            let said = self.said_phone.captures_iter(text);
            add_phones(text, said.filter_map(|hit| Some((hit.get(1)?.range(), 0.8, 7))), found);
        }
        if signs.digits >= 5 {
            pass()?;
            add_group(&self.zip, text, PiiType::ZipCode, 0.8, found);
            pass()?;
            add_group(&self.driver_license, text, PiiType::UsDriverLicense, 0.85, found);
        }
        Ok(())
    }
}

/// Adds social security numbers, with their confidence, that are valid and whole.
fn add_social_security(
    text: &str,
    candidates: impl Iterator<Item = (Range<usize>, f32)>,
    found: &mut Vec<PiiEntity>,
) {
    for (range, confidence) in candidates {
        let numbers: Vec<u8> = digits(&text[range.clone()]).collect();
        let valid = <&[u8; 9]>::try_from(numbers.as_slice()).is_ok_and(is_social_security);
        if valid
            && stands_alone(text, range.start, range.end)
            && !is_inside_number(text, range.start, range.end)
        {
            found.push(entity(PiiType::UsSsn, range.start, range.end, confidence));
        }
    }
}

/// Adds telephone numbers, with their confidence and the fewest digits, that are whole.
fn add_phones(
    text: &str,
    candidates: impl Iterator<Item = (Range<usize>, f32, usize)>,
    found: &mut Vec<PiiEntity>,
) {
    for (range, confidence, fewest) in candidates {
        let count = digits(&text[range.clone()]).count();
        let whole =
            stands_alone(text, range.start, range.end) && !is_inside_number(text, range.start, range.end);
        if whole && count >= fewest && PHONE_DIGITS.contains(&count) {
            found.push(entity(PiiType::PhoneNumber, range.start, range.end, confidence));
        }
    }
}

/// Adds the first group of every match that stands alone.
fn add_group(pattern: &Regex, text: &str, kind: PiiType, confidence: f32, found: &mut Vec<PiiEntity>) {
    for group in pattern.captures_iter(text).filter_map(|hit| hit.get(1)) {
        if stands_alone(text, group.start(), group.end()) {
            found.push(entity(kind, group.start(), group.end(), confidence));
        }
    }
}

/// Whether a longer number, joined by `-` or `.`, goes on before or after.
fn is_inside_number(text: &str, start: usize, end: usize) -> bool {
    let bytes = text.as_bytes();
    let joins = |index: usize| bytes.get(index).is_some_and(|byte| matches!(byte, b'-' | b'.'));
    let digit = |index: usize| bytes.get(index).is_some_and(u8::is_ascii_digit);
    start >= 2 && joins(start - 1) && digit(start - 2) || joins(end) && digit(end + 1)
}

fn digits(text: &str) -> impl Iterator<Item = u8> {
    text.bytes().filter(u8::is_ascii_digit).map(|byte| byte - b'0')
}

/// Card numbers: groups of digits joined by single spaces or dashes, of a network's length and prefix, by Luhn.
fn cards(text: &str, found: &mut Vec<PiiEntity>) {
    let groups = digit_groups(text);
    let mut first = 0;
    while first < groups.len() {
        match card_at(text, &groups[first..]) {
            Some((count, end)) => {
                found.push(entity(PiiType::CreditCard, groups[first].0, end, 1.0));
                first += count;
            }
            None => first += 1,
        }
    }
}

/// Start and end of every run of digits.
fn digit_groups(text: &str) -> Vec<(usize, usize)> {
    let mut groups: Vec<(usize, usize)> = Vec::new();
    for (index, _) in text.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_digit()) {
        match groups.last_mut() {
            Some((_, end)) if *end == index => *end += 1,
            _ => groups.push((index, index + 1)),
        }
    }
    groups
}

/// The longest card that starts with the first group: how many groups it takes, and its end.
fn card_at(text: &str, groups: &[(usize, usize)]) -> Option<(usize, usize)> {
    let (start, first_end) = *groups.first()?;
    // Separated cards are printed in groups that begin with four digits.
    if first_end - start != 4 && first_end - start < *CARD_DIGITS.start() {
        return None;
    }
    let mut numbers = [0_u8; 19];
    let (mut count, mut previous_end, mut best) = (0, start, None);
    for (index, (begin, end)) in groups.iter().copied().enumerate() {
        let joined = begin == previous_end || matches!(&text[previous_end..begin], " " | "-");
        if !joined || count + (end - begin) > *CARD_DIGITS.end() {
            break;
        }
        for digit in digits(&text[begin..end]) {
            numbers[count] = digit;
            count += 1;
        }
        previous_end = end;
        if stands_alone(text, start, end) && is_card_network(&numbers[..count]) && luhn(&numbers[..count]) {
            best = Some((index + 1, end));
        }
    }
    best
}

/// International bank account numbers, written together or in groups.
fn ibans(text: &str, found: &mut Vec<PiiEntity>) {
    let bytes = text.as_bytes();
    let mut position = 0;
    while let Some(window) = bytes.get(position..position + 4) {
        let opens = window[0].is_ascii_alphabetic() && window[1].is_ascii_alphabetic();
        let checks = window[2].is_ascii_digit() && window[3].is_ascii_digit();
        let alone = position == 0 || !bytes[position - 1].is_ascii_alphanumeric();
        match (opens && checks && alone).then(|| iban_at(bytes, position)).flatten() {
            Some(end) => {
                found.push(entity(PiiType::IbanCode, position, end, 1.0));
                position = end;
            }
            None => position += 1,
        }
    }
}

/// The end of the IBAN that starts at `start`.
fn iban_at(bytes: &[u8], start: usize) -> Option<usize> {
    let length = iban_length([bytes[start], bytes[start + 1]])?;
    let mut code = [0_u8; 34];
    let (mut count, mut position) = (0, start);
    while count < length {
        let byte = *bytes.get(position)?;
        let separates = matches!(byte, b' ' | b'-') && bytes[position - 1].is_ascii_alphanumeric();
        if byte.is_ascii_alphanumeric() {
            code[count] = byte;
            count += 1;
        } else if !separates {
            return None;
        }
        position += 1;
    }
    let ends = !bytes.get(position).is_some_and(u8::is_ascii_alphanumeric);
    (ends && is_iban(&code[..length])).then_some(position)
}
