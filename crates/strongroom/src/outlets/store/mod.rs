//! Tables `send` and `send_recipient`; `shares` has its own.

mod shares;

use crate::ctx::{Pseudonym, Time};
use crate::db::{Connection, Row, Snapshot, Statement, Value};
use crate::error::Error;
use crate::id::{Id, Sending};
use crate::outlets::model::{Recipient, RecipientState, SendRow, SendState};

pub(super) use shares::{
    SHARE_TABLE, ShareRow, count_dead_shares, find_share, find_share_by_token, forget_dead_shares,
    insert_share, list_shares, update_share,
};

pub(super) fn insert_send(row: &SendRow) -> Statement {
    Statement::new(INSERT_SEND, send_values(row))
}

/// Meets one row only if the send is as it was read.
pub(super) fn update_send(row: &SendRow, mac_before: &[u8; 32]) -> Statement {
    let mut args = send_values(row);
    args.push(mac_before.into());
    Statement::new(UPDATE_SEND, args)
}

/// Meets one row while the send is as it was read.
pub(super) fn same_send(row: &SendRow) -> Statement {
    Statement::new(SAME_SEND, vec![row.id.as_bytes().into(), row.mac.into()])
}

/// Meets the recipients of a send that a customer is.
pub(super) fn recipients_of(send: &Id<Sending>, subject: &Pseudonym) -> Statement {
    Statement::new(RECIPIENTS_OF, vec![send.as_bytes().into(), subject.0.into()])
}

pub(super) async fn find_send(
    snapshot: &mut Snapshot,
    id: &Id<Sending>,
) -> Result<Option<SendRow>, Error> {
    let row = snapshot.one(FIND_SEND, &[id.as_bytes().into()]).await?;
    row.map(|row| read_send(&row)).transpose()
}

/// Sends that are not over, whose time has come or not.
pub(super) async fn list_open(snapshot: &mut Snapshot) -> Result<Vec<SendRow>, Error> {
    snapshot.query(LIST_OPEN, &[Value::from(SENDS_MAX)]).await?.iter().map(read_send).collect()
}

/// The same where nothing is served yet.
pub(super) fn list_open_of(db: &mut Connection) -> Result<Vec<SendRow>, Error> {
    db.query(LIST_OPEN, &[Value::from(SENDS_MAX)])?.iter().map(read_send).collect()
}

/// Sends that were over before a moment, behind an id; some at a time.
pub(super) async fn list_ended(
    snapshot: &mut Snapshot,
    before: Time,
    after: &[u8],
) -> Result<Vec<SendRow>, Error> {
    let args = [before.as_ms().into(), after.to_vec().into(), Value::from(SENDS_MAX)];
    snapshot.query(LIST_ENDED, &args).await?.iter().map(read_send).collect()
}

/// How many recipients there still are.
pub(super) fn count_recipients(db: &mut Connection, send: &Id<Sending>) -> Result<u64, Error> {
    let row = db.one(COUNT_RECIPIENTS, &[send.as_bytes().into()])?;
    let row = row.ok_or_else(|| Error::internal("a count without a row"))?;
    u64::try_from(row.integer(0)?).map_err(Error::internal)
}

/// So many recipients of a send, the last first.
pub(super) fn forget_recipients(send: &Id<Sending>, count: u64) -> Statement {
    Statement::new(FORGET_RECIPIENTS, vec![send.as_bytes().into(), signed(count).into()])
}

/// A send without recipients.
pub(super) fn forget_send(send: &Id<Sending>) -> Statement {
    Statement::new(FORGET_SEND, vec![send.as_bytes().into()])
}

pub(super) fn insert_recipient(row: &Recipient) -> Statement {
    Statement::new(INSERT_RECIPIENT, recipient_values(row))
}

/// Meets one row only if the recipient is as it was read.
pub(super) fn update_recipient(row: &Recipient, mac_before: &[u8; 32]) -> Statement {
    let mut args = recipient_values(row);
    args.push(mac_before.into());
    Statement::new(UPDATE_RECIPIENT, args)
}

/// Recipients in a state behind a number.
pub(super) fn list_recipients(
    db: &mut Connection,
    send: &Id<Sending>,
    state: RecipientState,
    after: i64,
    limit: i64,
) -> Result<Vec<Recipient>, Error> {
    let args = [send.as_bytes().into(), state.as_str().into(), after.into(), Value::from(limit)];
    db.query(LIST_RECIPIENTS, &args)?.iter().map(read_recipient).collect()
}

/// Recipients whose fate nobody knew at least once, behind a number.
pub(super) fn list_doubtful(
    db: &mut Connection,
    send: &Id<Sending>,
    limit: i64,
) -> Result<Vec<Recipient>, Error> {
    let args = [send.as_bytes().into(), Value::from(limit)];
    db.query(LIST_DOUBTFUL, &args)?.iter().map(read_recipient).collect()
}

/// How many recipients there are in each state.
pub(super) fn count_states(
    db: &mut Connection,
    send: &Id<Sending>,
) -> Result<Vec<(RecipientState, u64)>, Error> {
    let rows = db.query(COUNT_STATES, &[send.as_bytes().into()])?;
    rows.iter()
        .map(|row| {
            let count = u64::try_from(row.integer(1)?).map_err(Error::internal)?;
            Ok((recipient_state(row.text(0)?)?, count))
        })
        .collect()
}

/// When the next waiting recipient is due; none where nobody waits.
pub(super) fn next_due(db: &mut Connection, send: &Id<Sending>) -> Result<Option<Time>, Error> {
    let row = db.one(NEXT_DUE, &[send.as_bytes().into()])?;
    let due = row.map(|row| row.optional_integer(0)).transpose()?;
    Ok(due.flatten().map(Time::from_ms))
}

/// Sends that are not over, and recipients of theirs that wait.
pub(super) fn count_waiting(db: &mut Connection) -> Result<(u64, u64), Error> {
    let mut count = |sql| {
        let row = db.one(sql, &[])?.ok_or_else(|| Error::internal("a count without a row"))?;
        u64::try_from(row.integer(0)?).map_err(Error::internal)
    };
    Ok((count(COUNT_OPEN)?, count(COUNT_WAITING)?))
}

fn send_values(row: &SendRow) -> Vec<Value> {
    vec![
        row.id.as_bytes().into(),
        row.outlet.as_str().into(),
        row.asked_by.as_bytes().into(),
        row.segment.as_str().into(),
        row.template.clone().into(),
        row.asked.as_ms().into(),
        row.state.as_str().into(),
        row.why.as_str().into(),
        row.place.into(),
        signed(row.recipients).into(),
        row.next.as_ms().into(),
        row.mac.into(),
    ]
}

fn recipient_values(row: &Recipient) -> Vec<Value> {
    vec![
        row.send.as_bytes().into(),
        signed(row.number).into(),
        row.subject.0.into(),
        row.state.as_str().into(),
        signed(row.attempts).into(),
        signed(row.doubts).into(),
        row.next.as_ms().into(),
        row.code.as_str().into(),
        row.mac.into(),
    ]
}

fn read_send(row: &Row) -> Result<SendRow, Error> {
    let state = SendState::parse(row.text(6)?);
    Ok(SendRow {
        id: Id::from_bytes(row.array(0)?),
        outlet: row.text(1)?.to_owned(),
        asked_by: Id::from_bytes(row.array(2)?),
        segment: row.text(3)?.to_owned(),
        template: row.bytes(4)?.to_vec(),
        asked: Time::from_ms(row.integer(5)?),
        state: state.ok_or_else(|| Error::internal("a send in an unknown state"))?,
        why: row.text(7)?.to_owned(),
        place: row.integer(8)?,
        recipients: u64::try_from(row.integer(9)?).map_err(Error::internal)?,
        next: Time::from_ms(row.integer(10)?),
        mac: row.array(11)?,
    })
}

fn read_recipient(row: &Row) -> Result<Recipient, Error> {
    let number = |column| u64::try_from(row.integer(column)?).map_err(Error::internal);
    Ok(Recipient {
        send: Id::from_bytes(row.array(0)?),
        number: number(1)?,
        subject: Pseudonym(row.array(2)?),
        state: recipient_state(row.text(3)?)?,
        attempts: number(4)?,
        doubts: number(5)?,
        next: Time::from_ms(row.integer(6)?),
        code: row.text(7)?.to_owned(),
        mac: row.array(8)?,
    })
}

fn recipient_state(text: &str) -> Result<RecipientState, Error> {
    RecipientState::parse(text).ok_or_else(|| Error::internal("a recipient in an unknown state"))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

const INSERT_SEND: &str = "INSERT INTO send
  (id, outlet, asked_by, segment, template, asked_ms, state, why, place, recipients, next_ms, mac)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

const UPDATE_SEND: &str = "UPDATE send
SET outlet = $2, asked_by = $3, segment = $4, template = $5, asked_ms = $6, state = $7, why = $8,
  place = $9, recipients = $10, next_ms = $11, mac = $12
WHERE id = $1 AND mac = $13";

const SAME_SEND: &str = "SELECT 1 FROM send WHERE id = $1 AND mac = $2";

const RECIPIENTS_OF: &str = "SELECT 1 FROM send_recipient WHERE send = $1 AND subject = $2";

const FIND_SEND: &str =
    "SELECT id, outlet, asked_by, segment, template, asked_ms, state, why, place,
  recipients, next_ms, mac
FROM send
WHERE id = $1";

const LIST_OPEN: &str =
    "SELECT id, outlet, asked_by, segment, template, asked_ms, state, why, place,
  recipients, next_ms, mac
FROM send
WHERE state IN ('gathering', 'sending')
ORDER BY id
LIMIT $1";

const COUNT_OPEN: &str = "SELECT COUNT(*) FROM send WHERE state IN ('gathering', 'sending')";

const COUNT_WAITING: &str = "SELECT COUNT(*) FROM send
JOIN send_recipient ON send_recipient.send = send.id AND send_recipient.state = 'waiting'
WHERE send.state IN ('gathering', 'sending')";

const LIST_ENDED: &str =
    "SELECT id, outlet, asked_by, segment, template, asked_ms, state, why, place,
  recipients, next_ms, mac
FROM send
WHERE state IN ('done', 'stopped') AND next_ms < $1 AND id > $2
ORDER BY id
LIMIT $3";

const COUNT_RECIPIENTS: &str = "SELECT COUNT(*) FROM send_recipient WHERE send = $1";

const FORGET_RECIPIENTS: &str = "DELETE FROM send_recipient
WHERE send = $1 AND number IN
  (SELECT number FROM send_recipient WHERE send = $1 ORDER BY number DESC LIMIT $2)";

const FORGET_SEND: &str = "DELETE FROM send WHERE id = $1";

const INSERT_RECIPIENT: &str = "INSERT INTO send_recipient
  (send, number, subject, state, attempts, doubts, next_ms, code, mac)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

const UPDATE_RECIPIENT: &str = "UPDATE send_recipient
SET subject = $3, state = $4, attempts = $5, doubts = $6, next_ms = $7, code = $8, mac = $9
WHERE send = $1 AND number = $2 AND mac = $10";

const LIST_RECIPIENTS: &str =
    "SELECT send, number, subject, state, attempts, doubts, next_ms, code,
  mac
FROM send_recipient
WHERE send = $1 AND state = $2 AND number > $3
ORDER BY number
LIMIT $4";

const LIST_DOUBTFUL: &str =
    "SELECT send, number, subject, state, attempts, doubts, next_ms, code, mac
FROM send_recipient
WHERE send = $1 AND (doubts > 0 OR state = 'released')
ORDER BY number
LIMIT $2";

const COUNT_STATES: &str = "SELECT state, COUNT(*) FROM send_recipient
WHERE send = $1
GROUP BY state";

const NEXT_DUE: &str = "SELECT MIN(next_ms) FROM send_recipient
WHERE send = $1 AND state = 'waiting'";

/// Sends at one time; more are asked for by mistake.
pub(super) const SENDS_MAX: i64 = 100;
