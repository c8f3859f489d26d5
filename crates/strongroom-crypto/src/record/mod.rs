//! Sealed records: all values of one customer in one compartment, at one version
//! (`specs/crypto.md`, "Sealed record").
//!
//! ```text
//! header ‖ commitment ‖ one sealed cell for each field in the legend, in its order
//! ```
//!
//! Every item is length-prefixed by the crate's encoding. The header says where the record belongs
//! and which fields it has; its hash goes into the key of the record and into every cell, so
//! nothing opens anywhere else. Three properties carry the rest:
//!
//! - *One key and nonce, one text.* The salt in the header depends on the texts (see `salt`), and
//!   each record has a key of its own, so a field id is nonce enough.
//! - *One key, one record.* AES-GCM alone lets one ciphertext open under two keys. The commitment
//!   is a second output of the key's derivation, and two keys with the same one are a collision of
//!   SHA-256.
//! - *No length tells a value.* Cells come in few sizes (see `padding`).

mod header;
mod keys;
mod open;
mod padding;
mod salt;
mod seal;
#[cfg(test)]
mod tests;

pub use open::{Wanted, open_record, peek_binding, peek_fields};
pub use seal::{Cell, seal_record};

/// Where a record belongs. A record opens only where every member is the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Binding {
    /// Random id of this installation, so that a record of another one is foreign.
    pub installation: [u8; 16],
    /// The customer whose record it is.
    pub customer: [u8; 16],
    /// Which of the customer's compartments; the policy never decides this for a sealed record.
    pub compartment: [u8; 16],
    /// Which data key seals it.
    pub dek: [u8; 16],
    /// Grows with each change. Two writers may use the same number; only one of them commits.
    pub version: u64,
}

/// The longest value: 64 KiB, a long note or a small scan. Larger things are not customer fields.
pub const CELL_SIZE_BYTES_MAX: usize = 64 * 1024;

/// The most cells in a record: a field id is one byte.
pub const CELLS_MAX: usize = 256;
