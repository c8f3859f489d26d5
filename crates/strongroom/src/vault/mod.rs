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
    Erased, Swept, erase_due, finish_begun, refuse_returned_keys, register_macs, sweep_pending_keys,
};
pub use model::Reference;
pub use rules::Kept;
pub use verbs::{
    Allowance, Asked, Begun, CHUNK_ROWS_MAX, ChunkOutcome, Created, ImportRowInput, Look, Looks,
    Match, NewCustomer, Patched, RelationChange, RelationInput, Release, Released, RevealReason,
    RowProblem, Scope, ScopeLine, ScopeOf, Shown, Subject, Upserted, ask_erasure, begin_import,
    cancel_erasure, create, customer_behind, import_chunk, look_up, patch, read, relate, release,
    reveal, scope, segment, subject_of, try_chunk, upsert, who_looked,
};
