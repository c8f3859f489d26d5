//! Answers of rights, built again for a call that was sent again.

use axum::Json;
use axum::response::{IntoResponse, Response};

use crate::access::Desk;
use crate::access::api::policy::PolicyDifference;
use crate::error::Error;
use crate::web::Repetition;

/// `None` for routes of other rooms.
pub fn rebuild(desk: &Desk, call: &Repetition<'_>) -> Result<Option<Response>, Error> {
    match call.name().as_str() {
        "POST /v1/keys"
        | "POST /v1/shares"
        | "POST /v1/webhooks"
        | "POST /v1/webhooks/{hook}/secret" => {
            let detail = "it was made by the first of these calls, and its secret is shown once \
                          only; if that answer is lost, end it and make another";
            Err(Error::conflict("secret_shown_once", detail))
        }
        "POST /v1/policy" => {
            let authority = desk.rights.now()?;
            let due = authority.pending.as_ref().map(|pending| pending.due.to_rfc3339());
            let version = authority.applied.as_ref().map(|applied| applied.version);
            let version = version.filter(|_| due.is_none());
            let now = PolicyDifference { lines: Vec::new(), version, due };
            Ok(Some((call.status, Json(now)).into_response()))
        }
        _ => Ok(None),
    }
}
