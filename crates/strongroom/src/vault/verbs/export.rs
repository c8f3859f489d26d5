//! Taking clear values out, piece by piece: each piece has its own entry, durable before a byte of it
//! leaves.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::access::{self, Attempt, Desk, Permission, commit_or_retry};
use crate::ctx::{Actor, Ctx, Entry, EntryKind, FieldSet, Pseudonym, Receipt, Subjects, Time};
use crate::error::Error;
use crate::id::{Customer, Id};
use crate::places::{self, NewHolding, PlaceKind, PlaceName, Whose};
use crate::policy::{Policy, See};
use crate::vault::model::{CustomerState, Reference, Shelf};
use crate::vault::verbs::consent::ConsentSaid;
use crate::vault::verbs::open::{Opened, Which, open};
use crate::vault::verbs::read::{open_fields, still_alive};
use crate::vault::verbs::shelves::{OpenShelf, open_shelves};
use crate::vault::verbs::show_records::{RecordShown, show_records};
use crate::vault::verbs::{ATTEMPTS_MAX, changed_meanwhile};
use crate::vault::{rules, store};

/// What is to leave, and what for.
#[derive(Clone)]
pub struct ExportAsk {
    /// A purpose of the policy.
    pub purpose: String,
    /// Fields that grants show in clear for it, those of records with their kind.
    pub fields: Vec<String>,
    /// Whether what goes with customers beside their fields leaves too: references and consents.
    pub whole: bool,
    /// Where it goes: holdings there say whose data left.
    pub to: PlaceName,
}

/// A customer on the way out.
pub struct Exported {
    /// The customer; the next piece goes on after the last one.
    pub id: Id<Customer>,
    /// What leaves of them.
    pub left: Left,
}

/// What leaves of one customer.
pub enum Left {
    /// Everything asked for.
    Whole {
        /// Their version.
        version: u64,
        /// When they were made.
        created: Time,
        /// Why they are known, and when that last happened.
        relations: Vec<(String, Time)>,
        /// Field name to clear value.
        fields: Map<String, Value>,
        /// What the callers' own systems call them.
        references: Vec<String>,
        /// Their newest word on each purpose that needs consent.
        consents: Vec<ConsentSaid>,
        /// Those of the kinds that were asked for.
        records: Vec<RecordShown>,
    },
    /// They do not open; the code says why, the findings say more.
    Unreadable(&'static str),
}

/// Some customers, in the order of their ids.
pub struct Piece {
    /// At most as many as were asked for; fewer even where more follow.
    pub customers: Vec<Exported>,
    /// Go on after this one; none at the end.
    pub next: Option<Id<Customer>>,
    /// Where the piece stands in the ledger; none where no value is in it.
    pub receipt: Option<Receipt>,
}

/// Every field that the caller's grants show in clear for a purpose.
pub fn exportable(policy: &Policy, ctx: &Ctx, purpose: &str) -> Vec<String> {
    let Actor::Key { role, .. } = &ctx.actor else { return Vec::new() };
    let clear = policy.grants_of(role, purpose).filter(|grant| grant.see == See::Clear);
    clear.flat_map(|grant| grant.fields.iter().map(|name| name.as_str().to_owned())).collect()
}

/// Says that an export begins: which fields, what for.
pub async fn begin_export(desk: &Desk, ctx: &Ctx, ask: &ExportAsk) -> Result<Receipt, Error> {
    let permission = access::may_export(desk, ctx, &ask.purpose, &ask.fields, &[])?;
    let fields = FieldSet::of(permission.fields.keys().copied());
    let entry = Entry::new(ctx, EntryKind::Export, "export.begin").of_fields(fields);
    access::commit(desk, permission.grant.change(entry)).await
}

/// Says that the last piece of an export left.
pub async fn end_export(
    desk: &Desk,
    ctx: &Ctx,
    ask: &ExportAsk,
    count: u64,
) -> Result<Receipt, Error> {
    let permission = access::may_export(desk, ctx, &ask.purpose, &ask.fields, &[])?;
    let fields = FieldSet::of(permission.fields.keys().copied());
    let entry = Entry::new(ctx, EntryKind::Export, "export.end").of_fields(fields).counting(count);
    access::commit(desk, permission.grant.change(entry)).await
}

/// The next customers after an id. With the answer in hand the entry is durable.
pub async fn export_piece(
    desk: &Desk,
    ctx: &Ctx,
    ask: &ExportAsk,
    after: Option<Id<Customer>>,
    limit: usize,
) -> Result<Piece, Error> {
    let limit = limit.clamp(1, EXPORT_PIECE_MAX);
    for _ in 0..ATTEMPTS_MAX {
        let after = after.map_or([0; 16], |id| *id.as_bytes());
        let ids = {
            let mut data = desk.data.snapshot().await?;
            store::list_active_ids(&mut data, &after, i64::try_from(limit).unwrap_or(1)).await?
        };
        let mut next = if ids.len() < limit { None } else { ids.last().copied() };
        let (mut opened, mut customers) = open_all(desk, ctx, &ids).await?;
        let applied = Arc::clone(desk.rights.now()?.applied()?);
        opened.retain(|it| rules::has_consented(&applied, &it.core, &ask.purpose));
        let kinds = kinds_of(&ask.fields);
        if let Some(last) = last_that_fits(&opened, &kinds) {
            opened.retain(|it| it.row.id <= last);
            customers.retain(|it| it.id <= last);
            next = Some(last);
        }
        let Some(shelves) = open_records(desk, ctx, &mut opened, &mut customers, &kinds).await?
        else {
            continue;
        };
        let known: Vec<Id<Customer>> = opened.iter().map(|it| it.row.id).collect();
        let permission = access::may_export(desk, ctx, &ask.purpose, &ask.fields, &known)?;
        let mut pseudonyms = Vec::with_capacity(opened.len());
        for (opened, shelves) in opened.iter().zip(&shelves) {
            customers.push(take(ask, &permission, opened, shelves)?);
            pseudonyms.push(opened.core.pseudonym);
        }
        customers.sort_by_key(|it| it.id);
        if opened.is_empty() {
            return Ok(Piece { customers, next, receipt: None });
        }
        let done = commit(desk, ctx, ask, permission, &opened, pseudonyms).await?;
        if let Attempt::Done(receipt) = done {
            return Ok(Piece { customers, next, receipt: Some(receipt) });
        }
    }
    Err(changed_meanwhile())
}

/// One customer who does not open must not keep all others in the house: they are named instead.
async fn open_all(
    desk: &Desk,
    ctx: &Ctx,
    ids: &[Id<Customer>],
) -> Result<(Vec<Opened>, Vec<Exported>), Error> {
    let (mut whole, mut unreadable) = (Vec::with_capacity(ids.len()), Vec::new());
    for id in ids {
        match open(desk, ctx, Which::Id(id)).await {
            Ok(Some(opened)) if opened.row.state == CustomerState::Active => whole.push(opened),
            // Hidden or gone since the ids were read.
            Ok(_) => {}
            Err(error) if UNREADABLE.contains(&error.code) => {
                unreadable.push(Exported { id: *id, left: Left::Unreadable(error.code) });
            }
            Err(error) => return Err(error),
        }
    }
    Ok((whole, unreadable))
}

/// The kinds of record that fields belong to.
fn kinds_of(fields: &[String]) -> BTreeSet<&str> {
    fields.iter().filter_map(|name| name.split_once('.')).map(|(kind, _)| kind).collect()
}

/// The last customer of a piece, where all of them have more records than it may hold; at least one
/// leaves each time.
fn last_that_fits(opened: &[Opened], kinds: &BTreeSet<&str>) -> Option<Id<Customer>> {
    let mut records = 0;
    for (number, one) in opened.iter().enumerate() {
        let shelves = one.core.shelves.iter().filter(|it| kinds.contains(it.kind.as_str()));
        records += shelves.map(|shelf| u64::from(shelf.count)).sum::<u64>();
        if records > PIECE_RECORDS_MAX && number > 0 {
            return opened.get(number - 1).map(|it| it.row.id);
        }
    }
    None
}

/// The shelves of each customer, in their order. Whose do not open is among the unreadable from here
/// on; `None` to decide once more.
async fn open_records(
    desk: &Desk,
    ctx: &Ctx,
    opened: &mut Vec<Opened>,
    unreadable: &mut Vec<Exported>,
    kinds: &BTreeSet<&str>,
) -> Result<Option<Vec<Vec<OpenShelf>>>, Error> {
    let mut all = Vec::with_capacity(opened.len());
    for one in std::mem::take(opened) {
        let wanted = |shelf: &Shelf| kinds.contains(shelf.kind.as_str());
        match open_shelves(desk, ctx, &one, wanted, |every| every).await {
            Ok(Some(shelves)) => {
                all.push(shelves);
                opened.push(one);
            }
            Ok(None) => return Ok(None),
            Err(error) if UNREADABLE.contains(&error.code) => {
                unreadable.push(Exported { id: one.row.id, left: Left::Unreadable(error.code) });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Some(all))
}

async fn commit(
    desk: &Desk,
    ctx: &Ctx,
    ask: &ExportAsk,
    permission: Permission,
    opened: &[Opened],
    pseudonyms: Vec<Pseudonym>,
) -> Result<Attempt, Error> {
    let fields = FieldSet::of(permission.fields.keys().copied());
    let holding = NewHolding {
        place: &ask.to,
        kind: PlaceKind::Folder,
        whose: Whose::These(pseudonyms.clone()),
        fields,
        due: Some(ctx.now.plus_days(EXPORT_DAYS_MAX)),
        act: "export.piece",
        origin: &ask.purpose,
    };
    let holding = places::hold(desk, ctx, &holding)?;
    let entry = Entry::new(ctx, EntryKind::Export, "export.piece")
        .counting(pseudonyms.len() as u64)
        .of_fields(fields)
        .about(match pseudonyms.as_slice() {
            [one] => Subjects::One(*one),
            _ => Subjects::Set(pseudonyms),
        });
    let change = opened.iter().fold(permission.grant.change(entry), still_alive);
    commit_or_retry(desk, change.write_all(holding)).await
}

fn take(
    ask: &ExportAsk,
    permission: &Permission,
    opened: &Opened,
    shelves: &[OpenShelf],
) -> Result<Exported, Error> {
    let mut fields = Map::new();
    for (number, value) in open_fields(permission, opened)? {
        let name = permission.applied.registry.name_of(number);
        let name = name.ok_or_else(|| Error::internal("a field without a name"))?;
        fields.insert(name.to_owned(), value.expose_json());
    }
    let relations = opened.core.relations.iter().map(|it| (it.name.clone(), it.last)).collect();
    let references = opened.core.references.iter().filter(|_| ask.whole);
    let consents = opened.core.consents.iter().filter(|_| ask.whole);
    let left = Left::Whole {
        version: opened.row.version,
        created: opened.core.created,
        relations,
        fields,
        references: references.map(Reference::index_text).collect(),
        consents: consents.map(ConsentSaid::of).collect(),
        records: show_records(permission, shelves)?,
    };
    Ok(Exported { id: opened.row.id, left })
}

/// What one customer's own damage answers with; anything else stops the export.
const UNREADABLE: [&str; 2] = ["key_missing", "tampered"];

/// A piece with more of them ends before the customer who has them: some megabytes.
const PIECE_RECORDS_MAX: u64 = 5_000;

/// A file that was needed is used or moved within a month; then it is a copy somebody forgot.
const EXPORT_DAYS_MAX: i64 = 30;

/// Bounds memory, and how much one entry may speak of: a few megabytes.
pub const EXPORT_PIECE_MAX: usize = 500;
