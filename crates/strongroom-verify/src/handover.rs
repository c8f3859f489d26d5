//! A log that was handed over to another signing key.
//!
//! Whoever stole a key can write an entry that names a key of their own, and sign what is over it. So the
//! word of the old key alone is never enough: a witness that the auditor names must have cosigned a
//! checkpoint that names the new key in its text, or the auditor gives the new key.

use crate::note::{Checkpoint, Key, Note};
use crate::wrong::Wrong;

/// Which keys a log has had, as far as the auditor may believe it.
pub(crate) struct Chain {
    /// The auditor's own key, and after it those it was handed over to; the last signs the log.
    keys: Vec<Key>,
    /// What handed it over: the log must hold an entry below that says the same.
    handed: Vec<Checkpoint>,
    /// What handed it over before the auditor's own key, and to which keys: nobody's word is needed, but
    /// the log must hold an entry below that says the same.
    past: Vec<(Checkpoint, Key)>,
    /// A hand-over that only the old key vouches for: what says so, and the key.
    doubted: Option<(String, String)>,
}

impl Chain {
    /// Of a log whose root a later one names: nobody's word is needed for its keys.
    pub(crate) fn pinned(key: &Key, notes: &[Note<'_>]) -> Result<Self, Wrong> {
        let mut chain = Self::of(key);
        for (number, note) in (1..).zip(notes) {
            let (checkpoint, named) = vouched_by_new(note).map_err(|it| it.at(file(number)))?;
            chain.past.push((checkpoint, named));
        }
        Ok(chain)
    }

    /// Follows the hand-overs from the key the auditor has. Those from before it need nobody's word, since
    /// the newer key has signed the whole log.
    pub(crate) fn follow(key: &Key, witnesses: &[Key], notes: &[Note<'_>]) -> Result<Self, Wrong> {
        let mut chain = Self::of(key);
        for (number, note) in (1..).zip(notes) {
            let is_next = note.checkpoint(chain.newest()?).is_ok();
            let (checkpoint, named) = vouched_by_new(note).map_err(|it| it.at(file(number)))?;
            if !is_next || chain.newest()? == &named {
                chain.past.push((checkpoint, named));
                continue;
            }
            if !witnesses.iter().any(|witness| note.cosigned(witness).is_ok()) {
                let at = format!("`{}`, at {} entries,", file(number), checkpoint.size);
                chain.doubted = Some((at, named.to_string()));
                break;
            }
            chain.keys.push(named);
            chain.handed.push(checkpoint);
        }
        Ok(chain)
    }

    fn of(key: &Key) -> Self {
        Self { keys: vec![key.clone()], handed: Vec::new(), past: Vec::new(), doubted: None }
    }

    /// What handed it over and to which keys, whoever's word counts for it.
    pub(crate) fn handovers(&self) -> impl Iterator<Item = (&Checkpoint, &Key)> {
        let past = self.past.iter().map(|(checkpoint, key)| (checkpoint, key));
        past.chain(self.handed.iter().zip(self.keys.iter().skip(1)))
    }

    /// The key that must have signed the log.
    pub(crate) fn newest(&self) -> Result<&Key, Wrong> {
        self.keys.last().ok_or(Wrong::new("there is no key"))
    }

    /// Every key up to it: an older checkpoint may be signed with any of them.
    pub(crate) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// At how many entries it was handed over, and to which key.
    pub(crate) fn told(&self) -> Vec<(u64, String)> {
        let keys = self.keys.iter().skip(1).map(Key::to_string);
        self.handed.iter().map(|it| it.size).zip(keys).collect()
    }

    /// What to say where the newest key did not sign the log.
    pub(crate) fn unsigned(&self, wrong: Wrong) -> Wrong {
        self.doubted.as_ref().map_or(wrong, |(who, named)| unvouched(named, who))
    }

    /// Those of the entries that hand the log over for which no witness's word was needed.
    pub(crate) fn untold(&self, told: &[(u64, String)]) -> Vec<(u64, String)> {
        let followed: Vec<String> = self.keys.iter().skip(1).map(Key::to_string).collect();
        told.iter().filter(|(_, key)| !followed.contains(key)).cloned().collect()
    }

    /// Holds the entries that hand the log over against what was believed. `told` are their places and the
    /// keys they name.
    pub(crate) fn compare(&self, told: &[(u64, String)], is_pinned: bool) -> Result<(), Wrong> {
        if let Some((place, named)) = told.last()
            && !is_pinned
            && *named != self.newest()?.to_string()
        {
            return Err(unvouched(named, &format!("entry {place}")));
        }
        if let Some((who, named)) = &self.doubted {
            return Err(unvouched(named, who));
        }
        for (checkpoint, key) in self.handovers() {
            let named = key.to_string();
            let is_below =
                |(place, told): &(u64, String)| *told == named && *place < checkpoint.size;
            if !told.iter().any(is_below) {
                return Err(Wrong::new(format!(
                    "a checkpoint hands the log over to {named}, and no entry below it does"
                )));
            }
        }
        Ok(())
    }
}

/// What a note hands over at, and to which key: the key itself must have signed it.
fn vouched_by_new(note: &Note<'_>) -> Result<(Checkpoint, Key), Wrong> {
    let named = note.named_key().ok_or(Wrong::new("it names no key"))??;
    Ok((note.checkpoint(&named)?, named))
}

/// Where such a checkpoint lies, from 1 on.
pub(crate) fn file(number: u64) -> String {
    format!("handover-{number}")
}

fn unvouched(named: &str, who: &str) -> Wrong {
    Wrong::new(format!(
        "{who} hands the log over to the key {}, and nobody but the key before it says so, which a thief \
         of that key could too. Ask for the log's key of today on another way than this folder and give it \
         with `--key`, or name a witness that knew of it with `--witness`",
        named.escape_debug()
    ))
}

/// The act by which an entry hands the log over; its ticket is the coming key.
pub(crate) const HANDOVER_VERB: &str = "rotate.signing";
