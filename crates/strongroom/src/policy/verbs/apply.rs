//! Applying a policy: at once where it narrows, after a day where it widens.

use crate::ctx::{
    Change, Ctx, Entry, EntryKind, Grant, Guard, Miss, StateDelta, StatePart, SystemGrant, Time,
};
use crate::db::Connection;
use crate::error::{Error, ErrorKind, FieldProblem};
use crate::keys::Keyring;
use crate::policy::model::{DifferenceLine, Policy, Registry};
use crate::policy::store::{self, PendingRow, VersionRow};
use crate::policy::{difference, parse};

/// The policy in force and the numbers behind its names.
#[derive(Debug)]
pub struct Applied {
    /// Counted from 1.
    pub version: u32,
    /// The policy.
    pub policy: Policy,
    /// Numeric ids.
    pub registry: Registry,
    /// Since when.
    pub since: Time,
    /// The text as it was applied.
    pub text: String,
    /// After a restore, until somebody confirms them: consents given before this moment do not count,
    /// because some were withdrawn since the backup.
    pub consents_since: Option<Time>,
}

/// A policy that widens, waiting for its time.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Its text.
    pub text: String,
    /// From when on it may be applied.
    pub due: Time,
    mac: [u8; 32],
}

/// All that is stored about policies, intact.
#[derive(Debug, Default)]
pub struct Stored {
    /// The newest version, if one was applied.
    pub applied: Option<Applied>,
    /// What waits.
    pub pending: Option<Pending>,
    /// MACs of all intact rows, for the state hash.
    pub macs: Vec<[u8; 32]>,
    /// Rows that were changed by other hands: they count for nothing.
    pub broken: usize,
}

/// What applying comes to.
pub enum Applying {
    /// It is in force once the change is committed.
    Now {
        /// Commit this.
        change: Change,
        /// The version it becomes.
        version: u32,
        /// What it changes, in words.
        lines: Vec<DifferenceLine>,
    },
    /// It widens who sees, shortens a life or drops a field: it waits a day and can be cancelled.
    Waits {
        /// Commit this.
        change: Change,
        /// From when on it is applied.
        due: Time,
        /// What it would change, in words.
        lines: Vec<DifferenceLine>,
    },
}

/// Reads all versions and what waits.
pub fn load(db: &mut Connection, keyring: &Keyring) -> Result<Stored, Error> {
    let mut stored = Stored::default();
    let mut newest = None;
    for row in store::list_versions(db)? {
        if keyring.is_row_intact(store::VERSION_TABLE, &row.columns(), &row.mac)? {
            stored.macs.push(row.mac);
            newest = Some(row);
        } else {
            stored.broken += 1;
        }
    }
    stored.applied = newest.map(|row| read_applied(&row)).transpose()?;
    if let Some(row) = store::read_pending(db)? {
        if keyring.is_row_intact(store::PENDING_TABLE, &row.columns(), &row.mac)? {
            stored.macs.push(row.mac);
            stored.pending = Some(Pending { text: row.policy, due: row.due, mac: row.mac });
        } else {
            stored.broken += 1;
        }
    }
    Ok(stored)
}

/// In a restore, before anything is opened: versions that are newer than the data count again, and a
/// policy that waited is given up, because whoever could have cancelled it may not know of it. Gives
/// the newest version, and whether one was given up.
pub fn replay(
    db: &mut Connection,
    mirror: &mut Connection,
    keyring: &Keyring,
) -> Result<(u32, bool), Error> {
    let mut newest = store::list_versions(db)?.last().map_or(0, |row| row.version);
    for row in store::list_versions(mirror)?.iter().filter(|row| row.version > newest) {
        // A row of other hands gives nothing, here as anywhere.
        if keyring.is_row_intact(store::VERSION_TABLE, &row.columns(), &row.mac)? {
            db.execute(&store::insert_version(row))?;
        }
    }
    newest = store::list_versions(db)?.last().map_or(newest, |row| row.version);
    let pending = store::read_pending(db)?;
    if let Some(pending) = &pending {
        db.execute(&store::delete_pending(&pending.mac))?;
    }
    Ok((newest, pending.is_some()))
}

/// Reads a policy or says what is wrong with it, line by line.
pub fn read(text: &str) -> Result<Policy, Error> {
    parse(text).map_err(|problems| {
        let fields = problems
            .into_iter()
            .map(|problem| FieldProblem {
                field: format!("line {}", problem.line),
                code: "policy",
                detail: format!("{}; {}", problem.cause, problem.cure),
            })
            .collect();
        Error::unprocessable("bad_policy", "the policy has problems; nothing was changed")
            .with_fields(fields)
    })
}

/// Prepares a policy for being applied.
pub fn apply(
    ctx: &Ctx,
    keyring: &Keyring,
    grant: Grant,
    current: Option<&Applied>,
    text: &str,
) -> Result<Applying, Error> {
    let policy = read(text)?;
    let lines = difference(current.map(|applied| &applied.policy), &policy);
    if current.is_some_and(|applied| applied.policy == policy) {
        let detail = "this policy is already in force; nothing was changed";
        return Err(Error::conflict("policy_unchanged", detail));
    }
    if current.is_some() && lines.iter().any(|line| line.effect.needs_second_person()) {
        let due = ctx.now.plus_ms(WIDENING_WAIT_MS);
        let mut row = PendingRow { policy: text.to_owned(), due, mac: [0; 32] };
        row.mac = keyring.mac_row(store::PENDING_TABLE, &row.columns())?;
        let guard = Guard::Rows {
            statement: store::insert_pending(&row),
            expected: 1,
            miss: Miss::StateChanged,
        };
        let delta = rights(None, Some(row.mac));
        let entry = Entry::new(ctx, EntryKind::Policy, "policy.ask");
        return Ok(Applying::Waits {
            change: grant.change(entry).guard(guard).with_state(delta),
            due,
            lines,
        });
    }
    let row = next_version(ctx, keyring, current, &policy, text)?;
    let entry = Entry::new(ctx, EntryKind::Policy, "policy.apply").counting(u64::from(row.version));
    let change = grant
        .change(entry)
        .write(store::insert_version(&row))
        .with_state(rights(None, Some(row.mac)));
    Ok(Applying::Now { change, version: row.version, lines })
}

/// Prepares a waiting policy for being applied once its day is over.
pub fn apply_due(
    ctx: &Ctx,
    keyring: &Keyring,
    grant: SystemGrant,
    current: Option<&Applied>,
    pending: &Pending,
) -> Result<Change, Error> {
    let policy = read(&pending.text)?;
    let row = next_version(ctx, keyring, current, &policy, &pending.text)?;
    let entry = Entry::new(ctx, EntryKind::Policy, "policy.apply").counting(u64::from(row.version));
    Ok(grant
        .change(entry)
        .guard(Guard::NotBefore(pending.due))
        .guard(Guard::TrustedClock)
        .guard(no_longer_pending(pending))
        .write(store::insert_version(&row))
        .with_state(rights(Some(pending.mac), Some(row.mac))))
}

/// Prepares the end of a waiting policy.
pub fn cancel(ctx: &Ctx, grant: Grant, pending: Option<&Pending>) -> Result<Change, Error> {
    let pending = pending.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "nothing_pending", "no policy is waiting to be applied")
    })?;
    let entry = Entry::new(ctx, EntryKind::Policy, "policy.cancel");
    let delta = rights(Some(pending.mac), None);
    Ok(grant.change(entry).guard(no_longer_pending(pending)).with_state(delta))
}

fn no_longer_pending(pending: &Pending) -> Guard {
    let statement = store::delete_pending(&pending.mac);
    Guard::Rows { statement, expected: 1, miss: Miss::StateChanged }
}

fn next_version(
    ctx: &Ctx,
    keyring: &Keyring,
    current: Option<&Applied>,
    policy: &Policy,
    text: &str,
) -> Result<VersionRow, Error> {
    let empty = Registry::default();
    let known = current.map_or(&empty, |applied| &applied.registry);
    let registry = known.extended_for(policy, ctx.rng.as_ref())?;
    let version = current.map_or(0, |applied| applied.version) + 1;
    if i64::from(version) > store::VERSIONS_MAX {
        let detail = "1,000 policy versions were applied; no more are kept in this version";
        return Err(Error::unprocessable("policy_versions_used_up", detail));
    }
    let mut row = VersionRow {
        version,
        policy: text.to_owned(),
        registry: serde_json::to_string(&registry).map_err(Error::internal)?,
        applied: ctx.now,
        mac: [0; 32],
    };
    row.mac = keyring.mac_row(store::VERSION_TABLE, &row.columns())?;
    Ok(row)
}

fn read_applied(row: &VersionRow) -> Result<Applied, Error> {
    Ok(Applied {
        version: row.version,
        policy: read(&row.policy)?,
        registry: serde_json::from_str(&row.registry).map_err(Error::internal)?,
        since: row.applied,
        text: row.policy.clone(),
        consents_since: None,
    })
}

fn rights(before: Option<[u8; 32]>, after: Option<[u8; 32]>) -> StateDelta {
    StateDelta { part: StatePart::Rights, before, after }
}

/// Until a second person can be asked, a day stands in for one (`specs/access.md`).
const WIDENING_WAIT_MS: i64 = 24 * 3_600_000;
