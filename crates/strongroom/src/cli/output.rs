//! What a command prints: words for people, or the API's JSON for programs. Results go to standard
//! output, everything about how it goes to standard error.

use std::io::{self, Write};

use serde_json::Value;

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

    /// A line for people; programs do not see it.
    pub(super) fn words(&self, text: &str) -> Result<(), Failure> {
        if self.json { Ok(()) } else { self.line(text) }
    }

    /// The API's answer, for programs.
    pub(super) fn value(&self, value: &Value) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
        self.line(&text)
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

/// A line about how it goes.
pub(super) fn warn(text: &str) {
    // There is nowhere left to say that standard error is closed.
    let _ = writeln!(io::stderr().lock(), "{text}");
}
