//! In a restore, before anything is opened: what a register calls erased stays erased.
//!
//! The data is older than the newest register that can be reached. Whatever a register or a begun
//! erasure names has no key in the restored key store, and its rows go. A key that is missing and named
//! nowhere is no erasure: its rows stay.

use std::collections::{HashMap, HashSet};

use strongroom_crypto::peek_binding;

use crate::ctx::Time;
use crate::db::Connection;
use crate::error::Error;
use crate::keys::Keyring;
use crate::vault::jobs::erase::Plan;
use crate::vault::model::CustomerState;
use crate::vault::store::{self, JobRow, JobState};

/// What a restore leaves out, and whom it hides.
#[derive(Default)]
pub struct Replay {
    gone: HashSet<[u8; 16]>,
    states: HashMap<i64, CustomerState>,
    /// Register lines that the restored data did not have.
    pub lines_added: u64,
    /// Erasures that were asked for, begun, done or taken back since.
    pub jobs_moved: u64,
}

impl Replay {
    /// Whether a register or a begun erasure names this key: it never reaches the restored key store.
    pub fn is_gone(&self, dek: &[u8]) -> bool {
        <[u8; 16]>::try_from(dek).is_ok_and(|dek| self.gone.contains(&dek))
    }

    /// Whether the key of a sealed record is gone.
    pub(in crate::vault) fn is_record_gone(&self, sealed: &[u8]) -> bool {
        peek_binding(sealed).is_ok_and(|binding| self.gone.contains(&binding.dek))
    }

    /// The state a customer has by the newest register, where it says something else than the row.
    pub(in crate::vault) fn state_of(&self, key: i64) -> Option<CustomerState> {
        self.states.get(&key).copied()
    }
}

/// Brings register and jobs of the restored data up to a newer register. A line of either that is not
/// ours ends the restore: what it would hide or destroy cannot be known.
pub fn replay(
    db: &mut Connection,
    mirror: &mut Connection,
    keyring: &Keyring,
    into: &mut Replay,
) -> Result<(), Error> {
    let mut known: HashMap<[u8; 16], JobRow> = HashMap::new();
    each_job(db, keyring, |job| {
        known.insert(job.id, job);
        Ok(())
    })?;
    let mut jobs = Vec::new();
    each_job(mirror, keyring, |job| {
        let before = known.get(&job.id);
        if before.is_none_or(|before| before.version < job.version) {
            jobs.push((job, before.cloned()));
        }
        Ok(())
    })?;
    into.jobs_moved += jobs.len() as u64;
    for (job, before) in jobs {
        let statement = match &before {
            Some(before) => store::update_job(&job, &before.mac),
            None => store::insert_job(&job),
        };
        db.execute(&statement)?;
        let asked = before.filter(|before| before.state == JobState::Asked);
        if let Some(asked) = asked.filter(|_| job.state != JobState::Asked) {
            // Taken back, or done for the part that no duty keeps: what is left is shown.
            into.states.insert(asked.customer, CustomerState::Active);
        }
    }
    let mut lines = Vec::new();
    each_line(mirror, keyring, |line| {
        lines.push(line);
        Ok(())
    })?;
    for (dek, destroyed, mac) in lines {
        into.lines_added += db.execute(&store::insert_register(&dek, destroyed, &mac))?;
    }
    Ok(())
}

/// Gathers what register and jobs of the data name, once every newer register was replayed.
pub fn gather(db: &mut Connection, keyring: &Keyring, into: &mut Replay) -> Result<(), Error> {
    each_line(db, keyring, |(dek, _, _)| {
        into.gone.insert(dek);
        Ok(())
    })?;
    each_job(db, keyring, |job| {
        match job.state {
            JobState::Asked => {
                into.states.insert(job.customer, CustomerState::Restricted);
            }
            JobState::Begun => into.gone.extend(Plan::decode(&job.plan)?.deks()),
            JobState::Cancelled | JobState::Done => {}
        }
        Ok(())
    })
}

type Line = ([u8; 16], Time, [u8; 32]);

fn each_line(
    db: &mut Connection,
    keyring: &Keyring,
    mut visit: impl FnMut(Line) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut after = Vec::new();
    loop {
        let page = store::read_register(db, &after)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.dek.to_vec();
        for line in page {
            let columns = store::register_columns(&line.dek, line.destroyed);
            if !keyring.is_row_intact(store::REGISTER_TABLE, &columns, &line.mac)? {
                return Err(altered());
            }
            visit((line.dek, line.destroyed, line.mac))?;
        }
    }
}

fn each_job(
    db: &mut Connection,
    keyring: &Keyring,
    mut visit: impl FnMut(JobRow) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut after = Vec::new();
    loop {
        let page = store::read_jobs(db, &after)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id.to_vec();
        for job in page {
            if !keyring.is_row_intact(store::JOB_TABLE, &job.columns(), &job.mac)? {
                return Err(altered());
            }
            visit(job)?;
        }
    }
}

fn altered() -> Error {
    let detail = "a register of erasures was changed by other hands before the backup was made; \
                  restore from an older pair, and name a newer register that is whole";
    Error::unavailable("rights_altered", detail)
}
