//! The key of one record, its commitment, and how each cell uses it.

use zeroize::Zeroizing;

use crate::aead::{Aead, NONCE_SIZE_BYTES};
use crate::{CryptoError, SecretKey, constant_time_eq, hkdf, sha256};

/// Everything derived from one data key and one header.
pub(super) struct RecordKeys {
    aead: Aead,
    commitment: [u8; COMMITMENT_SIZE_BYTES],
    header_hash: [u8; 32],
}

impl RecordKeys {
    /// `okm = HKDF-Expand(DEK, INFO_PREFIX ‖ SHA-256(header), 64)`: key, then commitment. The
    /// prefix has one length only, so plain concatenation is injective here.
    pub(super) fn derive(dek: &SecretKey, header: &[u8]) -> Result<Self, CryptoError> {
        let header_hash = sha256(&[header]);
        let mut okm = Zeroizing::new([[0; 32]; 2]);
        let info = [INFO_PREFIX, header_hash.as_slice()].concat();
        hkdf::expand(dek.expose_bytes(), &info, okm.as_flattened_mut())?;
        let [key, commitment] = &*okm;
        Ok(Self { aead: Aead::gcm(key)?, commitment: *commitment, header_hash })
    }

    /// To be stored; reveals nothing about the key beside it.
    pub(super) fn commitment(&self) -> &[u8; COMMITMENT_SIZE_BYTES] {
        &self.commitment
    }

    /// Whether the stored commitment is that of this data key and header. It is a MAC over the
    /// header as well: without it an empty record would open anywhere.
    pub(super) fn check_commitment(&self, stored: &[u8]) -> Result<(), CryptoError> {
        if constant_time_eq(&self.commitment, stored) {
            return Ok(());
        }
        Err(CryptoError::Tampered)
    }

    pub(super) fn seal_cell(
        &self,
        field: u8,
        padded: &[u8],
        out: &mut [u8],
    ) -> Result<(), CryptoError> {
        self.aead.seal(nonce(field), &self.aad(field), padded, out)
    }

    pub(super) fn open_cell(
        &self,
        field: u8,
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<(), CryptoError> {
        self.aead.open(nonce(field), &self.aad(field), sealed, out)
    }

    /// The nonce already binds the field and the key binds the header; the data repeats both, so
    /// that binding rests on two legs.
    fn aad(&self, field: u8) -> [u8; 36] {
        let mut aad = [0; 36];
        let (hash, number) = aad.split_at_mut(self.header_hash.len());
        hash.copy_from_slice(&self.header_hash);
        number.copy_from_slice(&u32::from(field).to_be_bytes());
        aad
    }
}

/// 64 zero bits ‖ the field id as 32 bits, big-endian.
///
/// INVARIANT: a key never meets one nonce twice. The key belongs to one header, whose salt depends
/// on every text of the record, and the legend names each field once.
fn nonce(field: u8) -> [u8; NONCE_SIZE_BYTES] {
    let [a, b, c, d] = u32::from(field).to_be_bytes();
    [0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]
}

pub(super) const COMMITMENT_SIZE_BYTES: usize = 32;

const INFO_PREFIX: &[u8] = b"strongroom/record/v1";
