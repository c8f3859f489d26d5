//! The decision: pure, total, with its reason in the answer.

use std::collections::BTreeMap;

use crate::access::model::{Allowed, Refusal, Wish};
use crate::ctx::See;
use crate::policy::{Outlet, Policy, Right, See as PolicySee};

/// Whether a role may do something that is not about seeing or finding.
pub fn may(policy: &Policy, role: &str, right: Right) -> Result<(), Refusal> {
    let known = policy.roles().get(role).ok_or_else(|| unknown_role(role))?;
    if known.may.contains(&right) {
        return Ok(());
    }
    let why =
        format!("role `{role}` may not `{}`; the policy's `may` list grants it", right.as_str());
    Err(Refusal { code: "right_missing", why })
}

/// The outlet, where a role with these purposes may send through it.
pub(super) fn may_send<'p>(
    policy: &'p Policy,
    role: &str,
    purposes: &[String],
    outlet: &str,
) -> Result<&'p Outlet, Refusal> {
    may(policy, role, Right::Send)?;
    let Some(known) = policy.outlets().get(outlet) else {
        let names: Vec<&str> = policy.outlets().keys().map(|name| name.as_str()).collect();
        let why = format!("there is no such outlet; the policy has `{}`", names.join("`, `"));
        return Err(Refusal { code: "outlet_unknown", why });
    };
    if purposes.iter().any(|purpose| purpose == known.purpose.as_str()) {
        return Ok(known);
    }
    let why = format!(
        "this outlet is for purpose `{}`, which this key may not act for; make a key that may",
        known.purpose
    );
    Err(Refusal { code: "purpose_missing", why })
}

/// Whether a role may find, see or reveal these fields for a purpose. All or nothing: a field that
/// no grant names refuses the whole, so nobody learns from what is left out.
pub fn decide(
    policy: &Policy,
    role: &str,
    purpose: &str,
    wish: Wish,
    fields: &[String],
) -> Result<Allowed, Refusal> {
    if !policy.roles().contains_key(role) {
        return Err(unknown_role(role));
    }
    if !policy.purposes().contains_key(purpose) {
        let known: Vec<&str> = policy.purposes().keys().map(|name| name.as_str()).collect();
        let why = format!("there is no such purpose; the policy has `{}`", known.join("`, `"));
        return Err(Refusal { code: "purpose_unknown", why });
    }
    let mut allowed = BTreeMap::new();
    let mut budgets = Vec::new();
    for field in fields {
        let grant = policy.grants().iter().find(|grant| {
            grant.role.as_str() == role
                && grant.purpose.as_str() == purpose
                && match wish {
                    Wish::Find => grant.find.contains(field.as_str()),
                    Wish::Read => {
                        grant.fields.contains(field.as_str()) && grant.see != PolicySee::None
                    }
                    Wish::Reveal => grant.fields.contains(field.as_str()) && grant.reveal.is_some(),
                }
        });
        let Some(grant) = grant else { return Err(missing(policy, role, purpose, wish, field)) };
        let see = match (wish, grant.see) {
            (Wish::Reveal, _) | (Wish::Read, PolicySee::Clear) => See::Clear,
            _ => See::Masked,
        };
        allowed.insert(field.clone(), see);
        let per_day = match (wish, &grant.reveal) {
            (Wish::Reveal, Some(reveal)) => reveal.per_day,
            _ => grant.budget.map_or(0, |budget| budget.per_day),
        };
        let key = grant.key();
        if !budgets.iter().any(|(known, _)| *known == key) {
            budgets.push((key, per_day));
        }
    }
    Ok(Allowed { fields: allowed, budgets })
}

/// The reasons that may be given for revealing these fields: those that every grant involved lists.
pub fn reasons(policy: &Policy, role: &str, purpose: &str, fields: &[String]) -> Vec<String> {
    let mut lists = policy
        .grants()
        .iter()
        .filter(|grant| grant.role.as_str() == role && grant.purpose.as_str() == purpose)
        .filter(|grant| fields.iter().any(|field| grant.fields.contains(field.as_str())))
        .filter_map(|grant| grant.reveal.as_ref())
        .map(|reveal| reveal.reasons.clone());
    let first = lists.next().unwrap_or_default();
    lists.fold(first, |left, right| left.into_iter().filter(|it| right.contains(it)).collect())
}

/// One line of who may see a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seer {
    /// The role.
    pub role: String,
    /// For what.
    pub purpose: String,
    /// `masked`, `clear`, `none`.
    pub see: &'static str,
    /// Whether the field may be looked up.
    pub finds: bool,
    /// Whether it may be revealed for a reason.
    pub reveals: bool,
}

/// Everyone the policy lets see, find or reveal a field.
pub fn who(policy: &Policy, field: &str) -> Vec<Seer> {
    let grants = policy.grants().iter();
    let touching =
        grants.filter(|grant| grant.fields.contains(field) || grant.find.contains(field));
    let seers = touching.map(|grant| Seer {
        role: grant.role.as_str().to_owned(),
        purpose: grant.purpose.as_str().to_owned(),
        see: if grant.fields.contains(field) { grant.see.as_str() } else { "none" },
        finds: grant.find.contains(field),
        reveals: grant.fields.contains(field) && grant.reveal.is_some(),
    });
    seers.collect()
}

fn unknown_role(role: &str) -> Refusal {
    let why = format!("role `{role}` is not in the applied policy");
    Refusal { code: "role_unknown", why }
}

fn missing(policy: &Policy, role: &str, purpose: &str, wish: Wish, field: &str) -> Refusal {
    let verb = match wish {
        Wish::Find => "look customers up by",
        Wish::Read => "see",
        Wish::Reveal => "reveal",
    };
    if policy.field(field).is_none() {
        let known: Vec<String> = policy.all_fields().map(|(name, _)| name.to_string()).collect();
        let why =
            format!("a field asked for is not in the policy; it has `{}`", known.join("`, `"));
        return Refusal { code: "field_unknown", why };
    }
    let why = format!("no grant lets role `{role}` {verb} `{field}` for purpose `{purpose}`");
    Refusal { code: "grant_missing", why }
}
