//! Tables `webhook` and `webhook_event`.

use std::collections::BTreeMap;

use crate::ctx::Time;
use crate::db::{Connection, NullOf, Row, Snapshot, Statement, Value};
use crate::error::Error;
use crate::id::Id;
use crate::webhooks::model::{
    EndpointRow, EndpointState, EventKind, EventRow, OldSecret, names_of,
};

pub(super) fn insert_endpoint(row: &EndpointRow) -> Statement {
    Statement::new(INSERT_ENDPOINT, endpoint_values(row))
}

/// Meets one row only if the endpoint is as it was read.
pub(super) fn update_endpoint(row: &EndpointRow, mac_before: &[u8; 32]) -> Statement {
    let mut args = endpoint_values(row);
    args.push(mac_before.into());
    Statement::new(UPDATE_ENDPOINT, args)
}

/// Meets one row only if the endpoint is as it was read.
pub(super) fn delete_endpoint(row: &EndpointRow) -> Statement {
    Statement::new(DELETE_ENDPOINT, vec![row.id.as_bytes().into(), row.mac.into()])
}

/// Meets one row where there are as many endpoints as there may be.
pub(super) fn is_full() -> Statement {
    Statement::new(IS_FULL, vec![ENDPOINTS_MAX.into()])
}

pub(super) async fn list_endpoints(snapshot: &mut Snapshot) -> Result<Vec<EndpointRow>, Error> {
    let rows = snapshot.query(LIST_ENDPOINTS, &[Value::from(ENDPOINTS_MAX)]).await?;
    rows.iter().map(read_endpoint).collect()
}

/// The same on a thread that may block.
pub(super) fn read_endpoints(db: &mut Connection) -> Result<Vec<EndpointRow>, Error> {
    db.query(LIST_ENDPOINTS, &[Value::from(ENDPOINTS_MAX)])?.iter().map(read_endpoint).collect()
}

/// Whether an endpoint is still as it was read.
pub(super) async fn is_same(snapshot: &mut Snapshot, row: &EndpointRow) -> Result<bool, Error> {
    let args = [row.id.as_bytes().into(), row.mac.into()];
    Ok(snapshot.one(SAME_ENDPOINT, &args).await?.is_some())
}

/// The database gives the number; nothing is written where there is no endpoint. It never fails: numbers
/// that other hands put there must not keep anybody from being erased.
pub(super) fn insert_event(row: &EventRow) -> Statement {
    let into = row.into.map_or(Value::Null(NullOf::Bytes), |it| it.as_bytes().into());
    let args = vec![
        row.id.as_bytes().into(),
        row.kind.as_str().into(),
        row.customer.as_bytes().into(),
        into,
        row.at.as_ms().into(),
        row.mac.into(),
        // A number nobody gave must not be where counting ends.
        Value::from(i64::MAX),
    ];
    Statement::new(INSERT_EVENT, args)
}

/// Events behind a number, in order.
pub(super) async fn list_events(
    snapshot: &mut Snapshot,
    behind: i64,
) -> Result<Vec<EventRow>, Error> {
    let args = [behind.into(), Value::from(EVENTS_PAGE_MAX), Value::from(i64::MAX)];
    snapshot.query(LIST_EVENTS, &args).await?.iter().map(read_event).collect()
}

/// How many there are of each kind behind one number up to another.
pub(super) fn count_kinds(
    db: &mut Connection,
    behind: i64,
    to: i64,
) -> Result<BTreeMap<EventKind, u64>, Error> {
    let rows = db.query(COUNT_KINDS, &[behind.into(), to.into()])?;
    let mut counts = BTreeMap::new();
    for row in rows {
        let kind = EventKind::parse(row.text(0)?).unwrap_or(EventKind::Updated);
        let count = u64::try_from(row.integer(1)?).map_err(Error::internal)?;
        *counts.entry(kind).or_default() += count;
    }
    Ok(counts)
}

/// The number of the newest event, 0 where none is kept.
pub(super) fn newest_number(db: &mut Connection) -> Result<i64, Error> {
    db.one(NEWEST_NUMBER, &[])?.map_or(Ok(0), |row| row.integer(0))
}

/// The number before the oldest event of a time or later; none where there is no such event.
pub(super) fn number_before(db: &mut Connection, since: Time) -> Result<Option<i64>, Error> {
    let row = db.one(FIRST_SINCE, &[since.as_ms().into()])?;
    let first = row.map(|row| row.optional_integer(0)).transpose()?.flatten();
    Ok(first.map(|number| number - 1))
}

/// The last of the oldest events that need not be kept, so many at a time; none where all are.
pub(super) fn last_old(
    db: &mut Connection,
    before: Time,
    newest: i64,
) -> Result<Option<i64>, Error> {
    let args = [before.as_ms().into(), (newest - EVENTS_MAX).into(), Value::from(FORGOTTEN_MAX)];
    let row = db.one(LAST_OLD, &args)?;
    Ok(row.map(|row| row.optional_integer(0)).transpose()?.flatten())
}

pub(super) fn delete_events_to(number: i64) -> Statement {
    Statement::new(DELETE_EVENTS, vec![number.into()])
}

pub(super) fn forget(customer: &[u8; 16]) -> Statement {
    let kept = [EventKind::Erased, EventKind::Merged].map(|it| it.as_str().into());
    let [erased, merged] = kept;
    Statement::new(FORGET, vec![customer.into(), erased, merged])
}

fn endpoint_values(row: &EndpointRow) -> Vec<Value> {
    let old = row.old.as_ref();
    vec![
        row.id.as_bytes().into(),
        row.url.as_str().into(),
        names_of(&row.kinds).into(),
        row.secret.clone().into(),
        old.map_or(Value::Null(NullOf::Bytes), |it| it.sealed.clone().into()),
        old.map(|it| it.ends.as_ms()).into(),
        row.made_by.as_str().into(),
        row.made.as_ms().into(),
        row.state.as_str().into(),
        row.position.into(),
        signed(row.attempts).into(),
        row.next.as_ms().into(),
        row.failing.map(Time::as_ms).into(),
        row.refused.map(Time::as_ms).into(),
        row.code.as_str().into(),
        signed(row.passed).into(),
        row.mac.into(),
    ]
}

/// What cannot be read as it was written is read as something else: the MAC, held against what was
/// read, decides whether it counts.
fn read_endpoint(row: &Row) -> Result<EndpointRow, Error> {
    let number = |column| row.integer(column).and_then(|it| it.try_into().map_err(Error::internal));
    let time = |column| row.optional_integer(column).ok().flatten().map(Time::from_ms);
    let sealed = row.bytes(4).unwrap_or_default().to_vec();
    Ok(EndpointRow {
        id: Id::from_bytes(fixed(row, 0)),
        url: row.text(1)?.to_owned(),
        kinds: row.text(2)?.split(',').filter_map(EventKind::parse).collect(),
        secret: row.bytes(3)?.to_vec(),
        old: time(5).map(|ends| OldSecret { sealed, ends }),
        made_by: row.text(6)?.to_owned(),
        made: Time::from_ms(row.integer(7)?),
        state: EndpointState::parse(row.text(8)?).unwrap_or(EndpointState::Off),
        position: row.integer(9)?,
        attempts: number(10).unwrap_or(u64::MAX),
        next: Time::from_ms(row.integer(11)?),
        failing: time(12),
        refused: time(13),
        code: row.text(14)?.to_owned(),
        passed: number(15).unwrap_or(u64::MAX),
        mac: fixed(row, 16),
    })
}

/// The same.
fn read_event(row: &Row) -> Result<EventRow, Error> {
    let into = row.bytes(4).is_ok().then(|| Id::from_bytes(fixed(row, 4)));
    Ok(EventRow {
        number: row.integer(0)?,
        id: Id::from_bytes(fixed(row, 1)),
        kind: row.text(2).ok().and_then(EventKind::parse).unwrap_or(EventKind::Updated),
        customer: Id::from_bytes(fixed(row, 3)),
        into,
        at: Time::from_ms(row.integer(5).unwrap_or(i64::MIN)),
        mac: fixed(row, 6),
    })
}

fn fixed<const N: usize>(row: &Row, column: usize) -> [u8; N] {
    row.array(column).unwrap_or([0; N])
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

const INSERT_ENDPOINT: &str = "INSERT INTO webhook
  (id, url, kinds, secret, old_secret, old_ends_ms, made_by, made_ms, state, position, attempts,
   next_ms, failing_ms, refused_ms, code, passed, mac)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";

const UPDATE_ENDPOINT: &str = "UPDATE webhook
SET url = $2, kinds = $3, secret = $4, old_secret = $5, old_ends_ms = $6, made_by = $7, made_ms = $8,
  state = $9, position = $10, attempts = $11, next_ms = $12, failing_ms = $13, refused_ms = $14,
  code = $15, passed = $16, mac = $17
WHERE id = $1 AND mac = $18";

const DELETE_ENDPOINT: &str = "DELETE FROM webhook WHERE id = $1 AND mac = $2";

const IS_FULL: &str = "SELECT 1 WHERE (SELECT COUNT(*) FROM webhook) >= $1";

const LIST_ENDPOINTS: &str =
    "SELECT id, url, kinds, secret, old_secret, old_ends_ms, made_by, made_ms,
  state, position, attempts, next_ms, failing_ms, refused_ms, code, passed, mac
FROM webhook
ORDER BY id
LIMIT $1";

const SAME_ENDPOINT: &str = "SELECT 1 FROM webhook WHERE id = $1 AND mac = $2";

// INVARIANT: a number is never given twice, although old events go: no endpoint is behind the newest
// number that was ever given, and what goes of one customer goes after a newer one came.
const INSERT_EVENT: &str = "INSERT INTO webhook_event
  (number, id, kind, customer, merged_into, at_ms, mac)
SELECT 1 + (SELECT COALESCE(MAX(known.number), 0)
    FROM (SELECT MAX(number) AS number FROM webhook_event WHERE number < $7
      UNION ALL SELECT MAX(position) AS number FROM webhook WHERE position < $7) AS known),
  $1, $2, $3, $4, $5, $6
WHERE EXISTS (SELECT 1 FROM webhook)
ON CONFLICT (number) DO NOTHING";

const LIST_EVENTS: &str = "SELECT number, id, kind, customer, merged_into, at_ms, mac
FROM webhook_event
WHERE number > $1 AND number < $3
ORDER BY number
LIMIT $2";

const COUNT_KINDS: &str = "SELECT kind, COUNT(*) FROM webhook_event
WHERE number > $1 AND number <= $2
GROUP BY kind";

const NEWEST_NUMBER: &str = "SELECT COALESCE(MAX(number), 0) FROM webhook_event";

const FIRST_SINCE: &str = "SELECT MIN(number) FROM webhook_event WHERE at_ms >= $1";

const LAST_OLD: &str = "SELECT MAX(old.number)
FROM (SELECT number, at_ms FROM webhook_event ORDER BY number LIMIT $3) AS old
WHERE old.at_ms < $1 OR old.number <= $2";

const DELETE_EVENTS: &str = "DELETE FROM webhook_event WHERE number <= $1";

const FORGET: &str = "DELETE FROM webhook_event
WHERE customer = $1 AND kind NOT IN ($2, $3)";

/// Each of them is told of everything; more systems are better served by one of their own that passes
/// events on.
pub(super) const ENDPOINTS_MAX: i64 = 16;

/// About 120 bytes each. A shop with more in a month has that many customers change every day.
pub(super) const EVENTS_MAX: i64 = 1_000_000;

/// A page is read in milliseconds.
pub(super) const EVENTS_PAGE_MAX: i64 = 1_000;

/// So many are deleted in one change, in tens of milliseconds.
const FORGOTTEN_MAX: i64 = 10_000;
