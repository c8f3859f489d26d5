//! Whole logs: what is intact is accepted, and everything else is named.

use std::fs;

use strongroom_tlog::VerifierKey;

use crate::made::{Line, Made, ORIGIN, check, entry, files, put, signer, wrong};

#[test]
fn logs_of_every_shape_are_accepted_and_counted() {
    for size in [0, 1, 2, 255, 256, 257, 511, 513, 1_000] {
        let (folder, made) = (tempfile::tempdir().unwrap(), Made::of(ORIGIN, size));
        made.write(folder.path());
        let reports = check(folder.path(), &made.key(), None).unwrap();
        assert_eq!(reports.len(), 1);
        let report = &reports[0];
        assert_eq!((report.checkpoint.size, report.checkpoint.root), (size, made.root().0));
        assert_eq!(report.counts.values().sum::<u64>(), size);
        let first = 1_795_255_200_000;
        let times = (size > 0).then(|| (first, first + size as i64 - 1));
        assert_eq!(report.times_ms, times);
    }
}

#[test]
fn a_log_with_tiles_of_a_third_row_is_accepted_and_its_highest_tile_counts() {
    let (folder, made) = (tempfile::tempdir().unwrap(), Made::of(ORIGIN, 256 * 256 + 300));
    made.write(folder.path());
    check(folder.path(), &made.key(), None).unwrap();
    let highest = folder.path().join("tile/2/000.p/1");
    fs::write(&highest, [0; 32]).unwrap();
    let found = wrong(folder.path(), &made.key());
    assert_eq!(found, "tile/2/000.p/1: the entries 0 to 65535 are not the ones hashed here");
}

#[test]
fn what_is_wrong_is_named() {
    type Spoil = fn(&mut Made, &std::path::Path);
    let cases: [(Spoil, &str); 16] = [
        (|_, at| spoil(at, "tile/entries/000", 5), "entry 0: its hash is not the one"),
        (|_, at| spoil(at, "tile/entries/001.p/44", 900), "entry 2"),
        (|_, at| spoil(at, "tile/0/000", 32 * 17), "entry 17: its hash is not the one"),
        (|_, at| spoil(at, "tile/1/000.p/1", 0), "tile/1/000.p/1: the entries 0 to 255 are not"),
        (|_, at| cut(at, "tile/0/000"), "tile/0/000: it does not hold 256 hashes"),
        (|_, at| cut(at, "tile/entries/001.p/44"), "entry 299: it is not in the bundle"),
        (|_, at| append(at, "tile/entries/000"), "tile/entries/000: it holds more than"),
        (|_, at| remove(at, "tile/0/001.p/44"), "tile/0/001.p/44: the file is not there"),
        (|_, at| remove(at, "checkpoint"), "checkpoint: the file is not there"),
        (|_, at| remove(at, "vkey"), "vkey: the file is not there"),
        (|_, at| put(at, "tile/0/001.p/43", b"x"), "`tile/0/001.p/43` does not belong"),
        (|_, at| put(at, "tile/entries/x000/000", b"x"), "`tile/entries/x000/000` does not belong"),
        (|_, at| put(at, "notes.txt", b"x"), "`notes.txt` does not belong to this log"),
        (|_, at| put(at, "incarnation-1/checkpoint", b"x"), "incarnation-1: no later log names it"),
        (
            |made, at| {
                // Entries, tiles and root fit each other: only the order of time is broken.
                let earlier = Line { time_ms: Some(7), ..Line::default() };
                made.entries[30] = entry(30, &earlier);
                made.write(at);
            },
            "entry 30: it is older than the entry before it",
        ),
        (
            |made, at| {
                made.entries[31].push(0);
                made.write(at);
            },
            "entry 31: it is no entry of this format",
        ),
    ];
    for (spoil, expected) in cases {
        let (folder, mut made) = (tempfile::tempdir().unwrap(), Made::of(ORIGIN, 300));
        made.write(folder.path());
        spoil(&mut made, folder.path());
        let found = wrong(folder.path(), &made.key());
        assert!(found.contains(expected), "{found} instead of {expected}");
    }
}

#[test]
fn entries_and_tiles_that_fit_each_other_do_not_pass_without_the_signed_root() {
    let (folder, made) = (tempfile::tempdir().unwrap(), Made::of(ORIGIN, 300));
    made.write(folder.path());
    let signed = fs::read(folder.path().join("checkpoint")).unwrap();
    let mut forged = made.clone();
    forged.entries[200] = entry(200, &Line { verb: "customer.find", ..Line::default() });
    forged.write(folder.path());
    fs::write(folder.path().join("checkpoint"), signed).unwrap();
    assert!(wrong(folder.path(), &made.key()).contains("not the root that the checkpoint signs"));
    // Signed by whoever changed it, under the same name.
    let forged = forged.note_by(&signer(2));
    fs::write(folder.path().join("checkpoint"), forged).unwrap();
    let found = wrong(folder.path(), &made.key());
    let id = |seed: u8| {
        let key = VerifierKey::new(ORIGIN, signer(seed).verifying_key()).unwrap().to_string();
        key.split('+').nth(1).unwrap().to_owned()
    };
    let (own, forger) = (id(1), id(2));
    let bears = format!("it bears a signature of its key {forger}, unchecked");
    assert_eq!(found, format!("checkpoint: the key {own} of {ORIGIN} did not sign it; {bears}"));
}

#[test]
fn a_log_must_continue_the_checkpoint_that_was_kept() {
    let (folder, made) = (tempfile::tempdir().unwrap(), Made::of(ORIGIN, 700));
    made.write(folder.path());
    for size in [0, 1, 255, 256, 300, 699, 700] {
        let kept = Made::of(ORIGIN, size).note();
        let reports = check(folder.path(), &made.key(), Some(&kept)).unwrap();
        assert_eq!(reports[0].continues.as_ref().unwrap().size, size);
        let mut other = Made::of(ORIGIN, size);
        if let Some(last) = other.entries.last_mut() {
            *last = entry(size - 1, &Line { verb: "customer.find", ..Line::default() });
            let found = check(folder.path(), &made.key(), Some(&other.note())).unwrap_err();
            let found = found.to_string();
            assert!(found.contains(&format!("the first {size} entries are not")), "{found}");
        }
    }
    let longer = Made::of(ORIGIN, 701).note();
    let found = check(folder.path(), &made.key(), Some(&longer)).unwrap_err().to_string();
    assert!(found.contains("covers 701 entries and this log has 700"), "{found}");
    let of_another = Made::of("strongroom/4567/1", 300).note();
    let found = check(folder.path(), &made.key(), Some(&of_another)).unwrap_err().to_string();
    assert_eq!(found, "the older checkpoint is of another log");
    let unsigned = made.note_by(&signer(2));
    let found = check(folder.path(), &made.key(), Some(&unsigned)).unwrap_err().to_string();
    assert!(found.starts_with("the older checkpoint: the key "), "{found}");
    assert!(found.contains("give that with `--old-key`"), "{found}");
}

#[test]
fn the_logs_from_before_restores_are_checked_too() {
    let folder = tempfile::tempdir().unwrap();
    let first = Made::of(ORIGIN, 300);
    let second = Made::after(&first, "strongroom/0123/2-ab", 20);
    let third = Made::after(&second, "strongroom/0123/3-cd", 5);
    third.write(folder.path());
    let key = third.key();
    let found = wrong(folder.path(), &key);
    assert!(found.contains("strongroom/0123/2-ab, is not in the folder"), "{found}");
    second.write(&folder.path().join("incarnation-2"));
    let found = wrong(folder.path(), &key);
    assert!(found.contains("strongroom/0123/1, is not in the folder"), "{found}");
    first.write(&folder.path().join("incarnation-1"));
    let reports = check(folder.path(), &key, None).unwrap();
    let sizes: Vec<u64> = reports.iter().map(|report| report.checkpoint.size).collect();
    assert_eq!(sizes, [5, 20, 300]);
    // A checkpoint kept from before the restore.
    let kept = Made::of(ORIGIN, 100).note();
    assert!(check(folder.path(), &key, Some(&kept)).unwrap()[2].continues.is_some());
    // An intact log of the same key that is not the one that was named.
    Made::of(ORIGIN, 299).write(&folder.path().join("incarnation-1"));
    fs::remove_file(folder.path().join("incarnation-1/tile/0/001.p/44")).unwrap();
    fs::remove_file(folder.path().join("incarnation-1/tile/entries/001.p/44")).unwrap();
    let found = wrong(folder.path(), &key);
    assert_eq!(found, "incarnation-1: it is not the log that the later one names");
}

/// Every file counts: with one bit of it another way the log is not accepted.
#[test]
fn one_bit_flipped_in_any_file_is_not_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let first = Made::of(ORIGIN, 20);
    let second = Made::after(&first, "strongroom/0123/2-ab", 300);
    second.write(folder.path());
    first.write(&folder.path().join("incarnation-1"));
    let key = second.key();
    check(folder.path(), &key, None).unwrap();
    let files = files(folder.path());
    assert_eq!(files.len(), 11, "{files:?}");
    let mut flipped = 0;
    for file in files {
        let bytes = fs::read(&file).unwrap();
        // All bits of what is short, and so many of what is long that none of its parts is left out.
        let step = (bytes.len() * 8 / 400).max(1);
        for bit in (0..bytes.len() * 8).step_by(step) {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            fs::write(&file, other).unwrap();
            assert!(check(folder.path(), &key, None).is_err(), "bit {bit} of {}", file.display());
            flipped += 1;
        }
        fs::write(&file, bytes).unwrap();
    }
    assert!(flipped > 4_000, "{flipped}");
    check(folder.path(), &key, None).unwrap();
}

fn change(at: &std::path::Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(at.join(name)).unwrap();
    change(&mut bytes);
    fs::write(at.join(name), bytes).unwrap();
}

fn spoil(at: &std::path::Path, name: &str, place: usize) {
    change(at, name, |bytes| bytes[place] ^= 1);
}

fn cut(at: &std::path::Path, name: &str) {
    change(at, name, |bytes| bytes.truncate(bytes.len() - 1));
}

fn append(at: &std::path::Path, name: &str) {
    change(at, name, |bytes| bytes.push(0));
}

fn remove(at: &std::path::Path, name: &str) {
    fs::remove_file(at.join(name)).unwrap();
}
