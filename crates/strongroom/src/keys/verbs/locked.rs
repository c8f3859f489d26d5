//! Keys in memory that is never written to swap.
//!
//! The whole process is kept out of core dumps and from other processes where it starts (`cli`); this
//! keeps the pages of long-lived keys out of swap.

use std::sync::PoisonError;

use strongroom_crypto::SecretKey;

use crate::keys::model::Unsealed;

/// Locks the pages of every long-lived key. A system that does not allow it (`ulimit -l`) is said so in
/// the program's log; the keys are used all the same, because refusing would only move people to run
/// the program as root.
pub(super) fn lock(keys: &Unsealed) {
    let mut failed = 0;
    each_long_lived(keys, |key| failed += usize::from(!is_locked(key)));
    warn_of(failed);
}

/// The same for one that comes to them later.
pub(in crate::keys) fn lock_one(key: &SecretKey) {
    warn_of(usize::from(!is_locked(key)));
}

/// Every key that outlives the call it is used in, but for those of signatures, which their library holds.
pub(in crate::keys) fn each_long_lived(keys: &Unsealed, see: impl FnMut(&SecretKey)) {
    let months = keys.months.lock().unwrap_or_else(PoisonError::into_inner);
    let months = months.values().map(AsRef::as_ref);
    let hashing = keys.index.both().chain(keys.subject.both());
    let others = [&keys.root, &keys.row, &keys.sets].into_iter().chain(hashing).chain(months);
    let faded = keys.faded.iter().flat_map(|(_, keks)| keks.values());
    let wrapping = keys.keks.values().chain(faded).chain(&keys.provider).chain(&keys.formers);
    wrapping.chain(others).for_each(see);
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
