//! New keys in place of old ones, while everything goes on.
//!
//! A new root wraps a handful of keys, at once. A new wrapping key is used for every data key that is
//! made from then on; those there are follow page by page, as somebody who knows whose they are hands
//! them in. The old one is destroyed when nothing is wrapped by it, and only then is it done.

use std::collections::BTreeMap;

use strongroom_crypto::{SecretKey, random_array};

use super::recovery::read_root;
use super::turn::copy_of;
use super::unseal::{
    INDEX_OTHER, KEK, RECOVERY, ROOT, ROOT_RECOVERY, SUBJECT_OTHER, unwrap_named, wrap_named,
};
use crate::ctx::Time;
use crate::db::Connection;
use crate::error::Error;
use crate::keys::model::{Faded, Placed, Recovery, Rotation, RotationKind, SealedRoot, Unsealed};
use crate::keys::store::rotations;
use crate::keys::{Keyring, no_kek, rules, store};

impl Keyring {
    /// A new root in place of the old one, which opens backups made until now and nothing else. What
    /// opens the installation stays the same, and so do the recovery shares.
    pub async fn rotate_root(&self) -> Result<(), Error> {
        let _alone = self.wrapping.write().await;
        self.replace_root(Shares::StayGood)?;
        self.cut_log_patiently().await
    }

    /// The same after a leak: recovery shares that were handed out open nothing of it.
    pub async fn rotate_root_without_shares(&self) -> Result<(), Error> {
        let _alone = self.wrapping.write().await;
        self.replace_root(Shares::End)?;
        self.cut_log_patiently().await
    }

    fn replace_root(&self, shares: Shares) -> Result<(), Error> {
        let mut turn = self.turn()?;
        let keys = turn.keys()?;
        let provider = keys.provider.as_ref().ok_or_else(by_shares)?;
        let (random, installation) = (self.random.as_ref(), &self.installation);
        let root = SecretKey::generate(random)?;
        let before = read_root(turn.db())?;
        let mut named = Vec::new();
        let mut recovery = None;
        for (name, wrapped) in store::read_named(turn.db())? {
            if name == ROOT || (name == RECOVERY && shares == Shares::End) {
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
        turn.change_keys(root, keys.copy_of_faded(), |db| {
            if shares == Shares::End {
                rotations::delete_named(db, RECOVERY)?;
            }
            for (name, wrapped) in named {
                store::put_named(db, &name, wrapped)?;
            }
            store::put_named(db, ROOT, sealed.encode())
        })
    }

    /// Whether a rotation of this kind is under way and would go on instead of beginning; an error that says
    /// what it would have to wait for.
    pub fn goes_on(&self, kind: RotationKind) -> Result<bool, Error> {
        Ok(matches!(running(&mut *self.writer()?, kind)?, Running::Same(_)))
    }

    /// Begins a rotation, or gives the one of this kind that is not done yet. Where look-up keys are
    /// among them, [`Keyring::prepare_look_ups`] came first, and whatever was decided before it has
    /// been decided anew.
    pub async fn begin_rotation(&self, kind: RotationKind, now: Time) -> Result<Rotation, Error> {
        let _alone = self.wrapping.write().await;
        self.add_keys(kind, now)
    }

    fn add_keys(&self, kind: RotationKind, now: Time) -> Result<Rotation, Error> {
        let mut turn = self.turn()?;
        let overtaken = match running(turn.db(), kind)? {
            Running::Same(running) => return Ok(running),
            Running::Overtaken(other) => Some(Rotation { ended: Some(now), ..other }),
            Running::None => None,
        };
        let keys = turn.keys()?;
        let (newest, _) = keys.keks.last_key_value().ok_or_else(no_kek)?;
        let random = self.random.as_ref();
        let mut rotation = Rotation {
            id: random_array(random)?,
            kind,
            kek_version: *newest,
            position: None,
            passes: 0,
            rewrapped: 0,
            left_over: 0,
            unsettled: 0,
            begun: now,
            ended: None,
        };
        let mut named = Vec::new();
        if kind.wraps_anew() {
            rotation.kek_version = newest.checked_add(1).ok_or_else(no_kek)?;
            rotation.left_over = rotations::count_older(turn.db(), rotation.kek_version)?;
            let name = format!("{KEK}{}", rotation.kek_version);
            let kek = SecretKey::generate(random)?;
            named.push((name.clone(), self.wrap(&keys, &name, &kek)?));
        }
        if kind.hashes_anew() {
            named.extend(self.exchanged(&keys)?);
        }
        turn.change_keys(copy_of(&keys.root), keys.copy_of_faded(), |db| {
            for (name, wrapped) in named {
                store::put_named(db, &name, wrapped)?;
            }
            overtaken.map_or(Ok(()), |it| rotations::put(db, &it))?;
            rotations::put(db, &rotation)
        })?;
        Ok(rotation)
    }

    pub(super) fn wrap(
        &self,
        keys: &Unsealed,
        name: &str,
        key: &SecretKey,
    ) -> Result<Vec<u8>, Error> {
        wrap_named(self.random.as_ref(), &self.installation, (&keys.root, name), key)
    }

    /// Rotations, the newest first.
    pub fn rotations(&self) -> Result<Vec<Rotation>, Error> {
        rotations::list(&mut *self.writer()?)
    }

    /// Puts some data keys under the newest wrapping key, and writes down how far the rotation is, both
    /// together. A key that is not there any more is passed over.
    pub fn rewrap(&self, rotation: &Rotation, placed: &[Placed]) -> Result<Rotation, Error> {
        let turn = self.turn()?;
        let keys = turn.keys()?;
        let kek = keys.keks.get(&rotation.kek_version).ok_or_else(no_kek)?;
        turn.commit(|db| {
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
        rotations::count_older(&mut *self.writer()?, rotation.kek_version)
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

    /// Whether a rotation goes on, and no other one took its place.
    pub fn is_running(&self, rotation: &Rotation) -> Result<bool, Error> {
        let all = rotations::list(&mut *self.writer()?)?;
        Ok(all.iter().any(|it| it.id == rotation.id && it.ended.is_none()))
    }

    /// Whether the older keys of a rotation are needed no more, after a pass over all customers.
    pub fn is_settled(&self, rotation: &Rotation) -> Result<bool, Error> {
        is_settled(&mut *self.writer()?, rotation)
    }

    /// Ends a pass over all customers. Where nothing needs an older key any more, the older keys are
    /// destroyed and the rotation has its end; else it says how much is left.
    pub async fn end_pass(&self, rotation: &Rotation, now: Time) -> Result<Rotation, Error> {
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
        let mut turn = self.turn()?;
        let keys = turn.keys()?;
        let mut ended = rotation.clone();
        ended.passes += 1;
        ended.position = None;
        ended.left_over = match rotation.kind.wraps_anew() {
            true => {
                rotations::count_older(turn.db(), rotation.kek_version)?.max(rotation.unsettled)
            }
            false => rotation.unsettled,
        };
        ended.ended = is_settled(turn.db(), rotation)?.then_some(now);
        ended.unsettled = 0;
        let (kind, is_ended) = (rotation.kind, ended.ended.is_some());
        let older = || keys.keks.range(..rotation.kek_version).filter(|_| kind.wraps_anew());
        let mut faded = keys.copy_of_faded();
        if is_ended {
            let older = older().map(|(version, kek)| (*version, copy_of(kek)));
            faded.get_or_insert_with(|| (now, BTreeMap::new())).1.extend(older);
            faded.iter_mut().for_each(|(since, _)| *since = now);
        }
        turn.change_keys(copy_of(&keys.root), faded, |db| {
            if is_ended {
                for (version, _) in older() {
                    rotations::delete_named(db, &format!("{KEK}{version}"))?;
                }
            }
            if is_ended && kind.hashes_anew() {
                rotations::delete_named(db, INDEX_OTHER)?;
                rotations::delete_named(db, SUBJECT_OTHER)?;
            }
            rotations::put(db, &ended)
        })?;
        Ok(ended)
    }

    /// Forgets wrapping keys that were destroyed more than a minute ago: no read takes so long.
    pub fn forget_faded(&self, now: Time) -> Result<(), Error> {
        let keys = self.keys()?;
        let Some((since, _)) = &keys.faded else { return Ok(()) };
        if now.as_ms().abs_diff(since.as_ms()) < FADED_MS {
            return Ok(());
        }
        let turn = self.turn()?;
        let root = copy_of(&turn.keys()?.root);
        turn.change_keys(root, None, |_| Ok(()))
    }
}

/// What becomes of the recovery shares when the root is another one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shares {
    StayGood,
    End,
}

/// The rotation that is not done yet, beside one that is to begin.
pub(super) enum Running {
    None,
    /// It goes on.
    Same(Rotation),
    /// Its older keys are destroyed with those of the one that is to begin.
    Overtaken(Rotation),
}

pub(super) fn running(db: &mut Connection, kind: RotationKind) -> Result<Running, Error> {
    let Some(running) = rotations::list(db)?.into_iter().find(|it| it.ended.is_none()) else {
        return Ok(Running::None);
    };
    if running.kind == kind {
        return Ok(Running::Same(running));
    }
    let does_its_work = kind.seals_anew() || !running.kind.seals_anew();
    if kind.wraps_anew() && does_its_work && !running.kind.hashes_anew() {
        return Ok(Running::Overtaken(running));
    }
    let detail = format!(
        "a rotation of another kind (`{}`) is not done yet; wait for it (`strongroom rotate --status`), \
         then ask again",
        running.kind.as_str()
    );
    Err(Error::conflict("rotation_running", detail))
}

fn is_settled(db: &mut Connection, rotation: &Rotation) -> Result<bool, Error> {
    let kind = rotation.kind;
    if kind.wraps_anew() && rotations::count_older(db, rotation.kek_version)? > 0 {
        return Ok(false);
    }
    // Neither a hash nor a key that was wrapped anew says how old it is: a whole pass has to see it done.
    Ok(!(kind.hashes_anew() || kind.seals_anew()) || rotation.unsettled == 0)
}

impl Unsealed {
    pub(in crate::keys) fn copy_of_faded(&self) -> Option<Faded> {
        let (since, keks) = self.faded.as_ref()?;
        Some((*since, keks.iter().map(|(version, kek)| (*version, copy_of(kek))).collect()))
    }
}

const FADED_MS: u64 = 60_000;

fn by_shares() -> Error {
    let detail = "the installation is open by recovery shares alone; give it a seal first \
                  (`strongroom recover`)";
    Error::unavailable("no_seal", detail)
}
