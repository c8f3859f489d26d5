//! Whose data an actor touched, or was at a place: a page at a time, whatever became of those customers
//! since.

use std::collections::HashMap;
use std::sync::Arc;

use crate::access::{self, Desk, raise_finding};
use crate::ctx::{Ctx, Entry, EntryKind, FieldSet, Pseudonym, Receipt, Time};
use crate::db::{Connection, Durability};
use crate::error::Error;
use crate::findings::{Finding, FindingKind};
use crate::id::{Customer, Id};
use crate::ledger;
use crate::places::{self, HeldOf, PlaceName};
use crate::policy::Right;
use crate::vault::store;
use crate::vault::verbs::open::{Which, open};

/// Which part of a scope is asked for.
pub struct ScopeAsked {
    /// Whose data.
    pub of: ScopeOf,
    /// From the first moment to the last.
    pub span: (Time, Time),
    /// Where the page before ended.
    pub after: Option<Position>,
    /// Lines on the page, at most [`SCOPE_LINES_MAX`].
    pub limit: usize,
}

/// Whose data is asked after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScopeOf {
    /// Whose an actor touched.
    Actor(String),
    /// Whose was at a place, be it for a moment.
    Place(PlaceName),
}

/// Where a customer stands first: the entry or holding, and which of those it names. Lines stand in this
/// order, which grows at its end alone.
pub type Position = (u64, u32);

/// A page of a scope.
pub struct Scope {
    /// One a customer.
    pub lines: Vec<ScopeLine>,
    /// Where the next page goes on; none at the end.
    pub next: Option<Position>,
    /// Everyone who was a customer at this index of the ledger as well.
    pub everyone_as_of: Option<u64>,
    /// And so many people whom nobody can name.
    pub strangers: u64,
    /// Times within the span of which entries were lost in a restore: the answer to them is UNKNOWN.
    pub unknown: Vec<(Time, Time)>,
    /// Where this question stands in the ledger.
    pub receipt: Receipt,
}

/// One customer.
pub struct ScopeLine {
    /// Who.
    pub who: Touched,
    /// The fields by name.
    pub fields: Vec<String>,
    /// How often.
    pub times: u64,
    /// The first time.
    pub first: Time,
    /// The last time.
    pub last: Time,
}

/// What is known of a customer who was touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touched {
    /// Erased since, and cannot be named.
    Erased,
    /// Still there.
    Known(Id<Customer>),
    /// There, and cannot be opened: a key is missing, or rows were changed by other hands. The id is
    /// the one in the row, which nothing vouches for; none where even the way to it was changed.
    Unopened(Option<Id<Customer>>),
}

/// Whose data an actor touched, or was at a place, in a span of time. The question itself is an entry,
/// made first.
pub async fn scope(desk: &Arc<Desk>, ctx: &Ctx, asked: ScopeAsked) -> Result<Scope, Error> {
    let grant = access::permit(desk, ctx, Right::Ledger)?;
    let applied = Arc::clone(desk.rights.now()?.applied()?);
    let entry = Entry::new(ctx, EntryKind::Ledger, "ledger.scope");
    let receipt = access::commit(desk, grant.change(entry)).await?;
    let limit = asked.limit.min(SCOPE_LINES_MAX);
    let span = asked.span;
    let gaps = desk.archives.iter().map(|archive| (archive.facts.time, archive.ended));
    let unknown = gaps.filter(|(from, to)| *from <= span.1 && *to >= span.0).collect();
    let Found { mut sums, everyone_as_of, strangers } = sum_up(desk, asked).await?;
    let more = sums.len() > limit;
    sums.truncate(limit);
    let next = sums.last().filter(|_| more).map(|(_, sum)| sum.position);
    let (own, ctx) = (Arc::clone(desk), ctx.clone());
    let name_all = move || async move {
        let mut lines = Vec::with_capacity(sums.len());
        for (subject, sum) in sums {
            let names = sum.fields.iter().filter_map(|it| applied.registry.name_of(it));
            let fields = names.map(str::to_owned).collect();
            let who = who_is(&own, &ctx, &subject).await?;
            let Sum { times, first, last, .. } = sum;
            lines.push(ScopeLine { who, fields, times, first, last });
        }
        Ok(lines)
    };
    let lines = desk.data.apart(name_all).await?;
    Ok(Scope { lines, next, everyone_as_of, strangers, unknown, receipt })
}

struct Found {
    sums: Vec<(Pseudonym, Sum)>,
    everyone_as_of: Option<u64>,
    strangers: u64,
}

struct Sum {
    position: Position,
    fields: FieldSet,
    times: u64,
    first: Time,
    last: Time,
}

/// What was found so far, in the order in which it was.
#[derive(Default)]
struct Sums(HashMap<Pseudonym, Sum>);

impl Sums {
    fn add(&mut self, number: u64, subjects: Vec<Pseudonym>, time: Time, fields: FieldSet) {
        for (subject, at) in subjects.into_iter().zip(0..) {
            let sum = self.0.entry(subject).or_insert_with(|| Sum {
                position: (number, at),
                fields: FieldSet::default(),
                times: 0,
                first: time,
                last: time,
            });
            fields.iter().for_each(|field| sum.fields.insert(field));
            sum.times += 1;
            sum.last = time;
        }
    }

    /// One more than the page holds, so that it is known whether there is another.
    fn page(self, after: Option<Position>, limit: usize) -> Vec<(Pseudonym, Sum)> {
        let mut page: Vec<(Pseudonym, Sum)> =
            self.0.into_iter().filter(|(_, sum)| Some(sum.position) > after).collect();
        page.sort_unstable_by_key(|(_, sum)| sum.position);
        page.truncate(limit.min(SCOPE_LINES_MAX) + 1);
        page
    }
}

async fn sum_up(desk: &Desk, asked: ScopeAsked) -> Result<Found, Error> {
    let keyring = Arc::clone(&desk.keyring);
    let (archives, newest) = (Arc::clone(&desk.archives), keyring.incarnation().0);
    let read = move |db: &mut Connection| {
        let ScopeAsked { of, span, after, limit } = asked;
        let mut sums = Sums::default();
        let (mut everyone_as_of, mut strangers) = (None, 0);
        match of {
            ScopeOf::Actor(actor) => {
                let mut add = |number: u64, db: &mut Connection| {
                    ledger::scope(db, &keyring, &actor, span, |placed, subjects| {
                        let position = placed.index | (number - 1) << INCARNATION_SHIFT;
                        sums.add(position, subjects, placed.leaf.time, placed.leaf.fields);
                        Ok(())
                    })
                };
                for archive in archives.iter().rev() {
                    let place = archive.data.place();
                    add(archive.number, &mut place.open(Durability::ReadOnly)?)?;
                }
                add(newest, db)?;
            }
            ScopeOf::Place(place) => {
                let mut number = 0;
                places::visit_held(db, &keyring, place.as_str(), span, |held, subjects| {
                    match held.whose {
                        HeldOf::Count => strangers += held.number,
                        HeldOf::EveryoneAsOf => {
                            everyone_as_of = everyone_as_of.max(Some(held.number));
                        }
                        HeldOf::These => sums.add(number, subjects, held.since, held.fields),
                    }
                    number += 1;
                    Ok(())
                })?;
            }
        }
        Ok(Found { sums: sums.page(after, limit), everyone_as_of, strangers })
    };
    desk.data.scan(read).await
}

/// The core is opened, because the row that leads to it may have been pointed at someone else. One
/// customer who does not open must not keep all others of an incident from being named.
async fn who_is(desk: &Desk, ctx: &Ctx, subject: &Pseudonym) -> Result<Touched, Error> {
    let hash = desk.keyring.subject_index(&subject.0)?;
    let (key, row) = {
        let mut data = desk.data.snapshot().await?;
        let Some(key) = store::key_of_subject(&mut data, &hash).await? else {
            return Ok(Touched::Erased);
        };
        (key, store::row_by_key(&mut data, key).await)
    };
    let id = row.ok().flatten().map(|row| row.id);
    match open(desk, ctx, Which::Key(key)).await {
        Ok(None) => Ok(Touched::Erased),
        Ok(Some(opened)) if opened.core.stands_for(subject) => Ok(Touched::Known(opened.row.id)),
        Ok(Some(_)) => {
            let (kind, detail) = (FindingKind::Tampered, LED_ASTRAY.to_owned());
            let finding = Finding { kind, detail, customer: None };
            raise_finding(desk, ctx, "vault.open", &finding).await?;
            Ok(Touched::Unopened(None))
        }
        Err(error) if CLOSED.contains(&error.code) => Ok(Touched::Unopened(id)),
        Err(error) => Err(error),
    }
}

/// Entries of a later incarnation of the ledger stand behind all of the one before it.
const INCARNATION_SHIFT: u32 = 48;

/// What concerns this customer alone; anything else is of the whole installation.
const CLOSED: [&str; 2] = ["key_missing", "tampered"];

const LED_ASTRAY: &str = "a row that leads from the ledger to a customer was changed by other hands, so a customer \
     who was touched cannot be named. Restore the data from a backup, and find out who can write to \
     the database";

/// A page opens each of them, about 100 µs, so it takes a tenth of a second; and each page reads all
/// entries of the actor again, so smaller ones would make a large scope slow.
pub const SCOPE_LINES_MAX: usize = 1_000;
