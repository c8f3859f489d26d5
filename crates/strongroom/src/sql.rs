//! Values, rows and statements as both engines understand them.

use crate::error::Error;

/// One column or parameter. Nulls are typed because PostgreSQL must know a parameter's type.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// BYTEA or BLOB.
    Bytes(Vec<u8>),
    /// BIGINT; times in ms UTC, booleans 0 and 1.
    Integer(i64),
    /// An absent value of the given type.
    Null(NullOf),
    /// TEXT.
    Text(String),
}

/// The type an absent value would have had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NullOf {
    /// BYTEA or BLOB.
    Bytes,
    /// BIGINT.
    Integer,
    /// TEXT.
    Text,
}

/// One row, owned: no cursor of a database outlives the call that read it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row(pub(crate) Vec<Value>);

/// A fixed text with numbered parameters (`$1`, `$2`, …) and what stands in for them.
#[derive(Debug, Clone)]
pub struct Statement {
    pub(crate) sql: &'static str,
    pub(crate) args: Vec<Value>,
    pub(crate) touches: Option<i64>,
}

impl Statement {
    /// `sql` is a constant of a room's store, in the subset both engines share.
    pub fn new(sql: &'static str, args: Vec<Value>) -> Self {
        Self { sql, args, touches: None }
    }

    /// Says whose row it writes, by row key: what is known of that customer in memory is read again
    /// before the answer leaves.
    #[must_use]
    pub fn touching(mut self, customer: i64) -> Self {
        self.touches = Some(customer);
        self
    }

    /// About how much memory it takes.
    pub(crate) fn size_bytes(&self) -> usize {
        let held = self.args.iter().map(|value| match value {
            Value::Bytes(bytes) => bytes.len(),
            Value::Text(text) => text.len(),
            Value::Integer(_) | Value::Null(_) => 0,
        });
        let fixed = size_of::<Self>() + size_of_val(self.args.as_slice());
        held.fold(fixed, usize::saturating_add)
    }

    /// Whether it only asks.
    pub(crate) fn is_question(&self) -> bool {
        self.sql.starts_with("SELECT")
    }
}

impl Row {
    /// The integer in this column, counted from 0.
    pub fn integer(&self, column: usize) -> Result<i64, Error> {
        match self.0.get(column) {
            Some(Value::Integer(value)) => Ok(*value),
            _ => Err(unexpected(column, "an integer")),
        }
    }

    /// The text in this column, counted from 0.
    pub fn text(&self, column: usize) -> Result<&str, Error> {
        match self.0.get(column) {
            Some(Value::Text(value)) => Ok(value),
            _ => Err(unexpected(column, "a text")),
        }
    }

    /// The bytes in this column, counted from 0.
    pub fn bytes(&self, column: usize) -> Result<&[u8], Error> {
        match self.0.get(column) {
            Some(Value::Bytes(value)) => Ok(value),
            _ => Err(unexpected(column, "bytes")),
        }
    }

    /// Exactly `N` bytes in this column.
    pub fn array<const N: usize>(&self, column: usize) -> Result<[u8; N], Error> {
        self.bytes(column)?.try_into().map_err(|_| unexpected(column, "bytes of another length"))
    }

    /// The integer in this column, or nothing where it is null.
    pub fn optional_integer(&self, column: usize) -> Result<Option<i64>, Error> {
        match self.0.get(column) {
            Some(Value::Null(_)) => Ok(None),
            _ => self.integer(column).map(Some),
        }
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(value: [u8; N]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(value: &[u8; N]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        value.map_or(Self::Null(NullOf::Integer), Self::Integer)
    }
}

fn unexpected(column: usize, wanted: &str) -> Error {
    Error::internal(format!("column {column} of a row does not hold {wanted}"))
}
