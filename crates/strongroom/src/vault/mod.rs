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

pub use api::{rebuild, routes};
pub use jobs::{
    Erased, Swept, erase_due, finish_begun, refuse_returned_keys, register_macs, sweep_pending_keys,
};
pub use model::Reference;
pub use rules::Kept;
pub use verbs::{
    Asked, BATCH_ITEMS_MAX, BatchItem, BatchOutcome, Begun, CHUNK_ROWS_MAX, ChunkOutcome, Created,
    EXPORT_PIECE_MAX, ExportAsk, Exported, ImportRowInput, Left, Look, Looks, Match, NewCustomer,
    Patched, Piece, RelationChange, RelationInput, RevealReason, RowProblem, ScopeLine, Shown,
    Upserted, ask_erasure, asked_of, batch, begin_export, begin_import, cancel_erasure, create,
    end_export, export_piece, exportable, import_chunk, import_now, look_up, patch, read, read_map,
    relate, reveal, save_map, scope, try_chunk, upsert, version_of, who_looked,
};
