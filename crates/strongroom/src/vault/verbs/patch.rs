//! Changing a customer: fields by merge patch, relations touched or ended.

use std::collections::BTreeMap;

use serde_json::Value;
use strongroom_crypto::{Plain, peek_fields};

use crate::access::{self, Attempt, Desk, commit_or_retry};
use crate::ctx::{
    Change, Ctx, Entry, EntryKind, FieldSet, Grant, Guard, Miss, Receipt, Subjects, Time, Written,
};
use crate::error::{Error, ErrorKind};
use crate::id::{Customer, Id};
use crate::keys::Versions;
use crate::policy::Right;
use crate::vault::model::{Claim, Core, IndexEntry, IndexKind, REFERENCE_FIELD, Reference};
use crate::vault::rules::{self, Nulls, ParsedField};
use crate::vault::store;
use crate::vault::verbs::create::{
    NewCustomer, RelationInput, Sealing, index_claims, name_taken, read_relations, reference_claim,
};
use crate::vault::verbs::open::{Opened, Which, open, open_active};
use crate::vault::verbs::read::still_alive;
use crate::vault::verbs::{ATTEMPTS_MAX, changed_meanwhile};
use crate::webhooks::{self, EventKind};

/// A customer who was changed.
#[derive(Debug)]
pub struct Patched {
    /// The customer.
    pub id: Id<Customer>,
    /// The version from now on.
    pub version: u64,
    /// Where it stands in the ledger.
    pub receipt: Receipt,
}

/// What happens to a relation.
#[derive(Debug, Clone)]
pub enum RelationChange {
    /// It is over: nothing is needed for it any more.
    End {
        /// Its name.
        name: String,
    },
    /// It happened (again), now or then.
    Touch(RelationInput),
}

/// Sets fields, or removes those sent as null. `version` is the one the caller read (`If-Match`).
pub async fn patch(
    desk: &Desk,
    ctx: &Ctx,
    id: Id<Customer>,
    version: u64,
    fields: &BTreeMap<String, Value>,
) -> Result<Patched, Error> {
    for _ in 0..ATTEMPTS_MAX {
        let grant = access::permit(desk, ctx, Right::Update)?;
        let opened = open_active(desk, ctx, &id).await?;
        if opened.row.version != version {
            return Err(version_changed().leaving_entry());
        }
        let edit = Edit { relations: None, fields, nulls: Nulls::Remove };
        let entry = Entry::new(ctx, EntryKind::Write, "customer.patch");
        if let Some(patched) = rewrite(desk, ctx, grant, &opened, edit, entry).await? {
            return Ok(patched);
        }
    }
    Err(changed_meanwhile())
}

/// Touches or ends a relation.
pub async fn relate(
    desk: &Desk,
    ctx: &Ctx,
    id: Id<Customer>,
    change: &RelationChange,
) -> Result<Patched, Error> {
    for _ in 0..ATTEMPTS_MAX {
        let grant = access::permit(desk, ctx, Right::Relate)?;
        let opened = open_active(desk, ctx, &id).await?;
        let applied = std::sync::Arc::clone(desk.rights.now()?.applied()?);
        let mut relations = opened.core.relations.clone();
        match change {
            RelationChange::End { name } => {
                rules::refuse_ending_a_duty(&applied.policy, &relations, name, ctx.now)
                    .map_err(Error::leaving_entry)?;
                let before = relations.len();
                relations.retain(|relation| relation.name != *name);
                if relations.len() == before {
                    let detail = "this customer has no such relation";
                    let error = Error::new(ErrorKind::NotFound, "relation_unknown", detail);
                    return Err(error.leaving_entry());
                }
                if relations.is_empty() {
                    let detail = "this is the customer's last relation; ask for their erasure \
                                  instead, which says what must stay and until when";
                    return Err(Error::conflict("last_relation", detail).leaving_entry());
                }
            }
            RelationChange::Touch(input) => {
                let read = read_relations(ctx, &applied, std::slice::from_ref(input))
                    .map_err(Error::leaving_entry)?;
                merge_relations(&mut relations, read);
            }
        }
        let edit =
            Edit { relations: Some(relations), fields: &BTreeMap::new(), nulls: Nulls::Remove };
        let entry = Entry::new(ctx, EntryKind::Write, "customer.relate");
        let done = rewrite(desk, ctx, grant, &opened, edit, entry).await;
        if let Some(patched) = again_if_overtaken(done)? {
            return Ok(patched);
        }
    }
    Err(changed_meanwhile())
}

/// The changing half of an upsert; `None` where nobody has the reference.
pub(super) async fn patch_by_reference(
    desk: &Desk,
    ctx: &Ctx,
    reference: &Reference,
    input: &NewCustomer,
) -> Result<Option<Patched>, Error> {
    for _ in 0..ATTEMPTS_MAX {
        let claim = reference_claim(desk, reference)?;
        let found = {
            let mut data = desk.data.snapshot().await?;
            store::find_by_hash(&mut data, &claim).await?.first().copied()
        };
        let Some(key) = found else { return Ok(None) };
        let grant = access::permit(desk, ctx, Right::Update)?;
        let Some(opened) = open(desk, ctx, Which::Key(key)).await? else { return Ok(None) };
        if !claim.is_of(&opened.core) {
            let detail = "the index row of this reference belongs to someone else";
            return Err(Error::unavailable("tampered", detail));
        }
        if opened.row.state != crate::vault::model::CustomerState::Active {
            let detail = "the customer with this reference has asked to be forgotten";
            return Err(Error::conflict("being_erased", detail).leaving_entry());
        }
        let applied = std::sync::Arc::clone(desk.rights.now()?.applied()?);
        let mut relations = opened.core.relations.clone();
        if !input.relations.is_empty() {
            let read = read_relations(ctx, &applied, &input.relations);
            merge_relations(&mut relations, read.map_err(Error::leaving_entry)?);
        }
        let nulls = Nulls::Remove;
        let edit = Edit { relations: Some(relations), fields: &input.fields, nulls };
        let entry = Entry::new(ctx, EntryKind::Write, "customer.upsert");
        let done = rewrite(desk, ctx, grant, &opened, edit, entry).await;
        if let Some(patched) = again_if_overtaken(done)? {
            return Ok(Some(patched));
        }
    }
    Err(changed_meanwhile())
}

/// Nobody named a version here, so a change that came first is no conflict: decide once more.
fn again_if_overtaken(done: Result<Option<Patched>, Error>) -> Result<Option<Patched>, Error> {
    match done {
        Err(error) if error.code == VERSION_CHANGED => Ok(None),
        done => done,
    }
}

/// What is to change.
struct Edit<'a> {
    /// `None` leaves them as they are.
    relations: Option<Vec<crate::vault::model::Relation>>,
    fields: &'a BTreeMap<String, Value>,
    nulls: Nulls,
}

/// Seals the next version of the core and of every touched compartment; `None` to decide once more.
///
/// Whatever is refused from here on tells that the customer is there, and mostly what they are known
/// for.
async fn rewrite(
    desk: &Desk,
    ctx: &Ctx,
    grant: Grant,
    opened: &Opened,
    edit: Edit<'_>,
    entry: Entry,
) -> Result<Option<Patched>, Error> {
    seal_next(desk, ctx, grant, opened, edit, entry).await.map_err(Error::leaving_entry)
}

async fn seal_next(
    desk: &Desk,
    ctx: &Ctx,
    grant: Grant,
    opened: &Opened,
    edit: Edit<'_>,
    entry: Entry,
) -> Result<Option<Patched>, Error> {
    let applied = std::sync::Arc::clone(desk.rights.now()?.applied()?);
    let next = opened.row.version + 1;
    let mut core = opened.core.clone();
    let known = core.relations.len();
    let ended = edit.relations.as_ref().is_some_and(|it| it.len() < core.relations.len());
    if let Some(relations) = edit.relations {
        core.relations = relations;
    }
    let parsed = rules::parse_fields(&applied, &core.relations, edit.fields, edit.nulls)?;
    let told_of = match core.relations.len() == known {
        true => changes_a_value(opened, &parsed)?.then_some(EventKind::Updated),
        false if ended => Some(EventKind::RelationEnded),
        false => Some(EventKind::Updated),
    };
    let mut sealing = Sealing::default();
    for (compartment, changes) in touched(opened, &parsed)? {
        seal_compartment(desk, ctx, opened, &mut sealing, compartment, changes)?;
        core.compartments.insert(compartment, next);
    }
    let moved = move_indexes(&mut core, &parsed, index_claims(desk, &parsed)?);
    sealing.core(ctx, opened.row.key, &opened.core_key, &core, next)?;
    let mut row = opened.row.clone();
    row.version = next;
    row.life += u64::from(ended);
    row.due_day = rules::due_day_of(&applied.policy, &core);
    row.mac = opened.core_key.mac_row(&row.columns());
    let entry = entry
        .about(Subjects::One(core.pseudonym))
        .of_fields(FieldSet::of(parsed.iter().map(|field| field.id)))
        .writing(Written { sealed_hash: sealing.hash, row_mac: row.mac })
        .counting(1);
    let statement = store::update_customer(&row, &opened.row);
    let miss = Miss::VersionChanged;
    let change = still_alive(grant.change(entry), opened)
        .guard(Guard::Rows { statement, expected: 1, miss })
        .write_all(sealing.writes);
    let event =
        told_of.map(|kind| webhooks::event(ctx, &desk.keyring, kind, &row.id)).transpose()?;
    let change = change.write_all(event);
    let change = moved.write_to(change.changing(row.id), row.key);
    let change = sealing.keys.into_iter().fold(change, Change::put_key);
    match commit_or_retry(desk, change).await {
        Ok(Attempt::Done(receipt)) => Ok(Some(Patched { id: row.id, version: next, receipt })),
        Ok(Attempt::Retry) => Ok(None),
        Err(error) if error.code == "taken" => {
            let claims = moved.claims(row.key);
            Err(name_taken(desk, &applied, &claims).await.unwrap_or(error))
        }
        Err(error) => Err(error),
    }
}

/// Seals the next record of one compartment, under its key or, where it is the first, a new one.
fn seal_compartment(
    desk: &Desk,
    ctx: &Ctx,
    opened: &Opened,
    sealing: &mut Sealing,
    compartment: [u8; 16],
    changes: BTreeMap<u8, Option<Plain>>,
) -> Result<(), Error> {
    let next = opened.row.version + 1;
    if let Some(record) = opened.records.get(&compartment) {
        let versions = Versions { now: record.version, next };
        let sealed = record.key.reseal(ctx.rng.as_ref(), versions, &record.sealed, &changes)?;
        sealing.put(opened.row.key, &compartment, sealed);
        return Ok(());
    }
    let cells: Vec<(u8, Plain)> = changes
        .into_iter()
        .filter_map(|(field, value)| value.map(|value| (field, value)))
        .collect();
    let row = (&opened.row.id, opened.row.key);
    sealing.first(desk, ctx, row, &compartment, &cells, next)
}

/// Whether a value comes, goes or becomes another. A system that is kept in step sends everything again
/// and again, and nobody is to be told of that.
fn changes_a_value(opened: &Opened, parsed: &[ParsedField]) -> Result<bool, Error> {
    for field in parsed {
        let value = field.value.as_ref().map(|value| Plain::copy_of(&value.expose_bytes()));
        let record = opened.records.get(&field.compartment);
        let is_same = match record {
            Some(it) => it.key.holds(it.version, &it.sealed, field.id, value.as_ref())?,
            None => value.is_none(),
        };
        if !is_same {
            return Ok(true);
        }
    }
    Ok(false)
}

type Changes = BTreeMap<[u8; 16], BTreeMap<u8, Option<Plain>>>;

/// Which compartments change how. A field whose policy moved it to another compartment leaves the
/// old one.
fn touched(opened: &Opened, parsed: &[ParsedField]) -> Result<Changes, Error> {
    let mut changes = Changes::new();
    for field in parsed {
        for (compartment, record) in &opened.records {
            if *compartment != field.compartment && peek_fields(&record.sealed)?.contains(&field.id)
            {
                changes.entry(*compartment).or_default().insert(field.id, None);
            }
        }
        let value = field.value.as_ref().map(|value| Plain::copy_of(&value.expose_bytes()));
        if value.is_some() || opened.records.contains_key(&field.compartment) {
            changes.entry(field.compartment).or_default().insert(field.id, value);
        }
    }
    Ok(changes)
}

/// Index entries that go and come.
struct MovedIndexes {
    removed: Vec<IndexEntry>,
    added: Vec<Claim>,
}

impl MovedIndexes {
    /// Old entries go before new ones are claimed, so that a value may move between this customer's
    /// own fields.
    fn write_to(&self, mut change: Change, key: i64) -> Change {
        for entry in &self.removed {
            let (statement, miss) = (store::delete_index(entry, key), Miss::VersionChanged);
            change = change.guard(Guard::Rows { statement, expected: 1, miss });
        }
        for claim in &self.added {
            change = match claim.entry.kind {
                IndexKind::Exact => change.write(store::insert_exact(&claim.entry, key)),
                IndexKind::Unique => {
                    let (statement, miss) =
                        (store::claim_unique(claim, key), Miss::Taken(claim.entry.field));
                    change.guard(Guard::Rows { statement, expected: 1, miss })
                }
            };
        }
        change
    }

    fn claims(&self, key: i64) -> Vec<(Claim, i64)> {
        let unique = self.added.iter().filter(|claim| claim.entry.kind == IndexKind::Unique);
        unique.map(|claim| (*claim, key)).collect()
    }
}

fn move_indexes(core: &mut Core, parsed: &[ParsedField], new: Vec<Claim>) -> MovedIndexes {
    let touched = |entry: &IndexEntry| {
        entry.field != REFERENCE_FIELD && parsed.iter().any(|field| field.id == entry.field)
    };
    let stays = |entry: &IndexEntry| new.iter().any(|claim| claim.entry == *entry);
    let removed: Vec<IndexEntry> =
        core.indexes.iter().filter(|it| touched(it) && !stays(it)).copied().collect();
    let added: Vec<Claim> =
        new.iter().filter(|claim| !core.indexes.contains(&claim.entry)).copied().collect();
    core.indexes.retain(|entry| !removed.contains(entry));
    core.indexes.extend(added.iter().map(|claim| claim.entry));
    MovedIndexes { removed, added }
}

fn merge_relations(
    relations: &mut Vec<crate::vault::model::Relation>,
    news: Vec<crate::vault::model::Relation>,
) {
    for new in news {
        match relations.iter_mut().find(|relation| relation.name == new.name) {
            Some(known) => known.last = Time::later(known.last, new.last),
            None => relations.push(new),
        }
    }
}

fn version_changed() -> Error {
    let detail = "the customer has changed since you read it; read it again and repeat your change \
                  with the new version";
    Error::new(ErrorKind::PreconditionFailed, VERSION_CHANGED, detail)
}

/// The code of a change that another one overtook.
const VERSION_CHANGED: &str = "version_changed";
