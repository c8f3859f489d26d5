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
pub use model::{Reference, Token};
pub use rules::Kept;
pub use verbs::{
    Asked, Begun, CHUNK_ROWS_MAX, ChunkOutcome, Created, ImportRowInput, Keep, Look, Looks, Match,
    MergeInput, Merged, NewCustomer, NewRecord, Patched, RecordShown, RecordWritten, RecordsShown,
    RelationChange, RelationInput, RevealReason, RowProblem, ScopeLine, Shown, TokenInput,
    TokenShown, TokenShows, Upserted, add_record, ask_erasure, begin_import, cancel_erasure,
    create, detokenize, import_chunk, list_records, look_up, make_tokens, merge, patch,
    patch_record, read, read_record, relate, reveal, reveal_record, scope, try_chunk, upsert,
    who_looked,
};
