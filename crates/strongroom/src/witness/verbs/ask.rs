//! The server's side: what the witness says of the ledger as it stands.

use std::path::Path;
use std::sync::Arc;

use strongroom_tlog::{AddCheckpoint, Checkpoint, Cosignature, WitnessKey, open_cosigned};

use crate::config::Config;
use crate::db::Database;
use crate::error::Error;
use crate::keys::Keyring;
use crate::ledger::{self, Cosigned, LogFacts, Newest, Signers, prove_growth};
use crate::web::Asker;
use crate::witness::api::ADD_CHECKPOINT_PATH;
use crate::witness::rules::{self, Asked, OTHER_KEY, Step, UNKNOWN_LOG, Verdict};
use crate::witness::store;

/// The witness of this installation.
pub struct Witness {
    asker: Asker,
    key: WitnessKey,
    place: String,
    is_required: bool,
}

/// What a start learned, to be told once the ledger can be written.
pub enum Outlook {
    /// The witness knows this ledger.
    Cosigned(Cosigned),
    /// There is nothing to ask about yet.
    Empty,
    /// The witness said nothing. In words, with the cure.
    Missed(String),
}

/// The ledger as it is shown to the witness.
pub(in crate::witness) struct Standing {
    /// The signed note, durable.
    pub(in crate::witness) note: Arc<str>,
    /// What it says.
    pub(in crate::witness) checkpoint: Checkpoint,
    /// The key it is signed with; of two the coming one.
    pub(in crate::witness) log: strongroom_tlog::VerifierKey,
}

impl Standing {
    pub(in crate::witness) fn of(note: Arc<str>, keyring: &Keyring) -> Result<Self, Error> {
        let origin = keyring.incarnation().1;
        let (checkpoint, log) = ledger::open_signed(keyring, origin, &note, Signers::Now)?;
        Ok(Self { note, checkpoint, log })
    }

    /// The newest checkpoint; while the log is handed over to another key, with the line that names it.
    pub(in crate::witness) fn newest(newest: &Newest, keyring: &Keyring) -> Result<Self, Error> {
        let naming = ledger::naming_note(keyring, newest)?.map(Arc::from);
        Self::of(naming.unwrap_or_else(|| Arc::clone(&newest.checkpoint)), keyring)
    }

    /// Whether what a witness cosigns here ends a hand-over.
    pub(in crate::witness) fn hands_over(&self) -> bool {
        ledger::named_key(&self.checkpoint).next().is_some()
    }
}

impl Witness {
    /// The one a configuration names.
    pub fn read(config: &Config) -> Result<Option<Self>, Error> {
        let Some(watched) = &config.witness else { return Ok(None) };
        let key = WitnessKey::parse(&watched.key)
            .map_err(|problem| Error::unprocessable("bad_config", problem.to_string()))?;
        let place = watched.url.to_string();
        let asker = Asker::new(watched.url.clone(), watched.ca.as_deref(), "witness.ca")?;
        Ok(Some(Self { asker, key, place, is_required: watched.required }))
    }

    /// Asks it to cosign the ledger as it stands; `known` is the size it is believed to be at.
    pub(in crate::witness) async fn ask(
        &self,
        standing: &Standing,
        known: u64,
        data: &Database,
    ) -> Result<Verdict, Error> {
        let size = standing.checkpoint.size;
        let mut old = known.min(size);
        for _ in 0..TRIES_MAX {
            let proof = prove_growth(data, old, size).await?;
            let checkpoint = standing.note.as_ref().to_owned();
            let body = AddCheckpoint { old, proof, checkpoint }.to_string();
            let told = match self.asker.post(ADD_CHECKPOINT_PATH, body).await {
                Ok(told) => told,
                Err(why) => return Ok(self.missed(standing, why)),
            };
            let asked = Asked { old, checkpoint: &standing.checkpoint };
            match rules::read(&asked, &told, &self.key) {
                Step::From(known) => old = known,
                Step::End(Verdict::Missed(why)) => return Ok(self.missed(standing, &why)),
                Step::End(verdict) => return Ok(verdict),
            }
        }
        Ok(self.missed(standing, "each answer names another size"))
    }

    /// The note with the line of the witness.
    pub(in crate::witness) fn cosigned(&self, standing: &Standing, said: &Cosignature) -> Cosigned {
        Cosigned {
            size: standing.checkpoint.size,
            checkpoint: format!("{}{}", standing.note, said.line).into(),
            witness_key: self.key.to_string().into(),
        }
    }

    fn missed(&self, standing: &Standing, why: &str) -> Verdict {
        let cure = match why {
            UNKNOWN_LOG => format!(
                "on its machine run `strongroom witness trust --folder DIR '{}'`, but only if you \
                 know why this log is new to it: made just now, or restored by you",
                standing.log
            ),
            OTHER_KEY => format!(
                "on its machine run `strongroom witness trust --folder DIR '{}'`, but only if you \
                 know why the key is new: rotated by you",
                standing.log
            ),
            _ => "see that it runs and is reached from here".to_owned(),
        };
        Verdict::Missed(format!("the witness at {} does not cosign: {why}; {cure}", self.place))
    }

    /// The size of the cosigned note that lies in the data folder; 0 where none of this log does.
    fn kept_size(&self, folder: &Path, keyring: &Keyring) -> Result<u64, Error> {
        let Some(note) = store::read_kept(folder)? else { return Ok(0) };
        // It may be of before the key that signs now.
        let keys = ledger::signed_keys(keyring, keyring.incarnation().1, Signers::Ever)?;
        let opened = keys.iter().find_map(|log| open_cosigned(&note, log, &self.key).ok());
        Ok(opened.map_or(0, |(checkpoint, _)| checkpoint.size))
    }
}

/// Asks at the start, before anything is written or served. Refuses a ledger that the witness knows to
/// have been longer or other: older files were put back together. A witness that is `required` and says
/// nothing refuses, too.
pub async fn refuse_contradicted(
    witness: &Witness,
    data: &Database,
    keyring: &Arc<Keyring>,
    folder: &Path,
) -> Result<Outlook, Error> {
    let own = Arc::clone(keyring);
    let facts = data.scan(move |db| ledger::facts(db, &own)).await?;
    let Some(LogFacts { checkpoint, .. }) = facts else { return Ok(Outlook::Empty) };
    let standing = Standing::of(checkpoint, keyring)?;
    let kept = witness.kept_size(folder, keyring)?;
    if kept > standing.checkpoint.size {
        return Err(contradiction(&standing, &Verdict::KnowsMore(kept)));
    }
    match witness.ask(&standing, kept, data).await? {
        Verdict::Cosigned(said) => {
            let cosigned = witness.cosigned(&standing, &said);
            store::keep(folder, &cosigned.checkpoint)?;
            Ok(Outlook::Cosigned(cosigned))
        }
        Verdict::Missed(why) if witness.is_required => {
            let detail =
                format!("{why}. `witness.required` is set, so nothing is opened until it cosigns");
            Err(Error::unavailable("witness_unreachable", detail))
        }
        Verdict::Missed(why) => Ok(Outlook::Missed(why)),
        contradicted => Err(contradiction(&standing, &contradicted)),
    }
}

/// What a contradiction is to whoever starts the server.
pub(in crate::witness) fn contradiction(standing: &Standing, verdict: &Verdict) -> Error {
    let size = standing.checkpoint.size;
    let how = match verdict {
        Verdict::KnowsMore(known) => {
            format!("it has cosigned {known} entries, and here are {size}")
        }
        Verdict::KnowsOther(known) => {
            format!("the first {known} entries it has cosigned are not the ones here")
        }
        Verdict::Cosigned(_) | Verdict::Missed(_) => "it does not fit".to_owned(),
    };
    let detail = format!(
        "the witness contradicts the ledger: {how}. strongroom.db and keys.db were put back to an \
         older state together, or written to by other hands. Nothing is served; put back the newest \
         files, or restore from backups with `strongroom restore`, which begins a ledger under a new \
         name"
    );
    Error::unavailable("witness_contradicts", detail)
}

/// Once at the size it was believed to be at, once at the one it names, once more if another process of
/// this installation asked in between.
const TRIES_MAX: u32 = 3;
