//! The one error of the product: what happened, a stable code, and what to do next.
//!
//! An error never carries a value from a record. Its `cause` is for the log; callers get the text
//! and the request id.

use std::fmt;

use strongroom_crypto::CryptoError;

/// What went wrong, told to whoever asked.
#[derive(Debug)]
pub struct Error {
    /// Decides the HTTP status and what a caller may do next.
    pub kind: ErrorKind,
    /// Stable, lower-case, documented: programs branch on it.
    pub code: &'static str,
    /// One plain sentence without a final period; never a personal value.
    pub detail: String,
    /// What is wrong with which part of the input.
    pub fields: Vec<FieldProblem>,
    /// When trying again can help, in seconds.
    pub retry_after_s: Option<u64>,
    /// Whether the refusal is an entry of the ledger, because it tells something of a customer.
    pub leaves_entry: bool,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The classes of failure a caller can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The input cannot be understood (400).
    BadRequest,
    /// It clashes with what is stored (409).
    Conflict,
    /// Known caller, act not allowed (403).
    Forbidden,
    /// Our fault (500).
    Internal,
    /// Under legal hold (423).
    Locked,
    /// Not there, or not for you to know (404).
    NotFound,
    /// The version moved on (412).
    PreconditionFailed,
    /// Over a size limit (413).
    TooLarge,
    /// A budget or rate is spent (429).
    TooMany,
    /// No valid credential (401).
    Unauthenticated,
    /// Sealed, stalled or damaged: nothing is answered (503).
    Unavailable,
    /// Understood, and refused for what it says (422).
    Unprocessable,
}

/// One problem with one part of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// The field, as the caller named it in a place known to hold no value.
    pub field: String,
    /// Stable code.
    pub code: &'static str,
    /// What is wrong and how to mend it; never the value.
    pub detail: String,
}

impl Error {
    /// An error of a kind with a stable code and a plain sentence.
    pub fn new(kind: ErrorKind, code: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let (fields, retry_after_s, cause) = (Vec::new(), None, None);
        Self { kind, code, detail, fields, retry_after_s, leaves_entry: false, cause }
    }

    /// 400: the input cannot be understood.
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadRequest, code, detail)
    }

    /// 409: it clashes with what is stored.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, code, detail)
    }

    /// 403: not allowed, with the reason in words.
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Forbidden, code, detail)
    }

    /// 404 for everything the caller may not know exists.
    pub fn not_found() -> Self {
        Self::new(ErrorKind::NotFound, "not_found", "there is nothing here for you under this id")
    }

    /// 422: understood and refused, field by field.
    pub fn unprocessable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unprocessable, code, detail)
    }

    /// 503: nothing is answered until someone mends what `detail` says.
    pub fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, code, detail)
    }

    /// 500: the cause goes to the log, the caller gets the request id.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let detail = "something failed on our side; the log has the cause under this request id";
        Self::new(ErrorKind::Internal, "internal", detail).caused_by(cause)
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Adds problems of single fields.
    #[must_use]
    pub fn with_fields(mut self, fields: Vec<FieldProblem>) -> Self {
        self.fields = fields;
        self
    }

    /// Says that this tells something of a customer, so that it does not leave without an entry.
    #[must_use]
    pub fn leaving_entry(mut self) -> Self {
        self.leaves_entry = true;
        self
    }

    /// Says when trying again can help.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The internal cause, for the log only.
    pub fn cause(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        self.cause.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)?;
        for problem in &self.fields {
            write!(f, "; {}: {}", problem.field, problem.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<CryptoError> for Error {
    fn from(cause: CryptoError) -> Self {
        match cause {
            CryptoError::Tampered => {
                let detail = "a stored value does not open where it stands; it was moved, altered \
                              or put back. Nothing is shown; see the findings";
                Self::unavailable("tampered", detail).caused_by(cause)
            }
            CryptoError::Exhausted | CryptoError::Malformed | CryptoError::TooLarge => {
                Self::internal(cause)
            }
        }
    }
}
