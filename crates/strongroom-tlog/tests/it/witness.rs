use std::collections::BTreeMap;

use proptest::prelude::*;
use strongroom_crypto::{SecretKey, SigningKey};
use strongroom_tlog::{
    ADD_CHECKPOINT_SIZE_BYTES_MAX, AddCheckpoint, Checkpoint, Hash, PROOF_LINES_MAX, SIZE_MAX,
    TlogError, VerifierKey, WitnessRefusal, Witnessed, consistency_proof, judge, leaf_hash,
    parse_size_answer, root_of, sign_checkpoint, size_answer,
};

use crate::log::Log;

const ORIGIN: &str = "example.com/log";

fn key(byte: u8) -> SigningKey {
    SigningKey::from_seed(&SecretKey::from_bytes([byte; 32])).unwrap()
}

fn vkey(byte: u8) -> VerifierKey {
    VerifierKey::new(ORIGIN, key(byte).verifying_key()).unwrap()
}

fn note(size: u64, root: Hash) -> String {
    let origin = ORIGIN.to_owned();
    sign_checkpoint(&Checkpoint { origin, size, root, extensions: Vec::new() }, &key(1)).unwrap()
}

/// What a log asks that believes the witness to be at `old`.
fn request(log: &Log, old: u64, size: u64) -> AddCheckpoint {
    let proof = consistency_proof(old.min(size), size, log).unwrap();
    AddCheckpoint { old, proof, checkpoint: note(size, root_of(size, log).unwrap()) }
}

fn seen(log: &Log, size: u64) -> Witnessed {
    Witnessed { size, root: root_of(size, log).unwrap() }
}

/// Shares its first leaves with `Log::numbered`.
fn forked(shared: u64, size: u64) -> Log {
    let own = |number: u64| leaf_hash(format!("fork {number}").as_bytes());
    Log::of((0..size).map(|n| if n < shared { leaf_hash(&n.to_be_bytes()) } else { own(n) }))
}

#[test]
fn the_example_of_the_specification_is_read() {
    // c2sp.org/tlog-witness, "add-checkpoint".
    let body = "old 20852014\n\
        PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\
        jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\
        5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n\
        /6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\
        \n\
        example.com/behind-the-sofa\n\
        20852163\n\
        CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\
        \n\
        — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcy\
        v2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
    let read = AddCheckpoint::parse(body).unwrap();
    assert_eq!((read.old, read.proof.len()), (20_852_014, 4));
    assert_eq!(read.claimed_origin(), "example.com/behind-the-sofa");
    assert!(read.checkpoint.starts_with("example.com/behind-the-sofa\n20852163\n"));
    assert_eq!(read.to_string(), body);
}

#[test]
fn a_request_has_one_form() {
    let good = request(&Log::numbered(9), 5, 9).to_string();
    assert_eq!(AddCheckpoint::parse(&good).unwrap().to_string(), good);
    let refused = |body: &str| {
        let read = AddCheckpoint::parse(body);
        assert!(read.is_err(), "{body:?}: {read:?}");
    };
    let too_large = format!("old {}\n", SIZE_MAX + 1);
    for first in [
        "",
        "5\n",
        "old 05\n",
        "old +5\n",
        "old  5\n",
        "old -5\n",
        "Old 5\n",
        "old 5 \n",
        "old 5\r\n",
        "old 99999999999999999999\n",
        "old\n",
        "\nold 5\n",
        &too_large,
    ] {
        refused(&good.replacen("old 5\n", first, 1));
    }
    refused("");
    refused("old 5\n");
    refused(&good.replacen("=\n", "\n", 1));
    let lines = |count: usize| Hash([7; 32]).to_base64().repeat(count).replace('=', "=\n");
    let with = |count: usize| format!("old 5\n{}\nrest", lines(count));
    assert_eq!(AddCheckpoint::parse(&with(PROOF_LINES_MAX)).unwrap().proof.len(), PROOF_LINES_MAX);
    refused(&with(PROOF_LINES_MAX + 1));
    let filled = |bytes: usize| format!("old 5\n\n{}", "x".repeat(bytes - "old 5\n\n".len()));
    refused(&filled(ADD_CHECKPOINT_SIZE_BYTES_MAX + 1));
    AddCheckpoint::parse(&filled(ADD_CHECKPOINT_SIZE_BYTES_MAX)).unwrap();
}

#[test]
fn a_log_that_grows_is_cosigned() {
    let log = Log::numbered(300);
    let keys = [vkey(1)];
    let first = judge(&request(&log, 0, 7), &keys, None).unwrap();
    assert_eq!((first.size, first.root), (7, root_of(7, &log).unwrap()));
    for (old, size) in [(7, 8), (7, 7), (7, 256), (256, 257), (1, 300)] {
        let request = request(&log, old, size);
        assert_eq!(judge(&request, &keys, Some(&seen(&log, old))).unwrap().size, size);
    }
    // An empty log has one root.
    assert_eq!(judge(&request(&log, 0, 0), &keys, None).unwrap().size, 0);
    let other = AddCheckpoint { checkpoint: note(0, Hash([1; 32])), ..request(&log, 0, 0) };
    assert_eq!(judge(&other, &keys, None), Err(WitnessRefusal::OtherSize(0)));
}

#[test]
fn each_refusal_has_its_status() {
    let log = Log::numbered(300);
    let keys = [vkey(1)];
    let check = |request: &AddCheckpoint, last: Option<u64>, expected: WitnessRefusal, status| {
        let last = last.map(|size| seen(&log, size));
        assert_eq!(judge(request, &keys, last.as_ref()), Err(expected));
        assert_eq!(expected.status(), status);
    };
    check(&request(&log, 8, 7), Some(8), WitnessRefusal::Malformed, 400);
    check(&request(&log, 0, 7), Some(8), WitnessRefusal::OtherSize(8), 409);
    check(&request(&log, 7, 9), Some(8), WitnessRefusal::OtherSize(8), 409);
    check(&request(&log, 5, 5), Some(8), WitnessRefusal::OtherSize(8), 409);
    check(&request(&log, 5, 9), None, WitnessRefusal::OtherSize(0), 409);
    let fork = forked(5, 20);
    check(&request(&fork, 8, 8), Some(8), WitnessRefusal::OtherSize(8), 409);
    check(&request(&fork, 8, 20), Some(8), WitnessRefusal::Unproven, 422);
    check(&request(&fork, 0, 8), Some(8), WitnessRefusal::OtherSize(8), 409);
    let mut spare = request(&log, 0, 9);
    spare.proof.push(Hash([0; 32]));
    check(&spare, None, WitnessRefusal::Unproven, 422);
    let mut short = request(&log, 7, 9);
    short.proof.pop();
    check(&short, Some(7), WitnessRefusal::Unproven, 422);
    let mut same = request(&log, 8, 8);
    same.proof.push(Hash([0; 32]));
    check(&same, Some(8), WitnessRefusal::Unproven, 422);
}

#[test]
fn only_logs_the_witness_was_told_of_are_cosigned() {
    let asked = request(&Log::numbered(9), 0, 9);
    let other_log = VerifierKey::new("example.com/other", key(1).verifying_key()).unwrap();
    assert_eq!(judge(&asked, &[], None), Err(WitnessRefusal::UnknownLog));
    assert_eq!(
        judge(&asked, std::slice::from_ref(&other_log), None),
        Err(WitnessRefusal::UnknownLog)
    );
    assert_eq!(judge(&asked, &[other_log.clone(), vkey(2)], None), Err(WitnessRefusal::Unsigned));
    assert!(
        judge(&asked, &[other_log, vkey(2), vkey(1)], None).is_ok(),
        "one of two keys is enough"
    );
    // Signed by that key, but over another text than the one that is shown.
    let edited = asked.checkpoint.replace("\n9\n", "\n8\n");
    let edited = AddCheckpoint { checkpoint: edited, ..asked.clone() };
    assert_eq!(judge(&edited, &[vkey(1)], None), Err(WitnessRefusal::Unsigned));
    for broken in [ORIGIN.to_owned(), format!("{ORIGIN}\n\n"), asked.checkpoint.replace('—', "-")]
    {
        let broken = AddCheckpoint { checkpoint: broken, ..asked.clone() };
        assert_eq!(judge(&broken, &[vkey(1)], None), Err(WitnessRefusal::Malformed), "{broken}");
    }
}

#[test]
fn an_origin_with_a_line_break_or_an_escape_is_no_known_log() {
    let asked = request(&Log::numbered(9), 0, 9);
    for origin in [
        "example.com/log\u{1b}[2J",
        "example.com/log ",
        " example.com/log",
        "example.com/log\r",
        "example.com/log\u{200b}",
        "EXAMPLE.com/log",
        "",
    ] {
        let checkpoint = asked.checkpoint.replacen(ORIGIN, origin, 1);
        let asked = AddCheckpoint { checkpoint, ..asked.clone() };
        assert_eq!(judge(&asked, &[vkey(1)], None), Err(WitnessRefusal::UnknownLog), "{origin:?}");
    }
    let injected = asked.checkpoint.replacen(ORIGIN, "example.com/log\n7", 1);
    let injected = AddCheckpoint { checkpoint: injected, ..asked };
    assert_eq!(judge(&injected, &[vkey(1)], None), Err(WitnessRefusal::Unsigned));
}

#[test]
fn the_answer_of_a_conflict_has_one_form() {
    for size in [0, 1, 20_852_163, SIZE_MAX] {
        assert_eq!(parse_size_answer(&size_answer(size)), Some(size));
    }
    for body in ["", "\n", "7", "7\n\n", " 7\n", "07\n", "+7\n", "7\r\n", "-1\n", "x\n"] {
        assert_eq!(parse_size_answer(body), None, "{body:?}");
    }
    assert_eq!(parse_size_answer(&size_answer(SIZE_MAX + 1)), None);
    assert!(matches!(AddCheckpoint::parse("x"), Err(TlogError::RequestMalformed(_))));
}

proptest! {
    #[test]
    fn random_requests_never_panic(text: String, lines in "(old|0|=|\n|— |[A-Z]){0,12}") {
        let _ = parse_size_answer(&text);
        for text in [text, lines] {
            if let Ok(request) = AddCheckpoint::parse(&text) {
                prop_assert_eq!(request.to_string(), text);
                prop_assert!(judge(&request, &[vkey(1)], None).is_err());
            }
        }
    }

    /// Whatever a log asks in whatever order: sizes only grow, and no size has two roots.
    #[test]
    fn one_history_is_cosigned(asked in prop::collection::vec((0..3_usize, any::<bool>(), 0..40_u64, 0..40_u64), 1..60)) {
        let histories = [Log::numbered(40), forked(0, 40), forked(12, 40)];
        let (mut last, mut cosigned) = (None::<Witnessed>, BTreeMap::new());
        for (history, knows, old, size) in asked {
            // Half of them know what the witness has, as an honest log does and a clever one.
            let old = last.filter(|_| knows).map_or(old, |last: Witnessed| last.size);
            let request = request(&histories[history], old, size);
            let Ok(checkpoint) = judge(&request, &[vkey(1)], last.as_ref()) else { continue };
            prop_assert!(last.is_none_or(|last| last.size <= checkpoint.size));
            let known = *cosigned.entry(checkpoint.size).or_insert(checkpoint.root);
            prop_assert_eq!(known, checkpoint.root);
            last = Some(Witnessed { size: checkpoint.size, root: checkpoint.root });
        }
        let holds_all = |log: &Log| {
            cosigned.iter().all(|(size, root)| root_of(*size, log).unwrap() == *root)
        };
        prop_assert!(histories.iter().any(holds_all), "they are of more than one history");
    }
}
