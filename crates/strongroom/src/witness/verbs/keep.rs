//! The witness itself: a folder with its key and its record.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use strongroom_crypto::{Random, SecretKey, SigningKey, random_array};
use strongroom_tlog::{
    AddCheckpoint, Checkpoint, VerifierKey, WitnessKey, WitnessRefusal, cosign, judge,
    open_checkpoint,
};

use crate::ctx::{Clock, Time};
use crate::db::Connection;
use crate::error::Error;
use crate::ledger::named_key;
use crate::witness::store::{self, Record};

/// A witness that may be asked.
pub struct Keeper {
    record: PathBuf,
    signing: SigningKey,
    vkey: WitnessKey,
    clock: Arc<dyn Clock>,
    /// None after a failure of the disk: the next request opens the file afresh.
    db: Mutex<Option<Connection>>,
}

/// A log that is cosigned from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// Its name.
    pub origin: String,
    /// Whether it was not trusted before.
    pub is_new: bool,
}

/// Why a request was not answered with a cosignature.
#[derive(Debug)]
pub(in crate::witness) enum Unanswered {
    /// By rule.
    Refused(Refused),
    /// Nothing was decided: the record could not be read or written.
    Failed(Error),
}

/// A refusal.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::witness) struct Refused {
    pub(in crate::witness) why: WitnessRefusal,
    /// The log, where it is one of those trusted; other names are anyone's words.
    pub(in crate::witness) origin: Option<String>,
}

/// Makes a new witness: a folder with a key of its own and an empty record. Nothing is overwritten.
pub fn make(folder: &Path, name: Option<&str>, random: &dyn Random) -> Result<WitnessKey, Error> {
    let cannot = |cause: std::io::Error| {
        let detail = format!("the folder cannot be used: {}", cause.kind());
        Error::unavailable("witness_folder_unusable", detail).caused_by(cause)
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(cannot)?;
    if key_path(folder).exists() || record_path(folder).exists() {
        let detail = "this folder holds a witness already; nothing was changed. Name another one \
                      with `--folder`";
        return Err(Error::conflict("already_initialised", detail));
    }
    let seed = SecretKey::generate(random)?;
    let fresh = data_encoding::HEXLOWER.encode(&random_array::<8>(random)?);
    let name = name.map_or_else(|| format!("strongroom-witness/{fresh}"), str::to_owned);
    let vkey = WitnessKey::new(&name, SigningKey::from_seed(&seed)?.verifying_key());
    let vkey = vkey.map_err(|problem| Error::bad_request("bad_name", problem.to_string()))?;
    // The record first: a key is never there without one.
    store::create_record(&record_path(folder), &vkey.to_string())?;
    store::create_key(&key_path(folder), &name, &seed)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(cannot)?;
    Ok(vkey)
}

/// Has a witness cosign a log from now on, also while it is served.
pub fn trust(folder: &Path, vkey: &str, now: Time) -> Result<Trusted, Error> {
    let log = VerifierKey::parse(vkey.trim()).map_err(|problem| {
        let detail = format!("{problem}; give the whole line that the server printed");
        Error::bad_request("bad_log_key", detail)
    })?;
    let (_, own) = store::read_key(&key_path(folder))?;
    let mut db = store::open_record_file(&record_path(folder), &own.to_string())?;
    let is_new = Record::trust(&mut db, &log, now)?;
    Ok(Trusted { origin: log.name().to_owned(), is_new })
}

impl Keeper {
    /// Opens the witness of a folder.
    pub fn open(folder: &Path, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let (signing, vkey) = store::read_key(&key_path(folder))?;
        let record = record_path(folder);
        let db = store::open_record_file(&record, &vkey.to_string())?;
        Ok(Self { record, signing, vkey, clock, db: Mutex::new(Some(db)) })
    }

    /// Its public key.
    pub fn vkey(&self) -> &WitnessKey {
        &self.vkey
    }

    /// Answers one request with a signature line. Blocks while another one is decided.
    pub(in crate::witness) fn answer(
        &self,
        body: &str,
    ) -> Result<(Checkpoint, String), Unanswered> {
        let request = AddCheckpoint::parse(body).map_err(|_| {
            Unanswered::Refused(Refused { why: WitnessRefusal::Malformed, origin: None })
        })?;
        let mut held = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        let decided = self.decide(&mut held, &request);
        if matches!(decided, Err(Unanswered::Failed(_))) {
            // What the disk took of it is read afresh, never guessed.
            *held = None;
        }
        decided
    }

    /// Reads, decides and writes in one transaction, which no other request and no other process can
    /// come between; signs only what is durable.
    fn decide(
        &self,
        held: &mut Option<Connection>,
        request: &AddCheckpoint,
    ) -> Result<(Checkpoint, String), Unanswered> {
        let db = match held {
            Some(db) => db,
            None => {
                let opened = store::open_record_file(&self.record, &self.vkey.to_string())?;
                held.insert(opened)
            }
        };
        db.begin()?;
        let logs = Record::trusted(db, request.claimed_origin())?;
        let last = Record::of(db, request.claimed_origin())?;
        let judged = match judge(request, &logs, last.as_ref().map(|it| &it.witnessed)) {
            Ok(checkpoint) if names_strangers(&checkpoint, &logs) => Err(WitnessRefusal::OtherKey),
            judged => judged,
        };
        let checkpoint = match judged {
            Ok(checkpoint) => checkpoint,
            Err(why) => {
                db.roll_back()?;
                let origin = logs.first().map(|log| log.name().to_owned());
                return Err(Unanswered::Refused(Refused { why, origin }));
            }
        };
        // What is said later never bears an earlier time, also where the clock was set back.
        let now_s = u64::try_from(self.clock.now().as_ms() / 1000).unwrap_or(0);
        let time_s = last.map_or(now_s, |last| last.time_s.max(now_s));
        Record::write(db, &checkpoint, &request.checkpoint, time_s)?;
        // A key whose successor signs has ended: whoever stole it gets nothing cosigned any more.
        if let Some(newest) =
            logs.first().filter(|it| open_checkpoint(&request.checkpoint, it).is_ok())
        {
            Record::retire_older(db, newest, self.clock.now())?;
        }
        db.commit()?;
        let line = cosign(&checkpoint, time_s, self.vkey.name(), &self.signing);
        let line = line.map_err(Error::internal)?;
        // Keeps the write-ahead log short; what it holds is durable whether or not this is done.
        let _ = db.checkpoint_truncating();
        Ok((checkpoint, line))
    }
}

/// Whether a checkpoint hands its log over to a key nobody told of: signed with the old key alone, that
/// may be anybody's who stole it.
fn names_strangers(checkpoint: &Checkpoint, logs: &[VerifierKey]) -> bool {
    let is_known = |named: &str| logs.iter().any(|log| log.to_string() == named);
    !named_key(checkpoint).all(is_known)
}

impl From<Error> for Unanswered {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

fn key_path(folder: &Path) -> PathBuf {
    folder.join("witness.key")
}

fn record_path(folder: &Path) -> PathBuf {
    folder.join("witness.db")
}
