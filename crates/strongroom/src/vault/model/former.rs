//! Data keys a customer had before a rotation gave them others.

use strongroom_crypto::{CryptoError, Decoder, Encoder};

/// A data key that another one took the place of. It stands sealed in the core, so that an erasure
/// names every key there ever was, whatever happens to rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::vault) struct Former {
    /// The compartment or shelf it sealed; all zero for the core.
    pub(in crate::vault) compartment: [u8; 16],
    pub(in crate::vault) dek: [u8; 16],
}

pub(super) fn encode(formers: &[Former]) -> Vec<u8> {
    let mut encoder = Encoder::new("core/formers");
    encoder.u32(super::count(formers.len()));
    for former in formers {
        encoder.bytes(&former.compartment).bytes(&former.dek);
    }
    encoder.finish()
}

pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Former>, CryptoError> {
    let mut decoder = Decoder::new(bytes, "core/formers")?;
    let mut formers = Vec::new();
    for _ in 0..decoder.u32()? {
        formers.push(Former { compartment: decoder.array()?, dek: decoder.array()? });
    }
    decoder.finish()?;
    Ok(formers)
}
