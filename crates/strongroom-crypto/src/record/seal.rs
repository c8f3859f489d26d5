//! Sealing a record.

use zeroize::Zeroizing;

use super::header::{Header, SALT_SIZE_BYTES, check_legend};
use super::keys::RecordKeys;
use super::padding::{pad, padded_size_bytes};
use super::salt::hedged_salt;
use super::{Binding, CELL_SIZE_BYTES_MAX};
use crate::aead::TAG_SIZE_BYTES;
use crate::{CryptoError, Random, SecretKey};

/// One value to be sealed. Holds clear text and therefore has no `Debug`.
#[derive(Clone, Copy)]
pub struct Cell<'a> {
    /// The field's number from the registry of fields; never one that meant another field once.
    pub field: u8,
    /// The clear value, at most [`CELL_SIZE_BYTES_MAX`].
    pub value: &'a [u8],
}

/// Seals all values of one customer in one compartment.
///
/// The cells come with strictly increasing fields, else [`CryptoError::Malformed`]; a value beyond
/// the limit is [`CryptoError::TooLarge`]. No cells at all is a valid record. The result opens only
/// under `dek` and with an equal `binding`; its length tells the number of fields and the padding
/// class of each value, and the field numbers can be read by anybody.
pub fn seal_record(
    dek: &SecretKey,
    random: &dyn Random,
    binding: &Binding,
    cells: &[Cell<'_>],
) -> Result<Vec<u8>, CryptoError> {
    let legend: Vec<u8> = cells.iter().map(|cell| cell.field).collect();
    check_legend(&legend)?;
    let header = Header { binding: *binding, legend: &legend };
    let padded = PaddedCells::new(cells)?;
    let salt = hedged_salt(dek, random, &header, &padded.bytes)?;
    seal_with_salt(dek, &header, &salt, &padded)
}

/// The texts of a record as they are sealed, wiped when dropped.
pub(super) struct PaddedCells {
    bytes: Zeroizing<Vec<u8>>,
    sizes_bytes: Vec<usize>,
}

impl PaddedCells {
    pub(super) fn new(cells: &[Cell<'_>]) -> Result<Self, CryptoError> {
        // Before anything is reserved, so that a huge value costs nothing.
        if cells.iter().any(|cell| cell.value.len() > CELL_SIZE_BYTES_MAX) {
            return Err(CryptoError::TooLarge);
        }
        let sizes_bytes: Vec<usize> =
            cells.iter().map(|cell| padded_size_bytes(cell.value.len())).collect();
        // INVARIANT: never grows again, as growing would leave clear text in freed memory.
        let mut bytes = Zeroizing::new(Vec::with_capacity(sizes_bytes.iter().sum()));
        for cell in cells {
            pad(cell.value, &mut bytes)?;
        }
        Ok(Self { bytes, sizes_bytes })
    }
}

/// INVARIANT: `salt` is that of [`hedged_salt`] for exactly these cells; with any other choice one
/// key and nonce can meet two texts.
pub(super) fn seal_with_salt(
    dek: &SecretKey,
    header: &Header<'_>,
    salt: &[u8; SALT_SIZE_BYTES],
    padded: &PaddedCells,
) -> Result<Vec<u8>, CryptoError> {
    let mut encoder = header.encode(salt);
    let keys = RecordKeys::derive(dek, encoder.as_bytes())?;
    // All but the tags: growing copies nothing but ciphertext.
    encoder.reserve(padded.bytes.len());
    encoder.bytes(keys.commitment());

    let mut sealed = Vec::new();
    let mut rest = padded.bytes.as_slice();
    for (field, size) in header.legend.iter().zip(&padded.sizes_bytes) {
        let (cell, later) = rest.split_at_checked(*size).ok_or(CryptoError::Malformed)?;
        sealed.resize(size + TAG_SIZE_BYTES, 0);
        keys.seal_cell(*field, cell, &mut sealed)?;
        encoder.bytes(&sealed);
        rest = later;
    }
    Ok(encoder.finish())
}
