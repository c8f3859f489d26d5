//! JSON: how backups stand.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Caller, Desk, commit, permit, refuse};
use crate::backup::store::{BackupRow, CheckRow};
use crate::backup::verbs::{exposed_before, standing};
use crate::ctx::{Entry, EntryKind, Time};
use crate::error::Error;
use crate::policy::Right;
use crate::web::{Problem, Receipted};

/// All of them.
pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new().routes(routes!(list))
}

/// How backups stand.
#[derive(Serialize, ToSchema)]
struct BackupList {
    /// When the newest was made: everything after it would be lost with this machine.
    newest: Option<String>,
    /// Whole minutes since then.
    minutes_ago: Option<i64>,
    /// The last rehearsed restore.
    rehearsal: Option<RehearsalView>,
    /// Those of which something is kept, the newest first.
    backups: Vec<BackupView>,
}

/// A pair of backups.
#[derive(Serialize, ToSchema)]
struct BackupView {
    id: String,
    made: String,
    /// Whether it was made before keys were replaced because they leaked: it is open to whoever has
    /// those. Remove it as soon as newer ones are rehearsed.
    exposed: bool,
    /// Where both folders are.
    folder: String,
    /// Entries of the ledger it holds.
    entries: u64,
    /// When the whole pair had been copied to another machine by the configured command.
    copied: Option<String>,
    /// When the copy of the data was taken back.
    data_copy_removed: Option<String>,
    /// When the copy of the keys was taken back.
    keys_copy_removed: Option<String>,
    data_rows: u64,
    data_size_bytes: u64,
    /// When the data backup was removed.
    data_removed: Option<String>,
    keys_rows: u64,
    keys_size_bytes: u64,
    /// When the key backup was removed.
    keys_removed: Option<String>,
}

/// A rehearsed restore.
#[derive(Serialize, ToSchema)]
struct RehearsalView {
    at: String,
    backup: String,
    /// `ok`, or the code of what went wrong.
    result: String,
    customers: u64,
    sampled: u64,
    entries: u64,
    detail: String,
}

/// How backups stand: how old the newest is, and what the last rehearsed restore saw
#[utoipa::path(get, path = "/v1/backups", tag = "upkeep", operation_id = "list_backups",
    responses((status = 200, body = BackupList), (status = "default", body = Problem)))]
async fn list(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
) -> Result<Receipted<Json<BackupList>>, Error> {
    let listed = async {
        let grant = permit(&desk, &ctx, Right::Ledger)?;
        let standing = standing(&desk).await?;
        let leak = exposed_before(&desk)?;
        let count = standing.backups.len() as u64;
        let entry = Entry::new(&ctx, EntryKind::Admin, "backup.list").counting(count);
        let receipt = commit(&desk, grant.change(entry)).await?;
        let made = standing.newest.as_ref().map(|row| row.made);
        let ago = made.map(|made| ctx.now.as_ms().saturating_sub(made.as_ms()) / 60_000);
        let list = BackupList {
            newest: made.map(|made| made.to_rfc3339()),
            minutes_ago: ago,
            rehearsal: standing.check.map(rehearsal),
            backups: standing.backups.into_iter().map(|row| view(row, leak)).collect(),
        };
        Ok((receipt, list))
    };
    match listed.await {
        Ok((receipt, list)) => Ok(Receipted(receipt, Json(list))),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Admin, "backup.list", error).await),
    }
}

fn view(row: BackupRow, exposed_before: Option<Time>) -> BackupView {
    BackupView {
        id: row.id,
        made: row.made.to_rfc3339(),
        exposed: exposed_before.is_some_and(|leak| row.made < leak),
        folder: row.folder,
        entries: row.entries,
        copied: row.copied.map(|at| at.to_rfc3339()),
        data_copy_removed: row.data_copy_removed.map(|at| at.to_rfc3339()),
        keys_copy_removed: row.keys_copy_removed.map(|at| at.to_rfc3339()),
        data_rows: row.data_rows,
        data_size_bytes: row.data_size_bytes,
        data_removed: row.data_removed.map(|at| at.to_rfc3339()),
        keys_rows: row.keys_rows,
        keys_size_bytes: row.keys_size_bytes,
        keys_removed: row.keys_removed.map(|at| at.to_rfc3339()),
    }
}

fn rehearsal(row: CheckRow) -> RehearsalView {
    RehearsalView {
        at: row.at.to_rfc3339(),
        backup: row.backup,
        result: row.result,
        customers: row.customers,
        sampled: row.sampled,
        entries: row.entries,
        detail: row.detail,
    }
}
