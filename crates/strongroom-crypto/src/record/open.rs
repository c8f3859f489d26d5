//! Opening a record, and looking at its header without a key.

use zeroize::Zeroizing;

use super::Binding;
use super::header::Header;
use super::keys::{COMMITMENT_SIZE_BYTES, RecordKeys};
use super::padding::{is_padded_size, unpad};
use crate::aead::TAG_SIZE_BYTES;
use crate::{CryptoError, Plain, SecretKey};

/// Which fields to open. What is not asked for is never decrypted.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// Every field.
    All,
    /// These fields, in any order; those the record does not have are simply not in the answer.
    Only(&'a [u8]),
}

/// Opens a record that must belong exactly where `expected` says.
///
/// Answers the wanted fields in increasing order. Whatever is wrong, anywhere, is one
/// [`CryptoError::Tampered`], and then no value is given out. The header, the legend and the number
/// and form of all cells are always checked; the *content* of a cell is checked only when it is
/// opened, so a damaged cell beside the wanted ones goes unnoticed.
pub fn open_record(
    dek: &SecretKey,
    expected: &Binding,
    sealed: &[u8],
    wanted: Wanted<'_>,
) -> Result<Vec<(u8, Plain)>, CryptoError> {
    let record = SealedRecord::parse(sealed).map_err(|_| CryptoError::Tampered)?;
    if record.header.binding != *expected {
        return Err(CryptoError::Tampered);
    }
    // The commitment comes before any cell: the ciphers' own check does not tell keys apart.
    let keys = RecordKeys::derive(dek, record.header_bytes)?;
    keys.check_commitment(&record.commitment)?;

    let mut opened = Vec::with_capacity(record.cells.len());
    let mut padded = Zeroizing::new(vec![0; record.longest_cell_size_bytes()]);
    for (field, cell) in record.header.legend.iter().zip(&record.cells) {
        if !wanted.includes(*field) {
            continue;
        }
        let size = cell.len().saturating_sub(TAG_SIZE_BYTES);
        let padded = padded.get_mut(..size).ok_or(CryptoError::Tampered)?;
        keys.open_cell(*field, cell, padded)?;
        opened.push((*field, Plain::copy_of(unpad(padded)?)));
    }
    Ok(opened)
}

/// Where a record *says* it belongs. **Nothing is authenticated**: whoever can write to the
/// database chose these bytes. Good for finding the right key and for naming a damaged record,
/// never for deciding; [`CryptoError::Malformed`] if there is no header.
pub fn peek_binding(sealed: &[u8]) -> Result<Binding, CryptoError> {
    Header::decode(sealed).map(|(header, _)| header.binding)
}

/// Which fields a record *says* it has, in increasing order. **Nothing is authenticated**, as with
/// [`peek_binding`].
pub fn peek_fields(sealed: &[u8]) -> Result<Vec<u8>, CryptoError> {
    Header::decode(sealed).map(|(header, _)| header.legend.to_vec())
}

/// A record taken apart, its structure checked, nothing authenticated.
struct SealedRecord<'a> {
    header: Header<'a>,
    header_bytes: &'a [u8],
    commitment: [u8; COMMITMENT_SIZE_BYTES],
    /// One for each field of the legend, in its order.
    cells: Vec<&'a [u8]>,
}

impl<'a> SealedRecord<'a> {
    fn parse(sealed: &'a [u8]) -> Result<Self, CryptoError> {
        let (header, mut decoder) = Header::decode(sealed)?;
        let header_size = sealed.len().saturating_sub(decoder.remaining_size_bytes());
        let header_bytes = sealed.get(..header_size).ok_or(CryptoError::Malformed)?;
        let commitment = decoder.array()?;
        let mut cells = Vec::with_capacity(header.legend.len());
        for _ in header.legend {
            cells.push(parse_cell(decoder.bytes()?)?);
        }
        // A cell that the legend does not name would be left over here.
        decoder.finish()?;
        Ok(Self { header, header_bytes, commitment, cells })
    }

    fn longest_cell_size_bytes(&self) -> usize {
        self.cells.iter().map(|cell| cell.len()).max().unwrap_or(0)
    }
}

impl Wanted<'_> {
    fn includes(&self, field: u8) -> bool {
        match self {
            Self::All => true,
            Self::Only(fields) => fields.contains(&field),
        }
    }
}

/// A cell of a size that sealing never makes is refused even if nobody wants to open it.
fn parse_cell(cell: &[u8]) -> Result<&[u8], CryptoError> {
    match cell.len().checked_sub(TAG_SIZE_BYTES) {
        Some(size) if is_padded_size(size) => Ok(cell),
        _ => Err(CryptoError::Malformed),
    }
}
