//! A turn at the key store: nobody else writes there, on whatever machine, and the keys in memory are those
//! that stand there.
//!
//! In a file the lock of the connection is enough. At a server there may be other nodes, so a turn begins by
//! locking the row that counts what changed, and reads the keys again where another changed them.

use std::sync::{Arc, MutexGuard, PoisonError};

use strongroom_crypto::SecretKey;

use super::recovery::read_root;
use super::unseal::{Opened, ROOT, read_keys, unwrap_named};
use crate::db::{Connection, Durability};
use crate::error::Error;
use crate::keys::model::{Faded, Unsealed};
use crate::keys::{Keyring, sealed, store};

/// Held until it is dropped, which leaves everything as it was, or committed.
pub(in crate::keys) struct Turn<'a> {
    keyring: &'a Keyring,
    db: MutexGuard<'a, Connection>,
    /// None where they are dropped: what needs none goes on.
    keys: Option<Arc<Unsealed>>,
    is_open: bool,
}

impl Keyring {
    /// Waits for the turn and begins a transaction.
    pub(in crate::keys) fn turn(&self) -> Result<Turn<'_>, Error> {
        let mut db = self.writer()?;
        db.begin()?;
        let taken = self.take_over(&mut db);
        if taken.is_err() {
            self.reopen(&mut db)?;
        }
        Ok(Turn { keyring: self, db, keys: taken?, is_open: true })
    }

    /// Takes over what another node changed, where there may be one. Harmless at any time.
    pub fn keep_up(&self) -> Result<(), Error> {
        match self.keys_at.file() {
            Some(_) => Ok(()),
            None => self.turn().map(drop),
        }
    }

    fn take_over(&self, db: &mut Connection) -> Result<Option<Arc<Unsealed>>, Error> {
        let generation = match self.keys_at.file() {
            Some(_) => store::read_generation(db)?,
            None => store::lock_generation(db)?,
        };
        let Ok(keys) = self.keys() else { return Ok(None) };
        if generation == keys.generation {
            return Ok(Some(keys));
        }
        let provider = keys.provider.as_ref().ok_or_else(changed_elsewhere)?;
        let sealed = read_root(db)?;
        let root = unwrap_named(&self.installation, provider, ROOT, &sealed.wrapped)
            .map_err(|_| changed_elsewhere())?;
        self.hold_keys(self.read_keys(db, root, keys.copy_of_faded())?).map(Some)
    }

    fn read_keys(
        &self,
        db: &mut Connection,
        root: SecretKey,
        faded: Option<Faded>,
    ) -> Result<Unsealed, Error> {
        let provider = self.keys()?.provider.as_ref().map(copy_of);
        read_keys(db, &self.installation, Opened { provider, root }, faded)
    }

    /// From now on these are the keys; sealed meanwhile stays sealed.
    fn hold_keys(&self, keys: Unsealed) -> Result<Arc<Unsealed>, Error> {
        let mut held = self.unsealed.write().unwrap_or_else(PoisonError::into_inner);
        let held = held.as_mut().ok_or_else(sealed)?;
        *held = Arc::new(keys);
        Ok(Arc::clone(held))
    }

    /// The connection for what needs no turn. One that the server ended is opened afresh.
    pub(in crate::keys) fn writer(&self) -> Result<MutexGuard<'_, Connection>, Error> {
        let mut db = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if db.is_closed() {
            *db = self.keys_at.open(Durability::Durable)?;
        }
        Ok(db)
    }

    /// After a write that failed, a fresh connection and a log file copied whole: what the old connection
    /// believes of the disk is not believed any more, and neither are the keys in memory.
    fn reopen(&self, db: &mut Connection) -> Result<(), Error> {
        // The old connection lets its transaction go first, or the fresh one waits for it in vain.
        let _ = db.roll_back();
        let mut fresh = self.keys_at.open(Durability::Durable)?;
        fresh.checkpoint_truncating()?;
        *db = fresh;
        Ok(())
    }
}

impl Turn<'_> {
    /// The keys as they stand in the store. 503 `sealed` where they are dropped.
    pub(in crate::keys) fn keys(&self) -> Result<Arc<Unsealed>, Error> {
        self.keys.clone().ok_or_else(sealed)
    }

    /// The store.
    pub(in crate::keys) fn db(&mut self) -> &mut Connection {
        &mut self.db
    }

    /// Writes what changes no key of the installation, durably.
    pub(in crate::keys) fn commit<T>(
        mut self,
        writes: impl FnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let written = writes(&mut self.db).and_then(|done| self.db.commit().map(|()| done));
        self.end(written.is_ok())?;
        written
    }

    /// Changes which keys there are, durably, and holds them from then on, under this root; beside them
    /// those that are destroyed and not yet forgotten.
    pub(in crate::keys) fn change_keys(
        mut self,
        root: SecretKey,
        faded: Option<Faded>,
        writes: impl FnOnce(&mut Connection) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let keyring = self.keyring;
        let db = &mut self.db;
        let written = writes(db)
            .and_then(|()| store::count_change(db))
            .and_then(|()| keyring.read_keys(db, root, faded))
            .and_then(|keys| db.commit().map(|()| keys));
        self.end(written.is_ok())?;
        keyring.hold_keys(written?).map(drop)
    }

    fn end(&mut self, is_committed: bool) -> Result<(), Error> {
        self.is_open = false;
        if is_committed { Ok(()) } else { self.keyring.reopen(&mut self.db) }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.is_open && self.db.roll_back().is_err() {
            // The next turn finds the connection ended, and opens another one.
            tracing::debug!("a turn at the key store could not be let go");
        }
    }
}

pub(in crate::keys) fn copy_of(key: &SecretKey) -> SecretKey {
    SecretKey::from_bytes(*key.expose_bytes())
}

fn changed_elsewhere() -> Error {
    let detail = "the key store was changed by another program, and what opened it here does not open it any \
                  more; start this server again";
    Error::unavailable("keys_changed", detail)
}
