//! Checks proofs, as RFC 9162 writes it down: from the leaf up, by the bits of index and size. The
//! builder in `proof` goes from the root down over ranges, so that neither repeats the other's
//! mistakes.
//!
//! A root does not commit to a size. Some neighbouring sizes give a path of the same shape and
//! cannot be told apart here, so size and root must come from the same signed checkpoint.

use crate::tree::empty_root;
use crate::{Hash, TlogError, node_hash};

/// Accepts only if `proof` leads from `leaf` at `index` to `root` in a tree of `size` leaves
/// (RFC 9162 section 2.1.3.2).
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &Hash,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), TlogError> {
    if index >= size {
        return Err(TlogError::IndexOutside { index, size });
    }
    let mut climb = Climb { node: index, last: size - 1 };
    let mut reached = *leaf;
    for sibling in proof {
        reached = match climb.step()? {
            Side::Left => node_hash(sibling, &reached),
            Side::Right => node_hash(&reached, sibling),
        };
    }
    if climb.last == 0 && reached == *root { Ok(()) } else { Err(TlogError::ProofWrong) }
}

/// Accepts only if `proof` shows that the first `old_size` leaves under `new_root` are those under
/// `old_root` (RFC 9162 section 2.1.4.2). Equal sizes need equal roots and no proof; so does an
/// empty old tree, which every log continues, but its root must be that of the empty tree.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), TlogError> {
    if old_size > new_size {
        return Err(TlogError::SizesWrong { old: old_size, new: new_size });
    }
    if old_size == new_size || old_size == 0 {
        let old_is_known = old_size > 0 || *old_root == empty_root();
        let new_follows = old_size < new_size || old_root == new_root;
        let proven = proof.is_empty() && old_is_known && new_follows;
        return if proven { Ok(()) } else { Err(TlogError::ProofWrong) };
    }

    // The walk starts at the largest full subtree that ends the old tree. If that is the whole old
    // tree, its hash is the old root and does not stand in the proof.
    let (start, rest) = if old_size.is_power_of_two() {
        (*old_root, proof)
    } else {
        let (first, rest) = proof.split_first().ok_or(TlogError::ProofWrong)?;
        (*first, rest)
    };
    let height = old_size.trailing_zeros();
    let mut climb = Climb { node: (old_size - 1) >> height, last: (new_size - 1) >> height };
    let (mut reached_old, mut reached_new) = (start, start);
    for sibling in rest {
        match climb.step()? {
            Side::Left => {
                reached_old = node_hash(sibling, &reached_old);
                reached_new = node_hash(sibling, &reached_new);
            }
            Side::Right => reached_new = node_hash(&reached_new, sibling),
        }
    }
    let proven = climb.last == 0 && reached_old == *old_root && reached_new == *new_root;
    if proven { Ok(()) } else { Err(TlogError::ProofWrong) }
}

/// On which side of the path the next element of the proof stands.
enum Side {
    Left,
    Right,
}

/// Position on the way up: the node reached and the last node of its level ("fn" and "sn" in
/// RFC 9162).
struct Climb {
    node: u64,
    last: u64,
}

impl Climb {
    /// Says where the next sibling stands, and climbs past it. Fails at the root, where an element
    /// would be one too many.
    fn step(&mut self) -> Result<Side, TlogError> {
        if self.last == 0 {
            return Err(TlogError::ProofWrong);
        }
        let side = if self.node & 1 == 1 || self.node == self.last {
            // The last node of an odd level has no sibling there: it is carried up unhashed until
            // it becomes a right child. A right child has no trailing zeros and is not moved; and
            // `node` is not 0 here, being odd or equal to `last`.
            let carried = self.node.trailing_zeros();
            self.node >>= carried;
            self.last >>= carried;
            Side::Left
        } else {
            Side::Right
        };
        self.node >>= 1;
        self.last >>= 1;
        Ok(side)
    }
}
