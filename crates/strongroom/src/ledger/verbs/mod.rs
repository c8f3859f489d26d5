//! What can be done with the log beside appending and reading.

mod growth;
mod handover;
mod incarnation;
mod tiles;
mod visit;

pub use growth::{Cosigned, prove_growth};
pub use handover::{
    HANDED_VERB, HANDOVER_VERB, Signers, handovers, named_key, naming_note, newest_key,
    open_signed, signed_keys, verifier_key,
};
pub use incarnation::{
    Archive, LogFacts, Opening, archive_name, facts, number_of, open_archives, open_incarnation,
};
pub use tiles::tile;
pub use visit::visit;
