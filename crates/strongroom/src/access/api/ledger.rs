//! The log itself: its newest checkpoint, proofs, verification.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::api::Caller;
use crate::access::{Desk, commit, permit, raise_finding, refuse};
use crate::ctx::{Entry, EntryKind};
use crate::db::{Connection, Database};
use crate::error::Error;
use crate::findings::{Finding, FindingKind};
use crate::ledger::{self, Flaw, Newest};
use crate::policy::Right;
use crate::web::{Problem, Receipted};

/// The newest signed checkpoint, in C2SP note form
#[utoipa::path(get, path = "/v1/ledger/checkpoint", tag = "ledger",
    responses((status = 200, body = String, content_type = "text/plain"),
        (status = "default", body = Problem)))]
pub(super) async fn checkpoint(
    State(desk): State<Arc<Desk>>,
    Caller(_ctx): Caller,
) -> Result<String, Error> {
    let newest = desk.published.newest().ok_or_else(Error::not_found)?;
    Ok(newest.checkpoint.as_ref().to_owned())
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
    /// The checkpoint it leads to.
    checkpoint: String,
    /// The key the checkpoint is signed with, as C2SP verifiers take it.
    verifier_key: String,
}

/// Which log.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ProofQuery {
    /// An earlier incarnation, from before a restore, counted from 1.
    incarnation: Option<String>,
}

/// Proves that an entry is in the log
#[utoipa::path(get, path = "/v1/ledger/proof/{index}", tag = "ledger",
    params(("index" = u64, Path), ProofQuery),
    responses((status = 200, body = ProofView), (status = "default", body = Problem)))]
pub(super) async fn proof(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(index): Path<String>,
    Query(ProofQuery { incarnation }): Query<ProofQuery>,
) -> Result<Receipted<Json<ProofView>>, Error> {
    let shown = async {
        let grant = permit(&desk, &ctx, Right::Ledger)?;
        let index: u64 = index
            .parse()
            .map_err(|_| Error::bad_request("bad_index", "the index is a whole number"))?;
        let log = which(&desk, incarnation.as_deref())?;
        if index >= log.size {
            return Err(Error::not_found());
        }
        let (leaf, hashes) = ledger::prove(&log.data, index, log.size).await?;
        let entry = Entry::new(&ctx, EntryKind::Ledger, "ledger.proof");
        let receipt = commit(&desk, grant.change(entry)).await?;
        let view = ProofView {
            index,
            size: log.size,
            leaf: data_encoding::BASE64.encode(&leaf),
            hashes: hashes.iter().map(|hash| hash.to_base64()).collect(),
            checkpoint: log.checkpoint.as_ref().to_owned(),
            verifier_key: ledger::verifier_key_of(&desk.keyring, &log.origin)?.to_string(),
        };
        Ok((receipt, view))
    };
    match shown.await {
        Ok((receipt, view)) => Ok(Receipted(receipt, Json(view))),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Ledger, "ledger.proof", error).await),
    }
}

/// One incarnation of the log.
struct Log {
    size: u64,
    checkpoint: Arc<str>,
    origin: String,
    data: Database,
}

/// The log, or an earlier incarnation of it, from before a restore.
fn which(desk: &Desk, incarnation: Option<&str>) -> Result<Log, Error> {
    let (newest, origin) = desk.keyring.incarnation();
    let wanted = incarnation.map_or(Ok(newest), str::parse).map_err(|_| {
        Error::bad_request("bad_incarnation", "`incarnation` is a whole number, from 1")
    })?;
    if wanted == newest {
        let Newest { size, checkpoint } = desk.published.newest().ok_or_else(Error::not_found)?;
        return Ok(Log { size, checkpoint, origin: origin.to_owned(), data: desk.data.clone() });
    }
    let archive = desk.archives.iter().find(|archive| archive.number == wanted);
    let archive = archive.ok_or_else(Error::not_found)?;
    Ok(Log {
        size: archive.facts.size,
        checkpoint: Arc::clone(&archive.facts.checkpoint),
        origin: archive.facts.origin.clone(),
        data: archive.data.clone(),
    })
}

/// What a verification saw.
#[derive(Serialize, ToSchema)]
pub(super) struct VerifyView {
    /// How many entries were read.
    size: u64,
    /// Whether everything fits.
    intact: bool,
    /// What does not.
    flaws: Vec<FlawView>,
}

/// Something that does not fit.
#[derive(Serialize, ToSchema)]
pub(super) struct FlawView {
    /// The entry it was seen at.
    entry: Option<u64>,
    what: String,
}

/// Reads the whole log, rebuilds the tree and both indexes and compares
#[utoipa::path(post, path = "/v1/ledger/verify", tag = "ledger",
    responses((status = 200, body = VerifyView), (status = "default", body = Problem)))]
pub(super) async fn verify(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
) -> Result<Receipted<Json<VerifyView>>, Error> {
    let verified = async {
        let grant = permit(&desk, &ctx, Right::Ledger)?;
        let keyring = Arc::clone(&desk.keyring);
        let mut verified =
            desk.data.scan(move |db| ledger::verify(db, &keyring, |_done| {})).await?;
        for archive in desk.archives.iter() {
            let (keyring, origin) = (Arc::clone(&desk.keyring), archive.facts.origin.clone());
            let verify =
                move |db: &mut Connection| ledger::verify_archive(db, &keyring, &origin, |_| {});
            let older = archive.data.scan(verify).await?;
            verified.size += older.size;
            verified.flaws.extend(older.flaws.into_iter().map(|flaw| Flaw {
                what: format!("in incarnation {}: {}", archive.number, flaw.what),
                ..flaw
            }));
        }
        let flaws = verified.flaws.len() as u64;
        let entry = Entry::new(&ctx, EntryKind::Ledger, "ledger.verify").counting(flaws);
        let receipt = commit(&desk, grant.change(entry)).await?;
        if flaws > 0 {
            let (kind, detail) = (FindingKind::LedgerFlaw, LEDGER_FLAW.to_owned());
            let finding = Finding { kind, detail, customer: None };
            raise_finding(&desk, &ctx, "ledger.verify", &finding).await?;
        }
        Ok((receipt, verified))
    };
    match verified.await {
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Ledger, "ledger.verify", error).await),
        Ok((receipt, verified)) => {
            let flaws: Vec<FlawView> = verified
                .flaws
                .into_iter()
                .map(|flaw| FlawView { entry: flaw.entry, what: flaw.what })
                .collect();
            let (size, intact) = (verified.size, flaws.is_empty());
            Ok(Receipted(receipt, Json(VerifyView { size, intact, flaws })))
        }
    }
}

const LEDGER_FLAW: &str = "a verification of the ledger found entries or index rows that were changed, removed or put in by \
     other hands, so who looked at whom can no longer be answered with certainty. Keep the files as \
     they are, find out who can write to the database, and restore from a copy made before";
