//! Tables `place` and `holding`.

use crate::ctx::{FieldSet, Time};
use crate::db::{Connection, NullOf, Row, Snapshot, Statement, Value};
use crate::error::Error;
use crate::id::{Holding, Id};
use crate::places::model::{Held, HeldOf, PlaceKind, PlaceName, PlaceRow};

pub(super) const HOLDING_TABLE: &str = "holding";

/// Opens a place, or opens it again; who owns it and what it is stay as they were.
pub(super) fn open_place(name: &PlaceName, kind: PlaceKind, owner: &str, now: Time) -> Statement {
    let args = vec![name.as_str().into(), kind.as_str().into(), owner.into(), now.as_ms().into()];
    Statement::new(OPEN_PLACE, args)
}

/// Opens a place as a person describes it.
pub(super) fn put_place(name: &PlaceName, kind: PlaceKind, owner: &str, now: Time) -> Statement {
    let args = vec![name.as_str().into(), kind.as_str().into(), owner.into(), now.as_ms().into()];
    Statement::new(PUT_PLACE, args)
}

/// Meets one row only while nothing is there any more.
pub(super) fn close_place(name: &PlaceName, now: Time) -> Statement {
    Statement::new(CLOSE_PLACE, vec![name.as_str().into(), now.as_ms().into()])
}

pub(super) async fn find_place(
    snapshot: &mut Snapshot,
    name: &PlaceName,
) -> Result<Option<PlaceRow>, Error> {
    let row = snapshot.one(FIND_PLACE, &[name.as_str().into()]).await?;
    row.map(|row| read_place(&row)).transpose()
}

/// How many places there are, closed ones too.
pub(super) async fn count_places(snapshot: &mut Snapshot) -> Result<u64, Error> {
    let row = snapshot.one(COUNT_PLACES, &[]).await?;
    row.map_or(Ok(0), |row| u64::try_from(row.integer(0)?).map_err(Error::internal))
}

/// Places after a name, in the order of their names.
pub(super) async fn list_places(
    snapshot: &mut Snapshot,
    after: &str,
    limit: i64,
) -> Result<Vec<PlaceRow>, Error> {
    let rows = snapshot.query(LIST_PLACES, &[after.into(), limit.into()]).await?;
    rows.iter().map(read_place).collect()
}

pub(super) fn insert_holding(held: &Held) -> Statement {
    let sealed = match held.sealed.is_empty() {
        true => Value::Null(NullOf::Bytes),
        false => Value::Bytes(held.sealed.clone()),
    };
    let args = vec![
        held.id.as_bytes().into(),
        held.place.as_str().into(),
        held.whose.as_str().into(),
        i64::try_from(held.number).unwrap_or(i64::MAX).into(),
        sealed,
        held.fields.to_bytes().into(),
        held.act.as_str().into(),
        held.origin.as_str().into(),
        held.since.as_ms().into(),
        held.due.map(Time::as_ms).into(),
        held.mac.into(),
    ];
    Statement::new(INSERT_HOLDING, args)
}

/// Meets one row only if the holding is as it was read.
pub(super) fn close_holding(held: &Held, mac_before: &[u8; 32]) -> Statement {
    let args = vec![
        held.id.as_bytes().into(),
        held.closed.map(Time::as_ms).into(),
        held.evidence.as_str().into(),
        held.mac.into(),
        mac_before.into(),
    ];
    Statement::new(CLOSE_HOLDING, args)
}

/// Holdings of a place after an id, in the order they came there.
pub(super) fn list_holdings(
    db: &mut Connection,
    place: &str,
    after: &[u8],
    limit: i64,
) -> Result<Vec<Held>, Error> {
    let args = [place.into(), after.into(), Value::from(limit)];
    db.query(LIST_HOLDINGS, &args)?.iter().map(read_holding).collect()
}

/// Open holdings of a place after an id.
pub(super) fn list_open(
    db: &mut Connection,
    place: &str,
    after: &[u8],
    limit: i64,
) -> Result<Vec<Held>, Error> {
    let args = [place.into(), after.into(), Value::from(limit)];
    db.query(LIST_OPEN, &args)?.iter().map(read_holding).collect()
}

/// How many holdings are past their due date and still open.
pub(super) async fn count_overdue(snapshot: &mut Snapshot, now: Time) -> Result<u64, Error> {
    let row = snapshot.one(COUNT_OVERDUE, &[now.as_ms().into()]).await?;
    row.map_or(Ok(0), |row| u64::try_from(row.integer(0)?).map_err(Error::internal))
}

fn read_place(row: &Row) -> Result<PlaceRow, Error> {
    Ok(PlaceRow {
        name: row.text(0)?.to_owned(),
        kind: row.text(1)?.to_owned(),
        owner: row.text(2)?.to_owned(),
        opened: Time::from_ms(row.integer(3)?),
        closed: row.optional_integer(4)?.map(Time::from_ms),
        open_holdings: u64::try_from(row.integer(5)?).map_err(Error::internal)?,
    })
}

fn read_holding(row: &Row) -> Result<Held, Error> {
    Ok(Held {
        id: Id::<Holding>::from_bytes(row.array(0)?),
        place: row.text(1)?.to_owned(),
        whose: HeldOf::parse(row.text(2)?)
            .ok_or_else(|| Error::internal("a holding of an unknown kind"))?,
        number: u64::try_from(row.integer(3)?).map_err(Error::internal)?,
        sealed: row.bytes(4).map(<[u8]>::to_vec).unwrap_or_default(),
        fields: FieldSet::from_bytes(row.array(5)?),
        act: row.text(6)?.to_owned(),
        origin: row.text(7)?.to_owned(),
        since: Time::from_ms(row.integer(8)?),
        due: row.optional_integer(9)?.map(Time::from_ms),
        closed: row.optional_integer(10)?.map(Time::from_ms),
        evidence: row.text(11)?.to_owned(),
        mac: row.array(12)?,
    })
}

const OPEN_PLACE: &str = "INSERT INTO place (name, kind, owner, opened_ms)
VALUES ($1, $2, $3, $4)
ON CONFLICT (name) DO UPDATE SET closed_ms = NULL
WHERE place.closed_ms IS NOT NULL";

const PUT_PLACE: &str = "INSERT INTO place (name, kind, owner, opened_ms)
VALUES ($1, $2, $3, $4)
ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, owner = excluded.owner, closed_ms = NULL";

const CLOSE_PLACE: &str = "UPDATE place
SET closed_ms = $2
WHERE name = $1 AND closed_ms IS NULL
  AND NOT EXISTS (SELECT 1 FROM holding WHERE place = $1 AND closed_ms IS NULL)";

const FIND_PLACE: &str = "SELECT name, kind, owner, opened_ms, closed_ms,
  (SELECT COUNT(*) FROM holding WHERE holding.place = name AND holding.closed_ms IS NULL)
FROM place
WHERE name = $1";

const COUNT_PLACES: &str = "SELECT COUNT(*) FROM place";

const LIST_PLACES: &str = "SELECT name, kind, owner, opened_ms, closed_ms,
  (SELECT COUNT(*) FROM holding WHERE holding.place = name AND holding.closed_ms IS NULL)
FROM place
WHERE name > $1
ORDER BY name
LIMIT $2";

const INSERT_HOLDING: &str = "INSERT INTO holding
  (id, place, whose, number, sealed, fields, act, origin, since_ms, due_ms, evidence, mac)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '', $11)";

const CLOSE_HOLDING: &str = "UPDATE holding
SET closed_ms = $2, evidence = $3, mac = $4
WHERE id = $1 AND mac = $5";

const LIST_HOLDINGS: &str =
    "SELECT id, place, whose, number, sealed, fields, act, origin, since_ms,
  due_ms, closed_ms, evidence, mac
FROM holding
WHERE place = $1 AND id > $2
ORDER BY id
LIMIT $3";

const LIST_OPEN: &str = "SELECT id, place, whose, number, sealed, fields, act, origin, since_ms,
  due_ms, closed_ms, evidence, mac
FROM holding
WHERE place = $1 AND id > $2 AND closed_ms IS NULL
ORDER BY id
LIMIT $3";

const COUNT_OVERDUE: &str = "SELECT COUNT(*) FROM holding WHERE due_ms < $1 AND closed_ms IS NULL";
