//! Who looked at a customer, and whose data an actor touched.

use std::collections::BTreeMap;

use crate::access::{self, Attempt, Desk, commit_or_retry};
use crate::ctx::{Ctx, Entry, EntryKind, FieldSet, Pseudonym, Receipt, Subjects, Time};
use crate::db::Connection;
use crate::error::Error;
use crate::id::{Customer, Id};
use crate::keys::Keyring;
use crate::ledger::{self, Leaf, Placed};
use crate::places::{self, HeldOf, PlaceName};
use crate::policy::Right;
use crate::vault::verbs::open::open_active;
use crate::vault::verbs::read::still_alive;
use crate::vault::verbs::release::customer_behind;
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

/// Whose data is asked after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScopeOf {
    /// Whose an actor touched.
    Actor(String),
    /// Whose was at a place, be it for a moment.
    Place(PlaceName),
}

/// Whose data an actor touched, or was at a place, in a span of time.
pub struct Scope {
    /// Customer by customer.
    pub lines: Vec<ScopeLine>,
    /// Everyone who was a customer at this index of the ledger as well.
    pub everyone_as_of: Option<u64>,
    /// And so many people whom nobody can name.
    pub strangers: u64,
    /// Where the question stands in the ledger.
    pub receipt: Receipt,
}

/// The question itself is an entry, made first.
pub async fn scope(
    desk: &Desk,
    ctx: &Ctx,
    of: ScopeOf,
    span: (Time, Time),
) -> Result<Scope, Error> {
    let grant = access::permit(desk, ctx, Right::Ledger)?;
    let applied = std::sync::Arc::clone(desk.rights.now()?.applied()?);
    let entry = Entry::new(ctx, EntryKind::Ledger, "ledger.scope");
    let receipt = access::commit(desk, grant.change(entry)).await?;
    let keyring = std::sync::Arc::clone(&desk.keyring);
    let found = match of {
        ScopeOf::Actor(actor) => {
            desk.data.scan(move |db| touched_by(db, &keyring, &actor, span)).await?
        }
        ScopeOf::Place(place) => {
            desk.data.scan(move |db| was_at(db, &keyring, &place, span)).await?
        }
    };
    let mut lines = Vec::with_capacity(found.touched.len());
    for (subject, touched) in found.touched {
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
    Ok(Scope { lines, everyone_as_of: found.everyone_as_of, strangers: found.strangers, receipt })
}

#[derive(Default)]
struct Found {
    touched: BTreeMap<Pseudonym, Touched>,
    everyone_as_of: Option<u64>,
    strangers: u64,
}

fn touched_by(
    db: &mut Connection,
    keyring: &Keyring,
    actor: &str,
    span: (Time, Time),
) -> Result<Found, Error> {
    let mut found = Found::default();
    ledger::scope(db, keyring, actor, span, |placed, subjects| {
        for subject in subjects {
            found.add(subject, placed.leaf.time, placed.leaf.fields);
        }
        Ok(())
    })?;
    Ok(found)
}

fn was_at(
    db: &mut Connection,
    keyring: &Keyring,
    place: &PlaceName,
    span: (Time, Time),
) -> Result<Found, Error> {
    let mut found = Found::default();
    places::visit_held(db, keyring, place.as_str(), span, |held, subjects| {
        for subject in subjects {
            found.add(subject, held.since, held.fields);
        }
        match held.whose {
            HeldOf::Count => found.strangers += held.number,
            HeldOf::EveryoneAsOf => {
                found.everyone_as_of = found.everyone_as_of.max(Some(held.number));
            }
            HeldOf::These => {}
        }
        Ok(())
    })?;
    Ok(found)
}

impl Found {
    fn add(&mut self, subject: Pseudonym, time: Time, fields: FieldSet) {
        let fresh = Touched { fields: FieldSet::default(), times: 0, first: time, last: time };
        let touched = self.touched.entry(subject).or_insert(fresh);
        fields.iter().for_each(|field| touched.fields.insert(field));
        touched.times += 1;
        touched.last = time;
    }
}

struct Touched {
    fields: FieldSet,
    times: u64,
    first: Time,
    last: Time,
}
