use proptest::prelude::*;
use strongroom_crypto::{SecretKey, SigningKey};
use strongroom_tlog::{
    Checkpoint, Hash, NOTE_SIZE_BYTES_MAX, SIZE_MAX, TlogError, VerifierKey, leaf_hash,
    open_checkpoint, sign_checkpoint, sign_note,
};

const ORIGIN: &str = "shop.example/strongroom/1";

fn signing() -> SigningKey {
    SigningKey::from_seed(&SecretKey::from_bytes([3; 32])).unwrap()
}

fn vkey() -> VerifierKey {
    VerifierKey::new(ORIGIN, signing().verifying_key()).unwrap()
}

fn checkpoint() -> Checkpoint {
    let root = leaf_hash(b"hello world");
    Checkpoint { origin: ORIGIN.to_owned(), size: 42, root, extensions: Vec::new() }
}

#[test]
fn a_body_is_the_one_that_go_writes() {
    // `TestFormatTree` in golang.org/x/mod, sumdb/tlog/note_test.go.
    let origin = String::from("go.sum database tree");
    let tree = Checkpoint { origin, size: 123_456_789_012, ..checkpoint() };
    let golden =
        "go.sum database tree\n123456789012\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n";
    assert_eq!(tree.body(), golden);
}

#[test]
fn a_checkpoint_opens_as_it_was_signed() {
    for size in [0, 1, SIZE_MAX] {
        for extensions in [vec![], vec!["one".to_owned(), "— two AAAAAAA=".to_owned()]] {
            let checkpoint = Checkpoint { size, extensions, ..checkpoint() };
            let note = sign_checkpoint(&checkpoint, &signing()).unwrap();
            assert!(note.starts_with(&checkpoint.body()));
            assert_eq!(open_checkpoint(&note, &vkey()).unwrap(), checkpoint);
            let cosigned = format!("{note}— witness.example/w1 AAAAAAA=\n");
            assert_eq!(open_checkpoint(&cosigned, &vkey()).unwrap(), checkpoint);
        }
    }
}

#[test]
fn nothing_can_be_injected_into_a_checkpoint() {
    let refused = |checkpoint: Checkpoint| {
        assert!(sign_checkpoint(&checkpoint, &signing()).is_err(), "{checkpoint:?}");
    };
    for origin in ["", "two\nlines", "a b", "a+b", "a\r", "a\u{1b}[2J", "a\u{85}b", "a\u{9b}2J"] {
        refused(Checkpoint { origin: origin.to_owned(), ..checkpoint() });
    }
    for line in ["", "\n", "two\nlines", "end\n", "\nstart", "a\r", "a\u{1b}[2J", "a\u{9b}2J"] {
        refused(Checkpoint { extensions: vec![line.to_owned()], ..checkpoint() });
    }
    refused(Checkpoint { extensions: vec!["x\n\n— other AAAAAAA=".to_owned()], ..checkpoint() });
    refused(Checkpoint { size: SIZE_MAX + 1, ..checkpoint() });
    let large = vec!["x".repeat(1024); NOTE_SIZE_BYTES_MAX / 1024];
    refused(Checkpoint { extensions: large, ..checkpoint() });
}

#[test]
fn a_signed_text_that_is_no_checkpoint_is_refused() {
    let root = checkpoint().root.to_base64();
    for body in [
        format!("{ORIGIN}\n42\n"),
        format!("{ORIGIN}\n042\n{root}\n"),
        format!("{ORIGIN}\n00\n{root}\n"),
        format!("{ORIGIN}\n+42\n{root}\n"),
        format!("{ORIGIN}\n-1\n{root}\n"),
        format!("{ORIGIN}\n 42\n{root}\n"),
        format!("{ORIGIN}\n\n{root}\n"),
        format!("{ORIGIN}\n٤٢\n{root}\n"),
        format!("{ORIGIN}\n4611686018427387905\n{root}\n"),
        format!("{ORIGIN}\n18446744073709551616\n{root}\n"),
        format!("{ORIGIN}\n42\n{}\n", root.trim_end_matches('=')),
        format!("{ORIGIN}\n42\n{root}=\n"),
        format!("{ORIGIN}\n42\n{}\n", root.replace("b0=", "b1=")),
        format!("{ORIGIN}\n42\nAAAA\n"),
        format!("{ORIGIN}\n42\n{root}\n\n"),
        format!("{ORIGIN}\n42\n{root}\n\nextension\n"),
        format!("\n42\n{root}\n"),
        format!("{ORIGIN}\n42\n{root}\nbell \u{7f} and \u{9b}2J\n"),
    ] {
        let note = sign_note(&body, ORIGIN, &signing()).unwrap();
        let result = open_checkpoint(&note, &vkey());
        assert!(matches!(result, Err(TlogError::CheckpointMalformed(_))), "{result:?}, {body:?}");
    }
}

#[test]
fn a_checkpoint_of_another_log_is_refused_though_the_key_signed_it() {
    let other = Checkpoint { origin: "shop.example/strongroom/2".to_owned(), ..checkpoint() };
    let note = sign_note(&other.body(), ORIGIN, &signing()).unwrap();
    assert_eq!(open_checkpoint(&note, &vkey()), Err(TlogError::OriginWrong));
    // The same key under the other name is another key.
    let note = sign_checkpoint(&other, &signing()).unwrap();
    assert_eq!(open_checkpoint(&note, &vkey()), Err(TlogError::Unsigned));
}

proptest! {
    #[test]
    fn a_checkpoint_that_signs_opens_as_itself(
        origin in "[a-z +\n]{0,5}",
        size: u64,
        root: [u8; 32],
        extensions in prop::collection::vec("[a-z—\n\u{85}]{0,4}", 0..3),
    ) {
        let checkpoint = Checkpoint { origin, size, root: Hash(root), extensions };
        if let Ok(note) = sign_checkpoint(&checkpoint, &signing()) {
            let vkey = VerifierKey::new(&checkpoint.origin, signing().verifying_key()).unwrap();
            prop_assert_eq!(open_checkpoint(&note, &vkey).unwrap(), checkpoint);
        }
    }

    #[test]
    fn any_signed_text_opens_only_as_what_it_says(body in "(shop\n)?[0-9+ ]{0,3}\n[A-Za-z0-9/=\n]{0,50}\n") {
        let vkey = VerifierKey::new("shop", signing().verifying_key()).unwrap();
        let note = sign_note(&body, "shop", &signing()).unwrap();
        if let Ok(checkpoint) = open_checkpoint(&note, &vkey) {
            prop_assert_eq!(checkpoint.body(), body);
        }
    }
}
