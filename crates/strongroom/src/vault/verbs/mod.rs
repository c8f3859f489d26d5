//! What can be done with customers, one file a verb.

mod batch;
mod consent;
pub(super) mod create;
pub(super) mod erase;
mod export;
mod find;
mod holds;
mod import;
mod looks;
mod lot;
mod maps;
mod merge;
pub(super) mod open;
mod patch;
pub(super) mod read;
mod read_many;
mod records;
mod release;
mod rotate;
mod scope;
pub(super) mod shelves;
mod show_records;
pub(super) mod tokens;
mod upsert;
mod words;

use crate::error::Error;

pub use batch::{BATCH_ITEMS_MAX, BatchItem, BatchOutcome, batch};
pub use consent::{
    ConsentInput, ConsentSaid, ConsentView, Consented, Consents, consented, give_consent,
    list_consents, withdraw_consent,
};
pub use create::{Created, NewCustomer, RelationInput, create};
pub use erase::{Asked, Prospect, ask_erasure, asked_of, cancel_erasure};
pub use export::{
    EXPORT_PIECE_MAX, ExportAsk, Exported, Left, Piece, begin_export, end_export, export_piece,
    exportable,
};
pub use find::{Match, look_up};
pub use holds::place_hold;
pub use import::{
    Begun, CHUNK_ROWS_MAX, ChunkOutcome, ImportRowInput, RowProblem, begin_import, import_chunk,
    import_now, try_chunk,
};
pub use looks::{Look, Looks, Place, who_looked};
pub use maps::{read_map, save_map};
pub use merge::{Keep, MergeInput, Merged, merge};
pub use open::version_of;
pub use patch::{Patched, RelationChange, patch, relate};
pub use read::{RevealReason, Shown, read, read_by_reference, reveal};
pub use read_many::{ShownOne, ShownPage, read_many};
pub use records::{NewRecord, RecordWritten, add_record, patch_record};
pub use release::{
    Allowance, Release, Released, Subject, customer_behind, release, segment, subject_of,
};
pub use rotate::{begin_rotation, rotate_root};
pub use scope::{Position, SCOPE_LINES_MAX, Scope, ScopeAsked, ScopeLine, ScopeOf, Touched, scope};
pub use show_records::{RecordShown, RecordsShown, list_records, read_record, reveal_record};
pub use tokens::{NothingShown, TokenInput, TokenShown, TokenShows, detokenize, make_tokens};
pub use upsert::{Upserted, upsert};

/// An act is decided once more when what it rests on moves; after so many times it is busy.
pub(super) const ATTEMPTS_MAX: usize = 5;

pub(super) fn changed_meanwhile() -> Error {
    let detail = "rights or the customer keep changing while this is done; try again";
    Error::unavailable("changed_meanwhile", detail).retry_after(1)
}
