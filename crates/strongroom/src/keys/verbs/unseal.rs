//! Making an installation's keys, and opening them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};

use strongroom_crypto::{
    Plain, Random, SecretKey, SigningKey, Stretch, VerifyingKey, combine_shares,
};

use crate::db::{Checkpointer, Connection, Database, Durability, Place, Stall, migrate};
use crate::error::Error;
use crate::keys::model::{Faded, Hashing, Seal, SealedRoot, Unsealed, WordIndex};
use crate::keys::store::{credential, key_file};
use crate::keys::verbs::hashing::forget_unused_look_ups;
use crate::keys::verbs::locked;
use crate::keys::verbs::moving::refuse_marked;
use crate::keys::verbs::recovery::read_root;
use crate::keys::{Keyring, MONTH, Places, rules, store};

/// Makes everything fresh: what opens the installation, keys.db, and every key in it.
pub fn create(places: &Places, random: Arc<dyn Random>) -> Result<(), Error> {
    let random = random.as_ref();
    let mut db = places.keys_at()?.open(Durability::Durable)?;
    migrate(&mut db, store::MIGRATIONS)?;
    if store::read_installation(&mut db)?.is_some() {
        let detail = "the key store holds an installation already; nothing was changed";
        return Err(Error::conflict("already_initialised", detail));
    }
    let (provider, stretch) = establish(&places.seal, &places.data_folder, random)?;
    let installation = strongroom_crypto::random_array(random)?;
    db.begin()?;
    store::write_installation(&mut db, &installation)?;
    let root = SecretKey::generate(random)?;
    let wrapped = wrap_named(random, &installation, (&provider, ROOT), &root)?;
    let sealed = SealedRoot { stretch, wrapped, recovery: None };
    store::put_named(&mut db, ROOT, sealed.encode())?;
    let first_kek = format!("{KEK}1");
    for name in [first_kek.as_str(), ROW, INDEX, SUBJECT, SETS, SIGNING] {
        let key = SecretKey::generate(random)?;
        write_key(&mut db, random, &installation, (&root, name), &key)?;
    }
    db.commit()
}

/// Opens keys.db and unseals it.
pub fn open(places: &Places, random: Arc<dyn Random>) -> Result<Keyring, Error> {
    let keys_at = places.keys_at()?;
    let (mut db, installation) = open_store(&keys_at)?;
    db.begin()?;
    store::lock_generation(&mut db)?;
    forget_unused_look_ups(&mut db)?;
    let unsealed = unseal(&mut db, installation, places)?;
    db.commit()?;
    let first = || (1, rules::first_origin(&installation));
    let words = SecretKey::generate(random.as_ref())?;
    locked::lock_one(&words);
    Ok(Keyring {
        incarnation: store::read_incarnation(&mut db)?.unwrap_or_else(first),
        installation,
        unsealed: RwLock::new(Some(Arc::new(unsealed))),
        words: WordIndex::new(words),
        writer: Mutex::new(db),
        // Nothing reads keys.db for long.
        readers: Database::at(keys_at.clone(), Stall::default()),
        checkpointer: keys_at.file().map(|it| Checkpointer::start(it.to_owned())).transpose()?,
        keys_at,
        random,
        beginning: tokio::sync::Mutex::default(),
        rotating: tokio::sync::Mutex::default(),
        handing: tokio::sync::Mutex::default(),
        wrapping: tokio::sync::RwLock::default(),
    })
}

pub(super) fn open_store(keys_at: &Place) -> Result<(Connection, [u8; 16]), Error> {
    if keys_at.file().is_some_and(|path| !path.exists()) {
        let detail = "there is no keys.db in the data folder; `strongroom init` makes a new \
                      installation, a restore brings an old one back. Where the keys are at a database \
                      server, name that in `[key_database]`";
        return Err(Error::unavailable("not_initialised", detail));
    }
    let mut db = keys_at.open(Durability::Durable)?;
    migrate(&mut db, store::MIGRATIONS)?;
    refuse_marked(&mut db)?;
    let installation = store::read_installation(&mut db)?
        .ok_or_else(|| Error::unavailable("not_initialised", "the key store is empty"))?;
    Ok((db, installation))
}

/// What a seal gives for a root that was sealed.
pub(super) struct Opened {
    /// The key of the seal; none for shares, which wrap the root by another way.
    pub(super) provider: Option<SecretKey>,
    pub(super) root: SecretKey,
}

/// The root key, by whatever opens it.
pub(super) fn open_root(
    seal: &Seal,
    data_folder: &Path,
    installation: &[u8; 16],
    sealed: &SealedRoot,
) -> Result<Opened, Error> {
    if let Seal::Shares(shares) = seal {
        let recovery = sealed.recovery.as_ref().ok_or_else(no_recovery)?;
        let [first, second] = shares.as_ref();
        let key = combine_shares(first, second).map_err(|cause| shares_do_not_fit(&cause))?;
        if first.set_name() != recovery.set {
            return Err(other_set(&first.set_name(), &recovery.set));
        }
        let root = unwrap_named(installation, &key, ROOT_RECOVERY, &recovery.wrapped)?;
        return Ok(Opened { provider: None, root });
    }
    let provider = match (seal, &sealed.stretch) {
        (Seal::Passphrase(words), Some(stretch)) => stretch.key(words.as_bytes())?,
        (Seal::KeyFile(path), None) => key_file::read(path, data_folder)?,
        (Seal::Credential(credential), None) => credential::read(credential)?,
        (_, Some(_)) => return Err(other_seal("a passphrase")),
        (_, None) => return Err(other_seal("a key file or a credential")),
    };
    let root = unwrap_named(installation, &provider, ROOT, &sealed.wrapped)
        .map_err(|_| wrong_seal(seal))?;
    Ok(Opened { provider: Some(provider), root })
}

/// Makes what is to open an installation from now on: a new key file or credential, or the key of a
/// passphrase with a fresh salt. Replaces nothing that is there.
pub(super) fn establish(
    seal: &Seal,
    data_folder: &Path,
    random: &dyn Random,
) -> Result<(SecretKey, Option<Stretch>), Error> {
    match seal {
        Seal::KeyFile(path) => {
            key_file::create(path, random)?;
            Ok((key_file::read(path, data_folder)?, None))
        }
        Seal::Credential(credential) => Ok((credential::create(credential, random)?, None)),
        Seal::Passphrase(words) => {
            if words.chars().count() < PASSPHRASE_CHARS_MIN {
                return Err(weak_passphrase());
            }
            let stretch = Stretch::new(random)?;
            Ok((stretch.key(words.as_bytes())?, Some(stretch)))
        }
        Seal::Shares(_) => {
            let detail = "recovery shares are the way back and not what opens an installation every \
                          day; choose a key file, a passphrase or a credential";
            Err(Error::unprocessable("not_a_daily_seal", detail))
        }
    }
}

pub(super) fn unseal(
    db: &mut Connection,
    installation: [u8; 16],
    places: &Places,
) -> Result<Unsealed, Error> {
    let sealed = read_root(db)?;
    let opened = open_root(&places.seal, &places.data_folder, &installation, &sealed)?;
    read_keys(db, &installation, opened, None)
}

/// Every key there is, opened by its root; beside them those that are destroyed and not yet forgotten.
pub(super) fn read_keys(
    db: &mut Connection,
    installation: &[u8; 16],
    Opened { provider, root }: Opened,
    faded: Option<Faded>,
) -> Result<Unsealed, Error> {
    let mut wrapped: BTreeMap<String, Vec<u8>> = store::read_named(db)?.into_iter().collect();
    let mut take = |name: &str| -> Result<SecretKey, Error> {
        let bytes = wrapped.remove(name).ok_or_else(incomplete)?;
        unwrap_named(installation, &root, name, &bytes)
    };
    let signing = SigningKey::from_seed(&take(SIGNING)?)?;
    let (row, sets) = (take(ROW)?, take(SETS)?);
    let (index, subject) = (take(INDEX)?, take(SUBJECT)?);
    let mut other = |name: &str| -> Result<Option<SecretKey>, Error> {
        let bytes = wrapped.remove(name);
        bytes.map(|bytes| unwrap_named(installation, &root, name, &bytes)).transpose()
    };
    let index = Hashing { key: index, other: other(INDEX_OTHER)? };
    let subject = Hashing { key: subject, other: other(SUBJECT_OTHER)? };
    let (mut keks, mut months, mut formers) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    let (mut coming, mut former_signers) = (None, Vec::new());
    for (name, bytes) in &wrapped {
        let key = || unwrap_named(installation, &root, name, bytes);
        if let Some(version) = name.strip_prefix(KEK) {
            keks.insert(version.parse().map_err(|_| incomplete())?, key()?);
        } else if let Some(month) = name.strip_prefix(MONTH) {
            months.insert(month.to_owned(), Arc::new(key()?));
        } else if name.starts_with(FORMER) {
            formers.push(key()?);
        } else if name == SIGNING_NEXT {
            coming = Some(SigningKey::from_seed(&key()?)?);
        } else if name.starts_with(SIGNER) {
            former_signers.push(VerifyingKey::from_bytes(*key()?.expose_bytes()));
        }
    }
    if keks.is_empty() {
        return Err(incomplete());
    }
    let months = Mutex::new(months);
    let unsealed = Unsealed {
        generation: store::read_generation(db)?,
        provider,
        formers,
        keks,
        faded,
        root,
        row,
        index,
        subject,
        sets,
        signing,
        coming,
        former_signers,
        months,
    };
    locked::lock(&unsealed);
    Ok(unsealed)
}

pub(super) fn unwrap_named(
    installation: &[u8; 16],
    under: &SecretKey,
    name: &str,
    wrapped: &[u8],
) -> Result<SecretKey, Error> {
    let aad = rules::name_binding(installation, name);
    let plain = strongroom_crypto::unwrap_key(under, &aad, wrapped).map_err(|_| damaged())?;
    Ok(SecretKey::from_plain(&plain)?)
}

/// A key, wrapped by another under a name.
pub(in crate::keys) fn wrap_named(
    random: &dyn Random,
    installation: &[u8; 16],
    (under, name): (&SecretKey, &str),
    key: &SecretKey,
) -> Result<Vec<u8>, Error> {
    let aad = rules::name_binding(installation, name);
    let plain = Plain::copy_of(key.expose_bytes());
    Ok(strongroom_crypto::wrap(under, random, &aad, &plain)?)
}

/// Wraps a key and puts it into keys.db.
pub(super) fn write_key(
    db: &mut Connection,
    random: &dyn Random,
    installation: &[u8; 16],
    (under, name): (&SecretKey, &str),
    key: &SecretKey,
) -> Result<(), Error> {
    store::put_named(db, name, wrap_named(random, installation, (under, name), key)?)
}

fn wrong_seal(seal: &Seal) -> Error {
    let detail = match seal {
        Seal::Passphrase(_) => {
            return Error::unavailable("wrong_passphrase", "the passphrase is not the right one");
        }
        _ => {
            "the key file or credential does not open this keys.db: it belongs to another \
             installation or was replaced, or keys.db is damaged; put back the right one, or \
             `strongroom recover` with two recovery shares"
        }
    };
    Error::unavailable("wrong_key_file", detail)
}

fn other_seal(by: &str) -> Error {
    let detail = format!(
        "this installation is opened by {by}, and the configuration says otherwise; correct `key_file` \
         or `[seal]` in it"
    );
    Error::unavailable("other_seal", detail)
}

fn no_recovery() -> Error {
    let detail = "no recovery shares were made for it, or not yet when this backup was made; it opens \
                  with its key file, credential or passphrase alone";
    Error::unavailable("no_recovery", detail)
}

fn shares_do_not_fit(cause: &strongroom_crypto::ShareError) -> Error {
    let detail = format!("{cause}; nothing was opened");
    Error::unprocessable("shares_do_not_fit", detail)
}

fn other_set(given: &str, needed: &str) -> Error {
    let detail = format!(
        "these are shares of the set `{given}`, and the set `{needed}` is needed: new shares were made \
         since, or they are of another installation; nothing was opened"
    );
    Error::unprocessable("shares_of_another_set", detail)
}

fn weak_passphrase() -> Error {
    let detail = format!(
        "a passphrase has at least {PASSPHRASE_CHARS_MIN} characters: whoever steals the disk may try \
         as many as they like. Five or six words that do not belong together are good"
    );
    Error::unprocessable("weak_passphrase", detail)
}

fn incomplete() -> Error {
    let detail = "keys.db lacks a key that every installation has: rows were deleted from it; restore \
                  it from a backup";
    Error::unavailable("keys_incomplete", detail)
}

fn damaged() -> Error {
    let detail = "a wrapped key does not open: keys.db is damaged or of two installations; restore it \
                  from a backup";
    Error::unavailable("keys_damaged", detail)
}

/// The least for a secret that stands alone (NIST SP 800-63B-4, section 3.1.1.2).
const PASSPHRASE_CHARS_MIN: usize = 15;

pub(super) const ROOT: &str = "root";
pub(super) const ROOT_RECOVERY: &str = "root/recovery";
/// The recovery key under the root, so that a new root can be wrapped by it.
pub(super) const RECOVERY: &str = "recovery";
pub(super) const KEK: &str = "kek/";
/// A key of a seal that was replaced.
pub(super) const FORMER: &str = "former/";
const ROW: &str = "row";
pub(super) const INDEX: &str = "index";
pub(super) const INDEX_OTHER: &str = "index/other";
pub(super) const SUBJECT: &str = "subject";
pub(super) const SUBJECT_OTHER: &str = "subject/other";
const SETS: &str = "sets";
pub(super) const SIGNING: &str = "signing";
/// The coming signing key, until the log is handed over to it.
pub(super) const SIGNING_NEXT: &str = "signing/next";
/// The public half of a signing key that was replaced.
pub(super) const SIGNER: &str = "signer/";
