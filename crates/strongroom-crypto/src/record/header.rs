//! The header of a sealed record: in the clear, and bound into everything that follows.

use super::Binding;
use crate::{CryptoError, Decoder, Encoder};

pub(super) struct Header<'a> {
    pub(super) binding: Binding,
    /// The field ids of the cells, strictly increasing.
    pub(super) legend: &'a [u8],
}

impl<'a> Header<'a> {
    pub(super) fn encode(&self, salt: &[u8; SALT_SIZE_BYTES]) -> Encoder {
        let mut encoder = self.encode_binding();
        encoder.bytes(salt).bytes(self.legend);
        encoder
    }

    /// What the salt itself depends on. One item shorter than any header with a salt.
    pub(super) fn encode_without_salt(&self) -> Encoder {
        let mut encoder = self.encode_binding();
        encoder.bytes(self.legend);
        encoder
    }

    /// Reads a header and leaves the decoder behind it. Nothing of it is authenticated yet.
    pub(super) fn decode(sealed: &'a [u8]) -> Result<(Self, Decoder<'a>), CryptoError> {
        let mut decoder = Decoder::new(sealed, LABEL)?;
        if decoder.u8()? != SUITE {
            return Err(CryptoError::Malformed);
        }
        let binding = Binding {
            installation: decoder.array()?,
            customer: decoder.array()?,
            compartment: decoder.array()?,
            dek: decoder.array()?,
            version: decoder.u64()?,
        };
        let _salt: [u8; SALT_SIZE_BYTES] = decoder.array()?;
        let legend = decoder.bytes()?;
        check_legend(legend)?;
        Ok((Self { binding, legend }, decoder))
    }

    fn encode_binding(&self) -> Encoder {
        let mut encoder = Encoder::new(LABEL);
        encoder
            .u8(SUITE)
            .bytes(&self.binding.installation)
            .bytes(&self.binding.customer)
            .bytes(&self.binding.compartment)
            .bytes(&self.binding.dek)
            .u64(self.binding.version);
        encoder
    }
}

/// Strictly increasing, so that one set of fields has one legend, no nonce comes twice,
/// and there are never more than [`super::CELLS_MAX`] cells.
pub(super) fn check_legend(legend: &[u8]) -> Result<(), CryptoError> {
    if legend.is_sorted_by(|earlier, later| earlier < later) {
        return Ok(());
    }
    Err(CryptoError::Malformed)
}

pub(super) const SALT_SIZE_BYTES: usize = 32;

const LABEL: &str = "strongroom/record";

/// HKDF-SHA-256, AES-256-GCM, the padding and the layout of today. Stored; never reuse a number.
const SUITE: u8 = 1;
