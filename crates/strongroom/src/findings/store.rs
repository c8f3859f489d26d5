//! Table `finding`.

use std::collections::BTreeMap;

use crate::ctx::Time;
use crate::db::{Row, Snapshot, Statement, Value};
use crate::error::Error;
use crate::findings::model::{Finding, FindingKind, Raised};

pub(super) fn raise(finding: &Finding, now: Time) -> Statement {
    let args = vec![
        finding.id().into(),
        finding.kind.as_str().into(),
        finding.detail.clone().into(),
        finding.customer.map_or(Value::Null(crate::db::NullOf::Bytes), Value::from),
        now.as_ms().into(),
    ];
    Statement::new(RAISE, args)
}

pub(super) fn close(kind: FindingKind) -> Statement {
    Statement::new(CLOSE, vec![kind.as_str().into()])
}

pub(super) async fn list(snapshot: &mut Snapshot) -> Result<Vec<Raised>, Error> {
    snapshot.query(LIST, &[Value::from(FINDINGS_PAGE_MAX)]).await?.iter().map(read).collect()
}

pub(super) async fn count_open(
    snapshot: &mut Snapshot,
) -> Result<BTreeMap<Option<FindingKind>, u64>, Error> {
    let mut counts = BTreeMap::new();
    for row in snapshot.query(COUNT_OPEN, &[]).await? {
        let name = row.text(0)?;
        let kind = FindingKind::ALL.into_iter().find(|kind| kind.as_str() == name);
        *counts.entry(kind).or_default() +=
            u64::try_from(row.integer(1)?).map_err(Error::internal)?;
    }
    Ok(counts)
}

pub(super) fn forget(customer: &[u8; 16]) -> Statement {
    Statement::new(FORGET, vec![customer.into()])
}

fn read(row: &Row) -> Result<Raised, Error> {
    Ok(Raised {
        id: row.text(0)?.to_owned(),
        kind: row.text(1)?.to_owned(),
        detail: row.text(2)?.to_owned(),
        first_seen: Time::from_ms(row.integer(3)?),
        last_seen: Time::from_ms(row.integer(4)?),
    })
}

const RAISE: &str = "INSERT INTO finding
  (id, kind, detail, customer, first_seen_ms, last_seen_ms, state)
VALUES ($1, $2, $3, $4, $5, $5, 'open')
ON CONFLICT (id) DO UPDATE SET
  detail = excluded.detail, last_seen_ms = excluded.last_seen_ms, state = 'open'";

const CLOSE: &str = "UPDATE finding SET state = 'closed' WHERE id = $1 AND state = 'open'";

const LIST: &str = "SELECT id, kind, detail, first_seen_ms, last_seen_ms FROM finding
WHERE state = 'open'
ORDER BY last_seen_ms DESC, id
LIMIT $1";

const COUNT_OPEN: &str = "SELECT kind, COUNT(*) FROM finding
WHERE state = 'open'
GROUP BY kind";

const FORGET: &str = "DELETE FROM finding WHERE customer = $1";

/// More open findings than anyone works through in a day.
const FINDINGS_PAGE_MAX: i64 = 200;
