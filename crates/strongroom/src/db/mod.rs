//! The only code that knows the database engine: values and statements, connections, read
//! snapshots, migrations, and the committer, which is the only writer.

mod apply;
mod checkpointer;
#[cfg(test)]
#[expect(dead_code, reason = "only the integration tests make it fail")]
#[path = "../../tests/it/support/postgres.rs"]
mod cluster;
mod committer;
mod connection;
mod copy;
mod keeper;
mod lead;
mod migrate;
mod moving;
mod pace;
mod postgres;
mod room;
mod snapshot;
mod space;
mod sqlite;
mod stall;
#[cfg(test)]
mod tests;
mod unknown;
mod url;
mod wire;

pub use crate::sql::{NullOf, Row, Statement, Value};
pub use checkpointer::Checkpointer;
pub use committer::Committer;
pub use connection::{Connection, Durability, Place};
pub use copy::{TableShape, insert_row, list_tables, read_rows, rows_after};
pub use keeper::{Act, Charged, Fate, Keeper};
pub use lead::Lead;
pub use migrate::{DATA, Migration, migrate, migrate_to, newest};
pub use moving::{Leg, Mark, Moving, copy_all, count_all, is_empty, leave_empty, move_flawed};
pub use postgres::Server;
pub use snapshot::{Database, Snapshot};
pub use space::{RESERVE, RESERVE_BYTES, Space, disk_reserve, free_bytes, is_reserved};
pub use sqlite::CHECKPOINT_BUSY;
pub use stall::Stall;
