//! What can be wrong with a log, a proof or a note. The texts name no content, because a note is
//! untrusted until its signature holds.

use std::fmt;

/// Why the log refused. Every variant that ends in `Malformed` means that the bytes break their
/// format; `Wrong` means that they are well formed and prove something else.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TlogError {
    /// An entry bundle or proof bundle breaks its format; the text says how.
    BundleMalformed(&'static str),
    /// A note text is not a checkpoint, or a checkpoint to sign holds what none can hold.
    CheckpointMalformed(&'static str),
    /// A stored frontier does not decode; the tree state must be rebuilt from the leaves.
    FrontierMalformed,
    /// A text is not the base64 of 32 bytes.
    HashMalformed,
    /// A proof needs this hash and the caller did not load it.
    HashMissing {
        /// Tile level: 0 for leaf hashes.
        level: u8,
        /// Position within the level.
        index: u64,
    },
    /// The leaf lies at or beyond the end of the tree.
    IndexOutside {
        /// The leaf asked for.
        index: u64,
        /// The size of the tree it was asked of.
        size: u64,
    },
    /// A verifier key or key name breaks its format.
    KeyMalformed(&'static str),
    /// A signed note breaks its format.
    NoteMalformed(&'static str),
    /// The checkpoint is signed, but speaks for another log than the key.
    OriginWrong,
    /// A tile path is not in the one form that tlog-tiles allows.
    PathMalformed,
    /// A request to a witness breaks its format; the text says how.
    RequestMalformed(&'static str),
    /// A proof is too short, too long, or leads to another root.
    ProofWrong,
    /// The key signed this note according to its name and id, but the signature does not hold.
    SignatureWrong,
    /// The older tree is said to be larger than the newer one.
    SizesWrong {
        /// Size of the tree called old.
        old: u64,
        /// Size of the tree called new.
        new: u64,
    },
    /// No signature of the key stands under the note.
    Unsigned,
}

impl fmt::Display for TlogError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BundleMalformed(how) => write!(out, "bundle is malformed: {how}"),
            Self::CheckpointMalformed(how) => write!(out, "checkpoint is malformed: {how}"),
            Self::FrontierMalformed => {
                out.write_str("stored tree state is malformed; rebuild it from the entries")
            }
            Self::HashMalformed => out.write_str("hash is not the base64 of 32 bytes"),
            Self::HashMissing { level, index } => {
                write!(out, "hash {index} of tile level {level} is needed and was not loaded")
            }
            Self::IndexOutside { index, size } => {
                write!(out, "entry {index} is not in a log of {size} entries")
            }
            Self::KeyMalformed(how) => write!(out, "verifier key is malformed: {how}"),
            Self::NoteMalformed(how) => write!(out, "signed note is malformed: {how}"),
            Self::OriginWrong => out.write_str("checkpoint is of another log than the key"),
            Self::PathMalformed => out.write_str("tile path is malformed"),
            Self::RequestMalformed(how) => write!(out, "request is malformed: {how}"),
            Self::ProofWrong => out.write_str("proof does not lead to the root"),
            Self::SignatureWrong => out.write_str("signature does not hold for this note"),
            Self::SizesWrong { old, new } => {
                write!(out, "a log of {new} entries cannot continue one of {old}")
            }
            Self::Unsigned => out.write_str("note bears no signature of the expected key"),
        }
    }
}

impl std::error::Error for TlogError {}
