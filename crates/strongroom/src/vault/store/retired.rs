//! Table `retired_key`.

use strongroom_crypto::Encoder;

use crate::ctx::Time;
use crate::db::{Connection, NullOf, Row, Statement, Value};
use crate::error::Error;
use crate::keys::Placed;

/// The table's name, as its MACs know it.
pub(in crate::vault) const RETIRED_TABLE: &str = "retired_key";

/// A data key that another one took the place of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::vault) struct RetiredRow {
    pub(in crate::vault) key: Placed,
    /// The row key of its customer.
    pub(in crate::vault) customer: i64,
    pub(in crate::vault) retired: Time,
    pub(in crate::vault) destroyed: Option<Time>,
    pub(in crate::vault) mac: [u8; 32],
}

impl RetiredRow {
    /// What the row's MAC covers.
    pub(in crate::vault) fn columns(&self) -> Vec<u8> {
        let mut encoder = Encoder::new("retired_key");
        encoder
            .bytes(&self.key.dek)
            .u64(self.customer.cast_unsigned())
            .bytes(&self.key.customer)
            .bytes(&self.key.compartment)
            .u64(self.retired.as_ms().cast_unsigned())
            .u8(u8::from(self.destroyed.is_some()))
            .u64(self.destroyed.map_or(0, |at| at.as_ms().cast_unsigned()));
        encoder.finish()
    }
}

pub(in crate::vault) fn insert_retired(row: &RetiredRow) -> Statement {
    let args = vec![
        row.key.dek.into(),
        row.customer.into(),
        row.key.customer.into(),
        row.key.compartment.into(),
        row.retired.as_ms().into(),
        row.mac.into(),
    ];
    Statement::new(INSERT, args)
}

/// Meets one row only if it is as it was read.
pub(in crate::vault) fn destroyed_retired(row: &RetiredRow, mac_before: &[u8; 32]) -> Statement {
    let at = row.destroyed.map_or(Value::Null(NullOf::Integer), |at| at.as_ms().into());
    Statement::new(DESTROYED, vec![row.key.dek.into(), at, row.mac.into(), mac_before.into()])
}

pub(in crate::vault) fn delete_retired(dek: &[u8; 16]) -> Statement {
    Statement::new(DELETE, vec![dek.into()])
}

pub(in crate::vault) fn delete_retired_of(customer: i64) -> Statement {
    Statement::new(DELETE_OF, vec![customer.into()])
}

/// Some that are not destroyed and were retired before a moment, in the order of their ids.
pub(in crate::vault) fn list_retired(
    db: &mut Connection,
    before: Time,
    after: Option<&[u8; 16]>,
    limit: i64,
) -> Result<Vec<RetiredRow>, Error> {
    let after: &[u8] = after.map_or(&[], |dek| dek);
    let args = [before.as_ms().into(), after.to_vec().into(), Value::from(limit)];
    db.query(LIST, &args)?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<RetiredRow, Error> {
    Ok(RetiredRow {
        key: Placed { dek: row.array(0)?, customer: row.array(2)?, compartment: row.array(3)? },
        customer: row.integer(1)?,
        retired: Time::from_ms(row.integer(4)?),
        destroyed: row.optional_integer(5)?.map(Time::from_ms),
        mac: row.array(6)?,
    })
}

const INSERT: &str = "INSERT INTO retired_key
  (dek, customer, id, compartment, retired_ms, destroyed_ms, mac)
VALUES ($1, $2, $3, $4, $5, NULL, $6)
ON CONFLICT (dek) DO UPDATE SET customer = excluded.customer, id = excluded.id,
  compartment = excluded.compartment, retired_ms = excluded.retired_ms, destroyed_ms = NULL,
  mac = excluded.mac";

const DESTROYED: &str = "UPDATE retired_key SET destroyed_ms = $2, mac = $3
WHERE dek = $1 AND mac = $4";

const DELETE: &str = "DELETE FROM retired_key WHERE dek = $1";

const DELETE_OF: &str = "DELETE FROM retired_key WHERE customer = $1";

const LIST: &str = "SELECT dek, customer, id, compartment, retired_ms, destroyed_ms, mac
FROM retired_key
WHERE destroyed_ms IS NULL AND retired_ms < $1 AND dek > $2
ORDER BY dek
LIMIT $3";
