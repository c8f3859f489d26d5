//! Templates that can only replace, and how long a later attempt waits. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::error::{Error, FieldProblem};
use crate::policy::FieldValue;

/// The words of a mailing as they were sent in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateText {
    /// One line.
    pub subject: String,
    /// The message for readers without HTML.
    pub text: String,
    /// The same as HTML, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
}

/// A template whose every placeholder is known to stand for a field that may go out.
pub(super) struct Template {
    subject: Vec<Piece>,
    text: Vec<Piece>,
    html: Option<Vec<Piece>>,
}

enum Piece {
    Field(String),
    Words(String),
}

/// A message with its values in place; wiped when dropped.
pub(super) struct Rendered {
    pub(super) subject: Zeroizing<String>,
    pub(super) text: Zeroizing<String>,
    pub(super) html: Option<Zeroizing<String>>,
}

impl Template {
    /// Refuses what is too long, an unclosed or unknown placeholder, a subject of several lines, and a
    /// value inside an HTML tag, where escaping alone would not keep it from becoming an address.
    pub(super) fn parse(text: &TemplateText, fields: &BTreeSet<String>) -> Result<Self, Error> {
        let html_size = text.html.as_ref().map_or(0, String::len);
        let size = text.subject.len() + text.text.len() + html_size;
        if size > TEMPLATE_SIZE_BYTES_MAX {
            return Err(bad("template", "has more than 48 KiB in all"));
        }
        let is_line = !text.subject.trim().is_empty()
            && text.subject.len() <= SUBJECT_SIZE_MAX
            && !text.subject.chars().any(char::is_control);
        if !is_line {
            return Err(bad("template.subject", "is one line of 1 to 200 characters"));
        }
        if text.text.trim().is_empty() {
            return Err(bad("template.text", "is empty; some readers see nothing else"));
        }
        let html = match &text.html {
            Some(html) => {
                let pieces = pieces(html, fields, "template.html")?;
                refuse_values_in_tags(&pieces)?;
                Some(pieces)
            }
            None => None,
        };
        Ok(Self {
            subject: pieces(&text.subject, fields, "template.subject")?,
            text: pieces(&text.text, fields, "template.text")?,
            html,
        })
    }

    /// Puts values in. A field that is not kept leaves nothing.
    pub(super) fn render(&self, values: &BTreeMap<String, FieldValue>) -> Rendered {
        Rendered {
            subject: fill(&self.subject, values, one_line),
            text: fill(&self.text, values, plain),
            html: self.html.as_ref().map(|pieces| fill(pieces, values, escaped)),
        }
    }
}

/// A value as people read it: an address line by line.
pub(super) fn in_words(value: &FieldValue) -> Zeroizing<String> {
    let text = match value.expose_json() {
        Value::String(text) => text,
        Value::Object(parts) => {
            let mut lines: Vec<String> = Vec::new();
            if let Some(Value::Array(first)) = parts.get("lines") {
                lines.extend(first.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            for part in ["postcode", "city", "region", "country"] {
                lines.extend(parts.get(part).and_then(Value::as_str).map(str::to_owned));
            }
            lines.join("\n")
        }
        other => other.to_string(),
    };
    Zeroizing::new(text)
}

/// How long to wait after so many attempts; none when it is time to give up, after two days.
pub(super) fn wait_ms(attempts: u64) -> Option<i64> {
    let place = usize::try_from(attempts.saturating_sub(1)).ok()?;
    WAITS_MINUTES.get(place).map(|minutes| minutes * 60_000)
}

fn pieces(text: &str, fields: &BTreeSet<String>, part: &'static str) -> Result<Vec<Piece>, Error> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut number = 0;
    while let Some((before, behind)) = rest.split_once("{{") {
        number += 1;
        let Some((name, after)) = behind.split_once("}}") else {
            return Err(bad(part, &format!("does not close placeholder number {number}")));
        };
        let name = name.trim();
        if !fields.contains(name) {
            // What was written may be a value in the wrong place: it is not repeated.
            let known: Vec<&str> = fields.iter().map(String::as_str).collect();
            let detail = format!(
                "names no field of the outlet in placeholder number {number}; it has `{}`",
                known.join("`, `")
            );
            return Err(bad(part, &detail));
        }
        pieces.push(Piece::Words(before.to_owned()));
        pieces.push(Piece::Field(name.to_owned()));
        rest = after;
    }
    pieces.push(Piece::Words(rest.to_owned()));
    Ok(pieces)
}

/// In `href="{{note}}"` an escaped value is still an address somebody chose; in `<style>` or
/// `<script>` escaping means nothing at all.
fn refuse_values_in_tags(pieces: &[Piece]) -> Result<(), Error> {
    let mut open = false;
    for piece in pieces {
        match piece {
            Piece::Words(words) => {
                let lower = words.to_ascii_lowercase();
                if ["<script", "<style", "<!--"].iter().any(|tag| lower.contains(tag)) {
                    return Err(bad("template.html", "has a script, a style sheet or a comment"));
                }
                for letter in words.chars() {
                    match letter {
                        '<' => open = true,
                        '>' => open = false,
                        _ => {}
                    }
                }
            }
            Piece::Field(_) if open => {
                return Err(bad("template.html", "puts a value inside a tag; only between tags"));
            }
            Piece::Field(_) => {}
        }
    }
    Ok(())
}

fn fill(
    pieces: &[Piece],
    values: &BTreeMap<String, FieldValue>,
    write: impl Fn(&str, &mut String),
) -> Zeroizing<String> {
    let mut filled = Zeroizing::new(String::with_capacity(FIRST_BYTES));
    for piece in pieces {
        match piece {
            Piece::Words(words) => filled.push_str(words),
            Piece::Field(name) => {
                if let Some(value) = values.get(name) {
                    write(&in_words(value), &mut filled);
                }
            }
        }
    }
    filled
}

/// A header has one line: whatever breaks it, in a value too, becomes a blank.
fn one_line(value: &str, to: &mut String) {
    to.extend(value.chars().map(|letter| if letter.is_control() { ' ' } else { letter }));
}

fn plain(value: &str, to: &mut String) {
    to.extend(value.chars().filter(|letter| !letter.is_control() || *letter == '\n'));
}

fn escaped(value: &str, to: &mut String) {
    for letter in value.chars() {
        match letter {
            '&' => to.push_str("&amp;"),
            '<' => to.push_str("&lt;"),
            '>' => to.push_str("&gt;"),
            '"' => to.push_str("&quot;"),
            '\'' => to.push_str("&#39;"),
            '\n' => to.push_str("<br>"),
            other if other.is_control() => {}
            other => to.push(other),
        }
    }
}

fn bad(part: &'static str, detail: &str) -> Error {
    let problem =
        FieldProblem { field: part.to_owned(), code: "bad_template", detail: detail.to_owned() };
    Error::unprocessable("bad_template", format!("`{part}` {detail}")).with_fields(vec![problem])
}

/// With its quotes it still fits what one sealed text holds, 64 KiB.
const TEMPLATE_SIZE_BYTES_MAX: usize = 48 * 1024;

const SUBJECT_SIZE_MAX: usize = 200;

/// Two days in all, as mail servers do.
const WAITS_MINUTES: [i64; 12] = [1, 5, 15, 30, 60, 120, 240, 480, 480, 480, 480, 480];

const FIRST_BYTES: usize = 4 * 1024;
