//! Builds proofs from tile hashes. The checks are in `verify` and share nothing with this file but
//! the hash function, so that one mistake cannot hide in both.

use std::collections::BTreeMap;
use std::iter;
use std::ops::Range;

use crate::tree::{TILE_HEIGHT, empty_root};
use crate::{Hash, TlogError, node_hash};

/// Where proofs read the tree: level 0 holds leaf hashes, level 1 the roots of 256 leaves, level n
/// the roots of 256^n. Only full subtrees are ever asked for.
pub trait Hashes {
    /// `None` where it is not at hand; the proof then fails with `HashMissing`.
    fn hash(&self, level: u8, index: u64) -> Option<Hash>;
}

/// What a caller loaded after asking one of the `needed_for_` functions.
impl Hashes for BTreeMap<(u8, u64), Hash> {
    fn hash(&self, level: u8, index: u64) -> Option<Hash> {
        self.get(&(level, index)).copied()
    }
}

/// A subtree of 2^height leaves, all present, that starts at leaf `index` * 2^height.
struct FullSubtree {
    height: u32,
    index: u64,
}

impl FullSubtree {
    /// The tile level and the run of entries there which hash up to this subtree: 1 to 128.
    fn tile_entries(&self) -> (u8, Range<u64>) {
        let above_tile = self.height % TILE_HEIGHT;
        let first = self.index << above_tile;
        ((self.height / TILE_HEIGHT) as u8, first..first + (1 << above_tile))
    }

    fn root(&self, hashes: &dyn Hashes) -> Result<Hash, TlogError> {
        let (level, entries) = self.tile_entries();
        let mut row = entries
            .map(|index| hashes.hash(level, index).ok_or(TlogError::HashMissing { level, index }))
            .collect::<Result<Vec<_>, _>>()?;
        // The row is a power of two long, so pairing ends at exactly one node.
        while row.len() > 1 {
            let (pairs, _) = row.as_chunks::<2>();
            row = pairs.iter().map(|[left, right]| node_hash(left, right)).collect();
        }
        row.pop().ok_or(TlogError::ProofWrong)
    }
}

/// The audit path of RFC 6962 section 2.1.1, sibling of the leaf first.
pub fn inclusion_proof(size: u64, index: u64, hashes: &dyn Hashes) -> Result<Vec<Hash>, TlogError> {
    if index >= size {
        return Err(TlogError::IndexOutside { index, size });
    }
    inclusion_path(size, index).into_iter().map(|leaves| root_over(leaves, hashes)).collect()
}

/// The proof of RFC 6962 section 2.1.2 that the tree of size `old` is a prefix of that of size
/// `new`. Empty where there is nothing to prove: equal sizes, or an empty old tree.
pub fn consistency_proof(old: u64, new: u64, hashes: &dyn Hashes) -> Result<Vec<Hash>, TlogError> {
    if old > new {
        return Err(TlogError::SizesWrong { old, new });
    }
    consistency_path(old, new).into_iter().map(|leaves| root_over(leaves, hashes)).collect()
}

/// The root of the first `size` leaves, computed anew from the tile hashes.
pub fn root_of(size: u64, hashes: &dyn Hashes) -> Result<Hash, TlogError> {
    root_over(0..size, hashes)
}

/// Every (level, index) which `inclusion_proof` will ask for, ascending, none twice. They lie in
/// at most two tiles a level (that of the leaf and the rightmost), so at most 510 a level. Empty
/// where the leaf is not in the tree.
pub fn needed_for_inclusion(size: u64, index: u64) -> Vec<(u8, u64)> {
    if index >= size {
        return Vec::new();
    }
    entries_under(inclusion_path(size, index))
}

/// Every (level, index) which `consistency_proof` will ask for, ascending, none twice; at most
/// 511 a level: all of the tile where the old tree ends, and the rightmost. Empty where the sizes are the wrong way round.
pub fn needed_for_consistency(old: u64, new: u64) -> Vec<(u8, u64)> {
    entries_under(consistency_path(old, new))
}

/// Every (level, index) which `root_of` will ask for, ascending, none twice; at most 255 a level.
pub fn needed_for_root(size: u64) -> Vec<(u8, u64)> {
    entries_under(iter::once(0..size))
}

/// The leaves under each element of an audit path. Walks from the root down, so the list is turned
/// at the end.
fn inclusion_path(size: u64, index: u64) -> Vec<Range<u64>> {
    let mut path = Vec::new();
    let mut rest = 0..size;
    while rest.end - rest.start > 1 {
        let split = split_of(&rest);
        if index < split {
            path.push(split..rest.end);
            rest.end = split;
        } else {
            path.push(rest.start..split);
            rest.start = split;
        }
    }
    path.reverse();
    path
}

/// The leaves under each element of a consistency proof.
fn consistency_path(old: u64, new: u64) -> Vec<Range<u64>> {
    if old == 0 {
        return Vec::new();
    }
    let mut path = Vec::new();
    let mut rest = 0..new;
    while old < rest.end {
        let split = split_of(&rest);
        if old <= split {
            path.push(split..rest.end);
            rest.end = split;
        } else {
            path.push(rest.start..split);
            rest.start = split;
        }
    }
    // A walk that never turned right ends at the old root itself, which the verifier has.
    if rest.start > 0 {
        path.push(rest);
    }
    path.reverse();
    path
}

/// Where RFC 6962 divides a range of at least two leaves: the largest power of two smaller than
/// its length goes to the left.
fn split_of(leaves: &Range<u64>) -> u64 {
    let last = leaves.end - leaves.start - 1;
    leaves.start + (1 << last.ilog2())
}

/// The full subtrees that cover a range, largest first. The range must start where a subtree of
/// its largest power of two can start, as every range of the paths above does.
fn full_subtrees(leaves: Range<u64>) -> Vec<FullSubtree> {
    let mut subtrees = Vec::new();
    let mut start = leaves.start;
    while start < leaves.end {
        let height = (leaves.end - start).ilog2();
        subtrees.push(FullSubtree { height, index: start >> height });
        start += 1 << height;
    }
    subtrees
}

fn root_over(leaves: Range<u64>, hashes: &dyn Hashes) -> Result<Hash, TlogError> {
    let mut root = None;
    for subtree in full_subtrees(leaves).iter().rev() {
        let left = subtree.root(hashes)?;
        root = Some(root.map_or(left, |right| node_hash(&left, &right)));
    }
    Ok(root.unwrap_or_else(empty_root))
}

fn entries_under(ranges: impl IntoIterator<Item = Range<u64>>) -> Vec<(u8, u64)> {
    let mut entries = Vec::new();
    for subtree in ranges.into_iter().flat_map(full_subtrees) {
        let (level, run) = subtree.tile_entries();
        entries.extend(run.map(|index| (level, index)));
    }
    // The ranges of one path do not overlap, so sorting suffices.
    entries.sort_unstable();
    entries
}
