//! API keys: made, listed, revoked.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::api::Caller;
use crate::access::{Desk, commit, permit, permit_own_end, refuse};
use crate::ctx::{Actor, Change, Ctx, EntryKind, Grant, Receipt};
use crate::error::{Error, FieldProblem};
use crate::id::{ApiKey, Id};
use crate::keys::Keyring;
use crate::policy::Right;
use crate::staff::{self, KeyRow, NewKeyInput};
use crate::web::{Body, Problem, Receipted};

/// What a new key may do.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKey {
    /// The system that uses it: 1 to 60 letters, digits, spaces, `-`, `_`, `.`.
    name: String,
    /// A role of the applied policy.
    role: String,
    /// Purposes of the applied policy it may act for.
    #[serde(default)]
    purposes: Vec<String>,
    /// Whether people sit at the program: each call must then say who asks, in the header
    /// `Strongroom-On-Behalf-Of`.
    #[serde(default)]
    people: bool,
    /// Days it lives, 1 to 365.
    #[serde(default = "days_default")]
    days: u32,
}

/// A new key; its secret is shown this once.
#[derive(Serialize, ToSchema)]
pub(super) struct MadeKey {
    /// Names it.
    id: String,
    /// The key itself. Keep it where only the system that uses it can read it.
    secret: String,
    /// From when on it no longer counts.
    expires: String,
}

/// A key without its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyView {
    id: String,
    name: String,
    role: String,
    purposes: Vec<String>,
    /// Whether each call must say who asks.
    people: bool,
    created: String,
    expires: String,
    revoked: Option<String>,
    /// Since when it is switched off; `key enable` switches it on.
    off: Option<String>,
}

/// All keys.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyList {
    keys: Vec<KeyView>,
}

/// Makes an API key
#[utoipa::path(post, path = "/v1/keys", tag = "keys", operation_id = "create_key",
    request_body = NewKey,
    responses((status = 201, body = MadeKey), (status = "default", body = Problem)))]
pub(super) async fn create(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Body(input): Body<NewKey>,
) -> Result<Receipted<(StatusCode, Json<MadeKey>)>, Error> {
    let made = make(&desk, &ctx, input).await;
    match made {
        Ok((receipt, made)) => Ok(Receipted(receipt, (StatusCode::CREATED, Json(made)))),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Key, "key.create", error).await),
    }
}

async fn make(desk: &Desk, ctx: &Ctx, input: NewKey) -> Result<(Receipt, MadeKey), Error> {
    let grant = permit(desk, ctx, Right::Keys)?;
    staff::refuse_one_too_many(desk.rights.now()?.keys.len())?;
    refuse_unknown(desk, &input)?;
    let NewKey { name, role, purposes, people, days } = input;
    let input = NewKeyInput { name, role, purposes, people, days };
    let issued = staff::issue_key(ctx, &desk.keyring, grant, input)?;
    let receipt = commit(desk, issued.change).await?;
    let made = MadeKey {
        id: issued.row.id.to_string(),
        secret: issued.secret.expose_text()?.to_owned(),
        expires: issued.row.expires.to_rfc3339(),
    };
    Ok((receipt, made))
}

/// Lists API keys, without secrets
#[utoipa::path(get, path = "/v1/keys", tag = "keys",
    responses((status = 200, body = KeyList), (status = "default", body = Problem)))]
pub(super) async fn list(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
) -> Result<Json<KeyList>, Error> {
    if let Err(error) = permit(&desk, &ctx, Right::Keys) {
        return Err(refuse(&desk, &ctx, EntryKind::Key, "key.list", error).await);
    }
    let authority = desk.rights.now()?;
    let mut keys: Vec<KeyView> = authority.keys.values().map(view).collect();
    keys.sort_by(|left, right| left.id.cmp(&right.id));
    Ok(Json(KeyList { keys }))
}

/// Revokes an API key, for good
#[utoipa::path(delete, path = "/v1/keys/{id}", tag = "keys", params(("id" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
pub(super) async fn revoke(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Receipted<StatusCode>, Error> {
    let revoked = async {
        let grant = permit(&desk, &ctx, Right::Keys)?;
        let id: Id<ApiKey> = id.parse()?;
        let authority = desk.rights.now()?;
        let row = authority.keys.get(&id).ok_or_else(Error::not_found)?;
        commit(&desk, staff::revoke_key(&ctx, &desk.keyring, grant, row)?).await
    };
    match revoked.await {
        Ok(receipt) => Ok(Receipted(receipt, StatusCode::NO_CONTENT)),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Key, "key.revoke", error).await),
    }
}

/// Switches an API key off until it is switched on again
#[utoipa::path(post, path = "/v1/keys/{id}/disable", tag = "keys", operation_id = "disable_key",
    params(("id" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
pub(super) async fn disable(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Receipted<StatusCode>, Error> {
    match switch(&desk, &ctx, &id, staff::disable_key).await {
        Ok(receipt) => Ok(Receipted(receipt, StatusCode::NO_CONTENT)),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Key, "key.disable", error).await),
    }
}

/// Switches an API key on that was switched off, as all are after a restore
#[utoipa::path(post, path = "/v1/keys/{id}/enable", tag = "keys", operation_id = "enable_key",
    params(("id" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
pub(super) async fn enable(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Receipted<StatusCode>, Error> {
    match switch(&desk, &ctx, &id, staff::enable_key).await {
        Ok(receipt) => Ok(Receipted(receipt, StatusCode::NO_CONTENT)),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Key, "key.enable", error).await),
    }
}

async fn switch(
    desk: &Desk,
    ctx: &Ctx,
    id: &str,
    prepare: fn(&Ctx, &Keyring, Grant, &KeyRow) -> Result<Change, Error>,
) -> Result<Receipt, Error> {
    let grant = permit(desk, ctx, Right::Keys)?;
    let id: Id<ApiKey> = id.parse()?;
    let authority = desk.rights.now()?;
    let row = authority.keys.get(&id).ok_or_else(Error::not_found)?;
    commit(desk, prepare(ctx, &desk.keyring, grant, row)?).await
}

/// Revokes the key this call is made with: whoever holds a leaked key can end it
#[utoipa::path(delete, path = "/v1/keys/own", tag = "keys",
    responses((status = 204), (status = "default", body = Problem)))]
pub(super) async fn revoke_own(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
) -> Result<Receipted<StatusCode>, Error> {
    let authority = desk.rights.now()?;
    let Actor::Key { id, .. } = &ctx.actor else { return Err(Error::not_found()) };
    let row = authority.keys.get(id).ok_or_else(Error::not_found)?;
    let grant = permit_own_end(&desk, &ctx)?;
    let change = staff::revoke_key(&ctx, &desk.keyring, grant, row)?;
    Ok(Receipted(commit(&desk, change).await?, StatusCode::NO_CONTENT))
}

/// Role and purposes must be of the applied policy, or the key could never do anything.
fn refuse_unknown(desk: &Desk, input: &NewKey) -> Result<(), Error> {
    let authority = desk.rights.now()?;
    let policy = &authority.applied()?.policy;
    let mut problems = Vec::new();
    if !policy.roles().contains_key(input.role.as_str()) {
        let known: Vec<&str> = policy.roles().keys().map(|name| name.as_str()).collect();
        problems.push(unknown("role", &known));
    }
    if input.purposes.iter().any(|it| !policy.purposes().contains_key(it.as_str())) {
        let known: Vec<&str> = policy.purposes().keys().map(|name| name.as_str()).collect();
        problems.push(unknown("purposes", &known));
    }
    if problems.is_empty() {
        return Ok(());
    }
    let detail = "the applied policy does not know this role or purpose";
    Err(Error::unprocessable("unknown_name", detail).with_fields(problems))
}

fn unknown(field: &str, known: &[&str]) -> FieldProblem {
    let detail = format!("the policy has `{}`", known.join("`, `"));
    FieldProblem { field: field.to_owned(), code: "unknown_name", detail }
}

fn view(row: &KeyRow) -> KeyView {
    KeyView {
        id: row.id.to_string(),
        name: row.name.clone(),
        role: row.role.clone(),
        purposes: row.purposes.clone(),
        people: row.people,
        created: row.created.to_rfc3339(),
        expires: row.expires.to_rfc3339(),
        revoked: row.revoked.map(|time| time.to_rfc3339()),
        off: row.disabled.map(|time| time.to_rfc3339()),
    }
}

/// A quarter: long enough not to be forgotten in between, short enough that rotation is practised.
fn days_default() -> u32 {
    90
}
