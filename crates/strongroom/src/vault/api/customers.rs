//! Making and changing customers.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::access::{Caller, Desk, refuse};
use crate::ctx::EntryKind;
use crate::error::{Error, ErrorKind};
use crate::vault::api::read_time;
use crate::vault::{
    self, NewCustomer, Patched, Reference, RelationChange, RelationInput, Upserted,
};
use crate::web::{Body, Problem, Receipted};

/// A customer to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CustomerInput {
    /// Why they are known: at least one, each once.
    #[serde(default)]
    pub(super) relations: Vec<RelationText>,
    /// Declared fields that one of the relations needs.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(super) fields: BTreeMap<String, Value>,
}

/// A relation, by name or with the time it last happened.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RelationText {
    /// A relation of the policy.
    name: String,
    /// When it last happened, RFC 3339; now if left out.
    #[serde(default)]
    last: Option<String>,
}

/// A customer who was made or changed.
#[derive(Serialize, ToSchema)]
pub(super) struct CustomerRef {
    /// The customer's id.
    id: String,
    /// Their version; also the `ETag`.
    version: u64,
}

/// Makes a customer
#[utoipa::path(post, path = "/v1/customers", tag = "customers", operation_id = "create_customer",
    request_body = CustomerInput,
    responses((status = 201, body = CustomerRef), (status = "default", body = Problem)))]
pub(super) async fn create(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Body(input): Body<CustomerInput>,
) -> Result<Response, Error> {
    let made = async { vault::create(&desk, &ctx, &input.read()?).await };
    match made.await {
        Ok(created) => {
            let id = created.id.to_string();
            let answer = answer(StatusCode::CREATED, id, created.version);
            Ok(Receipted(created.receipt, answer).into_response())
        }
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Write, "customer.create", error).await),
    }
}

/// Makes a customer under your own reference, or changes the one who has it
#[utoipa::path(put, path = "/v1/customers/ref/{source}/{reference}", tag = "customers",
    params(("source" = String, Path), ("reference" = String, Path)),
    request_body = CustomerInput,
    responses((status = 201, body = CustomerRef), (status = 200, body = CustomerRef),
        (status = "default", body = Problem)))]
pub(super) async fn upsert(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path((source, reference)): Path<(String, String)>,
    Body(input): Body<CustomerInput>,
) -> Result<Response, Error> {
    let done = async {
        let reference = Reference::parse(&source, &reference)?;
        vault::upsert(&desk, &ctx, &reference, &input.read()?).await
    };
    match done.await {
        Ok(Upserted::Created(created)) => {
            let id = created.id.to_string();
            let answer = answer(StatusCode::CREATED, id, created.version);
            Ok(Receipted(created.receipt, answer).into_response())
        }
        Ok(Upserted::Patched(patched)) => Ok(changed(patched)),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Write, "customer.upsert", error).await),
    }
}

/// Fields to set; null removes one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PatchInput {
    #[schema(value_type = Object)]
    fields: BTreeMap<String, Value>,
}

/// Sets or removes fields; needs `If-Match` with the version you read
#[utoipa::path(patch, path = "/v1/customers/{id}", tag = "customers",
    params(("id" = String, Path), ("If-Match" = String, Header)), request_body = PatchInput,
    responses((status = 200, body = CustomerRef), (status = "default", body = Problem)))]
pub(super) async fn patch(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(input): Body<PatchInput>,
) -> Result<Response, Error> {
    let done = async {
        let version = read_version(&headers)?;
        vault::patch(&desk, &ctx, id.parse()?, version, &input.fields).await
    };
    match done.await {
        Ok(patched) => Ok(changed(patched)),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Write, "customer.patch", error).await),
    }
}

/// A relation to touch or end.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RelateInput {
    /// A relation of the policy.
    name: String,
    /// `touch`: it happened; `end`: nothing is needed for it any more.
    act: RelateWord,
    /// When it happened, RFC 3339; now if left out.
    #[serde(default)]
    last: Option<String>,
}

/// What happens to a relation.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum RelateWord {
    End,
    Touch,
}

/// Touches or ends a relation
#[utoipa::path(post, path = "/v1/customers/{id}/relations", tag = "customers",
    params(("id" = String, Path)), request_body = RelateInput,
    responses((status = 200, body = CustomerRef), (status = "default", body = Problem)))]
pub(super) async fn relate(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
    Body(input): Body<RelateInput>,
) -> Result<Response, Error> {
    let done = async {
        let last = input.last.as_deref().map(|text| read_time(text, "last")).transpose()?;
        let change = match input.act {
            RelateWord::End => RelationChange::End { name: input.name },
            RelateWord::Touch => RelationChange::Touch(RelationInput { name: input.name, last }),
        };
        vault::relate(&desk, &ctx, id.parse()?, &change).await
    };
    match done.await {
        Ok(patched) => Ok(changed(patched)),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Write, "customer.relate", error).await),
    }
}

impl CustomerInput {
    pub(super) fn read(self) -> Result<NewCustomer, Error> {
        let relations = self.relations.into_iter().map(|relation| {
            let last = relation.last.as_deref().map(|text| read_time(text, "last")).transpose()?;
            Ok(RelationInput { name: relation.name, last })
        });
        Ok(NewCustomer { relations: relations.collect::<Result<_, Error>>()?, fields: self.fields })
    }
}

pub(super) fn changed(patched: Patched) -> Response {
    let answer = answer(StatusCode::OK, patched.id.to_string(), patched.version);
    Receipted(patched.receipt, answer).into_response()
}

pub(super) fn answer(status: StatusCode, id: String, version: u64) -> impl IntoResponse {
    let place = [
        (header::LOCATION, format!("/v1/customers/{id}")),
        (header::ETAG, format!("\"{version}\"")),
    ];
    (status, place, Json(CustomerRef { id, version }))
}

/// The version in `If-Match`: without it two programs would undo each other's changes unseen.
pub(super) fn read_version(headers: &HeaderMap) -> Result<u64, Error> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        let detail = "send the version you read in the header `If-Match`, as in `If-Match: \"3\"`";
        return Err(Error::new(ErrorKind::PreconditionFailed, "if_match_missing", detail));
    };
    let number = value.to_str().ok().and_then(|text| text.trim().trim_matches('"').parse().ok());
    number.ok_or_else(|| {
        let detail = "`If-Match` is one version as it was in `ETag`, like \"3\"";
        Error::bad_request("bad_if_match", detail)
    })
}
