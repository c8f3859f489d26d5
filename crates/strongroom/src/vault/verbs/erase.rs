//! Asking for an erasure, and taking it back in its grace.

use std::collections::BTreeMap;

use strongroom_crypto::{peek_fields, random_array};

use crate::access::{self, Attempt, Desk, commit_or_retry, no_legal_hold};
use crate::ctx::{
    BudgetKind, Change, Ctx, Entry, EntryKind, Guard, Miss, Receipt, StateDelta, StatePart,
    Subjects, Time, Written,
};
use crate::error::{Error, ErrorKind};
use crate::id::{Customer, Id};
use crate::keys::Keyring;
use crate::policy::{Applied, Right};
use crate::vault::model::{CustomerRow, CustomerState};
use crate::vault::rules::{self, Parting};
use crate::vault::store::{self, JobRow, JobState};
use crate::vault::verbs::create::Sealing;
use crate::vault::verbs::open::{Opened, Which, open, open_active};
use crate::vault::verbs::{ATTEMPTS_MAX, changed_meanwhile};

/// What asking came to.
pub struct Asked {
    /// What will be.
    pub prospect: Prospect,
    /// Where it stands in the ledger.
    pub receipt: Receipt,
}

/// What an erasure that was asked for will leave and take.
pub struct Prospect {
    /// When the keys are destroyed; until then it can be taken back.
    pub due: Time,
    /// What stays, until when and why, and what goes.
    pub parting: Parting,
    /// The last day of each thing that stays, where the business is, in the order of `parting.kept`.
    pub last_days: Vec<String>,
}

/// Hides a customer at once and sets their erasure down for the end of the grace.
pub async fn ask_erasure(desk: &Desk, ctx: &Ctx, id: Id<Customer>) -> Result<Asked, Error> {
    for _ in 0..ATTEMPTS_MAX {
        let grant = access::permit(desk, ctx, Right::Erase)?;
        let opened = open_active(desk, ctx, &id).await?;
        let authority = desk.rights.now()?;
        if authority.held.contains(id.as_bytes()) {
            return Err(access::refusal_of(Miss::LegalHold));
        }
        let applied = std::sync::Arc::clone(authority.applied()?);
        let fewer = daily_limit(desk, ctx).await?;
        let grace_days = i64::from(applied.policy.business().erase_grace.days());
        let due = ctx.now.plus_days(grace_days);
        let job = new_job(desk, ctx, &opened, due)?;
        let entry = Entry::new(ctx, EntryKind::Erase, "erase.ask")
            .from_reserve()
            .about(Subjects::One(opened.core.pseudonym));
        let change = grant
            .change(entry)
            .guard(hold_guard(&opened.row))
            .guard(fewer)
            .write(store::insert_job(&job))
            .with_state(register(None, Some(job.mac)));
        let change = access::erase_claims(desk, ctx)?.into_iter().fold(change, Change::guard);
        let change = change_state(ctx, change, &opened, CustomerState::Restricted)?;
        match commit_or_retry(desk, change).await? {
            Attempt::Retry => {}
            Attempt::Done(receipt) => {
                return Ok(Asked { prospect: foretell(&applied, &opened, due)?, receipt });
            }
        }
    }
    Err(changed_meanwhile())
}

/// What becomes of a customer who waits to be forgotten.
pub async fn asked_of(desk: &Desk, ctx: &Ctx, id: Id<Customer>) -> Result<Prospect, Error> {
    let opened = open(desk, ctx, Which::Id(&id)).await?.ok_or_else(Error::not_found)?;
    let job = {
        let mut data = desk.data.snapshot().await?;
        store::find_job(&mut data, opened.row.key, JobState::Asked).await?
    };
    let job = job.ok_or_else(Error::not_found)?;
    let applied = std::sync::Arc::clone(desk.rights.now()?.applied()?);
    foretell(&applied, &opened, job.due)
}

fn foretell(applied: &Applied, opened: &Opened, due: Time) -> Result<Prospect, Error> {
    let mut held = BTreeMap::new();
    for (compartment, record) in &opened.records {
        held.insert(*compartment, peek_fields(&record.sealed)?);
    }
    let left = rules::remainder(applied, &opened.core, due);
    let parting = rules::parting(applied, &opened.core, &held, left);
    let zone = &applied.policy.business().timezone;
    let last_days = parting.kept.iter().map(|kept| rules::last_day(kept.until, zone)).collect();
    Ok(Prospect { due, parting, last_days })
}

/// Takes an erasure back: the customer is shown again as before.
pub async fn cancel_erasure(desk: &Desk, ctx: &Ctx, id: Id<Customer>) -> Result<Receipt, Error> {
    for _ in 0..ATTEMPTS_MAX {
        let grant = access::permit(desk, ctx, Right::Erase)?;
        let opened = open(desk, ctx, Which::Id(&id)).await?.ok_or_else(Error::not_found)?;
        let job = {
            let mut data = desk.data.snapshot().await?;
            store::find_job(&mut data, opened.row.key, JobState::Asked).await?
        };
        let Some(job) = job.filter(|_| opened.row.state == CustomerState::Restricted) else {
            let detail = "no erasure of this customer is waiting; once begun it cannot be undone";
            return Err(Error::new(ErrorKind::NotFound, "no_erasure", detail).leaving_entry());
        };
        if opened.core.is_merged_away {
            let detail = "this customer was merged into another, where their data stands now; that \
                          cannot be taken back";
            return Err(Error::conflict("merged", detail));
        }
        refuse_broken(&desk.keyring, &job)?;
        let mut cancelled = job.clone();
        cancelled.state = JobState::Cancelled;
        cancelled.customer = 0;
        cancelled.version += 1;
        cancelled.mac = desk.keyring.mac_row(store::JOB_TABLE, &cancelled.columns())?;
        let entry = Entry::new(ctx, EntryKind::Erase, "erase.cancel")
            .from_reserve()
            .about(Subjects::One(opened.core.pseudonym));
        let statement = store::update_job(&cancelled, &job.mac);
        let change = grant
            .change(entry)
            .guard(Guard::Rows { statement, expected: 1, miss: Miss::StateChanged })
            .with_state(register(Some(job.mac), Some(cancelled.mac)));
        let change = change_state(ctx, change, &opened, CustomerState::Active)?;
        if let Attempt::Done(receipt) = commit_or_retry(desk, change).await? {
            return Ok(receipt);
        }
    }
    Err(changed_meanwhile())
}

/// An erasure to come, MACed.
pub(in crate::vault) fn new_job(
    desk: &Desk,
    ctx: &Ctx,
    opened: &Opened,
    due: Time,
) -> Result<JobRow, Error> {
    let mut job = JobRow {
        id: random_array(ctx.rng.as_ref())?,
        state: JobState::Asked,
        customer: opened.row.key,
        asked: ctx.now,
        due,
        plan: Vec::new(),
        version: 1,
        mac: [0; 32],
    };
    job.mac = desk.keyring.mac_row(store::JOB_TABLE, &job.columns())?;
    Ok(job)
}

/// Moves a customer to another state: a new version and a new life, MACed.
pub(in crate::vault) fn change_state(
    ctx: &Ctx,
    mut change: Change,
    opened: &Opened,
    state: CustomerState,
) -> Result<Change, Error> {
    let mut row = opened.row.clone();
    row.state = state;
    row.version += 1;
    row.life += 1;
    row.mac = opened.core_key.mac_row(&row.columns());
    let mut sealing = Sealing::default();
    sealing.core(ctx, row.key, &opened.core_key, &opened.core, row.version)?;
    let statement = store::update_customer(&row, &opened.row);
    let guard = Guard::Rows { statement, expected: 1, miss: Miss::LifeChanged };
    change.entry.written = Some(Written { sealed_hash: sealing.hash, row_mac: row.mac });
    Ok(change.guard(guard).write_all(sealing.writes))
}

/// A job row that was changed by other hands destroys nothing, and its MAC stands for another row.
pub(in crate::vault) fn refuse_broken(keyring: &Keyring, job: &JobRow) -> Result<(), Error> {
    if keyring.is_row_intact(store::JOB_TABLE, &job.columns(), &job.mac)? {
        return Ok(());
    }
    let detail = "an erasure job was changed in the database by other hands; nothing is erased \
                  until the data is restored from a backup";
    Err(Error::unavailable("rights_altered", detail))
}

/// No legal hold stands against erasing this customer.
pub(in crate::vault) fn hold_guard(row: &CustomerRow) -> Guard {
    let statement = no_legal_hold(row.id.as_bytes());
    Guard::Rows { statement, expected: 0, miss: Miss::LegalHold }
}

/// A job or register row comes, goes or changes.
pub(in crate::vault) fn register(before: Option<[u8; 32]>, after: Option<[u8; 32]>) -> StateDelta {
    StateDelta { part: StatePart::Register, before, after }
}

/// Beyond 1 % of all customers a day, at least 100, a second person is needed. The guard says it again
/// when it counts: many callers may ask at one moment.
pub(super) async fn daily_limit(desk: &Desk, ctx: &Ctx) -> Result<Guard, Error> {
    let since = ctx.now.plus_days(-1);
    let mut data = desk.data.snapshot().await?;
    let asked = store::asked_since(&mut data, since).await?;
    let max = rules::erasures_a_day_max(store::count_customers(&mut data).await?);
    if asked < max {
        let miss = Miss::BudgetSpent { kind: BudgetKind::Erase, retry_after_s: DAY_S };
        let statement = store::asked_at_least(since, max);
        return Ok(Guard::Rows { statement, expected: 0, miss });
    }
    let detail = format!(
        "{asked} erasures were asked for within a day; beyond {max} a second person is needed. \
         Nothing was erased, those asked for can still be taken back"
    );
    Err(Error::forbidden("second_person_needed", detail))
}

const DAY_S: u64 = 86_400;
