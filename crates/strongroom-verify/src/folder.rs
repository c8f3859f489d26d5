//! The files of an exported log, by the names that tlog-tiles gives them.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::handover;
use crate::tree::TILE_WIDTH;
use crate::wrong::Wrong;

/// Which row of tiles.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Row {
    Entries,
    /// 0 is the hashes of the entries.
    Hashes(u32),
}

impl Row {
    /// How many places of this row a log of so many entries fills.
    fn filled(self, size: u64) -> u64 {
        match self {
            Self::Entries => size,
            Self::Hashes(level) => size.checked_shr(8 * level).unwrap_or(0),
        }
    }

    /// How many places tile number `index` has in a log of so many entries; 0 where there is none.
    pub(crate) fn width(self, index: u64, size: u64) -> u64 {
        let before = index.saturating_mul(TILE_WIDTH);
        self.filled(size).saturating_sub(before).min(TILE_WIDTH)
    }

    /// The file of a tile with so many places.
    pub(crate) fn file(self, index: u64, width: u64) -> String {
        let row = match self {
            Self::Entries => "entries".to_owned(),
            Self::Hashes(level) => level.to_string(),
        };
        let (mut place, mut rest) = (format!("{:03}", index % 1000), index / 1000);
        while rest > 0 {
            place = format!("x{:03}/{place}", rest % 1000);
            rest /= 1000;
        }
        let part = if width < TILE_WIDTH { format!(".p/{width}") } else { String::new() };
        format!("tile/{row}/{place}{part}")
    }
}

/// Reads a file whole, if it is one and not longer than it may be.
pub(crate) fn read(path: &Path, size_bytes_max: usize) -> Result<Vec<u8>, Wrong> {
    let unread = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Wrong::new("the file is not there"),
        kind => Wrong::new(format!("the file cannot be read: {kind}")),
    };
    let is_file = fs::metadata(path).map_err(unread)?.is_file();
    if !is_file {
        return Err(Wrong::new("it is not a file"));
    }
    let file = File::open(path).map_err(unread)?;
    let mut bytes = Vec::new();
    file.take(size_bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() > size_bytes_max {
        return Err(Wrong::new(format!("the file has more than {size_bytes_max} bytes")));
    }
    Ok(bytes)
}

/// The folders of logs from before restores, by their numbers, the newest first; everything else at
/// the top must be one of the log's own names.
pub(crate) fn read_top(folder: &Path, is_newest: bool) -> Result<Vec<(u64, PathBuf)>, Wrong> {
    let mut older = Vec::new();
    if is_newest {
        // What is in it is whoever wrote it's to answer for; that it is there is the caller's.
        fs::read_dir(folder).map_err(|error| unlisted(folder, &error).unread())?;
    }
    let names = list(folder)?;
    let is_own = |name: &str| ["checkpoint", "tile", "vkey"].contains(&name);
    if is_newest && !names.iter().any(|(name, ..)| is_own(name)) {
        let what = "it is no exported log: it holds neither `checkpoint` nor `vkey` nor `tile`";
        return Err(Wrong::new(what).unread());
    }
    for (name, path, is_folder) in names {
        let number = name.strip_prefix("incarnation-").and_then(crate::note::number);
        match number {
            Some(number) if is_newest && is_folder => older.push((number, path)),
            _ if name == "tile" && is_folder => {}
            _ if (name == "checkpoint" || name == "vkey") && !is_folder => {}
            _ if handover_number(&name).is_some() && !is_folder => {}
            _ => return Err(stray(&name)),
        }
        if older.len() > INCARNATIONS_MAX {
            return Err(Wrong::new("it holds more than 1,000 earlier logs"));
        }
    }
    older.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    Ok(older)
}

/// The checkpoints by which a log was handed over to other keys, the oldest first: from 1 on, none left out.
pub(crate) fn read_handovers(folder: &Path) -> Result<Vec<Vec<u8>>, Wrong> {
    let names = list(folder)?;
    let mut numbers: Vec<u64> =
        names.iter().filter_map(|(name, ..)| handover_number(name)).collect();
    if numbers.len() > HANDOVERS_MAX {
        return Err(Wrong::new("it was handed over to more than 1,000 keys"));
    }
    numbers.sort_unstable();
    let mut notes = Vec::new();
    for (number, awaited) in numbers.into_iter().zip(1..) {
        let name = handover::file(number);
        if number != awaited {
            let missing = handover::file(awaited);
            return Err(Wrong::new(format!("`{name}` is there, and `{missing}` is not")));
        }
        let note = read(&folder.join(&name), crate::note::NOTE_SIZE_BYTES_MAX);
        notes.push(note.map_err(|wrong| wrong.at(&name))?);
    }
    Ok(notes)
}

/// Which of them a file is.
fn handover_number(name: &str) -> Option<u64> {
    let (_, number) = name.split_once('-')?;
    crate::note::number(number).filter(|number| name == handover::file(*number))
}

/// Every file below `tile/` must be one that a log of this size has. All of those were read, so this
/// finds what is too much.
pub(crate) fn refuse_strays(folder: &Path, size: u64) -> Result<(), Wrong> {
    let top = folder.join("tile");
    if size == 0 {
        return if top.exists() { Err(stray("tile")) } else { Ok(()) };
    }
    let mut folders = vec![("tile".to_owned(), top, 0)];
    while let Some((name, path, depth)) = folders.pop() {
        for (inner, path, is_folder) in list(&path)? {
            let name = format!("{name}/{inner}");
            if is_folder && depth < DEPTH_MAX {
                folders.push((name, path, depth + 1));
            } else if is_folder || !belongs(&name, size) {
                return Err(stray(&name));
            }
        }
    }
    Ok(())
}

/// Whether a log of this size has this file: read leniently, then written again and compared.
fn belongs(name: &str, size: u64) -> bool {
    let mut parts = name.split('/').skip(1);
    let row = match parts.next() {
        Some("entries") => Row::Entries,
        Some(level) => match level.parse() {
            Ok(level @ 0..=63) => Row::Hashes(level),
            _ => return false,
        },
        None => return false,
    };
    let mut index: u64 = 0;
    for part in parts {
        let digits = part.trim_start_matches('x');
        let (digits, is_last) = match digits.strip_suffix(".p") {
            Some(digits) => (digits, true),
            None => (digits, false),
        };
        let next = digits.parse::<u16>().ok();
        let next = next.and_then(|part| index.checked_mul(1000)?.checked_add(u64::from(part)));
        let Some(next) = next else { return false };
        index = next;
        if is_last {
            break;
        }
    }
    let width = row.width(index, size);
    width > 0 && row.file(index, width) == name
}

/// Names in a folder, in order, so that the same folder always gives the same answer.
fn list(folder: &Path) -> Result<Vec<(String, PathBuf, bool)>, Wrong> {
    let unread = |error: std::io::Error| unlisted(folder, &error);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(unread)? {
        let entry = entry.map_err(unread)?;
        // A name that is not text is no name of ours, and no name of ours reads like its stand-in.
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_folder = fs::metadata(entry.path()).map_err(|_| stray(&name))?.is_dir();
        names.push((name, entry.path(), is_folder));
        if names.len() > NAMES_MAX {
            return Err(Wrong::new("a folder of it holds too much"));
        }
    }
    names.sort();
    Ok(names)
}

fn unlisted(folder: &Path, error: &std::io::Error) -> Wrong {
    let name = folder.to_string_lossy().escape_debug().to_string();
    match error.kind() {
        ErrorKind::NotFound => Wrong::new(format!("the folder `{name}` is not there")),
        kind => Wrong::new(format!("the folder `{name}` cannot be read: {kind}")),
    }
}

fn stray(name: &str) -> Wrong {
    let name = name.escape_debug();
    Wrong::new(format!("`{name}` does not belong to this log; remove it, or export the log anew"))
}

/// The format puts at most 3,000 names into one folder.
const NAMES_MAX: usize = 10_000;

/// As many as a server gives out.
const HANDOVERS_MAX: usize = 1_000;

/// A restore a week for twenty years.
const INCARNATIONS_MAX: usize = 1_000;

/// `tile/0/x001/x002/…`: sizes have 62 bits, so an index has at most six parts.
const DEPTH_MAX: usize = 10;
