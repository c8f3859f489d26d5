//! Reads the parsed TOML piece by piece and collects problems with their lines.

use std::collections::BTreeSet;
use std::ops::Range;

use strongroom_detect::country::CountryCode;
use strongroom_detect::text::{Lines, check_text};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::nearest::nearest;
use crate::policy::model::Problem;

/// Collects problems while the checks go on.
pub(super) struct Reader<'t> {
    text: &'t str,
    problems: Vec<Problem>,
}

/// A table of the file, with the words that name it in problems.
pub(super) struct Section<'t> {
    pub(super) table: &'t DeTable<'t>,
    /// Of its name; where a missing key is reported.
    pub(super) span: Range<usize>,
    pub(super) place: String,
}

/// A text of the file, and where it stands in bytes.
#[derive(Clone)]
pub(super) struct Word<'t> {
    pub(super) text: &'t str,
    pub(super) span: Range<usize>,
}

/// Whether a missing key is a problem.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Optional,
    Required,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, problems: Vec::new() }
    }

    pub(super) fn report(
        &mut self,
        span: &Range<usize>,
        cause: impl Into<String>,
        cure: impl Into<String>,
    ) {
        if self.is_full() {
            return;
        }
        let before = self.text.as_bytes().get(..span.start).unwrap_or(self.text.as_bytes());
        let newlines = before.iter().filter(|byte| **byte == b'\n').count();
        let line = u32::try_from(newlines + 1).unwrap_or(u32::MAX);
        self.problems.push(Problem { line, cause: cause.into(), cure: cure.into() });
    }

    /// The problems as the file reads, cut to what a person mends in one go.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| problem.line);
        self.problems.dedup();
        self.problems.truncate(PROBLEMS_MAX);
        self.problems
    }

    /// Reports when there is no result.
    pub(super) fn parsed<T>(
        &mut self,
        result: Option<T>,
        span: &Range<usize>,
        cause: String,
        cure: &str,
    ) -> Option<T> {
        if result.is_none() {
            self.report(span, cause, cure);
        }
        result
    }

    pub(super) fn country(&mut self, text: &str, span: &Range<usize>) -> Option<CountryCode> {
        let country = CountryCode::parse(text);
        if let Err(error) = country {
            self.report(span, format!("{} is not a country", quoted(text)), error.to_string());
        }
        country.ok()
    }

    /// Refuses every key that is not known. Those in `later` are told apart from mistakes.
    pub(super) fn only(&mut self, section: &Section<'_>, known: &[&str], later: &[&str]) {
        for key in section.table.keys() {
            let (key, span) = (key.get_ref().as_ref(), key.span());
            if later.contains(&key) {
                self.not_in_this_version(&span, &quoted(key));
            } else if !known.contains(&key) {
                self.unknown(&span, "a key", key, known, &section.place);
            }
        }
    }

    pub(super) fn not_in_this_version(&mut self, span: &Range<usize>, what: &str) {
        let cause = format!("{what} is not in this version");
        self.report(span, cause, "take it out: it would protect nothing yet");
    }

    /// A word that is none of those known here; `what` says of which sort, with its article.
    pub(super) fn unknown(
        &mut self,
        span: &Range<usize>,
        what: &str,
        word: &str,
        known: &[&str],
        place: &str,
    ) {
        if self.is_full() {
            return;
        }
        let cause = format!("{} is not {what} known in {place}", quoted(word));
        let cure = match nearest(word, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "declare it first".to_owned(),
            None if known.len() > NAMES_SHOWN_MAX => "declare it first".to_owned(),
            None => format!("known are {}", listed(known)),
        };
        self.report(span, cause, cure);
    }

    pub(super) fn section<'s>(
        &mut self,
        parent: &Section<'s>,
        key: &str,
        need: Need,
        form: String,
    ) -> Option<Section<'s>> {
        let (span, value) = self.value(parent, key, need)?;
        let Some(table) = value.as_table() else {
            let cause = format!("`{key}` of {} is {}", parent.place, sort_of(value));
            self.report(&span, cause, format!("write {form}"));
            return None;
        };
        let place = match parent.span.end {
            0 => format!("`[{key}]`"),
            _ => format!("`{key}` of {}", parent.place),
        };
        Some(Section { table, span, place })
    }

    pub(super) fn text<'s>(
        &mut self,
        section: &Section<'s>,
        key: &str,
        need: Need,
    ) -> Option<(&'s str, Range<usize>)> {
        let (span, value) = self.value(section, key, need)?;
        let text = value.as_str();
        if text.is_none() {
            let cause = format!("`{key}` of {} is {}", section.place, sort_of(value));
            self.report(&span, cause, "write a text in quotes");
        }
        Some((text?, span))
    }

    /// A line people read: a title, the name of the business.
    pub(super) fn title(&mut self, section: &Section<'_>, key: &str, need: Need) -> Option<String> {
        let (text, span) = self.text(section, key, need)?;
        let cause = format!("`{key}` of {} is not one plain line", section.place);
        self.parsed(line_of(text, TITLE_SIZE_MAX), &span, cause, "write 1 to 120 characters")
    }

    /// Texts without repetition, at least one.
    pub(super) fn list<'s>(
        &mut self,
        section: &Section<'s>,
        key: &str,
        need: Need,
    ) -> Option<Vec<Word<'s>>> {
        let (span, value) = self.value(section, key, need)?;
        let texts = value.as_array().map(|items| {
            let text = |item: &'s Spanned<DeValue<'s>>| {
                Some(Word { text: item.get_ref().as_str()?, span: item.span() })
            };
            items.iter().map(text).collect::<Option<Vec<_>>>()
        });
        let Some(Some(texts)) = texts else {
            let cause = format!("`{key}` of {} is not a list of texts", section.place);
            self.report(&span, cause, format!("write `{key} = [\"..\", \"..\"]`"));
            return None;
        };
        if texts.is_empty() {
            let cause = format!("`{key}` of {} is empty", section.place);
            self.report(&span, cause, "name at least one, or take the key out where it may be");
            return None;
        }
        let mut seen = BTreeSet::new();
        for Word { text, span } in &texts {
            if !seen.insert(*text) {
                let cause =
                    format!("{} stands twice in `{key}` of {}", quoted(text), section.place);
                self.report(span, cause, "take one out");
            }
        }
        Some(texts)
    }

    pub(super) fn count(
        &mut self,
        section: &Section<'_>,
        key: &str,
        need: Need,
        max: u32,
    ) -> Option<u32> {
        let (span, value) = self.value(section, key, need)?;
        let count = value
            .as_integer()
            .and_then(|count| u32::from_str_radix(count.as_str(), count.radix()).ok());
        let count = count.filter(|count| (1..=max).contains(count));
        let cause = format!("`{key}` of {} is out of bounds", section.place);
        self.parsed(count, &span, cause, &format!("write a whole number from 1 to {max}"))
    }

    /// The value with the span of its key, so that a problem points at the line of the key.
    pub(super) fn value<'s>(
        &mut self,
        section: &Section<'s>,
        key: &str,
        need: Need,
    ) -> Option<(Range<usize>, &'s DeValue<'s>)> {
        let found = section.table.iter().find(|(name, _)| name.get_ref().as_ref() == key);
        if found.is_none() && need == Need::Required {
            let cause = format!("{} has no `{key}`", section.place);
            self.report(&section.span, cause, format!("add `{key} = ..`"));
        }
        found.map(|(name, value)| (name.span(), value.get_ref()))
    }

    fn is_full(&self) -> bool {
        self.problems.len() >= PROBLEMS_COLLECTED_MAX
    }
}

/// A word of the file for a message: in backticks, on one line, cut where it is long.
pub(super) fn quoted(word: &str) -> String {
    let plain = |letter: char| if letter.is_control() || letter == '`' { '?' } else { letter };
    let mut quoted: String = word.chars().take(QUOTED_SIZE_MAX).map(plain).collect();
    if word.chars().nth(QUOTED_SIZE_MAX).is_some() {
        quoted.push('…');
    }
    format!("`{quoted}`")
}

/// What a value is, in words people know.
pub(super) fn sort_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::Array(_) => "a list",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date",
        DeValue::Float(_) | DeValue::Integer(_) => "a number",
        DeValue::String(_) => "a text",
        DeValue::Table(_) => "a table",
    }
}

/// Words in backticks with commas.
pub(super) fn listed(words: &[&str]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(", ")
}

/// One line without blanks around it, or None.
pub(super) fn line_of(text: &str, size_max: usize) -> Option<String> {
    let fits = !text.is_empty() && text.chars().nth(size_max).is_none() && text.trim() == text;
    let is_plain = check_text(text, Lines::One).is_ok();
    (fits && is_plain).then(|| text.to_owned())
}

/// A screen full.
pub(in crate::policy) const PROBLEMS_MAX: usize = 20;

/// The first ones by line are shown, and sections are not checked in the order of the file, so
/// more are collected than shown; the bound keeps a file of nonsense cheap.
const PROBLEMS_COLLECTED_MAX: usize = 500;

/// Fits a heading of the console.
const TITLE_SIZE_MAX: usize = 120;

const QUOTED_SIZE_MAX: usize = 60;

const NAMES_SHOWN_MAX: usize = 16;
