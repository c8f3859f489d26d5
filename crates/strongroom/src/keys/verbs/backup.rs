//! What a backup needs of the keys: its seal, its signature, and a copy of the wrapped keys.
//!
//! Both backups are sealed for one age recipient and named in a manifest under one MAC; both secrets
//! derive from the root key. The manifest carries the root as it is wrapped in keys.db, so whatever
//! unseals the installation opens its backups, and nothing else does.

use std::io::{Read, Write};
use std::path::Path;

use bech32::ToBase32;
use strongroom_crypto::{CryptoError, SecretKey, constant_time_eq, peek_binding};
use zeroize::Zeroizing;

use crate::db::{
    Connection, Durability, TableShape, Value, list_tables, migrate, migrate_to, rows_after,
};
use crate::error::Error;
use crate::keys::model::SealedRoot;
use crate::keys::store::rotations;
use crate::keys::verbs::recovery::read_root;
use crate::keys::verbs::unseal::{ROOT, open_root, unwrap_named};
use crate::keys::{Found, Keyring, Places, store};

/// Seals backups and opens them again.
pub struct BackupKey {
    identity: age::x25519::Identity,
    manifest: SecretKey,
}

/// A part on its way into its file.
pub type BackupWriter<W> = age::stream::StreamWriter<W>;

/// A part on its way out of its file.
pub type BackupReader<R> = age::stream::StreamReader<R>;

/// Short reads of keys.db, each of its own: a read that lasts would keep a destroyed key in the
/// write-ahead log.
pub struct KeyReader {
    db: Connection,
}

impl KeyReader {
    /// Whether keys.db has a data key.
    pub fn has(&mut self, dek: &[u8; 16]) -> Result<bool, Error> {
        store::exists(&mut self.db, dek)
    }
}

/// The key of a backup of this installation, by whatever opens it: its root stands in its manifest.
pub fn backup_keys(
    places: &Places,
    installation: &[u8; 16],
    wrapped_root: &[u8],
) -> Result<Vec<BackupKey>, Error> {
    let sealed = SealedRoot::decode(wrapped_root)?;
    let opened = open_root(&places.seal, &places.data_folder, installation, &sealed);
    let root = opened.map_err(|error| match error.code {
        "wrong_key_file" => {
            let detail = "the key file or credential does not open this backup: it belongs to another \
                          installation, or was replaced since the backup was made. Name the one that was \
                          in use then with `--seal-key`, or two recovery shares with `--share`";
            Error::unavailable("wrong_key_file", detail)
        }
        _ => error,
    })?;
    Ok(vec![BackupKey::of(&root.root, installation)?])
}

/// An empty keys.db of the version a backup was made with, to be filled.
pub fn empty_store(path: &Path, version: u32) -> Result<Connection, Error> {
    let mut db = Connection::open(path, Durability::Scratch)?;
    migrate_to(&mut db, store::MIGRATIONS, version)?;
    Ok(db)
}

/// A filled keys.db becomes the key store of a new incarnation of the log, whose first checkpoint it
/// is anchored to.
pub fn settle(
    db: &mut Connection,
    path: &Path,
    incarnation: (u64, &str),
    anchor: &store::Anchor,
) -> Result<(), Error> {
    migrate(db, store::MIGRATIONS)?;
    store::mark_all_pending(db)?;
    rotations::reopen(db)?;
    store::write_incarnation(db, incarnation.0, incarnation.1)?;
    store::forget_anchor(db)?;
    store::write_anchor(db, anchor)?;
    db.settle(path)
}

impl BackupKey {
    fn of(root: &SecretKey, installation: &[u8; 16]) -> Result<Self, Error> {
        let secret = root.derive("strongroom/backup/identity/v1", installation);
        let manifest = root.derive("strongroom/backup/manifest/v1", installation);
        Ok(Self { identity: identity_of(&secret)?, manifest })
    }

    /// One that is always the same, for the fuzzer.
    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) fn fixed() -> Result<Self, Error> {
        Self::of(&SecretKey::from_bytes([7; 32]), &[1; 16])
    }

    /// What is written comes out sealed; it is whole only after `finish`.
    pub fn seal<W: Write>(&self, to: W) -> Result<BackupWriter<W>, Error> {
        let recipient = self.identity.to_public();
        let recipients = std::iter::once(&recipient as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).map_err(Error::internal)?;
        encryptor.wrap_output(to).map_err(Error::internal)
    }

    /// What was sealed by [`BackupKey::seal`]; a changed byte is an error where it is read.
    pub fn open<R: Read>(&self, from: R) -> Result<BackupReader<R>, Error> {
        let identities = std::iter::once(&self.identity as &dyn age::Identity);
        let opened = age::Decryptor::new(from).and_then(|it| it.decrypt(identities));
        opened.map_err(|_| CryptoError::Tampered.into())
    }

    /// The MAC of a manifest.
    pub fn mac(&self, manifest: &[u8]) -> [u8; 32] {
        *self.manifest.mac(MANIFEST_LABEL, manifest).as_bytes()
    }

    /// Whether a manifest is one we wrote.
    pub fn is_ours(&self, manifest: &[u8], mac: &[u8]) -> bool {
        constant_time_eq(&self.mac(manifest), mac)
    }
}

impl Keyring {
    /// Seals and signs backups of this installation.
    pub fn backup_key(&self) -> Result<BackupKey, Error> {
        BackupKey::of(&self.keys()?.root, &self.installation)
    }

    /// Keys that may be those of a backup of this installation: of the root there is now, and of the one
    /// its manifest carries if a seal there is or was opens it.
    pub fn backup_keys(&self, wrapped_root: &[u8]) -> Result<Vec<BackupKey>, Error> {
        let keys = self.keys()?;
        let mut found = vec![self.backup_key()?];
        let Ok(sealed) = SealedRoot::decode(wrapped_root) else { return Ok(found) };
        for seal in keys.provider.iter().chain(&keys.formers) {
            if let Ok(root) = unwrap_named(&self.installation, seal, ROOT, &sealed.wrapped) {
                found.push(BackupKey::of(&root, &self.installation)?);
            }
        }
        Ok(found)
    }

    /// The root key as it is wrapped, for the manifest of a backup.
    pub fn wrapped_root(&self) -> Result<Vec<u8>, Error> {
        Ok(read_root(&mut *self.writer()?)?.encode())
    }

    /// Every row of keys.db, data keys last. Many short reads: a key that is made meanwhile may be
    /// missing, one that is destroyed meanwhile may still be there.
    pub fn copy(
        &self,
        mut visit: impl FnMut(&TableShape, Vec<Value>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut db = self.keys_at.open(Durability::ReadOnly)?;
        let (deks, others): (Vec<_>, Vec<_>) =
            list_tables(&mut db)?.into_iter().partition(|it| it.name == store::DEK_TABLE);
        for table in others.iter().chain(&deks) {
            let mut after = None;
            loop {
                let page = rows_after(&mut db, table, after.as_ref(), COPY_PAGE_ROWS)?;
                let Some(last) = page.last() else { break };
                after = last.first().cloned();
                for row in page {
                    visit(table, row)?;
                }
            }
        }
        Ok(())
    }

    /// Which incarnation of the log this is: its number, and the name it signs under. A restore opens a
    /// new one, so two histories never have one name.
    pub fn incarnation(&self) -> (u64, &str) {
        (self.incarnation.0, &self.incarnation.1)
    }

    /// Which of these keys keys.db still has.
    pub fn which_exist(&self, deks: &[[u8; 16]]) -> Result<Vec<[u8; 16]>, Error> {
        let mut db = self.writer()?;
        let mut found = Vec::new();
        for dek in deks {
            if store::exists(&mut db, dek)? {
                found.push(*dek);
            }
        }
        Ok(found)
    }

    /// A connection for many look-ups outside of any snapshot.
    pub fn reader(&self) -> Result<KeyReader, Error> {
        Ok(KeyReader { db: self.keys_at.open(Durability::ReadOnly)? })
    }

    /// [`Keyring::find`] on a thread that may block.
    pub fn find_with(
        &self,
        reader: &mut KeyReader,
        customer: &[u8; 16],
        compartment: &[u8; 16],
        sealed: &[u8],
    ) -> Result<Found, Error> {
        let dek = peek_binding(sealed).map_err(|_| CryptoError::Tampered)?.dek;
        let Some(row) = reader.db.one(store::READ_DEK, &[dek.into()])? else {
            return Ok(Found::Missing);
        };
        self.unwrap_found(&row, customer, compartment, dek)
    }
}

/// age reads a secret as text alone.
fn identity_of(secret: &SecretKey) -> Result<age::x25519::Identity, Error> {
    let words = secret.expose_bytes().to_base32();
    let text = bech32::encode("age-secret-key-", words, bech32::Variant::Bech32);
    let text = Zeroizing::new(text.map_err(Error::internal)?);
    text.parse().map_err(|_| Error::internal("a derived key is no identity"))
}

const MANIFEST_LABEL: &str = "strongroom/backup/manifest/mac/v1";

/// A page is read in milliseconds.
const COPY_PAGE_ROWS: i64 = 10_000;
