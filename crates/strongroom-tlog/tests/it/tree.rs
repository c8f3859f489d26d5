use proptest::prelude::*;
use strongroom_tlog::{Frontier, Hash, SIZE_MAX, TlogError, leaf_hash, root_of};

use crate::log::{LARGE, Log, Uniform, from_hex, reference_leaves};
use crate::naive;

#[test]
fn the_reference_tree_has_the_published_roots() {
    // `RootHashes` in github.com/transparency-dev/merkle, testonly/constants.go.
    let published = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let leaves = reference_leaves();
    for (size, root) in published.into_iter().enumerate() {
        let log = Log::of(leaves[..size].iter().copied());
        assert_eq!(log.frontier.root(), from_hex(root), "size {size}");
        assert_eq!(root_of(size as u64, &log).unwrap(), from_hex(root), "size {size}");
    }
}

#[test]
fn every_small_log_has_the_root_of_the_specification() {
    let log = Log::numbered(300);
    let mut frontier = Frontier::new();
    let mut completed = Vec::new();
    for size in 0..=300 {
        let expected = naive::root(&log.leaves[..size]);
        assert_eq!(frontier.size(), size as u64);
        assert_eq!(frontier.root(), expected, "size {size}");
        assert_eq!(root_of(size as u64, &log).unwrap(), expected, "size {size}");
        assert_eq!(Frontier::decode(&frontier.encode()).unwrap(), frontier);
        if let Some(leaf) = log.leaves.get(size) {
            frontier.append(*leaf, &mut completed);
        }
    }
}

#[test]
fn a_tile_root_appears_once_each_time_a_tile_fills() {
    let log = &*LARGE;
    let mut expected = Vec::new();
    for size in 1..=log.leaves.len() {
        for level in 1..=2 {
            let span = 256_usize.pow(level);
            if size % span == 0 {
                expected.push((level as u8, (size / span - 1) as u64, size - span..size));
            }
        }
    }
    assert_eq!(log.completed.len(), 273 + 1);
    assert_eq!(log.completed.len(), expected.len());
    for (tile, (level, index, leaves)) in log.completed.iter().zip(expected) {
        assert_eq!((tile.level, tile.index), (level, index));
        assert_eq!(tile.hash, naive::root(&log.leaves[leaves]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_large_log_has_the_root_of_the_specification(size in 0_usize..=70_000) {
        let leaves = &LARGE.leaves[..size];
        let mut frontier = Frontier::new();
        for leaf in leaves {
            frontier.append(*leaf, &mut Vec::new());
        }
        let expected = naive::root(leaves);
        prop_assert_eq!(frontier.root(), expected);
        prop_assert_eq!(root_of(size as u64, &*LARGE).unwrap(), expected);
    }
}

proptest! {
    #[test]
    fn a_stored_frontier_goes_on_where_it_was(first in 0_u64..700, more in 0_u64..700) {
        let log = Log::numbered(first + more);
        let mut stored = Log::numbered(first).frontier.encode();
        let mut completed = Vec::new();
        for leaf in &log.leaves[first as usize..] {
            let mut frontier = Frontier::decode(&stored).unwrap();
            frontier.append(*leaf, &mut completed);
            stored = frontier.encode();
        }
        prop_assert_eq!(stored, log.frontier.encode());
        prop_assert!(log.completed.ends_with(&completed));
    }

    #[test]
    fn a_frontier_decodes_only_from_what_encodes_to_the_same(bytes: Vec<u8>) {
        if let Ok(frontier) = Frontier::decode(&bytes) {
            prop_assert_eq!(frontier.encode(), bytes);
        }
    }

    #[test]
    fn a_hash_has_one_base64_text(bytes: [u8; 32], noise in "[A-Za-z0-9+/=]{42,46}") {
        let hash = Hash(bytes);
        prop_assert_eq!(Hash::from_base64(&hash.to_base64()).unwrap(), hash);
        if let Ok(hash) = Hash::from_base64(&noise) {
            prop_assert_eq!(hash.to_base64(), noise);
        }
    }
}

#[test]
fn a_hash_respelt_with_padding_inside_is_refused() {
    let hash = Hash([0; 32]).to_base64();
    assert_eq!(Hash::from_base64(&hash), Ok(Hash([0; 32])));
    // Both decode to 32 zero bytes in decoders that take padded pieces one after another.
    for respelt in
        ["AA==".to_owned() + &"AAAA".repeat(10) + "AA==", hash.replace("AAA=", "AA==AA==")]
    {
        assert_eq!(Hash::from_base64(&respelt), Err(TlogError::HashMalformed), "{respelt}");
    }
}

#[test]
fn a_frontier_with_a_wrong_count_of_peaks_is_refused() {
    let with = |size: u64, peaks: usize| [size.to_be_bytes().as_slice(), &vec![7; peaks]].concat();
    let refused = Err(TlogError::FrontierMalformed);
    assert_eq!(Frontier::decode(&[]), refused);
    assert_eq!(Frontier::decode(&[0; 7]), refused);
    assert_eq!(Frontier::decode(&with(0, 32)), refused);
    assert_eq!(Frontier::decode(&with(5, 32)), refused);
    assert_eq!(Frontier::decode(&with(5, 3 * 32)), refused);
    assert_eq!(Frontier::decode(&with(5, 2 * 32 - 1)), refused);
    assert_eq!(Frontier::decode(&with(5, 2 * 32 + 1)), refused);
    assert_eq!(Frontier::decode(&with(5, 2 * 32)).unwrap().size(), 5);
    assert_eq!(Frontier::decode(&with(SIZE_MAX, 32)).unwrap().size(), SIZE_MAX);
    assert_eq!(Frontier::decode(&with(SIZE_MAX + 1, 2 * 32)), refused);
    assert_eq!(Frontier::decode(&with(u64::MAX, 64 * 32)), refused);
}

#[test]
fn a_log_far_larger_than_any_disk_keeps_counting() {
    // One leaf short of 2^62, all leaves alike: the next one fills tiles of levels 1 to 7.
    let uniform = Uniform::new();
    let size = SIZE_MAX - 1;
    let mut bytes = size.to_be_bytes().to_vec();
    let mut peaks = vec![leaf_hash(b"again")];
    for _ in 1..62 {
        let below = *peaks.last().unwrap();
        peaks.push(strongroom_tlog::node_hash(&below, &below));
    }
    bytes.extend(peaks.iter().rev().flat_map(|peak| peak.0));
    let mut frontier = Frontier::decode(&bytes).unwrap();
    assert_eq!(frontier.root(), root_of(size, &uniform).unwrap());

    let mut completed = Vec::new();
    frontier.append(leaf_hash(b"again"), &mut completed);
    assert_eq!(frontier.root(), root_of(SIZE_MAX, &uniform).unwrap());
    let levels: Vec<(u8, u64)> = completed.iter().map(|tile| (tile.level, tile.index)).collect();
    let expected = (1..=7).map(|level| (level, (SIZE_MAX >> (8 * level)) - 1));
    assert_eq!(levels, expected.collect::<Vec<_>>());
}
