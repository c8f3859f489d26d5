use proptest::prelude::*;
use strongroom_crypto::{SecretKey, SigningKey};
use strongroom_tlog::{
    BUNDLE_SIZE_BYTES_MAX, Checkpoint, Hash, NOTE_SIZE_BYTES_MAX, ProofBundle, VerifierKey,
    inclusion_proof, open_checkpoint, sign_checkpoint, verify_inclusion,
};

use crate::log::Log;

const ORIGIN: &str = "shop.example/strongroom/1";

#[test]
fn a_kept_proof_is_checked_without_the_log() {
    let key = SigningKey::from_seed(&SecretKey::from_bytes([3; 32])).unwrap();
    let vkey = VerifierKey::new(ORIGIN, key.verifying_key()).unwrap();
    let log = Log::numbered(300);
    for size in [1, 2, 300] {
        let part = Log::numbered(size);
        let root = part.frontier.root();
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size, root, extensions: vec![] };
        let text = ProofBundle {
            extra: Some(b"extra".to_vec()),
            index: size - 1,
            proof: inclusion_proof(size, size - 1, &log).unwrap(),
            checkpoint: sign_checkpoint(&checkpoint, &key).unwrap(),
        }
        .to_string();

        let kept = ProofBundle::parse(&text).unwrap();
        let head = open_checkpoint(&kept.checkpoint, &vkey).unwrap();
        let leaf = log.leaves[size as usize - 1];
        verify_inclusion(kept.index, head.size, &leaf, &kept.proof, &head.root).unwrap();
    }
}

#[test]
fn the_text_is_that_of_the_specification() {
    let hash = Hash([0; 32]);
    let zeros = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let mut bundle = ProofBundle {
        extra: None,
        index: 0,
        proof: vec![],
        checkpoint: String::from("checkpoint\n\nsignature\n"),
    };
    let expected = "c2sp.org/tlog-proof@v1\nindex 0\n\ncheckpoint\n\nsignature\n";
    assert_eq!(bundle.to_string(), expected);
    assert_eq!(ProofBundle::parse(expected).unwrap(), bundle);
    bundle.extra = Some(b"abc".to_vec());
    bundle.proof = vec![hash, hash];
    bundle.index = 73894;
    let expected = format!(
        "c2sp.org/tlog-proof@v1\nextra YWJj\nindex 73894\n{zeros}\n{zeros}\n\n\
         checkpoint\n\nsignature\n"
    );
    assert_eq!(bundle.to_string(), expected);
    assert_eq!(ProofBundle::parse(&expected).unwrap(), bundle);
}

#[test]
fn a_malformed_proof_text_is_refused() {
    let zeros = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    let with = |head: &str| format!("c2sp.org/tlog-proof@v1\n{head}\ncheckpoint\n");
    assert!(ProofBundle::parse(&with("index 1\n")).is_ok());
    assert!(ProofBundle::parse(&with(&format!("index 1\n{}", zeros.repeat(64)))).is_ok());
    for text in [
        String::new(),
        String::from("c2sp.org/tlog-proof@v1\nindex 1\n"),
        with("index 1\n").replace("@v1", "@v2"),
        with("index 1\n").replace('\n', "\r\n"),
        with("extra YWJj\n"),
        with("extra YWJ\nindex 1\n"),
        with("extra YQ==YQ==\nindex 1\n"),
        with("extra YWJj\nextra YWJj\nindex 1\n"),
        with("index 1\nextra YWJj\n"),
        with("index 01\n"),
        with("index -1\n"),
        with("index 18446744073709551616\n"),
        with("index 1\nAAAA\n"),
        with(&format!("index 1\n{}", zeros.repeat(65))),
        with("index 1\n") + &"x".repeat(BUNDLE_SIZE_BYTES_MAX),
    ] {
        assert!(ProofBundle::parse(&text).is_err(), "{text:.99}");
    }
}

#[test]
fn the_longest_proof_text_is_read() {
    let head = "c2sp.org/tlog-proof@v1\nindex 1\n\n";
    let longest = format!("{head}{}", "x".repeat(BUNDLE_SIZE_BYTES_MAX - head.len()));
    assert!(ProofBundle::parse(&longest).is_ok());
    assert!(ProofBundle::parse(&format!("{longest}x")).is_err());
    // The largest note there may be, and the longest path to it.
    let hash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    let note = "x".repeat(NOTE_SIZE_BYTES_MAX);
    let whole = format!("c2sp.org/tlog-proof@v1\nindex 1\n{}\n{note}", hash.repeat(64));
    assert!(ProofBundle::parse(&whole).is_ok());
}

proptest! {
    #[test]
    fn a_text_that_reads_is_the_one_that_is_written(
        head in "(extra [A-Za-z]{0,4}\n)?index [0-9]{1,3}\n([A-Za-z0-9]{42}[AEIM]=\n){0,2}",
        rest: String,
    ) {
        let _ = ProofBundle::parse(&rest);
        let text = format!("c2sp.org/tlog-proof@v1\n{head}\n{rest}");
        if let Ok(bundle) = ProofBundle::parse(&text) {
            prop_assert_eq!(bundle.to_string(), text);
        }
    }
}
