use data_encoding::BASE64;
use proptest::prelude::*;
use strongroom_crypto::{SecretKey, SigningKey};
use strongroom_tlog::{
    NOTE_SIZE_BYTES_MAX, SIGNATURES_MAX, TlogError, VerifierKey, open_note, sign_note,
};

// The published vectors of golang.org/x/mod/sumdb/note, note_test.go: two keys, one text and the
// signature of each key under it. The private key is published too, for tests.
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PETER_SEED: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const TEXT: &str = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";
const PETER_LINE: &str = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC\
                          2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const ENOCH_LINE: &str = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGr\
                          Q5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

fn peter() -> VerifierKey {
    VerifierKey::parse(PETER).unwrap()
}

/// The seed stands behind the algorithm byte.
fn peter_signing() -> SigningKey {
    let bytes = BASE64.decode(PETER_SEED.as_bytes()).unwrap();
    SigningKey::from_seed(&SecretKey::from_bytes(bytes[1..].try_into().unwrap())).unwrap()
}

/// A well-formed line which no known key wrote.
fn foreign_line(name: &str, signature: &[u8]) -> String {
    format!("— {name} {}\n", BASE64.encode(signature))
}

#[test]
fn the_example_of_the_specification_opens() {
    // c2sp.org/signed-note, "Example".
    let vkey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    let note = "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6T\
                fXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    let key = VerifierKey::parse(vkey).unwrap();
    assert_eq!(open_note(note, &key).unwrap(), "This is an example message.\n");
    assert_eq!(key.to_string(), vkey);
    assert_eq!(key.name(), "example.com/foo");
    assert_eq!(key.id(), [0x53, 0x0d, 0x90, 0x3a]);
}

#[test]
fn notes_of_go_open_and_ours_are_the_same_bytes() {
    let note = format!("{TEXT}\n{PETER_LINE}");
    assert_eq!(sign_note(TEXT, "PeterNeumann", &peter_signing()).unwrap(), note);
    assert_eq!(open_note(&note, &peter()).unwrap(), TEXT);
    let both = format!("{TEXT}\n{PETER_LINE}{ENOCH_LINE}");
    for vkey in [PETER, ENOCH] {
        let key = VerifierKey::parse(vkey).unwrap();
        assert_eq!(key.to_string(), vkey);
        assert_eq!(open_note(&both, &key).unwrap(), TEXT);
    }
}

#[test]
fn no_part_and_no_change_of_a_verifier_key_is_a_key() {
    for start in 0..=PETER.len() {
        for end in start..=PETER.len() {
            if (start, end) != (0, PETER.len()) {
                let part = PETER.get(start..end).unwrap();
                assert!(VerifierKey::parse(part).is_err(), "{part}");
            }
        }
    }
    for place in 0..PETER.len() {
        let mut bytes = PETER.as_bytes().to_vec();
        bytes[place] += 1;
        assert!(VerifierKey::parse(&String::from_utf8(bytes).unwrap()).is_err(), "{place}");
    }
    // From Go's tests: a key of the wrong length and one of an unknown algorithm, each with the id
    // that fits it.
    let long = "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==";
    let algorithm = "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    for vkey in [long, algorithm, &PETER.replace("c74f20a3", "C74F20A3"), &format!("{PETER}\n")] {
        assert!(matches!(VerifierKey::parse(vkey), Err(TlogError::KeyMalformed(_))), "{vkey}");
    }
}

#[test]
fn a_key_name_cannot_break_out_of_its_line() {
    let key = peter_signing().verifying_key();
    for name in ["", "a b", "a+b", "a\nb", "a\u{a0}b", "a\u{2028}b", "a\u{1b}[2J", "a\u{9b}b"] {
        assert!(VerifierKey::new(name, key).is_err(), "{name:?}");
        assert!(sign_note(TEXT, name, &peter_signing()).is_err(), "{name:?}");
    }
    assert!(VerifierKey::new("müller.example/log—1", key).is_ok());
}

fn check_malformed(note: &str) {
    let result = open_note(note, &peter());
    assert!(matches!(result, Err(TlogError::NoteMalformed(_))), "{result:?} for {note:?}");
}

#[test]
fn a_malformed_note_is_refused_though_its_signature_holds() {
    check_malformed("");
    check_malformed(TEXT);
    check_malformed(&format!("{TEXT}\n"));
    check_malformed(&format!("{TEXT}{PETER_LINE}"));
    check_malformed(&format!("{TEXT}\n{}", PETER_LINE.trim_end()));
    check_malformed(&format!("{TEXT}\n{PETER_LINE}\n"));
    check_malformed(&format!("{TEXT}\n{PETER_LINE}Unexpected line.\n"));
    check_malformed(&format!("{TEXT}\n{}", PETER_LINE.replace('—', "-")));
    check_malformed(&format!("{TEXT}\n{}", PETER_LINE.replace("— ", "—")));
    check_malformed(&format!("{TEXT}\n{PETER_LINE}").replace('\n', "\r\n"));
    check_malformed(&format!("\u{1b}[2J{TEXT}\n{PETER_LINE}"));
    check_malformed(&format!("{TEXT}\n{PETER_LINE}— evil\u{1b}[2J AAAAAAA=\n"));
    check_malformed(&format!("{TEXT}\0\n{PETER_LINE}"));
}

#[test]
fn a_malformed_line_of_an_unknown_key_refuses_the_note() {
    let with = |line: &str| format!("{TEXT}\n{PETER_LINE}{line}");
    for line in [
        "— other\n",
        "— other \n",
        "— other AAAA\n",
        "— other AAAAAA==\n",
        "— other AAAAAAA\n",
        "— other AAAAAAB=\n",
        "— other AAAAAAA= \n",
        "— other AA==AAAAAA==\n",
        "—  AAAAAAA=\n",
        "— a b AAAAAAA=\n",
        "— a+b AAAAAAA=\n",
        "— a\u{a0}b AAAAAAA=\n",
    ] {
        check_malformed(&with(line));
    }
    assert_eq!(open_note(&with("— other AAAAAAA=\n"), &peter()).unwrap(), TEXT);
}

#[test]
fn a_signature_and_a_key_have_one_spelling() {
    // Padded pieces one after another decode to the same bytes in lenient decoders.
    let (head, signature) = PETER_LINE.trim_end().rsplit_once(' ').unwrap();
    let bytes = BASE64.decode(signature.as_bytes()).unwrap();
    let respelt = BASE64.encode(&bytes[..4]) + &BASE64.encode(&bytes[4..]);
    assert_eq!(BASE64.decode(respelt.as_bytes()).unwrap(), bytes);
    check_malformed(&format!("{TEXT}\n{head} {respelt}\n"));

    let (head, key) = PETER.rsplit_once('+').unwrap();
    let bytes = BASE64.decode(key.as_bytes()).unwrap();
    let respelt = BASE64.encode(&bytes[..1]) + &BASE64.encode(&bytes[1..]);
    assert!(VerifierKey::parse(&format!("{head}+{respelt}")).is_err());
}

#[test]
fn only_a_signature_of_the_key_itself_counts() {
    let unsigned = |lines: &str| {
        let note = format!("{TEXT}\n{lines}");
        assert_eq!(open_note(&note, &peter()), Err(TlogError::Unsigned), "{lines}");
    };
    unsigned(ENOCH_LINE);
    // The right id under another name, and the right name with another id.
    unsigned(&PETER_LINE.replace("PeterNeumann", "CarmenSandiego"));
    unsigned(&PETER_LINE.replace("x08g", "xxxx"));

    // The right name and id over anything else refuses the note, whatever stands beside it.
    let mut forged = peter().id().to_vec();
    forged.extend([7; 64]);
    for bad in [forged.as_slice(), &forged[..5], &[forged.as_slice(), &[0]].concat()] {
        let bad = foreign_line("PeterNeumann", bad);
        for lines in [bad.clone(), format!("{PETER_LINE}{bad}"), format!("{bad}{PETER_LINE}")] {
            let note = format!("{TEXT}\n{lines}");
            assert_eq!(open_note(&note, &peter()), Err(TlogError::SignatureWrong), "{lines}");
        }
    }
}

#[test]
fn a_second_signature_block_cannot_smuggle_text_in() {
    // What stands before the last blank line is text, and was not signed as such.
    for note in [
        format!("{TEXT}\n{PETER_LINE}\n{PETER_LINE}"),
        format!("{TEXT}\nmore\n\n{PETER_LINE}"),
        format!("evil\n\n{TEXT}\n{PETER_LINE}"),
        format!("{TEXT}\n\n{PETER_LINE}"),
    ] {
        assert_eq!(open_note(&note, &peter()), Err(TlogError::SignatureWrong), "{note}");
    }
    // A text may hold blank lines, and even what looks like signatures, if that is what was signed.
    let text = format!("{TEXT}\n{ENOCH_LINE}");
    let note = sign_note(&text, "PeterNeumann", &peter_signing()).unwrap();
    assert_eq!(open_note(&note, &peter()).unwrap(), text);
    assert_eq!(open_note(&note, &VerifierKey::parse(ENOCH).unwrap()), Err(TlogError::Unsigned));
}

#[test]
fn the_number_of_signatures_and_the_size_are_limited() {
    let other = foreign_line("other", &[0; 5]);
    let with = |others: usize| format!("{TEXT}\n{PETER_LINE}{}", other.repeat(others));
    assert_eq!(open_note(&with(SIGNATURES_MAX - 1), &peter()).unwrap(), TEXT);
    check_malformed(&with(SIGNATURES_MAX));

    let overhead = 1 + PETER_LINE.len();
    let text = |size: usize| "x".repeat(size - overhead - 1) + "\n";
    let largest = sign_note(&text(NOTE_SIZE_BYTES_MAX), "PeterNeumann", &peter_signing()).unwrap();
    assert_eq!(largest.len(), NOTE_SIZE_BYTES_MAX);
    assert!(open_note(&largest, &peter()).is_ok());
    let over = text(NOTE_SIZE_BYTES_MAX + 1);
    assert!(sign_note(&over, "PeterNeumann", &peter_signing()).is_err());
    let mut signature = peter().id().to_vec();
    signature.extend(peter_signing().sign(over.as_bytes()));
    check_malformed(&format!("{over}\n{}", foreign_line("PeterNeumann", &signature)));
}

#[test]
fn a_text_that_no_note_can_hold_is_not_signed() {
    for text in ["", "no newline", "carriage\r\n", "\u{1b}[2J\n", "nul\0\n", "tab\t\n"] {
        let result = sign_note(text, "PeterNeumann", &peter_signing());
        assert!(matches!(result, Err(TlogError::NoteMalformed(_))), "{text:?}");
    }
}

#[test]
fn every_edit_of_one_character_refuses_the_note() {
    let note: Vec<char> = format!("{TEXT}\n{PETER_LINE}").chars().collect();
    let opens = |edited: Vec<char>| {
        edited != note && open_note(&edited.iter().collect::<String>(), &peter()).is_ok()
    };
    for place in 0..=note.len() {
        for with in ['\n', '\r', ' ', '\u{1b}', 'A', 'b', '=', '+', '—', '\u{202e}'] {
            let mut inserted = note.clone();
            inserted.insert(place, with);
            assert!(!opens(inserted), "{with:?} inserted at {place}");
            if place < note.len() {
                let mut replaced = note.clone();
                replaced[place] = with;
                assert!(!opens(replaced), "{with:?} at {place}");
            }
        }
        if place < note.len() {
            let mut removed = note.clone();
            removed.remove(place);
            assert!(!opens(removed), "{place} removed");
        }
    }
}

proptest! {
    #[test]
    fn random_texts_never_panic(text: String, lines in "(— [a-z+ ]{0,3} [A-Za-z0-9=]{0,9}\n?){0,3}") {
        let _ = VerifierKey::parse(&text);
        prop_assert!(open_note(&text, &peter()).is_err());
        let note = format!("{text}\n\n{lines}");
        prop_assert!(open_note(&note, &peter()).is_err());
    }

    #[test]
    fn what_is_signed_opens_as_it_was(text in "[^\u{0}-\u{1f}]{0,40}(\n[^\u{0}-\u{1f}]{0,9}){0,4}\n") {
        let note = sign_note(&text, "PeterNeumann", &peter_signing()).unwrap();
        prop_assert_eq!(open_note(&note, &peter()).unwrap(), text);
    }

    #[test]
    fn a_verifier_key_has_one_text(name in "[a-z./]{1,9}", seed: [u8; 32], noise in "[a-c+]{0,20}") {
        let key = SigningKey::from_seed(&SecretKey::from_bytes(seed)).unwrap().verifying_key();
        let vkey = VerifierKey::new(&name, key).unwrap();
        prop_assert_eq!(VerifierKey::parse(&vkey.to_string()).unwrap(), vkey);
        prop_assert!(VerifierKey::parse(&noise).is_err());
    }
}
