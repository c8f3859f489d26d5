//! The keyring: the only owner of the key store, which is keys.db or a database of its own at a server, and the
//! only opener of sealed values.
//!
//! Keys never leave this room; rooms above hold handles. What must never happen here: a key in a
//! log or an error, a data key destroyed without a begun erasure, a missing key taken for an erasure.

mod model;
mod rules;
mod store;
#[cfg(test)]
mod tests;
mod verbs;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use strongroom_crypto::{
    CryptoError, Encoder, Plain, Random, SecretKey, constant_time_eq, peek_binding, random_array,
};

use crate::ctx::{Destruction, NewKey, Time};
use crate::db::{
    CHECKPOINT_BUSY, Checkpointer, Connection, Database, Durability, Place, Server, Snapshot,
};
use crate::error::Error;

pub use model::{
    ABOUT, Beginning, CORE, Credential, Hashed, KeyBinding, KeyBlock, KeyHandle, Mark, Permit,
    Placed, Rotation, RotationKind, Seal, Source, Standing, Versions, WordIndex, index_filling,
};
use model::{Hashing, Unsealed};
pub use store::{Anchor, DEK_TABLE, newest_schema};
pub use verbs::{
    BackupKey, BackupReader, BackupWriter, KeyReader, MadeShares, Rehearsed, backup_keys, create,
    empty_store, move_store, open, rehearse, reseal, settle,
};
use verbs::{copy_of, wrap_named};

/// Every key of an installation, and the store they live in.
pub struct Keyring {
    installation: [u8; 16],
    incarnation: (u64, String),
    unsealed: RwLock<Option<Arc<Unsealed>>>,
    words: WordIndex,
    writer: Mutex<Connection>,
    readers: Database,
    keys_at: Place,
    checkpointer: Option<Checkpointer>,
    random: Arc<dyn Random>,
    beginning: tokio::sync::Mutex<()>,
    rotating: tokio::sync::Mutex<()>,
    handing: tokio::sync::Mutex<()>,
    wrapping: tokio::sync::RwLock<()>,
}

/// Where the keys are, and what opens them.
#[derive(Clone)]
pub struct Places {
    /// The data folder, which holds keys.db.
    pub data_folder: PathBuf,
    /// The server that holds the keys; none where keys.db does.
    pub key_server: Option<Server>,
    /// What opens them.
    pub seal: Seal,
}

impl Places {
    /// Keys in the data folder.
    pub fn in_folder(data_folder: impl Into<PathBuf>, seal: Seal) -> Self {
        Self { data_folder: data_folder.into(), key_server: None, seal }
    }

    /// Where the configuration says they are, whatever else there may be.
    pub fn named(&self) -> Place {
        match &self.key_server {
            Some(server) => Place::Server(server.clone()),
            None => Place::File(self.data_folder.join("keys.db")),
        }
    }

    /// Where the keys are. Two places would each be taken for it, whichever the configuration names that day.
    ///
    /// Fails with `two_key_stores`.
    pub fn keys_at(&self) -> Result<Place, Error> {
        match self.named() {
            Place::Server(_) if self.data_folder.join("keys.db").exists() => {
                let detail = "the configuration names a database server for the keys, and this data folder \
                              holds a keys.db; leave `[key_database]` out to go on with that";
                Err(Error::unavailable("two_key_stores", detail))
            }
            named => Ok(named),
        }
    }
}

/// Whether a data key was found.
pub enum Found {
    /// It opens what it belongs to.
    Key(KeyHandle),
    /// The store does not have it. Whether that is an erasure only the register can say.
    Missing,
}

impl Keyring {
    /// The random id every sealed value is bound to.
    pub fn installation(&self) -> [u8; 16] {
        self.installation
    }

    /// Whether whoever copies a database copies the keys with it.
    pub fn is_beside(&self, data: &Place) -> Result<bool, Error> {
        self.keys_at.is_beside(data)
    }

    /// Drops every key at once: from now on nothing opens until the process starts again.
    pub fn seal(&self) {
        self.words.wipe();
        *self.unsealed.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Which customers have a word; dropped with the keys.
    pub fn words(&self) -> &WordIndex {
        &self.words
    }

    /// Whether the keys are dropped.
    pub fn is_sealed(&self) -> bool {
        self.unsealed.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// A place for new keys that nothing lies at.
    pub fn new_block(&self) -> Result<KeyBlock, Error> {
        Ok(KeyBlock(random_array(self.random.as_ref())?))
    }

    /// A new data key for a customer's compartment: the handle to seal with, and the wrapped key to
    /// put into the same change.
    pub fn new_data_key(
        &self,
        block: KeyBlock,
        customer: &[u8; 16],
        compartment: &[u8; 16],
    ) -> Result<(KeyHandle, NewKey), Error> {
        let keys = self.keys()?;
        let (version, kek) = keys.keks.last_key_value().ok_or_else(no_kek)?;
        let mut dek = [0; 16];
        let (front, rest) = dek.split_at_mut(block.0.len());
        front.copy_from_slice(&block.0);
        self.random.fill(rest)?;
        let hedge = kek.derive("strongroom/dek/hedge/v1", &self.installation);
        let key = SecretKey::generate_hedged(self.random.as_ref(), &hedge, &dek)?;
        let binding = self.binding(customer, compartment, dek);
        let aad = rules::dek_binding(&binding, *version);
        let plain = Plain::copy_of(key.expose_bytes());
        let wrapped = strongroom_crypto::wrap(kek, self.random.as_ref(), &aad, &plain)?;
        let new = NewKey { id: dek, kek_version: *version, wrapped };
        Ok((KeyHandle { binding, key, made_under: *version }, new))
    }

    /// A snapshot of the store. Take it after the snapshot of the data: a record seen there has its
    /// key here, because keys are durable first.
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        self.readers.snapshot().await
    }

    /// The data key a sealed record names, unwrapped for exactly this customer and compartment.
    pub async fn find(
        &self,
        snapshot: &mut Snapshot,
        customer: &[u8; 16],
        compartment: &[u8; 16],
        sealed: &[u8],
    ) -> Result<Found, Error> {
        // A record without a readable header was written by other hands.
        let dek = peek_binding(sealed).map_err(|_| CryptoError::Tampered)?.dek;
        self.find_called(snapshot, customer, compartment, dek).await
    }

    /// The data key with this id, for where nothing is sealed under it yet that was read.
    pub async fn find_called(
        &self,
        snapshot: &mut Snapshot,
        customer: &[u8; 16],
        compartment: &[u8; 16],
        dek: [u8; 16],
    ) -> Result<Found, Error> {
        let Some(row) = snapshot.one(store::READ_DEK, &[dek.into()]).await? else {
            return Ok(Found::Missing);
        };
        self.unwrap_found(&row, customer, compartment, dek)
    }

    fn unwrap_found(
        &self,
        row: &crate::db::Row,
        customer: &[u8; 16],
        compartment: &[u8; 16],
        dek: [u8; 16],
    ) -> Result<Found, Error> {
        let version = u32::try_from(row.integer(0)?).map_err(Error::internal)?;
        let mut keys = self.keys()?;
        if keys.kek(version).is_none() {
            // Another node may have made it.
            self.keep_up()?;
            keys = self.keys()?;
        }
        let kek = keys.kek(version).ok_or_else(no_kek)?;
        let binding = self.binding(customer, compartment, dek);
        let aad = rules::dek_binding(&binding, version);
        let plain = strongroom_crypto::unwrap_key(kek, &aad, row.bytes(1)?)?;
        let key = SecretKey::from_plain(&plain)?;
        let made_under = u32::try_from(row.integer(2)?).map_err(Error::internal)?;
        Ok(Found::Key(KeyHandle { binding, key, made_under }))
    }

    /// The MAC of a row that confers or limits authority. `columns` is a canonical encoding.
    pub fn mac_row(&self, table: &'static str, columns: &[u8]) -> Result<[u8; 32], Error> {
        let message = rules::row_message(table, columns);
        Ok(*self.keys()?.row.mac(ROW_LABEL, &message).as_bytes())
    }

    /// Whether such a row is as it was written.
    pub fn is_row_intact(
        &self,
        table: &'static str,
        columns: &[u8],
        mac: &[u8],
    ) -> Result<bool, Error> {
        Ok(constant_time_eq(&self.mac_row(table, columns)?, mac))
    }

    /// The hash under which a value is found, 128 bits.
    pub fn index(&self, field: u8, normalised: &str) -> Result<Hashed<16>, Error> {
        let message = Plain::new(rules::index_message(field, normalised));
        Ok(hashed(&self.keys()?.index, |key| {
            first_half(key.mac(INDEX_LABEL, message.expose()).as_bytes())
        }))
    }

    /// The hash a token is found under.
    pub fn token_index(&self, token: &[u8; 16]) -> Result<Hashed<32>, Error> {
        Ok(hashed(&self.keys()?.index, |key| *key.mac("strongroom/token/v1", token).as_bytes()))
    }

    /// The way back from a pseudonym.
    pub fn subject_index(&self, pseudonym: &[u8; 16]) -> Result<Hashed<32>, Error> {
        let label = "strongroom/subject/v1";
        Ok(hashed(&self.keys()?.subject, |key| *key.mac(label, pseudonym).as_bytes()))
    }

    /// A network address as the ledger keeps it: searchable while the key of its month lives.
    pub fn network_tag(&self, month: &str, address: &str) -> Result<[u8; 16], Error> {
        let key = self.month_key(month)?;
        let tag = key.mac("strongroom/network/v1", address.as_bytes());
        Ok(first_half(tag.as_bytes()))
    }

    /// Makes new data keys durable, still pending, and the anchor with them where it is given.
    pub fn put_pending(
        &self,
        keys: &[NewKey],
        anchor: Option<&Anchor>,
        now: Time,
    ) -> Result<(), Error> {
        let turn = self.turn()?;
        // INVARIANT: no data key stands in the store whose wrapping key is destroyed. One that was made
        // before a rotation ended comes too late, and its change is made again.
        if !keys.is_empty() {
            let held = turn.keys()?;
            if keys.iter().any(|key| !held.keks.contains_key(&key.kek_version)) {
                let detail =
                    "the wrapping key was rotated meanwhile; nothing was changed, try again";
                return Err(Error::unavailable("key_rotated", detail).retry_after(1));
            }
        }
        turn.commit(|db| {
            store::put_pending(db, keys, now)?;
            anchor.map_or(Ok(()), |anchor| store::write_anchor(db, anchor))
        })?;
        self.checkpointer.as_ref().inspect(|it| it.batch_written());
        Ok(())
    }

    /// The newest checkpoint this store has seen.
    pub fn anchor(&self) -> Result<Option<Anchor>, Error> {
        store::read_anchor(&mut *self.writer()?)
    }

    /// Destroys the keys a begun erasure names, for good: deleted, overwritten, and gone from the
    /// write-ahead log before this returns. A server overwrites in its own time, and they are gone there
    /// when its own log and backups of that time are. Harmless to repeat. While a reader
    /// keeps the log from being cut, other work on keys goes on.
    pub async fn destroy_forever(self: &Arc<Self>, destruction: Destruction) -> Result<u64, Error> {
        let keyring = Arc::clone(self);
        let deleting = tokio::task::spawn_blocking(move || keyring.delete(&destruction));
        let destroyed = deleting.await.map_err(Error::internal)??;
        self.cut_log_patiently().await.map(|()| destroyed)
    }

    async fn cut_log_patiently(&self) -> Result<(), Error> {
        for _ in 1..CUTS_MAX {
            match self.cut_log().await {
                Err(busy) if busy.code == CHECKPOINT_BUSY => tokio::time::sleep(CUT_PAUSE).await,
                cut => return cut,
            }
        }
        self.cut_log().await
    }

    fn delete(&self, destruction: &Destruction) -> Result<u64, Error> {
        self.turn()?.commit(|db| destruction.deks().iter().map(|dek| store::destroy(db, dek)).sum())
    }

    /// Cuts the write-ahead log to nothing, on a connection of its own: whoever cuts keeps every writer
    /// out for as long as it waits for readers, so it waits a moment only and is asked again.
    async fn cut_log(&self) -> Result<(), Error> {
        let keys_at = self.keys_at.clone();
        let cut = move || match keys_at.file() {
            Some(path) => Connection::open_to_cut(path)?.checkpoint_truncating(),
            None => keys_at.open(Durability::Durable)?.free_deleted(store::SECRET_TABLES),
        };
        tokio::task::spawn_blocking(cut).await.map_err(Error::internal)?
    }

    /// Keys that are still pending and older than a moment, at most half a million.
    pub fn list_pending(&self, created_before: Time) -> Result<Vec<[u8; 16]>, Error> {
        store::list_pending(&mut *self.writer()?, created_before)
    }

    /// Marks pending keys live: their records were seen. Whoever makes keys durable waits for a thousand
    /// of them at most.
    pub async fn mark_live(self: &Arc<Self>, deks: Vec<[u8; 16]>) -> Result<(), Error> {
        let keyring = Arc::clone(self);
        let marking = move || {
            deks.chunks(MARKED_AT_A_TIME).try_for_each(|some| {
                keyring
                    .turn()?
                    .commit(|db| some.iter().try_for_each(|dek| store::mark_live(db, dek)))
            })
        };
        tokio::task::spawn_blocking(marking).await.map_err(Error::internal)?
    }

    fn keys(&self) -> Result<Arc<Unsealed>, Error> {
        let unsealed = self.unsealed.read().unwrap_or_else(PoisonError::into_inner);
        unsealed.clone().ok_or_else(sealed)
    }

    fn binding(&self, customer: &[u8; 16], compartment: &[u8; 16], dek: [u8; 16]) -> KeyBinding {
        let (customer, compartment) = (*customer, *compartment);
        KeyBinding { installation: self.installation, customer, compartment, dek }
    }

    fn set_binding(&self, entry: u64) -> Vec<u8> {
        let mut encoder = Encoder::new("strongroom/set/v1");
        encoder.bytes(&self.installation);
        encoder.u64(entry);
        encoder.finish()
    }

    fn month_key(&self, month: &str) -> Result<Arc<SecretKey>, Error> {
        let known = |keys: &Unsealed| {
            keys.months.lock().unwrap_or_else(PoisonError::into_inner).get(month).map(Arc::clone)
        };
        if let Some(key) = known(&*self.keys()?) {
            return Ok(key);
        }
        let turn = self.turn()?;
        let keys = turn.keys()?;
        if let Some(key) = known(&keys) {
            return Ok(key);
        }
        let (random, name) = (self.random.as_ref(), format!("{MONTH}{month}"));
        let key = SecretKey::generate(random)?;
        let wrapped = wrap_named(random, &self.installation, (&keys.root, &name), &key)?;
        turn.change_keys(copy_of(&keys.root), keys.copy_of_faded(), |db| {
            store::put_named(db, &name, wrapped)
        })?;
        known(&*self.keys()?).ok_or_else(|| Error::internal("the key of a month has no row"))
    }
}

/// 128 bits of a MAC: enough that no two values meet by chance, half the index.
fn first_half(tag: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.iter_mut().zip(tag).for_each(|(slot, byte)| *slot = *byte);
    half
}

fn hashed<const N: usize>(hashing: &Hashing, hash: impl Fn(&SecretKey) -> [u8; N]) -> Hashed<N> {
    Hashed { hash: hash(&hashing.key), other: hashing.other.as_ref().map(hash) }
}

fn sealed() -> Error {
    let detail = "the server is sealed: its keys are dropped and nothing can be shown; restart it \
                  to unseal";
    Error::unavailable("sealed", detail)
}

fn no_kek() -> Error {
    Error::unavailable("tampered", "a data key names a wrapping key that this installation lacks")
}

/// How long the anchor in keys.db may lag behind the log, in ms.
pub const ANCHOR_AGE_MS_MAX: i64 = 60_000;

/// Together with the pauses five seconds: a reader that stays longer is not a short one.
const CUTS_MAX: usize = 60;

/// Room for the writers that a cut keeps out.
const CUT_PAUSE: Duration = Duration::from_millis(60);

const MARKED_AT_A_TIME: usize = 1_000;

const MONTH: &str = "month/";
const ROW_LABEL: &str = "strongroom/row/v1";
const INDEX_LABEL: &str = "strongroom/index/v1";
