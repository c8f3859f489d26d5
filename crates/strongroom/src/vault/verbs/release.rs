//! Values on their way out to somebody who is not the caller; and the ways from customers to
//! pseudonyms and back that rooms above need.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::access::{Attempt, Desk, Permission, commit_or_retry};
use crate::ctx::{
    Change, Ctx, Entry, FieldSet, Guard, Miss, Pseudonym, Receipt, Subjects, SystemGrant,
};
use crate::db::Statement;
use crate::error::Error;
use crate::id::{Customer, Id};
use crate::keys::Permit;
use crate::policy::{Applied, FieldValue};
use crate::vault::model::CustomerState;
use crate::vault::verbs::open::{Opened, Which, open, open_active};
use crate::vault::verbs::read::{open_values, still_alive};
use crate::vault::verbs::{ATTEMPTS_MAX, changed_meanwhile};
use crate::vault::{rules, store};

/// What lets values out.
pub enum Allowance {
    /// A key, by decision.
    Key(Permission),
    /// The system in a named job, for a purpose, under the policy in force.
    System(SystemGrant, String, Arc<Applied>),
}

/// What goes into the change of a release beside the entry's subject and fields.
pub struct Release {
    /// The act.
    pub entry: Entry,
    /// What else must hold.
    pub guards: Vec<Guard>,
    /// What else is written: the holding.
    pub writes: Vec<Statement>,
    /// The life the customer must have had when this was allowed; none for now.
    pub life: Option<u64>,
}

/// What became of it.
pub enum Released {
    /// There is no such customer any more, or they may not be shown.
    Gone,
    /// The entry is durable: now, and not before, these may leave.
    Values {
        /// Whose.
        id: Id<Customer>,
        /// Field name to value; absent where none is kept.
        values: BTreeMap<String, FieldValue>,
        /// Where it stands in the ledger.
        receipt: Receipt,
    },
}

/// Opens the fields of a customer, commits the entry, and only then gives the values out. `act` may
/// look at them to refuse what cannot be used, and at the name the customer has now: whoever was
/// merged into another is that other.
pub async fn release(
    desk: &Desk,
    ctx: &Ctx,
    subject: &Pseudonym,
    allow: impl Fn(&Id<Customer>) -> Result<Allowance, Error>,
    act: impl Fn(&Pseudonym, FieldSet, &BTreeMap<String, FieldValue>) -> Result<Release, Error>,
) -> Result<Released, Error> {
    for _ in 0..ATTEMPTS_MAX {
        let Some(opened) = open_behind(desk, ctx, subject).await? else {
            return Ok(Released::Gone);
        };
        if opened.row.state != CustomerState::Active {
            return Ok(Released::Gone);
        }
        let allowance = allow(&opened.row.id)?;
        let (wanted, purpose, applied) = match &allowance {
            Allowance::Key(permission) => {
                let wanted = permission.fields.keys().copied().collect();
                (wanted, permission.grant.purpose(), &permission.applied)
            }
            Allowance::System(grant, purpose, applied) => {
                (grant.fields().to_vec(), purpose.as_str(), applied)
            }
        };
        // A withdrawal raises the life, so what was consented to here still is at the position.
        rules::refuse_without_consent(applied, &opened.core, purpose)?;
        let applied = Arc::clone(applied);
        let values = named(&applied, open_allowed(&allowance, &opened, &wanted)?)?;
        let fields = FieldSet::of(wanted);
        let Release { entry, guards, writes, life } = act(&opened.core.pseudonym, fields, &values)?;
        if life.is_some_and(|life| life != opened.row.life) {
            return Ok(Released::Gone);
        }
        let entry = entry.about(Subjects::One(opened.core.pseudonym)).of_fields(fields);
        let change = match allowance {
            Allowance::Key(permission) => permission.grant.change(entry),
            Allowance::System(grant, ..) => grant.change(entry),
        };
        let change = guards.into_iter().fold(change, Change::guard);
        let change = still_alive(change, &opened).write_all(writes);
        if let Attempt::Done(receipt) = commit_or_retry(desk, change).await? {
            return Ok(Released::Values { id: opened.row.id, values, receipt });
        }
    }
    Err(changed_meanwhile())
}

/// An active customer as rooms above know them.
pub struct Subject {
    /// Their name in the ledger.
    pub pseudonym: Pseudonym,
    /// +1 whenever less may be shown of them.
    pub life: u64,
    /// Holds while no less may be shown than at this life.
    pub alive: Guard,
}

/// The pseudonym of an active customer.
pub async fn subject_of(desk: &Desk, ctx: &Ctx, id: &Id<Customer>) -> Result<Subject, Error> {
    let opened = open_active(desk, ctx, id).await?;
    let statement = store::active_and_alive(&opened.row);
    let alive = Guard::Rows { statement, expected: 1, miss: Miss::LifeChanged };
    Ok(Subject { pseudonym: opened.core.pseudonym, life: opened.row.life, alive })
}

/// Active customers with a relation, by pseudonym, from behind a place on: at most so many are looked
/// at. The next place is absent at the end.
pub async fn segment(
    desk: &Desk,
    ctx: &Ctx,
    relation: &str,
    after: i64,
    limit: usize,
) -> Result<(Vec<Pseudonym>, Option<i64>), Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let keys = desk.data.scan(move |db| store::list_active_keys(db, after, limit)).await?;
    let mut subjects = Vec::with_capacity(keys.len());
    for key in &keys {
        let Some(opened) = open(desk, ctx, Which::Key(*key)).await? else { continue };
        let is_known = opened.core.relations.iter().any(|known| known.name == relation);
        if opened.row.state == CustomerState::Active && is_known {
            subjects.push(opened.core.pseudonym);
        }
    }
    Ok((subjects, keys.last().copied()))
}

/// Who is behind a pseudonym now; none once they are erased.
pub async fn customer_behind(
    desk: &Desk,
    ctx: &Ctx,
    subject: &Pseudonym,
) -> Result<Option<Id<Customer>>, Error> {
    Ok(open_behind(desk, ctx, subject).await?.map(|opened| opened.row.id))
}

/// The core is opened, because the row that leads to it may have been pointed at someone else.
async fn open_behind(desk: &Desk, ctx: &Ctx, subject: &Pseudonym) -> Result<Option<Opened>, Error> {
    let hash = desk.keyring.subject_index(&subject.0)?;
    let key = {
        let mut data = desk.data.snapshot().await?;
        store::key_of_subject(&mut data, &hash).await?
    };
    let Some(key) = key else { return Ok(None) };
    let Some(opened) = open(desk, ctx, Which::Key(key)).await? else { return Ok(None) };
    if !opened.core.stands_for(subject) {
        let detail = "a row that leads from the ledger to a customer was changed by other hands, so \
                      nobody is named; restore the data from a backup";
        return Err(Error::unavailable("tampered", detail));
    }
    Ok(Some(opened))
}

fn open_allowed(
    allowance: &Allowance,
    opened: &Opened,
    wanted: &[u8],
) -> Result<Vec<(u8, FieldValue)>, Error> {
    let permit = match allowance {
        Allowance::Key(permission) => Permit::Grant(&permission.grant),
        Allowance::System(grant, ..) => Permit::System(grant),
    };
    open_values(permit, opened, wanted)
}

fn named(
    applied: &Applied,
    values: Vec<(u8, FieldValue)>,
) -> Result<BTreeMap<String, FieldValue>, Error> {
    let name = |number| applied.registry.name_of(number).map(str::to_owned);
    values
        .into_iter()
        .map(|(number, value)| {
            let name = name(number).ok_or_else(|| Error::internal("a field without a name"))?;
            Ok((name, value))
        })
        .collect()
}
