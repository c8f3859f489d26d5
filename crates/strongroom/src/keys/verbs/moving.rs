//! The key store, moved to another place.
//!
//! What must never happen here: keys left behind, where an erasure no longer reaches them; keys gone before they
//! were seen to open at the new place. So the store that is filled carries a mark and nothing opens it until
//! every row was held against the one it came from and every key was opened; then the store that is left is
//! emptied and marked in one transaction; and only then the mark goes. Wherever it breaks off, the same command
//! goes on.

use std::path::Path;

use super::unseal::unseal;
use crate::db::{
    Connection, Durability, Leg, Mark, Moving, Place, copy_all, count_all, is_empty, leave_empty,
    migrate, move_flawed,
};
use crate::error::Error;
use crate::keys::{Places, store};

/// Moves the keys to another place, and gives how many rows there are. Nobody may be serving them. `told` hears
/// how far it is; an error of it breaks the move off.
///
/// Fails with `moved_already` where they are there, `not_empty` where something else is, `move_flawed` where
/// what arrived is not what was sent; the place they were at is the one in use then.
pub fn move_store(
    places: &Places,
    to: &Place,
    told: &mut dyn FnMut(&'static str, u64) -> Result<(), Error>,
) -> Result<u64, Error> {
    let from = places.named();
    if let (Place::File(_), Place::File(_)) = (&from, to) {
        return Err(moved_already());
    }
    let mut here = open_if_there(&from)?;
    let is_left = match &mut here {
        Some(here) => is_marked(here, Moving::Away)?,
        None => true,
    };
    // Looking must not make a file: a folder with one is taken for where the keys are.
    if is_left && to.file().is_some_and(|path| !path.exists()) {
        return Err(moved_already());
    }
    let mut there = to.open(Durability::Durable)?;
    migrate(&mut there, store::MIGRATIONS)?;
    let rows = match (&mut here, Mark::read(&mut there)?.map(|mark| mark.moving)) {
        (_, Some(Moving::Whole)) if is_left => count_all(&mut there)?,
        _ if is_left => return Err(moved_already()),
        (_, None) if !is_empty(&mut there)? => return Err(not_empty()),
        (None, _) => return Err(moved_already()),
        (Some(here), _) => transfer(here, &mut there, places, told)?,
    };
    forget(&from, here)?;
    Mark::forget(&mut there)?;
    Ok(rows)
}

/// A store that is being filled, or was left, opens for nobody.
pub(super) fn refuse_marked(db: &mut Connection) -> Result<(), Error> {
    let detail = match Mark::read(db)?.map(|mark| mark.moving) {
        None => return Ok(()),
        Some(Moving::Away) => {
            "the keys were moved away from the place that the configuration names; name the new one in \
             `[key_database]`, or leave it out if they are in the data folder again"
        }
        Some(Moving::Arriving | Moving::Whole) => {
            "a move of the keys to this place was not finished; run the same `strongroom move --keys` again, \
             with the configuration as it was then"
        }
    };
    Err(Error::unavailable("moved", detail))
}

fn open_if_there(place: &Place) -> Result<Option<Connection>, Error> {
    if place.file().is_some_and(|path| !path.exists()) {
        return Ok(None);
    }
    let mut db = place.open(Durability::Durable)?;
    migrate(&mut db, store::MIGRATIONS)?;
    Ok(Some(db))
}

fn is_marked(db: &mut Connection, moving: Moving) -> Result<bool, Error> {
    Ok(Mark::read(db)?.is_some_and(|mark| mark.moving == moving))
}

/// Copies everything, holds it against what it came from, opens every key, and empties the store it came from.
/// What an earlier run copied is copied again: keys may have been destroyed since.
fn transfer(
    here: &mut Connection,
    there: &mut Connection,
    places: &Places,
    told: &mut dyn FnMut(&'static str, u64) -> Result<(), Error>,
) -> Result<u64, Error> {
    let arriving = Mark { moving: Moving::Arriving, checkpoint: String::new() };
    arriving.begin_anew(there)?;
    here.begin()?;
    store::lock_generation(here)?;
    let rows = copy_all(here, there, |leg, rows| match leg {
        Leg::Copied => told("keys copied", rows),
        Leg::Compared => told("keys compared", rows),
    })?;
    let installation = store::read_installation(there)?;
    let installation = installation.ok_or_else(|| move_flawed("it has no installation"))?;
    drop(unseal(there, installation, places)?);
    Mark { moving: Moving::Whole, ..arriving }.put(there)?;
    leave_empty(here)?;
    here.commit()?;
    Ok(rows)
}

/// Nothing of the keys is left where they were, as far as we can overwrite it.
fn forget(from: &Place, here: Option<Connection>) -> Result<(), Error> {
    let Some(mut here) = here else { return Ok(()) };
    let Some(path) = from.file() else { return here.free_deleted(store::SECRET_TABLES) };
    here.checkpoint_truncating()?;
    drop(here);
    ["db-wal", "db-shm", "db"].iter().try_for_each(|end| remove(&path.with_extension(end)))
}

fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            let detail = "the emptied keys.db cannot be removed from the data folder; the keys are at the new \
                          place, and running the same command again finishes the move";
            Err(Error::unavailable("data_folder_unusable", detail).caused_by(cause))
        }
        _ => Ok(()),
    }
}

fn moved_already() -> Error {
    let detail = "the keys are there already, and nothing was moved; the configuration has to name them where \
                  they are: at a server in `[key_database]`, in the data folder without that";
    Error::conflict("moved_already", detail)
}

fn not_empty() -> Error {
    let detail = "the place to move to holds something already, and nothing there is ever overwritten; name \
                  an empty database, or, for the data folder, put the keys.db that lies in it away";
    Error::conflict("not_empty", detail)
}
