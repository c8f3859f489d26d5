//! Erasing: begin, destroy the keys, forget, done. Idempotent, resumed at start-up.
//!
//! [`begin`] is the one function that lets keys be destroyed: hold, grace, daily limit, second person
//! and a trusted clock are checked there, at commit. Keys are destroyed here only, from a job whose
//! `erase.begin` is durable or of keys that the sweep found nothing to name ([`destroy_unused`]), and in
//! `retire.rs`: keys of a customer who stays as they are, which a rotation replaced.

use std::collections::HashSet;

use futures::future::join_all;
use strongroom_crypto::{Decoder, Encoder, peek_binding};

use crate::access::{self, BROKEN_ROW, Desk, system_grant};
use crate::ctx::{Ctx, Destruction, Entry, EntryKind, Guard, Miss, Pseudonym, Subjects, Written};
use crate::db::{Connection, Statement};
use crate::error::Error;
use crate::findings::{self, FindingKind};
use crate::id::Id;
use crate::keys::Keyring;
use crate::vault::model::{Core, CustomerRow, CustomerState, IndexEntry, IndexKind};
use crate::vault::rules::{self, Remainder};
use crate::vault::store::{self, JobRow, JobState};
use crate::vault::verbs::erase::{hold_guard, refuse_broken, register};
use crate::vault::verbs::open::{Opened, Which, open, raise, registered};
use crate::webhooks::{self, EventKind};

/// What a run erased.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erased {
    /// Customers whose erasure is done.
    pub done: u64,
    /// Customers whose erasure is due and had to wait: a hold, a suspect clock, a missing key.
    pub waiting: u64,
}

/// Erases everyone whose grace is over. Who cannot be erased, because a key is missing or rows were
/// changed by other hands, keeps nobody else waiting.
pub async fn erase_due(desk: &Desk, ctx: &Ctx) -> Result<Erased, Error> {
    desk.rights.now()?;
    let mut erased = Erased::default();
    let (now, mut after) = (ctx.now, None);
    loop {
        let from = after.take();
        let page = move |db: &mut Connection| store::list_jobs(db, JobState::Asked, now, from);
        let due = desk.data.scan(page).await?;
        let Some(last) = due.last() else { return Ok(erased) };
        after = Some((last.due, last.id));
        let (sound, broken) = until_broken(desk, &due);
        let mut begun = Vec::new();
        for tried in join_all(sound.iter().map(|job| begin(desk, ctx, job))).await {
            match tried {
                Ok(Some(job)) => begun.push(job),
                Ok(None) => erased.waiting += 1,
                Err(error) if desk.committer.stall().is_stalled() => return Err(error),
                Err(error) => {
                    tracing::error!(code = error.code, cause = ?error.cause(),
                        "a customer who is due cannot be erased");
                    erased.waiting += 1;
                }
            }
        }
        erased.done += finish(desk, ctx, &begun).await?;
        broken?;
    }
}

/// Finishes erasures that were past their begin when the process ended. Runs before anything is
/// served.
pub async fn finish_begun(desk: &Desk, ctx: &Ctx) -> Result<u64, Error> {
    desk.rights.now()?;
    let mut finished = 0;
    loop {
        let end_of_time = crate::ctx::Time::from_ms(i64::MAX);
        let begun = desk
            .data
            .scan(move |db| store::list_jobs(db, JobState::Begun, end_of_time, None))
            .await?;
        if begun.is_empty() {
            return Ok(finished);
        }
        let (sound, broken) = until_broken(desk, &begun);
        finished += finish(desk, ctx, sound).await?;
        broken?;
    }
}

/// Those that stand before the first that was changed by other hands, and what is wrong with that one.
fn until_broken<'a>(desk: &Desk, jobs: &'a [JobRow]) -> (&'a [JobRow], Result<(), Error>) {
    for (place, job) in jobs.iter().enumerate() {
        if let Err(broken) = refuse_broken(&desk.keyring, job) {
            return (jobs.get(..place).unwrap_or_default(), Err(broken));
        }
    }
    (jobs, Ok(()))
}

/// What an erasure destroys and deletes; stands in the job row from begin to done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    deks: Vec<[u8; 16]>,
    compartments: Vec<[u8; 16]>,
    indexes: Vec<IndexEntry>,
    customer: [u8; 16],
    subject_hash: [u8; 32],
    pseudonym: [u8; 16],
    /// Whether the customer goes whole, or a legal duty keeps a part.
    whole: bool,
    /// Shelves of records that go while the customer stays.
    shelves: Vec<[u8; 16]>,
    /// The ways back from the pseudonyms of those who were merged into this one.
    merged: Vec<[u8; 32]>,
}

/// The point of return: from the entry this makes on, nothing it names can be shown.
async fn begin(desk: &Desk, ctx: &Ctx, job: &JobRow) -> Result<Option<JobRow>, Error> {
    let Some(opened) = open(desk, ctx, Which::Key(job.customer)).await? else { return Ok(None) };
    if opened.row.state != CustomerState::Restricted {
        raise_if_put_back(desk, ctx, job, &opened).await?;
        return Ok(None);
    }
    let authority = desk.rights.now()?;
    // Both the rows and the memory: a hold that was deleted by SQL still stands in memory.
    if authority.held.contains(opened.row.id.as_bytes()) {
        return Ok(None);
    }
    let applied = std::sync::Arc::clone(authority.applied()?);
    let left = rules::remainder(&applied, &opened.core, ctx.now);
    let plan = plan(desk, &opened, &left).await?;
    let mut begun = job.clone();
    begun.state = JobState::Begun;
    begun.plan = plan.encode();
    begun.version += 1;
    begun.mac = desk.keyring.mac_row(store::JOB_TABLE, &begun.columns())?;
    let entry = Entry::new(ctx, EntryKind::Erase, "erase.begin")
        .from_reserve()
        .about(Subjects::One(opened.core.pseudonym))
        .counting(plan.deks.len() as u64);
    let statement = store::update_job(&begun, &job.mac);
    let mut change = system_grant(ctx, Vec::new())?
        .change(entry)
        .guard(Guard::Epoch(authority.epoch))
        .guard(Guard::NotBefore(job.due))
        .guard(Guard::TrustedClock)
        .guard(hold_guard(&opened.row))
        .guard(Guard::Rows { statement, expected: 1, miss: Miss::StateChanged })
        .with_state(register(Some(job.mac), Some(begun.mac)));
    let mut row = opened.row.clone();
    row.life += 1;
    row.version += 1;
    let mut sealing = crate::vault::verbs::create::Sealing::default();
    if plan.whole {
        row.state = CustomerState::Erasing;
        sealing.core(ctx, row.key, &opened.core_key, &opened.core, row.version)?;
    } else {
        row.state = CustomerState::Active;
        let core = core_of(&opened, &left, &plan);
        row.due_day = rules::due_day_of(&applied.policy, &core);
        sealing.core(ctx, row.key, &opened.core_key, &core, row.version)?;
        change =
            change.write_all(plan.compartments.iter().map(|it| store::delete_record(row.key, it)));
        let tokens = plan.compartments.iter().map(|it| store::delete_tokens_in(row.key, it));
        change = change.write_all(tokens);
        change = change.write_all(plan.shelves.iter().map(|it| store::delete_shelf(row.key, it)));
        // At once, because the customer is shown again from here on: a value set anew before the end
        // must not lose its row to the plan.
        change =
            change.write_all(plan.indexes.iter().map(|entry| store::delete_index(entry, row.key)));
    }
    row.mac = opened.core_key.mac_row(&row.columns());
    let written = Written { sealed_hash: sealing.hash, row_mac: row.mac };
    let statement = store::update_customer(&row, &opened.row);
    let miss = Miss::StateChanged;
    change = change.guard(Guard::Rows { statement, expected: 1, miss }).write_all(sealing.writes);
    change.entry.written = Some(written);
    match access::commit(desk, change).await {
        Ok(_) => Ok(Some(begun)),
        Err(error) if WAITS.contains(&error.code) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A customer is restricted while their job is asked: both change in one act. Where the job still
/// stands and the customer is shown, their rows were put back to before the asking.
async fn raise_if_put_back(
    desk: &Desk,
    ctx: &Ctx,
    job: &JobRow,
    opened: &Opened,
) -> Result<(), Error> {
    let stands = {
        let mut data = desk.data.snapshot().await?;
        store::find_job(&mut data, job.customer, JobState::Asked).await?
    };
    if stands.is_some_and(|stands| stands.mac == job.mac) {
        raise(desk, ctx, FindingKind::Tampered, &opened.row.id, PUT_BACK).await;
    }
    Ok(())
}

/// Destroys the keys of begun jobs, deletes what they sealed, and says so. The keys go all at once: to have them
/// gone from a log or a server takes as long for one as for a hundred.
async fn finish(desk: &Desk, ctx: &Ctx, jobs: &[JobRow]) -> Result<u64, Error> {
    let plans = jobs.iter().map(|job| Ok((job, Plan::decode(&job.plan)?)));
    let plans = plans.collect::<Result<Vec<_>, Error>>()?;
    let deks: Vec<[u8; 16]> = plans.iter().flat_map(|(_, plan)| plan.deks()).collect();
    if jobs.is_empty() {
        return Ok(0);
    }
    desk.keyring.destroy_forever(Destruction::issue(deks)).await?;
    let said = join_all(plans.iter().map(|(job, plan)| say_done(desk, ctx, job, plan))).await;
    let said: Result<Vec<()>, Error> = said.into_iter().collect();
    said.map(|done| done.len() as u64)
}

/// The keys of this job are gone: what they sealed goes too, and its entry says so.
async fn say_done(desk: &Desk, ctx: &Ctx, job: &JobRow, plan: &Plan) -> Result<(), Error> {
    let mut done = job.clone();
    done.state = JobState::Done;
    done.customer = 0;
    done.plan = Vec::new();
    done.version += 1;
    done.mac = desk.keyring.mac_row(store::JOB_TABLE, &done.columns())?;
    let entry = Entry::new(ctx, EntryKind::Erase, "erase.done")
        .from_reserve()
        .about(Subjects::One(Pseudonym(plan.pseudonym)))
        .counting(plan.deks.len() as u64);
    let statement = store::update_job(&done, &job.mac);
    let customer = Id::from_bytes(plan.customer);
    let event = webhooks::event(ctx, &desk.keyring, EventKind::Erased, &customer)?;
    let mut change = system_grant(ctx, Vec::new())?
        .change(entry)
        .guard(Guard::Rows { statement, expected: 1, miss: Miss::StateChanged })
        // Before what is dropped of them: a number must not come twice.
        .write(event)
        .write_all(forget(job.customer, plan))
        .with_state(register(Some(job.mac), Some(done.mac)));
    for dek in &plan.deks {
        change = change.write(store::delete_retired(dek));
        let columns = store::register_columns(dek, ctx.now);
        let mac = desk.keyring.mac_row(store::REGISTER_TABLE, &columns)?;
        change = change
            .write(store::insert_register(dek, ctx.now, &mac))
            .with_state(register(None, Some(mac)));
    }
    access::commit(desk, change).await.map(drop)
}

/// Destroys keys that were made for a change which was never done. Nothing was ever sealed under them that
/// anybody could ask for, so there is nobody whose erasure it is: the sweep has looked, and its entry is
/// durable.
pub(super) async fn destroy_unused(desk: &Desk, deks: Vec<[u8; 16]>) -> Result<u64, Error> {
    if deks.is_empty() {
        return Ok(0);
    }
    desk.keyring.destroy_forever(Destruction::issue(deks)).await
}

/// The keys that begun erasures are about to destroy: theirs to count.
pub(super) async fn planned_keys(desk: &Desk) -> Result<HashSet<[u8; 16]>, Error> {
    let (mut planned, mut after) = (HashSet::new(), None);
    loop {
        let end_of_time = crate::ctx::Time::from_ms(i64::MAX);
        let from = after.take();
        let page =
            move |db: &mut Connection| store::list_jobs(db, JobState::Begun, end_of_time, from);
        let begun = desk.data.scan(page).await?;
        let Some(last) = begun.last() else { return Ok(planned) };
        after = Some((last.due, last.id));
        for job in &begun {
            planned.extend(Plan::decode(&job.plan)?.deks);
        }
    }
}

/// Everything of the customer in the vault's tables, and in rooms below.
pub(super) fn forget(key: i64, plan: &Plan) -> Vec<Statement> {
    let mut statements: Vec<Statement> = Vec::new();
    if plan.whole {
        statements.extend(plan.compartments.iter().map(|it| store::delete_record(key, it)));
        statements.push(store::delete_record(key, &crate::keys::CORE));
        statements.push(store::delete_shelves(key));
        statements.push(store::delete_tokens(key));
        statements.push(store::delete_subject(&plan.subject_hash, key));
        statements.extend(plan.merged.iter().map(|hash| store::delete_subject(hash, key)));
        statements.push(store::delete_retired_of(key));
        statements.push(store::delete_customer(key));
        statements.extend(findings::forget(&plan.customer));
        statements.extend(webhooks::forget(&plan.customer));
        statements.extend(plan.indexes.iter().map(|entry| store::delete_index(entry, key)));
    }
    statements
}

async fn plan(desk: &Desk, opened: &Opened, left: &Remainder) -> Result<Plan, Error> {
    let whole = left.is_empty();
    let subject = desk.keyring.subject_index(&opened.core.pseudonym.0)?;
    let mut plan = Plan {
        customer: *opened.row.id.as_bytes(),
        subject_hash: subject.hash,
        pseudonym: opened.core.pseudonym.0,
        whole,
        ..Plan::default()
    };
    // While look-up keys are rotated each may stand under the other one.
    plan.merged.extend(subject.other);
    for pseudonym in &opened.core.merged {
        plan.merged.extend(desk.keyring.subject_index(&pseudonym.0)?.both());
    }
    for (compartment, record) in &opened.records {
        if whole || !left.compartments.contains(compartment) {
            plan.compartments.push(*compartment);
            plan.deks.push(record.key.dek());
        }
    }
    for shelf in opened.core.shelves.iter().filter(|it| !left.shelves.contains(&it.id)) {
        plan.deks.push(shelf.dek);
        plan.shelves.push(shelf.id);
    }
    // Keys of before a rotation go with those of now, also from the backups that still know them. What
    // is registered already has its line.
    let goes = |it: &[u8; 16]| plan.compartments.contains(it) || plan.shelves.contains(it);
    let formers = opened.core.formers.iter().filter(|it| whole || goes(&it.compartment));
    let formers: Vec<[u8; 16]> = formers.map(|former| former.dek).collect();
    let mut data = desk.data.snapshot().await?;
    for dek in formers {
        if !plan.deks.contains(&dek) && !registered(desk, &mut data, &dek).await? {
            plan.deks.push(dek);
        }
    }
    drop(data);
    if whole {
        plan.deks.push(peek_binding(&opened.core_sealed)?.dek);
        plan.indexes.clone_from(&opened.core.indexes);
    } else {
        // A field that goes is no longer found by; one that stays sealed still is.
        let mut staying = Vec::new();
        for (compartment, record) in &opened.records {
            if left.compartments.contains(compartment) {
                staying.extend(strongroom_crypto::peek_fields(&record.sealed)?);
            }
        }
        let gone = |entry: &&IndexEntry| !staying.contains(&entry.field);
        plan.indexes = opened.core.indexes.iter().filter(gone).copied().collect();
    }
    Ok(plan)
}

/// The core of a customer of whom a legal duty keeps a part.
fn core_of(opened: &Opened, left: &Remainder, plan: &Plan) -> Core {
    let mut core = opened.core.clone();
    core.relations.clone_from(&left.relations);
    core.compartments.retain(|id, _| left.compartments.contains(id));
    core.indexes.retain(|entry| !plan.indexes.contains(entry));
    // Who asks to be forgotten takes back whatever they agreed to.
    core.consents.clear();
    core.references.clear();
    core.shelves.retain(|shelf| left.shelves.contains(&shelf.id));
    core.formers.retain(|former| !plan.deks.contains(&former.dek));
    core
}

impl Plan {
    fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new("erasure/plan/v2");
        encoder.u32(length(self.deks.len()));
        for dek in &self.deks {
            encoder.bytes(dek);
        }
        encoder.u32(length(self.compartments.len()));
        for compartment in &self.compartments {
            encoder.bytes(compartment);
        }
        encoder.u32(length(self.indexes.len()));
        for entry in &self.indexes {
            let kind = u8::from(entry.kind == IndexKind::Unique);
            encoder.u8(kind).u8(entry.field).bytes(&entry.hash);
        }
        encoder
            .bytes(&self.customer)
            .bytes(&self.subject_hash)
            .bytes(&self.pseudonym)
            .u8(u8::from(self.whole));
        encoder.u32(length(self.shelves.len()));
        for shelf in &self.shelves {
            encoder.bytes(shelf);
        }
        encoder.u32(length(self.merged.len()));
        for hash in &self.merged {
            encoder.bytes(hash);
        }
        encoder.finish()
    }

    /// In a restore: a customer whose keys a register calls destroyed, and who has no index row yet.
    pub(super) fn of_gone(row: &CustomerRow, compartments: Vec<[u8; 16]>) -> Self {
        Self { customer: *row.id.as_bytes(), compartments, whole: true, ..Self::default() }
    }

    /// The keys it destroys.
    pub(super) fn deks(&self) -> impl Iterator<Item = [u8; 16]> {
        self.deks.iter().copied()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        // An erasure begun by a version without records is finished by this one.
        let (mut decoder, has_shelves) = match Decoder::new(bytes, "erasure/plan/v2") {
            Ok(decoder) => (decoder, true),
            Err(_) => (Decoder::new(bytes, "erasure/plan")?, false),
        };
        let mut plan = Self::default();
        for _ in 0..decoder.u32()? {
            plan.deks.push(decoder.array()?);
        }
        for _ in 0..decoder.u32()? {
            plan.compartments.push(decoder.array()?);
        }
        for _ in 0..decoder.u32()? {
            let kind = if decoder.u8()? == 1 { IndexKind::Unique } else { IndexKind::Exact };
            plan.indexes.push(IndexEntry { kind, field: decoder.u8()?, hash: decoder.array()? });
        }
        plan.customer = decoder.array()?;
        plan.subject_hash = decoder.array()?;
        plan.pseudonym = decoder.array()?;
        plan.whole = decoder.u8()? == 1;
        if has_shelves {
            for _ in 0..decoder.u32()? {
                plan.shelves.push(decoder.array()?);
            }
            for _ in 0..decoder.u32()? {
                plan.merged.push(decoder.array()?);
            }
        }
        decoder.finish()?;
        Ok(plan)
    }
}

/// MACs of every row of the register and of every job, for the state hash.
pub fn register_macs(db: &mut Connection, keyring: &Keyring) -> Result<Vec<[u8; 32]>, Error> {
    let mut macs = Vec::new();
    let mut after = Vec::new();
    loop {
        let page = store::read_register(db, &after)?;
        let Some(last) = page.last() else { break };
        after = last.dek.to_vec();
        for line in &page {
            let columns = store::register_columns(&line.dek, line.destroyed);
            let intact = keyring.is_row_intact(store::REGISTER_TABLE, &columns, &line.mac)?;
            macs.push(if intact { line.mac } else { BROKEN_ROW });
        }
    }
    let mut after = Vec::new();
    loop {
        let page = store::read_jobs(db, &after)?;
        let Some(last) = page.last() else { return Ok(macs) };
        after = last.id.to_vec();
        for job in &page {
            let intact = keyring.is_row_intact(store::JOB_TABLE, &job.columns(), &job.mac)?;
            macs.push(if intact { job.mac } else { BROKEN_ROW });
        }
    }
}

/// Keys that the register calls destroyed and keys.db still has: keys.db was put back.
pub async fn refuse_returned_keys(desk: &Desk) -> Result<(), Error> {
    let mut after = Vec::new();
    loop {
        let from = after.clone();
        let page = desk.data.scan(move |db| store::read_register(db, &from)).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.dek.to_vec();
        let deks: Vec<[u8; 16]> = page.iter().map(|line| line.dek).collect();
        if !desk.keyring.which_exist(&deks)?.is_empty() {
            let detail = "keys.db was put back to an older state: it has keys of customers who \
                          were erased. Nothing is served; put back the newest keys.db";
            return Err(Error::unavailable("store_rolled_back", detail));
        }
    }
}

fn length(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// What an erasure waits out instead of failing.
const WAITS: [&str; 5] =
    ["changed_meanwhile", "clock_suspect", "legal_hold", "state_changed", "too_early"];

const PUT_BACK: &str = "this customer asked to be forgotten and is shown again: their rows were put \
                        back to an older state by other hands. Ask for their erasure again, and \
                        find out who can write to the database";
