use std::collections::BTreeMap;

use proptest::prelude::*;
use strongroom_tlog::{
    Hash, Hashes, SIZE_MAX, TlogError, consistency_proof, inclusion_proof, needed_for_consistency,
    needed_for_inclusion, needed_for_root, root_of, verify_consistency, verify_inclusion,
};

use crate::log::{LARGE, Log, Uniform, reference_leaves};
use crate::naive;

/// Happy paths of github.com/transparency-dev/merkle, testdata/inclusion: index, size, proof.
const PUBLISHED_INCLUSION: [(u64, u64, &[&str]); 5] = [
    (0, 1, &[]),
    (
        0,
        8,
        &[
            "lqKW0iTyhcZ77pPDD4owkVfw2qNdxbh+QQt4YwoJz8c=",
            "Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=",
            "a0eq8p7jwq+a+Im8H7klTavTEXfxYjLdaqsDXKOb9uQ=",
        ],
    ),
    (
        5,
        8,
        &[
            "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=",
            "yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=",
            "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=",
        ],
    ),
    (2, 3, &["+sVCA+fMaWzw38tCySodnbr3CtnmIfS9jZhmLwDjwSU="]),
    (
        1,
        5,
        &[
            "bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=",
            "Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=",
            "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=",
        ],
    ),
];

/// Happy paths of the same repository, testdata/consistency: old size, new size, proof.
const PUBLISHED_CONSISTENCY: [(u64, u64, &[&str]); 5] = [
    (1, 1, &[]),
    (
        1,
        8,
        &[
            "lqKW0iTyhcZ77pPDD4owkVfw2qNdxbh+QQt4YwoJz8c=",
            "Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=",
            "a0eq8p7jwq+a+Im8H7klTavTEXfxYjLdaqsDXKOb9uQ=",
        ],
    ),
    (
        6,
        8,
        &[
            "DrxdNDf74tsVi58Sah0RjjCBgQMdCpSfje3t68VY72o=",
            "yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=",
            "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=",
        ],
    ),
    (
        2,
        5,
        &[
            "Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=",
            "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=",
        ],
    ),
    (
        6,
        7,
        &[
            "DrxdNDf74tsVi58Sah0RjjCBgQMdCpSfje3t68VY72o=",
            "sIaT7C5yFZcTBkHoIR5+7cy0wmQTlj7ubB4u0W/7Gl8=",
            "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=",
        ],
    ),
];

fn hashes(base64: &[&str]) -> Vec<Hash> {
    base64.iter().map(|text| Hash::from_base64(text).unwrap()).collect()
}

#[test]
fn the_reference_tree_has_the_published_proofs() {
    let log = Log::of(reference_leaves());
    let root = |size: u64| root_of(size, &log).unwrap();
    for (index, size, published) in PUBLISHED_INCLUSION {
        let proof = hashes(published);
        assert_eq!(inclusion_proof(size, index, &log).unwrap(), proof, "{index} in {size}");
        verify_inclusion(index, size, &log.leaves[index as usize], &proof, &root(size)).unwrap();
    }
    for (old, new, published) in PUBLISHED_CONSISTENCY {
        let proof = hashes(published);
        assert_eq!(consistency_proof(old, new, &log).unwrap(), proof, "{old} to {new}");
        verify_consistency(old, &root(old), new, &root(new), &proof).unwrap();
    }
}

#[test]
fn every_leaf_of_a_small_log_has_the_proof_of_the_specification() {
    let log = Log::numbered(70);
    for size in 1..=70 {
        let leaves = &log.leaves[..size];
        let root = naive::root(leaves);
        for index in 0..size {
            let proof = inclusion_proof(size as u64, index as u64, &log).unwrap();
            assert_eq!(proof, naive::path(index, leaves), "{index} in {size}");
            verify_inclusion(index as u64, size as u64, &leaves[index], &proof, &root).unwrap();
        }
    }
}

#[test]
fn every_pair_of_small_logs_has_the_proof_of_the_specification() {
    let log = Log::numbered(70);
    let roots: Vec<Hash> = (0..=70).map(|size| naive::root(&log.leaves[..size])).collect();
    for new in 0..=70 {
        for old in 0..=new {
            let proof = consistency_proof(old as u64, new as u64, &log).unwrap();
            if old > 0 {
                let expected = naive::subproof(old, &log.leaves[..new], true);
                assert_eq!(proof, expected, "{old} to {new}");
            }
            verify_consistency(old as u64, &roots[old], new as u64, &roots[new], &proof).unwrap();
        }
    }
}

#[test]
fn every_size_across_the_first_tile_has_proofs_at_its_edges() {
    let log = Log::numbered(600);
    let root = |size: u64| naive::root(&log.leaves[..size as usize]);
    for size in (250..=300).chain(510..=520).chain([600]) {
        let new_root = root(size);
        for index in [0, 1, size / 2, 248, 249, 255, 256, size - 2, size - 1] {
            let Some(index) = Some(index).filter(|index| *index < size) else { continue };
            let proof = inclusion_proof(size, index, &log).unwrap();
            let leaf = &log.leaves[index as usize];
            verify_inclusion(index, size, leaf, &proof, &new_root).unwrap();
            let proof = consistency_proof(index + 1, size, &log).unwrap();
            verify_consistency(index + 1, &root(index + 1), size, &new_root, &proof).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn a_large_log_has_the_proofs_of_the_specification(
        size in 1_usize..=70_000,
        at: prop::sample::Index,
    ) {
        let leaves = &LARGE.leaves[..size];
        let index = at.index(size);
        let proof = inclusion_proof(size as u64, index as u64, &*LARGE).unwrap();
        prop_assert_eq!(&proof, &naive::path(index, leaves));
        let old = index + 1;
        let proof = consistency_proof(old as u64, size as u64, &*LARGE).unwrap();
        prop_assert_eq!(&proof, &naive::subproof(old, leaves, true));
    }
}

/// Loads what `needed` lists, runs `build` on that alone, then takes each hash away again.
fn check_needed<T: PartialEq + std::fmt::Debug>(
    needed: &[(u8, u64)],
    per_level_max: usize,
    build: impl Fn(&dyn Hashes) -> Result<T, TlogError>,
) -> Result<(), TestCaseError> {
    let load = |key: &(u8, u64)| (*key, LARGE.hash(key.0, key.1).unwrap());
    let loaded: BTreeMap<(u8, u64), Hash> = needed.iter().map(load).collect();
    prop_assert_eq!(loaded.len(), needed.len(), "listed twice");
    prop_assert!(needed.is_sorted());
    for level in 0..8 {
        prop_assert!(needed.iter().filter(|key| key.0 == level).count() <= per_level_max);
    }
    prop_assert_eq!(build(&loaded).unwrap(), build(&*LARGE).unwrap());
    for key in needed.iter().step_by(17) {
        let mut lacking = loaded.clone();
        lacking.remove(key);
        let missing = TlogError::HashMissing { level: key.0, index: key.1 };
        prop_assert_eq!(build(&lacking), Err(missing));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_listed_hashes_suffice_and_none_is_idle(
        size in 1_u64..=70_000,
        at: prop::sample::Index,
    ) {
        let index = at.index(size as usize) as u64;
        check_needed(&needed_for_root(size), 255, |hashes| root_of(size, hashes))?;
        check_needed(&needed_for_inclusion(size, index), 510, |hashes| {
            inclusion_proof(size, index, hashes)
        })?;
        check_needed(&needed_for_consistency(index, size), 511, |hashes| {
            consistency_proof(index, size, hashes)
        })?;
    }

    #[test]
    fn proofs_hold_at_any_size(size in 1_u64..=SIZE_MAX, part in 0.0_f64..1.0) {
        let uniform = Uniform::new();
        let index = ((size as f64 * part) as u64).min(size - 1);
        let (leaf, root) = (uniform.hash(0, 0).unwrap(), root_of(size, &uniform).unwrap());
        let proof = inclusion_proof(size, index, &uniform).unwrap();
        verify_inclusion(index, size, &leaf, &proof, &root).unwrap();

        let old = index + 1;
        let old_root = root_of(old, &uniform).unwrap();
        let proof = consistency_proof(old, size, &uniform).unwrap();
        verify_consistency(old, &old_root, size, &root, &proof).unwrap();
    }

    #[test]
    fn no_number_makes_a_listing_large_or_panics(a: u64, b: u64) {
        prop_assert!(needed_for_inclusion(a, b).len() <= 8 * 510);
        prop_assert!(needed_for_consistency(a, b).len() <= 8 * 511);
        prop_assert!(needed_for_root(a).len() <= 8 * 255);
    }
}

#[test]
fn what_is_not_in_the_log_has_no_proof() {
    let log = Log::numbered(8);
    let outside = |index, size| Err(TlogError::IndexOutside { index, size });
    assert_eq!(inclusion_proof(8, 8, &log), outside(8, 8));
    assert_eq!(inclusion_proof(0, 0, &log), outside(0, 0));
    assert_eq!(inclusion_proof(u64::MAX, u64::MAX, &log), outside(u64::MAX, u64::MAX));
    assert_eq!(consistency_proof(8, 7, &log), Err(TlogError::SizesWrong { old: 8, new: 7 }));
    assert_eq!(root_of(9, &log), Err(TlogError::HashMissing { level: 0, index: 8 }));
    assert_eq!(needed_for_inclusion(8, 8), []);
    assert_eq!(needed_for_consistency(8, 7), []);
}
