//! Table `repeat`: calls that were done and may be sent again. Hashes, statuses and ids only.

use strongroom_crypto::Encoder;

use crate::ctx::Time;
use crate::db::{Snapshot, Statement, Value};
use crate::error::Error;
use crate::keys::Keyring;

/// A call that was done.
pub(in crate::access) struct RepeatRow {
    pub(in crate::access) key_hash: [u8; 32],
    pub(in crate::access) request_hash: [u8; 32],
    pub(in crate::access) status: u16,
    pub(in crate::access) resource: String,
    pub(in crate::access) ends: Time,
}

impl RepeatRow {
    fn mac(&self, keyring: &Keyring) -> Result<[u8; 32], Error> {
        let mut encoder = Encoder::new(TABLE);
        encoder
            .bytes(&self.key_hash)
            .bytes(&self.request_hash)
            .u64(u64::from(self.status))
            .text(&self.resource)
            .u64(self.ends.as_ms().cast_unsigned());
        keyring.mac_row(TABLE, &encoder.finish())
    }
}

/// Meets one row only if the call was not done within its time.
pub(in crate::access) fn claim(
    keyring: &Keyring,
    row: &RepeatRow,
    now: Time,
) -> Result<Statement, Error> {
    let args = vec![
        row.key_hash.into(),
        row.request_hash.into(),
        i64::from(row.status).into(),
        row.resource.clone().into(),
        row.ends.as_ms().into(),
        row.mac(keyring)?.into(),
        now.as_ms().into(),
    ];
    Ok(Statement::new(CLAIM, args))
}

/// The call with this key, if it was done within its time. A row that other hands changed would name
/// somebody else's customer, so it is an error.
pub(in crate::access) async fn find(
    snapshot: &mut Snapshot,
    keyring: &Keyring,
    key_hash: &[u8; 32],
    now: Time,
) -> Result<Option<RepeatRow>, Error> {
    let Some(row) = snapshot.one(FIND, &[key_hash.into(), Value::from(now.as_ms())]).await? else {
        return Ok(None);
    };
    let found = RepeatRow {
        key_hash: *key_hash,
        request_hash: row.array(0)?,
        status: u16::try_from(row.integer(1)?).map_err(Error::internal)?,
        resource: row.text(2)?.to_owned(),
        ends: Time::from_ms(row.integer(3)?),
    };
    if strongroom_crypto::constant_time_eq(&found.mac(keyring)?, row.bytes(4)?) {
        return Ok(Some(found));
    }
    let detail = "what is known about this call was changed in the database by other hands; look \
                  whether it was done, and find out who can write to the database";
    Err(Error::unavailable("tampered", detail))
}

pub(in crate::access) async fn any_ended(
    snapshot: &mut Snapshot,
    now: Time,
) -> Result<bool, Error> {
    Ok(snapshot.one(ANY_ENDED, &[now.as_ms().into()]).await?.is_some())
}

pub(in crate::access) fn forget_ended(now: Time) -> Statement {
    Statement::new(FORGET_ENDED, vec![now.as_ms().into()])
}

const TABLE: &str = "repeat";

const CLAIM: &str = "INSERT INTO repeat (key_hash, request_hash, status, resource, ends_ms, mac)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (key_hash) DO UPDATE SET request_hash = excluded.request_hash,
  status = excluded.status, resource = excluded.resource, ends_ms = excluded.ends_ms,
  mac = excluded.mac
WHERE repeat.ends_ms <= $7";

const FIND: &str = "SELECT request_hash, status, resource, ends_ms, mac FROM repeat
WHERE key_hash = $1 AND ends_ms > $2";

const ANY_ENDED: &str = "SELECT 1 FROM repeat WHERE ends_ms <= $1 LIMIT 1";

const FORGET_ENDED: &str = "DELETE FROM repeat WHERE ends_ms <= $1";
