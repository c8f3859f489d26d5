//! Who looked at a customer, and whose data an actor touched.

use crate::access::{self, Attempt, Desk, commit_or_retry};
use crate::ctx::{Ctx, Entry, EntryKind, Pseudonym, Receipt, Subjects, Time};
use crate::db::Connection;
use crate::error::Error;
use crate::id::{Customer, Id};
use crate::ledger::{self, Leaf, Placed};
use crate::policy::Right;
use crate::vault::store;
use crate::vault::verbs::open::{Which, open, open_active};
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
        let mut subjects = vec![subject];
        subjects.extend(&opened.core.merged);
        let read = move |db: &mut Connection| ledger::about_any(db, &subjects, before, limit + 1);
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

/// Whose data an actor touched in a span of time. The question itself is an entry, made first.
pub async fn scope(
    desk: &Desk,
    ctx: &Ctx,
    actor: &str,
    span: (Time, Time),
) -> Result<(Vec<ScopeLine>, Receipt), Error> {
    let grant = access::permit(desk, ctx, Right::Ledger)?;
    let applied = std::sync::Arc::clone(desk.rights.now()?.applied()?);
    let entry = Entry::new(ctx, EntryKind::Ledger, "ledger.scope");
    let receipt = access::commit(desk, grant.change(entry)).await?;
    let keyring = std::sync::Arc::clone(&desk.keyring);
    let name = actor.to_owned();
    let touched = desk
        .data
        .scan(move |db| {
            let mut touched = std::collections::BTreeMap::<Pseudonym, Touched>::new();
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
        })
        .await?;
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
    Ok((lines, receipt))
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
    if opened.core.pseudonym != *subject && !opened.core.merged.contains(subject) {
        let detail = "a row that leads from the ledger to a customer was changed by other hands, so \
                      nobody is named; restore the data from a backup";
        return Err(Error::unavailable("tampered", detail));
    }
    Ok(Some(opened.row.id))
}
