//! Table `legal_hold`.

use strongroom_crypto::Encoder;

use crate::ctx::Time;
use crate::db::{Connection, Row, Snapshot, Statement, Value};
use crate::error::Error;

pub(in crate::access) const TABLE: &str = "legal_hold";

/// Stands in place of a customer where a hold is on consents: no customer has this id.
pub(in crate::access) const CONSENTS: [u8; 16] = [0; 16];

/// A hold, as stored: on the erasure of one customer, or on the use of all consents.
#[derive(Debug, Clone)]
pub(in crate::access) struct HoldRow {
    pub(in crate::access) id: [u8; 16],
    pub(in crate::access) customer: [u8; 16],
    pub(in crate::access) reason: String,
    pub(in crate::access) placed: Time,
    pub(in crate::access) mac: [u8; 32],
}

impl HoldRow {
    pub(in crate::access) fn columns(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(TABLE);
        encoder
            .bytes(&self.id)
            .bytes(&self.customer)
            .text(&self.reason)
            .u64(u64::try_from(self.placed.as_ms()).unwrap_or(0));
        encoder.finish()
    }
}

pub(in crate::access) fn list(db: &mut Connection) -> Result<Vec<HoldRow>, Error> {
    db.query(LIST, &[Value::from(HOLDS_MAX)])?.iter().map(read).collect()
}

pub(in crate::access) async fn count(snapshot: &mut Snapshot) -> Result<i64, Error> {
    snapshot.one(COUNT, &[]).await?.map_or(Ok(0), |row| row.integer(0))
}

pub(in crate::access) fn insert(row: &HoldRow) -> Statement {
    let args = vec![
        row.id.into(),
        row.customer.into(),
        row.reason.clone().into(),
        row.placed.as_ms().into(),
        row.mac.into(),
    ];
    Statement::new(INSERT, args)
}

/// Meets one row only if the stored one is the one that was decided on.
pub(in crate::access) fn delete(row: &HoldRow) -> Statement {
    Statement::new(DELETE, vec![row.id.into(), row.mac.into()])
}

/// Meets no row where no hold stands against erasing this customer. A row whose MAC is broken still
/// counts here: what limits is honoured even when it was tampered with.
pub fn none_for(customer: &[u8; 16]) -> Statement {
    Statement::new(NONE_FOR, vec![customer.into()])
}

fn read(row: &Row) -> Result<HoldRow, Error> {
    Ok(HoldRow {
        id: row.array(0)?,
        customer: row.array(1)?,
        reason: row.text(2)?.to_owned(),
        placed: Time::from_ms(row.integer(3)?),
        mac: row.array(4)?,
    })
}

const LIST: &str = "SELECT id, customer, reason, placed_ms, mac FROM legal_hold
ORDER BY id
LIMIT $1";

const COUNT: &str = "SELECT COUNT(*) FROM legal_hold";

const INSERT: &str = "INSERT INTO legal_hold (id, customer, reason, placed_ms, mac)
VALUES ($1, $2, $3, $4, $5)";

const DELETE: &str = "DELETE FROM legal_hold WHERE id = $1 AND mac = $2";

const NONE_FOR: &str = "SELECT 1 FROM legal_hold WHERE customer = $1";

/// All holds are held in memory, so their number is bounded.
pub(in crate::access) const HOLDS_MAX: i64 = 100_000;
