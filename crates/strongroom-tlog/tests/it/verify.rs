use proptest::prelude::*;
use strongroom_tlog::{
    Hash, TlogError, consistency_proof, inclusion_proof, leaf_hash, node_hash, root_of,
    verify_consistency, verify_inclusion,
};

use crate::log::Log;
use crate::naive;

/// Each way to spoil a proof of at least one element.
#[derive(Clone, Copy, Debug)]
enum Spoil {
    Bit,
    Drop,
    Duplicate,
    Extra,
    Swap,
}

/// `None` where the way changes nothing, as swapping equal hashes.
fn spoilt(proof: &[Hash], way: Spoil, at: usize, bit: usize) -> Option<Vec<Hash>> {
    let mut proof = proof.to_vec();
    let length = proof.len();
    match way {
        Spoil::Extra => proof.insert(at % (length + 1), leaf_hash(b"extra")),
        _ if length == 0 => return None,
        Spoil::Bit => proof[at % length].0[bit / 8] ^= 1 << (bit % 8),
        Spoil::Drop => drop(proof.remove(at % length)),
        Spoil::Duplicate => proof.insert(at % length, proof[at % length]),
        Spoil::Swap if length == 1 => return None,
        Spoil::Swap => proof.swap(at % length, (at + 1) % length),
    }
    Some(proof)
}

fn ways() -> impl Strategy<Value = Spoil> {
    prop::sample::select(vec![Spoil::Bit, Spoil::Drop, Spoil::Duplicate, Spoil::Extra, Spoil::Swap])
}

fn flipped(hash: Hash, bit: usize) -> Hash {
    let mut hash = hash;
    hash.0[bit / 8] ^= 1 << (bit % 8);
    hash
}

proptest! {
    #[test]
    fn a_spoilt_inclusion_proof_is_refused(
        size in 1_u64..600,
        place: prop::sample::Index,
        way in ways(),
        at in 0_usize..64,
        bit in 0_usize..256,
    ) {
        let log = Log::numbered(size);
        let index = place.index(size as usize) as u64;
        let (leaf, root) = (log.leaves[index as usize], log.frontier.root());
        let proof = inclusion_proof(size, index, &log).unwrap();
        let check = |leaf: &Hash, proof: &[Hash], root: &Hash| {
            verify_inclusion(index, size, leaf, proof, root)
        };
        prop_assert_eq!(check(&leaf, &proof, &root), Ok(()));
        if let Some(spoilt) = spoilt(&proof, way, at, bit) {
            prop_assert_eq!(check(&leaf, &spoilt, &root), Err(TlogError::ProofWrong));
        }
        prop_assert!(check(&flipped(leaf, bit), &proof, &root).is_err());
        prop_assert!(check(&leaf, &proof, &flipped(root, bit)).is_err());
    }

    #[test]
    fn a_spoilt_consistency_proof_is_refused(
        old in 0_u64..400,
        more in 0_u64..400,
        way in ways(),
        at in 0_usize..64,
        bit in 0_usize..256,
    ) {
        let new = old + more;
        let log = Log::numbered(new);
        let (old_root, new_root) = (root_of(old, &log).unwrap(), log.frontier.root());
        let proof = consistency_proof(old, new, &log).unwrap();
        let check = |old_root: &Hash, new_root: &Hash, proof: &[Hash]| {
            verify_consistency(old, old_root, new, new_root, proof)
        };
        prop_assert_eq!(check(&old_root, &new_root, &proof), Ok(()));
        if let Some(spoilt) = spoilt(&proof, way, at, bit) {
            prop_assert_eq!(check(&old_root, &new_root, &spoilt), Err(TlogError::ProofWrong));
        }
        prop_assert!(check(&flipped(old_root, bit), &new_root, &proof).is_err());
        // Any log continues an empty one, so nothing ties the new root then.
        if old > 0 || new == 0 {
            prop_assert!(check(&old_root, &flipped(new_root, bit), &proof).is_err());
        }
    }

    #[test]
    fn random_proofs_are_refused_without_panic(
        numbers: (u64, u64),
        proof in prop::collection::vec(any::<[u8; 32]>().prop_map(Hash), 0..70),
        root: [u8; 32],
    ) {
        let (a, b) = numbers;
        let root = Hash(root);
        prop_assert!(verify_inclusion(a, b, &leaf_hash(b""), &proof, &root).is_err());
        prop_assert!(verify_consistency(a, &leaf_hash(b""), b, &root, &proof).is_err());
    }
}

#[test]
fn another_place_is_accepted_only_where_no_verifier_could_tell() {
    let log = Log::numbered(33);
    for size in 1..=33 {
        let root = naive::root(&log.leaves[..size as usize]);
        for index in 0..size {
            let leaf = &log.leaves[index as usize];
            let proof = inclusion_proof(size, index, &log).unwrap();
            let shape = naive::inclusion_shape(index, size);
            for claimed_size in 1..=40 {
                for claimed in 0..claimed_size {
                    let accepted =
                        verify_inclusion(claimed, claimed_size, leaf, &proof, &root).is_ok();
                    let alike = shape == naive::inclusion_shape(claimed, claimed_size);
                    assert_eq!(accepted, alike, "{index}/{size} as {claimed}/{claimed_size}");
                    // In a tree of known size, a leaf has one place.
                    assert!(!accepted || claimed_size != size || claimed == index);
                }
            }
        }
    }
}

#[test]
fn another_pair_of_sizes_is_accepted_only_where_no_verifier_could_tell() {
    let log = Log::numbered(20);
    let root = |size: u64| root_of(size, &log).unwrap();
    for new in 2..=20 {
        for old in 1..new {
            let proof = consistency_proof(old, new, &log).unwrap();
            let shape = naive::consistency_shape(old, new, true);
            for claimed_new in 2..=24 {
                for claimed_old in 1..claimed_new {
                    let accepted = verify_consistency(
                        claimed_old,
                        &root(old),
                        claimed_new,
                        &root(new),
                        &proof,
                    );
                    let alike = shape == naive::consistency_shape(claimed_old, claimed_new, true);
                    let case = format!("{old}-{new} as {claimed_old}-{claimed_new}");
                    assert_eq!(accepted.is_ok(), alike, "{case}");
                }
            }
        }
    }
}

#[test]
fn a_log_that_was_cut_or_rewritten_does_not_continue_the_old_one() {
    let honest = Log::numbered(40);
    let mut leaves = honest.leaves.clone();
    for edited in 0..20 {
        let original = std::mem::replace(&mut leaves[edited], leaf_hash(b"rewritten"));
        let forged = Log::of(leaves.iter().copied());
        let proof = consistency_proof(20, 40, &forged).unwrap();
        let old_root = root_of(20, &honest).unwrap();
        let result = verify_consistency(20, &old_root, 40, &forged.frontier.root(), &proof);
        assert_eq!(result, Err(TlogError::ProofWrong), "entry {edited}");
        leaves[edited] = original;
    }
    let (old_root, new_root) = (honest.frontier.root(), root_of(30, &honest).unwrap());
    let cut = verify_consistency(40, &old_root, 30, &new_root, &[]);
    assert_eq!(cut, Err(TlogError::SizesWrong { old: 40, new: 30 }));
    let forked = verify_consistency(40, &old_root, 40, &new_root, &[]);
    assert_eq!(forked, Err(TlogError::ProofWrong));
}

#[test]
fn an_empty_log_has_one_root() {
    let empty = Log::numbered(0).frontier.root();
    let other = leaf_hash(b"other");
    assert_eq!(verify_consistency(0, &empty, 9, &other, &[]), Ok(()));
    assert_eq!(verify_consistency(0, &empty, 0, &empty, &[]), Ok(()));
    let refused = Err(TlogError::ProofWrong);
    assert_eq!(verify_consistency(0, &other, 9, &other, &[]), refused);
    assert_eq!(verify_consistency(0, &other, 0, &other, &[]), refused);
    assert_eq!(verify_consistency(0, &empty, 0, &other, &[]), refused);
    assert_eq!(verify_consistency(0, &empty, 9, &other, &[other]), refused);
}

#[test]
fn a_place_outside_the_log_is_refused() {
    let log = Log::numbered(2);
    let [a, b] = log.leaves.as_slice() else { panic!("two leaves") };
    let outside = |index, size| Err(TlogError::IndexOutside { index, size });
    // Each would lead to the root if the bounds were not checked first.
    assert_eq!(verify_inclusion(1, 1, a, &[], a), outside(1, 1));
    assert_eq!(verify_inclusion(3, 2, b, &[*a], &log.frontier.root()), outside(3, 2));
    assert_eq!(verify_inclusion(0, 0, a, &[], a), outside(0, 0));
}

#[test]
fn an_inner_node_does_not_pass_as_an_entry() {
    // The second preimage that the prefixes of RFC 6962 prevent: two leaves offered as one entry.
    let log = Log::numbered(4);
    let [a, b, c, d] = log.leaves.as_slice() else { panic!("four leaves") };
    let as_entry = leaf_hash(&[a.0, b.0].concat());
    let sibling = node_hash(c, d);
    let root = log.frontier.root();
    assert!(verify_inclusion(0, 2, &as_entry, &[sibling], &root).is_err());
    assert_ne!(as_entry, node_hash(a, b));
}
