//! Base64 with one spelling for each value.

use data_encoding::BASE64;

/// Decodes standard base64 with padding (RFC 4648 section 4) and refuses every text that `encode`
/// would not write. The library alone is not enough: it refuses stray bits, but accepts padded
/// pieces one after another (`AA==AA==`), by which anyone could respell a signed note.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let bytes = BASE64.decode(text.as_bytes()).ok()?;
    (encode(&bytes) == text).then_some(bytes)
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}
