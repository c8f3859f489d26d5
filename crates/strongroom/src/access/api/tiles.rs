//! The log in pieces, as C2SP tlog-tiles lays them out: what an auditor copies and checks elsewhere.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use strongroom_tlog::{TilePath, TileWidth, parse_tile_path};

use crate::access::api::Caller;
use crate::access::api::ledger::{LogQuery, Wanted, which};
use crate::access::{Desk, commit, permit, refuse};
use crate::ctx::{Entry, EntryKind};
use crate::error::Error;
use crate::ledger;
use crate::policy::Right;
use crate::web::{Problem, Receipted};

/// A tile's bytes, and how long a copy of them is good.
type Tile = ([(axum::http::HeaderName, &'static str); 2], Vec<u8>);

/// Hashes of the log's tree (C2SP tlog-tiles), for whoever has a key: hashes say nothing about anyone
#[utoipa::path(get, path = "/v1/ledger/tile/{level}/{*place}", tag = "ledger",
    operation_id = "hash_tile",
    params(("level" = u8, Path, description = "0 is the hashes of the entries"),
        ("place" = String, Path, description = "Three digits a part, as in `x001/234` or `000.p/17`"),
        LogQuery),
    responses((status = 200, body = [u8], content_type = "application/octet-stream"),
        (status = "default", body = Problem)))]
pub(super) async fn hashes(
    State(desk): State<Arc<Desk>>,
    Caller(_ctx): Caller,
    Path((level, place)): Path<(String, String)>,
    Query(LogQuery { incarnation }): Query<LogQuery>,
) -> Result<Tile, Error> {
    let path = read_path(&format!("tile/{level}/{place}"))?;
    let log = which(&desk, incarnation.as_deref(), Wanted::Newest)?;
    Ok(answer(path, ledger::tile(&log.data, log.size, path).await?))
}

/// Entries of the log (C2SP tlog-tiles), for auditors: whoever may verify the ledger. Reading them is
/// an entry
#[utoipa::path(get, path = "/v1/ledger/tile/entries/{*place}", tag = "ledger",
    operation_id = "entries_tile",
    params(("place" = String, Path, description = "Three digits a part, as in `x001/234` or `000.p/17`"),
        LogQuery),
    responses((status = 200, body = [u8], content_type = "application/octet-stream"),
        (status = "default", body = Problem)))]
pub(super) async fn entries(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(place): Path<String>,
    Query(LogQuery { incarnation }): Query<LogQuery>,
) -> Result<Receipted<Tile>, Error> {
    let shown = async {
        let grant = permit(&desk, &ctx, Right::Ledger)?;
        let path = read_path(&format!("tile/entries/{place}"))?;
        let log = which(&desk, incarnation.as_deref(), Wanted::Newest)?;
        let bytes = ledger::tile(&log.data, log.size, path).await?;
        let count = match path.width {
            TileWidth::Full => strongroom_tlog::TILE_WIDTH as u64,
            TileWidth::Partial(width) => u64::from(width.get()),
        };
        let entry = Entry::new(&ctx, EntryKind::Ledger, "ledger.entries").counting(count);
        let receipt = commit(&desk, grant.change(entry)).await?;
        Ok(Receipted(receipt, answer(path, bytes)))
    };
    match shown.await {
        Ok(shown) => Ok(shown),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Ledger, "ledger.entries", error).await),
    }
}

fn read_path(path: &str) -> Result<TilePath, Error> {
    parse_tile_path(path).map_err(|_| Error::not_found())
}

fn answer(path: TilePath, bytes: Vec<u8>) -> Tile {
    let cache = match path.width {
        // It never changes again, but it is for this caller alone.
        TileWidth::Full => "private, max-age=31536000, immutable",
        TileWidth::Partial(_) => "private, no-cache",
    };
    ([(CACHE_CONTROL, cache), (CONTENT_TYPE, "application/octet-stream")], bytes)
}
