//! The file, row by row.

use csv::{ByteRecord, ReaderBuilder, StringRecord};
use serde_json::{Map, Value, json};

use super::plan::{Column, Plan};
use super::rows::Row;
use super::source::Source;
use crate::cli::failure::Failure;
use crate::ctx::Time;
use crate::web::BODY_SIZE_BYTES_MAX;

/// An open file after its first line.
pub(super) struct Sheet<'a> {
    reader: csv::Reader<Source>,
    plan: &'a Plan,
    columns: Vec<(usize, &'a Column)>,
    date: Option<usize>,
    width: usize,
    line: u64,
}

impl<'a> Sheet<'a> {
    pub(super) fn open(source: Source, plan: &'a Plan) -> Result<Self, Failure> {
        let mut reader = ReaderBuilder::new()
            .delimiter(plan.delimiter)
            .flexible(true)
            .has_headers(true)
            .from_reader(source);
        let head = reader.byte_headers().map_err(|cause| unreadable(&cause))?.clone();
        let head =
            StringRecord::from_byte_record(head).map_err(|_| Failure::new("bad_file", NOT_UTF8))?;
        let columns = plan
            .columns
            .iter()
            .map(|column| Ok((find(&head, &column.column)?, column)))
            .collect::<Result<_, Failure>>()?;
        let date = plan.date_column.as_deref().map(|name| find(&head, name)).transpose()?;
        Ok(Self { reader, plan, columns, date, width: head.len(), line: 1 })
    }

    /// The next row, or what is wrong with it, or the end.
    pub(super) fn next(&mut self) -> Result<Option<Result<Row, String>>, Failure> {
        let mut record = ByteRecord::new();
        if !self.reader.read_byte_record(&mut record).map_err(|cause| unreadable(&cause))? {
            return Ok(None);
        }
        self.line = line_of(&record);
        Ok(Some(self.row(&record)))
    }

    /// Where the row that came last stands.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Columns that the plan does not name.
    pub(super) fn unmapped(&self) -> usize {
        let mapped = self.columns.iter().map(|(at, _)| *at).chain(self.date);
        let mapped: std::collections::BTreeSet<usize> = mapped.collect();
        self.width.saturating_sub(mapped.len())
    }

    /// Of all that was read: of the whole file once no row is left.
    pub(super) fn sha256(self) -> [u8; 32] {
        self.reader.into_inner().sha256()
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
        let (mut fields, mut references) = (Map::new(), Vec::new());
        for (at, column) in &self.columns {
            let cell = without_apostrophe(text(record, *at, &column.column)?);
            if cell.trim().is_empty() {
                continue;
            }
            match column.source() {
                Some(source) => references.push(format!("{source}/{}", cell.trim())),
                None => put(&mut fields, column, cell),
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
        let mut row = json!({ "line": line_of(record), "relations": relations, "fields": fields });
        if let (Some(row), false) = (row.as_object_mut(), references.is_empty()) {
            row.insert("references".to_owned(), json!(references));
        }
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
        .map_err(|_| {
        format!(
            "column `{column}` is not UTF-8; save the file as UTF-8, or name how it is written with \
             `--encoding windows-1252`"
        )
    })
}

/// What was put in front of a cell so that no spreadsheet runs it is not of the value.
fn without_apostrophe(cell: &str) -> &str {
    let bare =
        cell.strip_prefix('\'').filter(|rest| rest.starts_with(['=', '+', '-', '@', '\t', '\r']));
    bare.unwrap_or(cell)
}

/// Several columns of one part make a list, as the lines of an address do.
fn put(fields: &mut Map<String, Value>, column: &Column, cell: &str) {
    let Some(part) = &column.part else {
        // Several columns of one field stand side by side, as first and last names do.
        let whole = match fields.get(&column.field).and_then(Value::as_str) {
            Some(before) => format!("{before} {cell}"),
            None => cell.to_owned(),
        };
        fields.insert(column.field.clone(), whole.into());
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

/// The one part of a field that is a list.
const LIST_PART: &str = "lines";
/// `2024-05-31`.
const DAY_SIZE_BYTES: usize = 10;
const NOT_UTF8: &str = "line 1: not UTF-8; save the file as UTF-8, or name how it is written with \
                        `--encoding windows-1252` or `--encoding utf-16`";
