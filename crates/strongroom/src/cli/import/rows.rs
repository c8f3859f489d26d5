//! The customers of a file in order, whatever its form.

use std::path::Path;

use super::lines::Lines;
use super::plan::{Format, Plan};
use super::sheet::Sheet;
use super::source::Source;
use crate::cli::failure::Failure;

/// A row as the API takes it.
pub(super) struct Row {
    pub(super) json: String,
}

/// An open file.
pub(super) struct Rows<'a> {
    form: Form<'a>,
    put_back: Option<Row>,
}

enum Form<'a> {
    Lines(Lines<'a>),
    Sheet(Sheet<'a>),
}

/// What one pass over the whole file told.
pub(super) struct Looked {
    pub(super) rows: u64,
    pub(super) sha256: [u8; 32],
    /// Columns that the plan does not name.
    pub(super) unmapped: usize,
    /// Customers that the export this file comes from could not open.
    pub(super) unreadable: u64,
    /// Customers whose records stay behind.
    pub(super) with_records: u64,
}

/// Reads the whole file once before anything is sent: what cannot be read at all is better known
/// before half of it is in.
pub(super) fn look_through(file: &Path, plan: &Plan) -> Result<Looked, Failure> {
    let mut source = Rows::open(file, plan)?;
    let mut rows = 0;
    let mut problems = Vec::new();
    while let Some(row) = source.next()? {
        rows += 1;
        if let Err(problem) = row {
            if problems.len() < PROBLEMS_MAX {
                problems.push((format!("line {}", source.line()), problem));
            } else {
                problems.push(("and more".to_owned(), "correct these first".to_owned()));
                break;
            }
        }
    }
    if !problems.is_empty() {
        let sentence = "the file cannot be read to the end; nothing was imported";
        return Err(Failure::new("bad_file", sentence).with(problems));
    }
    let (unmapped, unreadable, with_records) = match &source.form {
        Form::Lines(lines) => (0, lines.unreadable, lines.with_records),
        Form::Sheet(sheet) => (sheet.unmapped(), 0, 0),
    };
    Ok(Looked { rows, unmapped, unreadable, with_records, sha256: source.sha256() })
}

impl<'a> Rows<'a> {
    pub(super) fn open(path: &Path, plan: &'a Plan) -> Result<Self, Failure> {
        Self::of(Source::open(path, plan)?, plan)
    }

    fn of(source: Source, plan: &'a Plan) -> Result<Self, Failure> {
        let form = match plan.format {
            Format::Csv => Form::Sheet(Sheet::open(source, plan)?),
            Format::Ndjson => Form::Lines(Lines::open(source, plan)),
        };
        Ok(Self { form, put_back: None })
    }

    /// Passes over rows that are done.
    pub(super) fn skip_rows(&mut self, count: u64) -> Result<(), Failure> {
        for _ in 0..count {
            if self.next()?.is_none() {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn next_row(&mut self) -> Result<Option<Row>, Failure> {
        if let Some(row) = self.put_back.take() {
            return Ok(Some(row));
        }
        let Some(row) = self.next()? else { return Ok(None) };
        row.map(Some)
            .map_err(|problem| Failure::new("bad_file", format!("line {}: {problem}", self.line())))
    }

    /// Keeps a row for the next time.
    pub(super) fn put_back(&mut self, row: Row) {
        self.put_back = Some(row);
    }

    /// Of all that was read: of the whole file once no row is left.
    pub(super) fn sha256(self) -> [u8; 32] {
        match self.form {
            Form::Lines(lines) => lines.sha256(),
            Form::Sheet(sheet) => sheet.sha256(),
        }
    }

    fn next(&mut self) -> Result<Option<Result<Row, String>>, Failure> {
        match &mut self.form {
            Form::Lines(lines) => lines.next(),
            Form::Sheet(sheet) => sheet.next(),
        }
    }

    fn line(&self) -> u64 {
        match &self.form {
            Form::Lines(lines) => lines.line(),
            Form::Sheet(sheet) => sheet.line(),
        }
    }
}

/// What a file of these bytes holds, for the fuzzer: each row as the API would get it, or what is wrong
/// with it, and the hash of the whole; or why it cannot be read to its end. Reads `step` bytes at once.
#[cfg(any(test, feature = "fuzz"))]
pub(in crate::cli) fn read_bytes(bytes: Vec<u8>, step: usize, plan: &Plan) -> super::ReadFile {
    let clear = Box::new(Slow { bytes: std::io::Cursor::new(bytes), step });
    let told = |failure: Failure| failure.sentence().to_owned();
    let mut rows = Rows::of(Source::of(clear, plan).map_err(told)?, plan).map_err(told)?;
    let mut read = Vec::new();
    while let Some(row) = rows.next().map_err(told)? {
        read.push(row.map(|row| row.json));
    }
    Ok((read, rows.sha256()))
}

/// A reader that gives a few bytes at once, as a pipe may.
#[cfg(any(test, feature = "fuzz"))]
struct Slow {
    bytes: std::io::Cursor<Vec<u8>>,
    step: usize,
}

#[cfg(any(test, feature = "fuzz"))]
impl std::io::Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let size = buffer.len().min(self.step);
        self.bytes.read(buffer.get_mut(..size).unwrap_or_default())
    }
}

/// As many as a person corrects before looking again.
const PROBLEMS_MAX: usize = 20;
