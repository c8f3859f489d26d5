//! The folder of an exported log: each file is there whole or not at all, and on the disk before the
//! checkpoint speaks of it.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use strongroom_tlog::{TileKind, TileWidth, parse_tile_path, tile_width};

use crate::cli::failure::Failure;

/// A folder that one log is exported into.
pub(super) struct Files {
    folder: PathBuf,
    /// Folders whose names are not on the disk for certain.
    touched: BTreeSet<PathBuf>,
}

impl Files {
    /// A new folder, or one that this log was exported into before.
    pub(super) fn open(folder: &Path, key: &str) -> Result<Self, Failure> {
        let mut files = Self { folder: folder.to_owned(), touched: BTreeSet::new() };
        match files.read("vkey")? {
            Some(known) if known == key.as_bytes() => {}
            Some(_) => {
                let sentence = format!(
                    "`{}` holds a log of another name or key, as before a restore; keep it, and export \
                     into a new folder",
                    folder.display()
                );
                return Err(Failure::new("other_log", sentence));
            }
            None => {
                make_folder(folder)?;
                let is_empty = fs::read_dir(folder).is_ok_and(|mut inner| inner.next().is_none());
                if !is_empty {
                    let sentence = format!(
                        "`{}` is not empty and holds no exported log; name a new folder",
                        folder.display()
                    );
                    return Err(Failure::new("other_log", sentence));
                }
                files.write("vkey", key.as_bytes())?;
            }
        }
        Ok(files)
    }

    /// A file, if it is there.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Failure> {
        let file = match File::open(self.folder.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        file.take(FILE_SIZE_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Puts a file in its place once it is whole and on the disk.
    pub(super) fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.folder.join(name);
        let unfinished = self.folder.join(format!("{name}{UNFINISHED}"));
        if let Some(parent) = path.parent() {
            make_folder(parent)?;
            let inside = parent.ancestors().take_while(|it| it.starts_with(&self.folder));
            self.touched.extend(inside.map(Path::to_owned));
        }
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(fs::rename(unfinished, path)?)
    }

    /// Everything is there: the checkpoint says so, and what only an older one spoke of goes.
    pub(super) fn end(mut self, note: &str, size: u64) -> Result<(), Failure> {
        self.sync()?;
        self.write("checkpoint", note.as_bytes())?;
        self.sync()?;
        self.remove_older("tile", size)
    }

    fn sync(&mut self) -> Result<(), Failure> {
        for folder in std::mem::take(&mut self.touched) {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }

    /// Tiles that were not full when they were written, and files that never were finished.
    fn remove_older(&self, name: &str, size: u64) -> Result<(), Failure> {
        let folder = self.folder.join(name);
        let mut left = 0;
        for inner in fs::read_dir(&folder).into_iter().flatten() {
            let inner = inner?;
            let inner_name = format!("{name}/{}", inner.file_name().to_string_lossy());
            if inner.file_type()?.is_dir() {
                self.remove_older(&inner_name, size)?;
            } else if is_older(&inner_name, size) {
                fs::remove_file(inner.path())?;
                continue;
            }
            left += 1;
        }
        // A folder of widths, `000.p`, is nothing without one.
        if left == 0 && name.ends_with(".p") {
            fs::remove_dir(&folder)?;
        }
        Ok(())
    }
}

/// A name that an export gives, and that a log of this size has not.
fn is_older(name: &str, size: u64) -> bool {
    if name.ends_with(UNFINISHED) {
        return true;
    }
    let Ok(path) = parse_tile_path(name) else { return false };
    let level = match path.kind {
        TileKind::Entries => 0,
        TileKind::Hashes(level) => level,
    };
    let is_partial = matches!(path.width, TileWidth::Partial(_));
    is_partial && tile_width(size, level, path.index) != Some(path.width)
}

/// For whoever made it alone: entries say who did what.
fn make_folder(folder: &Path) -> Result<(), Failure> {
    Ok(DirBuilder::new().recursive(true).mode(0o700).create(folder)?)
}

const UNFINISHED: &str = ".unfinished";

/// A bundle of 256 entries of the longest kind.
const FILE_SIZE_BYTES_MAX: u64 = 256 * (65_535 + 2);
