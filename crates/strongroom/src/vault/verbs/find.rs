//! Looking customers up by an indexed field. The term is never kept.

use std::sync::Arc;

use serde_json::Value;

use crate::access::{self, Attempt, Desk, Permission, commit_or_retry};
use crate::ctx::{Ctx, Entry, EntryKind, FieldSet, Pseudonym, Receipt, Subjects};
use crate::error::{Error, FieldProblem};
use crate::id::{Customer, Id};
use crate::policy::{Find, parse_value};
use crate::vault::model::{Claim, CustomerState, IndexKind};
use crate::vault::verbs::open::{Opened, Which, open};
use crate::vault::verbs::read::still_alive;
use crate::vault::verbs::words::find_by_words;
use crate::vault::verbs::{ATTEMPTS_MAX, changed_meanwhile};
use crate::vault::{rules, store};

/// Who was found, at most 20.
pub struct Match {
    /// Their ids.
    pub customers: Vec<Id<Customer>>,
    /// Whether there may be more.
    pub more: bool,
    /// Where the search stands in the ledger.
    pub receipt: Receipt,
}

/// Customers whose field has this value. Hits and misses are charged and written down alike.
pub async fn look_up(
    desk: &Arc<Desk>,
    ctx: &Ctx,
    purpose: &str,
    field: &str,
    value: &Value,
) -> Result<Match, Error> {
    for _ in 0..ATTEMPTS_MAX {
        let permission = access::may_look_up(desk, ctx, purpose, &[field.to_owned()])?;
        let applied = Arc::clone(&permission.applied);
        let declared = applied.policy.fields().get(field).ok_or_else(Error::not_found)?;
        let number = applied.registry.id_of(field).ok_or_else(Error::not_found)?;
        let kind = match declared.find {
            Find::Unique => IndexKind::Unique,
            Find::Exact | Find::None => IndexKind::Exact,
            Find::Words => {
                match find_by_words(desk, ctx, permission, (field, number), value).await? {
                    Some(found) => return Ok(found),
                    None => continue,
                }
            }
        };
        let value =
            parse_value(&declared.kind, applied.policy.business(), value).map_err(|refused| {
                let detail = format!("{}; {}", refused.cause, refused.cure);
                let (field, code) = (field.to_owned(), refused.code.as_str());
                let problem = FieldProblem { field, code, detail };
                Error::unprocessable("fields_refused", "this cannot be looked up")
                    .with_fields(vec![problem])
            })?;
        let hashed = desk.keyring.index(number, &value.expose_index_text())?;
        let mut found = found_under(desk, ctx, &Claim::new(kind, number, hashed)).await?;
        // Who has not consented is not found, as if they were not there.
        found.retain(|it| rules::has_consented(&applied, &it.core, purpose));
        if let Attempt::Done(receipt) = set_down(desk, ctx, permission, number, &found).await? {
            let customers: Vec<_> = found.iter().map(|opened| opened.row.id).collect();
            let more = customers.len() >= FOUND_MAX;
            return Ok(Match { customers, more, receipt });
        }
    }
    Err(changed_meanwhile())
}

/// Who was found stands in the ledger before anybody is told, and may still be shown then.
pub(super) async fn set_down(
    desk: &Desk,
    ctx: &Ctx,
    permission: Permission,
    field: u8,
    found: &[Opened],
) -> Result<Attempt, Error> {
    let entry = Entry::new(ctx, EntryKind::Search, "customer.lookup")
        .about(subjects(found.iter()))
        .of_fields(FieldSet::of([field]))
        .counting(found.len() as u64);
    let change = found.iter().fold(permission.grant.change(entry), still_alive);
    commit_or_retry(desk, change).await
}

/// Each hit is opened: an index row put there by SQL points to a core that does not know it. A hit that
/// moves to another customer meanwhile, as in a merge, is followed: it never leads to nobody.
pub(super) async fn found_under(
    desk: &Desk,
    ctx: &Ctx,
    claim: &Claim,
) -> Result<Vec<Opened>, Error> {
    let mut keys = keys_under(desk, claim).await?;
    for _ in 0..ATTEMPTS_MAX {
        let mut found = Vec::new();
        for key in &keys {
            let Some(opened) = open(desk, ctx, Which::Key(*key)).await? else { continue };
            if opened.row.state == CustomerState::Active && claim.is_of(&opened.core) {
                found.push(opened);
            }
        }
        if found.len() == keys.len() {
            return Ok(found);
        }
        let now = keys_under(desk, claim).await?;
        if now == keys {
            return Ok(found);
        }
        keys = now;
    }
    Err(changed_meanwhile())
}

async fn keys_under(desk: &Desk, claim: &Claim) -> Result<Vec<i64>, Error> {
    let mut data = desk.data.snapshot().await?;
    store::find_by_hash(&mut data, claim).await
}

/// Whose data an entry about these touches.
pub(super) fn subjects<'a>(found: impl Iterator<Item = &'a Opened>) -> Subjects {
    let pseudonyms: Vec<Pseudonym> = found.map(|opened| opened.core.pseudonym).collect();
    match pseudonyms.as_slice() {
        [] => Subjects::None,
        [one] => Subjects::One(*one),
        _ => Subjects::Set(pseudonyms),
    }
}

/// As many as a look-up answers (`specs/crypto.md`).
pub(super) const FOUND_MAX: usize = 20;
