//! Keeps the index of words whole: goes over all customers after a start, and takes in whoever changed.
//!
//! A name of two words costs about 160 bytes: 12 for each of some ten beginnings, and 40 for the
//! customer. A customer who does not open has a finding of their own and is found by nobody.

use std::sync::Arc;

use crate::access::{self, Desk, close_finding, raise_finding, system_grant};
use crate::ctx::{Actor, Ctx, Entry, EntryKind, FieldSet, SystemGrant};
use crate::error::Error;
use crate::findings::{self, Finding, FindingKind};
use crate::keys::{Beginning, Mark, Permit, Standing, index_filling};
use crate::policy::{Applied, Find};
use crate::vault::model::CustomerState;
use crate::vault::rules::beginnings_of;
use crate::vault::store;
use crate::vault::verbs::open::{Opened, Which, open_page, tell_tampered};
use crate::vault::verbs::read::open_values;

/// Goes on until nobody is left. Harmless to run at any time and to break off.
pub async fn index_words(desk: &Arc<Desk>, ctx: &Ctx) -> Result<(), Error> {
    if desk.keyring.is_sealed() {
        return Ok(());
    }
    let Ok(applied) = desk.rights.now()?.applied().cloned() else { return Ok(()) };
    while let Progress::More = go_on(desk, ctx, &applied, JOB_CUSTOMERS_MAX).await? {
        tell_taken_in(desk, ctx, &applied).await?;
    }
    Ok(())
}

/// Makes sure that whoever is durable by now is in the index, or says that it is not so far.
pub(in crate::vault) async fn whole_by_now(
    desk: &Arc<Desk>,
    ctx: &Ctx,
    applied: &Applied,
) -> Result<(), Error> {
    match go_on(desk, ctx, applied, SEARCH_CUSTOMERS_MAX).await? {
        Progress::Done => Ok(()),
        Progress::More | Progress::Others => Err(index_filling()),
    }
}

/// Sets down how many customers were opened since it was last said, and what stands in the way.
pub async fn tell_indexed(desk: &Desk, ctx: &Ctx) -> Result<(), Error> {
    let Ok(applied) = desk.rights.now()?.applied().cloned() else { return Ok(()) };
    if desk.keyring.is_sealed() {
        return Ok(());
    }
    tell_taken_in(desk, ctx, &applied).await?;
    let (words, kind) = (desk.keyring.words(), FindingKind::WordsOverfull);
    if words.settle(applied.version, &fields_with_words(&applied))? != Standing::Overfull {
        return close_finding(desk, ctx, JOB, kind).await;
    }
    let customers = store::count_customers(&mut desk.data.snapshot().await?).await?;
    if usize::try_from(customers).is_ok_and(|customers| customers <= words.customers_max()) {
        return words.begin_again();
    }
    if findings::count_open(&desk.data).await?.contains_key(&Some(kind)) {
        return Ok(());
    }
    let finding = Finding { kind, detail: OVERFULL.to_owned(), customer: None };
    raise_finding(desk, ctx, JOB, &finding).await
}

async fn tell_taken_in(desk: &Desk, ctx: &Ctx, applied: &Applied) -> Result<(), Error> {
    let count = desk.keyring.words().count_taken_in();
    if count == 0 {
        return Ok(());
    }
    let fields = fields_with_words(applied);
    let own = as_job(ctx);
    let entry = Entry::new(&own, EntryKind::System, JOB)
        .of_fields(FieldSet::of(fields.iter().copied()))
        .counting(count);
    let told = access::commit(desk, system_grant(&own, fields)?.change(entry)).await;
    if told.is_err() {
        desk.keyring.words().count_again(count);
    }
    told.map(drop)
}

/// How far it came.
enum Progress {
    /// Whoever waited when it began is in the index, and so is everybody else.
    Done,
    /// There are more customers to open than were to be opened at once.
    More,
    /// Somebody else goes over all customers at the moment.
    Others,
}

async fn go_on(
    desk: &Arc<Desk>,
    ctx: &Ctx,
    applied: &Applied,
    customers_max: usize,
) -> Result<Progress, Error> {
    let fields = fields_with_words(applied);
    let words = desk.keyring.words();
    let mut seen = 0;
    if let Standing::Filling(_) = words.settle(applied.version, &fields)? {
        let Some(_alone) = words.fill_alone() else { return Ok(Progress::Others) };
        while let Standing::Filling(from) = words.settle(applied.version, &fields)? {
            // A newer policy has others, and whoever knows it fills them.
            if !words.is_of(&fields) {
                return Ok(Progress::Others);
            }
            if seen >= customers_max {
                return Ok(Progress::More);
            }
            list_next(desk, from).await?;
            seen += take_in(desk, ctx, &fields, words.waiting_at_most(PAGE_ROWS)).await?;
        }
    }
    // Whoever begins to wait from here on has not been answered yet when this was asked for.
    let waiting = words.waiting_at_most(customers_max + 1);
    let is_too_many = waiting.len() > customers_max;
    for page in waiting.chunks(PAGE_ROWS) {
        take_in(desk, ctx, &fields, page.to_vec()).await?;
    }
    match words.is_of(&fields) {
        false => Ok(Progress::Others),
        true if is_too_many => Ok(Progress::More),
        true => Ok(Progress::Done),
    }
}

/// The next page of customers begins to wait.
async fn list_next(desk: &Desk, from: i64) -> Result<(), Error> {
    let limit = i64::try_from(PAGE_ROWS).map_err(Error::internal)?;
    let listed = {
        let mut data = desk.data.snapshot().await?;
        store::list_keys(&mut data, (from, i64::MAX), limit).await?
    };
    let customers: Vec<i64> = listed.iter().map(|(key, _)| *key).collect();
    let is_full = customers.len() == PAGE_ROWS;
    let next = customers.last().filter(|_| is_full).and_then(|last| last.checked_add(1));
    desk.keyring.words().walked(from, &customers, next);
    Ok(())
}

/// Opens those who wait, on a thread that may block; how many there were.
async fn take_in(
    desk: &Arc<Desk>,
    ctx: &Ctx,
    fields: &[u8],
    waiting: Vec<(i64, Mark)>,
) -> Result<usize, Error> {
    if waiting.is_empty() {
        return Ok(0);
    }
    let (own, whose, fields) = (Arc::clone(desk), as_job(ctx), fields.to_vec());
    let opening = move || async move { open_and_put(&own, &whose, fields, &waiting).await };
    desk.data.apart(opening).await
}

async fn open_and_put(
    desk: &Desk,
    ctx: &Ctx,
    fields: Vec<u8>,
    waiting: &[(i64, Mark)],
) -> Result<usize, Error> {
    let grant = system_grant(ctx, fields)?;
    let which: Vec<Which<'_>> = waiting.iter().map(|(key, _)| Which::Key(*key)).collect();
    for ((customer, mark), opened) in waiting.iter().zip(open_page(desk, ctx, &which).await?) {
        let words = match opened {
            Ok(Some(opened)) if opened.row.state == CustomerState::Active => {
                match words_of(&grant, &opened) {
                    Ok(words) => words,
                    Err(error) => {
                        let told = tell_tampered(desk, ctx, &opened.row.id, error).await;
                        none_of_broken(told)?
                    }
                }
            }
            // Hidden, erased, or gone.
            Ok(_) => Vec::new(),
            Err(error) => none_of_broken(error)?,
        };
        desk.keyring.words().put((*customer, *mark), grant.fields(), &words)?;
    }
    Ok(waiting.len())
}

/// What stays as it is however often it is opened; anything else is tried again.
fn none_of_broken(error: Error) -> Result<Vec<Beginning>, Error> {
    match error.code {
        "key_missing" | "tampered" => Ok(Vec::new()),
        _ => Err(error),
    }
}

fn words_of(grant: &SystemGrant, opened: &Opened) -> Result<Vec<Beginning>, Error> {
    let values = open_values(Permit::System(grant), opened, grant.fields())?;
    Ok(values.iter().flat_map(|(field, it)| beginnings_of(*field, &it.expose_words())).collect())
}

fn fields_with_words(applied: &Applied) -> Vec<u8> {
    let worded = applied.policy.fields().iter().filter(|(_, field)| field.find == Find::Words);
    let mut fields: Vec<u8> =
        worded.filter_map(|(name, _)| applied.registry.id_of(name.as_str())).collect();
    fields.sort_unstable();
    fields
}

/// Whoever it was whose search or change made it necessary, the system opens these values for itself.
fn as_job(ctx: &Ctx) -> Ctx {
    Ctx { actor: Actor::System { job: JOB }, claim: None, ..ctx.clone() }
}

const JOB: &str = "words.index";

/// Opened in some tens of milliseconds.
const PAGE_ROWS: usize = 500;

/// A search waits for some tenths of a second, and a shop of this size needs no job to fill the index.
const SEARCH_CUSTOMERS_MAX: usize = 2_000;

/// So many customers an entry of the ledger stands for.
const JOB_CUSTOMERS_MAX: usize = 10_000;

const OVERFULL: &str = "there are more customers than the index of words holds (500,000), so nobody is found by the words \
     of a field: an answer with gaps would be read as \"there is nobody\". Find them by a field with \
     `find = \"exact\"` or `\"unique\"`, and take `find = \"words\"` out of the policy";
