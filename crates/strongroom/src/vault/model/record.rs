//! Records: where they stand, and what each says about itself.

use std::collections::BTreeMap;

use strongroom_crypto::{CryptoError, Decoder, Encoder, sha256};

/// The records of one kind whose life ends in one year. They share a key, and die together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::vault) struct Shelf {
    /// Random; the compartment that the records are sealed in.
    pub(in crate::vault) id: [u8; 16],
    /// A record of the policy, by name.
    pub(in crate::vault) kind: String,
    /// The last year of their life, where the business is.
    pub(in crate::vault) end_year: i16,
    /// The key that seals them.
    pub(in crate::vault) dek: [u8; 16],
    /// How many stand here.
    pub(in crate::vault) count: u32,
    /// Over the id and the hash of each.
    pub(in crate::vault) digest: [u8; 32],
}

/// The records of a shelf: id to the hash of what is sealed.
pub(in crate::vault) type Rows = BTreeMap<[u8; 16], [u8; 32]>;

impl Shelf {
    /// Takes in what stands on it now.
    pub(in crate::vault) fn stock(&mut self, rows: &Rows) {
        self.count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        self.digest = digest(rows);
    }

    /// Whether exactly these stand on it.
    pub(in crate::vault) fn holds(&self, rows: &Rows) -> bool {
        self.digest == digest(rows)
    }
}

/// A plain hash over all of them in order, not a sum of MACs that could be solved for: whoever sees
/// many old versions of rows must not find a set of them with the sum of today's.
fn digest(rows: &Rows) -> [u8; 32] {
    let mut encoder = Encoder::new("shelf");
    for (id, hash) in rows {
        encoder.bytes(id).bytes(hash);
    }
    sha256(&[&encoder.finish()])
}

pub(super) fn encode_shelves(shelves: &[Shelf]) -> Vec<u8> {
    let mut encoder = Encoder::new("core/shelves");
    encoder.u32(u32::try_from(shelves.len()).unwrap_or(u32::MAX));
    for shelf in shelves {
        let year = u32::try_from(shelf.end_year).unwrap_or(0);
        encoder.bytes(&shelf.id).text(&shelf.kind).u32(year);
        encoder.bytes(&shelf.dek).u32(shelf.count).bytes(&shelf.digest);
    }
    encoder.finish()
}

pub(super) fn decode_shelves(bytes: &[u8]) -> Result<Vec<Shelf>, CryptoError> {
    let mut decoder = Decoder::new(bytes, "core/shelves")?;
    let mut shelves = Vec::new();
    for _ in 0..decoder.u32()? {
        let (id, kind) = (decoder.array()?, decoder.text()?.to_owned());
        let end_year = i16::try_from(decoder.u32()?).map_err(|_| CryptoError::Malformed)?;
        let (dek, count, digest) = (decoder.array()?, decoder.u32()?, decoder.array()?);
        shelves.push(Shelf { id, kind, end_year, dek, count, digest });
    }
    decoder.finish()?;
    Ok(shelves)
}

/// What a record says about itself, sealed beside its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::vault) struct About {
    /// Its own id, so that it opens under no other.
    pub(in crate::vault) id: [u8; 16],
    /// The day it was issued, as in `2026-11-21`.
    pub(in crate::vault) issued: String,
    /// Whether it was fixed when it was issued: a later policy does not loosen it.
    pub(in crate::vault) fixed: bool,
    /// The record it corrects.
    pub(in crate::vault) corrects: Option<[u8; 16]>,
}

impl About {
    pub(in crate::vault) fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new("record/about");
        encoder.bytes(&self.id).text(&self.issued).u8(u8::from(self.fixed));
        encoder.bytes(self.corrects.as_ref().map_or(&[][..], |id| id));
        encoder.finish()
    }

    pub(in crate::vault) fn decode(bytes: &[u8]) -> Result<Self, CryptoError> {
        let mut decoder = Decoder::new(bytes, "record/about")?;
        let (id, issued) = (decoder.array()?, decoder.text()?.to_owned());
        let fixed = decoder.u8()? == 1;
        let corrects = match decoder.bytes()? {
            [] => None,
            id => Some(id.try_into().map_err(|_| CryptoError::Malformed)?),
        };
        decoder.finish()?;
        Ok(Self { id, issued, fixed, corrects })
    }
}
