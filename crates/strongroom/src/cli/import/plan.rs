//! How the columns of a file become fields.

use serde_json::{Value, json};
use strongroom_crypto::sha256;

/// How a file is read; the same file with the same plan is the same import.
pub(in crate::cli) struct Plan {
    pub(in crate::cli) columns: Vec<Column>,
    pub(in crate::cli) relations: Vec<String>,
    pub(in crate::cli) date_column: Option<String>,
    pub(in crate::cli) delimiter: u8,
    pub(in crate::cli) chunk_rows: usize,
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
        let wrong = || "write FIELD=COLUMN, like email=E-Mail or address.city=Town".to_owned();
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
}

impl Plan {
    /// Names the plan. The size of a chunk is not of it: it changes how, not what.
    pub(super) fn sha256(&self) -> [u8; 32] {
        let columns: Vec<Value> =
            self.columns.iter().map(|it| json!([it.field, it.part, it.column])).collect();
        let (relations, date, delimiter) = (&self.relations, &self.date_column, self.delimiter);
        let text = json!(["strongroom/import/v1", columns, relations, date, delimiter]).to_string();
        sha256(&[text.as_bytes()])
    }
}

/// One byte, or the word `tab`, which is hard to type.
pub(super) fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        _ if text == "tab" || text == "\\t" => Ok(b'\t'),
        [byte] if !byte.is_ascii_alphanumeric() && !b"\"\r\n".contains(byte) => Ok(*byte),
        _ => Err("one character like , or ; or the word tab".to_owned()),
    }
}
