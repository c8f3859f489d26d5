//! The only wiring: opens the data folder, gives the committer its log, keys and rights, and hands
//! every room the desk it works at.

mod keeper;
mod moving;

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use strongroom_crypto::Random;

use crate::access::{
    Desk, MissingKeys, RefusalMeter, Rights, StrangerMeter, announce, close_finding, raise_finding,
};
use crate::backup::{self, RestoreInput, Restored, Step};
use crate::ctx::{Clock, ClockTrust, Ctx};
use crate::db::{
    Committer, DATA, Database, Durability, Lead, Place, Server, Space, Stall, migrate,
};
use crate::error::Error;
use crate::findings::{self, Finding, FindingKind};
use crate::keys::{self, Keyring, Places, Rehearsed, Seal};
use crate::ledger::{Archive, Published, Verifications};
use crate::meter::Meter;
use crate::witness::{self, Outlook, Witness};
use crate::{ledger, vault};

use keeper::AppKeeper;
pub use moving::{Moved, move_data, move_keys};

/// An open installation. Dropping it ends the committer after what is queued, and lets the data
/// folder go.
pub struct App {
    desk: Option<Arc<Desk>>,
    committer: Option<JoinHandle<()>>,
    data_folder: PathBuf,
    _lock: FolderLock,
}

/// Where things are, and what stands in for time and chance.
pub struct Surroundings {
    /// The data folder and the key file.
    pub places: Places,
    /// The server that holds the data; none where the data folder does.
    pub server: Option<Server>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Arc<dyn Random>,
}

/// Makes a new installation: the data folder, the key file outside of it, every key fresh.
pub fn initialise(surroundings: &Surroundings) -> Result<(), Error> {
    let folder = &surroundings.places.data_folder;
    let mut builder = std::fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder).map_err(|cause| folder_unusable(folder, cause))?;
    let _lock = lock(folder)?;
    if folder.join("keys.db").exists() || data_path(folder).exists() {
        let detail = "this data folder holds an installation already; nothing was changed";
        return Err(Error::conflict("already_initialised", detail));
    }
    keys::create(&surroundings.places, Arc::clone(&surroundings.random))
}

/// Brings an installation back from its backups, into an empty data folder.
pub fn restore(
    input: &RestoreInput,
    clock: &dyn Clock,
    random: &Arc<dyn Random>,
    told: impl FnMut(Step),
) -> Result<Restored, Error> {
    let folder = &input.places.data_folder;
    let mut builder = std::fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder).map_err(|cause| folder_unusable(folder, cause))?;
    let _lock = lock(folder)?;
    backup::restore(input, clock.now(), random, told)
}

/// Looks whether two shares open every key of an installation, and changes nothing.
pub fn rehearse_recovery(places: &Places) -> Result<Rehearsed, Error> {
    let _lock = lock(&places.data_folder)?;
    keys::rehearse(places)
}

/// Puts another seal in place of the one that opens an installation. Who did it, and by what, stands in
/// the log first.
pub async fn reseal(surroundings: Surroundings, to: &Seal, ctx: &Ctx) -> Result<(), Error> {
    let (places, random) = (surroundings.places.clone(), Arc::clone(&surroundings.random));
    let _lead = alone(surroundings.server.as_ref())?;
    let verb = match places.seal {
        Seal::Shares(_) => "recovery.use",
        _ => "seal.change",
    };
    let app = App::open(surroundings).await?;
    announce(&*app.desk()?, ctx, verb).await?;
    drop(app);
    let _lock = lock(&places.data_folder)?;
    keys::reseal(&places, to, random.as_ref())
}

impl App {
    /// Opens an installation that nobody cosigns.
    pub async fn open(surroundings: Surroundings) -> Result<Self, Error> {
        Self::open_watched(surroundings, None).await
    }

    /// Opens an installation, finishes what a crash left half done, and is ready to serve. Its witness
    /// is asked before anything is written: a ledger it contradicts is refused as it lies there.
    pub async fn open_watched(
        surroundings: Surroundings,
        witness: Option<&Witness>,
    ) -> Result<Self, Error> {
        let Surroundings { places, server, clock, random } = surroundings;
        let is_key_file = matches!(places.seal, Seal::KeyFile(_));
        let folder = places.data_folder.clone();
        if !folder.is_dir() {
            let detail = "the data folder is not there; `strongroom init` makes a new installation";
            return Err(Error::unavailable("not_initialised", detail));
        }
        let lock = lock(&folder)?;
        let stall = Stall::default();
        let space = Space::open(&folder, stall.clone());
        let keyring = Arc::new(keys::open(&places, Arc::clone(&random))?);
        let data_at = data_place(&folder, server, &keyring)?;
        let archives = Arc::new(prepare(&data_at, &keyring, &folder)?);
        let outlook = match witness {
            Some(witness) => {
                let data = Database::at(data_at.clone(), Stall::default());
                witness::refuse_contradicted(witness, &data, &keyring, &folder).await?
            }
            None => Outlook::Empty,
        };
        let (rights, published) = (Rights::default(), Published::default());
        if witness.is_some() {
            published.expect_witness();
        }
        let trust = Arc::new(ClockTrust::starting_at(clock.as_ref()));
        let keeper = AppKeeper::new(
            Arc::clone(&keyring),
            Arc::clone(&random),
            rights.clone(),
            published.clone(),
        );
        let meter = Meter::starting_at(clock.now());
        let (committer, thread) = Committer::start(
            data_at.clone(),
            Box::new(keeper),
            Arc::clone(&clock),
            Arc::clone(&trust),
            (stall.clone(), space),
            meter.clone(),
        )?;
        let desk = Desk {
            folder: folder.clone(),
            keyring,
            committer,
            data: Database::at(data_at, stall),
            archives,
            rights,
            published,
            clock,
            trust,
            random,
            refusals: RefusalMeter::default(),
            missing_keys: MissingKeys::default(),
            strangers: StrangerMeter::default(),
            verifications: Verifications::default(),
            meter,
        };
        let app = Self {
            desk: Some(Arc::new(desk)),
            committer: Some(thread),
            data_folder: folder,
            _lock: lock,
        };
        app.start_up(is_key_file, outlook).await?;
        Ok(app)
    }

    /// What every room works at.
    pub fn desk(&self) -> Result<Arc<Desk>, Error> {
        self.desk.clone().ok_or_else(|| Error::unavailable("stopping", "the server is stopping"))
    }

    /// Where the data is.
    pub fn data_folder(&self) -> &Path {
        &self.data_folder
    }

    /// A context of a job of the system.
    pub fn job_ctx(desk: &Desk, job: &'static str) -> Result<Ctx, Error> {
        Ctx::system(job, desk.now(), Arc::clone(&desk.random))
    }

    async fn start_up(&self, is_key_file: bool, outlook: Outlook) -> Result<(), Error> {
        let desk = self.desk()?;
        vault::refuse_returned_keys(&desk).await?;
        let ctx = Self::job_ctx(&desk, "start")?;
        if desk.rights.now().is_err() {
            let kind = FindingKind::RightsAltered;
            return raise(&desk, &ctx, kind, RIGHTS_ALTERED).await;
        }
        vault::finish_begun(&desk, &ctx).await?;
        let stands = |holds: bool, kind, detail| (holds, kind, detail);
        for (holds, kind, detail) in [
            stands(is_key_file, FindingKind::KeyFileOnly, KEY_FILE_ONLY),
            stands(
                desk.keyring.is_beside(desk.data.place())?,
                FindingKind::KeysBesideData,
                KEYS_BESIDE_DATA,
            ),
            stands(
                desk.keyring.recovery_set()?.is_none(),
                FindingKind::RecoveryMissing,
                RECOVERY_MISSING,
            ),
        ] {
            match holds {
                true => remind(&desk, &ctx, kind, detail).await?,
                false => close_finding(&desk, &ctx, "start", kind).await?,
            }
        }
        witness::tell_outlook(&desk, &ctx, outlook).await?;
        witness::end_unwatched(&desk).await
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // Nobody waits for what a scan would find, and a closed database has no reader.
        if let Some(desk) = &self.desk {
            desk.committer.stall().end_scans();
        }
        // The committer ends when the last desk is gone; a request still running keeps it alive, and
        // then the lock goes with the process.
        let alone = self.desk.take().and_then(Arc::into_inner).is_some();
        if let Some(thread) = self.committer.take().filter(|_| alone) {
            let _ = thread.join();
        }
    }
}

/// Brings the data up to this program, refuses those of another pair, and finds earlier logs.
fn prepare(data: &Place, keyring: &Keyring, folder: &Path) -> Result<Vec<Archive>, Error> {
    let mut db = data.open(Durability::Durable)?;
    migrate(&mut db, DATA)?;
    moving::refuse_marked(&mut db)?;
    ledger::pair(&mut db, &keyring.installation())?;
    ledger::open_archives(&mut db, keyring, folder)
}

/// Raises what stands at every start, once a day: who calls a command ten times adds no ten entries.
async fn remind(desk: &Desk, ctx: &Ctx, kind: FindingKind, detail: &str) -> Result<(), Error> {
    match findings::last_seen(&desk.data, kind).await? {
        Some(seen) if seen.plus_days(1) > ctx.now => Ok(()),
        _ => raise(desk, ctx, kind, detail).await,
    }
}

async fn raise(desk: &Desk, ctx: &Ctx, kind: FindingKind, detail: &str) -> Result<(), Error> {
    let finding = Finding { kind, detail: detail.to_owned(), customer: None };
    raise_finding(desk, ctx, "start", &finding).await
}

/// The data folder, held. Let go by name: closing the file alone would leave it held by a child process
/// that was just forked and has not yet become another program.
struct FolderLock(File);

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Nothing is lost if it fails: the system lets go when the process ends.
        let _ = self.0.unlock();
    }
}

/// Held while something is done that no other machine may serve through. Whoever serves leads, or somebody else
/// does who serves too; over a file the lock of the folder is enough.
fn alone(server: Option<&Server>) -> Result<Option<Lead>, Error> {
    let Some(server) = server else { return Ok(None) };
    let mut lead = Lead::over(Place::Server(server.clone()));
    if lead.is_ours()? {
        return Ok(Some(lead));
    }
    let detail = "another machine serves this database; stop every one, then run this again";
    Err(Error::unavailable("served_elsewhere", detail))
}

/// Two processes on one data folder would each believe to be the only writer.
fn lock(folder: &Path) -> Result<FolderLock, Error> {
    let mut options = OpenOptions::new();
    let options = options.create(true).truncate(false).write(true).mode(0o600);
    let file = options.open(folder.join("lock")).map_err(|cause| folder_unusable(folder, cause))?;
    match file.try_lock() {
        Ok(()) => Ok(FolderLock(file)),
        Err(TryLockError::WouldBlock) => {
            let detail = "another strongroom works on this data folder; stop it, or speak to it \
                          with `--server` and a key file";
            Err(Error::unavailable("data_folder_in_use", detail))
        }
        Err(TryLockError::Error(cause)) => Err(folder_unusable(folder, cause)),
    }
}

fn data_path(folder: &Path) -> PathBuf {
    folder.join("strongroom.db")
}

/// Where the data is. Two places would each be taken for it, whichever the configuration names that day; and
/// a file is only made for an installation that has none yet.
fn data_place(folder: &Path, server: Option<Server>, keyring: &Keyring) -> Result<Place, Error> {
    let path = data_path(folder);
    match server {
        None if !path.exists() && keyring.anchor()?.is_some() => {
            let detail = "there is no strongroom.db in the data folder, and keys.db remembers its ledger; if \
                          the data was moved to a database server, name that in `[database]`, else put the \
                          file back, or restore from a backup";
            Err(Error::unavailable("data_missing", detail))
        }
        None => Ok(Place::File(path)),
        Some(server) if !path.exists() => Ok(Place::Server(server)),
        Some(_) => {
            let detail = "the configuration names a database server, and this data folder holds a \
                          strongroom.db; leave `[database]` out to go on with that. If a move back into \
                          the folder was not finished, run it again, or delete that file";
            Err(Error::unavailable("two_databases", detail))
        }
    }
}

fn folder_unusable(_folder: &Path, cause: std::io::Error) -> Error {
    let detail = format!("the data folder cannot be used: {}", cause.kind());
    Error::unavailable("data_folder_unusable", detail).caused_by(cause)
}

const KEY_FILE_ONLY: &str = "what opens the data lies in the clear on this machine: whoever steals the whole disk, or copies \
     the key file together with the data, reads every customer. `strongroom recover seal` puts a \
     passphrase or a credential of systemd in its place";
const KEYS_BESIDE_DATA: &str = "keys and data are at one database server: whoever copies its files or its backups has both, and what was \
     erased lasts there as long as its write-ahead log and its backups do. Move the keys to another server, or \
     into the data folder (`strongroom move --keys`)";
const RECOVERY_MISSING: &str = "there are no recovery shares: whoever loses the key file, the credential or the passphrase loses \
     every customer's data, and nobody can bring it back. `strongroom recover shares --shares-to DIR` \
     makes three; any two of them are the way back";
const RIGHTS_ALTERED: &str = "rows that confer or limit rights were changed in the database by other hands: a key, a policy, \
     a hold or the register of erasures. No right is honoured until the data is restored; find out \
     who can write to the database";
