//! Showing values: masked or clear as the grant says, or revealed for a reason.

use serde_json::{Map, Value};

use crate::access::{self, Attempt, Desk, Permission, commit_or_retry};
use crate::ctx::{Change, Ctx, Entry, EntryKind, FieldSet, Guard, Miss, Receipt, See, Subjects};
use crate::error::Error;
use crate::id::{Customer, Id};
use crate::keys::Permit;
use crate::policy::{FieldValue, mask};
use crate::vault::model::Reference;
use crate::vault::verbs::create::reference_claim;
use crate::vault::verbs::find::found_under;
use crate::vault::verbs::open::{Opened, open_active, tell_tampered};
use crate::vault::verbs::{ATTEMPTS_MAX, changed_meanwhile};
use crate::vault::{rules, store};

/// Values of one customer as they may be shown, once the entry is durable.
pub struct Shown {
    /// The customer.
    pub id: Id<Customer>,
    /// Its version, for `If-Match`.
    pub version: u64,
    /// Field name to value or mask.
    pub fields: Map<String, Value>,
    /// Which of them are masks.
    pub masked: Vec<String>,
    /// Where the look stands in the ledger.
    pub receipt: Receipt,
}

/// What a reveal needs beside the fields.
pub struct RevealReason<'a> {
    /// One of the policy's reasons.
    pub reason: &'a str,
    /// The caller's own ticket, an opaque number; empty for none.
    pub ticket: &'a str,
}

/// Fields of a customer as the policy shows them for a purpose.
pub async fn read(
    desk: &Desk,
    ctx: &Ctx,
    id: Id<Customer>,
    purpose: &str,
    fields: &[String],
) -> Result<Shown, Error> {
    for _ in 0..ATTEMPTS_MAX {
        let permission = access::may_read(desk, ctx, purpose, fields, &[id])?;
        let opened = open_active(desk, ctx, &id).await?;
        let entry = Entry::new(ctx, EntryKind::Read, "customer.read");
        if let Some(shown) = show(desk, ctx, permission, &opened, entry).await? {
            return Ok(shown);
        }
    }
    Err(changed_meanwhile())
}

/// Fields of a customer in clear, for a reason.
pub async fn reveal(
    desk: &Desk,
    ctx: &Ctx,
    id: Id<Customer>,
    purpose: &str,
    fields: &[String],
    why: RevealReason<'_>,
) -> Result<Shown, Error> {
    refuse_bad_ticket(why.ticket)?;
    for _ in 0..ATTEMPTS_MAX {
        let permission = access::may_reveal(desk, ctx, purpose, fields, why.reason)?;
        let opened = open_active(desk, ctx, &id).await?;
        let entry =
            Entry::new(ctx, EntryKind::Reveal, "customer.reveal").because(why.reason, why.ticket);
        if let Some(shown) = show(desk, ctx, permission, &opened, entry).await? {
            return Ok(shown);
        }
    }
    Err(changed_meanwhile())
}

/// Opens, commits the entry, and only then gives the values out; `None` to decide once more.
async fn show(
    desk: &Desk,
    ctx: &Ctx,
    permission: Permission,
    opened: &Opened,
    entry: Entry,
) -> Result<Option<Shown>, Error> {
    rules::refuse_without_consent(&permission.applied, &opened.core, permission.grant.purpose())?;
    let (fields, masked) = match shown_fields(&permission, opened) {
        Ok(shown) => shown,
        Err(error) => return Err(tell_tampered(desk, ctx, &opened.row.id, error).await),
    };
    let entry = entry
        .about(Subjects::One(opened.core.pseudonym))
        .of_fields(FieldSet::of(permission.fields.keys().copied()))
        .counting(1);
    let change = still_alive(permission.grant.change(entry), opened);
    match commit_or_retry(desk, change).await? {
        Attempt::Retry => Ok(None),
        Attempt::Done(receipt) => {
            let (id, version) = (opened.row.id, opened.row.version);
            Ok(Some(Shown { id, version, fields, masked, receipt }))
        }
    }
}

/// Field name to value or mask, and which of them are masks. Nothing of it may leave before the entry is
/// durable.
pub(super) fn shown_fields(
    permission: &Permission,
    opened: &Opened,
) -> Result<(Map<String, Value>, Vec<String>), Error> {
    let applied = &permission.applied;
    let mut fields = Map::new();
    let mut masked = Vec::new();
    for (number, value) in open_fields(permission, opened)? {
        let name = applied.registry.name_of(number);
        let known = name.and_then(|name| Some((name, applied.policy.fields().get(name)?)));
        let (name, field) = known.ok_or_else(|| Error::internal("a field without a name"))?;
        let shown = match permission.fields.get(&number) {
            Some(See::Clear) => value.expose_json(),
            Some(See::Masked) | None => {
                masked.push(name.to_owned());
                mask(&field.kind, &value)
            }
        };
        fields.insert(name.to_owned(), shown);
    }
    // Records come in the order of their random compartment ids, which is nobody's business.
    masked.sort();
    Ok((fields, masked))
}

/// As [`read`], of the customer who has this reference.
pub async fn read_by_reference(
    desk: &Desk,
    ctx: &Ctx,
    reference: &Reference,
    purpose: &str,
    fields: &[String],
) -> Result<Shown, Error> {
    // Before anything is looked for: whoever may not look causes no work and learns nothing.
    access::may_read(desk, ctx, purpose, fields, &[])?;
    let claim = reference_claim(desk, reference)?;
    let found = found_under(desk, ctx, &claim).await?;
    let one = found.first().ok_or_else(Error::not_found)?;
    read(desk, ctx, one.row.id, purpose, fields).await
}

/// Every change that shows or alters one customer's data carries this: less may not be shown now
/// than when it was read.
pub(super) fn still_alive(change: Change, opened: &Opened) -> Change {
    let statement = store::active_and_alive(&opened.row);
    change.guard(Guard::Rows { statement, expected: 1, miss: Miss::LifeChanged })
}

pub(super) fn open_fields(
    permission: &Permission,
    opened: &Opened,
) -> Result<Vec<(u8, FieldValue)>, Error> {
    let wanted: Vec<u8> = permission.fields.keys().copied().collect();
    open_values(Permit::Grant(&permission.grant), opened, &wanted)
}

/// The values of these fields that are kept, each by its number.
pub(in crate::vault) fn open_values(
    permit: Permit<'_>,
    opened: &Opened,
    wanted: &[u8],
) -> Result<Vec<(u8, FieldValue)>, Error> {
    let mut values = Vec::new();
    for record in opened.records.values() {
        for (field, plain) in
            record.key.open_fields(permit, record.version, &record.sealed, wanted)?
        {
            let value = FieldValue::from_bytes(plain.expose()).map_err(Error::internal)?;
            values.push((field, value));
        }
    }
    Ok(values)
}

pub(super) fn refuse_bad_ticket(ticket: &str) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_#/.".contains(c);
    let opaque = ticket.is_empty()
        || (ticket.len() <= TICKET_SIZE_MAX
            && ticket.chars().all(plain)
            && ticket.chars().any(|c| c.is_ascii_digit())
            && !strongroom_detect::card::contains_card_number(ticket));
    if opaque {
        return Ok(());
    }
    let detail = "a ticket is an opaque number of up to 40 letters, digits, `-`, `_`, `#`, `/`, \
                  `.`; it stands in the log for years, so never a name or an e-mail";
    Err(Error::unprocessable("bad_ticket", detail))
}

const TICKET_SIZE_MAX: usize = 40;
