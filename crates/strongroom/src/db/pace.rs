//! How many changes one batch takes, and how long the committer waits for what.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use crate::ctx::Change;

/// What waits already; under load what comes in a moment too. Many callers on few processors come one by one, so
/// without this a batch of 64 callers has ten changes, and each commit makes the pages of all readers stale.
pub(super) fn gather<T>(
    queue: &Receiver<T>,
    batch: &mut Vec<T>,
    running: impl Fn() -> usize,
    mut pause: impl FnMut(Duration),
) {
    take_queued(queue, batch);
    for _ in 0..LINGERS_MAX {
        let (before, running) = (batch.len(), running());
        if running < CROWD || running <= before {
            return;
        }
        pause(LINGER);
        take_queued(queue, batch);
        if batch.len() == before {
            return;
        }
    }
}

/// What waits already, up to the size of a batch.
fn take_queued<T>(queue: &Receiver<T>, batch: &mut Vec<T>) {
    let room = BATCH_MAX.saturating_sub(batch.len());
    batch.extend(queue.try_iter().take(room));
}

/// Whether a change is better off as the first of its batch: then it needs no savepoint.
pub(super) fn is_big(change: &Change) -> bool {
    change.guards.len() + change.writes.len() > BIG_STATEMENTS
}

/// Parts of a batch, in order, each of which begins where `begins` says so.
pub(super) fn split_before<T>(mut batch: Vec<T>, begins: impl Fn(&T) -> bool) -> Vec<Vec<T>> {
    let mut parts = Vec::new();
    while let Some(last) = batch.iter().rposition(&begins).filter(|place| *place > 0) {
        parts.push(batch.split_off(last));
    }
    parts.push(batch);
    parts.reverse();
    parts
}

/// Parts of a batch, in order: those together that follow each other and only look, each other one alone.
pub(super) fn split_looks<T>(batch: Vec<T>, looks: impl Fn(&T) -> bool) -> Vec<Vec<T>> {
    let mut parts: Vec<Vec<T>> = Vec::new();
    let mut goes_on = false;
    for one in batch {
        let is_look = looks(&one);
        match parts.last_mut().filter(|_| goes_on && is_look) {
            Some(part) => part.push(one),
            None => parts.push(vec![one]),
        }
        goes_on = is_look;
    }
    parts
}

/// How long to wait before the next try to write. A disk that is failing is worn out by many; a server that
/// is away is not, and has to be noticed when it is back.
pub(super) fn pause_after(pause: Duration, is_shared: bool) -> Duration {
    if is_shared { PROBE_FIRST } else { pause.saturating_mul(2).min(PROBE_MAX) }
}

/// Bounds the memory of one batch: 1,024 changes of a few kilobytes.
pub(super) const BATCH_MAX: usize = 1024;

/// Two hundred customers.
const BIG_STATEMENTS: usize = 2_000;

/// So many requests at work are a load. With 16 callers waiting made everything slower, with 32 it did not (measured).
const CROWD: usize = 32;

/// Long enough for a few to come on two processors.
const LINGER: Duration = Duration::from_micros(200);

/// A millisecond in all.
const LINGERS_MAX: usize = 5;

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
    fn looks_that_follow_each_other_stay_together_in_their_order() {
        let parts = split_looks(vec![2, 4, 1, 3, 6, 8, 5], |number| number % 2 == 0);
        assert_eq!(parts, [vec![2, 4], vec![1], vec![3], vec![6, 8], vec![5]]);
        assert_eq!(split_looks(Vec::<u8>::new(), |_| true).len(), 0);
    }

    #[test]
    fn a_big_change_begins_a_batch_of_its_own_and_keeps_its_place() {
        let parts = |batch: Vec<u8>| split_before(batch, |number| *number >= 10);
        assert_eq!(parts(vec![1, 2, 10, 3, 11, 12, 4]), [&[1, 2][..], &[10, 3], &[11], &[12, 4]]);
        assert_eq!(parts(vec![10, 1]), [[10, 1]]);
        assert_eq!(parts(vec![1, 2]), [[1, 2]]);
    }

    /// How large a batch becomes that begins with one, and how often it waited, where so many are at work and these
    /// come in each wait.
    fn gathered(running: usize, coming: &[usize]) -> (usize, usize) {
        let (send, queue) = channel();
        let (mut batch, mut waits) = (vec![0], 0);
        let mut coming = coming.iter().copied();
        gather(
            &queue,
            &mut batch,
            || running,
            |_| {
                waits += 1;
                (0..coming.next().unwrap_or(0)).for_each(|number| send.send(number).unwrap());
            },
        );
        (batch.len(), waits)
    }

    #[test]
    fn a_batch_waits_under_load_while_somebody_comes_and_is_missing() {
        assert_eq!(gathered(CROWD - 1, &[1; 9]), (1, 0), "few are not waited for");
        assert_eq!(gathered(CROWD, &[]), (1, 1), "nobody came");
        assert_eq!(gathered(CROWD, &[3, 0, 5]), (4, 2), "nobody came any more");
        assert_eq!(gathered(CROWD, &[3; 9]), (16, 5), "it does not wait for ever");
        assert_eq!(gathered(CROWD, &[CROWD - 1, 7]), (CROWD, 1), "all are here");
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
