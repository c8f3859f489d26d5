//! What can be done with customers, one file a verb.

mod batch;
mod consent;
pub(super) mod create;
pub(super) mod erase;
mod find;
mod import;
mod looks;
pub(super) mod open;
mod patch;
mod read;
mod read_many;
mod records;
mod shelves;
mod show_records;
mod tokens;
mod upsert;

use crate::error::Error;

pub use batch::{BATCH_ITEMS_MAX, BatchItem, BatchOutcome, batch};
pub use consent::{
    ConsentInput, ConsentView, Consented, Consents, consented, give_consent, list_consents,
    withdraw_consent,
};
pub use create::{Created, NewCustomer, RelationInput, create};
pub use erase::{Asked, ask_erasure, asked_of, cancel_erasure};
pub use find::{Match, look_up};
pub use import::{
    Begun, CHUNK_ROWS_MAX, ChunkOutcome, ImportRowInput, RowProblem, begin_import, import_chunk,
    import_now, try_chunk,
};
pub use looks::{Look, Looks, Scope, ScopeLine, ScopeOf, scope, who_looked};
pub use open::version_of;
pub use patch::{Patched, RelationChange, patch, relate};
pub use read::{RevealReason, Shown, read, reveal};
pub use read_many::{ShownOne, ShownPage, read_many};
pub use records::{NewRecord, RecordWritten, add_record, patch_record};
pub use show_records::{RecordShown, RecordsShown, list_records, read_record, reveal_record};
pub use tokens::{TokenInput, TokenShown, TokenShows, detokenize, make_tokens};
pub use upsert::{Upserted, upsert};

/// An act is decided once more when what it rests on moves; after so many times it is busy.
pub(super) const ATTEMPTS_MAX: usize = 5;

pub(super) fn changed_meanwhile() -> Error {
    let detail = "rights or the customer keep changing while this is done; try again";
    Error::unavailable("changed_meanwhile", detail).retry_after(1)
}
