//! Tables `policy_version` and `policy_pending`.

use strongroom_crypto::Encoder;

use crate::ctx::Time;
use crate::db::{Connection, Row, Statement, Value};
use crate::error::Error;

pub(super) const VERSION_TABLE: &str = "policy_version";
pub(super) const PENDING_TABLE: &str = "policy_pending";

/// One applied version, as stored.
#[derive(Clone)]
pub(super) struct VersionRow {
    pub(super) version: u32,
    pub(super) policy: String,
    pub(super) registry: String,
    pub(super) applied: Time,
    pub(super) mac: [u8; 32],
}

/// A policy that waits, as stored.
#[derive(Clone)]
pub(super) struct PendingRow {
    pub(super) policy: String,
    pub(super) due: Time,
    pub(super) mac: [u8; 32],
}

impl VersionRow {
    pub(super) fn columns(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(VERSION_TABLE);
        encoder
            .u32(self.version)
            .text(&self.policy)
            .text(&self.registry)
            .u64(u64::try_from(self.applied.as_ms()).unwrap_or(0));
        encoder.finish()
    }
}

impl PendingRow {
    pub(super) fn columns(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(PENDING_TABLE);
        encoder.text(&self.policy).u64(u64::try_from(self.due.as_ms()).unwrap_or(0));
        encoder.finish()
    }
}

pub(super) fn list_versions(db: &mut Connection) -> Result<Vec<VersionRow>, Error> {
    db.query(LIST_VERSIONS, &[Value::from(VERSIONS_MAX)])?.iter().map(read_version).collect()
}

pub(super) fn insert_version(row: &VersionRow) -> Statement {
    let args = vec![
        i64::from(row.version).into(),
        row.policy.clone().into(),
        row.registry.clone().into(),
        row.applied.as_ms().into(),
        row.mac.into(),
    ];
    Statement::new(INSERT_VERSION, args)
}

pub(super) fn read_pending(db: &mut Connection) -> Result<Option<PendingRow>, Error> {
    let Some(row) = db.one(READ_PENDING, &[])? else { return Ok(None) };
    let due = Time::from_ms(row.integer(1)?);
    Ok(Some(PendingRow { policy: row.text(0)?.to_owned(), due, mac: row.array(2)? }))
}

pub(super) fn insert_pending(row: &PendingRow) -> Statement {
    let args = vec![row.policy.clone().into(), row.due.as_ms().into(), row.mac.into()];
    Statement::new(INSERT_PENDING, args)
}

/// Meets one row only if the stored one is the one that was decided on.
pub(super) fn delete_pending(mac: &[u8; 32]) -> Statement {
    Statement::new(DELETE_PENDING, vec![mac.into()])
}

fn read_version(row: &Row) -> Result<VersionRow, Error> {
    Ok(VersionRow {
        version: u32::try_from(row.integer(0)?).map_err(Error::internal)?,
        policy: row.text(1)?.to_owned(),
        registry: row.text(2)?.to_owned(),
        applied: Time::from_ms(row.integer(3)?),
        mac: row.array(4)?,
    })
}

const LIST_VERSIONS: &str = "SELECT version, policy, registry, applied_ms, mac
FROM policy_version
ORDER BY version
LIMIT $1";

const INSERT_VERSION: &str = "INSERT INTO policy_version
  (version, policy, registry, applied_ms, mac)
VALUES ($1, $2, $3, $4, $5)";

const READ_PENDING: &str = "SELECT policy, due_ms, mac FROM policy_pending WHERE id = 1";

const INSERT_PENDING: &str = "INSERT INTO policy_pending (id, policy, due_ms, mac)
VALUES (1, $1, $2, $3)
ON CONFLICT (id) DO NOTHING";

const DELETE_PENDING: &str = "DELETE FROM policy_pending WHERE id = 1 AND mac = $1";

/// Versions kept (`specs/access.md`).
pub(super) const VERSIONS_MAX: i64 = 1_000;
