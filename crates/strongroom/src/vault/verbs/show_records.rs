//! Showing records, masked or clear as the grant says, or revealed for a reason.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::access::{self, Attempt, Desk, Permission, commit_or_retry};
use crate::ctx::{Ctx, Entry, EntryKind, FieldSet, Receipt, See, Subjects};
use crate::error::Error;
use crate::id::{Customer, Id, Record};
use crate::keys::Permit;
use crate::policy::{FieldValue, mask};
use crate::vault::model::Shelf;
use crate::vault::rules;
use crate::vault::verbs::open::{Opened, open_active};
use crate::vault::verbs::read::{RevealReason, refuse_bad_ticket, still_alive};
use crate::vault::verbs::records::shelf_with;
use crate::vault::verbs::shelves::{OpenRecord, OpenShelf, Place, open_shelves};
use crate::vault::verbs::{ATTEMPTS_MAX, changed_meanwhile};

/// One record as it may be shown.
pub struct RecordShown {
    /// The record.
    pub id: Id<Record>,
    /// What it is, by the policy's name.
    pub kind: String,
    /// Its version, for `If-Match`.
    pub version: u64,
    /// The day it was issued.
    pub issued: String,
    /// The record it corrects.
    pub corrects: Option<Id<Record>>,
    /// Field name, without the kind, to value or mask.
    pub fields: Map<String, Value>,
    /// Which of them are masks.
    pub masked: Vec<String>,
}

/// A page of records, once the entry is durable.
pub struct RecordsShown {
    /// Newest first.
    pub records: Vec<RecordShown>,
    /// The last one of this page, where there are more.
    pub next: Option<Id<Record>>,
    /// Where the look stands in the ledger.
    pub receipt: Receipt,
}

/// Records of a customer below `before`, newest first: those of the kinds that `fields` names.
pub async fn list_records(
    desk: &Desk,
    ctx: &Ctx,
    id: Id<Customer>,
    purpose: &str,
    fields: &[String],
    (before, limit): (Option<Id<Record>>, usize),
) -> Result<RecordsShown, Error> {
    let kinds = kinds_of(fields)?;
    for _ in 0..ATTEMPTS_MAX {
        let permission = access::may_read(desk, ctx, purpose, fields, &[id])?;
        let opened = open_active(desk, ctx, &id).await?;
        let wanted = |shelf: &Shelf| kinds.contains(shelf.kind.as_str());
        let mut more = false;
        let page = |mut all: Vec<Place>| {
            all.retain(|(_, id)| before.is_none_or(|before| id < before.as_bytes()));
            all.sort_by_key(|(_, id)| std::cmp::Reverse(*id));
            more = all.len() > limit;
            all.truncate(limit);
            all
        };
        let Some(shelves) = open_shelves(desk, ctx, &opened, wanted, page).await? else { continue };
        let entry = Entry::new(ctx, EntryKind::Read, "record.list");
        let done = show(desk, permission, &opened, &shelves, entry).await?;
        if let Some((records, receipt)) = done {
            let next = records.last().filter(|_| more).map(|record| record.id);
            return Ok(RecordsShown { records, next, receipt });
        }
    }
    Err(changed_meanwhile())
}

/// One record of a customer.
pub async fn read_record(
    desk: &Desk,
    ctx: &Ctx,
    id: Id<Customer>,
    record: Id<Record>,
    purpose: &str,
    fields: &[String],
) -> Result<(RecordShown, Receipt), Error> {
    kinds_of(fields)?;
    for _ in 0..ATTEMPTS_MAX {
        let permission = access::may_read(desk, ctx, purpose, fields, &[id])?;
        let opened = open_active(desk, ctx, &id).await?;
        let entry = Entry::new(ctx, EntryKind::Read, "record.read");
        if let Some(shown) = show_one(desk, ctx, permission, &opened, record, entry).await? {
            return Ok(shown);
        }
    }
    Err(changed_meanwhile())
}

/// One record in clear, for a reason.
pub async fn reveal_record(
    desk: &Desk,
    ctx: &Ctx,
    id: Id<Customer>,
    record: Id<Record>,
    purpose: &str,
    (fields, why): (&[String], RevealReason<'_>),
) -> Result<(RecordShown, Receipt), Error> {
    refuse_bad_ticket(why.ticket)?;
    kinds_of(fields)?;
    for _ in 0..ATTEMPTS_MAX {
        let permission = access::may_reveal(desk, ctx, purpose, fields, why.reason)?;
        let opened = open_active(desk, ctx, &id).await?;
        let entry =
            Entry::new(ctx, EntryKind::Reveal, "record.reveal").because(why.reason, why.ticket);
        if let Some(shown) = show_one(desk, ctx, permission, &opened, record, entry).await? {
            return Ok(shown);
        }
    }
    Err(changed_meanwhile())
}

/// `None` to decide once more. A record of another kind than the fields' is not there for the caller.
async fn show_one(
    desk: &Desk,
    ctx: &Ctx,
    permission: Permission,
    opened: &Opened,
    record: Id<Record>,
    entry: Entry,
) -> Result<Option<(RecordShown, Receipt)>, Error> {
    let Some(shelf) = shelf_with(desk, ctx, opened, record).await? else { return Ok(None) };
    let named = permission.fields.keys().filter_map(|id| permission.applied.registry.name_of(*id));
    let prefix = format!("{}.", shelf.shelf.kind);
    if !named.into_iter().any(|name| name.starts_with(&prefix)) {
        return Err(Error::not_found());
    }
    let shown = show(desk, permission, opened, &[shelf], entry).await?;
    let Some((mut records, receipt)) = shown else { return Ok(None) };
    let record = records.pop().ok_or_else(Error::not_found)?;
    Ok(Some((record, receipt)))
}

/// Opens what the permission covers, commits the entry, and only then gives the values out.
async fn show(
    desk: &Desk,
    permission: Permission,
    opened: &Opened,
    shelves: &[OpenShelf],
    entry: Entry,
) -> Result<Option<(Vec<RecordShown>, Receipt)>, Error> {
    rules::refuse_without_consent(&permission.applied, &opened.core, permission.grant.purpose())?;
    let records = show_records(&permission, shelves)?;
    let entry = entry
        .about(Subjects::One(opened.core.pseudonym))
        .of_fields(FieldSet::of(permission.fields.keys().copied()))
        .counting(records.len() as u64);
    let change = still_alive(permission.grant.change(entry), opened);
    match commit_or_retry(desk, change).await? {
        Attempt::Retry => Ok(None),
        Attempt::Done(receipt) => Ok(Some((records, receipt))),
    }
}

/// What a permission shows of records, newest first. Nothing of it may leave before the entry is
/// durable.
pub(super) fn show_records(
    permission: &Permission,
    shelves: &[OpenShelf],
) -> Result<Vec<RecordShown>, Error> {
    let mut records = Vec::new();
    for shelf in shelves {
        for record in &shelf.records {
            records.push(show_record(permission, shelf, record)?);
        }
    }
    records.sort_by_key(|record| std::cmp::Reverse(record.id));
    Ok(records)
}

fn show_record(
    permission: &Permission,
    shelf: &OpenShelf,
    record: &OpenRecord,
) -> Result<RecordShown, Error> {
    let wanted: Vec<u8> = permission.fields.keys().copied().collect();
    let permit = Permit::Grant(&permission.grant);
    let (mut fields, mut masked) = (Map::new(), Vec::new());
    let cells = shelf.key.open_fields(permit, record.version, &record.sealed, &wanted)?;
    for (number, plain) in cells {
        let value = FieldValue::from_bytes(plain.expose()).map_err(Error::internal)?;
        let (name, value, is_mask) = as_permitted(permission, number, &value)?;
        let name = name.split_once('.').map_or(name.clone(), |(_, field)| field.to_owned());
        if is_mask {
            masked.push(name.clone());
        }
        fields.insert(name, value);
    }
    masked.sort();
    Ok(RecordShown {
        id: Id::from_bytes(record.about.id),
        kind: shelf.shelf.kind.clone(),
        version: record.version,
        issued: record.about.issued.clone(),
        corrects: record.about.corrects.map(Id::from_bytes),
        fields,
        masked,
    })
}

/// The name of a field, its value as the permission shows it, and whether that is a mask.
pub(super) fn as_permitted(
    permission: &Permission,
    number: u8,
    value: &FieldValue,
) -> Result<(String, Value, bool), Error> {
    let applied = &permission.applied;
    let name = applied.registry.name_of(number);
    let known = name.and_then(|name| Some((name, applied.policy.field(name)?)));
    let (name, field) = known.ok_or_else(|| Error::internal("a field without a name"))?;
    Ok(match permission.fields.get(&number) {
        Some(See::Clear) => (name.to_owned(), value.expose_json(), false),
        Some(See::Masked) | None => (name.to_owned(), mask(&field.kind, value), true),
    })
}

/// The kinds that fields belong to; a field of the customer has no place here.
fn kinds_of(fields: &[String]) -> Result<BTreeSet<&str>, Error> {
    let kinds = fields.iter().map(|name| name.split_once('.').map(|(kind, _)| kind));
    kinds.collect::<Option<_>>().ok_or_else(|| {
        let detail = "name fields of records, with their kind, as in `fields=invoice.number`";
        Error::bad_request("bad_fields", detail)
    })
}
