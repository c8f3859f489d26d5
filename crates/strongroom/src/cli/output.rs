//! What a command prints: words for people, or the API's JSON for programs. Results go to standard
//! output, everything about how it goes to standard error.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::failure::Failure;

/// How results are printed.
pub(super) struct Output {
    json: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether a program reads.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// One line for people and programs alike.
    pub(super) fn line(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())
            .and_then(|()| out.write_all(b"\n"))
            .and_then(|()| out.flush())
            .map_err(Failure::from)
    }

    /// A question, with the answer to stand on the same line.
    pub(super) fn prompt(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::from)
    }

    /// A line for people; programs do not see it.
    pub(super) fn words(&self, text: &str) -> Result<(), Failure> {
        if self.json { Ok(()) } else { self.line(text) }
    }

    /// The API's answer, for programs.
    pub(super) fn value(&self, value: &Value) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
        self.line(&text)
    }

    /// That something without an answer of its own is done.
    pub(super) fn done(&self, receipt: Option<&str>, sentence: &str) -> Result<(), Failure> {
        if self.json {
            return self.value(&json!({ "done": true, "receipt": receipt }));
        }
        self.line(sentence)
    }

    /// Some members of each object of a list as a table.
    pub(super) fn list(&self, list: &Value, names: &[&str], none: &str) -> Result<(), Failure> {
        let rows = list.as_array().map(Vec::as_slice).unwrap_or_default();
        if rows.is_empty() {
            return self.line(none);
        }
        let row = |entry: &Value| names.iter().map(|name| cell(entry.get(*name))).collect();
        let head: Vec<String> = names.iter().map(|name| name.replace('_', " ")).collect();
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        self.table(&head, rows.iter().map(row).collect())
    }

    /// Rows under a head.
    pub(super) fn table(&self, head: &[&str], rows: Vec<Vec<String>>) -> Result<(), Failure> {
        let head = head.iter().map(|name| (*name).to_owned()).collect();
        let all: Vec<_> = std::iter::once(head).chain(rows).collect();
        self.rows(&all)
    }

    /// Columns as wide as their widest cell, two spaces between them.
    pub(super) fn rows(&self, rows: &[Vec<String>]) -> Result<(), Failure> {
        let mut widths = vec![0; rows.iter().map(Vec::len).max().unwrap_or(0)];
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        for row in rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            self.line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// What a failed command leaves behind: a sentence on standard error, and the exit code.
pub(super) fn tell(failure: &Failure, output: &Output) -> ExitCode {
    if !failure.sentence().is_empty() {
        warn(&if output.is_json() { failure.as_json() } else { failure.as_words() });
    }
    ExitCode::from(failure.exit())
}

/// A value in a cell: a list with commas, an absent one as a dash.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(true)) => "yes".to_owned(),
        Some(Value::Bool(false)) => "no".to_owned(),
        Some(Value::Array(entries)) if entries.is_empty() => "-".to_owned(),
        Some(Value::Array(entries)) => {
            let cells: Vec<String> = entries.iter().map(|entry| cell(Some(entry))).collect();
            cells.join(", ")
        }
        Some(other) => other.to_string(),
    }
}

/// A line about how it goes.
pub(super) fn warn(text: &str) {
    // There is nowhere left to say that standard error is closed.
    let _ = writeln!(io::stderr().lock(), "{text}");
}
