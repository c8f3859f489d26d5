//! Clear text in memory. Never printed, compared, copied or serialised by accident.

use zeroize::ZeroizeOnDrop;

use crate::CryptoError;

/// Clear bytes that are wiped when dropped.
///
/// The only way to the bytes is [`Plain::expose`], so that a search for that word finds every
/// place where personal data is read:
///
/// ```
/// let plain = strongroom_crypto::Plain::copy_of(b"a secret");
/// assert_eq!(plain.expose(), b"a secret");
/// ```
///
/// It cannot be printed,
///
/// ```compile_fail,E0277
/// let plain = strongroom_crypto::Plain::copy_of(b"a secret");
/// println!("{plain:?}");
/// ```
///
/// ```compile_fail,E0277
/// let plain = strongroom_crypto::Plain::copy_of(b"a secret");
/// println!("{plain}");
/// ```
///
/// nor cloned,
///
/// ```compile_fail,E0599
/// let plain = strongroom_crypto::Plain::copy_of(b"a secret");
/// let _second = plain.clone();
/// ```
///
/// nor compared in variable time.
///
/// ```compile_fail,E0369
/// let plain = strongroom_crypto::Plain::copy_of(b"a secret");
/// let _same = plain == plain;
/// ```
#[derive(ZeroizeOnDrop)]
pub struct Plain {
    bytes: Vec<u8>,
}

impl Plain {
    /// Takes the bytes over without copying them, spare capacity included: both are wiped later.
    /// What earlier growth of the vector left behind is not; reserve before filling it.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// Copies; wiping the original stays with the caller.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec() }
    }

    /// Shows the clear bytes. Whatever they are copied into is no longer wiped.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }

    /// Shows the clear bytes as text; [`CryptoError::Malformed`] if they are not UTF-8.
    pub fn expose_text(&self) -> Result<&str, CryptoError> {
        // The cause is dropped: a UTF-8 error names a position inside the secret.
        std::str::from_utf8(&self.bytes).map_err(|_| CryptoError::Malformed)
    }

    /// The length, which sealing hides behind a padding class; treat it as personal data.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clear_text_is_wiped_on_drop() {
        // Reading freed memory needs unsafe code; the marker and the wiping `Drop` come from one
        // derive, so neither can be lost alone.
        fn wiped<T: ZeroizeOnDrop>() {}
        wiped::<Plain>();
    }

    #[test]
    fn text_is_shown_only_if_it_is_text() {
        assert_eq!(Plain::copy_of("Zoë".as_bytes()).expose_text(), Ok("Zoë"));
        assert_eq!(Plain::new(vec![0xff]).expose_text(), Err(CryptoError::Malformed));
        assert_eq!(Plain::new(Vec::new()).size_bytes(), 0);
    }
}
