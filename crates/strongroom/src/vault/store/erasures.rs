//! Tables `erasure_job` and `erasure_register`.

use strongroom_crypto::Encoder;

use crate::ctx::Time;
use crate::db::{Connection, Row, Snapshot, Statement, Value};
use crate::error::Error;

pub(in crate::vault) const JOB_TABLE: &str = "erasure_job";
pub(in crate::vault) const REGISTER_TABLE: &str = "erasure_register";

/// One erasure on its way.
#[derive(Debug, Clone)]
pub(in crate::vault) struct JobRow {
    pub(in crate::vault) id: [u8; 16],
    pub(in crate::vault) state: JobState,
    /// The customer's row key; 0 once it is done.
    pub(in crate::vault) customer: i64,
    pub(in crate::vault) asked: Time,
    pub(in crate::vault) due: Time,
    /// What is to be destroyed and deleted, from begin to done; empty before and after.
    pub(in crate::vault) plan: Vec<u8>,
    pub(in crate::vault) version: u64,
    pub(in crate::vault) mac: [u8; 32],
}

/// How far an erasure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::vault) enum JobState {
    /// Hidden, in its grace.
    Asked,
    /// Past the point of return: keys are being destroyed.
    Begun,
    /// Taken back in its grace.
    Cancelled,
    /// Keys and rows are gone.
    Done,
}

impl JobState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Begun => "begun",
            Self::Cancelled => "cancelled",
            Self::Done => "done",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let all = [Self::Asked, Self::Begun, Self::Cancelled, Self::Done];
        all.into_iter().find(|it| it.as_str() == text)
    }
}

impl JobRow {
    pub(in crate::vault) fn columns(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(JOB_TABLE);
        encoder
            .bytes(&self.id)
            .text(self.state.as_str())
            .u64(self.customer.cast_unsigned())
            .u64(self.asked.as_ms().cast_unsigned())
            .u64(self.due.as_ms().cast_unsigned())
            .bytes(&self.plan)
            .u64(self.version);
        encoder.finish()
    }
}

pub(in crate::vault) fn insert_job(row: &JobRow) -> Statement {
    Statement::new(INSERT_JOB, values(row))
}

/// Meets one row only if the stored one is the one that was decided on.
pub(in crate::vault) fn update_job(row: &JobRow, mac_before: &[u8; 32]) -> Statement {
    let mut args = values(row);
    args.push(mac_before.into());
    Statement::new(UPDATE_JOB, args)
}

/// Jobs in a state that are due, the oldest first, after a place.
pub(in crate::vault) fn list_jobs(
    db: &mut Connection,
    state: JobState,
    due: Time,
    after: Option<(Time, [u8; 16])>,
) -> Result<Vec<JobRow>, Error> {
    let (after_ms, after_id) = after.map_or((i64::MIN, [0; 16]), |(due, id)| (due.as_ms(), id));
    let args = [
        state.as_str().into(),
        due.as_ms().into(),
        after_ms.into(),
        after_id.into(),
        Value::from(JOBS_PAGE_MAX),
    ];
    db.query(LIST_JOBS, &args)?.iter().map(read_job).collect()
}

/// The job of a customer that is asked or begun.
pub(in crate::vault) async fn find_job(
    snapshot: &mut Snapshot,
    customer: i64,
    state: JobState,
) -> Result<Option<JobRow>, Error> {
    let row = snapshot.one(FIND_JOB, &[customer.into(), state.as_str().into()]).await?;
    row.map(|row| read_job(&row)).transpose()
}

/// How many erasures were asked for since a moment and not taken back.
pub(in crate::vault) async fn asked_since(
    snapshot: &mut Snapshot,
    since: Time,
) -> Result<u64, Error> {
    let row = snapshot.one(ASKED_SINCE, &[since.as_ms().into()]).await?;
    row.map_or(Ok(0), |row| u64::try_from(row.integer(0)?).map_err(Error::internal))
}

/// Meets one row where at least so many erasures were asked for since a moment.
pub(in crate::vault) fn asked_at_least(since: Time, count: u64) -> Statement {
    let before = i64::try_from(count.saturating_sub(1)).unwrap_or(i64::MAX);
    Statement::new(ASKED_AT_LEAST, vec![since.as_ms().into(), before.into()])
}

/// How many customers there are.
pub(in crate::vault) async fn count_customers(snapshot: &mut Snapshot) -> Result<u64, Error> {
    let row = snapshot.one(COUNT_CUSTOMERS, &[]).await?;
    row.map_or(Ok(0), |row| u64::try_from(row.integer(0)?).map_err(Error::internal))
}

pub(in crate::vault) fn register_columns(dek: &[u8; 16], destroyed: Time) -> Vec<u8> {
    let mut encoder = Encoder::new(REGISTER_TABLE);
    encoder.bytes(dek).u64(destroyed.as_ms().cast_unsigned());
    encoder.finish()
}

pub(in crate::vault) fn insert_register(
    dek: &[u8; 16],
    destroyed: Time,
    mac: &[u8; 32],
) -> Statement {
    let args = vec![dek.into(), destroyed.as_ms().into(), mac.into()];
    Statement::new(INSERT_REGISTER, args)
}

pub(in crate::vault) async fn is_registered(
    snapshot: &mut Snapshot,
    dek: &[u8; 16],
) -> Result<Option<(Time, [u8; 32])>, Error> {
    let row = snapshot.one(READ_REGISTERED, &[dek.into()]).await?;
    row.map(|row| Ok((Time::from_ms(row.integer(0)?), row.array(1)?))).transpose()
}

/// Brings back a line where the register calls this key destroyed.
pub(in crate::vault) fn ask_registered(dek: &[u8; 16]) -> Statement {
    Statement::new(READ_REGISTERED, vec![dek.into()])
}

/// A page of the register after a key.
pub(in crate::vault) fn read_register(
    db: &mut Connection,
    after: &[u8],
) -> Result<Vec<RegisterLine>, Error> {
    let rows = db.query(READ_REGISTER, &[after.into(), Value::from(REGISTER_PAGE_MAX)])?;
    let read = |row: &Row| {
        let destroyed = Time::from_ms(row.integer(1)?);
        Ok(RegisterLine { dek: row.array(0)?, destroyed, mac: row.array(2)? })
    };
    rows.iter().map(read).collect()
}

/// A key that was destroyed.
pub(in crate::vault) struct RegisterLine {
    pub(in crate::vault) dek: [u8; 16],
    pub(in crate::vault) destroyed: Time,
    pub(in crate::vault) mac: [u8; 32],
}

/// A page of all jobs after an id.
pub(in crate::vault) fn read_jobs(db: &mut Connection, after: &[u8]) -> Result<Vec<JobRow>, Error> {
    let args = [after.into(), Value::from(REGISTER_PAGE_MAX)];
    db.query(READ_JOBS, &args)?.iter().map(read_job).collect()
}

fn values(row: &JobRow) -> Vec<Value> {
    vec![
        row.id.into(),
        row.state.as_str().into(),
        row.customer.into(),
        row.asked.as_ms().into(),
        row.due.as_ms().into(),
        row.plan.clone().into(),
        i64::try_from(row.version).unwrap_or(i64::MAX).into(),
        row.mac.into(),
    ]
}

fn read_job(row: &Row) -> Result<JobRow, Error> {
    let state = JobState::parse(row.text(1)?);
    Ok(JobRow {
        id: row.array(0)?,
        state: state.ok_or_else(|| Error::internal("an erasure in an unknown state"))?,
        customer: row.integer(2)?,
        asked: Time::from_ms(row.integer(3)?),
        due: Time::from_ms(row.integer(4)?),
        plan: row.bytes(5)?.to_vec(),
        version: u64::try_from(row.integer(6)?).map_err(Error::internal)?,
        mac: row.array(7)?,
    })
}

const INSERT_JOB: &str = "INSERT INTO erasure_job
  (id, state, customer, asked_ms, due_ms, plan, version, mac)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

const UPDATE_JOB: &str = "UPDATE erasure_job
SET state = $2, customer = $3, asked_ms = $4, due_ms = $5, plan = $6, version = $7, mac = $8
WHERE id = $1 AND mac = $9";

const LIST_JOBS: &str = "SELECT id, state, customer, asked_ms, due_ms, plan, version, mac
FROM erasure_job
WHERE state = $1 AND due_ms <= $2 AND (due_ms > $3 OR (due_ms = $3 AND id > $4))
ORDER BY due_ms, id
LIMIT $5";

const FIND_JOB: &str = "SELECT id, state, customer, asked_ms, due_ms, plan, version, mac
FROM erasure_job
WHERE customer = $1 AND state = $2
ORDER BY due_ms, id
LIMIT 1";

const READ_JOBS: &str = "SELECT id, state, customer, asked_ms, due_ms, plan, version, mac
FROM erasure_job
WHERE id > $1
ORDER BY id
LIMIT $2";

const ASKED_SINCE: &str = "SELECT COUNT(*) FROM erasure_job
WHERE asked_ms >= $1 AND state <> 'cancelled'";

const ASKED_AT_LEAST: &str = "SELECT id FROM erasure_job
WHERE asked_ms >= $1 AND state <> 'cancelled'
LIMIT 1 OFFSET $2";

const COUNT_CUSTOMERS: &str = "SELECT COUNT(*) FROM customer";

const INSERT_REGISTER: &str = "INSERT INTO erasure_register (dek, destroyed_ms, mac)
VALUES ($1, $2, $3)
ON CONFLICT (dek) DO NOTHING";

const READ_REGISTERED: &str = "SELECT destroyed_ms, mac FROM erasure_register WHERE dek = $1";

const READ_REGISTER: &str = "SELECT dek, destroyed_ms, mac FROM erasure_register
WHERE dek > $1
ORDER BY dek
LIMIT $2";

/// So many are read at a time.
const JOBS_PAGE_MAX: i64 = 200;

const REGISTER_PAGE_MAX: i64 = 10_000;
