//! Decisions turned into grants.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::access::model::{Allowed, Authority, Desk, Refusal, Wish};
use crate::access::{rules, store};
use crate::ctx::{
    Actor, BudgetClaim, BudgetKind, Ctx, Entry, EntryKind, Grant, Guard, See, SystemGrant,
};
use crate::error::{Error, ErrorKind, FieldProblem};
use crate::id::{Customer, Id};
use crate::policy::{Applied, Right};

/// A decision to show something: the grant, and how each field shows.
#[derive(Debug)]
pub struct Permission {
    /// Carries the guards.
    pub grant: Grant,
    /// Numeric id of each field to how it shows.
    pub fields: BTreeMap<u8, See>,
    /// The policy that decided.
    pub applied: Arc<Applied>,
}

/// A grant for an act that shows nothing.
pub fn permit(desk: &Desk, ctx: &Ctx, right: Right) -> Result<Grant, Error> {
    if WRITES.contains(&right) {
        desk.missing_keys.refuse_writes()?;
    }
    let authority = desk.rights.now()?;
    let version = match &ctx.actor {
        Actor::Key { role, .. } => {
            let applied = authority.applied()?;
            rules::may(&applied.policy, role, right).map_err(forbidden)?;
            applied.version
        }
        Actor::Operator if OPERATOR_RIGHTS.contains(&right) => {
            authority.applied.as_ref().map_or(0, |applied| applied.version)
        }
        Actor::Operator | Actor::System { .. } => {
            let detail = "this needs an API key whose role may do it; the operator of the machine \
                          has no right to customers' data";
            return Err(Error::forbidden("right_missing", detail));
        }
    };
    let guards = actor_guards(ctx, &authority)?;
    Ok(Grant::issue(ctx.actor.clone(), String::new(), BTreeMap::new(), version, guards))
}

/// A grant for an act that any one of several rights allows; refused for want of the first.
pub fn permit_any(desk: &Desk, ctx: &Ctx, rights: &[Right]) -> Result<Grant, Error> {
    let mut refused = None;
    for right in rights {
        match permit(desk, ctx, *right) {
            Ok(grant) => return Ok(grant),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.unwrap_or_else(|| Error::internal("no right was named")))
}

/// A grant to see what a customer consented to, and for which purposes it shows that; `None` is all.
/// All is for whoever takes consents in or out; a grant of a purpose shows what was said to that one.
pub fn may_see_consents(
    desk: &Desk,
    ctx: &Ctx,
) -> Result<(Grant, Option<BTreeSet<String>>), Error> {
    let authority = desk.rights.now()?;
    let applied = authority.applied()?;
    let Actor::Key { role, purposes, .. } = &ctx.actor else { return Err(only_keys()) };
    let policy = &applied.policy;
    let shown = match rules::may(policy, role, Right::Relate) {
        Ok(()) => None,
        Err(_) if rules::may(policy, role, Right::Erase).is_ok() => None,
        Err(refusal) => {
            let granted = |purpose: &&String| policy.grants_of(role, purpose).next().is_some();
            let granted: BTreeSet<String> = purposes.iter().filter(granted).cloned().collect();
            if granted.is_empty() {
                return Err(forbidden(refusal));
            }
            Some(granted)
        }
    };
    let guards = actor_guards(ctx, &authority)?;
    let (actor, version) = (ctx.actor.clone(), applied.version);
    Ok((Grant::issue(actor, String::new(), BTreeMap::new(), version, guards), shown))
}

/// A key may always end itself.
pub fn permit_own_end(desk: &Desk, ctx: &Ctx) -> Result<Grant, Error> {
    let authority = desk.rights.now()?;
    let version = authority.applied.as_ref().map_or(0, |applied| applied.version);
    let guards = actor_guards(ctx, &authority)?;
    Ok(Grant::issue(ctx.actor.clone(), String::new(), BTreeMap::new(), version, guards))
}

/// A grant to be told again what became of a call that was done: it shows and changes nothing else.
pub(super) fn permit_repetition(desk: &Desk, ctx: &Ctx) -> Result<Grant, Error> {
    permit_own_end(desk, ctx)
}

/// A grant to look customers up by these fields. Hits and misses are charged alike.
pub fn may_look_up(
    desk: &Desk,
    ctx: &Ctx,
    purpose: &str,
    fields: &[String],
) -> Result<Permission, Error> {
    let asked = Asked { purpose, wish: Wish::Find, fields };
    allow(desk, ctx, &asked, |holder, day, max, retry_after_s| {
        let (kind, seen) = (BudgetKind::Find, Vec::new());
        Ok(BudgetClaim { kind, holder, day, max, seen, amount: 1, retry_after_s })
    })
}

/// A grant to see fields of these customers as the policy shows them. First looks of a day count.
pub fn may_read(
    desk: &Desk,
    ctx: &Ctx,
    purpose: &str,
    fields: &[String],
    customers: &[Id<Customer>],
) -> Result<Permission, Error> {
    let asked = Asked { purpose, wish: Wish::Read, fields };
    allow(desk, ctx, &asked, |holder, day, max, retry_after_s| {
        let seen = customers
            .iter()
            .map(|id| store::seen_hash(&desk.keyring, &holder, &day, id.as_bytes()))
            .collect::<Result<_, _>>()?;
        let kind = BudgetKind::Read;
        Ok(BudgetClaim { kind, holder, day, max, seen, amount: 0, retry_after_s })
    })
}

/// A grant to take fields of these customers out: the right to export, and grants that show every
/// one of the fields in clear. It draws on the same budgets as reading.
pub fn may_export(
    desk: &Desk,
    ctx: &Ctx,
    purpose: &str,
    fields: &[String],
    customers: &[Id<Customer>],
) -> Result<Permission, Error> {
    permit(desk, ctx, Right::Export)?;
    let permission = may_read(desk, ctx, purpose, fields, customers)?;
    let masked = permission.fields.iter().find(|(_, see)| **see != See::Clear);
    let Some((field, _)) = masked else { return Ok(permission) };
    let name = permission.applied.registry.name_of(*field).unwrap_or("a field");
    let detail = format!(
        "an export holds clear values, and no grant shows `{name}` in clear for this purpose; leave it \
         out, or grant it with `see = \"clear\"`"
    );
    Err(Error::forbidden("grant_missing", detail))
}

/// A grant to see fields of one customer in clear, for one of the policy's reasons. Every one counts.
pub fn may_reveal(
    desk: &Desk,
    ctx: &Ctx,
    purpose: &str,
    fields: &[String],
    reason: &str,
) -> Result<Permission, Error> {
    let asked = Asked { purpose, wish: Wish::Reveal, fields };
    let permission = allow(desk, ctx, &asked, |holder, day, max, retry_after_s| {
        let (kind, seen) = (BudgetKind::Reveal, Vec::new());
        Ok(BudgetClaim { kind, holder, day, max, seen, amount: 1, retry_after_s })
    })?;
    let Actor::Key { role, .. } = &ctx.actor else { return Err(only_keys()) };
    let reasons = rules::reasons(&permission.applied.policy, role, purpose, fields);
    if reasons.iter().any(|known| known == reason) {
        return Ok(permission);
    }
    let detail = format!("give one of the policy's reasons: `{}`", reasons.join("`, `"));
    let problem =
        FieldProblem { field: "reason".to_owned(), code: "reason_unknown", detail: detail.clone() };
    Err(Error::unprocessable("reason_unknown", detail).with_fields(vec![problem]))
}

/// What asking for an erasure draws on: 10 customers a day and caller, and as many for whoever the
/// caller says is asking.
pub fn erase_claims(desk: &Desk, ctx: &Ctx) -> Result<Vec<Guard>, Error> {
    let authority = desk.rights.now()?;
    let zone = &authority.applied()?.policy.business().timezone;
    let claim = |holder: String| {
        Guard::Budget(BudgetClaim {
            kind: BudgetKind::Erase,
            holder,
            day: ctx.now.day_in(zone),
            max: ERASURES_A_DAY_MAX,
            seen: Vec::new(),
            amount: 1,
            retry_after_s: ctx.now.seconds_left_of_day(zone),
        })
    };
    Ok(holders(&ctx.actor).into_iter().map(claim).collect())
}

/// Whose budgets an act draws on: the key's, and that of whoever it says is asking, which is one
/// through all keys. All must cover it: a claim is never proved, so it can only narrow.
fn holders(actor: &Actor) -> Vec<String> {
    let claimed = actor.behalf().map(|claim| format!("for:{}", claim.as_str()));
    std::iter::once(actor.reference()).chain(claimed).collect()
}

/// The grant of a named job of the system; an error for anyone else.
pub fn system_grant(ctx: &Ctx, fields: Vec<u8>) -> Result<SystemGrant, Error> {
    SystemGrant::issue(ctx, fields).ok_or_else(|| Error::internal("only jobs of the system may"))
}

/// Removes budgets of days that are over; two days are kept, for zones and clocks.
pub async fn forget_past_days(desk: &Desk, ctx: &Ctx) -> Result<(), Error> {
    let day = ctx.now.plus_days(-2).day_in(&jiff::tz::TimeZone::UTC);
    if !store::any_day_before(desk, &day).await? {
        return Ok(());
    }
    let entry = Entry::new(ctx, EntryKind::System, "budget.forget");
    let change = system_grant(ctx, Vec::new())?.change(entry);
    super::commit(desk, change.write_all(store::forget_days_before(&day))).await.map(drop)
}

struct Asked<'a> {
    purpose: &'a str,
    wish: Wish,
    fields: &'a [String],
}

fn allow(
    desk: &Desk,
    ctx: &Ctx,
    asked: &Asked<'_>,
    claim: impl Fn(String, String, u64, u64) -> Result<BudgetClaim, Error>,
) -> Result<Permission, Error> {
    let authority = desk.rights.now()?;
    let applied = authority.applied()?;
    let Actor::Key { role, purposes, .. } = &ctx.actor else { return Err(only_keys()) };
    if !purposes.iter().any(|known| known == asked.purpose) {
        let detail = format!(
            "this key may act for `{}`; name one of them in the header `Strongroom-Purpose`",
            purposes.join("`, `")
        );
        return Err(Error::forbidden("purpose_missing", detail));
    }
    let Allowed { fields, budgets } =
        rules::decide(&applied.policy, role, asked.purpose, asked.wish, asked.fields)
            .map_err(forbidden)?;
    let mut numbered = BTreeMap::new();
    for (name, see) in fields {
        let id = applied.registry.id_of(&name);
        numbered.insert(id.ok_or_else(|| Error::internal("a field without a number"))?, see);
    }
    let mut guards = actor_guards(ctx, &authority)?;
    let zone = &applied.policy.business().timezone;
    for (grant, per_day) in budgets {
        for holder in holders(&ctx.actor) {
            let holder = format!("{holder}/{grant}");
            let (day, left) = (ctx.now.day_in(zone), ctx.now.seconds_left_of_day(zone));
            guards.push(Guard::Budget(claim(holder, day, u64::from(per_day), left)?));
        }
    }
    let purpose = asked.purpose.to_owned();
    let version = applied.version;
    let grant = Grant::issue(ctx.actor.clone(), purpose, numbered.clone(), version, guards);
    Ok(Permission { grant, fields: numbered, applied: Arc::clone(applied) })
}

/// What every act checks at its position: the authority it was decided on, and the credential's end.
///
/// The key is looked up again: an act that is decided once more, because the authority changed, may
/// find that what changed is the end of the key itself.
pub(super) fn actor_guards(ctx: &Ctx, authority: &Authority) -> Result<Vec<Guard>, Error> {
    let mut guards = vec![Guard::Epoch(authority.epoch)];
    if let Actor::Key { id, expires, .. } = &ctx.actor {
        let ended = authority.keys.get(id).map_or(Some(KEY_UNKNOWN), |row| row.refusal_at(ctx.now));
        if let Some(why) = ended {
            return Err(Error::new(ErrorKind::Unauthenticated, "key_ended", why));
        }
        guards.push(Guard::NotAfter(*expires));
    }
    guards.extend(ctx.claim.clone().map(Guard::Once));
    Ok(guards)
}

pub(super) fn forbidden(refusal: Refusal) -> Error {
    Error::forbidden(refusal.code, refusal.why)
}

pub(super) fn only_keys() -> Error {
    let detail =
        "values are shown to API keys only, by grant; the operator of the machine has none";
    Error::forbidden("grant_missing", detail)
}

const KEY_UNKNOWN: &str = "this key is not known any more; make a new one";

/// What whoever can unseal may do without a key (`specs/access.md`).
const OPERATOR_RIGHTS: [Right; 3] = [Right::Keys, Right::Ledger, Right::Policy];

/// Rights that write customers' data.
const WRITES: [Right; 6] =
    [Right::Create, Right::Erase, Right::Import, Right::Merge, Right::Relate, Right::Update];

/// Beyond this a second person is needed (`specs/crypto.md`).
const ERASURES_A_DAY_MAX: u64 = 10;
