//! Looking up, reading, revealing.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::access::{Caller, Desk, Purpose, refuse};
use crate::ctx::EntryKind;
use crate::error::Error;
use crate::id::{Customer, Id};
use crate::vault::{self, Reference, RevealReason, Shown, ShownOne};
use crate::web::{Body, Problem, Receipted};

/// Values as they may be shown.
#[derive(Serialize, ToSchema)]
pub(super) struct ShownView {
    /// The customer.
    id: String,
    /// Their version; also the `ETag`.
    version: u64,
    /// Field name to value, or to a mask of fixed length.
    #[schema(value_type = Object)]
    fields: serde_json::Map<String, Value>,
    /// The names of the fields that are masks.
    masked: Vec<String>,
}

/// Customers that were found.
#[derive(Serialize, ToSchema)]
pub(super) struct FoundView {
    /// Their ids, at most 20; empty for none.
    customers: Vec<String>,
    /// There only where it is true: there may be more than these, so ask for more of the value.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    more: bool,
}

/// Finds customers by one indexed field
///
/// The body names the field and its value, as in `{"email": "…"}`. A field with `find = "words"` takes the
/// beginnings of words instead, in any order: 3 letters or more. Hits and misses are charged and written
/// down alike; what was asked for is never kept. While the index of words is being filled, as after a start,
/// the answer is 503 `index_filling`.
#[utoipa::path(post, path = "/v1/customers/lookup", tag = "customers",
    params(("Strongroom-Purpose" = String, Header)),
    request_body(content = Object, description = "one field and its value"),
    responses((status = 200, body = FoundView), (status = "default", body = Problem)))]
pub(super) async fn look_up(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Purpose(purpose): Purpose,
    Body(input): Body<BTreeMap<String, Value>>,
) -> Result<Receipted<Json<FoundView>>, Error> {
    let found = async {
        let mut members = input.iter();
        let (Some((field, value)), None) = (members.next(), members.next()) else {
            let detail = "name exactly one field and its value, as in {\"email\": \"…\"}";
            return Err(Error::bad_request("one_field", detail));
        };
        vault::look_up(&desk, &ctx, &purpose, field, value).await
    };
    match found.await {
        Ok(found) => {
            let customers = found.customers.iter().map(ToString::to_string).collect();
            let found_view = FoundView { customers, more: found.more };
            Ok(Receipted(found.receipt, Json(found_view)))
        }
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Search, "customer.lookup", error).await),
    }
}

/// Which fields.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldsQuery {
    /// Field names, separated by commas.
    pub(super) fields: String,
}

/// Fields of a customer, as the policy shows them for a purpose
#[utoipa::path(get, path = "/v1/customers/{id}", tag = "customers",
    params(("id" = String, Path), FieldsQuery, ("Strongroom-Purpose" = String, Header)),
    responses((status = 200, body = ShownView), (status = "default", body = Problem)))]
pub(super) async fn read(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Purpose(purpose): Purpose,
    Path(id): Path<String>,
    Query(query): Query<FieldsQuery>,
) -> Result<Response, Error> {
    let shown = async {
        let fields = own(split(&query.fields)?)?;
        vault::read(&desk, &ctx, id.parse()?, &purpose, &fields).await
    };
    match shown.await {
        Ok(shown) => Ok(answer(shown)),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Read, "customer.read", error).await),
    }
}

/// Fields of the customer who has your reference, as the policy shows them for a purpose
#[utoipa::path(get, path = "/v1/customers/ref/{source}/{reference}", tag = "customers",
    params(("source" = String, Path), ("reference" = String, Path), FieldsQuery,
        ("Strongroom-Purpose" = String, Header)),
    responses((status = 200, body = ShownView), (status = "default", body = Problem)))]
pub(super) async fn read_by_reference(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Purpose(purpose): Purpose,
    Path((source, reference)): Path<(String, String)>,
    Query(query): Query<FieldsQuery>,
) -> Result<Response, Error> {
    let shown = async {
        let fields = own(split(&query.fields)?)?;
        let reference = Reference::parse(&source, &reference)?;
        vault::read_by_reference(&desk, &ctx, &reference, &purpose, &fields).await
    };
    match shown.await {
        Ok(shown) => Ok(answer(shown)),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Read, "customer.read", error).await),
    }
}

/// A page of customers.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PageInput {
    /// 1 to 200 ids.
    ids: Vec<String>,
    /// Field names.
    fields: Vec<String>,
}

/// Customers as they may be shown. Each of those asked for is in exactly one of the lists.
#[derive(Serialize, ToSchema)]
pub(super) struct PageView {
    /// In the order they were asked for, each once.
    customers: Vec<ShownView>,
    /// Who is not there, or not for you to know.
    missing: Vec<String>,
    /// Who cannot be shown until something is mended; the findings say what.
    unavailable: Vec<String>,
    /// Who has not consented to the purpose.
    without_consent: Vec<String>,
}

/// Fields of up to 200 customers, as the policy shows them for a purpose
///
/// One entry in the ledger names them all. Those who cannot be shown are named in lists of their own.
#[utoipa::path(post, path = "/v1/customers/read", tag = "customers", operation_id = "read_customers",
    params(("Strongroom-Purpose" = String, Header)), request_body = PageInput,
    responses((status = 200, body = PageView), (status = "default", body = Problem)))]
pub(super) async fn read_many(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Purpose(purpose): Purpose,
    Body(input): Body<PageInput>,
) -> Result<Receipted<Json<PageView>>, Error> {
    let shown = async {
        let fields = split(&input.fields.join(","))?;
        let ids = input.ids.iter().map(|id| id.parse()).collect::<Result<Vec<_>, Error>>()?;
        vault::read_many(&desk, &ctx, &ids, &purpose, &fields).await
    };
    match shown.await {
        Ok(shown) => {
            let names = |ids: Vec<Id<Customer>>| ids.iter().map(ToString::to_string).collect();
            let view = |one: ShownOne| {
                let (id, version) = (one.id.to_string(), one.version);
                ShownView { id, version, fields: one.fields, masked: one.masked }
            };
            let page = PageView {
                customers: shown.customers.into_iter().map(view).collect(),
                missing: names(shown.missing),
                unavailable: names(shown.unavailable),
                without_consent: names(shown.without_consent),
            };
            Ok(Receipted(shown.receipt, Json(page)))
        }
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Read, "customer.read_many", error).await),
    }
}

/// What to reveal and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RevealInput {
    /// Field names.
    pub(super) fields: Vec<String>,
    /// One of the policy's reasons.
    pub(super) reason: String,
    /// Your own ticket, an opaque number.
    #[serde(default)]
    pub(super) ticket: String,
}

/// Fields of a customer in clear, for a reason
#[utoipa::path(post, path = "/v1/customers/{id}/reveal", tag = "customers",
    params(("id" = String, Path), ("Strongroom-Purpose" = String, Header)),
    request_body = RevealInput,
    responses((status = 200, body = ShownView), (status = "default", body = Problem)))]
pub(super) async fn reveal(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Purpose(purpose): Purpose,
    Path(id): Path<String>,
    Body(input): Body<RevealInput>,
) -> Result<Response, Error> {
    let shown = async {
        let fields = own(split(&input.fields.join(","))?)?;
        let why = RevealReason { reason: &input.reason, ticket: &input.ticket };
        vault::reveal(&desk, &ctx, id.parse()?, &purpose, &fields, why).await
    };
    match shown.await {
        Ok(shown) => Ok(answer(shown)),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Reveal, "customer.reveal", error).await),
    }
}

pub(super) fn split(names: &str) -> Result<Vec<String>, Error> {
    let mut fields: Vec<String> = names.split(',').map(str::trim).map(str::to_owned).collect();
    fields.sort();
    fields.dedup();
    if fields.iter().any(String::is_empty) || fields.len() > FIELDS_MAX {
        let detail = "name 1 to 200 fields, as in `fields=name,email`";
        return Err(Error::bad_request("bad_fields", detail));
    }
    Ok(fields)
}

/// Fields of the customer; those of records are shown with their record.
fn own(fields: Vec<String>) -> Result<Vec<String>, Error> {
    if !fields.iter().any(|name| name.contains('.')) {
        return Ok(fields);
    }
    let detail = "fields of records are read at `/v1/customers/{id}/records`";
    Err(Error::bad_request("bad_fields", detail))
}

fn answer(shown: Shown) -> Response {
    let etag = [(header::ETAG, format!("\"{}\"", shown.version))];
    let (id, version) = (shown.id.to_string(), shown.version);
    let view = ShownView { id, version, fields: shown.fields, masked: shown.masked };
    Receipted(shown.receipt, (etag, Json(view))).into_response()
}

/// As many as a policy may declare.
const FIELDS_MAX: usize = 200;
