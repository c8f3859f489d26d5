//! The only code that knows the database engine: values and statements, connections, read
//! snapshots, migrations, and the committer, which is the only writer.

mod checkpointer;
mod committer;
mod connection;
mod migrate;
mod snapshot;
mod stall;
#[cfg(test)]
mod tests;

pub use crate::sql::{NullOf, Row, Statement, Value};
pub use checkpointer::Checkpointer;
pub use committer::{Act, Charged, Committer, Fate, Keeper};
pub use connection::{CHECKPOINT_BUSY, Connection, Durability};
pub use migrate::{DATA, Migration, migrate};
pub use snapshot::{Database, Snapshot};
pub use stall::Stall;
