//! What a failed write means for everyone else: nothing is shown, and long reads give way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Error;

/// Whether the ledger can be written; while it cannot, nothing is revealed.
#[derive(Clone, Default)]
pub struct Stall(Arc<Flags>);

#[derive(Default)]
struct Flags {
    is_stalled: AtomicBool,
    is_low: AtomicBool,
    is_unsettled: AtomicBool,
    ends_scans: AtomicBool,
}

impl Stall {
    /// Whether the last attempt to write failed and none has succeeded since.
    pub fn is_stalled(&self) -> bool {
        self.0.is_stalled.load(Ordering::SeqCst)
    }

    /// Whether so little room is left on the disk that only what must go on is written.
    pub fn is_low(&self) -> bool {
        self.0.is_low.load(Ordering::SeqCst)
    }

    /// Whether a COMMIT at a server may still come of which callers were told that nobody knows. What is
    /// read now could show what was before it.
    pub(super) fn is_unsettled(&self) -> bool {
        self.0.is_unsettled.load(Ordering::SeqCst)
    }

    pub(super) fn unsettle(&self) {
        self.0.is_unsettled.store(true, Ordering::SeqCst);
    }

    /// No other transaction of ours is under way there.
    pub(super) fn settle(&self) {
        self.0.is_unsettled.store(false, Ordering::SeqCst);
    }

    /// Ends every long read that runs and lets none begin: the write-ahead log has to be cut, and
    /// whoever still reads from it stands in the way.
    pub fn end_scans(&self) {
        self.0.ends_scans.store(true, Ordering::SeqCst);
    }

    pub(super) fn begin(&self) {
        self.0.is_stalled.store(true, Ordering::SeqCst);
    }

    pub(super) fn end(&self) {
        self.0.is_stalled.store(false, Ordering::SeqCst);
    }

    pub(super) fn begin_low(&self) {
        self.0.is_low.store(true, Ordering::SeqCst);
    }

    pub(super) fn end_low(&self) {
        self.0.is_low.store(false, Ordering::SeqCst);
    }

    pub(super) fn let_scans_begin(&self) {
        self.0.ends_scans.store(false, Ordering::SeqCst);
    }

    pub(super) fn ends_scans(&self) -> bool {
        self.0.ends_scans.load(Ordering::SeqCst)
    }
}

/// A committer that died must not leave a server behind that looks alive.
pub(super) struct EndProcessOnPanic;

impl Drop for EndProcessOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

/// What a scan that had to give way answers.
pub(super) fn scan_ended() -> Error {
    let detail = "this long read was ended, because the database is opened afresh after a failure of \
                  the disk, or the server is stopping; nothing was changed, ask again in a moment";
    Error::unavailable("scan_ended", detail).retry_after(2)
}
