//! Rotations: new keys in place of old ones.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{Caller, Desk, commit, permit, refuse};
use crate::ctx::{Ctx, Entry, EntryKind, Receipt};
use crate::error::Error;
use crate::keys::{Rotation, RotationKind};
use crate::ledger;
use crate::policy::Right;
use crate::vault::{begin_rotation, rotate_due, rotate_root};
use crate::web::{Body, Problem, Receipted};
use crate::witness;

/// What to rotate.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RotateRequest {
    what: What,
}

/// Which keys get new ones in their place.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum What {
    /// Wraps a handful of keys: done with the answer.
    Root,
    /// Wraps each customer's keys: goes on in the background, as do all that follow.
    WrappingKey,
    /// Each customer's keys and the one that wraps them: every value is sealed anew.
    DataKeys,
    /// Those under which values, tokens and pseudonyms are found.
    LookUpKeys,
    /// All of these, because somebody else may have them. Recovery shares end, and a finding says which
    /// backups are exposed.
    AfterLeak,
    /// Signs the ledger: done at once, or when the witness was told of the new key and cosigned it.
    SigningKey,
}

/// Rotations, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct RotationsView {
    rotations: Vec<RotationView>,
    signing_key: SigningKeyView,
}

/// The key that signs the ledger.
#[derive(Serialize, ToSchema)]
struct SigningKeyView {
    /// `settled`, or `handing_over`: both keys sign, until the witness has cosigned which one comes.
    state: &'static str,
    /// The key that witness and auditors need from now on, as C2SP verifiers take it.
    key: String,
}

/// One rotation.
#[derive(Serialize, ToSchema)]
struct RotationView {
    /// `wrapping_key`, `data_keys`, `look_up_keys` or `after_leak`.
    what: &'static str,
    /// The version of the wrapping key from then on.
    version: u32,
    /// `running`, `done`, or `overtaken` by a later one that does its work too.
    state: &'static str,
    /// Data keys that were put under it or replaced; of look-up keys the customers hashed anew.
    rewrapped: u64,
    /// Data keys still under an older one, or customers not yet hashed anew when they were last looked
    /// at; 0 when it is done, and then the older keys are destroyed.
    left: u64,
    /// How often all customers were gone over.
    passes: u32,
    begun: String,
    ended: Option<String>,
}

/// Rotates the root key or the key that signs the ledger, or begins to rotate others
#[utoipa::path(post, path = "/v1/rotations", tag = "upkeep", request_body = RotateRequest,
    responses((status = 202, body = RotationsView), (status = "default", body = Problem)))]
pub(super) async fn rotate(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Body(request): Body<RotateRequest>,
) -> Result<Receipted<(StatusCode, Json<RotationsView>)>, Error> {
    match begin(&desk, &ctx, request.what).await {
        Ok(receipt) => {
            let view = view(&desk.keyring.rotations()?, &desk)?;
            Ok(Receipted(receipt, (StatusCode::ACCEPTED, Json(view))))
        }
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Admin, "rotate.begin", error).await),
    }
}

async fn begin(desk: &Arc<Desk>, ctx: &Ctx, what: What) -> Result<Receipt, Error> {
    let kind = match what {
        What::Root => {
            let (own, whose) = (Arc::clone(desk), ctx.clone());
            let rotated = tokio::spawn(async move { rotate_root(&own, &whose).await });
            return rotated.await.map_err(Error::internal)?;
        }
        What::SigningKey => {
            return witness::hand_over(desk, ctx, permit(desk, ctx, Right::Keys)?).await;
        }
        What::WrappingKey => RotationKind::WrappingKey,
        What::DataKeys => RotationKind::DataKeys,
        What::LookUpKeys => RotationKind::LookUpKeys,
        What::AfterLeak => RotationKind::AfterLeak,
    };
    // It may wait for a backup, for longer than a caller does, and is not to be left half-way.
    let (own, whose) = (Arc::clone(desk), ctx.clone());
    let begun = tokio::spawn(async move { begin_rotation(&own, &whose, kind).await });
    let receipt = begun.await.map_err(Error::internal)??;
    let (own, job) = (Arc::clone(desk), Ctx::system(JOB, desk.now(), Arc::clone(&ctx.rng))?);
    // Broken off with the process; the job of a minute goes on with it.
    tokio::spawn(async move { rotate_due(&own, &job, PASSES_MAX).await });
    Ok(receipt)
}

/// How far rotations are
#[utoipa::path(get, path = "/v1/rotations", tag = "upkeep",
    responses((status = 200, body = RotationsView), (status = "default", body = Problem)))]
pub(super) async fn list_rotations(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
) -> Result<Receipted<Json<RotationsView>>, Error> {
    let listed = async {
        let entry = Entry::new(&ctx, EntryKind::Admin, "rotate.list");
        let receipt = commit(&desk, permit(&desk, &ctx, Right::Keys)?.change(entry)).await?;
        Ok((receipt, view(&desk.keyring.rotations()?, &desk)?))
    };
    match listed.await {
        Ok((receipt, view)) => Ok(Receipted(receipt, Json(view))),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Admin, "rotate.list", error).await),
    }
}

fn view(rotations: &[Rotation], desk: &Desk) -> Result<RotationsView, Error> {
    let one = |it: &Rotation| {
        let left = match it.ended {
            None if it.kind.wraps_anew() => desk.keyring.count_left(it)?,
            _ => it.left_over,
        };
        Ok(RotationView {
            what: it.kind.as_str(),
            version: it.kek_version,
            state: match it.ended {
                None => "running",
                Some(_) if it.left_over > 0 => "overtaken",
                Some(_) => "done",
            },
            rewrapped: it.rewrapped,
            left,
            passes: it.passes,
            begun: it.begun.to_rfc3339(),
            ended: it.ended.map(|at| at.to_rfc3339()),
        })
    };
    let newest = desk.published.newest();
    let is_handing = newest.as_ref().is_some_and(|newest| newest.handing.is_some());
    let signing_key = SigningKeyView {
        state: if is_handing { "handing_over" } else { "settled" },
        key: ledger::newest_key(&desk.keyring, newest.as_ref())?,
    };
    let rotations = rotations.iter().map(one).collect::<Result<_, Error>>()?;
    Ok(RotationsView { rotations, signing_key })
}

const JOB: &str = "rotate";

/// Whoever was made while all were gone over is met by the next pass.
const PASSES_MAX: u32 = 3;
