//! Keys in memory that is never written to swap.
//!
//! The whole process is kept out of core dumps and from other processes where it starts (`cli`); this
//! keeps the pages of long-lived keys out of swap.

use strongroom_crypto::SecretKey;

use crate::keys::model::Unsealed;

/// Locks the pages of every long-lived key. A system that does not allow it (`ulimit -l`) is said so in
/// the program's log; the keys are used all the same, because refusing would only move people to run
/// the program as root.
pub(super) fn lock(keys: &Unsealed) {
    let hashing = keys.index.both().chain(keys.subject.both());
    let others = [&keys.root, &keys.row, &keys.sets].into_iter().chain(hashing);
    let all = keys.keks.values().chain(&keys.provider).chain(&keys.formers).chain(others);
    warn_of(all.filter(|key| !is_locked(key)).count());
}

/// The same for a key that lives as long as the process.
pub(super) fn lock_one(key: &SecretKey) {
    warn_of(usize::from(!is_locked(key)));
}

fn warn_of(failed: usize) {
    if failed > 0 {
        tracing::warn!(
            "{failed} keys could not be locked in memory and may reach swap: raise the limit of locked \
             memory (`ulimit -l`, `LimitMEMLOCK=` in systemd), or turn swap off or encrypt it"
        );
    }
}

fn is_locked(key: &SecretKey) -> bool {
    let bytes = key.expose_bytes();
    match region::lock(bytes.as_ptr(), bytes.len()) {
        Ok(guard) => {
            // Keys of one page share its lock, and the first to be dropped would take it from the
            // others. A page stays locked until the process ends: a handful.
            std::mem::forget(guard);
            true
        }
        Err(_) => false,
    }
}
