//! The keyring: the only owner of keys.db and the only opener of sealed values.
//!
//! Keys never leave this room; rooms above hold handles. What must never happen here: a key in a
//! log or an error, a data key destroyed without a begun erasure, a missing key taken for an erasure.

mod model;
mod rules;
mod store;
#[cfg(test)]
mod tests;
mod verbs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use strongroom_crypto::{
    CryptoError, Encoder, Plain, Random, SecretKey, SigningKey, constant_time_eq, peek_binding,
};

use crate::ctx::{Destruction, NewKey, Time};
use crate::db::{
    CHECKPOINT_BUSY, Checkpointer, Connection, Database, Durability, Snapshot, Stall, migrate,
};
use crate::error::Error;

use model::Unsealed;
pub use model::{ABOUT, CORE, KeyBinding, KeyHandle, Permit, Source, Versions};
pub use store::{Anchor, DEK_TABLE, newest_schema};
pub use verbs::{
    BackupKey, BackupReader, BackupWriter, KeyReader, backup_key, empty_store, settle,
};

/// Every key of an installation, and the file they live in.
pub struct Keyring {
    installation: [u8; 16],
    incarnation: (u64, String),
    unsealed: RwLock<Option<Arc<Unsealed>>>,
    writer: Mutex<Connection>,
    readers: Database,
    path: PathBuf,
    checkpointer: Checkpointer,
    random: Arc<dyn Random>,
}

/// Where the keys are, and what unseals them.
pub struct Places {
    /// The data folder, which holds keys.db.
    pub data_folder: PathBuf,
    /// The key file, outside of it.
    pub key_file: PathBuf,
}

/// Whether a data key was found.
pub enum Found {
    /// It opens what it belongs to.
    Key(KeyHandle),
    /// keys.db does not have it. Whether that is an erasure only the register can say.
    Missing,
}

/// Makes everything fresh: the key file, keys.db, and every key of the installation.
pub fn create(places: &Places, random: Arc<dyn Random>) -> Result<(), Error> {
    store::key_file::create(&places.key_file, random.as_ref())?;
    let provider = store::key_file::read(&places.key_file, &places.data_folder)?;
    let mut db = Connection::open(&keys_path(&places.data_folder), Durability::Durable)?;
    migrate(&mut db, store::MIGRATIONS)?;
    let installation = strongroom_crypto::random_array(random.as_ref())?;
    db.begin()?;
    store::write_installation(&mut db, &installation)?;
    let root = SecretKey::generate(random.as_ref())?;
    write_key(&mut db, random.as_ref(), &installation, &provider, ROOT, &root)?;
    for name in [KEK_1, ROW, INDEX, SUBJECT, SETS, SIGNING] {
        let key = SecretKey::generate(random.as_ref())?;
        write_key(&mut db, random.as_ref(), &installation, &root, name, &key)?;
    }
    db.commit()
}

/// Opens keys.db and unseals it.
pub fn open(places: &Places, random: Arc<dyn Random>) -> Result<Keyring, Error> {
    let path = keys_path(&places.data_folder);
    if !path.exists() {
        let detail = "there is no keys.db in the data folder; `strongroom init` makes a new \
                      installation, a restore brings an old one back";
        return Err(Error::unavailable("not_initialised", detail));
    }
    let mut db = Connection::open(&path, Durability::Durable)?;
    migrate(&mut db, store::MIGRATIONS)?;
    let installation = store::read_installation(&mut db)?
        .ok_or_else(|| Error::unavailable("not_initialised", "keys.db is empty"))?;
    let provider = store::key_file::read(&places.key_file, &places.data_folder)?;
    let unsealed = unseal(&mut db, installation, &provider)?;
    let first = || (1, rules::first_origin(&installation));
    Ok(Keyring {
        incarnation: store::read_incarnation(&mut db)?.unwrap_or_else(first),
        installation,
        unsealed: RwLock::new(Some(Arc::new(unsealed))),
        writer: Mutex::new(db),
        // Nothing reads keys.db for long.
        readers: Database::over(&path, Stall::default()),
        checkpointer: Checkpointer::start(path.clone())?,
        path,
        random,
    })
}

impl Keyring {
    /// The random id every sealed value is bound to.
    pub fn installation(&self) -> [u8; 16] {
        self.installation
    }

    /// Drops every key at once: from now on nothing opens until the process starts again.
    pub fn seal(&self) {
        *self.unsealed.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether the keys are dropped.
    pub fn is_sealed(&self) -> bool {
        self.unsealed.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// A new data key for a customer's compartment: the handle to seal with, and the wrapped key to
    /// put into the same change.
    pub fn new_data_key(
        &self,
        customer: &[u8; 16],
        compartment: &[u8; 16],
    ) -> Result<(KeyHandle, NewKey), Error> {
        let keys = self.keys()?;
        let (version, kek) = keys.keks.last_key_value().ok_or_else(no_kek)?;
        let dek = strongroom_crypto::random_array(self.random.as_ref())?;
        let hedge = kek.derive("strongroom/dek/hedge/v1", &self.installation);
        let key = SecretKey::generate_hedged(self.random.as_ref(), &hedge, &dek)?;
        let binding = self.binding(customer, compartment, dek);
        let aad = rules::dek_binding(&binding, *version);
        let plain = Plain::copy_of(key.expose_bytes());
        let wrapped = strongroom_crypto::wrap(kek, self.random.as_ref(), &aad, &plain)?;
        let new = NewKey { id: dek, kek_version: *version, wrapped };
        Ok((KeyHandle { binding, key }, new))
    }

    /// A snapshot of keys.db. Take it after the snapshot of the data: a record seen there has its
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
        let keys = self.keys()?;
        let kek = keys.keks.get(&version).ok_or_else(no_kek)?;
        let binding = self.binding(customer, compartment, dek);
        let aad = rules::dek_binding(&binding, version);
        let plain = strongroom_crypto::unwrap_key(kek, &aad, row.bytes(1)?)?;
        Ok(Found::Key(KeyHandle { binding, key: SecretKey::from_plain(&plain)? }))
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
    pub fn index(&self, field: u8, normalised: &str) -> Result<[u8; 16], Error> {
        let message = Plain::new(rules::index_message(field, normalised));
        let tag = self.keys()?.index.mac(INDEX_LABEL, message.expose());
        Ok(first_half(tag.as_bytes()))
    }

    /// The hash a token is found under.
    pub fn token_index(&self, token: &[u8; 16]) -> Result<[u8; 32], Error> {
        Ok(*self.keys()?.index.mac("strongroom/token/v1", token).as_bytes())
    }

    /// The way back from a pseudonym.
    pub fn subject_index(&self, pseudonym: &[u8; 16]) -> Result<[u8; 32], Error> {
        Ok(*self.keys()?.subject.mac("strongroom/subject/v1", pseudonym).as_bytes())
    }

    /// A network address as the ledger keeps it: searchable while the key of its month lives.
    pub fn network_tag(&self, month: &str, address: &str) -> Result<[u8; 16], Error> {
        let key = self.month_key(month)?;
        let tag = key.mac("strongroom/network/v1", address.as_bytes());
        Ok(first_half(tag.as_bytes()))
    }

    /// Signs with the log's key.
    pub fn with_signing_key<T>(&self, sign: impl FnOnce(&SigningKey) -> T) -> Result<T, Error> {
        Ok(sign(&self.keys()?.signing))
    }

    /// Makes new data keys durable, still pending, and the anchor with them where it is given.
    pub fn put_pending(
        &self,
        keys: &[NewKey],
        anchor: Option<&Anchor>,
        now: Time,
    ) -> Result<(), Error> {
        let mut db = self.writer();
        db.begin()?;
        let written = store::put_pending(&mut db, keys, now)
            .and_then(|()| anchor.map_or(Ok(()), |anchor| store::write_anchor(&mut db, anchor)))
            .and_then(|()| db.commit());
        match written {
            Ok(()) => self.checkpointer.batch_written(),
            Err(_) => self.reopen(&mut db)?,
        }
        written
    }

    /// The newest checkpoint this store has seen.
    pub fn anchor(&self) -> Result<Option<Anchor>, Error> {
        store::read_anchor(&mut self.writer())
    }

    /// Destroys the keys a begun erasure names, for good: deleted, overwritten, and gone from the
    /// write-ahead log before this returns. Harmless to repeat. While a reader keeps the log from being
    /// cut, other work on keys goes on.
    pub async fn destroy_forever(self: &Arc<Self>, destruction: Destruction) -> Result<u64, Error> {
        let keyring = Arc::clone(self);
        let deleting = tokio::task::spawn_blocking(move || keyring.delete(&destruction));
        let destroyed = deleting.await.map_err(Error::internal)??;
        for _ in 1..CUTS_MAX {
            match self.cut_log().await {
                Err(busy) if busy.code == CHECKPOINT_BUSY => tokio::time::sleep(CUT_PAUSE).await,
                cut => return cut.map(|()| destroyed),
            }
        }
        self.cut_log().await.map(|()| destroyed)
    }

    fn delete(&self, destruction: &Destruction) -> Result<u64, Error> {
        let mut db = self.writer();
        db.begin()?;
        let deks = destruction.deks().iter();
        let deleted = deks
            .map(|dek| store::destroy(&mut db, dek))
            .sum::<Result<u64, Error>>()
            .and_then(|rows| db.commit().map(|()| rows));
        if deleted.is_err() {
            self.reopen(&mut db)?;
        }
        deleted
    }

    /// Cuts the write-ahead log to nothing, on a connection of its own: whoever cuts keeps every writer
    /// out for as long as it waits for readers, so it waits a moment only and is asked again.
    async fn cut_log(&self) -> Result<(), Error> {
        let path = self.path.clone();
        let cut = move || Connection::open_to_cut(&path)?.checkpoint_truncating();
        tokio::task::spawn_blocking(cut).await.map_err(Error::internal)?
    }

    /// Keys that are still pending and older than a moment, at most a thousand.
    pub fn list_pending(&self, created_before: Time) -> Result<Vec<[u8; 16]>, Error> {
        store::list_pending(&mut self.writer(), created_before)
    }

    /// Marks a pending key live: its record was seen.
    pub fn mark_live(&self, dek: &[u8; 16]) -> Result<(), Error> {
        store::mark_live(&mut self.writer(), dek)
    }

    fn keys(&self) -> Result<Arc<Unsealed>, Error> {
        let unsealed = self.unsealed.read().unwrap_or_else(PoisonError::into_inner);
        unsealed.clone().ok_or_else(|| {
            let detail = "the server is sealed: its keys are dropped and nothing can be shown; \
                          restart it to unseal";
            Error::unavailable("sealed", detail)
        })
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After a write that failed, a fresh connection and a log file copied whole: what the old
    /// connection believes of the disk is not believed any more.
    fn reopen(&self, db: &mut Connection) -> Result<(), Error> {
        // The old connection lets its transaction go first, or the fresh one waits for it in vain.
        let _ = db.roll_back();
        let mut fresh = Connection::open(&self.path, Durability::Durable)?;
        fresh.checkpoint_truncating()?;
        *db = fresh;
        Ok(())
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
        let keys = self.keys()?;
        let mut months = keys.months.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = months.get(month) {
            return Ok(Arc::clone(key));
        }
        let key = SecretKey::generate(self.random.as_ref())?;
        let name = format!("{MONTH}{month}");
        let random = self.random.as_ref();
        write_key(&mut self.writer(), random, &self.installation, &keys.root, &name, &key)?;
        let key = Arc::new(key);
        months.insert(month.to_owned(), Arc::clone(&key));
        Ok(key)
    }
}

fn unseal(
    db: &mut Connection,
    installation: [u8; 16],
    provider: &SecretKey,
) -> Result<Unsealed, Error> {
    let mut wrapped: BTreeMap<String, Vec<u8>> = store::read_named(db)?.into_iter().collect();
    let mut take = |under: &SecretKey, name: &str| -> Result<SecretKey, Error> {
        let bytes = wrapped.remove(name).ok_or_else(wrong_key_file)?;
        unwrap_named(&installation, under, name, &bytes)
    };
    let root = take(provider, ROOT)?;
    let signing = SigningKey::from_seed(&take(&root, SIGNING)?)?;
    let mut keys = Unsealed {
        keks: BTreeMap::from([(1, take(&root, KEK_1)?)]),
        row: take(&root, ROW)?,
        index: take(&root, INDEX)?,
        subject: take(&root, SUBJECT)?,
        sets: take(&root, SETS)?,
        signing,
        months: Mutex::default(),
        root,
    };
    let mut months = BTreeMap::new();
    for (name, bytes) in &wrapped {
        if let Some(month) = name.strip_prefix(MONTH) {
            let key = unwrap_named(&installation, &keys.root, name, bytes)?;
            months.insert(month.to_owned(), Arc::new(key));
        }
    }
    keys.months = Mutex::new(months);
    Ok(keys)
}

fn unwrap_named(
    installation: &[u8; 16],
    under: &SecretKey,
    name: &str,
    wrapped: &[u8],
) -> Result<SecretKey, Error> {
    let aad = rules::name_binding(installation, name);
    let plain =
        strongroom_crypto::unwrap_key(under, &aad, wrapped).map_err(|_| wrong_key_file())?;
    Ok(SecretKey::from_plain(&plain)?)
}

fn write_key(
    db: &mut Connection,
    random: &dyn Random,
    installation: &[u8; 16],
    under: &SecretKey,
    name: &str,
    key: &SecretKey,
) -> Result<(), Error> {
    let aad = rules::name_binding(installation, name);
    let plain = Plain::copy_of(key.expose_bytes());
    store::write_named(db, name, strongroom_crypto::wrap(under, random, &aad, &plain)?)
}

/// 128 bits of a MAC: enough that no two values meet by chance, half the index.
fn first_half(tag: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.iter_mut().zip(tag).for_each(|(slot, byte)| *slot = *byte);
    half
}

fn keys_path(data_folder: &Path) -> PathBuf {
    data_folder.join("keys.db")
}

fn no_kek() -> Error {
    Error::unavailable("tampered", "a data key names a wrapping key that this installation lacks")
}

fn wrong_key_file() -> Error {
    let detail = "the key file does not open this keys.db: it belongs to another installation, or \
                  keys.db is damaged; put back the right one";
    Error::unavailable("wrong_key_file", detail)
}

/// How long the anchor in keys.db may lag behind the log, in ms.
pub const ANCHOR_AGE_MS_MAX: i64 = 60_000;

/// Together with the pauses five seconds: a reader that stays longer is not a short one.
const CUTS_MAX: usize = 60;

/// Room for the writers that a cut keeps out.
const CUT_PAUSE: Duration = Duration::from_millis(60);

const ROOT: &str = "root";
const KEK_1: &str = "kek/1";
const ROW: &str = "row";
const INDEX: &str = "index";
const SUBJECT: &str = "subject";
const SETS: &str = "sets";
const SIGNING: &str = "signing";
const MONTH: &str = "month/";
const ROW_LABEL: &str = "strongroom/row/v1";
const INDEX_LABEL: &str = "strongroom/index/v1";
