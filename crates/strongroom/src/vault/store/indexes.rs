//! Tables `lookup_unique`, `lookup_exact`, `subject`.

use crate::db::{Snapshot, Statement, Value};
use crate::error::Error;
use crate::keys::Hashed;
use crate::vault::model::{Claim, IndexEntry, IndexKind};

/// Meets one row only if no other customer has it, under either hash.
pub(in crate::vault) fn claim_unique(claim: &Claim, key: i64) -> Statement {
    let mut args = args(&claim.entry, key);
    args.push(claim.other.unwrap_or(claim.entry.hash).into());
    Statement::new(CLAIM_UNIQUE, args)
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

/// Puts an index row under another hash, in place.
pub(in crate::vault) fn rehash_index(entry: &IndexEntry, key: i64, hash: &[u8; 16]) -> Statement {
    let mut args = args(entry, key);
    args.push(hash.into());
    match entry.kind {
        IndexKind::Exact => Statement::new(REHASH_EXACT, args),
        IndexKind::Unique => Statement::new(REHASH_UNIQUE, args),
    }
}

pub(in crate::vault) fn move_subject(hashed: &Hashed<32>, from: i64, to: i64) -> Statement {
    let other = hashed.other.unwrap_or(hashed.hash);
    let args = vec![hashed.hash.into(), from.into(), to.into(), other.into()];
    Statement::new(MOVE_SUBJECT, args)
}

/// Puts the way back to a customer under another hash; meets no row where it stands there already.
pub(in crate::vault) fn rehash_subject(key: i64, from: &[u8; 32], to: &[u8; 32]) -> Statement {
    Statement::new(REHASH_SUBJECT, vec![from.into(), key.into(), to.into()])
}

/// Customers found by a value, at most 20 (`specs/crypto.md`).
pub(in crate::vault) async fn find_by_hash(
    snapshot: &mut Snapshot,
    claim: &Claim,
) -> Result<Vec<i64>, Error> {
    let Statement { sql, args, .. } = find_claim(claim);
    snapshot.query(sql, &args).await?.iter().map(|row| row.integer(0)).collect()
}

/// The question who has it.
pub(in crate::vault) fn find_claim(claim: &Claim) -> Statement {
    let sql = match claim.entry.kind {
        IndexKind::Exact => FIND_EXACT,
        IndexKind::Unique => FIND_UNIQUE,
    };
    let other = claim.other.unwrap_or(claim.entry.hash);
    let field = i64::from(claim.entry.field);
    Statement::new(sql, vec![field.into(), claim.entry.hash.into(), Value::from(other)])
}

pub(in crate::vault) fn insert_subject(hash: &[u8; 32], key: i64) -> Statement {
    Statement::new(INSERT_SUBJECT, vec![hash.into(), key.into()])
}

pub(in crate::vault) fn delete_subject(hash: &[u8; 32], key: i64) -> Statement {
    Statement::new(DELETE_SUBJECT, vec![hash.into(), key.into()])
}

pub(in crate::vault) async fn key_of_subject(
    snapshot: &mut Snapshot,
    hashed: &Hashed<32>,
) -> Result<Option<i64>, Error> {
    let other = hashed.other.unwrap_or(hashed.hash);
    let row = snapshot.one(KEY_OF_SUBJECT, &[hashed.hash.into(), other.into()]).await?;
    row.map(|row| row.integer(0)).transpose()
}

/// Whether the way back to a customer stands under exactly this hash.
pub(in crate::vault) async fn is_subject_under(
    snapshot: &mut Snapshot,
    hash: &[u8; 32],
    key: i64,
) -> Result<bool, Error> {
    let found = snapshot.one(KEY_OF_SUBJECT, &[hash.into(), hash.into()]).await?;
    found.map_or(Ok(false), |row| Ok(row.integer(0)? == key))
}

fn args(entry: &IndexEntry, key: i64) -> Vec<Value> {
    vec![i64::from(entry.field).into(), entry.hash.into(), key.into()]
}

const CLAIM_UNIQUE: &str = "INSERT INTO lookup_unique (field, hash, customer)
SELECT $1, $2, $3
WHERE NOT EXISTS
  (SELECT 1 FROM lookup_unique WHERE field = $1 AND hash = $4 AND customer <> $3)
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

const REHASH_UNIQUE: &str = "UPDATE lookup_unique SET hash = $4
WHERE field = $1 AND hash = $2 AND customer = $3";

const REHASH_EXACT: &str = "UPDATE lookup_exact SET hash = $4
WHERE field = $1 AND hash = $2 AND customer = $3";

const MOVE_SUBJECT: &str = "UPDATE subject SET customer = $3
WHERE hash IN ($1, $4) AND customer = $2";

const REHASH_SUBJECT: &str = "UPDATE subject SET hash = $3 WHERE hash = $1 AND customer = $2";

const FIND_UNIQUE: &str = "SELECT customer FROM lookup_unique
WHERE field = $1 AND hash IN ($2, $3)";

const FIND_EXACT: &str = "SELECT DISTINCT customer FROM lookup_exact
WHERE field = $1 AND hash IN ($2, $3)
ORDER BY customer
LIMIT 20";

const INSERT_SUBJECT: &str = "INSERT INTO subject (hash, customer) VALUES ($1, $2)";

const DELETE_SUBJECT: &str = "DELETE FROM subject WHERE hash = $1 AND customer = $2";

const KEY_OF_SUBJECT: &str = "SELECT customer FROM subject WHERE hash IN ($1, $2)";
