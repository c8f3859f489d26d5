//! Merging two customers who are one.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{Caller, Desk, refuse};
use crate::ctx::EntryKind;
use crate::error::Error;
use crate::vault::api::customers::read_version;
use crate::vault::{self, Keep, MergeInput};
use crate::web::{Body, Problem, Receipted};

/// Who goes, and whose values stay.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MergeBody {
    /// The customer that is merged into this one, and then erased.
    other: String,
    /// Their version, as you read it in `ETag`.
    other_version: u64,
    /// Field name to whose value stays; where it says nothing this one's, if there is one.
    #[serde(default)]
    keep: BTreeMap<String, KeepWord>,
}

/// Whose value stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum KeepWord {
    Other,
    This,
}

/// Two customers who are one now.
#[derive(Serialize, ToSchema)]
pub(super) struct MergedView {
    /// Who stays.
    id: String,
    /// Their version; also the `ETag`.
    version: u64,
    /// When the keys of the other are destroyed; hidden from everyone at once.
    other_erased: String,
}

/// Merges another customer into this one; needs `If-Match` with this one's version
///
/// Relations, records, references and tokens of the other come over, values as `keep` says. The other
/// is hidden at once and erased after the grace. It cannot be taken back.
#[utoipa::path(post, path = "/v1/customers/{id}/merge", tag = "customers",
    operation_id = "merge_customers",
    params(("id" = String, Path), ("If-Match" = String, Header)), request_body = MergeBody,
    responses((status = 200, body = MergedView), (status = "default", body = Problem)))]
pub(super) async fn merge(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(input): Body<MergeBody>,
) -> Result<Response, Error> {
    let done = async {
        let version = read_version(&headers)?;
        let MergeBody { other, other_version, keep } = input;
        let keep = keep.into_iter().map(|(field, word)| match word {
            KeepWord::Other => (field, Keep::Other),
            KeepWord::This => (field, Keep::This),
        });
        let input =
            MergeInput { other: other.parse()?, version, other_version, keep: keep.collect() };
        vault::merge(&desk, &ctx, id.parse()?, &input).await
    };
    match done.await {
        Ok(merged) => {
            let (id, version) = (merged.id.to_string(), merged.version);
            let etag = [(header::ETAG, format!("\"{version}\""))];
            let view = MergedView { id, version, other_erased: merged.due.to_rfc3339() };
            Ok(Receipted(merged.receipt, (etag, Json(view))).into_response())
        }
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Write, "customer.merge", error).await),
    }
}
