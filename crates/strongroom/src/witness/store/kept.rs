//! The newest note that a witness cosigned, beside the databases it speaks of: a file of its own, since
//! a row could only be written with an entry, which would make the note old at once.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use strongroom_tlog::NOTE_SIZE_BYTES_MAX;
use tempfile::NamedTempFile;

use crate::error::Error;

/// Puts a note in the place of the one before, whole and durable. The new file is its owner's alone.
pub(in crate::witness) fn keep(folder: &Path, note: &str) -> Result<(), Error> {
    let cannot = |cause: std::io::Error| {
        let detail = "the newest cosigned checkpoint cannot be kept; check the disk";
        Error::unavailable("storage", detail).caused_by(cause)
    };
    let mut file = NamedTempFile::new_in(folder).map_err(cannot)?;
    file.write_all(note.as_bytes()).map_err(cannot)?;
    file.as_file().sync_all().map_err(cannot)?;
    file.persist(folder.join(FILE)).map_err(|cause| cannot(cause.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(cannot)
}

/// The note as it lies there, unopened; none where there is none, or nothing of a note's size.
pub(in crate::witness) fn read_kept(folder: &Path) -> Result<Option<String>, Error> {
    let path = folder.join(FILE);
    match fs::metadata(&path) {
        Ok(facts) if facts.len() <= NOTE_SIZE_BYTES_MAX as u64 => {}
        Ok(_) => return Ok(None),
        Err(gone) if gone.kind() == ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(Error::internal(cause)),
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|mut it| it.read_to_end(&mut bytes)).map_err(Error::internal)?;
    Ok(String::from_utf8(bytes).ok())
}

const FILE: &str = "checkpoint.cosigned";
