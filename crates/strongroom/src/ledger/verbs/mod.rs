//! What can be done with the log beside appending and reading.

mod growth;
mod incarnation;
mod tiles;
mod visit;

pub use growth::{Cosigned, prove_growth};
pub use incarnation::{
    Archive, LogFacts, Opening, archive_name, facts, number_of, open_archives, open_incarnation,
};
pub use tiles::tile;
pub use visit::visit;
