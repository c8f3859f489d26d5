//! The acts of this room.

mod acme;
mod own_ca;

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::error::Error;

pub use acme::obtain;
pub use own_ca::{AUTHORITY_FILE, TRUST_FILE, authority, issue, make_authority};

/// Puts a file in place whole or not at all, with its mode from the first byte on.
fn put(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let beside = path.with_extension("new");
    // One left over from a crash may have another mode.
    let _ = fs::remove_file(&beside);
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(mode).open(&beside);
    opened
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path))
        .map_err(|cause| cannot_write(path, &cause))
}

fn make_folder(folder: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|cause| cannot_write(folder, &cause))
}

fn cannot_write(path: &Path, cause: &std::io::Error) -> Error {
    let detail = format!("`{}` cannot be written: {cause}", path.display());
    Error::unavailable("certificate_unwritable", detail)
}
