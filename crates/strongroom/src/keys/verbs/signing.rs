//! The keys that sign the log: the one of today, the coming one while the log is handed over to it, and
//! the public halves of those before.

use strongroom_crypto::{SecretKey, SigningKey, VerifyingKey};

use super::turn::copy_of;
use super::unseal::{SIGNER, SIGNING, SIGNING_NEXT, wrap_named};
use crate::db::CHECKPOINT_BUSY;
use crate::error::Error;
use crate::keys::store::rotations;
use crate::keys::{Keyring, store};

impl Keyring {
    /// Held over all steps of a hand-over: two of them at a time would name two keys.
    pub async fn hand_over_alone(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.handing.lock().await
    }

    /// Signs with the log's key, and is given the coming one where there is one.
    pub fn with_signing_keys<T>(
        &self,
        sign: impl FnOnce(&SigningKey, Option<&SigningKey>) -> T,
    ) -> Result<T, Error> {
        let keys = self.keys()?;
        Ok(sign(&keys.signing, keys.coming.as_ref()))
    }

    /// The public key the log is signed with, and the coming one where there is one.
    pub fn signers(&self) -> Result<(VerifyingKey, Option<VerifyingKey>), Error> {
        self.with_signing_keys(|signing, coming| {
            (signing.verifying_key(), coming.map(SigningKey::verifying_key))
        })
    }

    /// The public keys the log was signed with before: of the logs of earlier incarnations, and of notes
    /// that were kept.
    pub fn former_signers(&self) -> Result<Vec<VerifyingKey>, Error> {
        Ok(self.keys()?.former_signers.clone())
    }

    /// Makes the coming signing key and keeps it beside the one there is, or gives the one that was made
    /// before and that nothing was handed over to yet.
    pub fn make_coming_signer(&self) -> Result<VerifyingKey, Error> {
        let turn = self.turn()?;
        let keys = turn.keys()?;
        if let Some(coming) = &keys.coming {
            return Ok(coming.verifying_key());
        }
        let random = self.random.as_ref();
        let seed = SecretKey::generate(random)?;
        let public = SigningKey::from_seed(&seed)?.verifying_key();
        let under_root = (&keys.root, SIGNING_NEXT);
        let wrapped = wrap_named(random, &self.installation, under_root, &seed)?;
        turn.change_keys(copy_of(&keys.root), keys.copy_of_faded(), |db| {
            store::put_named(db, SIGNING_NEXT, wrapped)
        })?;
        Ok(public)
    }

    /// The coming key takes the place of the one that signed until now, of which the public half alone is
    /// left. Only after an entry that says so is durable; harmless to repeat.
    pub fn promote_coming_signer(&self) -> Result<(), Error> {
        let mut turn = self.turn()?;
        let keys = turn.keys()?;
        if keys.coming.is_none() {
            return Ok(());
        }
        let (random, installation) = (self.random.as_ref(), &self.installation);
        let named = store::read_named(turn.db())?;
        let coming = named.iter().find(|(name, _)| name == SIGNING_NEXT);
        let (_, coming) = coming.ok_or_else(|| Error::internal("the coming key has no row"))?;
        let seed = super::unseal::unwrap_named(installation, &keys.root, SIGNING_NEXT, coming)?;
        let wrapped = wrap_named(random, installation, (&keys.root, SIGNING), &seed)?;
        let count = named.iter().filter(|(name, _)| name.starts_with(SIGNER)).count();
        let name = format!("{SIGNER}{count:04}");
        // Public, and kept like a secret all the same: under the root nobody puts another one there.
        let old = SecretKey::from_bytes(*keys.signing.verifying_key().as_bytes());
        let former = wrap_named(random, installation, (&keys.root, &name), &old)?;
        turn.change_keys(copy_of(&keys.root), keys.copy_of_faded(), |db| {
            store::put_named(db, &name, former)?;
            store::put_named(db, SIGNING, wrapped)?;
            rotations::delete_named(db, SIGNING_NEXT).map(drop)
        })
    }

    /// The write-ahead log still holds the row of the key that signed before. A reader that keeps it is no
    /// failure of a rotation: the log is cut again and again.
    pub async fn forget_former_signer(&self) -> Result<(), Error> {
        match self.cut_log_patiently().await {
            Err(busy) if busy.code == CHECKPOINT_BUSY => Ok(()),
            cut => cut,
        }
    }
}
