//! New keys in place of old ones, while everything goes on.
//!
//! A new root wraps a handful of keys, at once. A new wrapping key is used for every data key that is
//! made from then on; those there are follow page by page, as somebody who knows whose they are hands
//! them in. The old one is destroyed when nothing is wrapped by it, and only then is it done.

use std::collections::BTreeMap;

use strongroom_crypto::{SecretKey, random_array};

use super::recovery::read_root;
use super::unseal::{
    KEK, Opened, RECOVERY, ROOT, ROOT_RECOVERY, read_keys, unwrap_named, wrap_named,
};
use crate::ctx::Time;
use crate::db::Connection;
use crate::error::Error;
use crate::keys::model::{Placed, Recovery, Rotation, SealedRoot, Unsealed};
use crate::keys::store::rotations;
use crate::keys::{Keyring, no_kek, rules, store};

impl Keyring {
    /// A new root in place of the old one, which opens backups made until now and nothing else. What
    /// opens the installation stays the same, and so do the recovery shares.
    pub async fn rotate_root(&self) -> Result<(), Error> {
        let _alone = self.wrapping.write().await;
        self.replace_root()?;
        self.cut_log_patiently().await
    }

    fn replace_root(&self) -> Result<(), Error> {
        let mut db = self.writer();
        let keys = self.keys()?;
        let provider = keys.provider.as_ref().ok_or_else(by_shares)?;
        let (random, installation) = (self.random.as_ref(), &self.installation);
        let root = SecretKey::generate(random)?;
        let before = read_root(&mut db)?;
        let mut named = Vec::new();
        let mut recovery = None;
        for (name, wrapped) in store::read_named(&mut db)? {
            if name == ROOT {
                continue;
            }
            let key = unwrap_named(installation, &keys.root, &name, &wrapped)?;
            if let (RECOVERY, Some(before)) = (name.as_str(), &before.recovery) {
                let wrapped = wrap_named(random, installation, (&key, ROOT_RECOVERY), &root)?;
                recovery = Some(Recovery { set: before.set.clone(), wrapped });
            }
            let wrapped = wrap_named(random, installation, (&root, &name), &key)?;
            named.push((name, wrapped));
        }
        let wrapped = wrap_named(random, installation, (provider, ROOT), &root)?;
        let sealed = SealedRoot { stretch: before.stretch, wrapped, recovery };
        self.write(&mut db, |db| {
            for (name, wrapped) in named {
                store::put_named(db, &name, wrapped)?;
            }
            store::put_named(db, ROOT, sealed.encode())
        })?;
        self.take_up(&mut db, root, keys.copy_of_faded())
    }

    /// Begins to put every data key under a new wrapping key, or gives the rotation that is not done yet.
    pub async fn begin_rewrap(&self, now: Time) -> Result<Rotation, Error> {
        let _alone = self.wrapping.write().await;
        self.add_kek(now)
    }

    fn add_kek(&self, now: Time) -> Result<Rotation, Error> {
        let mut db = self.writer();
        if let Some(running) = rotations::list(&mut db)?.into_iter().find(|it| it.ended.is_none()) {
            return Ok(running);
        }
        let keys = self.keys()?;
        let (newest, _) = keys.keks.last_key_value().ok_or_else(no_kek)?;
        let kek_version = newest.checked_add(1).ok_or_else(no_kek)?;
        let random = self.random.as_ref();
        let kek = SecretKey::generate(random)?;
        let name = format!("{KEK}{kek_version}");
        let wrapped = wrap_named(random, &self.installation, (&keys.root, &name), &kek)?;
        let rotation = Rotation {
            id: random_array(random)?,
            kek_version,
            position: None,
            passes: 0,
            rewrapped: 0,
            left_over: rotations::count_older(&mut db, kek_version)?,
            begun: now,
            ended: None,
        };
        self.write(&mut db, |db| {
            store::put_named(db, &name, wrapped)?;
            rotations::put(db, &rotation)
        })?;
        self.take_up(&mut db, copy_of(&keys.root), keys.copy_of_faded())?;
        Ok(rotation)
    }

    /// Rotations, the newest first.
    pub fn rotations(&self) -> Result<Vec<Rotation>, Error> {
        rotations::list(&mut self.writer())
    }

    /// Puts some data keys under the newest wrapping key, and writes down how far the rotation is, both
    /// together. A key that is not there any more is passed over.
    pub fn rewrap(&self, rotation: &Rotation, placed: &[Placed]) -> Result<Rotation, Error> {
        let mut db = self.writer();
        let keys = self.keys()?;
        let kek = keys.keks.get(&rotation.kek_version).ok_or_else(no_kek)?;
        self.write(&mut db, |db| {
            let mut done = rotation.clone();
            for key in placed {
                done.rewrapped += self.rewrap_one(db, &keys, (rotation.kek_version, kek), key)?;
            }
            rotations::put(db, &done)?;
            Ok(done)
        })
    }

    fn rewrap_one(
        &self,
        db: &mut Connection,
        keys: &Unsealed,
        (to, kek): (u32, &SecretKey),
        placed: &Placed,
    ) -> Result<u64, Error> {
        let Some(row) = db.one(store::READ_DEK, &[placed.dek.into()])? else { return Ok(0) };
        let from = u32::try_from(row.integer(0)?).map_err(Error::internal)?;
        if from >= to {
            return Ok(0);
        }
        let old = keys.keks.get(&from).ok_or_else(no_kek)?;
        let binding = self.binding(&placed.customer, &placed.compartment, placed.dek);
        let aad = rules::dek_binding(&binding, from);
        let dek = strongroom_crypto::unwrap_key(old, &aad, row.bytes(1)?)?;
        let aad = rules::dek_binding(&binding, to);
        let wrapped = strongroom_crypto::wrap(kek, self.random.as_ref(), &aad, &dek)?;
        rotations::rewrap(db, &placed.dek, (from, to), wrapped)
    }

    /// Data keys that are still under an older wrapping key.
    pub fn count_left(&self, rotation: &Rotation) -> Result<u64, Error> {
        rotations::count_older(&mut self.writer(), rotation.kek_version)
    }

    /// Whoever copies keys.db holds this: until it is let go, what wraps other keys stays as it is, so
    /// that a copy never has keys of which it lacks the one that opens them.
    pub async fn hold_wrapping(&self) -> tokio::sync::RwLockReadGuard<'_, ()> {
        self.wrapping.read().await
    }

    /// Whoever goes on with a rotation holds this: two at a time would write down each other's place.
    pub async fn rotate_alone(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.rotating.lock().await
    }

    /// Ends a pass over all customers. Where nothing is wrapped by an older key any more, the older keys
    /// are destroyed and the rotation has its end; else it says how many data keys are left.
    pub async fn end_rewrap(&self, rotation: &Rotation, now: Time) -> Result<Rotation, Error> {
        let _alone = self.wrapping.write().await;
        let ended = self.retire(rotation, now)?;
        if ended.ended.is_some() {
            self.cut_log_patiently().await?;
        }
        Ok(ended)
    }

    fn retire(&self, rotation: &Rotation, now: Time) -> Result<Rotation, Error> {
        // Held until the older keys are gone from memory too: a data key that was wrapped by one of them
        // meanwhile is refused when it comes to be put (`put_pending`).
        let mut db = self.writer();
        let keys = self.keys()?;
        let mut ended = rotation.clone();
        ended.passes += 1;
        ended.position = None;
        ended.left_over = rotations::count_older(&mut db, rotation.kek_version)?;
        if ended.left_over == 0 {
            ended.ended = Some(now);
        }
        self.write(&mut db, |db| {
            if ended.ended.is_some() {
                for version in keys.keks.keys().filter(|it| **it < rotation.kek_version) {
                    rotations::delete_named(db, &format!("{KEK}{version}"))?;
                }
            }
            rotations::put(db, &ended)
        })?;
        let mut faded = keys.copy_of_faded();
        if ended.ended.is_some() {
            let older = keys.keks.range(..rotation.kek_version);
            let older = older.map(|(version, kek)| (*version, copy_of(kek)));
            faded.get_or_insert_with(|| (now, BTreeMap::new())).1.extend(older);
            faded.iter_mut().for_each(|(since, _)| *since = now);
        }
        self.take_up(&mut db, copy_of(&keys.root), faded)?;
        Ok(ended)
    }

    /// Forgets wrapping keys that were destroyed more than a minute ago: no read takes so long.
    pub fn forget_faded(&self, now: Time) -> Result<(), Error> {
        let keys = self.keys()?;
        let Some((since, _)) = &keys.faded else { return Ok(()) };
        if now.as_ms().abs_diff(since.as_ms()) < FADED_MS {
            return Ok(());
        }
        let mut db = self.writer();
        self.take_up(&mut db, copy_of(&self.keys()?.root), None)
    }

    /// Reads all keys again, under this root.
    pub(super) fn take_up(
        &self,
        db: &mut Connection,
        root: SecretKey,
        faded: Option<(Time, BTreeMap<u32, SecretKey>)>,
    ) -> Result<(), Error> {
        let provider = self.keys()?.provider.as_ref().map(copy_of);
        let mut unsealed = read_keys(db, &self.installation, Opened { provider, root })?;
        unsealed.faded = faded;
        let mut held = self.unsealed.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Sealed meanwhile stays sealed.
        if held.is_some() {
            *held = Some(std::sync::Arc::new(unsealed));
        }
        Ok(())
    }
}

impl Unsealed {
    pub(super) fn copy_of_faded(&self) -> Option<(Time, BTreeMap<u32, SecretKey>)> {
        let (since, keks) = self.faded.as_ref()?;
        Some((*since, keks.iter().map(|(version, kek)| (*version, copy_of(kek))).collect()))
    }
}

pub(super) fn copy_of(key: &SecretKey) -> SecretKey {
    SecretKey::from_bytes(*key.expose_bytes())
}

const FADED_MS: u64 = 60_000;

fn by_shares() -> Error {
    let detail = "the installation is open by recovery shares alone; give it a seal first \
                  (`strongroom recover`)";
    Error::unavailable("no_seal", detail)
}
