//! Table `token`.

use crate::db::{Connection, Row, Snapshot, Statement, Value};
use crate::error::Error;
use crate::keys::Hashed;
use crate::vault::model::CustomerRow;

/// A token as stored.
#[derive(Debug, Clone)]
pub(in crate::vault) struct TokenRow {
    pub(in crate::vault) hash: [u8; 32],
    pub(in crate::vault) customer: i64,
    pub(in crate::vault) compartment: [u8; 16],
    pub(in crate::vault) slot: [u8; 32],
    pub(in crate::vault) data: Vec<u8>,
}

pub(in crate::vault) async fn find_token(
    snapshot: &mut Snapshot,
    hashed: &Hashed<32>,
) -> Result<Option<TokenRow>, Error> {
    let other = hashed.other.unwrap_or(hashed.hash);
    snapshot.one(FIND, &[hashed.hash.into(), other.into()]).await?.map(|row| read(&row)).transpose()
}

pub(in crate::vault) async fn token_in_slot(
    snapshot: &mut Snapshot,
    customer: i64,
    slot: &[u8; 32],
) -> Result<Option<TokenRow>, Error> {
    let row = snapshot.one(IN_SLOT, &[customer.into(), slot.into()]).await?;
    row.map(|row| read(&row)).transpose()
}

pub(in crate::vault) async fn count_tokens(
    snapshot: &mut Snapshot,
    customer: i64,
) -> Result<u64, Error> {
    let row = snapshot.one(COUNT, &[customer.into()]).await?;
    row.map_or(Ok(0), |row| u64::try_from(row.integer(0)?).map_err(Error::internal))
}

/// Every token of a customer.
pub(in crate::vault) async fn list_tokens(
    snapshot: &mut Snapshot,
    customer: i64,
) -> Result<Vec<TokenRow>, Error> {
    let args = [customer.into(), Value::from(TOKENS_READ_MAX)];
    snapshot.query(LIST, &args).await?.iter().map(read).collect()
}

/// The same, of a database nobody serves.
pub(in crate::vault) fn tokens_of(
    db: &mut Connection,
    customer: i64,
) -> Result<Vec<TokenRow>, Error> {
    db.query(LIST, &[customer.into(), Value::from(TOKENS_READ_MAX)])?.iter().map(read).collect()
}

/// Hands a token over to another customer; meets one row only if it is as it was read.
pub(in crate::vault) fn move_token(before: &TokenRow, after: &TokenRow) -> Statement {
    let args = vec![
        before.hash.into(),
        before.customer.into(),
        before.data.clone().into(),
        after.customer.into(),
        after.slot.into(),
        after.data.clone().into(),
    ];
    Statement::new(MOVE, args)
}

/// Seals a token anew, under another hash and slot; meets one row only if it is as it was read.
pub(in crate::vault) fn renew_token(before: &TokenRow, after: &TokenRow) -> Statement {
    let args = vec![
        before.hash.into(),
        before.customer.into(),
        before.data.clone().into(),
        after.hash.into(),
        after.slot.into(),
        after.data.clone().into(),
    ];
    Statement::new(RENEW, args)
}

/// Meets each token a customer has, or the one in a slot.
pub(in crate::vault) fn tokens_in(customer: i64, slot: Option<&[u8; 32]>) -> Statement {
    match slot {
        Some(slot) => Statement::new(SLOT_TAKEN, vec![customer.into(), slot.into()]),
        None => Statement::new(HAS, vec![customer.into(), Value::from(TOKENS_READ_MAX)]),
    }
}

/// Meets one row only if neither the token nor its slot is there.
pub(in crate::vault) fn insert_token(row: &TokenRow) -> Statement {
    let args = vec![
        row.hash.into(),
        row.customer.into(),
        row.compartment.into(),
        row.slot.into(),
        row.data.clone().into(),
    ];
    Statement::new(INSERT, args)
}

/// Meets one row only if what it stands for is still what was read.
pub(in crate::vault) fn reseal_token(row: &TokenRow, data: Vec<u8>) -> Statement {
    Statement::new(RESEAL, vec![row.hash.into(), row.data.clone().into(), data.into()])
}

pub(in crate::vault) fn delete_tokens_in(customer: i64, compartment: &[u8; 16]) -> Statement {
    Statement::new(DELETE_IN, vec![customer.into(), compartment.into()])
}

pub(in crate::vault) fn delete_tokens(customer: i64) -> Statement {
    Statement::new(DELETE, vec![customer.into()])
}

/// Meets one row while the customer has the version that was read.
pub(in crate::vault) fn unchanged(row: &CustomerRow) -> Statement {
    let version = i64::try_from(row.version).unwrap_or(i64::MAX);
    Statement::new(UNCHANGED, vec![row.key.into(), version.into()])
}

fn read(row: &Row) -> Result<TokenRow, Error> {
    Ok(TokenRow {
        hash: row.array(0)?,
        customer: row.integer(1)?,
        compartment: row.array(2)?,
        slot: row.array(3)?,
        data: row.bytes(4)?.to_vec(),
    })
}

const FIND: &str = "SELECT hash, customer, compartment, slot, data FROM token
WHERE hash IN ($1, $2)";

const IN_SLOT: &str = "SELECT hash, customer, compartment, slot, data FROM token
WHERE customer = $1 AND slot = $2";

const LIST: &str = "SELECT hash, customer, compartment, slot, data FROM token
WHERE customer = $1
ORDER BY hash
LIMIT $2";

const SLOT_TAKEN: &str = "SELECT 1 FROM token WHERE customer = $1 AND slot = $2";

const HAS: &str = "SELECT 1 FROM token WHERE customer = $1 LIMIT $2";

const MOVE: &str = "UPDATE token SET customer = $4, slot = $5, data = $6
WHERE hash = $1 AND customer = $2 AND data = $3";

const RENEW: &str = "UPDATE token SET hash = $4, slot = $5, data = $6
WHERE hash = $1 AND customer = $2 AND data = $3";

const COUNT: &str = "SELECT COUNT(*) FROM token WHERE customer = $1";

const INSERT: &str = "INSERT INTO token (hash, customer, compartment, slot, data)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING";

const RESEAL: &str = "UPDATE token SET data = $3 WHERE hash = $1 AND data = $2";

const DELETE_IN: &str = "DELETE FROM token WHERE customer = $1 AND compartment = $2";

const DELETE: &str = "DELETE FROM token WHERE customer = $1";

const UNCHANGED: &str = "SELECT 1 FROM customer WHERE key = $1 AND version = $2";

/// More than one customer can come to have, also by merges.
const TOKENS_READ_MAX: i64 = 100_000;
