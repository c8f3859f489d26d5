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
    Erased, Swept, Walked, erase_due, finish_begun, refuse_returned_keys, register_macs,
    sweep_pending_keys, walk,
};
pub use model::{How, Reference};
pub use rules::{Kept, Parting};
pub use verbs::{
    Asked, Begun, CHUNK_ROWS_MAX, ChunkOutcome, ConsentInput, ConsentView, Consented, Consents,
    Created, ImportRowInput, Look, Looks, Match, NewCustomer, Patched, RelationChange,
    RelationInput, RevealReason, RowProblem, ScopeLine, Shown, ShownOne, ShownPage, Upserted,
    ask_erasure, begin_import, cancel_erasure, consented, create, give_consent, import_chunk,
    list_consents, look_up, patch, read, read_many, relate, reveal, scope, try_chunk, upsert,
    who_looked, withdraw_consent,
};
