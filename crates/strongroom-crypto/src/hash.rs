//! SHA-256, at once or in pieces. For public bytes: nothing here is wiped.

use aws_lc_rs::digest::{Context, Digest, SHA256, digest};

/// SHA-256 (FIPS 180-4) of the parts written one after another.
///
/// Plain concatenation is **not injective**: `["ab", "c"]` and `["a", "bc"]` hash alike. Fix the
/// sizes of all parts but one, or hash what an [`crate::Encoder`] made.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    // One part is the hot path of the log and needs no context of its own.
    if let [only] = parts {
        return to_array(&digest(&SHA256, only));
    }
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finish()
}

/// SHA-256 of a stream; like [`sha256`], it does not mark where one piece ends.
#[derive(Clone)]
pub struct Sha256 {
    context: Context,
}

impl Sha256 {
    /// The hash of nothing so far.
    #[must_use]
    pub fn new() -> Self {
        Self { context: Context::new(&SHA256) }
    }

    /// Appends bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    /// The hash of all that was appended.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        to_array(&self.context.finish())
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

fn to_array(digest: &Digest) -> [u8; 32] {
    let mut out = [0; 32];
    // INVARIANT: a SHA-256 digest is 32 bytes.
    out.copy_from_slice(digest.as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hashes() {
        // FIPS 180-4 examples: the empty message and "abc".
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(&sha256(&[])), empty);
        assert_eq!(hex(&sha256(&[b""])), empty);
        assert_eq!(hex(&sha256(&[b"abc"])), abc);
        assert_eq!(hex(&sha256(&[b"a", b"", b"bc"])), abc);
    }

    #[test]
    fn a_stream_hashes_like_its_whole() {
        let mut hash = Sha256::default();
        hash.update(b"a");
        hash.update(b"bc");
        assert_eq!(hash.finish(), sha256(&[b"abc"]));
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
