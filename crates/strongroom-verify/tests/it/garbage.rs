//! Whatever is given, the verifier answers; and what it takes for an entry has one encoding.

use proptest::prelude::*;
use strongroom_verify::{Entry, Key, Note, Proof, verify_proof};

use crate::made::{Line, Made, ORIGIN, entry};

#[test]
fn entries_are_read_with_and_without_a_claim() {
    let read = Entry::decode(&entry(4, &Line::default())).unwrap();
    assert_eq!((read.verb.as_str(), read.kind.as_str()), ("customer.read", "read"));
    let claimed = entry(4, &Line { behalf: "staff-17", ..Line::default() });
    Entry::decode(&claimed).unwrap();
    for kind in 0..=255 {
        let known = Entry::decode(&entry(1, &Line { kind, ..Line::default() })).is_ok();
        assert_eq!(known, (1..=14).contains(&kind), "{kind}");
    }
    let whole = entry(4, &Line::default());
    for length in 0..whole.len() {
        assert!(Entry::decode(&whole[..length]).is_err(), "{length}");
    }
}

proptest! {
    #[test]
    fn nothing_makes_it_stumble(bytes: Vec<u8>, text in ".{0,200}") {
        let _ = Entry::decode(&bytes);
        for bytes in [&bytes[..], text.as_bytes()] {
            let _ = Note::parse(bytes).map(|note| note.checkpoint(&Made::of(ORIGIN, 1).key()));
            let _ = Proof::parse(bytes);
        }
        let _ = (Key::log(&text), Key::witness(&text));
    }

    #[test]
    fn a_damaged_entry_is_refused_or_says_something_else(
        number in 0_u64..40,
        at in any::<prop::sample::Index>(),
        byte: u8,
    ) {
        let good = entry(number, &Line::default());
        let mut other = good.clone();
        other[at.index(good.len())] = byte;
        // What it does not keep (fields, salt) may differ; the length must always be the same.
        if Entry::decode(&other).is_ok() {
            other.push(0);
            prop_assert!(Entry::decode(&other).is_err());
        }
    }

    #[test]
    fn a_damaged_note_or_proof_is_not_accepted(
        at in any::<prop::sample::Index>(),
        byte: u8,
        inserted: bool,
    ) {
        let made = Made::of(ORIGIN, 1);
        let note = made.note();
        let mut other = note.clone().into_bytes();
        let at = at.index(other.len());
        if inserted { other.insert(at, byte) } else { other[at] = byte }
        let is_same = other == note.as_bytes();
        let told = Note::parse(&other).and_then(|note| note.checkpoint(&made.key()));
        prop_assert_eq!(told.is_ok(), is_same);
        let bundle = [b"c2sp.org/tlog-proof@v1\nindex 0\n\n", &other[..]].concat();
        let told = Proof::parse(&bundle)
            .and_then(|proof| verify_proof(&proof, &made.key(), &[], Some(&made.entries[0])));
        prop_assert_eq!(told.is_ok(), is_same);
    }
}
