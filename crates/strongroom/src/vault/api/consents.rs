//! What customers consent to.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{Caller, Desk, refuse};
use crate::ctx::{EntryKind, Time};
use crate::error::Error;
use crate::vault::api::customers::{CustomerRef, changed};
use crate::vault::api::read_time;
use crate::vault::{self, ConsentInput, How};
use crate::web::{Body, Problem, Receipted};

/// A consent, as it was obtained.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GiveInput {
    /// How it was obtained.
    how: HowWord,
    /// When, RFC 3339; now if left out.
    #[serde(default)]
    at: Option<String>,
}

/// How a consent was obtained.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum HowWord {
    Account,
    Email,
    Form,
    InPerson,
    Paper,
    Phone,
}

/// A customer's consents.
#[derive(Serialize, ToSchema)]
pub(super) struct ConsentList {
    consents: Vec<ConsentLine>,
}

/// A customer's word on one purpose.
#[derive(Serialize, ToSchema)]
pub(super) struct ConsentLine {
    purpose: String,
    /// Whether it was given and not withdrawn since.
    stands: bool,
    /// When it was given last.
    given: Option<String>,
    /// How it was obtained then.
    how: Option<&'static str>,
    /// When it was withdrawn, if that came last.
    withdrawn: Option<String>,
}

/// Sets down that a customer consents to a purpose
#[utoipa::path(put, path = "/v1/customers/{id}/consents/{purpose}", tag = "consents",
    params(("id" = String, Path), ("purpose" = String, Path)), request_body = GiveInput,
    operation_id = "give_consent",
    responses((status = 200, body = CustomerRef), (status = "default", body = Problem)))]
pub(super) async fn give(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path((id, purpose)): Path<(String, String)>,
    Body(input): Body<GiveInput>,
) -> Result<Response, Error> {
    let given = async {
        let at = input.at.as_deref().map(|text| read_time(text, "at")).transpose()?;
        let input = ConsentInput { how: input.how.read(), at };
        vault::give_consent(&desk, &ctx, id.parse()?, &purpose, input).await
    };
    match given.await {
        Ok(patched) => Ok(changed(patched)),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Write, "consent.give", error).await),
    }
}

/// Sets down that a customer does not, or no longer, consent to a purpose
#[utoipa::path(delete, path = "/v1/customers/{id}/consents/{purpose}", tag = "consents",
    params(("id" = String, Path), ("purpose" = String, Path)),
    operation_id = "withdraw_consent",
    responses((status = 200, body = CustomerRef), (status = "default", body = Problem)))]
pub(super) async fn withdraw(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path((id, purpose)): Path<(String, String)>,
) -> Result<Response, Error> {
    let withdrawn = async { vault::withdraw_consent(&desk, &ctx, id.parse()?, &purpose).await };
    match withdrawn.await {
        Ok(patched) => Ok(changed(patched)),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Write, "consent.withdraw", error).await),
    }
}

/// What a customer consents to
///
/// All of it for roles that may `relate` or `erase`; otherwise for the purposes the role has a grant
/// for.
#[utoipa::path(get, path = "/v1/customers/{id}/consents", tag = "consents",
    params(("id" = String, Path)), operation_id = "list_consents",
    responses((status = 200, body = ConsentList), (status = "default", body = Problem)))]
pub(super) async fn list(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Receipted<Json<ConsentList>>, Error> {
    let listed = async { vault::list_consents(&desk, &ctx, id.parse()?).await };
    match listed.await {
        Ok(listed) => {
            let consents = listed.consents.into_iter().map(|consent| ConsentLine {
                purpose: consent.purpose,
                stands: consent.stands,
                given: consent.given.map(|(time, _)| time.to_rfc3339()),
                how: consent.given.map(|(_, how)| how.as_str()),
                withdrawn: consent.withdrawn.map(Time::to_rfc3339),
            });
            Ok(Receipted(listed.receipt, Json(ConsentList { consents: consents.collect() })))
        }
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Read, "consent.list", error).await),
    }
}

impl HowWord {
    fn read(self) -> How {
        match self {
            Self::Account => How::Account,
            Self::Email => How::Email,
            Self::Form => How::Form,
            Self::InPerson => How::InPerson,
            Self::Paper => How::Paper,
            Self::Phone => How::Phone,
        }
    }
}
