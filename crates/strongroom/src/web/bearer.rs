//! The caller's API key, as `Authorization: Bearer …` carries it (RFC 6750, section 2.1).

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};

/// A credential nobody has checked yet. Wiped when dropped; it has no `Debug` on purpose.
pub struct BearerToken(Zeroizing<String>);

impl BearerToken {
    /// The text itself, for whoever checks it. Never log it and never put it into an error.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Fails with `no_credential` or `bad_credential`, both 401, and never says what was sent.
impl<S: Send + Sync> FromRequestParts<S> for BearerToken {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Error> {
        read(&parts.headers)
    }
}

fn read(headers: &HeaderMap) -> Result<BearerToken, Error> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        let detail = "this call needs an API key: send it as `Authorization: Bearer sr_live_…`";
        return Err(Error::new(ErrorKind::Unauthenticated, "no_credential", detail));
    };
    // Two headers are two callers; choosing one would be guessing.
    if values.next().is_some() {
        return Err(bad_credential());
    }
    let text = value.to_str().map_err(|_| bad_credential())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(bad_credential)?;
    let is_token = token.len() <= TOKEN_SIZE_BYTES_MAX
        && !token.trim_end_matches('=').is_empty()
        && token.trim_end_matches('=').bytes().all(is_token_byte);
    if !scheme.eq_ignore_ascii_case("Bearer") || !is_token {
        return Err(bad_credential());
    }
    Ok(BearerToken(Zeroizing::new(token.to_owned())))
}

/// The bytes of a header as a credential, for the fuzzer; `None` where no header can hold them.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn of_header(bytes: &[u8]) -> Option<Result<BearerToken, Error>> {
    let value = axum::http::HeaderValue::from_bytes(bytes).ok()?;
    Some(read(&HeaderMap::from_iter([(AUTHORIZATION, value)])))
}

/// `b64token` of RFC 6750, without its trailing `=`.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte)
}

fn bad_credential() -> Error {
    let detail = "the Authorization header does not have the form `Bearer sr_live_…`";
    Error::new(ErrorKind::Unauthenticated, "bad_credential", detail)
}

/// Six times the length of our keys; longer texts are not worth hashing.
const TOKEN_SIZE_BYTES_MAX: usize = 512;
