//! Who looked at a customer.

use crate::access::{self, Attempt, Desk, commit_or_retry};
use crate::ctx::{Ctx, Entry, EntryKind, Receipt, Subjects};
use crate::db::Connection;
use crate::error::Error;
use crate::id::{Customer, Id};
use crate::ledger::{self, Leaf, Placed};
use crate::policy::Right;
use crate::vault::verbs::open::open_active;
use crate::vault::verbs::read::still_alive;
use crate::vault::verbs::{ATTEMPTS_MAX, changed_meanwhile};

/// One look at a customer.
pub struct Look {
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
    pub next: Option<u64>,
    /// Where this question stands in the ledger.
    pub receipt: Receipt,
}

/// Entries about a customer, newest first, from below `before`. Asking is an entry itself.
pub async fn who_looked(
    desk: &Desk,
    ctx: &Ctx,
    id: Id<Customer>,
    before: Option<u64>,
    limit: usize,
) -> Result<Looks, Error> {
    for _ in 0..ATTEMPTS_MAX {
        let grant = access::permit(desk, ctx, Right::Ledger)?;
        let opened = open_active(desk, ctx, &id).await?;
        let applied = std::sync::Arc::clone(desk.rights.now()?.applied()?);
        let subject = opened.core.pseudonym;
        let read = move |db: &mut Connection| ledger::about(db, subject, before, limit + 1);
        let mut found = desk.data.scan(read).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|placed| placed.index);
        let entry = Entry::new(ctx, EntryKind::Ledger, "customer.ledger")
            .about(Subjects::One(subject))
            .counting(found.len() as u64);
        let change = still_alive(grant.change(entry), &opened);
        let Attempt::Done(receipt) = commit_or_retry(desk, change).await? else { continue };
        let looks = found
            .into_iter()
            .map(|Placed { index, leaf }| {
                let names = leaf.fields.iter().filter_map(|it| applied.registry.name_of(it));
                let fields = names.map(str::to_owned).collect();
                Look { index, leaf, fields }
            })
            .collect();
        return Ok(Looks { looks, next, receipt });
    }
    Err(changed_meanwhile())
}
