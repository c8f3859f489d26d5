//! Tables `customer` and `sealed_record`.

use std::collections::BTreeMap;

use strongroom_crypto::CryptoError;

use crate::db::{Connection, Row, Snapshot, Statement, Value};
use crate::error::Error;
use crate::id::{Customer, Id};
use crate::vault::model::{CustomerRow, CustomerState};

pub(in crate::vault) async fn find_row(
    snapshot: &mut Snapshot,
    id: &Id<Customer>,
) -> Result<Option<CustomerRow>, Error> {
    let row = snapshot.one(FIND, &[id.as_bytes().into()]).await?;
    row.map(|row| read(&row)).transpose()
}

pub(in crate::vault) async fn row_by_key(
    snapshot: &mut Snapshot,
    key: i64,
) -> Result<Option<CustomerRow>, Error> {
    let row = snapshot.one(FIND_BY_KEY, &[key.into()]).await?;
    row.map(|row| read(&row)).transpose()
}

/// Customers who may be shown after an id, in the order of their ids.
pub(in crate::vault) async fn list_active_ids(
    snapshot: &mut Snapshot,
    after: &[u8; 16],
    limit: i64,
) -> Result<Vec<Id<Customer>>, Error> {
    let rows = snapshot.query(LIST_ACTIVE, &[after.into(), limit.into()]).await?;
    rows.iter().map(|row| Ok(Id::from_bytes(row.array(0)?))).collect()
}

/// Row keys of active customers after a key, in order.
pub(in crate::vault) fn list_active_keys(
    db: &mut Connection,
    after: i64,
    limit: i64,
) -> Result<Vec<i64>, Error> {
    let rows = db.query(LIST_ACTIVE_KEYS, &[after.into(), Value::from(limit)])?;
    rows.iter().map(|row| row.integer(0)).collect()
}

/// Every sealed record of a customer by compartment.
pub(in crate::vault) async fn read_records(
    snapshot: &mut Snapshot,
    key: i64,
) -> Result<Vec<([u8; 16], Vec<u8>)>, Error> {
    let rows = snapshot.query(READ_RECORDS, &[key.into()]).await?;
    let read = |row: &Row| Ok::<_, Error>((row.array(0)?, row.bytes(1)?.to_vec()));
    rows.iter().map(|row| read(row).map_err(|_| CryptoError::Tampered.into())).collect()
}

pub(in crate::vault) fn insert_customer(row: &CustomerRow) -> Statement {
    Statement::new(INSERT, values(row)).touching(row.key)
}

/// Meets one row only if version and life are still those that were read.
pub(in crate::vault) fn update_customer(row: &CustomerRow, before: &CustomerRow) -> Statement {
    let mut args = values(row);
    args.push(signed(before.version).into());
    args.push(signed(before.life).into());
    args.push(before.state.as_str().into());
    Statement::new(UPDATE, args).touching(row.key)
}

pub(in crate::vault) fn delete_customer(key: i64) -> Statement {
    Statement::new(DELETE, vec![key.into()]).touching(key)
}

pub(in crate::vault) fn put_record(key: i64, compartment: &[u8; 16], data: Vec<u8>) -> Statement {
    Statement::new(PUT_RECORD, vec![key.into(), compartment.into(), data.into()])
}

/// The first record of a compartment.
pub(in crate::vault) fn insert_record(
    key: i64,
    compartment: &[u8; 16],
    data: Vec<u8>,
) -> Statement {
    Statement::new(INSERT_RECORD, vec![key.into(), compartment.into(), data.into()])
}

pub(in crate::vault) fn delete_record(key: i64, compartment: &[u8; 16]) -> Statement {
    Statement::new(DELETE_RECORD, vec![key.into(), compartment.into()])
}

/// Meets one row while no less may be shown than when the customer was read.
pub(in crate::vault) fn active_and_alive(row: &CustomerRow) -> Statement {
    Statement::new(ACTIVE_AND_ALIVE, vec![row.key.into(), signed(row.life).into()])
}

/// A page of customers after a row key, with no snapshot of its own.
pub(in crate::vault) fn list_customers_page(
    db: &mut Connection,
    after: Option<i64>,
    limit: i64,
) -> Result<Vec<CustomerRow>, Error> {
    let args = [after.unwrap_or(i64::MIN).into(), Value::from(limit)];
    db.query(LIST_CUSTOMERS, &args)?.iter().map(read).collect()
}

/// Every sealed record of a customer, on a connection of one's own.
pub(in crate::vault) fn records_of(
    db: &mut Connection,
    key: i64,
) -> Result<BTreeMap<[u8; 16], Vec<u8>>, Error> {
    let rows = db.query(READ_RECORDS, &[key.into()])?;
    rows.iter().map(|row| Ok((row.array(0)?, row.bytes(1)?.to_vec()))).collect()
}

/// Sealed records after a place, for finding which data keys are in use.
pub(in crate::vault) fn list_deks_page(
    db: &mut Connection,
    after: (i64, &[u8; 16]),
    limit: i64,
) -> Result<Vec<StoredRecord>, Error> {
    let args = [after.0.into(), after.1.into(), Value::from(limit)];
    let rows = db.query(LIST_RECORDS, &args)?;
    let read = |row: &Row| {
        let (customer, compartment) = (row.integer(0)?, row.array(1)?);
        Ok(StoredRecord { customer, compartment, sealed: row.bytes(2)?.to_vec() })
    };
    rows.iter().map(read).collect()
}

/// One sealed record and where it stands.
pub(in crate::vault) struct StoredRecord {
    pub(in crate::vault) customer: i64,
    pub(in crate::vault) compartment: [u8; 16],
    pub(in crate::vault) sealed: Vec<u8>,
}

fn values(row: &CustomerRow) -> Vec<Value> {
    vec![
        row.key.into(),
        row.id.as_bytes().into(),
        row.state.as_str().into(),
        signed(row.version).into(),
        signed(row.life).into(),
        row.due_day.into(),
        row.mac.into(),
    ]
}

/// What we never write is not ours: a column that cannot be read was changed by other hands.
fn read(row: &Row) -> Result<CustomerRow, Error> {
    read_columns(row).map_err(|_| CryptoError::Tampered.into())
}

fn read_columns(row: &Row) -> Result<CustomerRow, Error> {
    let state = CustomerState::parse(row.text(2)?);
    Ok(CustomerRow {
        key: row.integer(0)?,
        id: Id::from_bytes(row.array(1)?),
        state: state.ok_or(CryptoError::Tampered)?,
        version: u64::try_from(row.integer(3)?).map_err(Error::internal)?,
        life: u64::try_from(row.integer(4)?).map_err(Error::internal)?,
        due_day: row.integer(5)?,
        mac: row.array(6)?,
    })
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

const LIST_ACTIVE_KEYS: &str = "SELECT key FROM customer
WHERE key > $1 AND state = 'active'
ORDER BY key
LIMIT $2";

const FIND: &str = "SELECT key, id, state, version, life, due_day, mac FROM customer
WHERE id = $1";

const FIND_BY_KEY: &str = "SELECT key, id, state, version, life, due_day, mac FROM customer
WHERE key = $1";

const LIST_ACTIVE: &str = "SELECT id FROM customer
WHERE id > $1 AND state = 'active'
ORDER BY id
LIMIT $2";

const LIST_CUSTOMERS: &str = "SELECT key, id, state, version, life, due_day, mac FROM customer
WHERE key > $1
ORDER BY key
LIMIT $2";

const READ_RECORDS: &str = "SELECT compartment, data FROM sealed_record
WHERE customer = $1
ORDER BY compartment
LIMIT 64";

const INSERT: &str = "INSERT INTO customer (key, id, state, version, life, due_day, mac)
VALUES ($1, $2, $3, $4, $5, $6, $7)";

const UPDATE: &str = "UPDATE customer
SET state = $3, version = $4, life = $5, due_day = $6, mac = $7
WHERE key = $1 AND id = $2 AND version = $8 AND life = $9 AND state = $10";

const DELETE: &str = "DELETE FROM customer WHERE key = $1";

const INSERT_RECORD: &str = "INSERT INTO sealed_record (customer, compartment, data)
VALUES ($1, $2, $3)";

const PUT_RECORD: &str = "INSERT INTO sealed_record (customer, compartment, data)
VALUES ($1, $2, $3)
ON CONFLICT (customer, compartment) DO UPDATE SET data = excluded.data";

const DELETE_RECORD: &str = "DELETE FROM sealed_record WHERE customer = $1 AND compartment = $2";

const ACTIVE_AND_ALIVE: &str = "SELECT 1 FROM customer
WHERE key = $1 AND life = $2 AND state = 'active'";

const LIST_RECORDS: &str = "SELECT customer, compartment, data FROM sealed_record
WHERE customer > $1 OR (customer = $1 AND compartment > $2)
ORDER BY customer, compartment
LIMIT $3";
