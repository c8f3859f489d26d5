//! The log itself: its newest checkpoint, proofs, verification.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use strongroom_tlog::ProofBundle;
use utoipa::{IntoParams, ToSchema};

use crate::access::api::Caller;
use crate::access::{self, Desk, commit, permit, refuse};
use crate::ctx::{Entry, EntryKind};
use crate::db::Database;
use crate::error::{Error, ErrorKind};
use crate::ledger::{self, Cosigned, Flaw, Newest, Signers, Verifying};
use crate::policy::Right;
use crate::web::{Problem, Receipted};

/// Which checkpoint.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CheckpointQuery {
    /// The newest that a witness cosigned, which may be a little older; 404 where none did.
    #[serde(default)]
    cosigned: bool,
    /// An earlier incarnation, from before a restore, counted from 1.
    incarnation: Option<String>,
    /// The checkpoint that handed the open log over to its next signing key, counted from 1; 404 where
    /// there is none.
    handover: Option<usize>,
}

/// The newest signed checkpoint, in C2SP note form, with the line of the witness once it cosigned; its
/// headers say of which log, and with which key it is signed
#[utoipa::path(get, path = "/v1/ledger/checkpoint", tag = "ledger", params(CheckpointQuery),
    responses((status = 200, body = String, content_type = "text/plain", headers(
            ("strongroom-incarnation" = u64, description = "Counted from 1; a restore opens a new one"),
            ("strongroom-verifier-key" = String, description = "As C2SP verifiers take it"))),
        (status = "default", body = Problem)))]
pub(super) async fn checkpoint(
    State(desk): State<Arc<Desk>>,
    Caller(_ctx): Caller,
    Query(CheckpointQuery { cosigned, incarnation, handover }): Query<CheckpointQuery>,
) -> Result<([(&'static str, String); 2], String), Error> {
    let wanted = if cosigned { Wanted::Cosigned } else { Wanted::Newest };
    let mut log = which(&desk, incarnation.as_deref(), wanted)?;
    if let Some(number) = handover {
        let notes = ledger::handovers(&log.data).await?;
        let note = number.checked_sub(1).and_then(|place| notes.into_iter().nth(place));
        log.checkpoint = note.ok_or_else(Error::not_found)?.into();
    }
    let key = log.key(&desk)?;
    let headers =
        [("strongroom-incarnation", log.number.to_string()), ("strongroom-verifier-key", key)];
    Ok((headers, log.checkpoint.as_ref().to_owned()))
}

/// An entry with its proof under the newest checkpoint.
#[derive(Serialize, ToSchema)]
pub(super) struct ProofView {
    index: u64,
    size: u64,
    /// The entry's bytes, base64.
    leaf: String,
    /// Hashes from the leaf to the root, base64.
    hashes: Vec<String>,
    /// The checkpoint it leads to: the newest that a witness cosigned if the entry is in it.
    checkpoint: String,
    /// The key the checkpoint is signed with, as C2SP verifiers take it.
    verifier_key: String,
    /// The key of the witness that cosigned the checkpoint, if one did.
    witness_key: Option<String>,
}

/// Which log.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// An earlier incarnation, from before a restore, counted from 1.
    pub(super) incarnation: Option<String>,
}

/// Which log, and in which form.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ProofQuery {
    /// An earlier incarnation, from before a restore, counted from 1.
    incarnation: Option<String>,
    /// `json`, or `text`: one text in C2SP tlog-proof form, to keep and to check without the log.
    #[param(inline)]
    form: Option<Form>,
}

/// How a proof is written.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Form {
    #[default]
    Json,
    Text,
}

/// Proves that an entry is in the log
#[utoipa::path(get, path = "/v1/ledger/proof/{index}", tag = "ledger",
    params(("index" = u64, Path), ProofQuery),
    responses((status = 200, content((ProofView = "application/json"), (String = "text/plain"))),
        (status = "default", body = Problem)))]
pub(super) async fn proof(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(index): Path<String>,
    Query(ProofQuery { incarnation, form }): Query<ProofQuery>,
) -> Result<Receipted<Response>, Error> {
    let shown = async {
        let grant = permit(&desk, &ctx, Right::Ledger)?;
        let index: u64 = index
            .parse()
            .map_err(|_| Error::bad_request("bad_index", "the index is a whole number"))?;
        let log = which(&desk, incarnation.as_deref(), Wanted::CosignedOver(index))?;
        if index >= log.size {
            let detail = format!("the log has {} entries, and the first of them is 0", log.size);
            return Err(Error::new(ErrorKind::NotFound, "not_found", detail));
        }
        let (leaf, hashes) = ledger::prove(&log.data, index, log.size).await?;
        let entry = Entry::new(&ctx, EntryKind::Ledger, "ledger.proof");
        let receipt = commit(&desk, grant.change(entry)).await?;
        let checkpoint = log.checkpoint.as_ref().to_owned();
        if let Some(Form::Text) = form {
            // With the entry in it nobody needs anything else to check it.
            let bundle = ProofBundle { extra: Some(leaf), index, proof: hashes, checkpoint };
            return Ok(Receipted(receipt, bundle.to_string().into_response()));
        }
        let view = ProofView {
            index,
            size: log.size,
            leaf: data_encoding::BASE64.encode(&leaf),
            hashes: hashes.iter().map(|hash| hash.to_base64()).collect(),
            checkpoint,
            verifier_key: log.key(&desk)?,
            witness_key: log.witness_key.map(|key| key.as_ref().to_owned()),
        };
        Ok(Receipted(receipt, Json(view).into_response()))
    };
    match shown.await {
        Ok(shown) => Ok(shown),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Ledger, "ledger.proof", error).await),
    }
}

/// One incarnation of the log.
pub(super) struct Log {
    /// From 1.
    number: u64,
    pub(super) size: u64,
    checkpoint: Arc<str>,
    witness_key: Option<Arc<str>>,
    origin: String,
    pub(super) data: Database,
}

impl Log {
    /// The key that signed its checkpoint: while the log is handed over, the coming one of two.
    fn key(&self, desk: &Desk) -> Result<String, Error> {
        let (keyring, note) = (&desk.keyring, &self.checkpoint);
        let signed = ledger::open_signed(keyring, &self.origin, note, Signers::Ever)?;
        Ok(signed.1.to_string())
    }
}

/// Which checkpoint of the log is wanted.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    /// The newest that a witness cosigned.
    Cosigned,
    /// The same, if this entry is under it; else the newest.
    CosignedOver(u64),
    /// The newest.
    Newest,
}

/// The log under a checkpoint; or an earlier incarnation of it, from before a restore.
pub(super) fn which(desk: &Desk, incarnation: Option<&str>, under: Wanted) -> Result<Log, Error> {
    let (newest, origin) = desk.keyring.incarnation();
    let wanted = incarnation.map_or(Ok(newest), str::parse).map_err(|_| {
        Error::bad_request("bad_incarnation", "`incarnation` is a whole number, from 1")
    })?;
    if wanted == newest {
        let Newest { size, checkpoint, .. } =
            desk.published.newest().ok_or_else(Error::not_found)?;
        let (number, origin, data) = (newest, origin.to_owned(), desk.data.clone());
        let cosigned = desk.published.cosigned().filter(|cosigned| match under {
            Wanted::Cosigned => true,
            Wanted::CosignedOver(index) => index < cosigned.size,
            // One size has one root, so it is the same checkpoint.
            Wanted::Newest => cosigned.size == size,
        });
        return match (cosigned, under) {
            (Some(Cosigned { size, checkpoint, witness_key }), _) => {
                Ok(Log { number, size, checkpoint, witness_key: Some(witness_key), origin, data })
            }
            (None, Wanted::Cosigned) => Err(Error::not_found()),
            (None, _) => Ok(Log { number, size, checkpoint, witness_key: None, origin, data }),
        };
    }
    let archive = desk.archives.iter().find(|archive| archive.number == wanted);
    let archive = archive.ok_or_else(Error::not_found)?;
    Ok(Log {
        number: archive.number,
        size: archive.facts.size,
        checkpoint: Arc::clone(&archive.facts.checkpoint),
        witness_key: None,
        origin: archive.facts.origin.clone(),
        data: archive.data.clone(),
    })
}

/// How far a verification is, and what it saw.
#[derive(Serialize, ToSchema)]
pub struct VerificationView {
    id: String,
    /// `running`, `done` or `failed`.
    state: &'static str,
    /// Entries read so far.
    done: u64,
    /// Entries there are to read; 0 until that is known.
    size: u64,
    /// Whether everything fits; absent until it is done.
    intact: Option<bool>,
    /// What does not; empty until it is done.
    flaws: Vec<FlawView>,
    /// What the customers' rows said, where it was asked to go deep.
    compared: Option<ComparedView>,
    /// Why it could not go on; present where it failed. Nothing is known of the log then.
    problem: Option<ProblemView>,
}

/// Something that does not fit.
#[derive(Serialize, ToSchema)]
pub(super) struct FlawView {
    /// The entry it was seen at.
    entry: Option<u64>,
    what: String,
}

/// Each customer's rows, held against the newest entry that wrote them.
#[derive(Serialize, ToSchema)]
pub(super) struct ComparedView {
    /// How many customers there are rows of.
    customers: u64,
    /// Of these, how many are not as the log says: put back to an older state by other hands.
    differing: u64,
    /// UNKNOWN: how many have no entry that says what their rows should be.
    unknown: u64,
    /// How many do not open at all.
    broken: u64,
    /// How many the log speaks of are gone, and nobody erased them.
    missing: u64,
    /// The differing ones, each at the entry it should be as, and the entries that wrote missing ones last; not
    /// more than 100.
    flaws: Vec<FlawView>,
}

/// Why a verification could not go on.
#[derive(Serialize, ToSchema)]
pub(super) struct ProblemView {
    /// Stable.
    code: String,
    detail: String,
}

/// How far a verification is and what it saw: the one that runs and the one before it are known
#[utoipa::path(get, path = "/v1/ledger/verify/{id}", tag = "ledger",
    operation_id = "find_verification", params(("id" = String, Path)),
    responses((status = 200, body = VerificationView), (status = "default", body = Problem)))]
pub(super) async fn verification(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Json<VerificationView>, Error> {
    let found = id.parse().and_then(|id| access::find_verification(&desk, &ctx, id));
    match found {
        Ok(verifying) => Ok(Json(verifying.into())),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Ledger, "ledger.verify", error).await),
    }
}

impl From<Verifying> for VerificationView {
    fn from(verifying: Verifying) -> Self {
        let Verifying { id, done, size, outcome, .. } = verifying;
        let mut view = Self {
            id: id.to_string(),
            state: "running",
            done,
            size,
            intact: None,
            flaws: Vec::new(),
            compared: None,
            problem: None,
        };
        match outcome {
            None => {}
            Some(Ok(verified)) => {
                view.state = "done";
                view.size = verified.size;
                view.intact = Some(verified.is_intact());
                view.flaws = flaw_views(verified.flaws);
                view.compared = verified.compared.map(|it| ComparedView {
                    customers: it.customers,
                    differing: it.differing,
                    unknown: it.unknown,
                    broken: it.broken,
                    missing: it.missing,
                    flaws: flaw_views(it.flaws),
                });
            }
            Some(Err(error)) => {
                view.state = "failed";
                let (code, detail) = (error.code.to_owned(), error.detail.clone());
                view.problem = Some(ProblemView { code, detail });
            }
        }
        view
    }
}

fn flaw_views(flaws: Vec<Flaw>) -> Vec<FlawView> {
    flaws.into_iter().map(|it| FlawView { entry: it.entry, what: it.what }).collect()
}
