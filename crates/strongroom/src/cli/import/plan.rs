//! How the columns of a file become fields.

use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::{Value, json};
use strongroom_crypto::sha256;

use super::source::Encoding;

/// How a file is read; the same file with the same plan is the same import.
pub(in crate::cli) struct Plan {
    pub(in crate::cli) columns: Vec<Column>,
    pub(in crate::cli) relations: Vec<String>,
    pub(in crate::cli) date_column: Option<String>,
    pub(in crate::cli) delimiter: u8,
    pub(in crate::cli) chunk_rows: usize,
    pub(in crate::cli) format: Format,
    pub(in crate::cli) encoding: Encoding,
    /// Opens a file that is encrypted.
    pub(in crate::cli) identity: Option<PathBuf>,
}

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// A table
    Csv,
    /// One JSON object a line, as the export writes them
    Ndjson,
}

/// `FIELD=COLUMN`, or a map that is built in.
#[derive(Clone, Debug)]
pub(in crate::cli) enum Mapping {
    BuiltIn(&'static [(&'static str, &'static str)]),
    Column(Column),
    /// Kept in the installation under this name.
    Saved(String),
}

impl Mapping {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match BUILT_IN.iter().find(|(name, _)| *name == text) {
            Some((_, columns)) => Ok(Self::BuiltIn(columns)),
            None if !text.contains('=') && is_name(text) => Ok(Self::Saved(text.to_owned())),
            None => Column::parse(text).map(Self::Column),
        }
    }

    /// All columns of these, without those of fields that are left out.
    pub(super) fn columns(maps: &[Self], without: &[String]) -> Vec<Column> {
        let mut columns = Vec::new();
        for map in maps {
            match map {
                Self::Column(column) => columns.push(column.clone()),
                // Its columns were added by whoever asked for it.
                Self::Saved(_) => {}
                Self::BuiltIn(known) => columns.extend(known.iter().map(|(target, column)| {
                    let (field, part) = target.split_once('.').unwrap_or((target, ""));
                    let part = (!part.is_empty()).then(|| part.to_owned());
                    Column { field: field.to_owned(), part, column: (*column).to_owned() }
                })),
            }
        }
        columns.retain(|column| !without.contains(&column.field));
        columns
    }
}

/// A column and where its cells go.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Column {
    /// A field of the policy.
    pub(super) field: String,
    /// The part of an address.
    pub(super) part: Option<String>,
    /// As the first line of the file names it.
    pub(super) column: String,
}

impl Column {
    /// Reads `email=E-Mail` or `address.city=Town`.
    pub(in crate::cli) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            "write FIELD=COLUMN, like email=E-Mail, address.city=Town or \
                           reference.shop=Number, or `shopify` or `woocommerce`"
                .to_owned()
        };
        let (target, column) = text.split_once('=').ok_or_else(wrong)?;
        let (field, part) = match target.split_once('.') {
            Some((field, part)) => (field, Some(part.to_owned())),
            None => (target, None),
        };
        if field.is_empty() || column.is_empty() || part.as_deref() == Some("") {
            return Err(wrong());
        }
        Ok(Self { field: field.to_owned(), part, column: column.to_owned() })
    }

    /// The system whose own name for the customer stands in this column.
    pub(super) fn source(&self) -> Option<&str> {
        self.part.as_deref().filter(|_| self.field == REFERENCE)
    }
}

impl Plan {
    /// Names the plan. The size of a chunk is not of it: it changes how, not what.
    pub(super) fn sha256(&self) -> [u8; 32] {
        if self.format == Format::Ndjson {
            let text = json!(["strongroom/import/ndjson/v1", self.relations]).to_string();
            return sha256(&[text.as_bytes()]);
        }
        let columns: Vec<Value> =
            self.columns.iter().map(|it| json!([it.field, it.part, it.column])).collect();
        let (relations, date, delimiter) = (&self.relations, &self.date_column, self.delimiter);
        let text = json!(["strongroom/import/v1", columns, relations, date, delimiter]).to_string();
        sha256(&[text.as_bytes()])
    }
}

impl Plan {
    /// As the installation keeps it.
    pub(super) fn to_map(&self) -> Value {
        let columns: Vec<Value> = self
            .columns
            .iter()
            .map(|it| json!({ "field": it.field, "part": it.part, "column": it.column }))
            .collect();
        json!({ "columns": columns, "relations": self.relations, "date_column": self.date_column,
            "delimiter": char::from(self.delimiter).to_string() })
    }

    /// Takes over what a kept map says and the command line does not.
    pub(super) fn take_map(&mut self, map: &Value, without: &[String]) {
        let list =
            |name: &str| map.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let text =
            |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        for column in list("columns") {
            let (Some(field), Some(name)) = (text(&column, "field"), text(&column, "column"))
            else {
                continue;
            };
            if !without.contains(&field) {
                self.columns.push(Column { field, part: text(&column, "part"), column: name });
            }
        }
        if self.relations.is_empty() {
            let names = list("relations");
            self.relations = names.iter().filter_map(|it| it.as_str().map(str::to_owned)).collect();
        }
        if self.date_column.is_none() {
            self.date_column = text(map, "date_column");
        }
        if self.delimiter == b','
            && let Some([byte]) = text(map, "delimiter").as_deref().map(str::as_bytes)
        {
            self.delimiter = *byte;
        }
    }
}

/// The name of a kept map, as part of an address.
pub(super) fn name(text: &str) -> Result<String, String> {
    let wrong = "the name of a map is 1 to 40 lower-case letters, digits and `-`, and not one that is \
                 built in";
    let is_free = BUILT_IN.iter().all(|(known, _)| *known != text);
    if is_name(text) && is_free { Ok(text.to_owned()) } else { Err(wrong.to_owned()) }
}

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.len() <= 40 && text.bytes().all(plain)
}

/// One byte, or the word `tab`, which is hard to type.
pub(super) fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        _ if text == "tab" || text == "\\t" => Ok(b'\t'),
        [byte] if !byte.is_ascii_alphanumeric() && !b"\"\r\n".contains(byte) => Ok(*byte),
        _ => Err("one character like , or ; or the word tab".to_owned()),
    }
}

/// `reference.shop=Customer ID` is no field but what the shop calls the customer.
const REFERENCE: &str = "reference";

/// Maps by the columns that shops' own exports have. WooCommerce's report of customers has no street.
const BUILT_IN: [(&str, &[(&str, &str)]); 2] = [
    (
        "shopify",
        &[
            ("name", "First Name"),
            ("name", "Last Name"),
            ("email", "Email"),
            ("phone", "Phone"),
            ("address.lines", "Default Address Address1"),
            ("address.lines", "Default Address Address2"),
            ("address.city", "Default Address City"),
            ("address.region", "Default Address Province Code"),
            ("address.postcode", "Default Address Zip"),
            ("address.country", "Default Address Country Code"),
        ],
    ),
    ("woocommerce", &[("name", "Name"), ("email", "Email")]),
];
