//! Who looked at a customer.

use crate::access::{self, Attempt, Desk, commit_or_retry};
use crate::ctx::{Ctx, Entry, EntryKind, Receipt, Subjects};
use crate::db::Database;
use crate::error::Error;
use crate::id::{Customer, Id};
use crate::ledger::{self, Leaf, Placed};
use crate::policy::Right;
use crate::vault::model::Core;
use crate::vault::verbs::open::open_active;
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
    // Under which the ledger knows this one, and those who were merged into it.
    let mut subjects = vec![core.pseudonym];
    subjects.extend(&core.merged);
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
        let subjects = subjects.clone();
        let here = data.scan(move |db| ledger::about_any(db, &subjects, below, wanted)).await?;
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
