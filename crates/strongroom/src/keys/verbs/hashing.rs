//! New keys of hashes in place of old ones. Hashes cannot be told apart by their key, so for a while
//! everything is looked for under both.
//!
//! What is unique stays so in three steps. First the coming key is known, and nothing is written under
//! it: whoever claims a value makes sure that nobody has it under either key. Then whatever was decided
//! before that is decided anew. Only then the keys are exchanged, so of two that claim one value, one
//! under each key, the second always meets the first.

use strongroom_crypto::SecretKey;

use super::rotate::{Running, running};
use super::turn::copy_of;
use super::unseal::{INDEX, INDEX_OTHER, SUBJECT, SUBJECT_OTHER};
use crate::db::Connection;
use crate::error::Error;
use crate::keys::model::{RotationKind, Unsealed};
use crate::keys::store::rotations;
use crate::keys::{Keyring, store};

impl Keyring {
    /// Makes the keys that are to come. Harmless where a rotation of this kind goes on already.
    pub fn prepare_look_ups(&self, kind: RotationKind) -> Result<(), Error> {
        let mut turn = self.turn()?;
        if matches!(running(turn.db(), kind)?, Running::Same(_)) {
            return Ok(());
        }
        let keys = turn.keys()?;
        // One that was made and never exchanged may be as old as what leaked: it is not used.
        let mut coming = Vec::new();
        for name in [INDEX_OTHER, SUBJECT_OTHER] {
            let key = SecretKey::generate(self.random.as_ref())?;
            coming.push((name, self.wrap(&keys, name, &key)?));
        }
        turn.change_keys(copy_of(&keys.root), keys.copy_of_faded(), |db| {
            coming.into_iter().try_for_each(|(name, wrapped)| store::put_named(db, name, wrapped))
        })
    }

    /// Whether look-up keys were ever rotated: data of before stands under hashes of others.
    pub fn was_hashed_anew(&self) -> Result<bool, Error> {
        Ok(self.rotations()?.iter().any(|it| it.kind.hashes_anew()))
    }

    /// Whoever begins a rotation holds this: nobody exchanges keys between another's steps.
    pub async fn begin_alone(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.beginning.lock().await
    }

    /// The keys of hashes with their places exchanged, wrapped.
    pub(super) fn exchanged(&self, keys: &Unsealed) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut named = Vec::new();
        for (hashing, name, other_name) in
            [(&keys.index, INDEX, INDEX_OTHER), (&keys.subject, SUBJECT, SUBJECT_OTHER)]
        {
            let other = hashing.other.as_ref();
            let other = other.ok_or_else(|| Error::internal("no look-up keys were prepared"))?;
            named.push((name.to_owned(), self.wrap(keys, name, other)?));
            named.push((other_name.to_owned(), self.wrap(keys, other_name, &hashing.key)?));
        }
        Ok(named)
    }
}

/// Coming keys of a rotation that ended with its process before the keys were exchanged: nothing stands
/// under them.
pub(super) fn forget_unused_look_ups(db: &mut Connection) -> Result<(), Error> {
    let running = rotations::list(db)?.into_iter().find(|it| it.ended.is_none());
    if running.is_some_and(|it| it.kind.hashes_anew()) {
        return Ok(());
    }
    let forgotten =
        rotations::delete_named(db, INDEX_OTHER)? + rotations::delete_named(db, SUBJECT_OTHER)?;
    if forgotten > 0 { store::count_change(db) } else { Ok(()) }
}
