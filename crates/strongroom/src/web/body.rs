//! JSON bodies: bounded, strict, and never repeated in an error.
//!
//! serde's messages quote what was sent, so they are read for their kind and then dropped; a caller
//! learns the line, the column and the kind of problem. Names in an answer come from our own types
//! alone.
//!
//! The buffer that holds a body is wiped. What hyper read from the socket and serde_json's scratch
//! for strings with escapes are beyond our reach.

use std::borrow::Cow;
use std::fmt;
use std::str::from_utf8;

use axum::body::HttpBody;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http_body_util::BodyExt;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess};
use serde_json::error::Category;
use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, ErrorKind, FieldProblem};

/// A JSON object of at most `SIZE_BYTES_MAX` bytes, read into `T`.
///
/// Refused with a code of their own: another content type, too many bytes, broken or truncated JSON,
/// nesting below [`BODY_DEPTH_MAX`], a member named twice at any depth, wrong types. Unknown members
/// are refused where `T` says `#[serde(deny_unknown_fields)]`, which every request type must.
pub struct Body<T, const SIZE_BYTES_MAX: usize = BODY_SIZE_BYTES_MAX>(pub T);

/// The most a call may send: 200 ids or a customer with every field at its limit, several times over.
pub const BODY_SIZE_BYTES_MAX: usize = 256 * 1024;

/// The most that a chunk of an import or a batch of 1,000 writes may hold; named by those routes.
pub const CHUNK_SIZE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// No request of ours nests below 8; deeper ones only cost stack.
pub const BODY_DEPTH_MAX: usize = 16;

impl<S, T, const SIZE_BYTES_MAX: usize> FromRequest<S> for Body<T, SIZE_BYTES_MAX>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Error;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Error> {
        check_content_type(request.headers())?;
        let text = read(request.into_body(), SIZE_BYTES_MAX).await?;
        parse(&text).map(Self)
    }
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Error> {
    let mut kinds = headers.get_all(CONTENT_TYPE).iter();
    let kind = kinds.next().and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let (essence, parameter) = match kind.split_once(';') {
        Some((essence, parameter)) => (essence.trim(), parameter.trim()),
        None => (kind.trim(), ""),
    };
    let is_utf8 = parameter.is_empty()
        || parameter.eq_ignore_ascii_case("charset=utf-8")
        || parameter.eq_ignore_ascii_case("charset=\"utf-8\"");
    let is_json = essence.eq_ignore_ascii_case("application/json") && is_utf8;
    if !is_json || kinds.next().is_some() || headers.contains_key(CONTENT_ENCODING) {
        let detail = "send the body as `Content-Type: application/json`, in UTF-8, not compressed";
        return Err(Error::bad_request("unsupported_media_type", detail));
    }
    Ok(())
}

/// A whole body of at most so many bytes, in a buffer that is wiped.
pub async fn read(
    mut body: axum::body::Body,
    size_bytes_max: usize,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    // The announced length: a body that admits to be too large is not read at all.
    if body.size_hint().lower() > u64::try_from(size_bytes_max).unwrap_or(u64::MAX) {
        return Err(too_large(size_bytes_max));
    }
    let mut text = Zeroizing::new(Vec::with_capacity(FIRST_BYTES.min(size_bytes_max)));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| {
            Error::bad_request("body_cut_short", "the body ended before its announced length")
        })?;
        // Trailers are of no use to us.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if data.len() > size_bytes_max.saturating_sub(text.len()) {
            return Err(too_large(size_bytes_max));
        }
        append(&mut text, &data);
    }
    Ok(text)
}

/// Grows by moving into a new buffer: `Vec` would free the old one with the body still in it.
fn append(text: &mut Zeroizing<Vec<u8>>, data: &[u8]) {
    let size = text.len().saturating_add(data.len());
    if size > text.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(size.saturating_mul(2)));
        larger.extend_from_slice(text);
        *text = larger;
    }
    text.extend_from_slice(data);
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::bad_request("bad_json", "the body is empty"));
    }
    let text = from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to().saturating_add(1);
        Error::bad_request("bad_json", format!("byte {at} of the body is not UTF-8"))
    })?;
    // Types see neither a member twice in a map nor how deep an ignored value goes, so the form is
    // walked before they are.
    let mut walk = serde_json::Deserializer::from_str(text);
    Form { depth_left: BODY_DEPTH_MAX }.deserialize(&mut walk).map_err(|e| refuse(&e))?;
    walk.end().map_err(|error| refuse(&error))?;
    // serde would also fill a type from an array, member by member in the order of its source text.
    if !text.trim_start().starts_with('{') {
        return Err(Error::bad_request("bad_type", "the body is not a JSON object"));
    }
    serde_json::from_str(text).map_err(|error| refuse(&error))
}

/// From serde's message to ours. The message may quote the caller and is wiped.
fn refuse(error: &serde_json::Error) -> Error {
    let at = format!("line {}, column {}", error.line(), error.column());
    let message = Zeroizing::new(error.to_string());
    match error.classify() {
        Category::Eof => {
            return Error::bad_request(
                "bad_json",
                format!("the body ends at {at}, inside a value"),
            );
        }
        Category::Io | Category::Syntax => {
            return Error::bad_request("bad_json", format!("the body is not JSON at {at}"));
        }
        Category::Data => {}
    }
    if message.starts_with(TOO_DEEP) {
        let detail = format!("the body nests below {BODY_DEPTH_MAX} levels at {at}");
        return Error::bad_request("bad_json", detail);
    }
    if message.starts_with(TWICE) || message.starts_with("duplicate field") {
        let detail = format!("the object that ends at {at} names a member twice");
        return Error::bad_request("duplicate_member", detail);
    }
    if message.starts_with("unknown field") {
        let known = known_members(&message)
            .map_or(String::new(), |known| format!("; known there: {}", known.join(", ")));
        let detail = format!("the member named at {at} is not known{known}");
        return Error::bad_request("unknown_member", detail);
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        let detail = format!("the object that ends at {at} lacks a member");
        let missing = Error::bad_request("missing_member", detail);
        return match rest.split(' ').next().and_then(member_name) {
            Some(name) => missing.with_fields(vec![FieldProblem {
                field: name.to_owned(),
                code: "missing",
                detail: "is needed here".to_owned(),
            }]),
            None => missing,
        };
    }
    if message.starts_with("invalid type") {
        let detail = format!("the value that ends at {at} has another JSON type than is needed");
        return Error::bad_request("bad_type", detail);
    }
    Error::new(
        ErrorKind::BadRequest,
        "bad_value",
        format!("the value that ends at {at} is refused"),
    )
}

/// The names serde lists after an unknown one. They come last and from our types; whatever does not
/// read as exactly that list, because the unknown name imitates one, is not told.
fn known_members(message: &str) -> Option<Vec<&str>> {
    let (message, _place) = message.rsplit_once(" at line ")?;
    let (_unknown, list) = message.rsplit_once("`, expected ")?;
    let list = list.strip_prefix("one of ").unwrap_or(list);
    list.split(", ").flat_map(|names| names.split(" or ")).map(member_name).collect()
}

/// A name in backticks that can be one of a type of ours.
fn member_name(quoted: &str) -> Option<&str> {
    let name = quoted.strip_prefix('`')?.strip_suffix('`')?;
    let is_ours = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (!name.is_empty() && name.len() <= NAME_SIZE_BYTES_MAX && name.bytes().all(is_ours))
        .then_some(name)
}

fn too_large(size_bytes_max: usize) -> Error {
    let detail = format!("the body is larger than {size_bytes_max} bytes; send it in parts");
    Error::new(ErrorKind::TooLarge, "body_too_large", detail)
}

/// Walks any JSON value and keeps nothing but the names of the objects it stands in.
#[derive(Clone, Copy)]
struct Form {
    depth_left: usize,
}

impl Form {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { depth_left }),
            None => Err(E::custom(TOO_DEEP)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Form {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> de::Visitor<'de> for Form {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut names = Vec::new();
        while let Some(name) = members.next_key_seed(NameSeed)? {
            names.push(name);
            members.next_value_seed(inner)?;
        }
        // Sorting costs n log n whatever the names are; no caller can choose them to be slow.
        names.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let is_twice = names.iter().zip(names.iter().skip(1)).any(|(one, next)| one.0 == next.0);
        if is_twice { Err(de::Error::custom(TWICE)) } else { Ok(()) }
    }
}

/// A member's name, borrowed from the body, or unescaped and then wiped.
struct Name<'de>(Cow<'de, str>);

impl Drop for Name<'_> {
    fn drop(&mut self) {
        if let Cow::Owned(name) = &mut self.0 {
            name.zeroize();
        }
    }
}

struct NameSeed;

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Name<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name<'de>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> de::Visitor<'de> for NameSeed {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Borrowed(name)))
    }

    fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Owned(name.to_owned())))
    }
}

/// Most bodies are smaller; an announced length alone must not make us set memory aside.
const FIRST_BYTES: usize = 4 * 1024;
/// No member of ours has a longer name.
const NAME_SIZE_BYTES_MAX: usize = 64;
const TOO_DEEP: &str = "strongroom: nests too deep";
const TWICE: &str = "strongroom: names a member twice";
