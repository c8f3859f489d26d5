//! One seam, two engines: what holds on SQLite holds on PostgreSQL.

mod cut;
mod faults;
mod keys;
mod moving;
mod nodes;
mod statements;
mod unknown;
mod values;

use strongroom::db::{Connection, DATA, Durability, migrate};

use crate::support::postgres::Cluster;

/// An empty database of each engine that there is here, with our schema; and what holds its files.
fn both(name: &'static str) -> (Vec<Connection>, tempfile::TempDir) {
    let (mut databases, folder) = both_empty(name);
    for db in &mut databases {
        migrate(db, DATA).unwrap();
        // Once more changes nothing.
        migrate(db, DATA).unwrap();
    }
    (databases, folder)
}

fn both_empty(name: &'static str) -> (Vec<Connection>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut found =
        vec![Connection::open(&folder.path().join("t.db"), Durability::Durable).unwrap()];
    let server = Cluster::shared().map(|cluster| cluster.database(name));
    found.extend(server.map(|server| Connection::to(&server).unwrap()));
    (found, folder)
}
