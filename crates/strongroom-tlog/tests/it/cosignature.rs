use data_encoding::BASE64;
use proptest::prelude::*;
use strongroom_crypto::{SecretKey, SigningKey};
use strongroom_tlog::{
    Checkpoint, Hash, NOTE_SIZE_BYTES_MAX, TlogError, VerifierKey, WitnessKey, cosign,
    open_checkpoint, open_cosignature, open_cosigned, sign_checkpoint,
};

// A checkpoint of a public log (Certificate Transparency, June 2026) with the cosignatures of four
// public witnesses, and the published keys of the log and of one of them.
const LOG: &str =
    "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f";
const REMORA: &str = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2";
const PUBLIC: &str = "\
arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
— transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==
— witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
— witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==
";

fn key(byte: u8) -> SigningKey {
    SigningKey::from_seed(&SecretKey::from_bytes([byte; 32])).unwrap()
}

fn witness() -> WitnessKey {
    WitnessKey::new("witness.example/w1", key(7).verifying_key()).unwrap()
}

fn checkpoint() -> Checkpoint {
    let origin = "example.com/behind-the-sofa".to_owned();
    Checkpoint { origin, size: 20_852_163, root: Hash([9; 32]), extensions: Vec::new() }
}

fn cosigned_at(time_s: u64) -> String {
    cosign(&checkpoint(), time_s, "witness.example/w1", &key(7)).unwrap()
}

#[test]
fn a_cosignature_of_a_public_witness_opens() {
    let (log, remora) = (VerifierKey::parse(LOG).unwrap(), WitnessKey::parse(REMORA).unwrap());
    assert_eq!((remora.to_string().as_str(), remora.name()), (REMORA, "remora.n621.de"));
    assert_eq!(remora.id(), [0xda, 0x77, 0xad, 0xe7]);
    let (checkpoint, cosignature) = open_cosigned(PUBLIC, &log, &remora).unwrap();
    assert_eq!((checkpoint.size, cosignature.time_s), (1_432_088_532, 1_779_573_024));
    assert!(PUBLIC.contains(&cosignature.line) && cosignature.line.contains("remora"));
    // As the answer of a witness, and with every single bit of what was signed changed.
    let line = &cosignature.line;
    assert_eq!(open_cosignature(&checkpoint, line, &remora).unwrap(), cosignature);
    let smaller = Checkpoint { size: checkpoint.size - 1, ..checkpoint.clone() };
    assert_eq!(open_cosignature(&smaller, line, &remora), Err(TlogError::SignatureWrong));
    let bytes = BASE64.decode(line.trim_end().rsplit_once(' ').unwrap().1.as_bytes()).unwrap();
    for bit in 32..bytes.len() * 8 {
        let mut wrong = bytes.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        let line = format!("— remora.n621.de {}\n", BASE64.encode(&wrong));
        let opened = open_cosignature(&checkpoint, &line, &remora);
        assert_eq!(opened, Err(TlogError::SignatureWrong), "bit {bit}");
    }
}

#[test]
fn what_is_cosigned_opens_and_the_newest_counts() {
    let line = cosigned_at(1_679_315_147);
    let opened = open_cosignature(&checkpoint(), &line, &witness()).unwrap();
    assert_eq!((opened.time_s, &opened.line), (1_679_315_147, &line));
    // Ed25519 is deterministic: the same statement is the same line.
    assert_eq!(line, cosigned_at(1_679_315_147));
    let both = format!("{}{line}{}", cosigned_at(5), cosigned_at(6));
    assert_eq!(open_cosignature(&checkpoint(), &both, &witness()).unwrap().time_s, 1_679_315_147);
    let note = sign_checkpoint(&checkpoint(), &key(1)).unwrap();
    let log = VerifierKey::new(&checkpoint().origin, key(1).verifying_key()).unwrap();
    assert_eq!(open_cosigned(&note, &log, &witness()), Err(TlogError::Unsigned));
    let cosigned = note + &both;
    assert_eq!(open_cosigned(&cosigned, &log, &witness()).unwrap().0, checkpoint());
    assert_eq!(open_checkpoint(&cosigned, &log).unwrap(), checkpoint(), "a stranger reads it too");
}

#[test]
fn the_signed_bytes_are_those_of_the_specification() {
    let line = cosigned_at(1_679_315_147);
    let bytes = BASE64.decode(line.trim_end().rsplit_once(' ').unwrap().1.as_bytes()).unwrap();
    assert_eq!(bytes.len(), 4 + 8 + 64);
    assert_eq!(bytes[4..12], [0, 0, 0, 0, 0x64, 0x18, 0x50, 0xcb]);
    let root = Hash([9; 32]).to_base64();
    let message =
        format!("cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n{root}\n");
    assert_eq!(key(7).verifying_key().verify(message.as_bytes(), &bytes[12..]), Ok(()));
}

#[test]
fn a_log_and_a_witness_never_pass_for_each_other() {
    // One key under one name, once as a log's and once as a witness's.
    let origin = checkpoint().origin;
    let log = VerifierKey::new(&origin, key(1).verifying_key()).unwrap();
    let witness = WitnessKey::new(&origin, key(1).verifying_key()).unwrap();
    assert!(VerifierKey::parse(&witness.to_string()).is_err());
    assert!(WitnessKey::parse(&log.to_string()).is_err());
    assert_ne!(log.id(), witness.id());
    let note = sign_checkpoint(&checkpoint(), &key(1)).unwrap();
    let line = cosign(&checkpoint(), 5, &origin, &key(1)).unwrap();
    assert_eq!(open_cosignature(&checkpoint(), &line, &witness).unwrap().time_s, 5);
    let signed = note.rsplit_once("\n\n").unwrap().1;
    assert_eq!(open_cosignature(&checkpoint(), signed, &witness), Err(TlogError::Unsigned));
    let cosigned_only = format!("{}\n{line}", checkpoint().body());
    assert_eq!(open_checkpoint(&cosigned_only, &log), Err(TlogError::Unsigned));
}

#[test]
fn only_cosignatures_of_this_witness_over_this_checkpoint_count() {
    let refused = |checkpoint: &Checkpoint, lines: &str, expected: &TlogError| {
        let opened = open_cosignature(checkpoint, lines, &witness());
        assert_eq!(opened.as_ref().unwrap_err(), expected, "{lines:?}");
    };
    let line = cosigned_at(7);
    let other = cosign(&checkpoint(), 7, "witness.example/w2", &key(7)).unwrap();
    refused(&checkpoint(), &other, &TlogError::Unsigned);
    refused(&checkpoint(), &line.replace("/w1", "/w2"), &TlogError::Unsigned);
    let wrong = TlogError::SignatureWrong;
    for changed in [
        Checkpoint { origin: "example.com/other".to_owned(), ..checkpoint() },
        Checkpoint { size: 20_852_164, ..checkpoint() },
        Checkpoint { root: Hash([8; 32]), ..checkpoint() },
        Checkpoint { extensions: vec!["more".to_owned()], ..checkpoint() },
    ] {
        refused(&changed, &line, &wrong);
    }
    // One that does not hold spoils those that do; short ones and times out of range hold nothing.
    let mut bytes = witness().id().to_vec();
    for more in [&[][..], &[7], &[0xff; 8], &[0xff; 72], &[0; 72]] {
        bytes.truncate(4);
        bytes.extend_from_slice(more);
        let bad = format!("— witness.example/w1 {}\n", BASE64.encode(&bytes));
        if more.is_empty() {
            let malformed = open_cosignature(&checkpoint(), &bad, &witness());
            assert!(matches!(malformed, Err(TlogError::NoteMalformed(_))));
        } else {
            refused(&checkpoint(), &format!("{line}{bad}"), &wrong);
        }
    }
}

#[test]
fn malformed_lines_and_names_are_refused() {
    let line = cosigned_at(7);
    for lines in
        ["", "\n", line.trim_end(), &format!("{line}\n"), &format!("{line}more\n"), "\u{1b}"]
    {
        let opened = open_cosignature(&checkpoint(), lines, &witness());
        assert!(matches!(opened, Err(TlogError::NoteMalformed(_))), "{lines:?}: {opened:?}");
    }
    for name in ["", "a b", "a+b", "a\nb", "a\u{1b}[2J"] {
        assert!(WitnessKey::new(name, key(7).verifying_key()).is_err(), "{name:?}");
        assert!(cosign(&checkpoint(), 7, name, &key(7)).is_err(), "{name:?}");
    }
    // Nothing a log could not have signed is cosigned, whoever asks.
    for origin in ["", "a\nb", "a\u{1b}[2Jb", "a\u{9b}b"] {
        let checkpoint = Checkpoint { origin: origin.to_owned(), ..checkpoint() };
        assert!(cosign(&checkpoint, 7, "witness.example/w1", &key(7)).is_err(), "{origin:?}");
    }
    assert!(cosign(&checkpoint(), u64::MAX, "witness.example/w1", &key(7)).is_err());
    for start in 0..REMORA.len() {
        assert!(WitnessKey::parse(REMORA.get(start + 1..).unwrap()).is_err());
        assert!(WitnessKey::parse(REMORA.get(..start).unwrap()).is_err());
    }
}

proptest! {
    #[test]
    fn random_lines_never_panic_and_prove_nothing(
        text: String,
        lines in "(— witness.example/w1 [A-Za-z0-9=+/]{0,12}\n?){0,3}",
    ) {
        let _ = WitnessKey::parse(&text);
        prop_assert!(open_cosignature(&checkpoint(), &text, &witness()).is_err());
        prop_assert!(open_cosignature(&checkpoint(), &lines, &witness()).is_err());
    }

    #[test]
    fn every_time_is_read_back(time_s in 0..=i64::MAX as u64) {
        let opened = open_cosignature(&checkpoint(), &cosigned_at(time_s), &witness()).unwrap();
        prop_assert_eq!(opened.time_s, time_s);
    }
}

#[test]
fn times_are_taken_up_to_the_last_that_can_be_written() {
    let last = i64::MAX as u64;
    let line = cosigned_at(last);
    assert_eq!(open_cosignature(&checkpoint(), &line, &witness()).unwrap().time_s, last);
    assert!(cosign(&checkpoint(), last + 1, "witness.example/w1", &key(7)).is_err());
    // Signed all the same, it holds nothing.
    let message = format!("cosignature/v1\ntime {}\n{}", last + 1, checkpoint().body());
    let mut signature = witness().id().to_vec();
    signature.extend((last + 1).to_be_bytes());
    signature.extend(key(7).sign(message.as_bytes()));
    let line = format!("— witness.example/w1 {}\n", BASE64.encode(&signature));
    let opened = open_cosignature(&checkpoint(), &line, &witness());
    assert_eq!(opened, Err(TlogError::SignatureWrong));
}

#[test]
fn lines_are_read_up_to_their_longest() {
    let own = cosigned_at(7);
    let filled = |bytes: usize| {
        let rest = bytes - own.len() - "—  AAAAAAAA\n".len();
        format!("{own}— {} AAAAAAAA\n", "w".repeat(rest))
    };
    let longest = filled(NOTE_SIZE_BYTES_MAX);
    assert_eq!(longest.len(), NOTE_SIZE_BYTES_MAX);
    assert_eq!(open_cosignature(&checkpoint(), &longest, &witness()).unwrap().time_s, 7);
    let opened = open_cosignature(&checkpoint(), &filled(NOTE_SIZE_BYTES_MAX + 1), &witness());
    assert_eq!(opened, Err(TlogError::NoteMalformed("it is too long")));
}

#[test]
fn an_error_says_what_is_wrong_and_a_hash_what_it_is() {
    let said = TlogError::IndexOutside { index: 9, size: 4 }.to_string();
    assert_eq!(said, "entry 9 is not in a log of 4 entries");
    assert_eq!(format!("{:?}", Hash([0xa5; 32])), "a5".repeat(32));
}
