//! Pure parts of the log: names, runs, the roots of sets, what a tree needs to be rebuilt.

use std::collections::HashMap;

use strongroom_crypto::sha256;
use strongroom_tlog::{Frontier, Hash, Hashes, leaf_hash};

use crate::ctx::{Pseudonym, Time};

/// The run an entry's index rows belong to.
pub(super) fn run_of(index: u64) -> u64 {
    index / RUN_SIZE
}

/// The month whose key hides a network address.
pub(super) fn month_of(time: Time) -> String {
    time.to_rfc3339().chars().take("2026-11".len()).collect()
}

/// The root of a salted set: an RFC 6962 tree over the members in order, so that a member can be
/// shown without the others.
pub(super) fn set_root(salt: &[u8; 16], members: &[Pseudonym]) -> [u8; 32] {
    let mut tree = Frontier::new();
    let mut completed = Vec::new();
    for member in members {
        tree.append(leaf_hash(&sha256(&[salt, &member.0])), &mut completed);
    }
    tree.root().0
}

/// Members of a set in one text of bytes, as it is sealed.
pub(super) fn encode_set(members: &[Pseudonym]) -> Vec<u8> {
    members.iter().flat_map(|member| member.0).collect()
}

/// Reads a set back; `None` if the bytes are not whole members.
pub(super) fn decode_set(bytes: &[u8]) -> Option<Vec<Pseudonym>> {
    let (members, rest) = bytes.as_chunks::<16>();
    rest.is_empty().then(|| members.iter().map(|member| Pseudonym(*member)).collect())
}

/// The hash that stands beside an entry so that a changed one can be named.
pub(super) fn leaf_check(hash: &Hash) -> [u8; 8] {
    let mut check = [0; 8];
    check.iter_mut().zip(hash.0).for_each(|(slot, byte)| *slot = byte);
    check
}

/// Hashes read ahead of building a proof.
#[derive(Default)]
pub(super) struct LoadedHashes(pub(super) HashMap<(u8, u64), Hash>);

impl Hashes for LoadedHashes {
    fn hash(&self, level: u8, index: u64) -> Option<Hash> {
        self.0.get(&(level, index)).copied()
    }
}

/// Entries in one run of the indexes (`specs/performance.md`: keyed by run, throughput holds as the
/// log grows).
pub(super) const RUN_SIZE: u64 = 1024;
