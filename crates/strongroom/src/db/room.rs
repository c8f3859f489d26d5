//! How much may wait for the committer, and what is answered where it takes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::Error;
use crate::meter::Meter;

/// A change's share of the bytes that may wait; given back when it is dropped, answered or not.
pub(super) struct Room {
    queued: Arc<AtomicUsize>,
    meter: Meter,
    size_bytes: usize,
}

impl Room {
    /// `None` where the queue is full. A change larger than the whole queue waits alone.
    pub(super) fn take(
        queued: &Arc<AtomicUsize>,
        meter: &Meter,
        size_bytes: usize,
    ) -> Option<Self> {
        let fits = |before: usize| {
            let after = before.saturating_add(size_bytes);
            (before == 0 || after <= QUEUE_SIZE_BYTES_MAX).then_some(after)
        };
        queued.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits).ok()?;
        meter.waits();
        Some(Self { queued: Arc::clone(queued), meter: meter.clone(), size_bytes })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.queued.fetch_sub(self.size_bytes, Ordering::SeqCst);
        self.meter.waited();
    }
}

pub(super) fn stalled() -> Error {
    let detail = "the ledger cannot be written, so nothing is shown; read again whether a change that was \
                  just asked for was done. Free disk space or mend the disk, service returns by itself";
    Error::unavailable("ledger_stalled", detail).retry_after(2)
}

pub(super) fn overloaded() -> Error {
    let detail = "more is being written than the disk takes; try again in a moment";
    Error::unavailable("overloaded", detail).retry_after(1)
}

pub(super) fn stopped() -> Error {
    Error::unavailable("stopping", "the server is stopping; nothing was shown or changed")
        .retry_after(5)
}

/// A chunk of an import is about three megabytes, so that a score of them may wait while changes of a
/// few kilobytes never come near it.
const QUEUE_SIZE_BYTES_MAX: usize = 64 << 20;
