//! Who calls: every handler that does anything takes a [`Caller`].

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::access::Desk;
use crate::ctx::{Actor, Claim, Ctx};
use crate::error::Error;
use crate::staff;
use crate::web::{BearerToken, Call};

/// A verified caller and what is known about the call.
pub struct Caller(pub Ctx);

/// Marks a request made inside this process by whoever can unseal: the command line without a
/// server. Nothing that comes over a network can carry it.
#[derive(Clone, Copy)]
pub struct AsOperator;

/// What the caller says it acts for, from the header `Strongroom-Purpose`.
pub struct Purpose(pub String);

impl FromRequestParts<Arc<Desk>> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk>) -> Result<Self, Error> {
        let call = <Call as FromRequestParts<Arc<Desk>>>::from_request_parts(parts, desk).await?;
        let mut ctx = Ctx {
            actor: Actor::Operator,
            network: call.peer.and_then(|peer| peer.network),
            now: desk.now(),
            request: call.request,
            rng: Arc::clone(&desk.random),
            claim: parts.extensions.get::<Claim>().cloned(),
        };
        let bearer = parts.headers.contains_key(axum::http::header::AUTHORIZATION);
        if !bearer && parts.extensions.get::<AsOperator>().is_some() {
            return Ok(Self(ctx));
        }
        match verify(parts, desk, &ctx).await {
            Ok(actor) => {
                ctx.actor = actor;
                Ok(Self(ctx))
            }
            Err(error) => {
                desk.strangers.count(ctx.network);
                Err(error)
            }
        }
    }
}

async fn verify(parts: &mut Parts, desk: &Arc<Desk>, ctx: &Ctx) -> Result<Actor, Error> {
    let token =
        <BearerToken as FromRequestParts<Arc<Desk>>>::from_request_parts(parts, desk).await?;
    let authority = desk.rights.now()?;
    staff::authenticate(ctx, &desk.keyring, token.expose(), |id| authority.keys.get(id))
}

impl FromRequestParts<Arc<Desk>> for Purpose {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _desk: &Arc<Desk>) -> Result<Self, Error> {
        let named = parts.headers.get("strongroom-purpose").and_then(|it| it.to_str().ok());
        named.map(|name| Self(name.to_owned())).ok_or_else(|| {
            let detail = "say what this is for: send the header `Strongroom-Purpose` with a \
                          purpose of the policy";
            Error::bad_request("purpose_missing", detail)
        })
    }
}
