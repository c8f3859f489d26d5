//! Who looked at a customer, and whose data an actor touched.

use std::collections::BTreeMap;

use crate::access::{self, Attempt, Desk, commit_or_retry};
use crate::ctx::{Ctx, Entry, EntryKind, Pseudonym, Receipt, Subjects, Time};
use crate::db::Database;
use crate::error::Error;
use crate::id::{Customer, Id};
use crate::ledger::{self, Leaf, Placed};
use crate::policy::Right;
use crate::vault::model::Core;
use crate::vault::store;
use crate::vault::verbs::open::{Which, open, open_active};
use crate::vault::verbs::read::still_alive;
use crate::vault::verbs::{ATTEMPTS_MAX, changed_meanwhile};

/// A place in one incarnation of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The incarnation, from 1.
    pub incarnation: u64,
    /// The entry.
    pub index: u64,
}

/// One look at a customer.
pub struct Look {
    /// The incarnation of the ledger it stands in.
    pub incarnation: u64,
    /// Its place in the ledger.
    pub index: u64,
    /// What the entry says.
    pub leaf: Leaf,
    /// The fields by name, where they are still known.
    pub fields: Vec<String>,
}

/// A page of looks.
pub struct Looks {
    /// Newest first.
    pub looks: Vec<Look>,
    /// Where the next page goes on; none at the end.
    pub next: Option<Place>,
    /// Where this question stands in the ledger.
    pub receipt: Receipt,
}

/// Entries about a customer, newest first, from below `before`. Asking is an entry itself. Where the
/// data was restored, the entry that opened the new incarnation stands between those before and after
/// it: it says since when nobody knows.
pub async fn who_looked(
    desk: &Desk,
    ctx: &Ctx,
    id: Id<Customer>,
    before: Option<Place>,
    limit: usize,
) -> Result<Looks, Error> {
    for _ in 0..ATTEMPTS_MAX {
        let grant = access::permit(desk, ctx, Right::Ledger)?;
        let opened = open_active(desk, ctx, &id).await?;
        let applied = std::sync::Arc::clone(desk.rights.now()?.applied()?);
        let subject = opened.core.pseudonym;
        let mut found = about(desk, &opened.core, before, limit + 1).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| more);
        let next =
            last.map(|(incarnation, it)| Place { incarnation: *incarnation, index: it.index });
        let entry = Entry::new(ctx, EntryKind::Ledger, "customer.ledger")
            .about(Subjects::One(subject))
            .counting(found.len() as u64);
        let change = still_alive(grant.change(entry), &opened);
        let Attempt::Done(receipt) = commit_or_retry(desk, change).await? else { continue };
        let looks = found
            .into_iter()
            .map(|(incarnation, Placed { index, leaf })| {
                let names = leaf.fields.iter().filter_map(|it| applied.registry.name_of(it));
                let fields = names.map(str::to_owned).collect();
                Look { incarnation, index, leaf, fields }
            })
            .collect();
        return Ok(Looks { looks, next, receipt });
    }
    Err(changed_meanwhile())
}

/// Every log there is, the newest first.
fn logs(desk: &Desk) -> Vec<(u64, Database)> {
    let newest = (desk.keyring.incarnation().0, desk.data.clone());
    let older = desk.archives.iter().map(|archive| (archive.number, archive.data.clone()));
    std::iter::once(newest).chain(older).collect()
}

async fn about(
    desk: &Desk,
    core: &Core,
    before: Option<Place>,
    limit: usize,
) -> Result<Vec<(u64, Placed)>, Error> {
    let mut found = Vec::new();
    let subject = core.pseudonym;
    let newest = desk.keyring.incarnation().0;
    let before = before.map(|it| Place { incarnation: it.incarnation.min(newest), ..it });
    // A log was opened by a restore if there is one before it.
    let ended = desk.archives.iter().map(|archive| Some(archive.ended)).chain([None]);
    for ((number, data), opened) in logs(desk).into_iter().zip(ended) {
        if found.len() >= limit || before.is_some_and(|place| number > place.incarnation) {
            continue;
        }
        let below = before.filter(|place| place.incarnation == number).map(|place| place.index);
        let wanted = limit - found.len();
        let here = data.scan(move |db| ledger::about(db, subject, below, wanted)).await?;
        let is_exhausted = here.len() < wanted;
        found.extend(here.into_iter().map(|placed| (number, placed)));
        let was_there = opened.is_some_and(|opened| core.created < opened) && below != Some(0);
        if is_exhausted && was_there {
            let leaf = ledger::find(&mut data.snapshot().await?, 0).await?;
            found.extend(leaf.map(|leaf| (number, Placed { index: 0, leaf })));
        }
    }
    Ok(found)
}

/// One customer an actor touched.
pub struct ScopeLine {
    /// Who; `None` for those erased since, who cannot be named.
    pub customer: Option<Id<Customer>>,
    /// The fields by name.
    pub fields: Vec<String>,
    /// How often.
    pub times: u64,
    /// The first time.
    pub first: Time,
    /// The last time.
    pub last: Time,
}

/// Whose data an actor touched.
pub struct Scope {
    /// Customer by customer.
    pub lines: Vec<ScopeLine>,
    /// Times within the span of which entries were lost in a restore: the answer to them is UNKNOWN.
    pub unknown: Vec<(Time, Time)>,
    /// Where this question stands in the ledger.
    pub receipt: Receipt,
}

/// Whose data an actor touched in a span of time, in every incarnation of the ledger. The question
/// itself is an entry, made first.
pub async fn scope(
    desk: &Desk,
    ctx: &Ctx,
    actor: &str,
    span: (Time, Time),
) -> Result<Scope, Error> {
    let grant = access::permit(desk, ctx, Right::Ledger)?;
    let applied = std::sync::Arc::clone(desk.rights.now()?.applied()?);
    let entry = Entry::new(ctx, EntryKind::Ledger, "ledger.scope");
    let receipt = access::commit(desk, grant.change(entry)).await?;
    let mut touched = BTreeMap::<Pseudonym, Touched>::new();
    for (_, data) in logs(desk).into_iter().rev() {
        let (keyring, name) = (std::sync::Arc::clone(&desk.keyring), actor.to_owned());
        let visited = data.scan(move |db| {
            ledger::scope(db, &keyring, &name, span, |placed, subjects| {
                for subject in subjects {
                    touched
                        .entry(subject)
                        .or_insert_with(|| Touched::new(&placed.leaf))
                        .add(&placed.leaf);
                }
                Ok(())
            })?;
            Ok(touched)
        });
        touched = visited.await?;
    }
    let gaps = desk.archives.iter().map(|archive| (archive.facts.time, archive.ended));
    let unknown = gaps.filter(|(from, to)| *from <= span.1 && *to >= span.0).collect();
    let mut lines = Vec::with_capacity(touched.len());
    for (subject, touched) in touched {
        let names = touched.fields.iter().filter_map(|it| applied.registry.name_of(it));
        let fields = names.map(str::to_owned).collect();
        lines.push(ScopeLine {
            customer: customer_behind(desk, ctx, &subject).await?,
            fields,
            times: touched.times,
            first: touched.first,
            last: touched.last,
        });
    }
    Ok(Scope { lines, unknown, receipt })
}

struct Touched {
    fields: crate::ctx::FieldSet,
    times: u64,
    first: Time,
    last: Time,
}

impl Touched {
    fn new(leaf: &Leaf) -> Self {
        let fields = crate::ctx::FieldSet::default();
        Self { fields, times: 0, first: leaf.time, last: leaf.time }
    }

    fn add(&mut self, leaf: &Leaf) {
        leaf.fields.iter().for_each(|field| self.fields.insert(field));
        self.times += 1;
        self.last = leaf.time;
    }
}

/// The core is opened, because the row that leads to it may have been pointed at someone else.
async fn customer_behind(
    desk: &Desk,
    ctx: &Ctx,
    subject: &Pseudonym,
) -> Result<Option<Id<Customer>>, Error> {
    let hash = desk.keyring.subject_index(&subject.0)?;
    let key = {
        let mut data = desk.data.snapshot().await?;
        store::key_of_subject(&mut data, &hash).await?
    };
    let Some(key) = key else { return Ok(None) };
    let Some(opened) = open(desk, ctx, Which::Key(key)).await? else { return Ok(None) };
    if opened.core.pseudonym != *subject {
        let detail = "a row that leads from the ledger to a customer was changed by other hands, so \
                      nobody is named; restore the data from a backup";
        return Err(Error::unavailable("tampered", detail));
    }
    Ok(Some(opened.row.id))
}
