//! Showing a page of customers: one decision, one entry, all or nothing of what is shown.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::access::{self, Attempt, Desk, Permission, commit_or_retry};
use crate::ctx::{Ctx, Entry, EntryKind, FieldSet, Receipt};
use crate::error::Error;
use crate::id::{Customer, Id};
use crate::vault::model::CustomerState;
use crate::vault::rules;
use crate::vault::verbs::find::subjects;
use crate::vault::verbs::open::{Opened, Which, open_page, tell_tampered};
use crate::vault::verbs::read::{shown_fields, still_alive};
use crate::vault::verbs::{ATTEMPTS_MAX, changed_meanwhile};

/// A page of customers as they may be shown, once the entry is durable. Each of those asked for is in
/// exactly one of the lists.
pub struct ShownPage {
    /// Who is shown, in the order they were asked for.
    pub customers: Vec<ShownOne>,
    /// Who is not there: unknown, erased or hidden, which is nobody's business.
    pub missing: Vec<Id<Customer>>,
    /// Who cannot be shown until something is mended; a finding says what.
    pub unavailable: Vec<Id<Customer>>,
    /// Who has not consented to the purpose.
    pub without_consent: Vec<Id<Customer>>,
    /// Where the look stands in the ledger.
    pub receipt: Receipt,
}

/// One customer of a page.
pub struct ShownOne {
    /// The customer.
    pub id: Id<Customer>,
    /// Its version, for `If-Match`.
    pub version: u64,
    /// Field name to value or mask.
    pub fields: Map<String, Value>,
    /// Which of them are masks.
    pub masked: Vec<String>,
}

/// Fields of up to 200 customers as the policy shows them for a purpose.
pub async fn read_many(
    desk: &Arc<Desk>,
    ctx: &Ctx,
    ids: &[Id<Customer>],
    purpose: &str,
    fields: &[String],
) -> Result<ShownPage, Error> {
    let ids = each_once(ids)?;
    let asked = Arc::new(Asked { ids, purpose: purpose.to_owned(), fields: fields.to_vec() });
    for _ in 0..ATTEMPTS_MAX {
        // Before anything is opened: whoever may not look causes no work.
        access::may_read(desk, ctx, purpose, fields, &[])?;
        let (own, whose, page) = (Arc::clone(desk), ctx.clone(), Arc::clone(&asked));
        let prepared =
            desk.data.apart(move || async move { prepare(&own, &whose, &page).await }).await?;
        let Some(prepared) = prepared else { continue };
        let Prepared { permission, shown, missing, unavailable, without_consent } = prepared;
        let opened = || shown.iter().map(|(opened, _)| opened);
        let entry = Entry::new(ctx, EntryKind::Read, "customer.read_many")
            .about(subjects(opened()))
            .of_fields(FieldSet::of(permission.fields.keys().copied()))
            .counting(shown.len() as u64);
        let change = opened().fold(permission.grant.change(entry), still_alive);
        // Who was hidden meanwhile makes the whole page miss; it is decided once more without them.
        let Attempt::Done(receipt) = commit_or_retry(desk, change).await? else { continue };
        let customers = shown.into_iter().map(|(_, shown)| shown).collect();
        return Ok(ShownPage { customers, missing, unavailable, without_consent, receipt });
    }
    Err(changed_meanwhile())
}

struct Asked {
    ids: Vec<Id<Customer>>,
    purpose: String,
    fields: Vec<String>,
}

/// Everything but the entry.
struct Prepared {
    permission: Permission,
    shown: Vec<(Opened, ShownOne)>,
    missing: Vec<Id<Customer>>,
    unavailable: Vec<Id<Customer>>,
    without_consent: Vec<Id<Customer>>,
}

/// Opens, decides, masks; `None` where the policy changed in between.
async fn prepare(desk: &Desk, ctx: &Ctx, asked: &Asked) -> Result<Option<Prepared>, Error> {
    let applied = Arc::clone(desk.rights.now()?.applied()?);
    let which: Vec<Which<'_>> = asked.ids.iter().map(Which::Id).collect();
    let (mut missing, mut unavailable, mut without_consent) = (Vec::new(), Vec::new(), Vec::new());
    let mut found = Vec::with_capacity(which.len());
    for (id, opened) in asked.ids.iter().zip(open_page(desk, ctx, &which).await?) {
        match opened {
            Ok(Some(opened)) if opened.row.state == CustomerState::Active => {
                if rules::has_consented(&applied, &opened.core, &asked.purpose) {
                    found.push(opened);
                } else {
                    without_consent.push(*id);
                }
            }
            Ok(_) => missing.push(*id),
            // Nobody's keys are there: that is no page with gaps.
            Err(error) if error.code == "sealed" => return Err(error),
            Err(_) => unavailable.push(*id),
        }
    }
    let looked: Vec<Id<Customer>> = found.iter().map(|opened| opened.row.id).collect();
    let permission = access::may_read(desk, ctx, &asked.purpose, &asked.fields, &looked)?;
    // Consent was asked under the policy of before; the guards hold the one of now.
    if permission.applied.version != applied.version {
        return Ok(None);
    }
    let mut shown = Vec::with_capacity(found.len());
    for opened in found {
        let (id, version) = (opened.row.id, opened.row.version);
        match shown_fields(&permission, &opened) {
            Ok((fields, masked)) => shown.push((opened, ShownOne { id, version, fields, masked })),
            Err(error) if error.code == "tampered" => {
                tell_tampered(desk, ctx, &id, error).await;
                unavailable.push(id);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Some(Prepared { permission, shown, missing, unavailable, without_consent }))
}

/// In the order they were named first: a customer asked for twice is shown once.
fn each_once(ids: &[Id<Customer>]) -> Result<Vec<Id<Customer>>, Error> {
    if ids.is_empty() || ids.len() > PAGE_IDS_MAX {
        let detail = "name 1 to 200 customers in `ids`; ask for the next ones in another call";
        return Err(Error::bad_request("bad_ids", detail));
    }
    let mut seen = std::collections::BTreeSet::new();
    Ok(ids.iter().filter(|id| seen.insert(*id.as_bytes())).copied().collect())
}

/// A list page: opened in some ten milliseconds, and one entry names as many subjects.
const PAGE_IDS_MAX: usize = 200;
