//! Routes of the vault: customers, consents, records, tokens, erasures, holds, imports, who looked.

mod batch;
mod consents;
mod customers;
mod erasures;
mod exports;
mod holds;
mod imports;
mod looks;
mod maps;
mod merges;
mod records;
mod repeats;
mod rotations;
mod shown;
mod tokens;
mod verify;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Desk;
use crate::ctx::Time;
use crate::error::Error;

#[cfg(any(test, feature = "fuzz"))]
pub(crate) use imports::takes_row;
pub use repeats::rebuild;

/// All of them.
pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new()
        .routes(routes!(customers::create))
        .routes(routes!(customers::upsert, shown::read_by_reference))
        .routes(routes!(batch::batch))
        .routes(routes!(shown::look_up))
        .routes(routes!(shown::read, customers::patch, erasures::ask))
        .routes(routes!(shown::read_many))
        .routes(routes!(shown::reveal))
        .routes(routes!(customers::relate))
        .routes(routes!(consents::list))
        .routes(routes!(consents::give, consents::withdraw))
        .routes(routes!(merges::merge))
        .routes(routes!(erasures::cancel))
        .routes(routes!(holds::place_hold, holds::release_hold))
        .routes(routes!(looks::who_looked))
        .routes(routes!(looks::scope))
        .routes(routes!(verify::verify))
        .routes(routes!(records::add, records::list))
        .routes(routes!(records::read, records::patch))
        .routes(routes!(records::reveal))
        .routes(routes!(tokens::make))
        .routes(routes!(tokens::detokenize))
        .routes(routes!(exports::export))
        .routes(routes!(imports::begin))
        .routes(routes!(imports::rows))
        .routes(routes!(imports::dry_run))
        .routes(routes!(maps::save, maps::read))
        .routes(routes!(rotations::rotate, rotations::list_rotations))
}

fn read_time(text: &str, field: &str) -> Result<Time, Error> {
    Time::parse_rfc3339(text).ok_or_else(|| {
        let detail = format!("`{field}` is a time like 2026-11-21T10:00:00Z");
        Error::unprocessable("bad_time", detail)
    })
}
