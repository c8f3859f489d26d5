//! Entries, sets and the writing side of the log.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use strongroom_crypto::{Encoder, SystemRandom};

use super::model::KINDS;
use super::*;
use crate::ctx::{Ctx, Entry, EntryKind, FieldSet, Outcome, Written};
use crate::db::{DATA, Durability, migrate};
use crate::id::Id;
use crate::keys::{Places, Seal, create, open};

fn subjects() -> impl Strategy<Value = LeafSubjects> {
    prop_oneof![
        Just(LeafSubjects::None),
        any::<[u8; 16]>().prop_map(|it| LeafSubjects::One(Pseudonym(it))),
        any::<([u8; 32], u64)>().prop_map(|(root, count)| LeafSubjects::Set { root, count }),
    ]
}

fn leaf_parts() -> impl Strategy<Value = Leaf> {
    let words = prop::collection::vec("[a-z_.:/ ]{0,20}", 6);
    let numbers = (0..i64::MAX, any::<u32>(), any::<u64>(), any::<u64>(), any::<u64>());
    let kinds = (0..KINDS.len(), any::<bool>());
    let fields = prop::collection::vec(any::<u8>(), 0..9);
    let written = prop::option::of(any::<([u8; 32], [u8; 32])>());
    let rest = (subjects(), fields, written, any::<Option<[u8; 16]>>(), any::<[[u8; 16]; 2]>());
    (words, numbers, kinds, rest).prop_map(|(words, numbers, kinds, rest)| {
        let (subjects, fields, written, network, [request, salt]) = rest;
        Leaf {
            time: Time::from_ms(numbers.0),
            kind: KINDS[kinds.0],
            outcome: if kinds.1 { Outcome::Ok } else { Outcome::Refused },
            verb: words[0].clone(),
            actor: words[1].clone(),
            purpose: words[2].clone(),
            reason: words[3].clone(),
            ticket: words[4].clone(),
            behalf: words[5].clone(),
            request: Id::from_bytes(request),
            policy_version: numbers.1,
            epoch: numbers.2,
            state_changes: numbers.3,
            subjects,
            fields: FieldSet::of(fields),
            count: numbers.4,
            written: written.map(|(sealed_hash, row_mac)| Written { sealed_hash, row_mac }),
            network,
            salt,
        }
    })
}

/// Entries from before there were claims keep their bytes, and so their hashes.
#[test]
fn an_entry_without_a_claim_has_the_form_it_always_had() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut leaf = leaf_parts().new_tree(&mut runner).unwrap().current();
    leaf.behalf = "staff-17".to_owned();
    let claimed = leaf.encode();
    leaf.behalf = String::new();
    let bytes = leaf.encode();
    let place =
        |bytes: &[u8], word: &str| bytes.windows(word.len()).position(|it| it == word.as_bytes());
    assert!(place(&bytes, "strongroom/entry/v1").is_some_and(|place| place < 9));
    assert!(place(&claimed, "strongroom/entry/v2").is_some_and(|place| place < 9));
    assert_eq!(Leaf::decode(&bytes).unwrap().behalf, "");
    // The newer form with nothing claimed is no entry: each has one encoding.
    let mut other = bytes.clone();
    let version = place(&other, "strongroom/entry/v1").unwrap() + "strongroom/entry/v".len();
    other[version] = b'2';
    assert!(Leaf::decode(&other).is_err());
    // A label is a text, so this is the empty one.
    other.extend_from_slice(&Encoder::new("").finish());
    assert!(Leaf::decode(&other).is_err());
}

proptest! {
    #[test]
    fn an_entry_reads_back_as_it_was_written_and_in_no_other_form(leaf in leaf_parts()) {
        let bytes = leaf.encode();
        prop_assert_eq!(&Leaf::decode(&bytes).unwrap(), &leaf);
        prop_assert!(Leaf::decode(&bytes[..bytes.len() - 1]).is_err());
        prop_assert!(Leaf::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
    }

    #[test]
    fn one_entry_has_one_form(leaf in leaf_parts(), place: prop::sample::Index, bit in 0..8) {
        let mut bytes = leaf.encode();
        let place = place.index(bytes.len());
        bytes[place] ^= 1_u8 << bit;
        if let Ok(other) = Leaf::decode(&bytes) {
            prop_assert_ne!(&other, &leaf);
            prop_assert_eq!(other.encode(), bytes, "a second form of one entry");
        }
    }

    #[test]
    fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Leaf::decode(&bytes);
    }

    #[test]
    fn the_root_of_a_set_is_salted_and_names_each_member(
        salt: [u8; 16], other: [u8; 16],
        members in prop::collection::btree_set(any::<[u8; 16]>().prop_map(Pseudonym), 1..20),
    ) {
        let members: Vec<Pseudonym> = members.into_iter().collect();
        let root = rules::set_root(&salt, &members);
        prop_assert_eq!(rules::decode_set(&rules::encode_set(&members)).unwrap(), members.clone());
        prop_assert_ne!(root, rules::set_root(&salt, &members[1..]));
        if salt != other {
            prop_assert_ne!(root, rules::set_root(&other, &members));
        }
    }
}

#[test]
fn kinds_have_numbers_of_their_own() {
    let numbers: BTreeSet<u8> = KINDS.iter().map(|kind| *kind as u8).collect();
    assert_eq!(numbers.len(), KINDS.len());
}

#[test]
fn a_set_of_half_a_member_is_no_set() {
    assert!(rules::decode_set(&[0; 15]).is_none());
    assert_eq!(rules::decode_set(&[]).unwrap(), []);
}

#[test]
fn months_and_runs() {
    assert_eq!(rules::month_of(Time::from_ms(1_795_255_200_000)), "2026-11");
    assert_eq!([0, 1023, 1024, 2048].map(rules::run_of), [0, 0, 1, 2]);
}

struct House {
    log: Log,
    db: Connection,
    published: Published,
    ctx: Ctx,
    _folder: tempfile::TempDir,
}

const NOW: Time = Time::from_ms(1_795_255_200_000);
const STAMP: StateStamp = StateStamp { epoch: 0, changes: 0, tag: [0; 32] };

impl House {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data_folder = folder.path().join("data");
        std::fs::create_dir(&data_folder).unwrap();
        let mut db = Connection::open(&data_folder.join("t.db"), Durability::Durable).unwrap();
        migrate(&mut db, DATA).unwrap();
        let places = Places::in_folder(data_folder, Seal::KeyFile(folder.path().join("seal.key")));
        create(&places, Arc::new(SystemRandom)).unwrap();
        let keyring = Arc::new(open(&places, Arc::new(SystemRandom)).unwrap());
        let published = Published::default();
        let log = Log::new(keyring, Arc::new(SystemRandom), published.clone());
        let ctx = Ctx::system("test", NOW, Arc::new(SystemRandom)).unwrap();
        Self { log, db, published, ctx, _folder: folder }
    }

    fn acts(&self, count: usize) -> Vec<Act> {
        let entry = || Entry::new(&self.ctx, EntryKind::System, "test");
        (0..count).map(|_| Act { entry: entry(), epoch: 0, state_changes: 0 }).collect()
    }

    fn append(&mut self, count: usize) -> Vec<Receipt> {
        let acts = self.acts(count);
        self.db.begin().unwrap();
        self.log.append(&mut self.db, NOW, &acts, STAMP).unwrap()
    }
}

#[test]
fn a_checkpoint_of_a_batch_that_failed_is_never_let_out() {
    let mut house = House::open();
    let lost = house.append(3);
    assert!(house.published.newest().is_none(), "signed, and not durable yet");
    house.db.roll_back().unwrap();
    house.log.discard();
    assert!(house.published.newest().is_none());
    let kept = house.append(3);
    house.db.commit().unwrap();
    house.log.committed().unwrap();
    let newest = house.published.newest().unwrap();
    assert_eq!((newest.size, &newest.checkpoint), (3, &kept[0].checkpoint));
    assert_eq!((kept[0].index, kept[2].index), (0, 2), "the lost entries left no gap");
    assert_ne!(lost[0].root, kept[0].root, "so letting both out would be two histories");
}

#[test]
fn the_head_is_read_back_as_it_was_left() {
    let mut house = House::open();
    house.append(300);
    house.db.commit().unwrap();
    house.log.committed().unwrap();
    let anchor = house.log.anchor_at(NOW);
    house.log.keyring.put_pending(&[], Some(&anchor), NOW).unwrap();
    let keyring = Arc::clone(&house.log.keyring);
    let mut again = Log::new(Arc::clone(&keyring), Arc::new(SystemRandom), Published::default());
    assert_eq!(again.load(&mut house.db).unwrap(), STAMP);
    assert_eq!(again.time(), NOW);
    let verified = verify(&mut house.db, &keyring, |_, _| {}).unwrap();
    assert_eq!(verified, Verified { size: 300, flaws: Vec::new(), compared: None });
}

#[test]
fn an_anchor_is_due_once_a_minute() {
    let mut house = House::open();
    assert!(house.log.anchor_due(NOW).is_some(), "the first");
    let anchor = house.log.anchor_at(NOW);
    house.log.anchored(anchor);
    assert!(house.log.anchor_due(NOW.plus_ms(59_999)).is_none());
    assert_eq!(house.log.anchor_due(NOW.plus_ms(60_000)).unwrap().at, NOW.plus_ms(60_000));
}
