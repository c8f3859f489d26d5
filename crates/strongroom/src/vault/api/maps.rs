//! Maps of imports, kept by name.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{Caller, Desk, refuse};
use crate::ctx::EntryKind;
use crate::error::Error;
use crate::vault;
use crate::web::{Body, Problem, Receipted};

/// How the columns of a file become fields.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportMap {
    /// At most 200.
    columns: Vec<MapColumn>,
    /// Why the customers are known.
    #[serde(default)]
    relations: Vec<String>,
    /// The column that says when the relation last happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    date_column: Option<String>,
    /// What stands between two cells: one character; a comma if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delimiter: Option<String>,
}

/// A column and where its cells go.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MapColumn {
    /// A field of the policy.
    field: String,
    /// The part of an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    part: Option<String>,
    /// As the first line of the file names it; never a value.
    column: String,
}

/// Keeps a map under a name
#[utoipa::path(put, path = "/v1/imports/maps/{name}", tag = "imports", operation_id = "save_map",
    params(("name" = String, Path)), request_body = ImportMap,
    responses((status = 204), (status = "default", body = Problem)))]
pub(super) async fn save(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(name): Path<String>,
    Body(input): Body<ImportMap>,
) -> Result<Receipted<StatusCode>, Error> {
    let saved = async {
        let text = serde_json::to_string(&input).map_err(Error::internal)?;
        if input.columns.len() > COLUMNS_MAX || text.len() > MAP_SIZE_BYTES_MAX {
            let detail = "a map has at most 200 columns and 64 KiB";
            return Err(Error::unprocessable("map_too_large", detail));
        }
        vault::save_map(&desk, &ctx, &name, text).await
    };
    match saved.await {
        Ok(receipt) => Ok(Receipted(receipt, StatusCode::NO_CONTENT)),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Import, "import.map.save", error).await),
    }
}

/// A map by its name
#[utoipa::path(get, path = "/v1/imports/maps/{name}", tag = "imports", operation_id = "read_map",
    params(("name" = String, Path)),
    responses((status = 200, body = ImportMap), (status = "default", body = Problem)))]
pub(super) async fn read(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(name): Path<String>,
) -> Result<Receipted<Json<ImportMap>>, Error> {
    let read = async {
        let (text, receipt) = vault::read_map(&desk, &ctx, &name).await?;
        Ok((serde_json::from_str(&text).map_err(Error::internal)?, receipt))
    };
    match read.await {
        Ok((map, receipt)) => Ok(Receipted(receipt, Json(map))),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Import, "import.map.read", error).await),
    }
}

/// As many as a policy has fields.
const COLUMNS_MAX: usize = 200;

const MAP_SIZE_BYTES_MAX: usize = 64 * 1024;
