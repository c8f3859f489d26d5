//! Every route there is.

mod repeat;

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{OpenApi as _, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{self, Desk};
use crate::error::Error;
use crate::web::Problem;
use crate::{backup, db, outlets, places, vault, web, webhooks};

/// The whole server, ready to be served.
pub fn router(desk: &Arc<Desk>) -> Router {
    let (clock, random) = (Arc::clone(&desk.clock), Arc::clone(&desk.random));
    let (router, mut api) = collect().split_for_parts();
    name_rests(&mut api);
    repeat::describe(&mut api);
    let once = repeat::Once::new(desk, &api);
    let router = router
        .route("/v1/openapi.json", get(move || std::future::ready(Json(api.clone()))))
        // Around every route, so that a new one cannot forget it.
        .route_layer(axum::middleware::from_fn_with_state(once, repeat::once))
        .with_state(Arc::clone(desk));
    web::wrap(router, clock, random, desk.meter.clone())
}

/// What the server answers, in OpenAPI 3.1; the same text it serves.
pub fn openapi() -> OpenApi {
    let mut api = collect().split_for_parts().1;
    name_rests(&mut api);
    repeat::describe(&mut api);
    api
}

/// OpenAPI has no word for the rest of a path: `{*place}` of the router is `{place}` in the description.
fn name_rests(api: &mut OpenApi) {
    let paths = std::mem::take(&mut api.paths.paths);
    api.paths.paths =
        paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
}

fn collect() -> OpenApiRouter<Arc<Desk>> {
    let mut api = Described::openapi();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("sr_live_…")
        .description(Some("An API key, made with `strongroom key new`"))
        .build();
    let components = api.components.get_or_insert_default();
    components.add_security_scheme("api_key", SecurityScheme::Http(bearer));
    api.security =
        Some(vec![utoipa::openapi::SecurityRequirement::new("api_key", [] as [&str; 0])]);
    OpenApiRouter::with_openapi(api)
        .merge(access::routes())
        .merge(places::routes())
        .merge(webhooks::routes())
        .merge(vault::routes())
        .merge(backup::routes())
        .merge(outlets::routes())
        .routes(routes!(healthz))
        .routes(routes!(readyz))
}

#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "Strongroom",
    description = "Keeps the customer data of a business safe. No personal data ever stands in an \
                   address. The answer to an act carries `Strongroom-Receipt`: where the act \
                   stands in the ledger. An act is whatever changes something, or shows or tells \
                   something of a customer; answers without one are those to refusals and errors, \
                   and those that hold no customer's data: health, this description, the \
                   policy and who may what under it, the list of keys, findings, the checkpoint \
                   and the hashes of the log, how far a verification is. Keys of programs that people sit at must say who asks with \
                   `Strongroom-On-Behalf-Of`; other keys may.",
    license(name = "Apache-2.0", identifier = "Apache-2.0")
))]
struct Described;

/// Whether the process is up.
#[derive(Serialize, ToSchema)]
struct Health {
    status: &'static str,
}

/// The process is up
#[utoipa::path(get, path = "/healthz", tag = "health", security(()),
    responses((status = 200, body = Health)))]
async fn healthz() -> Json<Health> {
    Json(Health { status: "up" })
}

/// It answers: unsealed, a policy applied, the ledger can be written
#[utoipa::path(get, path = "/readyz", tag = "health", security(()),
    responses((status = 200, body = Health), (status = 503, body = Problem)))]
async fn readyz(State(desk): State<Arc<Desk>>) -> Result<Json<Health>, Error> {
    if desk.keyring.is_sealed() {
        return Err(Error::unavailable("sealed", "the keys are dropped; restart to unseal"));
    }
    if desk.committer.stall().is_stalled() {
        let detail = "the ledger cannot be written; free disk space or mend the disk";
        return Err(Error::unavailable("ledger_stalled", detail));
    }
    if desk.committer.stall().is_low() {
        return Err(db::disk_reserve());
    }
    desk.rights.now()?.applied()?;
    Ok(Json(Health { status: "ready" }))
}
