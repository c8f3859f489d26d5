//! The two ciphers, behind one shape: seal into a buffer, open into a buffer.
//!
//! Nothing here chooses a nonce. The callers do, and each says why its choice is safe.

use aws_lc_rs::aead::{
    AES_256_GCM, AES_256_GCM_SIV, Aad, Algorithm, LessSafeKey, NONCE_LEN, Nonce, UnboundKey,
};

use crate::CryptoError;

/// One AES-256 key, set up for one cipher; the library wipes it when dropped.
pub(crate) struct Aead {
    key: LessSafeKey,
}

impl Aead {
    /// AES-256-GCM: a nonce must never serve two texts under one key.
    pub(crate) fn gcm(key: &[u8; 32]) -> Result<Self, CryptoError> {
        Self::with_algorithm(&AES_256_GCM, key)
    }

    /// AES-256-GCM-SIV (RFC 8452): a repeated nonce shows only whether two texts are the same.
    pub(crate) fn gcm_siv(key: &[u8; 32]) -> Result<Self, CryptoError> {
        Self::with_algorithm(&AES_256_GCM_SIV, key)
    }

    /// Writes ciphertext and tag to `out`, which must be exactly [`TAG_SIZE_BYTES`] longer than
    /// `plain`. Not in place, so that `out` never holds clear text, whatever fails.
    pub(crate) fn seal(
        &self,
        nonce: [u8; NONCE_SIZE_BYTES],
        aad: &[u8],
        plain: &[u8],
        out: &mut [u8],
    ) -> Result<(), CryptoError> {
        let (ciphertext, tag) =
            out.split_at_mut_checked(plain.len()).ok_or(CryptoError::TooLarge)?;
        self.key
            .seal_out_of_place_scatter(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(aad),
                plain,
                ciphertext,
                &[],
                tag,
            )
            .map_err(|_| CryptoError::TooLarge)
    }

    /// Writes the clear text to `out`, which must be exactly [`TAG_SIZE_BYTES`] shorter than
    /// `sealed`. On an error `out` holds nothing of worth and must not be read.
    pub(crate) fn open(
        &self,
        nonce: [u8; NONCE_SIZE_BYTES],
        aad: &[u8],
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<(), CryptoError> {
        let (ciphertext, tag) =
            sealed.split_last_chunk::<TAG_SIZE_BYTES>().ok_or(CryptoError::Tampered)?;
        self.key
            .open_separate_gather(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(aad),
                ciphertext,
                tag,
                out,
            )
            .map_err(|_| CryptoError::Tampered)
    }

    fn with_algorithm(algorithm: &'static Algorithm, key: &[u8; 32]) -> Result<Self, CryptoError> {
        let key = UnboundKey::new(algorithm, key).map_err(|_| CryptoError::Malformed)?;
        Ok(Self { key: LessSafeKey::new(key) })
    }
}

/// 96 bits, the only nonce size that both ciphers take here.
pub(crate) const NONCE_SIZE_BYTES: usize = NONCE_LEN;

/// 128 bits, never truncated.
pub(crate) const TAG_SIZE_BYTES: usize = 16;
