//! Taking clear values out, piece by piece: each piece has its own entry, durable before a byte of it
//! leaves.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::access::{self, Attempt, Desk, Permission, commit_or_retry};
use crate::ctx::{Actor, Ctx, Entry, EntryKind, FieldSet, Pseudonym, Receipt, Subjects, Time};
use crate::error::Error;
use crate::id::{Customer, Id};
use crate::policy::{Policy, See};
use crate::vault::model::CustomerState;
use crate::vault::verbs::open::{Opened, Which, open};
use crate::vault::verbs::read::{open_fields, still_alive};
use crate::vault::verbs::{ATTEMPTS_MAX, changed_meanwhile};
use crate::vault::{rules, store};

/// What is to leave, and what for.
#[derive(Clone)]
pub struct ExportAsk {
    /// A purpose of the policy.
    pub purpose: String,
    /// Fields that grants show in clear for it.
    pub fields: Vec<String>,
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
        let next = if ids.len() < limit { None } else { ids.last().copied() };
        let (mut opened, unreadable) = open_all(desk, ctx, &ids).await?;
        let applied = Arc::clone(desk.rights.now()?.applied()?);
        opened.retain(|it| rules::has_consented(&applied.policy, &it.core, &ask.purpose));
        let known: Vec<Id<Customer>> = opened.iter().map(|it| it.row.id).collect();
        let permission = access::may_export(desk, ctx, &ask.purpose, &ask.fields, &known)?;
        let mut customers = unreadable;
        let mut pseudonyms = Vec::with_capacity(opened.len());
        for opened in &opened {
            customers.push(take(&permission, opened)?);
            pseudonyms.push(opened.core.pseudonym);
        }
        customers.sort_by_key(|it| it.id);
        if opened.is_empty() {
            return Ok(Piece { customers, next, receipt: None });
        }
        if let Attempt::Done(receipt) = commit(desk, ctx, permission, &opened, pseudonyms).await? {
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

async fn commit(
    desk: &Desk,
    ctx: &Ctx,
    permission: Permission,
    opened: &[Opened],
    pseudonyms: Vec<Pseudonym>,
) -> Result<Attempt, Error> {
    let entry = Entry::new(ctx, EntryKind::Export, "export.piece")
        .counting(pseudonyms.len() as u64)
        .of_fields(FieldSet::of(permission.fields.keys().copied()))
        .about(match pseudonyms.as_slice() {
            [one] => Subjects::One(*one),
            _ => Subjects::Set(pseudonyms),
        });
    let change = opened.iter().fold(permission.grant.change(entry), still_alive);
    commit_or_retry(desk, change).await
}

fn take(permission: &Permission, opened: &Opened) -> Result<Exported, Error> {
    let mut fields = Map::new();
    for (number, value) in open_fields(permission, opened)? {
        let name = permission.applied.registry.name_of(number);
        let name = name.ok_or_else(|| Error::internal("a field without a name"))?;
        fields.insert(name.to_owned(), value.expose_json());
    }
    let relations = opened.core.relations.iter().map(|it| (it.name.clone(), it.last)).collect();
    let left = Left::Whole {
        version: opened.row.version,
        created: opened.core.created,
        relations,
        fields,
    };
    Ok(Exported { id: opened.row.id, left })
}

/// What one customer's own damage answers with; anything else stops the export.
const UNREADABLE: [&str; 2] = ["key_missing", "tampered"];

/// Bounds memory, and how much one entry may speak of: a few megabytes.
pub const EXPORT_PIECE_MAX: usize = 500;
