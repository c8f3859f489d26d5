//! HMAC-SHA-256 (RFC 2104) over bytes that the caller has made unambiguous.

use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key};

/// The tag over the parts written one after another; where they join is the caller's concern.
///
/// The key context lives only inside this call and is wiped by the library when it ends.
pub(crate) fn hmac_sha256<'a>(key: &[u8], parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut context = Context::with_key(&Key::new(HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    // INVARIANT: an HMAC-SHA-256 tag is 32 bytes.
    out.copy_from_slice(context.sign().as_ref());
    out
}
