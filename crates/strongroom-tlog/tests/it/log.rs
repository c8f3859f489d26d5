//! Logs to prove things about.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use strongroom_tlog::{Frontier, Hash, Hashes, TileRoot, leaf_hash, node_hash};

/// A log with all its leaf hashes and tile roots, as the product stores them.
pub(crate) struct Log {
    pub(crate) leaves: Vec<Hash>,
    pub(crate) completed: Vec<TileRoot>,
    pub(crate) frontier: Frontier,
    tiles: BTreeMap<(u8, u64), Hash>,
}

impl Log {
    pub(crate) fn of(leaves: impl IntoIterator<Item = Hash>) -> Self {
        let leaves: Vec<Hash> = leaves.into_iter().collect();
        let (mut frontier, mut completed) = (Frontier::new(), Vec::new());
        for leaf in &leaves {
            frontier.append(*leaf, &mut completed);
        }
        let tiles = completed.iter().map(|tile| ((tile.level, tile.index), tile.hash)).collect();
        Self { leaves, completed, frontier, tiles }
    }

    /// Leaf i is the number i.
    pub(crate) fn numbered(size: u64) -> Self {
        Self::of((0..size).map(|number| leaf_hash(&number.to_be_bytes())))
    }
}

impl Hashes for Log {
    fn hash(&self, level: u8, index: u64) -> Option<Hash> {
        match level {
            0 => self.leaves.get(index as usize).copied(),
            _ => self.tiles.get(&(level, index)).copied(),
        }
    }
}

/// Large enough for a tile root of level 2 (65,536 leaves) and a ragged edge: the example size of
/// the tlog-tiles specification.
pub(crate) static LARGE: LazyLock<Log> = LazyLock::new(|| Log::numbered(70_000));

/// A log of any size whose leaves are all alike, so that every full subtree of a height is too.
pub(crate) struct Uniform {
    levels: Vec<Hash>,
}

impl Uniform {
    pub(crate) fn new() -> Self {
        let mut hash = leaf_hash(b"again");
        let mut levels = vec![hash];
        for _ in 1..8 {
            for _ in 0..8 {
                hash = node_hash(&hash, &hash);
            }
            levels.push(hash);
        }
        Self { levels }
    }
}

impl Hashes for Uniform {
    fn hash(&self, level: u8, _index: u64) -> Option<Hash> {
        self.levels.get(usize::from(level)).copied()
    }
}

/// The eight leaves of the Certificate Transparency reference tree; source: `LeafInputs` in
/// github.com/transparency-dev/merkle, testonly/constants.go.
pub(crate) fn reference_leaves() -> Vec<Hash> {
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", REFERENCE_LEAF_7]
        .iter()
        .map(|hex| leaf_hash(&data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap()))
        .collect()
}

pub(crate) fn from_hex(hex: &str) -> Hash {
    Hash(data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap().try_into().unwrap())
}

const REFERENCE_LEAF_7: &str = "606162636465666768696a6b6c6d6e6f";
