//! What sealing a record is measured against: the cipher alone, once for each value. Nothing the product uses.

use crate::aead::{Aead, TAG_SIZE_BYTES};
use crate::{CryptoError, Random, SecretKey, random_array};

/// AES-256-GCM, bare.
pub struct BareCipher(Aead);

impl BareCipher {
    /// Under this key, for as many values as are sealed.
    pub fn new(key: &SecretKey) -> Result<Self, CryptoError> {
        Aead::gcm(key.expose_bytes()).map(Self)
    }

    /// Each value with a nonce drawn for it, one behind the other.
    pub fn seal_each(
        &self,
        random: &dyn Random,
        values: &[Vec<u8>],
    ) -> Result<Vec<u8>, CryptoError> {
        let size = values.iter().map(|value| NONCE + value.len() + TAG_SIZE_BYTES).sum();
        let mut sealed = vec![0; size];
        let mut rest = sealed.as_mut_slice();
        for value in values {
            let nonce = random_array::<NONCE>(random)?;
            let (own, behind) = rest
                .split_at_mut_checked(NONCE + value.len() + TAG_SIZE_BYTES)
                .ok_or(CryptoError::TooLarge)?;
            let (head, text) = own.split_at_mut_checked(NONCE).ok_or(CryptoError::TooLarge)?;
            head.copy_from_slice(&nonce);
            self.0.seal(nonce, &[], value, text)?;
            rest = behind;
        }
        Ok(sealed)
    }
}

const NONCE: usize = crate::aead::NONCE_SIZE_BYTES;
