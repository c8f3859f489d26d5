//! Table `shelf_record`.

use crate::db::{Connection, Row, Snapshot, Statement, Value};
use crate::error::Error;
use crate::vault::model::Rows;

/// Which records stand on a shelf, with the hash of each; one more than there may be.
pub(in crate::vault) async fn read_shelf(
    snapshot: &mut Snapshot,
    customer: i64,
    shelf: &[u8; 16],
) -> Result<Rows, Error> {
    let args = [customer.into(), shelf.into(), Value::from(SHELF_RECORDS_MAX + 1)];
    let rows = snapshot.query(READ_SHELF, &args).await?;
    rows.iter().map(|row| Ok((row.array(0)?, row.array(1)?))).collect()
}

/// One record, sealed.
pub(in crate::vault) async fn read_shelf_record(
    snapshot: &mut Snapshot,
    customer: i64,
    shelf: &[u8; 16],
    id: &[u8; 16],
) -> Result<Option<Vec<u8>>, Error> {
    let row = snapshot.one(READ_RECORD, &[customer.into(), shelf.into(), id.into()]).await?;
    row.map(|row| Ok(row.bytes(0)?.to_vec())).transpose()
}

/// Where a record says it stands.
pub(in crate::vault) async fn shelf_of(
    snapshot: &mut Snapshot,
    customer: i64,
    id: &[u8; 16],
) -> Result<Option<[u8; 16]>, Error> {
    let row = snapshot.one(SHELF_OF, &[customer.into(), id.into()]).await?;
    row.map(|row| row.array(0)).transpose()
}

pub(in crate::vault) fn put_shelf_record(
    customer: i64,
    shelf: &[u8; 16],
    id: &[u8; 16],
    hash: &[u8; 32],
    data: Vec<u8>,
) -> Statement {
    let args = vec![customer.into(), shelf.into(), id.into(), hash.into(), data.into()];
    Statement::new(PUT_RECORD, args)
}

pub(in crate::vault) fn delete_shelf(customer: i64, shelf: &[u8; 16]) -> Statement {
    Statement::new(DELETE_SHELF, vec![customer.into(), shelf.into()])
}

/// Every record of a customer, also those that no core knows.
pub(in crate::vault) fn delete_shelves(customer: i64) -> Statement {
    Statement::new(DELETE_SHELVES, vec![customer.into()])
}

/// Sealed records after a place, for finding which data keys are in use.
pub(in crate::vault) fn list_shelf_deks_page(
    db: &mut Connection,
    after: &ShelfPlace,
    limit: i64,
) -> Result<Vec<(ShelfPlace, Vec<u8>)>, Error> {
    let args = [after.0.into(), after.1.into(), after.2.into(), Value::from(limit)];
    let read = |row: &Row| {
        let place = ShelfPlace(row.integer(0)?, row.array(1)?, row.array(2)?);
        Ok((place, row.bytes(3)?.to_vec()))
    };
    db.query(LIST_RECORDS, &args)?.iter().map(read).collect()
}

/// Customer, shelf, record.
#[derive(Debug, Clone, Copy)]
pub(in crate::vault) struct ShelfPlace(
    pub(in crate::vault) i64,
    pub(in crate::vault) [u8; 16],
    pub(in crate::vault) [u8; 16],
);

const READ_SHELF: &str = "SELECT id, digest FROM shelf_record
WHERE customer = $1 AND shelf = $2
ORDER BY id
LIMIT $3";

const READ_RECORD: &str = "SELECT data FROM shelf_record
WHERE customer = $1 AND shelf = $2 AND id = $3";

const SHELF_OF: &str = "SELECT shelf FROM shelf_record
WHERE customer = $1 AND id = $2
LIMIT 1";

const PUT_RECORD: &str = "INSERT INTO shelf_record (customer, shelf, id, digest, data)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (customer, shelf, id) DO UPDATE SET digest = excluded.digest, data = excluded.data";

const DELETE_SHELF: &str = "DELETE FROM shelf_record WHERE customer = $1 AND shelf = $2";

const DELETE_SHELVES: &str = "DELETE FROM shelf_record WHERE customer = $1";

const LIST_RECORDS: &str = "SELECT customer, shelf, id, data FROM shelf_record
WHERE customer > $1 OR (customer = $1 AND (shelf > $2 OR (shelf = $2 AND id > $3)))
ORDER BY customer, shelf, id
LIMIT $4";

/// Thirty orders a day. Every look at a shelf walks all ids on it: at this size that takes a few
/// milliseconds.
pub(in crate::vault) const SHELF_RECORDS_MAX: i64 = 10_000;
