//! Room on the disk: how much is left, and the reserve that is kept for what must go on.
//!
//! Below a line only acts that end a right or somebody's data, or that save it, are written
//! ([`crate::ctx::Entry::from_reserve`]); everything else answers 503 `disk_reserve`. The reserve is a
//! file whose blocks the disk has really given: whoever else fills the disk cannot take them. What must
//! never happen here: ordinary service again before the reserve is whole.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;

use crate::ctx::Entry;
use crate::db::stall::Stall;
use crate::error::Error;

/// The disk under a data folder. Looked at by the committer alone; others read [`Stall`].
pub struct Space {
    folder: PathBuf,
    stall: Stall,
    is_kept: bool,
}

impl Space {
    /// Before any file of the folder is opened: where the disk is full already, what is opened next
    /// needs the reserve. Makes nothing yet: this may be no installation.
    pub fn open(folder: &Path, stall: Stall) -> Self {
        let is_kept = is_reserved(folder);
        let mut space = Self { folder: folder.to_owned(), stall, is_kept };
        space.look();
        space
    }

    /// Makes the reserve where there is none.
    pub(super) fn set_aside(&mut self) {
        if !self.is_kept && !self.stall.is_low() && !self.keep() {
            self.begin("the reserve could not be made");
        }
    }

    /// Before each batch: whether ordinary service goes on, and whether the reserve has to be let go.
    pub(super) fn look(&mut self) {
        let Some(free) = free_bytes(&self.folder) else { return };
        if free < FREE_BYTES_MIN.saturating_add(self.log_size()) {
            self.begin("little room is left on the disk");
        }
        if free < RELEASE_BYTES {
            self.release();
        }
    }

    /// A write met the end of the disk, whatever the disk says of itself: a quota may stand before it.
    pub(super) fn ran_out(&mut self) {
        self.begin("a write met a full disk");
        self.release();
    }

    /// Back to ordinary service, if there is room for it and for the reserve.
    pub(super) fn recover(&mut self) {
        if !self.stall.is_low() {
            return;
        }
        let owed = if self.is_kept { 0 } else { RESERVE_BYTES };
        let wanted = [FREE_BYTES_AGAIN, self.log_size(), owed].into_iter().sum::<u64>();
        if free_bytes(&self.folder).is_some_and(|free| free < wanted) {
            return;
        }
        if self.is_kept || self.keep() {
            tracing::info!("there is room on the disk again: everything is served");
            self.stall.end_low();
        }
    }

    /// Makes the reserve. False where the disk did not give the room.
    fn keep(&mut self) -> bool {
        match allocate(&self.folder.join(RESERVE)) {
            Ok(()) => self.is_kept = is_reserved(&self.folder),
            Err(cause) => {
                tracing::warn!(%cause, "no room could be set aside for a full disk");
                self.release();
                return false;
            }
        }
        if !self.is_kept {
            // Some file systems give no promise. That is no reason never to serve on them.
            tracing::warn!(
                "this file system does not set room aside: a full disk stops everything"
            );
        }
        true
    }

    fn release(&mut self) {
        self.is_kept = false;
        match std::fs::remove_file(self.folder.join(RESERVE)) {
            Ok(()) => tracing::error!("the disk is full: the reserve is let go"),
            Err(known) if known.kind() == std::io::ErrorKind::NotFound => {}
            Err(cause) => tracing::error!(%cause, "the reserve could not be let go"),
        }
    }

    fn begin(&self, why: &'static str) {
        if !self.stall.is_low() {
            tracing::error!(why, "only what must go on is done until there is room");
            self.stall.begin_low();
        }
    }

    /// Copying the write-ahead log into the database can make that longer by as much.
    fn log_size(&self) -> u64 {
        let log = self.folder.join("strongroom.db-wal");
        std::fs::metadata(log).map_or(0, |facts| facts.len())
    }
}

/// Whether an act has to wait until there is room.
pub(super) fn refuse_ordinary(stall: &Stall, entry: &Entry) -> Result<(), Error> {
    if !stall.is_low() || entry.from_reserve { Ok(()) } else { Err(disk_reserve()) }
}

/// What ordinary acts are answered while little room is left.
pub fn disk_reserve() -> Error {
    let detail = "the disk of the data is nearly full, so only what must go on is done: erasures, \
                  revoking keys, sealing, backups to another disk. Free disk space; service returns by \
                  itself";
    Error::unavailable("disk_reserve", detail).retry_after(10)
}

/// What programs may still write on the disk of a folder; nothing where the system does not say it.
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Whether the whole reserve of a data folder is there, block for block.
pub fn is_reserved(folder: &Path) -> bool {
    let facts = std::fs::metadata(folder.join(RESERVE));
    facts.is_ok_and(|facts| facts.blocks().saturating_mul(BLOCK_BYTES) >= RESERVE_BYTES)
}

/// Asks for what ordinary service needs as well, and gives that back at once: a quota tells nobody what
/// is left of it, and service must not come and go with every write that meets it.
fn allocate(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.create(true).truncate(false).write(true).mode(0o600).open(path)?;
    let wanted = RESERVE_BYTES + FREE_BYTES_AGAIN;
    match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, wanted) {
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
        Err(refused) => return Err(refused.into()),
    }
    file.set_len(RESERVE_BYTES)?;
    file.sync_all()?;
    if file.metadata()?.blocks().saturating_mul(BLOCK_BYTES) < RESERVE_BYTES {
        fill(&mut file)?;
    }
    Ok(())
}

/// For file systems that promise nothing: bytes that nobody can compress away.
fn fill(file: &mut File) -> std::io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut page = Vec::with_capacity(FILL_BYTES);
    for _ in 0..RESERVE_BYTES / FILL_BYTES as u64 {
        page.clear();
        while page.len() < FILL_BYTES {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            page.extend_from_slice(&state.to_le_bytes());
        }
        file.write_all(&page)?;
    }
    file.sync_all()
}

/// The file in the data folder.
pub const RESERVE: &str = "reserve";

/// As large as the write-ahead log is under steady load: bringing it into the database can take as much
/// again, and gives that back when it is cut. An erasure or a seal writes a thousandth of it.
pub const RESERVE_BYTES: u64 = 64 << 20;

/// Below this, and the size of the write-ahead log, ordinary service ends: as much as may wait to be
/// written at once (`room.rs`), so that nothing that was taken in meets the end of the disk.
const FREE_BYTES_MIN: u64 = 64 << 20;

/// A half more, so that service does not come and go with every batch.
const FREE_BYTES_AGAIN: u64 = FREE_BYTES_MIN + (FREE_BYTES_MIN >> 1);

/// Before the disk is full to the last byte: a hundred erasures' worth, written while it is let go.
const RELEASE_BYTES: u64 = 16 << 20;

/// What the system counts blocks in, whatever they are on the disk.
const BLOCK_BYTES: u64 = 512;

const FILL_BYTES: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_there_block_for_block_and_gone_when_it_is_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let stall = Stall::default();
        let before = free_bytes(folder.path()).unwrap();
        let mut space = Space::open(folder.path(), stall.clone());
        assert!(!folder.path().join(RESERVE).exists(), "nothing is made where nothing is");
        space.set_aside();
        assert!(!stall.is_low() && is_reserved(folder.path()), "is this disk nearly full?");
        assert!(before > RESERVE_BYTES);

        // A file that only says that it is so long holds nothing.
        let reserve = folder.path().join(RESERVE);
        std::fs::remove_file(&reserve).unwrap();
        File::create(&reserve).unwrap().set_len(RESERVE_BYTES).unwrap();
        assert!(!is_reserved(folder.path()));

        space.ran_out();
        assert!(stall.is_low() && !reserve.exists());
        space.recover();
        assert!(!stall.is_low() && is_reserved(folder.path()), "it is made again first");
    }

    #[test]
    fn where_nothing_can_be_promised_the_reserve_is_written_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = File::create(folder.path().join(RESERVE)).unwrap();
        assert!(!is_reserved(folder.path()));
        fill(&mut file).unwrap();
        assert!(is_reserved(folder.path()));
    }
}
