//! RFC 6962 section 2.1 written down word for word, recursive and slow, hashing on its own. What
//! the crate computes is compared with this.

use strongroom_crypto::sha256;
use strongroom_tlog::Hash;

/// "k is the largest power of two smaller than n".
fn split(size: u64) -> u64 {
    let mut k = 1;
    while k * 2 < size {
        k *= 2;
    }
    k
}

fn node(left: Hash, right: Hash) -> Hash {
    Hash(sha256(&[&[1], &left.0, &right.0]))
}

fn halves(leaves: &[Hash]) -> (&[Hash], &[Hash]) {
    leaves.split_at(split(leaves.len() as u64) as usize)
}

/// MTH(D[n]), over leaf hashes.
pub(crate) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash(sha256(&[])),
        [leaf] => *leaf,
        _ => {
            let (left, right) = halves(leaves);
            node(root(left), root(right))
        }
    }
}

/// PATH(m, D[n]).
pub(crate) fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = halves(leaves);
    if index < left.len() {
        [path(index, left), vec![root(right)]].concat()
    } else {
        [path(index - left.len(), right), vec![root(left)]].concat()
    }
}

/// SUBPROOF(m, D[n], b); `known` is b.
pub(crate) fn subproof(old: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if known { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = halves(leaves);
    if old <= left.len() {
        [subproof(old, left, known), vec![root(right)]].concat()
    } else {
        [subproof(old - left.len(), right, false), vec![root(left)]].concat()
    }
}

/// What the sizes alone say about an inclusion proof: `L` for an element on the left. Two places
/// with one shape cannot be told apart by any verifier.
pub(crate) fn inclusion_shape(index: u64, size: u64) -> String {
    if size == 1 {
        return String::new();
    }
    let k = split(size);
    if index < k {
        inclusion_shape(index, k) + "R"
    } else {
        inclusion_shape(index - k, size - k) + "L"
    }
}

/// The same for consistency proofs; `K` where the walk starts at the old root, `S` where at a
/// subtree.
pub(crate) fn consistency_shape(old: u64, new: u64, known: bool) -> String {
    if old == new {
        return String::from(if known { "K" } else { "S" });
    }
    let k = split(new);
    if old <= k {
        consistency_shape(old, k, known) + "R"
    } else {
        consistency_shape(old - k, new - k, false) + "L"
    }
}
