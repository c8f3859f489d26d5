//! Customers: made, found, shown, changed, imported, erased.
//!
//! Every act is read, decide, commit; values leave only with a receipt. What must never happen here:
//! personal data in a plain column, a value shown after its erasure began, a missing key taken for an
//! erasure.

mod api;
mod jobs;
mod model;
mod rules;
mod store;
#[cfg(test)]
mod tests;
mod verbs;

pub use api::routes;
pub use jobs::{
    Erased, NAMED_MAX, Rebuild, Rebuilt, Replay, Swept, erase_due, finish_begun, gather, rebuild,
    refuse_returned_keys, register_macs, replay, sweep_pending_keys,
};
pub use model::Reference;
pub use rules::Kept;
pub use verbs::{
    Asked, Begun, CHUNK_ROWS_MAX, ChunkOutcome, Created, ImportRowInput, Look, Looks, Match,
    NewCustomer, Patched, Place, RelationChange, RelationInput, RevealReason, RowProblem, Scope,
    ScopeLine, Shown, Upserted, ask_erasure, begin_import, cancel_erasure, create, import_chunk,
    look_up, patch, read, relate, reveal, scope, try_chunk, upsert, who_looked,
};
