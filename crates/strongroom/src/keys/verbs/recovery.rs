//! The way back by shares, and another seal in place of the one there is.

use strongroom_crypto::{Random, SHARES_COUNT, SecretKey, Share, split_key};

use super::turn::copy_of;
use super::unseal::{
    FORMER, Opened, RECOVERY, ROOT, ROOT_RECOVERY, establish, open_root, open_store, unwrap_named,
    wrap_named, write_key,
};
use crate::db::Connection;
use crate::error::Error;
use crate::keys::model::{Recovery, Seal, SealedRoot};
use crate::keys::{Keyring, Places, store};

/// A fresh set of shares that nothing knows of yet.
pub struct MadeShares {
    shares: [Share; SHARES_COUNT],
    key: SecretKey,
}

impl MadeShares {
    /// The three.
    pub fn shares(&self) -> &[Share; SHARES_COUNT] {
        &self.shares
    }

    /// What all three call their set.
    pub fn set_name(&self) -> String {
        let [first, ..] = &self.shares;
        first.set_name()
    }
}

/// What two shares would open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsed {
    /// The set they are of.
    pub set: String,
    /// Keys of the installation that were unwrapped with what they gave.
    pub keys: u64,
}

impl Keyring {
    /// A recovery key nobody has yet, split. It becomes the way back with [`Keyring::keep_shares`], once
    /// the shares are written down: until then the set before it is.
    pub fn make_shares(&self) -> Result<MadeShares, Error> {
        self.keys()?;
        let key = SecretKey::generate(self.random.as_ref())?;
        Ok(MadeShares { shares: split_key(&key, self.random.as_ref())?, key })
    }

    /// From now on these shares are the way back, and no set before them.
    pub fn keep_shares(&self, made: &MadeShares) -> Result<(), Error> {
        // Under the lock of the writer the root cannot be another one meanwhile.
        let mut turn = self.turn()?;
        let keys = turn.keys()?;
        let random = self.random.as_ref();
        let wrapped =
            wrap_named(random, &self.installation, (&made.key, ROOT_RECOVERY), &keys.root)?;
        let recovery = Some(Recovery { set: made.set_name(), wrapped });
        let sealed = SealedRoot { recovery, ..read_root(turn.db())? };
        let root = copy_of(&keys.root);
        turn.change_keys(root, keys.copy_of_faded(), |db| {
            let under_root = (&keys.root, RECOVERY);
            write_key(db, random, &self.installation, under_root, &made.key)?;
            store::put_named(db, ROOT, sealed.encode())
        })
    }

    /// The name of the set of shares that is the way back; none where none was made.
    pub fn recovery_set(&self) -> Result<Option<String>, Error> {
        Ok(read_root(&mut *self.writer()?)?.recovery.map(|it| it.set))
    }
}

/// Puts another seal in place of the one that opens an installation: what opened it before opens it no
/// more. Nobody may be serving it. Backups made before stay open to what opened them then.
pub fn reseal(places: &Places, to: &Seal, random: &dyn Random) -> Result<(), Error> {
    let (mut db, installation) = open_store(&places.keys_at()?)?;
    let sealed = read_root(&mut db)?;
    let Opened { provider, root } =
        open_root(&places.seal, &places.data_folder, &installation, &sealed)?;
    let (fresh, stretch) = establish(to, &places.data_folder, random)?;
    let wrapped = wrap_named(random, &installation, (&fresh, ROOT), &root)?;
    let sealed = SealedRoot { stretch, wrapped, ..sealed };
    db.begin()?;
    if let Some(former) = provider {
        let named = store::read_named(&mut db)?;
        let number = named.iter().filter(|(name, _)| name.starts_with(FORMER)).count();
        let name = format!("{FORMER}{number:04}");
        write_key(&mut db, random, &installation, (&root, &name), &former)?;
    }
    store::put_named(&mut db, ROOT, sealed.encode())?;
    store::count_change(&mut db)?;
    db.commit()?;
    // The row as it was before must not be in the write-ahead log any more.
    db.checkpoint_truncating()
}

/// Opens an installation with two shares, looks whether every key of it unwraps, and changes nothing.
pub fn rehearse(places: &Places) -> Result<Rehearsed, Error> {
    let (mut db, installation) = open_store(&places.keys_at()?)?;
    let sealed = read_root(&mut db)?;
    let opened = open_root(&places.seal, &places.data_folder, &installation, &sealed)?;
    let mut keys = 1;
    for (name, wrapped) in store::read_named(&mut db)? {
        if name != ROOT {
            unwrap_named(&installation, &opened.root, &name, &wrapped)?;
            keys += 1;
        }
    }
    let set = sealed.recovery.map(|it| it.set).unwrap_or_default();
    Ok(Rehearsed { set, keys })
}

pub(super) fn read_root(db: &mut Connection) -> Result<SealedRoot, Error> {
    let named = store::read_named(db)?;
    let root = named.into_iter().find(|(name, _)| name == ROOT);
    let (_, bytes) = root.ok_or_else(|| Error::internal("keys.db has no root"))?;
    Ok(SealedRoot::decode(&bytes)?)
}
