//! Adding records, and changing those that are not fixed.

use std::collections::BTreeMap;

use serde_json::Value;
use strongroom_crypto::{Cell, Plain, random_array};

use crate::access::{self, Attempt, Desk, commit_or_retry};
use crate::ctx::{
    Change, Ctx, Entry, EntryKind, FieldSet, Grant, Guard, Miss, Receipt, Subjects, Time, Written,
};
use crate::error::{Error, ErrorKind};
use crate::id::{Customer, Id, Record};
use crate::keys::{ABOUT, Versions};
use crate::policy::{Applied, RecordKind, Right};
use crate::vault::model::{About, Core, Relation, Rows, Shelf};
use crate::vault::rules::{self, Nulls, RecordField};
use crate::vault::store;
use crate::vault::verbs::create::Sealing;
use crate::vault::verbs::open::{Opened, open_active, tampered};
use crate::vault::verbs::read::still_alive;
use crate::vault::verbs::shelves::told;
use crate::vault::verbs::shelves::{OpenShelf, open_shelves};
use crate::vault::verbs::{ATTEMPTS_MAX, changed_meanwhile};

/// A record to be added.
pub struct NewRecord {
    /// A record of the policy, by name.
    pub kind: String,
    /// The day it was issued; today if not said.
    pub issued: Option<String>,
    /// The record it corrects, of the same customer and kind.
    pub corrects: Option<Id<Record>>,
    /// Declared fields of its kind.
    pub fields: BTreeMap<String, Value>,
}

/// A record that was added or changed.
#[derive(Debug)]
pub struct RecordWritten {
    /// The record.
    pub id: Id<Record>,
    /// Its version.
    pub version: u64,
    /// Where it stands in the ledger.
    pub receipt: Receipt,
}

/// Adds a record to a customer. Its relation happens with it.
pub async fn add_record(
    desk: &Desk,
    ctx: &Ctx,
    id: Id<Customer>,
    input: &NewRecord,
) -> Result<RecordWritten, Error> {
    let record: Id<Record> = ctx.new_id()?;
    for _ in 0..ATTEMPTS_MAX {
        let grant = access::permit(desk, ctx, Right::Update)?;
        let opened = open_active(desk, ctx, &id).await?;
        let applied = std::sync::Arc::clone(desk.rights.now()?.applied()?);
        let issue = Issue::read(ctx, &applied, input)?;
        let wanted = |shelf: &Shelf| issue.is_wanted(shelf, input.corrects.is_some());
        let shelves = open_shelves(desk, ctx, &opened, wanted, |_| Vec::new()).await?;
        let Some(shelves) = shelves else { continue };
        issue.refuse_corrected(input.corrects, &shelves)?;
        let mut core = opened.core.clone();
        touch(&mut core, issue.kind.relation.as_str(), issue.start);
        let mut sealing = Sealing::default();
        let about = About {
            id: *record.as_bytes(),
            issued: issue.day.to_string(),
            fixed: issue.kind.fixed,
            corrects: input.corrects.map(|id| *id.as_bytes()),
        };
        issue.put(desk, ctx, &opened, (&mut core, &mut sealing), shelves, &about)?;
        let fields = FieldSet::of(issue.fields.iter().map(|field| field.id));
        let entry = Entry::new(ctx, EntryKind::Write, "record.add").of_fields(fields);
        let change = recore(desk, ctx, grant, &opened, &core, sealing, entry)?;
        if let Some(receipt) = done(desk, change.making(record)).await? {
            return Ok(RecordWritten { id: record, version: 1, receipt });
        }
    }
    Err(changed_meanwhile())
}

/// Sets fields of a record that is not fixed, or removes those sent as null.
pub async fn patch_record(
    desk: &Desk,
    ctx: &Ctx,
    id: Id<Customer>,
    record: (Id<Record>, u64),
    fields: &BTreeMap<String, Value>,
) -> Result<RecordWritten, Error> {
    let (record, version) = record;
    for _ in 0..ATTEMPTS_MAX {
        let grant = access::permit(desk, ctx, Right::Update)?;
        let opened = open_active(desk, ctx, &id).await?;
        let applied = std::sync::Arc::clone(desk.rights.now()?.applied()?);
        let Some(mut shelf) = shelf_with(desk, ctx, &opened, record).await? else { continue };
        let on = shelf.records.pop().ok_or_else(Error::not_found)?;
        let kind_name = shelf.shelf.kind.clone();
        let kind = kind_called(&applied, &kind_name)?;
        if on.about.fixed || kind.fixed {
            let detail = "this record is fixed since it was issued and never changes; to correct \
                          it add a new one that names it in `corrects`";
            return Err(Error::conflict("record_fixed", detail));
        }
        if on.version != version {
            return Err(record_changed());
        }
        let parsed =
            rules::parse_record_fields(&applied, (&kind_name, kind), fields, Nulls::Remove)?;
        let changes = parsed.iter().map(|field| (field.id, plain_of(field))).collect();
        let versions = Versions { now: version, next: version + 1 };
        let sealed = shelf.key.reseal(ctx.rng.as_ref(), versions, &on.sealed, &changes)?;
        let mut sealing = Sealing::default();
        let mut core = opened.core.clone();
        let hash = sealing.on_shelf(opened.row.key, &shelf.shelf.id, record.as_bytes(), sealed);
        shelf.rows.insert(*record.as_bytes(), hash);
        restock(&mut core, &shelf.shelf.id, &shelf.rows);
        let fields = FieldSet::of(parsed.iter().map(|field| field.id));
        let entry = Entry::new(ctx, EntryKind::Write, "record.patch").of_fields(fields);
        let change = recore(desk, ctx, grant, &opened, &core, sealing, entry)?;
        if let Some(receipt) = done(desk, change).await? {
            return Ok(RecordWritten { id: record, version: version + 1, receipt });
        }
    }
    Err(changed_meanwhile())
}

/// The shelf a record stands on, open, with the record; `None` to decide once more.
pub(super) async fn shelf_with(
    desk: &Desk,
    ctx: &Ctx,
    opened: &Opened,
    record: Id<Record>,
) -> Result<Option<OpenShelf>, Error> {
    let (on, now) = {
        let mut data = desk.data.snapshot().await?;
        let on = store::shelf_of(&mut data, opened.row.key, record.as_bytes()).await?;
        (on, store::row_by_key(&mut data, opened.row.key).await?)
    };
    if now.as_ref() != Some(&opened.row) {
        return Ok(None);
    }
    let on = on.ok_or_else(Error::not_found)?;
    if !opened.core.shelves.iter().any(|shelf| shelf.id == on) {
        let error = tampered("a record on a shelf that the core does not know");
        return Err(told(desk, ctx, &opened.row, error).await);
    }
    let chosen = (on, *record.as_bytes());
    let open = open_shelves(desk, ctx, opened, |it| it.id == on, |_| vec![chosen]).await?;
    Ok(open.and_then(|mut shelves| shelves.pop()))
}

/// A record as it will be issued.
struct Issue<'a> {
    name: &'a str,
    kind: &'a RecordKind,
    day: jiff::civil::Date,
    start: Time,
    end_year: i16,
    fields: Vec<RecordField>,
}

impl<'a> Issue<'a> {
    fn read(ctx: &Ctx, applied: &'a Applied, input: &'a NewRecord) -> Result<Self, Error> {
        let kind = kind_called(applied, &input.kind)?;
        let policy = &applied.policy;
        let zone = &policy.business().timezone;
        let day = rules::issued_day(input.issued.as_deref(), ctx.now, zone)?;
        let named = (input.kind.as_str(), kind);
        let fields = rules::parse_record_fields(applied, named, &input.fields, Nulls::Refuse)?;
        let relation = policy.relations().get(kind.relation.as_str());
        let keep = relation.map(|relation| relation.keep);
        let end_year = keep.and_then(|keep| rules::end_year(day, keep));
        let (Some(end_year), Some(start)) = (end_year, rules::start_of(day, zone)) else {
            return Err(Error::internal("a record without an end"));
        };
        let today = rules::issued_day(None, ctx.now, zone)?;
        if end_year < today.year() {
            let detail = "the time this record is kept for is over already, so it is not kept";
            return Err(Error::unprocessable("record_over", detail));
        }
        Ok(Self { name: &input.kind, kind, day, start, end_year, fields })
    }

    fn is_wanted(&self, shelf: &Shelf, with_corrected: bool) -> bool {
        shelf.kind == self.name && (with_corrected || shelf.end_year == self.end_year)
    }

    fn refuse_corrected(
        &self,
        corrects: Option<Id<Record>>,
        shelves: &[OpenShelf],
    ) -> Result<(), Error> {
        let Some(corrects) = corrects else { return Ok(()) };
        if shelves.iter().any(|shelf| shelf.rows.contains_key(corrects.as_bytes())) {
            return Ok(());
        }
        let detail = "`corrects` names no record of this kind that this customer has";
        Err(Error::unprocessable("corrects_unknown", detail))
    }

    /// Seals the record on its shelf, a new one where it is the first of its kind and year.
    fn put(
        &self,
        desk: &Desk,
        ctx: &Ctx,
        opened: &Opened,
        (core, sealing): (&mut Core, &mut Sealing),
        shelves: Vec<OpenShelf>,
        about: &About,
    ) -> Result<(), Error> {
        let mut cells: Vec<(u8, Plain)> = self
            .fields
            .iter()
            .filter_map(|field| plain_of(field).map(|plain| (field.id, plain)))
            .collect();
        cells.push((ABOUT, Plain::new(about.encode())));
        let cells: Vec<Cell<'_>> = cells
            .iter()
            .map(|(field, value)| Cell { field: *field, value: value.expose() })
            .collect();
        let known = shelves.into_iter().find(|it| it.shelf.end_year == self.end_year);
        let (shelf, key, mut rows) = match known {
            Some(open) => (open.shelf, open.key, open.rows),
            None => {
                let (shelf, key) = self.new_shelf(desk, ctx, opened, sealing)?;
                core.shelves.push(shelf.clone());
                (shelf, key, Rows::new())
            }
        };
        if rows.len() as u64 >= store::SHELF_RECORDS_MAX.unsigned_abs()
            || core.shelves.len() > SHELVES_MAX
        {
            let detail = "this customer has as many records of this kind and year as are kept \
                          (10,000), or of as many kinds and years (128)";
            return Err(Error::unprocessable("records_used_up", detail));
        }
        let sealed = key.seal(ctx.rng.as_ref(), 1, &cells)?;
        let hash = sealing.on_shelf(opened.row.key, &shelf.id, &about.id, sealed);
        rows.insert(about.id, hash);
        restock(core, &shelf.id, &rows);
        Ok(())
    }

    fn new_shelf(
        &self,
        desk: &Desk,
        ctx: &Ctx,
        opened: &Opened,
        sealing: &mut Sealing,
    ) -> Result<(Shelf, crate::keys::KeyHandle), Error> {
        new_shelf(desk, ctx, &opened.row.id, (self.name, self.end_year), sealing)
    }
}

/// An empty shelf under a new key.
pub(super) fn new_shelf(
    desk: &Desk,
    ctx: &Ctx,
    customer: &Id<Customer>,
    (kind, end_year): (&str, i16),
    sealing: &mut Sealing,
) -> Result<(Shelf, crate::keys::KeyHandle), Error> {
    let (id, block) = (random_array(ctx.rng.as_ref())?, desk.keyring.new_block()?);
    let (key, new_key) = desk.keyring.new_data_key(block, customer.as_bytes(), &id)?;
    sealing.keys.push(new_key);
    let (kind, dek) = (kind.to_owned(), key.dek());
    let mut shelf = Shelf { id, kind, end_year, dek, count: 0, digest: [0; 32] };
    shelf.stock(&Rows::new());
    Ok((shelf, key))
}

/// The change that seals the next core of a customer with what was sealed beside it.
pub(super) fn recore(
    desk: &Desk,
    ctx: &Ctx,
    grant: Grant,
    opened: &Opened,
    core: &Core,
    mut sealing: Sealing,
    entry: Entry,
) -> Result<Change, Error> {
    let applied = std::sync::Arc::clone(desk.rights.now()?.applied()?);
    let mut row = opened.row.clone();
    row.version += 1;
    sealing.core(ctx, row.key, &opened.core_key, core, row.version)?;
    row.due_day = rules::due_day_of(&applied.policy, core);
    row.mac = opened.core_key.mac_row(&row.columns());
    let entry = entry
        .about(Subjects::One(core.pseudonym))
        .writing(Written { sealed_hash: sealing.hash, row_mac: row.mac })
        .counting(1);
    let statement = store::update_customer(&row, &opened.row);
    // Another record of this customer may have been quicker: nobody named the customer's version,
    // so it is decided once more.
    let miss = Miss::LifeChanged;
    let change = still_alive(grant.change(entry), opened)
        .guard(Guard::Rows { statement, expected: 1, miss })
        .write_all(sealing.writes);
    Ok(sealing.keys.into_iter().fold(change, Change::put_key))
}

async fn done(desk: &Desk, change: Change) -> Result<Option<Receipt>, Error> {
    match commit_or_retry(desk, change).await? {
        Attempt::Done(receipt) => Ok(Some(receipt)),
        Attempt::Retry => Ok(None),
    }
}

pub(super) fn restock(core: &mut Core, shelf: &[u8; 16], rows: &Rows) {
    if let Some(known) = core.shelves.iter_mut().find(|known| known.id == *shelf) {
        known.stock(rows);
    }
}

fn touch(core: &mut Core, relation: &str, at: Time) {
    match core.relations.iter_mut().find(|known| known.name == relation) {
        Some(known) => known.last = known.last.later(at),
        None => core.relations.push(Relation { name: relation.to_owned(), last: at }),
    }
}

fn plain_of(field: &RecordField) -> Option<Plain> {
    field.value.as_ref().map(|value| Plain::copy_of(&value.expose_bytes()))
}

fn kind_called<'a>(applied: &'a Applied, name: &str) -> Result<&'a RecordKind, Error> {
    let kinds = applied.policy.records();
    kinds.get(name).ok_or_else(|| {
        let known: Vec<&str> = kinds.keys().map(|name| name.as_str()).collect();
        let detail = format!("`kind` is a record of the policy; it has `{}`", known.join("`, `"));
        Error::unprocessable("record_kind_unknown", detail)
    })
}

fn record_changed() -> Error {
    let detail = "the record has changed since you read it; read it again and repeat your change \
                  with the new version";
    Error::new(ErrorKind::PreconditionFailed, "version_changed", detail)
}

/// Kinds times years of their life; each is a key and about a hundred bytes in the core.
pub(super) const SHELVES_MAX: usize = 128;
