//! Who calls: every handler that does anything takes a [`Caller`].

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::access::Desk;
use crate::ctx::{Actor, Claim, Ctx, StaffRef};
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
                ctx.actor = with_claim(actor, parts, desk)?;
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

/// Takes in who the caller says is asking. A program that people sit at must say it.
fn with_claim(mut actor: Actor, parts: &Parts, desk: &Desk) -> Result<Actor, Error> {
    let Actor::Key { id, behalf, .. } = &mut actor else { return Ok(actor) };
    let mut claims = parts.headers.get_all(BEHALF_HEADER).iter();
    let claim = match (claims.next(), claims.next()) {
        (None, _) => {
            if desk.rights.now()?.keys.get(id).is_none_or(|row| row.people) {
                let detail = "people sit at the program that uses this key, so each call says who \
                              asks: send the header `Strongroom-On-Behalf-Of` with your own opaque \
                              name for them, like `staff-17`";
                return Err(Error::bad_request("behalf_missing", detail));
            }
            return Ok(actor);
        }
        (Some(claim), None) => claim.to_str().ok().and_then(StaffRef::parse),
        (Some(_), Some(_)) => None,
    };
    *behalf = Some(claim.ok_or_else(|| {
        let detail = "`Strongroom-On-Behalf-Of` is one opaque name of your own: 1 to 40 letters, \
                      digits, `.`, `_`, `-` with at least one digit. It stands in the ledger for \
                      years, so never a name, an e-mail or a card number";
        Error::bad_request("bad_behalf", detail)
    })?);
    Ok(actor)
}

impl FromRequestParts<Arc<Desk>> for Purpose {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _desk: &Arc<Desk>) -> Result<Self, Error> {
        let mut named = parts.headers.get_all("strongroom-purpose").iter();
        // Of two nobody knows which was meant, so neither counts.
        let named = match (named.next(), named.next()) {
            (Some(one), None) => one.to_str().ok(),
            _ => None,
        };
        named.map(|name| Self(name.to_owned())).ok_or_else(|| {
            let detail = "say what this is for: send the header `Strongroom-Purpose` once, with a \
                          purpose of the policy";
            Error::bad_request("purpose_missing", detail)
        })
    }
}

const BEHALF_HEADER: &str = "strongroom-on-behalf-of";
