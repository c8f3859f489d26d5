//! What can be done with customers, one file a verb.

pub(super) mod create;
pub(super) mod erase;
mod find;
mod import;
mod looks;
pub(super) mod open;
mod patch;
mod read;
mod release;
mod upsert;

use crate::error::Error;

pub use create::{Created, NewCustomer, RelationInput, create};
pub use erase::{Asked, ask_erasure, cancel_erasure};
pub use find::{Match, look_up};
pub use import::{
    Begun, CHUNK_ROWS_MAX, ChunkOutcome, ImportRowInput, RowProblem, begin_import, import_chunk,
    try_chunk,
};
pub use looks::{Look, Looks, Scope, ScopeLine, ScopeOf, scope, who_looked};
pub use patch::{Patched, RelationChange, patch, relate};
pub use read::{RevealReason, Shown, read, reveal};
pub use release::{
    Allowance, Release, Released, Subject, customer_behind, release, segment, subject_of,
};
pub use upsert::{Upserted, upsert};

/// An act is decided once more when what it rests on moves; after so many times it is busy.
pub(super) const ATTEMPTS_MAX: usize = 5;

pub(super) fn changed_meanwhile() -> Error {
    let detail = "rights or the customer keep changing while this is done; try again";
    Error::unavailable("changed_meanwhile", detail).retry_after(1)
}
