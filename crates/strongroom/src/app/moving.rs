//! The data, moved to another place: from the data folder to a server, back, or from one server to another.
//!
//! What must never happen here: two places that each look like the data; a place in use that lacks a row; a
//! place that holds something else overwritten. So the place that is filled carries a mark and nothing opens
//! it until every row was held against the one it came from and its log was verified; then the place that
//! is left is put out of use; and only then the mark goes. Wherever it breaks off, the same command goes on.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use super::{App, Surroundings, alone, data_path, lock};
use crate::access::announce;
use crate::backup::Step;
use crate::ctx::Ctx;
use crate::db::{
    Connection, DATA, Durability, Leg, Mark, Moving, Place, Server, copy_all, count_all, is_empty,
    migrate, move_flawed,
};
use crate::error::Error;
use crate::keys::{self, Keyring, Places};
use crate::ledger;

/// What was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// Rows at the new place, each held against the one it came from.
    pub rows: u64,
    /// Entries of the log, verified there.
    pub entries: u64,
}

/// Moves the data to a server, or, without one, into the data folder. Nobody may be serving it. `told` hears
/// how far it is; an error of it breaks the move off.
///
/// Fails with `served_elsewhere`, with `moved_already` where it is there, `not_empty` where something else is,
/// `move_flawed` where what arrived is not what was sent; nothing is lost then, and the place it was at is the one in use.
pub async fn move_data(
    surroundings: Surroundings,
    to: Option<Server>,
    ctx: &Ctx,
    mut told: impl FnMut(Step) -> Result<(), Error>,
) -> Result<Moved, Error> {
    let (places, random) = (surroundings.places.clone(), Arc::clone(&surroundings.random));
    let folder = places.data_folder.clone();
    let place = |server: Option<Server>| match server {
        Some(server) => Place::Server(server),
        None => Place::File(data_path(&folder)),
    };
    let _lead = alone(surroundings.server.as_ref())?;
    let (from, to) = (place(surroundings.server.clone()), place(to));
    let seen = {
        let _lock = lock(&folder)?;
        look(&from, &to, &folder)?
    };
    if seen == Seen::ToBegin {
        // Who moves what is in the log first, and so is whatever an opening finishes.
        let app = App::open(surroundings).await?;
        announce(&*app.desk()?, ctx, "data.move").await?;
        drop(app);
    }
    let _lock = lock(&folder)?;
    let keyring = keys::open(&places, random)?;
    let mut there = to.open(Durability::Durable)?;
    migrate(&mut there, DATA)?;
    let moved = match seen {
        Seen::Left => {
            let rows = count_all(&mut there)?;
            Moved { rows, entries: verified(&mut there, &keyring, &mut told)? }
        }
        Seen::ToBegin | Seen::Begun => transfer(&from, &mut there, &keyring, &folder, &mut told)?,
    };
    Mark::forget(&mut there)?;
    Ok(moved)
}

/// Moves the keys to a server of their own, or, without one, into the data folder; gives how many rows there
/// are. Nobody may be serving them, on whatever machine. `told` hears how far it is; an error of it breaks the
/// move off.
///
/// Fails with `served_elsewhere`, and with what [`keys::move_store`] fails with.
pub async fn move_keys(
    surroundings: Surroundings,
    to: Option<Server>,
    ctx: &Ctx,
    mut told: impl FnMut(Step) -> Result<(), Error>,
) -> Result<u64, Error> {
    let places = surroundings.places.clone();
    let folder = places.data_folder.clone();
    let to = Places { key_server: to, ..places.clone() }.named();
    let _lead = alone(surroundings.server.as_ref())?;
    // Who moves what is in the log first; of a move that broke off it is there already.
    match App::open(surroundings).await {
        Ok(app) => announce(&*app.desk()?, ctx, "keys.move").await?,
        Err(refused) if BEGUN.contains(&refused.code) => {}
        Err(refused) => return Err(refused),
    }
    let _lock = lock(&folder)?;
    let mut told = |what, done| told(Step { what, done, of: None });
    keys::move_store(&places, &to, &mut told)
}

/// How far an earlier run came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// Nothing arrived yet, or it is of before something was written here.
    ToBegin,
    /// Rows of exactly what is here arrived.
    Begun,
    /// All is done but the last step: the place it was at is out of use.
    Left,
}

fn look(from: &Place, to: &Place, folder: &Path) -> Result<Seen, Error> {
    if let (Place::File(_), Place::File(_)) = (from, to) {
        return Err(moved_already());
    }
    let is_left = is_left(from, folder)?;
    // Looking must not make a file: a folder with one is taken for where the data is.
    if to.file().is_some_and(|path| !path.exists()) {
        return if is_left { Err(moved_already()) } else { Ok(Seen::ToBegin) };
    }
    let mut there = to.open(Durability::Durable)?;
    migrate(&mut there, DATA)?;
    let begun = match Mark::read(&mut there)? {
        Some(mark) if is_left && mark.moving == Moving::Whole => return Ok(Seen::Left),
        _ if is_left => return Err(moved_already()),
        Some(mark) if mark.moving != Moving::Away => mark,
        None if is_empty(&mut there)? => return Ok(Seen::ToBegin),
        _ => return Err(not_empty()),
    };
    // An opening says what is wrong with a place where nothing is.
    if from.file().is_some_and(|path| !path.exists()) {
        return Ok(Seen::ToBegin);
    }
    let mut here = from.open(Durability::Durable)?;
    migrate(&mut here, DATA)?;
    here.begin()?;
    let checkpoint = ledger::hold(&mut here)?;
    here.roll_back()?;
    // Every change has an entry, so one checkpoint means the same rows.
    Ok(if checkpoint == begun.checkpoint { Seen::Begun } else { Seen::ToBegin })
}

/// A move that is not done, or was done to elsewhere: neither place is the data for anybody.
pub(super) fn refuse_marked(db: &mut Connection) -> Result<(), Error> {
    let detail = match Mark::read(db)?.map(|mark| mark.moving) {
        None => return Ok(()),
        Some(Moving::Away) => {
            "the data was moved away from the place that the configuration names; name the new one in \
             `[database]`, or leave it out if it is in the data folder again"
        }
        Some(Moving::Arriving | Moving::Whole) => {
            "a move of the data to this place was not finished; run the same `strongroom move` again, with \
             the configuration as it was then"
        }
    };
    Err(Error::unavailable("moved", detail))
}

/// Whether the place it is at was put out of use already, and only the last step is missing.
fn is_left(from: &Place, folder: &Path) -> Result<bool, Error> {
    match from {
        Place::File(path) => Ok(!path.exists() && folder.join(LEFT).exists()),
        Place::Server(server) => {
            let mut here = Connection::to(server)?;
            migrate(&mut here, DATA)?;
            Ok(Mark::read(&mut here)?.is_some_and(|mark| mark.moving == Moving::Away))
        }
    }
}

/// Copies what is missing, holds every row against the one it came from, verifies the log, and puts the place
/// it came from out of use. Nobody else writes there meanwhile, from whatever machine.
fn transfer(
    from: &Place,
    there: &mut Connection,
    keyring: &Keyring,
    folder: &Path,
    told: &mut impl FnMut(Step) -> Result<(), Error>,
) -> Result<Moved, Error> {
    let mut here = from.open(Durability::Durable)?;
    here.begin()?;
    let checkpoint = ledger::hold(&mut here)?;
    let arriving = Mark { moving: Moving::Arriving, checkpoint };
    if Mark::read(there)?.is_none_or(|mark| mark.checkpoint != arriving.checkpoint) {
        arriving.begin_anew(there)?;
    }
    let rows = copy_all(&mut here, there, |leg, done| {
        let what = match leg {
            Leg::Copied => "rows copied",
            Leg::Compared => "rows compared",
        };
        told(Step { what, done, of: None })
    })?;
    let entries = verified(there, keyring, told)?;
    Mark { moving: Moving::Whole, ..arriving }.put(there)?;
    leave(from, here, folder)?;
    Ok(Moved { rows, entries })
}

/// The log as it is there, whole: every entry, the tree over them, the signature.
fn verified(
    there: &mut Connection,
    keyring: &Keyring,
    told: &mut impl FnMut(Step) -> Result<(), Error>,
) -> Result<u64, Error> {
    ledger::pair(there, &keyring.installation())?;
    let mut broken_off = Ok(());
    let verified = ledger::verify(there, keyring, |done, of| {
        if broken_off.is_ok() {
            broken_off = told(Step { what: "entries verified", done, of: Some(of) });
        }
    })?;
    broken_off?;
    match verified.flaws.first() {
        None => Ok(verified.size),
        Some(flaw) => Err(move_flawed(&format!("its ledger is flawed: {}", flaw.what))),
    }
}

/// Puts the place that the data was at out of use. Of files the one that holds the data gets another name.
fn leave(from: &Place, mut here: Connection, folder: &Path) -> Result<(), Error> {
    match from {
        Place::Server(_) => {
            Mark { moving: Moving::Away, checkpoint: String::new() }.put(&mut here)?;
            here.commit()
        }
        Place::File(path) => {
            here.roll_back()?;
            here.checkpoint_truncating()?;
            drop(here);
            let sync = || File::open(folder).and_then(|it| it.sync_all());
            fs::rename(path, folder.join(LEFT)).and_then(|()| sync()).map_err(cannot_leave)
        }
    }
}

fn moved_already() -> Error {
    let detail = "the data is there already, and nothing was moved; the configuration has to name it where it \
                  is: at a server in `[database]`, in the data folder without that";
    Error::conflict("moved_already", detail)
}

fn not_empty() -> Error {
    let detail = "the place to move to holds something already, and nothing there is ever overwritten; name \
                  an empty database, or, for the data folder, put the strongroom.db that lies in it away";
    Error::conflict("not_empty", detail)
}

fn cannot_leave(cause: std::io::Error) -> Error {
    let detail = "the file the data was in cannot be renamed; the new place is whole, and running the same \
                  command again finishes the move";
    Error::unavailable("data_folder_unusable", detail).caused_by(cause)
}

/// What an opening says of a key store that was begun to be moved.
const BEGUN: [&str; 3] = ["moved", "not_initialised", "two_key_stores"];

/// What the file of data that was moved away is called.
const LEFT: &str = "strongroom-moved.db";
