//! Reading a customer: one snapshot of row and sealed records, then the keys.

use std::collections::BTreeMap;

use strongroom_crypto::peek_binding;

use crate::access::{Desk, raise_finding};
use crate::ctx::Ctx;
use crate::db::{Snapshot, Statement};
use crate::error::{Error, ErrorKind};
use crate::findings::{Finding, FindingKind};
use crate::id::{Customer, Id};
use crate::keys::{CORE, Found, KeyHandle};
use crate::vault::model::{Core, CustomerRow, CustomerState};
use crate::vault::store::{self, JobState};

/// A customer whose core was opened and whose plain columns hold.
pub(in crate::vault) struct Opened {
    pub(in crate::vault) row: CustomerRow,
    pub(in crate::vault) core: Core,
    pub(in crate::vault) core_key: KeyHandle,
    pub(in crate::vault) core_sealed: Vec<u8>,
    /// Each compartment's record with its version; opened by whoever has a permit.
    pub(in crate::vault) records: BTreeMap<[u8; 16], SealedCompartment>,
}

/// One compartment's sealed record and the key that opens it.
pub(in crate::vault) struct SealedCompartment {
    pub(in crate::vault) key: KeyHandle,
    pub(in crate::vault) version: u64,
    pub(in crate::vault) sealed: Vec<u8>,
}

/// Opens an active customer; anything else is not found, since it is hidden from everyone.
pub(in crate::vault) async fn open_active(
    desk: &Desk,
    ctx: &Ctx,
    id: &Id<Customer>,
) -> Result<Opened, Error> {
    let opened = open(desk, ctx, Which::Id(id)).await?.ok_or_else(Error::not_found)?;
    match opened.row.state {
        CustomerState::Active => Ok(opened),
        CustomerState::Erasing | CustomerState::Restricted => Err(Error::not_found()),
    }
}

/// The version a customer has now.
pub async fn version_of(desk: &Desk, ctx: &Ctx, id: Id<Customer>) -> Result<u64, Error> {
    Ok(open_active(desk, ctx, &id).await?.row.version)
}

/// How a customer is named.
#[derive(Clone, Copy)]
pub(in crate::vault) enum Which<'a> {
    Id(&'a Id<Customer>),
    Key(i64),
}

/// Opens a customer in whatever state. `None` if there is none, or it was erased.
pub(in crate::vault) async fn open(
    desk: &Desk,
    ctx: &Ctx,
    which: Which<'_>,
) -> Result<Option<Opened>, Error> {
    let loaded = load(desk, &mut desk.data.snapshot().await?, which).await;
    let tried = open_loaded(desk, &mut desk.keyring.snapshot().await?, loaded).await;
    conclude(desk, ctx, which, tried).await
}

/// Opens several customers in one snapshot of the data and one of the keys; each is told apart, so one
/// that does not open keeps no other. For a thread that may block: a page takes milliseconds.
pub(in crate::vault) async fn open_page(
    desk: &Desk,
    ctx: &Ctx,
    page: &[Which<'_>],
) -> Result<Vec<Result<Option<Opened>, Error>>, Error> {
    let mut loaded = Vec::with_capacity(page.len());
    {
        let mut data = desk.data.snapshot().await?;
        for which in page {
            loaded.push(load(desk, &mut data, *which).await);
        }
    }
    let mut tried = Vec::with_capacity(page.len());
    {
        let mut keys = desk.keyring.snapshot().await?;
        for loaded in loaded {
            tried.push(open_loaded(desk, &mut keys, loaded).await);
        }
    }
    let mut opened = Vec::with_capacity(page.len());
    for (which, tried) in page.iter().zip(tried) {
        opened.push(conclude(desk, ctx, *which, tried).await);
    }
    Ok(opened)
}

/// A customer's rows, as they stand in one snapshot.
struct Loaded {
    row: CustomerRow,
    records: Result<Records, Error>,
}

struct Records {
    sealed: Vec<([u8; 16], Vec<u8>)>,
    /// One of them names a key that the register calls destroyed.
    returned: bool,
}

async fn load(desk: &Desk, data: &mut Snapshot, which: Which<'_>) -> Result<Option<Loaded>, Error> {
    let row = match which {
        Which::Id(id) => store::find_row(data, id).await?,
        Which::Key(key) => store::row_by_key(data, key).await?,
    };
    let Some(row) = row else { return Ok(None) };
    let records = load_records(desk, data, row.key).await;
    Ok(Some(Loaded { row, records }))
}

async fn load_records(desk: &Desk, data: &mut Snapshot, key: i64) -> Result<Records, Error> {
    let sealed = store::read_records(data, key).await?;
    let returned = any_registered(desk, data, &sealed).await?;
    Ok(Records { sealed, returned })
}

/// What came of it, with a finding where rows or keys are not as they were left.
async fn conclude(
    desk: &Desk,
    ctx: &Ctx,
    which: Which<'_>,
    tried: Tried,
) -> Result<Option<Opened>, Error> {
    match tried {
        Tried::Absent => Ok(None),
        Tried::Opened(opened) => Ok(Some(*opened)),
        Tried::Closed(row, Closed::Returned) => {
            raise(desk, ctx, FindingKind::Tampered, &row.id, RETURNED).await;
            Ok(None)
        }
        Tried::Closed(row, Closed::KeyMissing(dek)) => key_missing(desk, ctx, &row, &dek).await,
        Tried::Closed(row, Closed::Failed(error)) => {
            Err(tell_tampered(desk, ctx, &row.id, error).await)
        }
        // A column of the row holds what we never write.
        Tried::Unreadable(error) => match which {
            Which::Id(id) => Err(tell_tampered(desk, ctx, id, error).await),
            Which::Key(_) => Err(error),
        },
    }
}

/// Raises a finding where an error says that something was altered; gives the error back.
pub(in crate::vault) async fn tell_tampered(
    desk: &Desk,
    ctx: &Ctx,
    customer: &Id<Customer>,
    error: Error,
) -> Error {
    if error.code == "tampered" {
        raise(desk, ctx, FindingKind::Tampered, customer, TAMPERED).await;
    }
    error
}

/// Why a customer does not open.
enum Closed {
    Failed(Error),
    KeyMissing([u8; 16]),
    Returned,
}

impl<E: Into<Error>> From<E> for Closed {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// How far opening came, before anything is told.
enum Tried {
    Absent,
    Closed(CustomerRow, Closed),
    Opened(Box<Opened>),
    Unreadable(Error),
}

async fn open_loaded(
    desk: &Desk,
    keys: &mut Snapshot,
    loaded: Result<Option<Loaded>, Error>,
) -> Tried {
    let Loaded { row, records } = match loaded {
        Ok(Some(loaded)) => loaded,
        Ok(None) => return Tried::Absent,
        Err(error) => return Tried::Unreadable(error),
    };
    let opened = match records {
        Ok(records) if records.returned => Err(Closed::Returned),
        Ok(records) => open_records(desk, keys, &row, records.sealed).await,
        Err(error) => Err(error.into()),
    };
    match opened {
        Ok(opened) => Tried::Opened(Box::new(opened)),
        Err(closed) => Tried::Closed(row, closed),
    }
}

async fn open_records(
    desk: &Desk,
    keys: &mut Snapshot,
    row: &CustomerRow,
    records: Vec<([u8; 16], Vec<u8>)>,
) -> Result<Opened, Closed> {
    let id = row.id.as_bytes();
    let mut sealed: BTreeMap<[u8; 16], Vec<u8>> = records.into_iter().collect();
    let core_sealed = sealed.remove(&CORE).ok_or_else(|| tampered("no core record"))?;
    let core_key = match desk.keyring.find(keys, id, &CORE, &core_sealed).await? {
        Found::Key(key) => key,
        Found::Missing => return Err(Closed::KeyMissing(peek_binding(&core_sealed)?.dek)),
    };
    // The core's version is the customer's, so an older core beside a newer row does not open.
    let cells = core_key.open_core(row.version, &core_sealed)?;
    core_key.verify_row(&row.columns(), &row.mac)?;
    let core = Core::from_cells(&cells)?;
    let mut opened = BTreeMap::new();
    for (compartment, version) in &core.compartments {
        let sealed = sealed.remove(compartment).ok_or_else(|| tampered("a record is gone"))?;
        let binding = peek_binding(&sealed).map_err(|_| tampered("a record without a header"))?;
        if binding.version != *version {
            return Err(tampered("a record of another version").into());
        }
        let key = match desk.keyring.find(keys, id, compartment, &sealed).await? {
            Found::Key(key) => key,
            Found::Missing => return Err(Closed::KeyMissing(binding.dek)),
        };
        opened.insert(*compartment, SealedCompartment { key, version: *version, sealed });
    }
    if !sealed.is_empty() {
        return Err(tampered("a record that the core does not know").into());
    }
    let row = row.clone();
    Ok(Opened { row, core, core_key, core_sealed, records: opened })
}

/// A missing key is an erasure only if the register or a begun job says so; otherwise nothing is
/// deleted and nothing is answered for this customer.
pub(super) async fn key_missing(
    desk: &Desk,
    ctx: &Ctx,
    row: &CustomerRow,
    dek: &[u8; 16],
) -> Result<Option<Opened>, Error> {
    let mut data = desk.data.snapshot().await?;
    let begun = store::find_job(&mut data, row.key, JobState::Begun).await?;
    let begun = match begun {
        Some(job) => {
            job.plan.windows(dek.len()).any(|named| named == dek)
                && desk.keyring.is_row_intact(store::JOB_TABLE, &job.columns(), &job.mac)?
        }
        None => false,
    };
    if begun || registered(desk, &mut data, dek).await? {
        return Ok(None);
    }
    drop(data);
    desk.missing_keys.note(*row.id.as_bytes());
    raise(desk, ctx, FindingKind::KeyMissing, &row.id, KEY_MISSING).await;
    let detail = "a key of this customer is missing although nobody erased them; nothing was \
                  deleted. Put back the keys.db that belongs to this data, see the findings";
    Err(Error::unavailable("key_missing", detail))
}

/// Whether a record names a key that the register calls destroyed: rows and keys of somebody who was
/// erased were put back by other hands. They stay erased.
async fn any_registered(
    desk: &Desk,
    data: &mut Snapshot,
    records: &[([u8; 16], Vec<u8>)],
) -> Result<bool, Error> {
    // A record that does not even name a key is told when it is opened.
    let named = records.iter().filter_map(|(_, sealed)| peek_binding(sealed).ok());
    let deks: Vec<[u8; 16]> = named.map(|binding| binding.dek).collect();
    let asked: Vec<Statement> = deks.iter().map(store::ask_registered).collect();
    let lines = data.count_all(&asked.iter().collect::<Vec<_>>()).await?;
    for (dek, _) in deks.iter().zip(lines).filter(|(_, lines)| *lines > 0) {
        if registered(desk, data, dek).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(in crate::vault) async fn registered(
    desk: &Desk,
    data: &mut Snapshot,
    dek: &[u8; 16],
) -> Result<bool, Error> {
    let Some((destroyed, mac)) = store::is_registered(data, dek).await? else { return Ok(false) };
    let columns = store::register_columns(dek, destroyed);
    desk.keyring.is_row_intact(store::REGISTER_TABLE, &columns, &mac)
}

/// A finding that cannot be written is logged: the caller's answer is an error either way.
pub(in crate::vault) async fn raise(
    desk: &Desk,
    ctx: &Ctx,
    kind: FindingKind,
    customer: &Id<Customer>,
    detail: &str,
) {
    let customer = Some(*customer.as_bytes());
    let finding = Finding { kind, detail: detail.to_owned(), customer };
    let raised = raise_finding(desk, ctx, "vault.open", &finding).await;
    if let Err(error) = raised {
        tracing::error!(code = error.code, finding = kind.as_str(), "a finding could not be kept");
    }
}

pub(in crate::vault) fn tampered(cause: &str) -> Error {
    let detail = "a stored value does not open where it stands; it was moved, altered or put back. \
                  Nothing is shown; see the findings";
    Error::new(ErrorKind::Unavailable, "tampered", detail).caused_by(cause.to_owned())
}

pub(super) const TAMPERED: &str = "a stored value of this customer was moved, altered or put back by other \
                        hands; nothing of it is shown. Restore the customer from a backup and find \
                        out who can write to the database";
pub(super) const RETURNED: &str = "rows or keys of a customer who was erased were put back by other hands. They \
                        are not shown; put back the newest keys.db, and find out who can write to \
                        the database";
const KEY_MISSING: &str = "a key of this customer is missing although nobody erased them: keys.db \
                           is older than the data or was damaged. Put back the one that belongs to \
                           the data; until then this customer cannot be shown";
