//! How customers are written: one JSON object a line, or a table for spreadsheets.

use std::io::Write;

use serde_json::{Value, json};

use crate::ctx::Time;
use crate::error::Error;
use crate::policy::{FieldKind, Policy};
use crate::vault::{ConsentSaid, Exported, Left, RecordShown};

/// One of the two.
pub(super) enum Format {
    /// A table; see [`Column`].
    Csv(Vec<Column>),
    /// The import reads it back.
    Ndjson,
}

/// Where the cells of a column come from.
pub(super) enum Column {
    Created,
    /// Whether a consent stands, and since when.
    Consent(String),
    Field(String),
    Id,
    /// One part of a postal address.
    Part(String, &'static str),
    /// What the callers' own systems call them, a space between two.
    References,
    /// When the relation last happened.
    Relation(String),
    /// Why the customer does not open; empty for all who do.
    Unreadable,
    Version,
}

impl Format {
    /// An address has a column for each part, so that it can be sorted and merged.
    pub(super) fn csv(policy: &Policy, fields: &[String]) -> Self {
        let mut columns = vec![Column::Id, Column::Version, Column::Created];
        let relations = policy.relations().keys();
        columns.extend(relations.map(|name| Column::Relation(name.as_str().to_owned())));
        for name in fields {
            let kind = policy.fields().get(name.as_str()).map(|field| &field.kind);
            if matches!(kind, Some(FieldKind::PostalAddress)) {
                columns.extend(ADDRESS_PARTS.map(|part| Column::Part(name.clone(), part)));
            } else {
                columns.push(Column::Field(name.clone()));
            }
        }
        let purposes = policy.purposes().iter().filter(|(_, purpose)| purpose.needs_consent);
        columns.extend(purposes.map(|(name, _)| Column::Consent(name.as_str().to_owned())));
        columns.push(Column::References);
        columns.push(Column::Unreadable);
        Self::Csv(columns)
    }

    pub(super) fn content_type(&self) -> &'static str {
        match self {
            Self::Csv(_) => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// The names of the columns, where there are any.
    pub(super) fn head(&self, text: &mut Vec<u8>) {
        if let Self::Csv(columns) = self {
            write_row(text, columns.iter().map(Column::name));
        }
    }

    /// One customer.
    pub(super) fn line(&self, text: &mut Vec<u8>, customer: &Exported) -> Result<(), Error> {
        match self {
            Self::Csv(columns) => {
                write_row(text, columns.iter().map(|column| column.cell(customer)));
            }
            Self::Ndjson => {
                let id = customer.id.to_string();
                let line = match &customer.left {
                    Left::Unreadable(code) => json!({ "id": id, "unreadable": code }),
                    Left::Whole { version, created, relations, fields, references, .. } => {
                        let relations = relations
                            .iter()
                            .map(|(name, last)| json!({ "name": name, "last": last.to_rfc3339() }));
                        let relations: Vec<Value> = relations.collect();
                        let mut line = json!({ "id": id, "version": version,
                            "created": created.to_rfc3339(), "relations": relations,
                            "fields": fields });
                        let more = [
                            ("references", json!(references)),
                            ("consents", consents_of(&customer.left)),
                            ("records", records_of(&customer.left)),
                        ];
                        // Absent where there are none, as most customers have none.
                        for (name, value) in more {
                            let is_there = value.as_array().is_some_and(|it| !it.is_empty());
                            if let (Some(line), true) = (line.as_object_mut(), is_there) {
                                line.insert(name.to_owned(), value);
                            }
                        }
                        line
                    }
                };
                serde_json::to_writer(&mut *text, &line).map_err(Error::internal)?;
                text.push(b'\n');
            }
        }
        Ok(())
    }

    /// Says that this was all. A table has no place for it: there the answer's own end says so.
    pub(super) fn end(&self, text: &mut Vec<u8>, count: u64) {
        if matches!(self, Self::Ndjson) {
            // Writing to memory does not fail.
            let _ = writeln!(text, "{}", json!({ "end": { "customers": count } }));
        }
    }
}

impl Column {
    fn name(&self) -> String {
        match self {
            Self::Consent(purpose) => format!("consent.{purpose}"),
            Self::Created => "created".to_owned(),
            Self::Field(name) => name.clone(),
            Self::Id => "id".to_owned(),
            Self::Part(name, part) => format!("{name}.{part}"),
            Self::References => "references".to_owned(),
            Self::Relation(name) => format!("relation.{name}"),
            Self::Unreadable => "unreadable".to_owned(),
            Self::Version => "version".to_owned(),
        }
    }

    fn cell(&self, customer: &Exported) -> String {
        let left = &customer.left;
        let Left::Whole { version, created, relations, fields, references, consents, .. } = left
        else {
            return match (self, &customer.left) {
                (Self::Id, _) => customer.id.to_string(),
                (Self::Unreadable, Left::Unreadable(code)) => (*code).to_owned(),
                _ => String::new(),
            };
        };
        match self {
            Self::Consent(purpose) => {
                let said = consents.iter().find(|it| it.purpose == *purpose);
                said.map(in_words).unwrap_or_default()
            }
            Self::Created => created.to_rfc3339(),
            Self::Field(name) => fields.get(name).map(in_one_cell).unwrap_or_default(),
            Self::Id => customer.id.to_string(),
            Self::Part(name, part) => {
                let part = fields.get(name).and_then(|address| address.get(part));
                part.map(in_one_cell).unwrap_or_default()
            }
            Self::Relation(name) => {
                let found = relations.iter().find(|(known, _)| known == name);
                found.map(|(_, last)| last.to_rfc3339()).unwrap_or_default()
            }
            Self::References => references.join(" "),
            Self::Unreadable => String::new(),
            Self::Version => version.to_string(),
        }
    }
}

fn consents_of(left: &Left) -> Value {
    let Left::Whole { consents, .. } = left else { return Value::Null };
    let one = |said: &ConsentSaid| {
        json!({ "purpose": said.purpose, "given": said.given.map(|(at, _)| at.to_rfc3339()),
            "how": said.given.map(|(_, how)| how.as_str()),
            "withdrawn": said.withdrawn.map(Time::to_rfc3339) })
    };
    consents.iter().map(one).collect()
}

fn records_of(left: &Left) -> Value {
    let Left::Whole { records, .. } = left else { return Value::Null };
    let one = |record: &RecordShown| {
        json!({ "id": record.id.to_string(), "kind": record.kind, "version": record.version,
            "issued": record.issued, "corrects": record.corrects.map(|id| id.to_string()),
            "fields": record.fields })
    };
    records.iter().map(one).collect()
}

/// `given 2026-11-21T…` or `withdrawn 2026-11-21T…`.
fn in_words(said: &ConsentSaid) -> String {
    match (said.withdrawn, said.given) {
        (Some(at), _) => format!("withdrawn {}", at.to_rfc3339()),
        (None, Some((at, _))) => format!("given {}", at.to_rfc3339()),
        (None, None) => String::new(),
    }
}

fn in_one_cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(lines) => lines.iter().map(in_one_cell).collect::<Vec<_>>().join("\n"),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// RFC 4180, every cell quoted. A cell that a spreadsheet would run as a formula gets an apostrophe in
/// front, which spreadsheets do not show.
fn write_row(text: &mut Vec<u8>, cells: impl Iterator<Item = String>) {
    for (number, cell) in cells.enumerate() {
        if number > 0 {
            text.push(b',');
        }
        text.push(b'"');
        if cell.starts_with(FORMULA_STARTS) {
            text.push(b'\'');
        }
        text.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
        text.push(b'"');
    }
    text.extend_from_slice(b"\r\n");
}

/// The parts of an address, in the order of an envelope.
const ADDRESS_PARTS: [&str; 5] = ["lines", "city", "region", "postcode", "country"];

/// What spreadsheets take for the beginning of a formula, also behind a tab or a line break.
const FORMULA_STARTS: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];
