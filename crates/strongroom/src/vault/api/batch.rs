//! Many writes in one call.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::access::{Caller, Desk, refuse};
use crate::ctx::{EntryKind, Receipt};
use crate::error::Error;
use crate::vault::api::customers::{CustomerInput, RelationText};
use crate::vault::{self, BatchItem, Reference, Upserted};
use crate::web::{Body, CHUNK_SIZE_BYTES_MAX, Problem, ProblemField, Receipted, status_of};

/// Many customers.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchInput {
    /// At most 1,000, and 4 MiB in all.
    items: Vec<ItemInput>,
}

/// One customer, by your own reference.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ItemInput {
    /// Your own opaque reference, as `source/reference`: `shop/4711`.
    r#ref: String,
    /// Why they are known; may be left out for a customer who exists.
    #[serde(default)]
    relations: Vec<RelationText>,
    /// Declared fields; null removes one of a customer who exists.
    #[serde(default)]
    #[schema(value_type = Object)]
    fields: BTreeMap<String, Value>,
}

/// What each item came to, in the order they were sent.
#[derive(Serialize, ToSchema)]
pub(super) struct BatchView {
    items: Vec<ItemView>,
}

/// What one item came to.
#[derive(Serialize, ToSchema)]
pub(super) struct ItemView {
    /// As it would have been answered alone.
    status: u16,
    /// The customer, where it was made or changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Their version from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    /// Why it was not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<ItemProblem>,
}

/// Why an item was not done.
#[derive(Serialize, ToSchema)]
pub(super) struct ItemProblem {
    /// Stable.
    code: &'static str,
    /// One sentence, never a value that was sent.
    detail: String,
    /// What is wrong with which field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ProblemField>,
}

/// Makes or changes up to 1,000 customers, each by your own reference
///
/// Each item has its own status, and one that is refused stops no other. After a lost answer send the
/// same call again: the references find what was made.
#[utoipa::path(post, path = "/v1/customers:batch", tag = "customers", operation_id = "batch",
    request_body = BatchInput,
    responses((status = 200, body = BatchView), (status = "default", body = Problem)))]
pub(super) async fn batch(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Body(input): Body<BatchInput, CHUNK_SIZE_BYTES_MAX>,
) -> Result<Response, Error> {
    let items = input.items.into_iter().map(read).collect();
    match vault::batch(&desk, &ctx, items).await {
        Ok(outcome) => {
            let newest = outcome.iter().flatten().map(receipt).max_by_key(|it| it.index).cloned();
            let view = Json(BatchView { items: outcome.into_iter().map(view).collect() });
            Ok(match newest {
                Some(newest) => Receipted(newest, view).into_response(),
                None => view.into_response(),
            })
        }
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Write, "customer.batch", error).await),
    }
}

fn read(item: ItemInput) -> Result<BatchItem, Error> {
    let (source, key) = item.r#ref.split_once('/').unwrap_or((item.r#ref.as_str(), ""));
    let reference = Reference::parse(source, key)?;
    let input = CustomerInput { relations: item.relations, fields: item.fields };
    Ok(BatchItem { reference, customer: input.read()? })
}

fn receipt(done: &Upserted) -> &Receipt {
    match done {
        Upserted::Created(created) => &created.receipt,
        Upserted::Patched(patched) => &patched.receipt,
    }
}

fn view(done: Result<Upserted, Error>) -> ItemView {
    let made = |status, id: String, version| ItemView {
        status,
        id: Some(id),
        version: Some(version),
        problem: None,
    };
    match done {
        Ok(Upserted::Created(created)) => made(201, created.id.to_string(), created.version),
        Ok(Upserted::Patched(patched)) => made(200, patched.id.to_string(), patched.version),
        Err(error) => {
            let status = status_of(error.kind).as_u16();
            let errors = error.fields.into_iter().map(ProblemField::from).collect();
            let problem = Some(ItemProblem { code: error.code, detail: error.detail, errors });
            ItemView { status, id: None, version: None, problem }
        }
    }
}
