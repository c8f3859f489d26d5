//! The policy: shown, checked, applied; and who may what under it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::access::api::Caller;
use crate::access::{self, Desk, Wish, commit, permit, refuse};
use crate::ctx::{Ctx, Entry, EntryKind, Receipt};
use crate::error::Error;
use crate::policy::{self, Applying, DifferenceLine, Right, describe, difference};
use crate::web::{Body, Problem, Receipted};

/// A policy as text.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyText {
    /// The whole file, TOML.
    policy: String,
}

/// The policy in force.
#[derive(Serialize, ToSchema)]
pub(super) struct PolicyView {
    /// Counted from 1.
    version: u32,
    /// Since when.
    since: String,
    /// From when on a waiting policy is applied, if one waits.
    pending_until: Option<String>,
    /// Business, relations, fields, purposes, roles and grants.
    policy: Value,
    /// The file as it was applied, comments and all; only for whoever may apply one.
    text: Option<String>,
}

/// What a policy would change or has changed.
#[derive(Serialize, ToSchema)]
pub(super) struct PolicyDifference {
    /// In words, one line a change.
    pub(super) lines: Vec<DifferenceView>,
    /// The version it became; absent where it waits or was only checked.
    pub(super) version: Option<u32>,
    /// From when on it will be applied; present where it widens who sees, shortens a life or drops a
    /// field.
    pub(super) due: Option<String>,
}

/// One change.
#[derive(Serialize, ToSchema)]
pub(super) struct DifferenceView {
    text: String,
    /// Whether it needs a second person, for whom a day stands in.
    needs_second_person: bool,
}

/// The policy in force
#[utoipa::path(get, path = "/v1/policy", tag = "policy",
    responses((status = 200, body = PolicyView), (status = "default", body = Problem)))]
pub(super) async fn show(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
) -> Result<Json<PolicyView>, Error> {
    let authority = desk.rights.now()?;
    let applied = authority.applied()?;
    Ok(Json(PolicyView {
        version: applied.version,
        since: applied.since.to_rfc3339(),
        pending_until: authority.pending.as_ref().map(|pending| pending.due.to_rfc3339()),
        policy: describe(&applied.policy),
        text: permit(&desk, &ctx, Right::Policy).ok().map(|_| applied.text.clone()),
    }))
}

/// Says what a policy would change, and changes nothing
#[utoipa::path(post, path = "/v1/policy/check", tag = "policy", request_body = PolicyText,
    responses((status = 200, body = PolicyDifference), (status = "default", body = Problem)))]
pub(super) async fn check(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Body(input): Body<PolicyText>,
) -> Result<Receipted<Json<PolicyDifference>>, Error> {
    let grant = match permit(&desk, &ctx, Right::Policy) {
        Ok(grant) => grant,
        Err(error) => {
            return Err(refuse(&desk, &ctx, EntryKind::Policy, "policy.check", error).await);
        }
    };
    let new = policy::read(&input.policy)?;
    let authority = desk.rights.now()?;
    let old = authority.applied.as_ref().map(|applied| &applied.policy);
    let lines = views(difference(old, &new));
    // Whoever tries what a wider policy would need is seen trying.
    let entry = Entry::new(&ctx, EntryKind::Policy, "policy.check");
    let receipt = commit(&desk, grant.change(entry)).await?;
    Ok(Receipted(receipt, Json(PolicyDifference { lines, version: None, due: None })))
}

/// Applies a policy: at once where it narrows, after a day where it widens
#[utoipa::path(post, path = "/v1/policy", tag = "policy", request_body = PolicyText,
    responses((status = 200, body = PolicyDifference), (status = "default", body = Problem)))]
pub(super) async fn apply(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Body(input): Body<PolicyText>,
) -> Result<Receipted<Json<PolicyDifference>>, Error> {
    match apply_text(&desk, &ctx, &input.policy).await {
        Ok((receipt, applied)) => Ok(Receipted(receipt, Json(applied))),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Policy, "policy.apply", error).await),
    }
}

async fn apply_text(
    desk: &Desk,
    ctx: &Ctx,
    text: &str,
) -> Result<(Receipt, PolicyDifference), Error> {
    let grant = permit(desk, ctx, Right::Policy)?;
    let authority = desk.rights.now()?;
    if authority.pending.is_some() {
        let detail = "a policy is waiting to be applied and would undo this one when its day is \
                      over; cancel it first with `strongroom policy cancel`";
        return Err(Error::conflict("policy_pending", detail));
    }
    let current = authority.applied.as_deref();
    match policy::apply(ctx, &desk.keyring, grant, current, text)? {
        Applying::Now { change, version, lines } => {
            let receipt = commit(desk, change).await?;
            let lines = views(lines);
            Ok((receipt, PolicyDifference { lines, version: Some(version), due: None }))
        }
        Applying::Waits { change, due, lines } => {
            let receipt = commit(desk, change).await?;
            let (lines, due) = (views(lines), Some(due.to_rfc3339()));
            Ok((receipt, PolicyDifference { lines, version: None, due }))
        }
    }
}

/// Cancels a waiting policy
#[utoipa::path(delete, path = "/v1/policy/pending", tag = "policy",
    operation_id = "cancel_policy",
    responses((status = 204), (status = "default", body = Problem)))]
pub(super) async fn cancel(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
) -> Result<Receipted<axum::http::StatusCode>, Error> {
    let cancelled = async {
        let grant = permit(&desk, &ctx, Right::Policy)?;
        let authority = desk.rights.now()?;
        commit(&desk, policy::cancel(&ctx, grant, authority.pending.as_ref())?).await
    };
    match cancelled.await {
        Ok(receipt) => Ok(Receipted(receipt, axum::http::StatusCode::NO_CONTENT)),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Policy, "policy.cancel", error).await),
    }
}

/// Which field.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct WhoQuery {
    /// A field of the policy.
    field: String,
}

/// Everyone who may see or find a field.
#[derive(Serialize, ToSchema)]
pub(super) struct WhoAnswer {
    who: Vec<SeerView>,
}

/// A role and what it may do with the field.
#[derive(Serialize, ToSchema)]
pub(super) struct SeerView {
    role: String,
    purpose: String,
    /// `none`, `masked` or `clear`.
    sees: &'static str,
    finds_by_it: bool,
    reveals_it: bool,
    /// API keys with that role and purpose that count now.
    keys: Vec<String>,
}

/// Lists everyone who may see a field
#[utoipa::path(get, path = "/v1/access/who", tag = "policy", params(WhoQuery),
    responses((status = 200, body = WhoAnswer), (status = "default", body = Problem)))]
pub(super) async fn who(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Query(query): Query<WhoQuery>,
) -> Result<Json<WhoAnswer>, Error> {
    if let Err(error) = permit(&desk, &ctx, Right::Policy) {
        return Err(refuse(&desk, &ctx, EntryKind::Policy, "access.who", error).await);
    }
    let authority = desk.rights.now()?;
    let applied = authority.applied()?;
    if applied.policy.field(&query.field).is_none() {
        return Err(Error::not_found());
    }
    let seers = access::who(&applied.policy, &query.field).into_iter().map(|seer| {
        let holds = |row: &&crate::staff::KeyRow| {
            row.role == seer.role
                && row.purposes.contains(&seer.purpose)
                && row.refusal_at(ctx.now).is_none()
        };
        let mut keys: Vec<String> =
            authority.keys.values().filter(holds).map(|row| row.id.to_string()).collect();
        keys.sort();
        SeerView {
            sees: seer.see,
            finds_by_it: seer.finds,
            reveals_it: seer.reveals,
            role: seer.role,
            purpose: seer.purpose,
            keys,
        }
    });
    Ok(Json(WhoAnswer { who: seers.collect() }))
}

/// A decision to explain.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WhyInput {
    /// A role.
    role: String,
    /// A purpose.
    purpose: String,
    /// A field.
    field: String,
    /// `find`, `read` or `reveal`.
    wish: WishWord,
}

/// What is wished.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum WishWord {
    Find,
    Read,
    Reveal,
}

/// The decision and its reason.
#[derive(Serialize, ToSchema)]
pub(super) struct WhyAnswer {
    allowed: bool,
    /// In words: the grant it rests on, or which one is missing.
    why: String,
}

/// Explains a decision
#[utoipa::path(post, path = "/v1/access/why", tag = "policy", request_body = WhyInput,
    responses((status = 200, body = WhyAnswer), (status = "default", body = Problem)))]
pub(super) async fn why(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Body(input): Body<WhyInput>,
) -> Result<Json<WhyAnswer>, Error> {
    if let Err(error) = permit(&desk, &ctx, Right::Policy) {
        return Err(refuse(&desk, &ctx, EntryKind::Policy, "access.why", error).await);
    }
    let authority = desk.rights.now()?;
    let applied = authority.applied()?;
    let wish = match input.wish {
        WishWord::Find => Wish::Find,
        WishWord::Read => Wish::Read,
        WishWord::Reveal => Wish::Reveal,
    };
    let WhyInput { role, purpose, field, .. } = input;
    let decision = access::decide(&applied.policy, &role, &purpose, wish, &[field]);
    Ok(Json(match decision {
        Ok(allowed) => {
            let rests: Vec<String> = allowed
                .budgets
                .iter()
                .map(|(grant, per_day)| format!("grant `{grant}`, {per_day} a day"))
                .collect();
            let how = allowed.fields.values().next();
            let how = if how == Some(&crate::ctx::See::Clear) { "in clear" } else { "masked" };
            let declared = applied.policy.purposes().get(purpose.as_str());
            let consent = declared.is_some_and(|purpose| purpose.needs_consent);
            let consent = if consent { "; only of customers who have consented to it" } else { "" };
            let why = format!("{how} by {}{consent}", rests.join(" and "));
            WhyAnswer { allowed: true, why }
        }
        Err(refusal) => WhyAnswer { allowed: false, why: refusal.why },
    }))
}

fn views(lines: Vec<DifferenceLine>) -> Vec<DifferenceView> {
    let view = |line: DifferenceLine| DifferenceView {
        needs_second_person: line.effect.needs_second_person(),
        text: line.text,
    };
    lines.into_iter().map(view).collect()
}
