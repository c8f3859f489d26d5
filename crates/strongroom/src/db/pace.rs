//! How many changes one batch takes, and how long the committer waits for what.

use std::sync::mpsc::Receiver;
use std::time::Duration;

/// What waits already, up to the size of a batch.
pub(super) fn take_queued<T>(queue: &Receiver<T>, batch: &mut Vec<T>) {
    let room = BATCH_MAX.saturating_sub(batch.len());
    batch.extend(queue.try_iter().take(room));
}

/// Whether the next batch waits for a moment: only under load does that pay (measured).
pub(super) fn lingers_after(last_batch: usize) -> bool {
    last_batch > LINGER_AFTER
}

/// How long to wait before the next try to write. A disk that is failing is worn out by many; a server that
/// is away is not, and has to be noticed when it is back.
pub(super) fn pause_after(pause: Duration, is_shared: bool) -> Duration {
    if is_shared { PROBE_FIRST } else { pause.saturating_mul(2).min(PROBE_MAX) }
}

/// Bounds the memory of one batch: 1,024 changes of a few kilobytes.
pub(super) const BATCH_MAX: usize = 1024;

const LINGER_AFTER: usize = 16;

/// Waiting 1 ms made everything slower; 0.3 ms fills batches under load (measured).
pub(super) const LINGER: Duration = Duration::from_micros(300);

/// Soon enough that nobody waits for it.
pub(super) const PROBE_FIRST: Duration = Duration::from_secs(1);
const PROBE_MAX: Duration = Duration::from_secs(30);

/// The longest that a node which writes nothing goes by rights of before, or by a disk that was not full.
pub(super) const IDLE_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_batch_takes_what_waits_up_to_its_size() {
        let (send, queue) = channel();
        (0..BATCH_MAX + 5).for_each(|number| send.send(number).unwrap());
        let mut batch = vec![queue.recv().unwrap()];
        take_queued(&queue, &mut batch);
        assert_eq!(batch, (0..BATCH_MAX).collect::<Vec<_>>(), "in the order they came");
        take_queued(&queue, &mut batch);
        assert_eq!(batch.len(), BATCH_MAX);
        batch.clear();
        take_queued(&queue, &mut batch);
        assert_eq!(batch.len(), 5, "and does not wait for more");
    }

    #[test]
    fn a_batch_waits_for_more_only_after_one_that_was_full_of_it() {
        let waits: Vec<bool> = [0, 1, 16, 17, 1024].map(lingers_after).into();
        assert_eq!(waits, [false, false, false, true, true]);
    }

    #[test]
    fn a_failing_disk_is_tried_ever_more_rarely_and_a_server_every_second() {
        let mut pause = PROBE_FIRST;
        let seconds = |pause: &mut Duration, is_shared| {
            *pause = pause_after(*pause, is_shared);
            pause.as_secs()
        };
        let of_file: Vec<u64> = (0..6).map(|_| seconds(&mut pause, false)).collect();
        assert_eq!(of_file, [2, 4, 8, 16, 30, 30]);
        assert_eq!(seconds(&mut pause, true), 1);
    }
}
