//! Single proofs, and the cosignatures of witnesses.

use std::collections::BTreeMap;

use strongroom_tlog::{Hash, ProofBundle, inclusion_proof, leaf_hash};
use strongroom_verify::{Asked, Key, Proof, Proven, Wrong, verify_log, verify_proof};

use crate::made::{Made, ORIGIN, cosign};

fn bundle(made: &Made, index: u64) -> ProofBundle {
    let mut hashes = BTreeMap::new();
    let mut row: Vec<Hash> = made.entries.iter().map(|it| leaf_hash(it)).collect();
    let size = row.len() as u64;
    for level in 0..2 {
        hashes.extend((0..).zip(&row).map(|(index, hash)| ((level, index), *hash)));
        let full = row.chunks_exact(256).map(|hashes| {
            let (mut tree, mut completed) = (strongroom_tlog::Frontier::new(), Vec::new());
            hashes.iter().for_each(|hash| tree.append(*hash, &mut completed));
            tree.root()
        });
        row = full.collect();
    }
    let proof = inclusion_proof(size, index, &hashes).unwrap();
    let extra = Some(made.entries[index as usize].clone());
    ProofBundle { extra, index, proof, checkpoint: made.note() }
}

fn check(made: &Made, text: &str, entry: Option<&[u8]>) -> Result<Proven, Wrong> {
    verify_proof(&Proof::parse(text.as_bytes())?, &made.key(), &[], entry)
}

#[test]
fn proofs_of_every_place_hold() {
    for size in [1, 2, 3, 255, 256, 257, 600] {
        let made = Made::of(ORIGIN, size);
        for index in (0..size).filter(|index| size < 5 || index % 37 == 0 || index + 2 > size) {
            let bundle = bundle(&made, index);
            let proven = check(&made, &bundle.to_string(), None).unwrap();
            assert_eq!((proven.index, proven.checkpoint.size), (index, size));
            let without = ProofBundle { extra: None, ..bundle }.to_string();
            let entry = &made.entries[index as usize];
            check(&made, &without, Some(entry)).unwrap();
            assert!(check(&made, &without, None).unwrap_err().to_string().contains("--entry"));
        }
    }
}

#[test]
fn a_proof_of_anything_else_is_refused() {
    let made = Made::of(ORIGIN, 600);
    let good = bundle(&made, 300);
    let cases: [(ProofBundle, &str); 6] = [
        (ProofBundle { index: 301, ..good.clone() }, "does not lead to the root"),
        (ProofBundle { index: 600, ..good.clone() }, "does not lead to the root"),
        (ProofBundle { extra: Some(made.entries[1].clone()), ..good.clone() }, "does not lead"),
        (ProofBundle { proof: good.proof[1..].to_vec(), ..good.clone() }, "does not lead"),
        (ProofBundle { checkpoint: Made::of(ORIGIN, 599).note(), ..good.clone() }, "does not lead"),
        (
            ProofBundle { checkpoint: Made::of("other", 600).note(), ..good.clone() },
            "did not sign it",
        ),
    ];
    for (bundle, expected) in cases {
        let found = check(&made, &bundle.to_string(), None).unwrap_err().to_string();
        assert!(found.contains(expected), "{found} instead of {expected}");
    }
    let other = Some(made.entries[1].as_slice());
    let found = check(&made, &good.to_string(), other).unwrap_err().to_string();
    assert!(found.contains("another entry"), "{found}");
}

#[test]
fn one_bit_flipped_in_a_proof_is_not_accepted() {
    let made = Made::of(ORIGIN, 300);
    let good = bundle(&made, 290).to_string();
    check(&made, &good, None).unwrap();
    for bit in 0..good.len() * 8 {
        let mut other = good.clone().into_bytes();
        other[bit / 8] ^= 1 << (bit % 8);
        let proof = Proof::parse(&other);
        let told = proof.and_then(|proof| verify_proof(&proof, &made.key(), &[], None));
        assert!(told.is_err(), "bit {bit}");
    }
}

#[test]
fn a_witness_that_is_asked_for_must_have_cosigned() {
    let (folder, made) = (tempfile::tempdir().unwrap(), Made::of(ORIGIN, 300));
    made.write(folder.path());
    let note = made.note();
    let (vkey, line) = cosign(&note, "witness.example", 5, 1_795_255_300);
    let witness = Key::witness(&vkey).unwrap();
    let key = made.key();
    let check = |note: String, witness: &Key| {
        std::fs::write(folder.path().join("checkpoint"), note).unwrap();
        let witnesses = std::slice::from_ref(witness);
        verify_log(folder.path(), &Asked { witnesses, ..Asked::with(&key) })
    };
    let reports = check(format!("{note}{line}"), &witness).unwrap();
    assert_eq!(reports[0].cosigned, [("witness.example".to_owned(), 1_795_255_300)]);
    assert_eq!(reports[0].unknown_lines, 0);
    let found = check(note.clone(), &witness).unwrap_err().to_string();
    assert_eq!(found, "checkpoint: witness.example did not cosign it");
    // Cosigned something else, or by somebody else of that name.
    let (_, of_less) = cosign(&Made::of(ORIGIN, 299).note(), "witness.example", 5, 1);
    let found = check(format!("{note}{of_less}"), &witness).unwrap_err().to_string();
    assert_eq!(found, "checkpoint: the cosignature of witness.example does not hold");
    let (other, by_other) = cosign(&note, "witness.example", 6, 1);
    assert!(check(format!("{note}{by_other}"), &witness).is_err());
    let reports = check(format!("{note}{line}{by_other}"), &Key::witness(&other).unwrap()).unwrap();
    assert_eq!(reports[0].unknown_lines, 1, "what nobody checked is said");
    // A key of a log is none of a witness, and the other way round.
    assert!(Key::witness(&made.vkey()).is_err() && Key::log(&vkey).is_err());
    assert!(check(format!("{note}{line}{line}"), &witness).is_ok());
}
