//! Handing the log over to another signing key.
//!
//! An entry names the coming key. From that entry on both keys sign every checkpoint, so that whoever
//! knows the old one alone still reads where it ends. The hand-over is over when a checkpoint that names
//! the coming key in its text was cosigned (where a witness is to cosign), and from then on the new key
//! signs alone. What must never happen here: a checkpoint without a signature of the key that the newest
//! entry of this kind names.

use std::sync::Arc;

use strongroom_crypto::VerifyingKey;
use strongroom_tlog::{
    Checkpoint, Hash, VerifierKey, open_checkpoint, sign_checkpoint, sign_checkpoint_by,
};

use crate::db::{Act, Connection, Database};
use crate::error::Error;
use crate::keys::Keyring;
use crate::ledger::model::Leaf;
use crate::ledger::store::{self, Head};
use crate::ledger::{Log, Newest, altered};

/// Whose signature a checkpoint must bear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signers {
    /// The key of today or the coming one: the log that is open.
    Now,
    /// Any key of this installation: a log of before a restore, whose root a later log names.
    Ever,
}

impl Log {
    /// Where a hand-over stands when the log is loaded: the coming key while both sign. One that ended
    /// without the keys knowing of it yet is ended there too.
    pub(in crate::ledger) fn settle_handover(
        &self,
        db: &mut Connection,
        head: &Head,
    ) -> Result<Option<Arc<str>>, Error> {
        let newest = store::list_handovers(db)?.pop();
        let coming = match self.keyring.signers()?.1 {
            Some(key) => Some(verifier(&self.origin, key)?),
            None => None,
        };
        let is_named = |key: &VerifierKey| {
            newest.as_ref().is_some_and(|newest| key.to_string() == *newest.key)
        };
        let signs = |key: &VerifierKey| open_checkpoint(&head.checkpoint, key).is_ok();
        if coming.as_ref().is_some_and(|key| signs(key) && !is_named(key)) {
            return Err(altered("two keys sign it, and no row says that it is being handed over"));
        }
        let named = coming.filter(is_named);
        let Some(newest) = newest else { return Ok(None) };
        match (named, newest.note.is_empty()) {
            (Some(_), true) => {
                refuse_unwritten(db, &newest)?;
                Ok(Some(newest.key))
            }
            // The row alone ends nothing: the head must be signed by the key that it ends with.
            (Some(coming), false) => {
                refuse_unwritten(db, &newest)?;
                if !signs(&coming) {
                    return Err(unsigned());
                }
                self.keyring.promote_coming_signer()?;
                Ok(None)
            }
            (None, false) => Ok(None),
            (None, true) => {
                Err(altered("it is being handed over to a signing key that keys.db does not have"))
            }
        }
    }

    /// What the entries of a batch do to the hand-over.
    pub(in crate::ledger) fn hand_over(
        &self,
        db: &mut Connection,
        first: u64,
        acts: &[Act],
    ) -> Result<Option<Arc<str>>, Error> {
        let mut handing = self.durable.handing.clone();
        for (index, act) in (first..).zip(acts) {
            match act.entry.verb {
                HANDOVER_VERB => {
                    let key = act.entry.ticket.as_str();
                    store::begin_handover(db, index, key)?;
                    handing = Some(key.into());
                }
                HANDED_VERB => handing = None,
                _ => {}
            }
        }
        Ok(handing)
    }

    /// Whether the new key signs alone from this head on.
    pub(in crate::ledger) fn is_ended_by(&self, head: &Head) -> bool {
        self.durable.handing.is_some() && head.handing.is_none()
    }

    pub(in crate::ledger) fn sign(&self, head: &Head, root: Hash) -> Result<Arc<str>, Error> {
        let (origin, size) = (self.origin.clone(), head.frontier.size());
        let checkpoint = Checkpoint { origin, size, root, extensions: Vec::new() };
        let is_ended = self.is_ended_by(head);
        let note = self.keyring.with_signing_keys(|signing, coming| {
            match (coming, &head.handing) {
                // The old one last: its signature stands in receipts until it signs no more.
                (Some(coming), Some(_)) => sign_checkpoint_by(&checkpoint, &[coming, signing]),
                (Some(coming), None) if is_ended => sign_checkpoint(&checkpoint, coming),
                _ => sign_checkpoint(&checkpoint, signing),
            }
        })?;
        Ok(note.map_err(Error::internal)?.into())
    }
}

/// The checkpoint in a note that this installation signed for the log of a name, and the key it is
/// signed with: of two the newer.
pub fn open_signed(
    keyring: &Keyring,
    origin: &str,
    note: &str,
    whose: Signers,
) -> Result<(Checkpoint, VerifierKey), Error> {
    for key in signed_keys(keyring, origin, whose)? {
        if let Ok(checkpoint) = open_checkpoint(note, &key) {
            return Ok((checkpoint, key));
        }
    }
    Err(unsigned())
}

/// The public keys that a log of this name is or was signed with, the newest first, in C2SP form.
pub fn signed_keys(
    keyring: &Keyring,
    origin: &str,
    whose: Signers,
) -> Result<Vec<VerifierKey>, Error> {
    let (signing, coming) = keyring.signers()?;
    let mut keys: Vec<VerifyingKey> = coming.into_iter().chain([signing]).collect();
    if whose == Signers::Ever {
        keys.extend(keyring.former_signers()?.into_iter().rev());
    }
    keys.into_iter().map(|key| verifier(origin, key)).collect()
}

/// The public key that the log is signed with today: the older one of two.
pub fn verifier_key(keyring: &Keyring) -> Result<VerifierKey, Error> {
    verifier(keyring.incarnation().1, keyring.signers()?.0)
}

/// The key that verifiers need from now on: during a hand-over the coming one.
pub fn newest_key(keyring: &Keyring, newest: Option<&Newest>) -> Result<String, Error> {
    match newest.and_then(|newest| newest.handing.as_deref()) {
        Some(coming) => Ok(coming.to_owned()),
        None => verifier_key(keyring).map(|key| key.to_string()),
    }
}

/// While the log is handed over: its newest checkpoint with a line more that names the coming key, signed
/// by both keys. A witness cosigns what stands in the text, so with this it says which key it knows of.
/// The checkpoint and its root stay the same.
pub fn naming_note(keyring: &Keyring, newest: &Newest) -> Result<Option<String>, Error> {
    let Some(coming) = &newest.handing else { return Ok(None) };
    let origin = keyring.incarnation().1;
    let (mut named, _) = open_signed(keyring, origin, &newest.checkpoint, Signers::Now)?;
    named.extensions = vec![format!("{HANDOVER_LINE}{coming}")];
    let note = keyring.with_signing_keys(|signing, coming| match coming {
        Some(coming) => sign_checkpoint_by(&named, &[coming, signing]).map(Some),
        // It ended a moment ago.
        None => Ok(None),
    })?;
    note.map_err(Error::internal)
}

/// The keys that a checkpoint names as coming ones.
pub fn named_key(checkpoint: &Checkpoint) -> impl Iterator<Item = &str> {
    checkpoint.extensions.iter().filter_map(|line| line.strip_prefix(HANDOVER_LINE))
}

/// The checkpoints that handed the open log over to another key, the oldest first: what a verifier needs
/// that knows an older key alone.
pub async fn handovers(data: &Database) -> Result<Vec<String>, Error> {
    data.scan(|db| {
        let ended = store::list_handovers(db)?.into_iter().map(|it| it.note);
        Ok(ended.filter(|note| !note.is_empty()).collect())
    })
    .await
}

/// The row speaks of an entry that says the same.
fn refuse_unwritten(db: &mut Connection, handover: &store::Handover) -> Result<(), Error> {
    let stored = store::read_entries(db, handover.entry, 1)?.pop();
    let leaf = stored.and_then(|stored| Leaf::decode(&stored.leaf).ok());
    match leaf.filter(|it| it.verb == HANDOVER_VERB && it.ticket == *handover.key) {
        Some(_) => Ok(()),
        None => Err(altered("no entry says to which key it is being handed over")),
    }
}

fn verifier(origin: &str, key: VerifyingKey) -> Result<VerifierKey, Error> {
    VerifierKey::new(origin, key).map_err(Error::internal)
}

fn unsigned() -> Error {
    altered("its checkpoint is not signed by this installation")
}

/// The entry that names the coming key, as its ticket.
pub const HANDOVER_VERB: &str = "rotate.signing";

/// The entry after which the new key signs alone.
pub const HANDED_VERB: &str = "rotate.signed";

/// What a line of a checkpoint's text begins with that names the coming key.
const HANDOVER_LINE: &str = "handover ";
