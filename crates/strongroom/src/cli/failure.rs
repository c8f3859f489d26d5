//! Why a command did not do what was asked, as one plain sentence.

use std::fmt::Write;
use std::io;

use serde_json::{Value, json};

use crate::error::Error;

/// A command that failed.
#[derive(Debug)]
pub(super) struct Failure {
    code: String,
    sentence: String,
    fields: Vec<(String, String)>,
    request: Option<String>,
    exit: u8,
}

impl Failure {
    /// Refused or failed: a sentence without a final period, which says what to do next.
    pub(super) fn new(code: &str, sentence: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            sentence: sentence.into(),
            fields: Vec::new(),
            request: None,
            exit: 1,
        }
    }

    /// The command line itself is wrong.
    pub(super) fn usage(sentence: impl Into<String>) -> Self {
        Self { exit: 2, ..Self::new("usage", sentence) }
    }

    /// What was to be printed is printed; only the exit code is left to say it.
    pub(super) fn told() -> Self {
        Self::new("told", "")
    }

    /// Adds what is wrong with which part.
    pub(super) fn with(mut self, fields: Vec<(String, String)>) -> Self {
        self.fields = fields;
        self
    }

    /// From a problem+json of the API.
    pub(super) fn from_problem(status: u16, problem: &Value) -> Self {
        let text = |name: &str| problem.get(name).and_then(Value::as_str).map(str::to_owned);
        let Some(sentence) = text("detail") else {
            let sentence = format!(
                "the answer has status {status} and is not one of a Strongroom; is the address right?"
            );
            return Self::new("not_a_strongroom", sentence);
        };
        let part = |entry: &Value, name: &str| {
            entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let errors = problem.get("errors").and_then(Value::as_array).cloned().unwrap_or_default();
        Self {
            code: text("code").unwrap_or_default(),
            sentence,
            fields: errors.iter().map(|it| (part(it, "field"), part(it, "detail"))).collect(),
            request: text("request_id"),
            exit: 1,
        }
    }

    /// The stable code.
    pub(super) fn code(&self) -> &str {
        &self.code
    }

    /// What happened, in words.
    pub(super) fn sentence(&self) -> &str {
        &self.sentence
    }

    /// Says more after the sentence.
    pub(super) fn and(mut self, more: &str) -> Self {
        self.sentence.push_str(more);
        self
    }

    /// The exit code.
    pub(super) fn exit(&self) -> u8 {
        self.exit
    }

    /// For people.
    pub(super) fn as_words(&self) -> String {
        let mut text = format!("strongroom: {}", self.sentence);
        for (field, detail) in &self.fields {
            // Writing to a String does not fail.
            let _ = write!(text, "\n  {field}: {detail}");
        }
        if let Some(request) = &self.request {
            let _ = write!(text, "\n  (request {request})");
        }
        text
    }

    /// For programs.
    pub(super) fn as_json(&self) -> String {
        let errors: Vec<Value> = self
            .fields
            .iter()
            .map(|(field, detail)| json!({ "field": field, "detail": detail }))
            .collect();
        let (code, detail, request_id) = (&self.code, &self.sentence, &self.request);
        json!({ "code": code, "detail": detail, "request_id": request_id, "errors": errors })
            .to_string()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let fields = error.fields.iter().map(|it| (it.field.clone(), it.detail.clone()));
        let mut failure = Self::new(error.code, error.detail.clone());
        failure.fields = fields.collect();
        // On the operator's own machine the cause is what helps; it names files, never values.
        if let Some(cause) = error.cause() {
            failure = failure.and(&format!(" ({cause})"));
        }
        failure
    }
}

impl From<io::Error> for Failure {
    fn from(cause: io::Error) -> Self {
        // Whoever reads has read enough, as with `| head`.
        if cause.kind() == io::ErrorKind::BrokenPipe {
            return Self::told();
        }
        Self::new("input_output", format!("the system refused: {cause}"))
    }
}
