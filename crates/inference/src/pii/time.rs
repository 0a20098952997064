//! Dates, times of day, ages.
//!
//! It is not a parser of dates: a part of the text is found, not a point in time. A year alone and relative words
//! ("yesterday") are left alone: they say little of a person and stand in every second prompt.

use super::scan::{Pass, compile, entity, stands_alone};
use super::{PiiEntity, PiiType};
use regex::Regex;

/// No older person is known.
const MAX_AGE: u32 = 122;

#[derive(Debug)]
pub(super) struct Time {
    date: Regex,
    clock: Regex,
    age: Regex,
}

impl Time {
    pub(super) fn new() -> Self {
        let month = "(?:(?i:jan(?:uary)?|feb(?:ruary)?|march|april|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)|May|Mar|Apr)";
        let (day, year) = ("(?:0?[1-9]|[12][0-9]|3[01])", "(?:19|20)[0-9]{2}");
        let clock = r"(?:[01]?[0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?";
        Self {
            date: compile(&format!(
                r"(?-u){year}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])(?:[T ]{clock}(?:Z|[+-][0-9]{{2}}:?[0-9]{{2}})?)?|{day}/{day}/(?:{year}|[0-9]{{2}})|{day}\.(?:0?[1-9]|1[0-2])\.{year}|{day}(?i:st|nd|rd|th|\.)?(?: of)? {month}\.?(?:,? {year})?|{month}\.? {day}(?i:st|nd|rd|th)?(?:,? {year})?|{month},? {year}"
            )),
            clock: compile(&format!(r"(?i-u){clock}(?: ?[ap]\.?m)?|(?:1[0-2]|[1-9]) ?[ap]m")),
            age: compile(concat!(
                r"(?i)([0-9]{1,3})(?:[ -]years?[ -]old|[ -]?(?:yo|y/o)|[ -]years? of age| Jahre alt)|(?-u:\b)(?:aged|age:?|age is) ([0-9]{1,3})",
                r"|(?-u:\b)i(?: a|'|’)m ([0-9]{1,3})(?:[.,;!?\n]|$| and | but )",
            )),
        }
    }

    pub(super) fn find<E>(
        &self,
        text: &str,
        found: &mut Vec<PiiEntity>,
        pass: &mut Pass<'_, E>,
    ) -> Result<(), E> {
        pass()?;
        for hit in self.date.find_iter(text).filter(|hit| stands_alone(text, hit.start(), hit.end())) {
            found.push(entity(PiiType::DateTime, hit.start(), hit.end(), 0.8));
        }
        pass()?;
        for hit in self.clock.find_iter(text).filter(|hit| stands_alone(text, hit.start(), hit.end())) {
            found.push(entity(PiiType::DateTime, hit.start(), hit.end(), 0.6));
        }
        pass()?;
        for hit in self.age.captures_iter(text) {
            let Some(number) = (1..=3).find_map(|group| hit.get(group)) else { continue };
            let plausible = number.as_str().parse::<u32>().is_ok_and(|age| (1..=MAX_AGE).contains(&age));
            if plausible && stands_alone(text, number.start(), number.end()) {
                found.push(entity(PiiType::Age, number.start(), number.end(), 0.85));
            }
        }
        Ok(())
    }
}
