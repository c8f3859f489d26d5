//! Pages of a list: a limit, and an opaque cursor instead of a page number, so that nothing is
//! skipped or shown twice while the list changes.

use std::fmt;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use data_encoding::BASE32_NOPAD;
use serde::{Serialize, Serializer};
use utoipa::{IntoParams, ToSchema};

use crate::error::{Error, FieldProblem};

/// Where to go on reading: the position after the last item of a page, in the words of its list.
///
/// Nobody signs it, so a room parses it like any other input; it must hold no personal value.
#[derive(Clone, PartialEq, Eq)]
pub struct Cursor(Vec<u8>);

/// Which part of a list the caller wants: `?limit=` and `?cursor=`.
///
/// Other members of the query are left to the route.
#[derive(Debug, Clone, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// Items on the page at most.
    #[param(minimum = 1, maximum = 200, default = 50, required = false)]
    pub limit: u16,
    /// `next` of the page before; without it the list begins.
    #[param(value_type = Option<String>)]
    pub cursor: Option<Cursor>,
}

/// One page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Page<T> {
    /// In the order of the list.
    pub items: Vec<T>,
    /// The `cursor` of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub next: Option<Cursor>,
}

/// The most items on one page: as many ids as one read may name.
pub const PAGE_ITEMS_MAX: u16 = 200;

/// Room for two ids and two times, which is the longest position of a list.
pub const CURSOR_SIZE_BYTES_MAX: usize = 64;

impl Cursor {
    /// A position; more than [`CURSOR_SIZE_BYTES_MAX`] bytes do not read back.
    pub fn new(position: impl Into<Vec<u8>>) -> Self {
        Self(position.into())
    }

    /// The position, as unchecked as any input.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE32_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Strict, so one position has one spelling.
impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes = BASE32_NOPAD.decode(text.as_bytes()).ok();
        match bytes.filter(|bytes| !bytes.is_empty() && bytes.len() <= CURSOR_SIZE_BYTES_MAX) {
            Some(bytes) => Ok(Self(bytes)),
            None => Err(bad_cursor()),
        }
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Error> {
        read(parts.uri.query().unwrap_or_default())
    }
}

/// Neither value needs percent-encoding, so an encoded one is refused like any other nonsense.
pub(crate) fn read(query: &str) -> Result<Paging, Error> {
    let mut limit = None;
    let mut cursor = None;
    for pair in query.split('&') {
        match pair.split_once('=').unwrap_or((pair, "")) {
            ("limit", _) if limit.is_some() => return Err(bad_limit("is given twice")),
            ("limit", text) => limit = Some(read_limit(text)?),
            ("cursor", _) if cursor.is_some() => return Err(bad_cursor()),
            ("cursor", text) => cursor = Some(text.parse()?),
            _ => {}
        }
    }
    Ok(Paging { limit: limit.unwrap_or(PAGE_ITEMS_DEFAULT), cursor })
}

fn read_limit(text: &str) -> Result<u16, Error> {
    // `parse` would take a plus sign.
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(limit) if is_number && (1..=PAGE_ITEMS_MAX).contains(&limit) => Ok(limit),
        _ => Err(bad_limit(&format!("must be a whole number from 1 to {PAGE_ITEMS_MAX}"))),
    }
}

fn bad_limit(detail: &str) -> Error {
    refuse("bad_limit", "limit", detail)
}

fn bad_cursor() -> Error {
    let detail = "must be `next` of the page before, unchanged, or absent for the first page";
    refuse("bad_cursor", "cursor", detail)
}

fn refuse(code: &'static str, field: &str, detail: &str) -> Error {
    let problem = FieldProblem { field: field.to_owned(), code, detail: detail.to_owned() };
    Error::bad_request(code, format!("`{field}` {detail}")).with_fields(vec![problem])
}

const PAGE_ITEMS_DEFAULT: u16 = 50;
