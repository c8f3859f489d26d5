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

#[cfg(any(test, feature = "fuzz"))]
pub(crate) use api::takes_row;
pub use api::{rebuild, routes};
pub use jobs::{
    Erased, NAMED_MAX, Rebuild, Rebuilt, Replay, Swept, Walked, compare, destroy_retired,
    erase_due, finish_begun, gather, index_words, rebuild_indexes, refuse_returned_keys,
    register_macs, replay, rotate_due, sweep_pending_keys, tell_indexed, walk,
};
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use model::token_of;
pub use model::{How, Reference, Token};
pub use rules::{Kept, Parting};
pub use verbs::{
    Allowance, Asked, BATCH_ITEMS_MAX, BatchItem, BatchOutcome, Begun, CHUNK_ROWS_MAX,
    ChunkOutcome, ConsentInput, ConsentSaid, ConsentView, Consented, Consents, Created,
    EXPORT_PIECE_MAX, ExportAsk, Exported, ImportRowInput, Keep, Left, Look, Looks, Match,
    MergeInput, Merged, NewCustomer, NewRecord, NothingShown, Patched, Piece, Place, Position,
    Prospect, RecordShown, RecordWritten, RecordsShown, RelationChange, RelationInput, Release,
    Released, RevealReason, RowProblem, SCOPE_LINES_MAX, Scope, ScopeAsked, ScopeLine, ScopeOf,
    Shown, ShownOne, ShownPage, Subject, TokenInput, TokenShown, TokenShows, Touched, Upserted,
    add_record, ask_erasure, asked_of, batch, begin_export, begin_import, begin_rotation,
    cancel_erasure, consented, create, customer_behind, detokenize, end_export, export_piece,
    exportable, give_consent, import_chunk, import_now, list_consents, list_records, look_up,
    make_tokens, merge, patch, patch_record, place_hold, read, read_by_reference, read_many,
    read_map, read_record, relate, release, reveal, reveal_record, rotate_root, save_map, scope,
    segment, subject_of, try_chunk, upsert, version_of, who_looked, withdraw_consent,
};
