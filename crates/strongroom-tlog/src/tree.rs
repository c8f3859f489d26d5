//! The tree itself: how leaves and nodes are hashed, and the right edge of a growing log.

use std::fmt;

use data_encoding::HEXLOWER;
use strongroom_crypto::sha256;

use crate::{TlogError, base64};

/// A SHA-256 tree hash. Says nothing about its height: a root, a node and a leaf look alike.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Reads the form used in checkpoints and proofs. Refuses any other spelling of the same
    /// bytes (missing padding, stray bits, padding inside), so that a hash has one text only.
    pub fn from_base64(text: &str) -> Result<Self, TlogError> {
        let bytes = base64::decode(text).ok_or(TlogError::HashMalformed)?;
        bytes.try_into().map(Self).map_err(|_| TlogError::HashMalformed)
    }

    /// Standard base64 with padding, 44 characters.
    pub fn to_base64(self) -> String {
        base64::encode(&self.0)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// The root of a full subtree of 256^`level` leaves that starts at leaf `index` * 256^`level`:
/// one entry of the tlog-tiles tile at that level. Level 0 is never emitted, because leaf hashes
/// are recomputed from the stored leaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TileRoot {
    /// Tile level, from 1.
    pub level: u8,
    /// Position within the level, not within one tile.
    pub index: u64,
    /// RFC 6962 root of the subtree.
    pub hash: Hash,
}

/// The roots of the full subtrees that cover a log from the left ("compact range"): all that is
/// needed to append and to know the root. At most 62 hashes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Frontier {
    size: u64,
    /// Largest subtree first.
    // INVARIANT: one peak for each bit set in `size`.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The frontier of an empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of leaves appended so far, which is the index of the next one.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next leaf hash and adds to `completed` every tile entry which it makes full,
    /// lower levels first. Nothing is ever removed from `completed`, so a batch can share it.
    #[expect(clippy::expect_used, reason = "INVARIANT: one peak for each bit set in size")]
    pub fn append(&mut self, leaf: Hash, completed: &mut Vec<TileRoot>) {
        let mut node = leaf;
        // Adding one to a binary number carries through its trailing ones; each carry is a merge
        // of two full subtrees of the same height.
        for height in 1..=self.size.trailing_ones() {
            let left = self.peaks.pop().expect("a peak for each bit of the size");
            node = node_hash(&left, &node);
            if height % TILE_HEIGHT == 0 {
                let level = (height / TILE_HEIGHT) as u8;
                completed.push(TileRoot { level, index: self.size >> height, hash: node });
            }
        }
        self.peaks.push(node);
        // Cannot overflow: `decode` stops at SIZE_MAX, and nobody appends 2^62 leaves more.
        self.size += 1;
    }

    /// The RFC 6962 tree hash; of an empty log, SHA-256 of nothing.
    pub fn root(&self) -> Hash {
        self.peaks
            .iter()
            .rev()
            .copied()
            .reduce(|right, left| node_hash(&left, &right))
            .unwrap_or_else(empty_root)
    }

    /// Size as 8 bytes big-endian, then the peaks, largest subtree first.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        for peak in &self.peaks {
            bytes.extend_from_slice(&peak.0);
        }
        bytes
    }

    /// Reads what `encode` wrote. Detects a wrong length, not a wrong hash: compare `root` with
    /// the signed checkpoint before appending.
    pub fn decode(bytes: &[u8]) -> Result<Self, TlogError> {
        let (size, rest) = bytes.split_first_chunk::<8>().ok_or(TlogError::FrontierMalformed)?;
        let size = u64::from_be_bytes(*size);
        let (peaks, remainder) = rest.as_chunks::<32>();
        let one_peak_per_bit = peaks.len() == size.count_ones() as usize;
        if size > SIZE_MAX || !one_peak_per_bit || !remainder.is_empty() {
            return Err(TlogError::FrontierMalformed);
        }
        Ok(Self { size, peaks: peaks.iter().copied().map(Hash).collect() })
    }
}

/// Hash of one entry: SHA-256 of 0x00 and the bytes (RFC 6962 section 2.1). The prefix keeps a
/// leaf from passing as an inner node, which is what makes the tree resist second preimages.
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    Hash(sha256(&[&[0x00], leaf]))
}

/// Hash of an inner node: SHA-256 of 0x01 and both children (RFC 6962 section 2.1).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(sha256(&[&[0x01], &left.0, &right.0]))
}

/// Root of the empty tree (RFC 6962 section 2.1).
pub(crate) fn empty_root() -> Hash {
    Hash(sha256(&[]))
}

/// Largest size read from a stored frontier or a checkpoint: 2^62. No log reaches it, it fits the
/// signed 64-bit numbers of SQL and of Go's sumdb, and additions to it cannot overflow.
pub const SIZE_MAX: u64 = 1 << 62;

/// A tile spans eight levels of the binary tree (tlog-tiles, "Merkle Tree").
pub(crate) const TILE_HEIGHT: u32 = 8;
