//! Table `share`.

use strongroom_crypto::Encoder;

use crate::ctx::{FieldSet, Pseudonym, Time};
use crate::db::{Connection, Row, Snapshot, Statement, Value};
use crate::error::Error;
use crate::id::{ApiKey, Id, Share};

pub(in crate::outlets) const SHARE_TABLE: &str = "share";

/// Some fields of one customer for whoever holds a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::outlets) struct ShareRow {
    pub(in crate::outlets) id: Id<Share>,
    /// MAC of the secret in the link.
    pub(in crate::outlets) token: [u8; 32],
    pub(in crate::outlets) subject: Pseudonym,
    /// The customer's life when it was made.
    pub(in crate::outlets) life: u64,
    pub(in crate::outlets) fields: FieldSet,
    pub(in crate::outlets) purpose: String,
    /// A company or a post.
    pub(in crate::outlets) recipient: String,
    pub(in crate::outlets) made_by: Id<ApiKey>,
    pub(in crate::outlets) made: Time,
    pub(in crate::outlets) ends: Time,
    pub(in crate::outlets) views_max: u64,
    pub(in crate::outlets) views: u64,
    pub(in crate::outlets) revoked: Option<Time>,
    pub(in crate::outlets) mac: [u8; 32],
}

impl ShareRow {
    pub(in crate::outlets) fn columns(&self) -> Vec<u8> {
        let revoked = self.revoked.map_or(u64::MAX, |it| it.as_ms().cast_unsigned());
        let mut encoder = Encoder::new(SHARE_TABLE);
        encoder
            .bytes(self.id.as_bytes())
            .bytes(&self.token)
            .bytes(&self.subject.0)
            .u64(self.life)
            .bytes(&self.fields.to_bytes())
            .text(&self.purpose)
            .text(&self.recipient)
            .bytes(self.made_by.as_bytes())
            .u64(self.made.as_ms().cast_unsigned())
            .u64(self.ends.as_ms().cast_unsigned())
            .u64(self.views_max)
            .u64(self.views)
            .u64(revoked);
        encoder.finish()
    }
}

pub(in crate::outlets) fn insert_share(row: &ShareRow) -> Statement {
    let number = |number: u64| Value::from(i64::try_from(number).unwrap_or(i64::MAX));
    let args = vec![
        row.id.as_bytes().into(),
        row.token.into(),
        row.subject.0.into(),
        number(row.life),
        row.fields.to_bytes().into(),
        row.purpose.as_str().into(),
        row.recipient.as_str().into(),
        row.made_by.as_bytes().into(),
        row.made.as_ms().into(),
        row.ends.as_ms().into(),
        number(row.views_max),
        row.mac.into(),
    ];
    Statement::new(INSERT, args)
}

/// Meets one row only if the share is as it was read: one view is counted once.
pub(in crate::outlets) fn update_share(row: &ShareRow, mac_before: &[u8; 32]) -> Statement {
    let args = vec![
        row.id.as_bytes().into(),
        i64::try_from(row.views).unwrap_or(i64::MAX).into(),
        row.revoked.map(Time::as_ms).into(),
        row.mac.into(),
        mac_before.into(),
    ];
    Statement::new(UPDATE, args)
}

/// Shares that were not revoked, behind an id; some at a time.
pub(in crate::outlets) fn list_shares(
    db: &mut Connection,
    after: &[u8],
) -> Result<Vec<ShareRow>, Error> {
    let args = [after.to_vec().into(), Value::from(SHARES_AT_ONCE_MAX)];
    db.query(LIST, &args)?.iter().map(read).collect()
}

/// How many shares were over before a moment.
pub(in crate::outlets) fn count_dead_shares(
    db: &mut Connection,
    before: Time,
) -> Result<u64, Error> {
    let row = db.one(COUNT_DEAD, &[before.as_ms().into()])?;
    let row = row.ok_or_else(|| Error::internal("a count without a row"))?;
    u64::try_from(row.integer(0)?).map_err(Error::internal)
}

/// So many of them.
pub(in crate::outlets) fn forget_dead_shares(before: Time, count: u64) -> Statement {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    Statement::new(FORGET_DEAD, vec![before.as_ms().into(), count.into()])
}

pub(in crate::outlets) async fn find_share(
    snapshot: &mut Snapshot,
    id: &Id<Share>,
) -> Result<Option<ShareRow>, Error> {
    let row = snapshot.one(FIND, &[id.as_bytes().into()]).await?;
    row.map(|row| read(&row)).transpose()
}

pub(in crate::outlets) async fn find_share_by_token(
    snapshot: &mut Snapshot,
    token: &[u8; 32],
) -> Result<Option<ShareRow>, Error> {
    let row = snapshot.one(FIND_BY_TOKEN, &[token.into()]).await?;
    row.map(|row| read(&row)).transpose()
}

fn read(row: &Row) -> Result<ShareRow, Error> {
    let number = |column| u64::try_from(row.integer(column)?).map_err(Error::internal);
    Ok(ShareRow {
        id: Id::from_bytes(row.array(0)?),
        token: row.array(1)?,
        subject: Pseudonym(row.array(2)?),
        life: number(3)?,
        fields: FieldSet::from_bytes(row.array(4)?),
        purpose: row.text(5)?.to_owned(),
        recipient: row.text(6)?.to_owned(),
        made_by: Id::from_bytes(row.array(7)?),
        made: Time::from_ms(row.integer(8)?),
        ends: Time::from_ms(row.integer(9)?),
        views_max: number(10)?,
        views: number(11)?,
        revoked: row.optional_integer(12)?.map(Time::from_ms),
        mac: row.array(13)?,
    })
}

const INSERT: &str = "INSERT INTO share
  (id, token, subject, life, fields, purpose, recipient, made_by, made_ms, ends_ms, views_max, views,
   mac)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12)";

const UPDATE: &str = "UPDATE share
SET views = $2, revoked_ms = $3, mac = $4
WHERE id = $1 AND mac = $5";

const COUNT_DEAD: &str = "SELECT COUNT(*) FROM share WHERE ends_ms < $1";

const FORGET_DEAD: &str = "DELETE FROM share
WHERE id IN (SELECT id FROM share WHERE ends_ms < $1 ORDER BY id LIMIT $2)";

const FIND: &str = "SELECT id, token, subject, life, fields, purpose, recipient, made_by, made_ms,
  ends_ms, views_max, views, revoked_ms, mac
FROM share
WHERE id = $1";

const FIND_BY_TOKEN: &str = "SELECT id, token, subject, life, fields, purpose, recipient, made_by,
  made_ms, ends_ms, views_max, views, revoked_ms, mac
FROM share
WHERE token = $1";

const LIST: &str = "SELECT id, token, subject, life, fields, purpose, recipient, made_by, made_ms,
  ends_ms, views_max, views, revoked_ms, mac
FROM share
WHERE revoked_ms IS NULL AND id > $1
ORDER BY id
LIMIT $2";

const SHARES_AT_ONCE_MAX: i64 = 500;
