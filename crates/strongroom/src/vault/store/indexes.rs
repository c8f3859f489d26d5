//! Tables `lookup_unique`, `lookup_exact`, `subject`.

use crate::db::{Snapshot, Statement, Value};
use crate::error::Error;
use crate::vault::model::{IndexEntry, IndexKind};

/// Meets one row only if no other customer has it.
pub(in crate::vault) fn claim_unique(entry: &IndexEntry, key: i64) -> Statement {
    Statement::new(CLAIM_UNIQUE, args(entry, key))
}

pub(in crate::vault) fn insert_exact(entry: &IndexEntry, key: i64) -> Statement {
    Statement::new(INSERT_EXACT, args(entry, key))
}

pub(in crate::vault) fn delete_index(entry: &IndexEntry, key: i64) -> Statement {
    match entry.kind {
        IndexKind::Exact => Statement::new(DELETE_EXACT, args(entry, key)),
        IndexKind::Unique => Statement::new(DELETE_UNIQUE, args(entry, key)),
    }
}

/// Hands an index row over to another customer, in place: there is no moment of both or of none.
pub(in crate::vault) fn move_index(entry: &IndexEntry, from: i64, to: i64) -> Statement {
    let mut args = args(entry, from);
    args.push(to.into());
    match entry.kind {
        IndexKind::Exact => Statement::new(MOVE_EXACT, args),
        IndexKind::Unique => Statement::new(MOVE_UNIQUE, args),
    }
}

pub(in crate::vault) fn move_subject(hash: &[u8; 32], from: i64, to: i64) -> Statement {
    Statement::new(MOVE_SUBJECT, vec![hash.into(), from.into(), to.into()])
}

/// Customers found under a hash, at most 20 (`specs/crypto.md`).
pub(in crate::vault) async fn find_by_hash(
    snapshot: &mut Snapshot,
    entry: &IndexEntry,
) -> Result<Vec<i64>, Error> {
    let args = [i64::from(entry.field).into(), Value::from(entry.hash)];
    let sql = match entry.kind {
        IndexKind::Exact => FIND_EXACT,
        IndexKind::Unique => FIND_UNIQUE,
    };
    snapshot.query(sql, &args).await?.iter().map(|row| row.integer(0)).collect()
}

pub(in crate::vault) fn insert_subject(hash: &[u8; 32], key: i64) -> Statement {
    Statement::new(INSERT_SUBJECT, vec![hash.into(), key.into()])
}

pub(in crate::vault) fn delete_subject(hash: &[u8; 32], key: i64) -> Statement {
    Statement::new(DELETE_SUBJECT, vec![hash.into(), key.into()])
}

pub(in crate::vault) async fn key_of_subject(
    snapshot: &mut Snapshot,
    hash: &[u8; 32],
) -> Result<Option<i64>, Error> {
    snapshot.one(KEY_OF_SUBJECT, &[hash.into()]).await?.map(|row| row.integer(0)).transpose()
}

fn args(entry: &IndexEntry, key: i64) -> Vec<Value> {
    vec![i64::from(entry.field).into(), entry.hash.into(), key.into()]
}

const CLAIM_UNIQUE: &str = "INSERT INTO lookup_unique (field, hash, customer)
VALUES ($1, $2, $3)
ON CONFLICT (field, hash) DO NOTHING";

const INSERT_EXACT: &str = "INSERT INTO lookup_exact (field, hash, customer)
VALUES ($1, $2, $3)
ON CONFLICT (field, hash, customer) DO NOTHING";

const DELETE_UNIQUE: &str =
    "DELETE FROM lookup_unique WHERE field = $1 AND hash = $2 AND customer = $3";

const DELETE_EXACT: &str =
    "DELETE FROM lookup_exact WHERE field = $1 AND hash = $2 AND customer = $3";

const MOVE_UNIQUE: &str = "UPDATE lookup_unique SET customer = $4
WHERE field = $1 AND hash = $2 AND customer = $3";

const MOVE_EXACT: &str = "UPDATE lookup_exact SET customer = $4
WHERE field = $1 AND hash = $2 AND customer = $3";

const MOVE_SUBJECT: &str = "UPDATE subject SET customer = $3 WHERE hash = $1 AND customer = $2";

const FIND_UNIQUE: &str = "SELECT customer FROM lookup_unique WHERE field = $1 AND hash = $2";

const FIND_EXACT: &str = "SELECT customer FROM lookup_exact
WHERE field = $1 AND hash = $2
ORDER BY customer
LIMIT 20";

const INSERT_SUBJECT: &str = "INSERT INTO subject (hash, customer) VALUES ($1, $2)";

const DELETE_SUBJECT: &str = "DELETE FROM subject WHERE hash = $1 AND customer = $2";

const KEY_OF_SUBJECT: &str = "SELECT customer FROM subject WHERE hash = $1";
