//! The file, row by row.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder, StringRecord};
use serde_json::{Map, Value, json};
use strongroom_crypto::Sha256;

use super::plan::{Column, Plan};
use crate::cli::failure::Failure;
use crate::ctx::Time;
use crate::web::BODY_SIZE_BYTES_MAX;

/// A row as the API takes it.
pub(super) struct Row {
    pub(super) json: String,
}

/// An open file after its first line.
pub(super) struct Sheet<'a> {
    reader: csv::Reader<Hashing>,
    plan: &'a Plan,
    columns: Vec<(usize, &'a Column)>,
    date: Option<usize>,
    width: usize,
    put_back: Option<Row>,
}

/// What one pass over the whole file told.
pub(super) struct Looked {
    pub(super) rows: u64,
    pub(super) sha256: [u8; 32],
    /// Columns that the plan does not name.
    pub(super) unmapped: usize,
}

/// Reads the whole file once before anything is sent: what cannot be read at all is better known
/// before half of it is in.
pub(super) fn look_through(file: &Path, plan: &Plan) -> Result<Looked, Failure> {
    let mut sheet = Sheet::open(file, plan)?;
    let mut record = ByteRecord::new();
    let mut rows = 0;
    let mut problems = Vec::new();
    while sheet.read(&mut record)? {
        rows += 1;
        if let Err(problem) = sheet.row(&record) {
            if problems.len() < PROBLEMS_MAX {
                problems.push((format!("line {}", line_of(&record)), problem));
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
    let mapped = sheet.columns.iter().map(|(at, _)| *at).chain(sheet.date);
    let mapped: std::collections::BTreeSet<usize> = mapped.collect();
    let unmapped = sheet.width.saturating_sub(mapped.len());
    Ok(Looked { rows, unmapped, sha256: sheet.sha256() })
}

impl<'a> Sheet<'a> {
    pub(super) fn open(path: &Path, plan: &'a Plan) -> Result<Self, Failure> {
        let inner = File::open(path).map_err(|cause| {
            let sentence = format!("the file `{}` cannot be opened: {cause}", path.display());
            Failure::new("input_output", sentence)
        })?;
        let mut reader = ReaderBuilder::new()
            .delimiter(plan.delimiter)
            .flexible(true)
            .has_headers(true)
            .from_reader(Hashing { inner, hash: Sha256::new() });
        let head = reader.byte_headers().map_err(|cause| unreadable(&cause))?.clone();
        let head = StringRecord::from_byte_record(head).map_err(|_| {
            Failure::new("bad_file", "line 1: not UTF-8; save the file as UTF-8 and try again")
        })?;
        let columns = plan
            .columns
            .iter()
            .map(|column| Ok((find(&head, &column.column)?, column)))
            .collect::<Result<_, Failure>>()?;
        let date = plan.date_column.as_deref().map(|name| find(&head, name)).transpose()?;
        Ok(Self { reader, plan, columns, date, width: head.len(), put_back: None })
    }

    /// Passes over rows that are done.
    pub(super) fn skip_rows(&mut self, count: u64) -> Result<(), Failure> {
        let mut record = ByteRecord::new();
        for _ in 0..count {
            if !self.read(&mut record)? {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn next_row(&mut self) -> Result<Option<Row>, Failure> {
        if let Some(row) = self.put_back.take() {
            return Ok(Some(row));
        }
        let mut record = ByteRecord::new();
        if !self.read(&mut record)? {
            return Ok(None);
        }
        let row = self.row(&record).map_err(|problem| {
            Failure::new("bad_file", format!("line {}: {problem}", line_of(&record)))
        })?;
        Ok(Some(row))
    }

    /// Keeps a row for the next time.
    pub(super) fn put_back(&mut self, row: Row) {
        self.put_back = Some(row);
    }

    /// Of all that was read: of the whole file once no row is left.
    pub(super) fn sha256(self) -> [u8; 32] {
        self.reader.into_inner().hash.finish()
    }

    fn read(&mut self, record: &mut ByteRecord) -> Result<bool, Failure> {
        self.reader.read_byte_record(record).map_err(|cause| unreadable(&cause))
    }

    /// What is wrong is told without a cell of the row.
    fn row(&self, record: &ByteRecord) -> Result<Row, String> {
        if record.len() != self.width {
            return Err(format!(
                "{} cells, but the first line has {}; is a quote missing, or is `--delimiter` \
                 another?",
                record.len(),
                self.width
            ));
        }
        let mut fields = Map::new();
        for (at, column) in &self.columns {
            let cell = text(record, *at, &column.column)?;
            if !cell.trim().is_empty() {
                put(&mut fields, column, cell);
            }
        }
        let last = match (self.date, self.plan.date_column.as_deref()) {
            (Some(at), Some(name)) => read_date(text(record, at, name)?, name)?,
            _ => None,
        };
        let relation = |name: &String| match &last {
            Some(last) => json!({ "name": name, "last": last }),
            None => json!({ "name": name }),
        };
        let relations: Vec<Value> = self.plan.relations.iter().map(relation).collect();
        let row = json!({ "line": line_of(record), "relations": relations, "fields": fields });
        let json = row.to_string();
        if json.len() > BODY_SIZE_BYTES_MAX {
            return Err("larger than any customer can be; is a quote missing?".to_owned());
        }
        Ok(Row { json })
    }
}

/// A column by the name that was typed. The names in the file are not told: where the head is
/// missing they are a customer's data.
fn find(head: &StringRecord, name: &str) -> Result<usize, Failure> {
    let mut places = head.iter().enumerate().filter(|(_, known)| known.trim() == name.trim());
    match (places.next(), places.next()) {
        (Some((at, _)), None) => Ok(at),
        (Some(_), Some(_)) => {
            let sentence = format!("the first line has `{name}` twice; rename one of them");
            Err(Failure::new("bad_file", sentence))
        }
        (None, _) => {
            let sentence = format!(
                "the first line of the file has no column `{name}` (it has {} columns with this \
                 `--delimiter`)",
                head.len()
            );
            Err(Failure::new("bad_file", sentence))
        }
    }
}

fn text<'r>(record: &'r ByteRecord, at: usize, column: &str) -> Result<&'r str, String> {
    std::str::from_utf8(record.get(at).unwrap_or_default())
        .map_err(|_| format!("column `{column}` is not UTF-8; save the file as UTF-8"))
}

/// Several columns of one part make a list, as the lines of an address do.
fn put(fields: &mut Map<String, Value>, column: &Column, cell: &str) {
    let Some(part) = &column.part else {
        fields.insert(column.field.clone(), cell.into());
        return;
    };
    let parts = fields.entry(column.field.clone()).or_insert_with(|| json!({}));
    let Some(parts) = parts.as_object_mut() else { return };
    if part != LIST_PART {
        parts.insert(part.clone(), cell.into());
        return;
    }
    let lines = parts.entry(part.clone()).or_insert_with(|| json!([]));
    if let Some(lines) = lines.as_array_mut() {
        lines.push(cell.into());
    }
}

/// A day without a time is its noon in UTC: the same day in every zone a business is in.
fn read_date(cell: &str, column: &str) -> Result<Option<String>, String> {
    let cell = cell.trim();
    if cell.is_empty() {
        return Ok(None);
    }
    let day = format!("{cell}T12:00:00Z");
    let time = Time::parse_rfc3339(cell).or_else(|| {
        let is_day = cell.len() == DAY_SIZE_BYTES;
        is_day.then(|| Time::parse_rfc3339(&day)).flatten()
    });
    let time = time.ok_or_else(|| {
        format!("column `{column}` is not a date like 2024-05-31; how long data lives hangs on it")
    })?;
    Ok(Some(time.to_rfc3339()))
}

fn line_of(record: &ByteRecord) -> u64 {
    record.position().map_or(0, csv::Position::line)
}

/// The causes of `csv` name places, and the system's name files; neither quotes cells.
fn unreadable(cause: &csv::Error) -> Failure {
    Failure::new("bad_file", format!("the file cannot be read: {cause}"))
}

/// Hashes what passes.
struct Hashing {
    inner: File,
    hash: Sha256,
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// The one part of a field that is a list.
const LIST_PART: &str = "lines";
/// `2024-05-31`.
const DAY_SIZE_BYTES: usize = 10;
/// As many as a person corrects before looking again.
const PROBLEMS_MAX: usize = 20;
