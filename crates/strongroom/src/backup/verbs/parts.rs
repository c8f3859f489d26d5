//! Writing the parts of a backup: sealed, counted, hashed, each on the disk before the next.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use strongroom_crypto::Sha256;

use crate::backup::model::{Kind, Part, Told};
use crate::backup::rules::{self, Frame, PART_SIZE_BYTES};
use crate::db::{TableShape, Value};
use crate::error::Error;
use crate::keys::{BackupKey, BackupWriter};

/// The parts of one backup on their way.
pub(super) struct Parts {
    folder: PathBuf,
    kind: Kind,
    backup: String,
    key: BackupKey,
    open: Option<OpenPart>,
    done: Vec<Part>,
    frame: Vec<u8>,
    stop: Arc<AtomicBool>,
    pub(super) told: Told,
    rows: u64,
}

struct OpenPart {
    name: String,
    holds: String,
    table: Option<String>,
    rows: u64,
    size: u64,
    writer: BackupWriter<Hashed>,
}

impl Parts {
    pub(super) fn new(
        folder: &Path,
        (kind, backup): (Kind, &str),
        key: BackupKey,
        (stop, told): (Arc<AtomicBool>, Told),
    ) -> Self {
        let (folder, backup) = (folder.to_owned(), backup.to_owned());
        let (open, done, frame) = (None, Vec::new(), Vec::new());
        Self { folder, kind, backup, key, open, done, frame, stop, told, rows: 0 }
    }

    /// Adds a row. What a part holds never changes within it.
    pub(super) fn row(
        &mut self,
        holds: &str,
        table: &TableShape,
        row: Vec<Value>,
    ) -> Result<(), Error> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::unavailable("stopping", "the server stops; the backup is given up"));
        }
        let fits = |part: &OpenPart| part.holds == holds && part.size < PART_SIZE_BYTES;
        if !self.open.as_ref().is_some_and(fits) {
            self.close()?;
            self.begin(holds)?;
        }
        if self.open.as_ref().is_some_and(|part| part.table.as_ref() != Some(&table.name)) {
            self.put(&Frame::Table(table.clone()))?;
            if let Some(part) = &mut self.open {
                part.table = Some(table.name.clone());
            }
        }
        self.put(&Frame::Row(row))?;
        if let Some(part) = &mut self.open {
            part.rows += 1;
        }
        self.rows += 1;
        if self.rows.is_multiple_of(TELL_EVERY_ROWS) {
            (self.told)(self.kind, self.rows);
        }
        Ok(())
    }

    /// Every part is on the disk.
    pub(super) fn finish(mut self) -> Result<(Vec<Part>, Told), Error> {
        self.close()?;
        (self.told)(self.kind, self.rows);
        Ok((self.done, self.told))
    }

    fn begin(&mut self, holds: &str) -> Result<(), Error> {
        let name = rules::part_name(self.done.len() + 1);
        let file = new_file(&self.folder.join(&name))?;
        let hashed = Hashed {
            file: BufWriter::with_capacity(BUFFER_SIZE, file),
            hash: Sha256::new(),
            size: 0,
        };
        let writer = self.key.seal(hashed)?;
        let (holds, table, rows, size) = (holds.to_owned(), None, 0, 0);
        let title = rules::title(self.kind.as_str(), &self.backup, &name);
        self.open = Some(OpenPart { name, holds, table, rows, size, writer });
        self.put(&Frame::Title(title))
    }

    fn put(&mut self, frame: &Frame) -> Result<(), Error> {
        frame.encode(&mut self.frame)?;
        let part = self.open.as_mut().ok_or_else(|| Error::internal("no part is open"))?;
        part.size += self.frame.len() as u64;
        part.writer.write_all(&self.frame).map_err(cannot_write)
    }

    fn close(&mut self) -> Result<(), Error> {
        let Some(part) = self.open.take() else { return Ok(()) };
        let hashed = part.writer.finish().map_err(cannot_write)?;
        let file = hashed.file.into_inner().map_err(|error| cannot_write(error.into_error()))?;
        file.sync_all().map_err(cannot_write)?;
        self.done.push(Part {
            name: part.name,
            holds: part.holds,
            rows: part.rows,
            size_bytes: hashed.size,
            sha256: data_encoding::HEXLOWER.encode(&hashed.hash.finish()),
        });
        Ok(())
    }
}

/// A file whose bytes are counted and hashed as they are written.
struct Hashed {
    file: BufWriter<File>,
    hash: Sha256,
    size: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A file of a backup, for its owner alone.
pub(super) fn new_file(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path).map_err(cannot_write)
}

pub(super) fn cannot_write(cause: io::Error) -> Error {
    let detail = format!(
        "the backup cannot be written ({}); check the folder, its rights and the space",
        cause.kind()
    );
    Error::unavailable("backup_not_written", detail).caused_by(cause)
}

const TELL_EVERY_ROWS: u64 = 5_000;

const BUFFER_SIZE: usize = 256 * 1024;
