//! Decisions to let values out without showing them to the caller.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::access::model::{Desk, Wish};
use crate::access::verbs::allow::{Permission, actor_guards, forbidden, only_keys};
use crate::access::verbs::{may_read, may_reveal, permit};
use crate::access::{rules, store};
use crate::ctx::{Actor, BudgetClaim, BudgetKind, Ctx, Grant, Guard, See};
use crate::error::{Error, ErrorKind};
use crate::id::{ApiKey, Customer, Id};
use crate::policy::Right;

/// A grant to send the fields of an outlet. With a customer it is for the sending itself and draws on
/// the outlet's budget, which counts each customer once a day; without one it is for asking.
pub fn may_send(
    desk: &Desk,
    ctx: &Ctx,
    outlet: &str,
    customer: Option<&Id<Customer>>,
) -> Result<Permission, Error> {
    let authority = desk.rights.now()?;
    let applied = authority.applied()?;
    let Actor::Key { role, purposes, .. } = &ctx.actor else { return Err(only_keys()) };
    let known = rules::may_send(&applied.policy, role, purposes, outlet).map_err(forbidden)?;
    let mut fields = BTreeMap::new();
    for name in &known.fields {
        let id = applied.registry.id_of(name.as_str());
        fields.insert(id.ok_or_else(|| Error::internal("a field without a number"))?, See::Clear);
    }
    let mut guards = actor_guards(ctx, &authority)?;
    if let Some(customer) = customer {
        let zone = &applied.policy.business().timezone;
        let holder = format!("{}/outlet/{outlet}", ctx.actor.reference());
        let (day, retry_after_s) = (ctx.now.day_in(zone), ctx.now.seconds_left_of_day(zone));
        let seen = vec![store::seen_hash(&desk.keyring, &holder, &day, customer.as_bytes())?];
        let (kind, max) = (BudgetKind::Send, u64::from(known.per_day));
        let claim = BudgetClaim { kind, holder, day, max, seen, amount: 0, retry_after_s };
        guards.push(Guard::Budget(claim));
    }
    let (purpose, version) = (known.purpose.as_str().to_owned(), applied.version);
    let grant = Grant::issue(ctx.actor.clone(), purpose, fields.clone(), version, guards);
    Ok(Permission { grant, fields, applied: Arc::clone(applied) })
}

/// A grant to share fields of one customer in clear. Whoever holds the link sees what it shows, the
/// caller too, so the caller needs what seeing it would need: a grant that shows clear values, or one
/// that reveals them for a reason.
pub fn may_share(
    desk: &Desk,
    ctx: &Ctx,
    purpose: &str,
    fields: &[String],
    customer: Id<Customer>,
    reason: &str,
) -> Result<Permission, Error> {
    permit(desk, ctx, Right::Send)?;
    if !reason.is_empty() {
        return may_reveal(desk, ctx, purpose, fields, reason);
    }
    let permission = may_read(desk, ctx, purpose, fields, &[customer])?;
    if permission.fields.values().all(|see| *see == See::Clear) {
        return Ok(permission);
    }
    let Actor::Key { role, .. } = &ctx.actor else { return Err(only_keys()) };
    let policy = &permission.applied.policy;
    // Only whoever could reveal them learns that a reason would do.
    rules::decide(policy, role, purpose, Wish::Reveal, fields).map_err(forbidden)?;
    let detail = "a share shows clear values and this grant masks them; give one of the policy's \
                  reasons as `reason`, as for a reveal";
    Err(Error::forbidden("reason_missing", detail))
}

/// An API key as the actor of work it asked for, as long as it counts: what was asked with a key ends
/// with the key.
pub fn actor_of_key(desk: &Desk, id: &Id<ApiKey>) -> Result<Actor, Error> {
    let authority = desk.rights.now()?;
    let row = authority.keys.get(id).filter(|row| row.refusal_at(desk.now()).is_none());
    let Some(row) = row else {
        let detail = "the key this was asked with was revoked or is past its end; ask again with \
                      another";
        return Err(Error::new(ErrorKind::Unauthenticated, "key_ended", detail));
    };
    Ok(row.actor())
}
