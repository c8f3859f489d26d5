//! What a cell holds before it is sealed: encoding version ‖ length as 32 bits ‖ value ‖ zeros.
//!
//! Sizes are 32, 64, 128, 256 and then multiples of 256 bytes, so that a stolen database tells of
//! a name or an e-mail address little more than that it is there.

use super::CELL_SIZE_BYTES_MAX;
use crate::CryptoError;

/// How long a value of this length becomes.
pub(super) fn padded_size_bytes(value_size_bytes: usize) -> usize {
    let needed = value_size_bytes + PREFIX_SIZE_BYTES;
    SMALL_CLASSES_SIZE_BYTES
        .into_iter()
        .find(|class| needed <= *class)
        .unwrap_or(needed.next_multiple_of(CLASS_STEP_SIZE_BYTES))
}

/// Appends the padded value. The caller has checked the limit, and reserved room so that no copy is
/// left behind.
pub(super) fn pad(value: &[u8], out: &mut Vec<u8>) -> Result<(), CryptoError> {
    let size = u32::try_from(value.len()).map_err(|_| CryptoError::TooLarge)?;
    let end = out.len() + padded_size_bytes(value.len());
    out.push(ENCODING_VERSION);
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(value);
    out.resize(end, 0);
    Ok(())
}

/// The value inside a padded cell; only the one form [`pad`] makes is accepted.
pub(super) fn unpad(padded: &[u8]) -> Result<&[u8], CryptoError> {
    let Some((&[ENCODING_VERSION, a, b, c, d], rest)) =
        padded.split_first_chunk::<PREFIX_SIZE_BYTES>()
    else {
        return Err(CryptoError::Tampered);
    };
    let size = usize::try_from(u32::from_be_bytes([a, b, c, d]));
    let size = size.map_err(|_| CryptoError::Tampered)?;
    let (value, zeros) = rest.split_at_checked(size).ok_or(CryptoError::Tampered)?;
    let canonical = padded.len() == padded_size_bytes(size) && zeros.iter().all(|byte| *byte == 0);
    if canonical { Ok(value) } else { Err(CryptoError::Tampered) }
}

/// Whether a cell can have this padded size at all.
pub(super) fn is_padded_size(size_bytes: usize) -> bool {
    SMALL_CLASSES_SIZE_BYTES.contains(&size_bytes)
        || (size_bytes > 0
            && size_bytes.is_multiple_of(CLASS_STEP_SIZE_BYTES)
            && size_bytes <= padded_size_bytes(CELL_SIZE_BYTES_MAX))
}

const SMALL_CLASSES_SIZE_BYTES: [usize; 4] = [32, 64, 128, 256];

const CLASS_STEP_SIZE_BYTES: usize = 256;

const PREFIX_SIZE_BYTES: usize = 5;

/// How a value becomes bytes. Inside the cipher, so that it can change cell by cell.
const ENCODING_VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_at_the_edges_of_the_classes() {
        for (value, padded) in [
            (0, 32),
            (27, 32),
            (28, 64),
            (59, 64),
            (60, 128),
            (123, 128),
            (124, 256),
            (251, 256),
            (252, 512),
            (507, 512),
            (508, 768),
            (CELL_SIZE_BYTES_MAX, 65_792),
        ] {
            assert_eq!(padded_size_bytes(value), padded, "{value}");
            assert!(is_padded_size(padded));
        }
        for no_class in [0, 31, 33, 96, 255, 257, 384, 65_792 + 256] {
            assert!(!is_padded_size(no_class), "{no_class}");
        }
    }

    #[test]
    fn every_value_comes_back() {
        for size in (0..600).chain([CELL_SIZE_BYTES_MAX]) {
            let value = vec![0xab; size];
            let mut padded = Vec::new();
            pad(&value, &mut padded).unwrap();
            assert_eq!(padded.len(), padded_size_bytes(size));
            assert_eq!(unpad(&padded), Ok(value.as_slice()));
        }
    }

    #[test]
    fn only_the_canonical_padding_is_accepted() {
        let mut good = Vec::new();
        pad(b"value", &mut good).unwrap();
        let check = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bad = good.clone();
            change(&mut bad);
            assert_eq!(unpad(&bad), Err(CryptoError::Tampered));
        };
        check(&|bad| bad[0] = 2); // another encoding version
        check(&|bad| bad[1] = 0xff); // a length beyond the cell
        check(&|bad| bad[4] = 28); // a length that needs a larger class
        check(&|bad| bad[4] = 4); // a value cut short: its last byte is in the zeros
        check(&|bad| bad[31] = 1); // something hidden in the zeros
        check(&|bad| bad.resize(64, 0)); // a larger class than needed
        check(&|bad| bad.truncate(4)); // less than a length
        check(&|bad| bad.clear());
    }
}
