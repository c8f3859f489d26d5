//! A tamper-evident log: RFC 6962 tree hashing, C2SP tlog-tiles resources, C2SP signed notes and
//! checkpoints, and the proofs that tie them together.
//!
//! Bytes in, bytes out: no I/O, no clock, no database. Of `strongroom-crypto` it uses the hash and
//! the signature only, so that an auditor can build the verifier without the sealed room. It must
//! never interpret what a leaf holds.
//!
//! Specifications: RFC 6962 and RFC 9162 section 2.1; <https://c2sp.org/tlog-tiles>,
//! <https://c2sp.org/signed-note>, <https://c2sp.org/tlog-checkpoint>,
//! <https://c2sp.org/tlog-proof>, <https://c2sp.org/tlog-cosignature>,
//! <https://c2sp.org/tlog-witness>.

#![forbid(unsafe_code)]

mod base64;
mod bundle;
mod checkpoint;
mod cosignature;
mod error;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod note;
mod proof;
mod tile;
mod tree;
mod verify;
mod witness;

pub use bundle::{BUNDLE_SIZE_BYTES_MAX, ProofBundle};
pub use checkpoint::{Checkpoint, open_checkpoint, sign_checkpoint, sign_checkpoint_by};
pub use cosignature::{Cosignature, WitnessKey, cosign, open_cosignature, open_cosigned};
pub use error::TlogError;
pub use note::{NOTE_SIZE_BYTES_MAX, SIGNATURES_MAX, VerifierKey, open_note, sign_note};
pub use proof::{
    Hashes, consistency_proof, inclusion_proof, needed_for_consistency, needed_for_inclusion,
    needed_for_root, root_of,
};
pub use tile::{
    ENTRY_SIZE_BYTES_MAX, TILE_WIDTH, TileKind, TilePath, TileWidth, entries_bundle, entries_path,
    parse_entries_bundle, parse_tile_path, tile_path, tile_width,
};
pub use tree::{Frontier, Hash, SIZE_MAX, TileRoot, leaf_hash, node_hash};
pub use verify::{verify_consistency, verify_inclusion};
pub use witness::{
    ADD_CHECKPOINT_SIZE_BYTES_MAX, AddCheckpoint, PROOF_LINES_MAX, WitnessRefusal, Witnessed,
    judge, parse_size_answer, size_answer,
};
