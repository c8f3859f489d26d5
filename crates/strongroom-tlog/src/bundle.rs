//! Proofs to keep and to check without the log (<https://c2sp.org/tlog-proof>).

use std::fmt;

use crate::checkpoint::parse_decimal;
use crate::{Hash, NOTE_SIZE_BYTES_MAX, TlogError, base64};

/// An entry's place, its inclusion proof and the checkpoint it leads to, in one text; `Display`
/// writes it. Parsing proves nothing: open the checkpoint, hash the entry, then `verify_inclusion`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProofBundle {
    /// Opaque bytes of the application. Nothing authenticates them.
    pub extra: Option<Vec<u8>>,
    /// Position of the entry in the log.
    pub index: u64,
    /// Inclusion proof, sibling of the leaf first.
    pub proof: Vec<Hash>,
    /// The signed note as the log issued it.
    pub checkpoint: String,
}

impl ProofBundle {
    /// Reads the text form. The checkpoint is taken as it stands, unopened.
    pub fn parse(text: &str) -> Result<Self, TlogError> {
        if text.len() > BUNDLE_SIZE_BYTES_MAX {
            return Err(TlogError::BundleMalformed("it is too long"));
        }
        let (head, checkpoint) =
            text.split_once("\n\n").ok_or(TlogError::BundleMalformed("no blank line"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(TlogError::BundleMalformed("not a tlog-proof of version 1"));
        }
        let mut line = lines.next();
        let mut extra = None;
        if let Some(encoded) = line.and_then(|line| line.strip_prefix("extra ")) {
            let bytes = base64::decode(encoded)
                .ok_or(TlogError::BundleMalformed("the extra data is not base64"))?;
            extra = Some(bytes);
            line = lines.next();
        }
        let index = line
            .and_then(|line| line.strip_prefix("index "))
            .and_then(parse_decimal)
            .ok_or(TlogError::BundleMalformed("no line with the index"))?;
        let proof = lines.map(Hash::from_base64).collect::<Result<Vec<_>, _>>()?;
        if proof.len() > PROOF_LENGTH_MAX {
            return Err(TlogError::BundleMalformed("the proof is too long"));
        }
        Ok(Self { extra, index, proof, checkpoint: checkpoint.to_owned() })
    }
}

impl fmt::Display for ProofBundle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(out, "extra {}", base64::encode(extra))?;
        }
        writeln!(out, "index {}", self.index)?;
        for hash in &self.proof {
            writeln!(out, "{}", hash.to_base64())?;
        }
        write!(out, "\n{}", self.checkpoint)
    }
}

/// Largest bundle read: a note of full size, and as much again for the proof and extra data.
pub const BUNDLE_SIZE_BYTES_MAX: usize = 2 * NOTE_SIZE_BYTES_MAX;

/// An inclusion proof has one hash for each level of the tree, and sizes have 64 bits.
const PROOF_LENGTH_MAX: usize = 64;

const HEADER: &str = "c2sp.org/tlog-proof@v1";
