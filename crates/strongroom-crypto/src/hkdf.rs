//! HKDF-Expand (RFC 5869, section 2.3) with SHA-256.
//!
//! There is no extract step: every key here is already uniform (generated, or expanded from one
//! that was), which is the case RFC 5869, section 3.3, lets skip it.

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk};

use crate::CryptoError;

/// Fills `out`, at most 255 × 32 bytes, else [`CryptoError::TooLarge`]. `info` must be injective.
pub(crate) fn expand(key: &[u8; 32], info: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
    let size = OutputSize(out.len());
    Prk::new_less_safe(HKDF_SHA256, key)
        .expand(&[info], size)
        .and_then(|output| output.fill(out))
        .map_err(|_| CryptoError::TooLarge)
}

struct OutputSize(usize);

impl KeyType for OutputSize {
    fn len(&self) -> usize {
        self.0
    }
}
