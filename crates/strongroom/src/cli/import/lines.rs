//! A file of JSON objects, one a line, as the export writes them.

use std::io::{BufRead, BufReader, Read};

use serde_json::{Map, Value, json};

use super::plan::Plan;
use super::rows::Row;
use super::source::Source;
use crate::cli::failure::Failure;
use crate::web::BODY_SIZE_BYTES_MAX;

/// An open file.
pub(super) struct Lines<'a> {
    reader: BufReader<Source>,
    plan: &'a Plan,
    line: u64,
    /// Customers that the export could not open.
    pub(super) unreadable: u64,
    /// Customers with records, which no import takes.
    pub(super) with_records: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn open(source: Source, plan: &'a Plan) -> Self {
        let reader = BufReader::new(source);
        Self { reader, plan, line: 0, unreadable: 0, with_records: 0 }
    }

    /// The next customer, or what is wrong with its line, or the end.
    pub(super) fn next(&mut self) -> Result<Option<Result<Row, String>>, Failure> {
        loop {
            let mut text = Vec::new();
            let limit = BODY_SIZE_BYTES_MAX as u64;
            let read = self.reader.by_ref().take(limit).read_until(b'\n', &mut text);
            if read.map_err(|cause| unreadable(&cause))? == 0 {
                return Ok(None);
            }
            self.line += 1;
            if text.last() != Some(&b'\n') && text.len() as u64 == limit {
                let sentence = format!("line {}: larger than any customer can be", self.line);
                return Err(Failure::new("bad_file", sentence));
            }
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match self.row(&text) {
                Ok(Some(row)) => return Ok(Some(Ok(row))),
                Ok(None) => {}
                Err(problem) => return Ok(Some(Err(problem))),
            }
        }
    }

    pub(super) fn line(&self) -> u64 {
        self.line
    }

    pub(super) fn sha256(self) -> [u8; 32] {
        self.reader.into_inner().sha256()
    }

    /// `None` for lines that are no customer. The parser's message would quote the line.
    fn row(&mut self, text: &[u8]) -> Result<Option<Row>, String> {
        let wrong = "not a JSON object; one looks like {\"relations\": […], \"fields\": {…}}";
        let mut members: Map<String, Value> =
            serde_json::from_slice(text).map_err(|_| wrong.to_owned())?;
        if members.contains_key("end") {
            return Ok(None);
        }
        if members.contains_key("unreadable") {
            self.unreadable += 1;
            return Ok(None);
        }
        let fields = members.remove("fields").ok_or_else(|| wrong.to_owned())?;
        let named =
            members.remove("relations").filter(|it| it.as_array().is_some_and(|it| !it.is_empty()));
        let relations = named.unwrap_or_else(|| {
            self.plan.relations.iter().map(|name| json!({ "name": name })).collect()
        });
        let mut row = json!({ "line": self.line, "relations": relations, "fields": fields });
        for name in ["references", "consents"] {
            if let (Some(row), Some(list)) = (row.as_object_mut(), members.remove(name)) {
                row.insert(name.to_owned(), list);
            }
        }
        self.with_records += u64::from(members.contains_key("records"));
        Ok(Some(Row { json: row.to_string() }))
    }
}

/// The system's words name files, never what is in them.
fn unreadable(cause: &std::io::Error) -> Failure {
    Failure::new("bad_file", format!("the file cannot be read: {cause}"))
}
