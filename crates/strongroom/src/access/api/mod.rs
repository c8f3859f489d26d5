//! Routes of rights: keys, policy, who may what, the log itself.

mod caller;
mod keys;
mod ledger;
mod policy;
mod repeats;
mod tiles;
mod upkeep;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Desk;

pub use caller::{AsOperator, Caller, Purpose};
pub use ledger::VerificationView;
pub use repeats::rebuild;

/// All of them.
pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new()
        .routes(routes!(keys::create, keys::list))
        .routes(routes!(keys::revoke))
        .routes(routes!(keys::revoke_own))
        .routes(routes!(keys::disable))
        .routes(routes!(keys::enable))
        .routes(routes!(policy::show, policy::apply))
        .routes(routes!(policy::check))
        .routes(routes!(policy::cancel))
        .routes(routes!(policy::who))
        .routes(routes!(policy::why))
        .routes(routes!(ledger::checkpoint))
        .routes(routes!(ledger::proof))
        .routes(routes!(tiles::hashes))
        .routes(routes!(tiles::entries))
        .routes(routes!(ledger::verification))
        .routes(routes!(upkeep::findings))
        .routes(routes!(upkeep::seal))
        .routes(routes!(upkeep::confirm_clock))
        .routes(routes!(upkeep::confirm_consents))
}
