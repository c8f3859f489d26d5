//! Checks an exported log, or one proof, without trusting whoever wrote it.
//!
//! It shares SHA-256 and Ed25519 with the writer and nothing else: tree, notes, tiles and entries are
//! read here a second time, from the specifications, so that a mistake of the writer is not repeated
//! by its check. It only reads files, never asks the network, and takes every byte for hostile.
//!
//! Specifications: RFC 6962 section 2.1; <https://c2sp.org/tlog-tiles>, <https://c2sp.org/signed-note>,
//! <https://c2sp.org/tlog-checkpoint>, <https://c2sp.org/tlog-proof>,
//! <https://c2sp.org/tlog-cosignature>; for entries `docs/verify.md`.

#![forbid(unsafe_code)]

mod base64;
mod command;
mod entry;
mod folder;
mod handover;
mod log;
mod note;
mod proof;
mod time;
mod tree;
mod wrong;

pub use command::run;
pub use entry::{Entry, Kind, Outcome, Subjects};
pub use log::{Asked, Report, verify_log};
pub use note::{Checkpoint, Key, Note};
pub use proof::{Proof, Proven, verify_proof};
pub use wrong::Wrong;
