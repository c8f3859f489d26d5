//! RFC 6962 section 2.1, as it is written down: from the definition, top down, and one growing form
//! for logs that do not fit into memory.

use strongroom_crypto::sha256;

/// A hash of a leaf or a node.
pub(crate) type Hash = [u8; 32];

pub(crate) fn of_leaf(entry: &[u8]) -> Hash {
    sha256(&[&[0], entry])
}

pub(crate) fn of_nodes(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// A tree that takes one leaf after another and remembers the full subtrees on its left.
#[derive(Default)]
pub(crate) struct Tree {
    size: u64,
    /// Number of leaves below each, and its hash; the widest first.
    subtrees: Vec<(u64, Hash)>,
}

impl Tree {
    pub(crate) fn add(&mut self, leaf: Hash) {
        self.size += 1;
        let (mut width, mut hash) = (1, leaf);
        while let Some((_, left)) = self.subtrees.pop_if(|(left, _)| *left == width) {
            hash = of_nodes(&left, &hash);
            width *= 2;
        }
        self.subtrees.push((width, hash));
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn root(&self) -> Hash {
        let mut from_right = self.subtrees.iter().rev().map(|(_, hash)| *hash);
        let Some(last) = from_right.next() else { return sha256(&[]) };
        from_right.fold(last, |right, left| of_nodes(&left, &right))
    }
}

/// The hash over a row of hashes, each the root of a subtree of one width.
pub(crate) fn over(row: &[Hash]) -> Hash {
    let mut tree = Tree::default();
    row.iter().for_each(|hash| tree.add(*hash));
    tree.root()
}

/// The root that a path leads to from the leaf at `index` in a tree of `size`; `None` if the path has
/// not the length that this place has.
///
/// Follows the definition of PATH(m, D[n]) from the top: its last element is the other half of the
/// whole tree.
pub(crate) fn climb(index: u64, size: u64, leaf: Hash, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    if size == 1 {
        return path.is_empty().then_some(leaf);
    }
    let (other, inner) = path.split_last()?;
    // The largest power of two smaller than the size.
    let left_size = 1_u64 << (size - 1).ilog2();
    if index < left_size {
        Some(of_nodes(&climb(index, left_size, leaf, inner)?, other))
    } else {
        Some(of_nodes(other, &climb(index - left_size, size - left_size, leaf, inner)?))
    }
}

/// Largest size read: 2^62. No log reaches it, and sums with it cannot overflow.
pub(crate) const SIZE_MAX: u64 = 1 << 62;

/// Hashes in a full tile (tlog-tiles).
pub(crate) const TILE_WIDTH: u64 = 256;
