//! Table `token`.

use crate::db::{Row, Snapshot, Statement};
use crate::error::Error;
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
    hash: &[u8; 32],
) -> Result<Option<TokenRow>, Error> {
    snapshot.one(FIND, &[hash.into()]).await?.map(|row| read(&row)).transpose()
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

const FIND: &str = "SELECT hash, customer, compartment, slot, data FROM token WHERE hash = $1";

const IN_SLOT: &str = "SELECT hash, customer, compartment, slot, data FROM token
WHERE customer = $1 AND slot = $2";

const COUNT: &str = "SELECT COUNT(*) FROM token WHERE customer = $1";

const INSERT: &str = "INSERT INTO token (hash, customer, compartment, slot, data)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING";

const RESEAL: &str = "UPDATE token SET data = $3 WHERE hash = $1 AND data = $2";

const DELETE_IN: &str = "DELETE FROM token WHERE customer = $1 AND compartment = $2";

const DELETE: &str = "DELETE FROM token WHERE customer = $1";

const UNCHANGED: &str = "SELECT 1 FROM customer WHERE key = $1 AND version = $2";
