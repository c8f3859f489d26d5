//! Routes of outlets and shares.

mod sends;
mod shares;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Desk;

/// All of them.
pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new()
        .routes(routes!(sends::ask))
        .routes(routes!(sends::progress, sends::stop))
        .routes(routes!(shares::make))
        .routes(routes!(shares::revoke))
        .merge(shares::open_to_all())
}
