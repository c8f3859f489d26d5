//! A log that was handed over to another signing key: whose word for it counts.

use std::path::Path;

use strongroom_tlog::{Checkpoint, VerifierKey, sign_checkpoint, sign_checkpoint_by};
use strongroom_verify::{Asked, Key, Report, Wrong, verify_log};

use crate::made::{Line, Made, ORIGIN, cosign, entry, put, signer};

/// Where the entry stands that names the coming key.
const PLACE: u64 = 291;

/// The key of a signer, as the log has it.
fn vkey(seed: u8) -> String {
    VerifierKey::new(ORIGIN, signer(seed).verifying_key()).unwrap().to_string()
}

fn key(seed: u8) -> Key {
    Key::log(&vkey(seed)).unwrap()
}

/// A log of 300 entries that names the key of a signer.
fn handed(seed: u8) -> Made {
    let mut made = Made::of(ORIGIN, 300);
    let ticket = vkey(seed);
    let line = Line { verb: "rotate.signing", ticket: &ticket, kind: 1, ..Line::default() };
    made.entries[PLACE as usize] = entry(PLACE, &line);
    made
}

/// The checkpoint over the first entries, with a line that names a key.
fn naming(made: &Made, size: u64, named: Option<u8>) -> Checkpoint {
    let first = Made { entries: made.entries[..size as usize].to_vec(), ..made.clone() };
    let extensions = named.map(|seed| format!("handover {}", vkey(seed))).into_iter().collect();
    Checkpoint { origin: ORIGIN.to_owned(), size, root: first.root(), extensions }
}

/// Written as an export would, signed by one or more, with what hands it over.
fn write(folder: &Path, made: &Made, signers: &[u8], handover: Option<&str>) {
    made.write(folder);
    let keys: Vec<_> = signers.iter().map(|seed| signer(*seed)).collect();
    let keys: Vec<_> = keys.iter().collect();
    let note = sign_checkpoint_by(&naming(made, 300, None), &keys).unwrap();
    let (_, line) = cosign(&note, WITNESS, 5, 1_795_255_400);
    put(folder, "checkpoint", format!("{note}{line}").as_bytes());
    put(folder, "vkey", format!("{}\n", vkey(signers[0])).as_bytes());
    if let Some(note) = handover {
        put(folder, "handover-1", note.as_bytes());
    }
}

fn check(folder: &Path, key: &Key, witnesses: &[Key]) -> Result<Vec<Report>, Wrong> {
    verify_log(folder, &Asked { witnesses, ..Asked::with(key) })
}

fn witness() -> Key {
    let note = Made::of(ORIGIN, 1).note();
    Key::witness(&cosign(&note, WITNESS, 5, 1).0).unwrap()
}

/// The hand-over as it is done: both signed what names the new key, and the witness cosigned that.
fn good(made: &Made) -> String {
    let note = sign_checkpoint_by(&naming(made, 295, Some(2)), &[&signer(2), &signer(1)]).unwrap();
    let (_, line) = cosign(&note, WITNESS, 5, 1_795_255_300);
    format!("{note}{line}")
}

#[test]
fn a_handover_that_a_witness_cosigned_leads_from_the_old_key_to_the_new_one() {
    let (folder, made) = (tempfile::tempdir().unwrap(), handed(2));
    write(folder.path(), &made, &[2], Some(&good(&made)));
    let reports = check(folder.path(), &key(1), &[witness()]).unwrap();
    assert_eq!(reports[0].handed, [(295, vkey(2))]);
    assert!(reports[0].rotated.is_empty());
    // Whoever has the new key needs nobody's word, and is told.
    let reports = check(folder.path(), &key(2), &[]).unwrap();
    assert!(reports[0].handed.is_empty());
    assert_eq!(reports[0].rotated, [(PLACE, vkey(2))]);
    // While both sign, the new key opens it too.
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &made, &[2, 1], None);
    check(folder.path(), &key(2), &[]).unwrap();
}

#[test]
fn a_thief_of_the_old_key_hands_the_log_over_to_nobody() {
    let made = handed(9);
    let signed = |named, seeds: &[u8]| {
        let keys: Vec<_> = seeds.iter().map(|seed| signer(*seed)).collect();
        let keys: Vec<_> = keys.iter().collect();
        sign_checkpoint_by(&naming(&made, 295, named), &keys).unwrap()
    };
    let alone = signed(Some(9), &[9, 1]);
    // A witness that was not told of the thief's key cosigns what does not name it, and nothing else.
    let plain = signed(None, &[9, 1]);
    let (_, of_plain) = cosign(&plain, WITNESS, 5, 1_795_255_300);
    let (_, by_stranger) = cosign(&alone, WITNESS, 6, 1_795_255_300);
    for (signers, handover, expected) in [
        (&[9][..], Some(alone.clone()), "`handover-1`, at 295 entries, hands the log over to"),
        (&[1], None, "entry 291 hands the log over to the key"),
        (&[9, 1], None, "entry 291 hands the log over to the key"),
        (&[9], None, "of strongroom/0123/1 did not sign it"),
        (&[9, 1], Some(alone.clone()), "entry 291 hands the log over to the key"),
        (&[9], Some(format!("{alone}{of_plain}")), "`handover-1`, at 295 entries, hands"),
        (&[9], Some(format!("{alone}{by_stranger}")), "`handover-1`, at 295 entries, hands"),
        (&[9], Some(format!("{plain}{of_plain}")), "it names no key"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &made, signers, handover.as_deref());
        // What lies beside the log is the thief's choice: the key that gets furthest.
        let beside = if *signers == [9] { 9 } else { 1 };
        put(folder.path(), "vkey", format!("{}\n", vkey(beside)).as_bytes());
        for witnesses in [&[witness()][..], &[]] {
            let found = check(folder.path(), &key(1), witnesses).unwrap_err().to_string();
            assert!(found.contains(expected), "{found} instead of {expected}");
        }
    }
}

#[test]
fn what_the_old_key_signs_after_the_handover_is_refused() {
    let (folder, made) = (tempfile::tempdir().unwrap(), handed(2));
    write(folder.path(), &made, &[1], Some(&good(&made)));
    for (held, witnesses) in [(1, vec![witness()]), (2, Vec::new())] {
        let found = check(folder.path(), &key(held), &witnesses).unwrap_err().to_string();
        assert!(found.contains("did not sign it"), "{found}");
    }
}

#[test]
fn a_handover_must_be_one_of_this_log() {
    let made = handed(2);
    let mut other = made.clone();
    other.entries[3] = entry(900, &Line { time_ms: Some(1_795_255_200_003), ..Line::default() });
    let cosigned = |checkpoint: &Checkpoint, both: bool| {
        let note = match both {
            true => sign_checkpoint_by(checkpoint, &[&signer(2), &signer(1)]).unwrap(),
            false => sign_checkpoint(checkpoint, &signer(1)).unwrap(),
        };
        let line = cosign(&note, WITNESS, 5, 1_795_255_300).1;
        format!("{note}{line}")
    };
    let longer = Checkpoint { size: 301, ..naming(&made, 300, Some(2)) };
    for (note, expected) in [
        (cosigned(&naming(&other, 295, Some(2)), true), "are not the ones that were handed over"),
        (cosigned(&naming(&made, PLACE, Some(2)), true), "no entry below it does"),
        (cosigned(&longer, true), "with more entries than it has now"),
        (cosigned(&naming(&made, 295, Some(2)), false), "did not sign it"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &made, &[2], Some(&note));
        for (held, witnesses) in [(1, vec![witness()]), (2, Vec::new())] {
            let found = check(folder.path(), &key(held), &witnesses).unwrap_err().to_string();
            assert!(found.contains(expected), "{found} instead of {expected}");
        }
    }
}

#[test]
fn no_file_of_a_handover_stays_unread() {
    let junk = "anything at all".to_owned();
    let plain = Made::of(ORIGIN, 300);
    let alone = sign_checkpoint_by(&naming(&plain, 295, Some(9)), &[&signer(9), &signer(1)]);
    for (name, note, expected) in [
        ("handover-0", junk.clone(), "`handover-0` is there, and `handover-1` is not"),
        ("handover-2", junk.clone(), "`handover-2` is there, and `handover-1` is not"),
        ("handover-01", junk.clone(), "`handover-01` does not belong"),
        ("handover-1", junk, "handover-1"),
        // A log that was never handed over, beside a file that says it was.
        ("handover-1", alone.unwrap(), "`handover-1`, at 295 entries, hands the log over to"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &plain, &[1], None);
        check(folder.path(), &key(1), &[]).unwrap();
        put(folder.path(), name, note.as_bytes());
        let found = check(folder.path(), &key(1), &[]).unwrap_err().to_string();
        assert!(found.contains(expected), "{found} instead of {expected}");
    }
}

#[test]
fn an_older_checkpoint_opens_with_the_key_of_its_time() {
    let (folder, made) = (tempfile::tempdir().unwrap(), handed(2));
    write(folder.path(), &made, &[2], Some(&good(&made)));
    let kept = sign_checkpoint(&naming(&made, 100, None), &signer(1)).unwrap();
    let since = Some(kept.as_bytes());
    let check = |held: u8, witnesses: &[Key], older_keys: &[Key]| {
        let key = key(held);
        let asked = Asked { witnesses, since, older_keys, ..Asked::with(&key) };
        verify_log(folder.path(), &asked)
    };
    assert_eq!(check(2, &[], &[key(1)]).unwrap()[0].continues.as_ref().unwrap().size, 100);
    check(1, &[witness()], &[]).unwrap();
    assert!(check(2, &[], &[]).unwrap_err().to_string().contains("did not sign it"));
    assert!(check(2, &[], &[key(3)]).is_err());
}

const WITNESS: &str = "witness.example";
