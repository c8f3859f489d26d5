//! The promises of `specs/crypto.md`, "Must be tested", as far as they concern sealed records.

mod seals;

use std::collections::HashSet;

use proptest::prelude::*;

use super::header::Header;
use super::seal::{PaddedCells, seal_with_salt};
use super::*;
use crate::aead::Aead;
use crate::random::broken::{ConstantRandom, FailingRandom};
use crate::{
    CryptoError, Decoder, Encoder, Random, SecretKey, SystemRandom, hkdf, random_array, sha256,
};

const PLACE: Binding = Binding {
    installation: [1; 16],
    customer: [2; 16],
    compartment: [3; 16],
    dek: [4; 16],
    version: 5,
};

const CELLS: [Cell<'static>; 2] =
    [Cell { field: 3, value: b"Ada Lovelace" }, Cell { field: 200, value: b"+44 20 7946 0000" }];

fn dek() -> SecretKey {
    SecretKey::from_bytes([7; 32])
}

fn sealed() -> Vec<u8> {
    seal_record(&dek(), &SystemRandom, &PLACE, &CELLS).unwrap()
}

fn opened(sealed: &[u8], wanted: Wanted<'_>) -> Result<Vec<(u8, Vec<u8>)>, CryptoError> {
    let cells = open_record(&dek(), &PLACE, sealed, wanted)?;
    Ok(cells.into_iter().map(|(field, plain)| (field, plain.expose().to_vec())).collect())
}

fn clear(cells: &[Cell<'_>]) -> Vec<(u8, Vec<u8>)> {
    cells.iter().map(|cell| (cell.field, cell.value.to_vec())).collect()
}

fn check_tampered(dek: &SecretKey, expected: &Binding, sealed: &[u8]) {
    for wanted in [Wanted::All, Wanted::Only(&[3]), Wanted::Only(&[])] {
        let error = open_record(dek, expected, sealed, wanted).err();
        assert_eq!(error, Some(CryptoError::Tampered), "{wanted:?}");
    }
}

/// A record taken apart as the specification says, apart from the code under test.
#[derive(Clone)]
struct Parts {
    binding: Binding,
    salt: [u8; 32],
    legend: Vec<u8>,
    commitment: Vec<u8>,
    cells: Vec<Vec<u8>>,
}

impl Parts {
    fn of(sealed: &[u8]) -> Self {
        let mut decoder = Decoder::new(sealed, "strongroom/record").unwrap();
        assert_eq!(decoder.u8(), Ok(1));
        let binding = Binding {
            installation: decoder.array().unwrap(),
            customer: decoder.array().unwrap(),
            compartment: decoder.array().unwrap(),
            dek: decoder.array().unwrap(),
            version: decoder.u64().unwrap(),
        };
        let salt = decoder.array().unwrap();
        let legend = decoder.bytes().unwrap().to_vec();
        let commitment = decoder.bytes().unwrap().to_vec();
        let cells = legend.iter().map(|_| decoder.bytes().unwrap().to_vec()).collect();
        decoder.finish().unwrap();
        Self { binding, salt, legend, commitment, cells }
    }

    fn header(&self) -> Vec<u8> {
        let mut encoder = Encoder::new("strongroom/record");
        encoder
            .u8(1)
            .bytes(&self.binding.installation)
            .bytes(&self.binding.customer)
            .bytes(&self.binding.compartment)
            .bytes(&self.binding.dek)
            .u64(self.binding.version)
            .bytes(&self.salt)
            .bytes(&self.legend);
        encoder.finish()
    }

    fn join(&self) -> Vec<u8> {
        let mut sealed = self.header();
        for item in std::iter::once(&self.commitment).chain(&self.cells) {
            sealed.push(4);
            sealed.extend_from_slice(&u32::try_from(item.len()).unwrap().to_be_bytes());
            sealed.extend_from_slice(item);
        }
        sealed
    }

    /// The key and the commitment of this header under a data key.
    fn keys(&self, dek: &SecretKey) -> ([u8; 32], Vec<u8>) {
        let mut okm = [0; 64];
        let info = [b"strongroom/record/v1".as_slice(), &sha256(&[&self.header()])].concat();
        hkdf::expand(dek.expose_bytes(), &info, &mut okm).unwrap();
        (okm[..32].try_into().unwrap(), okm[32..].to_vec())
    }
}

#[test]
fn the_layout_is_that_of_the_specification() {
    let sealed = sealed();
    let parts = Parts::of(&sealed);
    assert_eq!(parts.join(), sealed);
    assert_eq!(parts.binding, PLACE);
    assert_eq!(parts.legend, [3, 200]);
    let (key, commitment) = parts.keys(&dek());
    assert_eq!(parts.commitment, commitment);
    for (cell, ciphertext) in CELLS.iter().zip(&parts.cells) {
        let nonce = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, cell.field];
        let aad = [sha256(&[&parts.header()]).as_slice(), &[0, 0, 0, cell.field]].concat();
        let mut padded = [0; 32];
        Aead::gcm(&key).unwrap().open(nonce, &aad, ciphertext, &mut padded).unwrap();
        let size = u8::try_from(cell.value.len()).unwrap();
        let expected = [&[1, 0, 0, 0, size], cell.value, &vec![0; 27 - cell.value.len()]].concat();
        assert_eq!(padded.as_slice(), expected);
    }
}

#[test]
fn what_was_sealed_is_opened() {
    assert_eq!(opened(&sealed(), Wanted::All), Ok(clear(&CELLS)));
    assert_eq!(opened(&sealed(), Wanted::Only(&[200, 3])), Ok(clear(&CELLS)));
    assert_eq!(opened(&sealed(), Wanted::Only(&[200, 9, 200])), Ok(clear(&CELLS[1..])));
    assert_eq!(opened(&sealed(), Wanted::Only(&[9])), Ok(vec![]));
    let empty = seal_record(&dek(), &SystemRandom, &PLACE, &[]).unwrap();
    assert_eq!(opened(&empty, Wanted::All), Ok(vec![]));
}

#[test]
fn the_fullest_record_is_opened() {
    let value = vec![0x5a; 300];
    let cells: Vec<Cell<'_>> = (0..=255).map(|field| Cell { field, value: &value }).collect();
    assert_eq!(cells.len(), CELLS_MAX);
    let sealed = seal_record(&dek(), &SystemRandom, &PLACE, &cells).unwrap();
    assert_eq!(opened(&sealed, Wanted::All), Ok(clear(&cells)));
    let largest = [Cell { field: 0, value: &vec![1; CELL_SIZE_BYTES_MAX] }];
    let sealed = seal_record(&dek(), &SystemRandom, &PLACE, &largest).unwrap();
    assert_eq!(opened(&sealed, Wanted::All), Ok(clear(&largest)));
}

#[test]
fn cells_out_of_order_doubled_or_too_large_are_refused() {
    let seal = |cells: &[Cell<'_>]| seal_record(&dek(), &SystemRandom, &PLACE, cells).err();
    let [first, second] = CELLS;
    assert_eq!(seal(&[second, first]), Some(CryptoError::Malformed));
    assert_eq!(seal(&[first, first]), Some(CryptoError::Malformed));
    let huge = Cell { field: 9, value: &vec![0; CELL_SIZE_BYTES_MAX + 1] };
    assert_eq!(seal(&[first, huge]), Some(CryptoError::TooLarge));
}

#[test]
fn a_failing_random_source_seals_nothing() {
    let error = seal_record(&dek(), &FailingRandom, &PLACE, &CELLS).err();
    assert_eq!(error, Some(CryptoError::Exhausted));
}

#[test]
fn a_record_moved_elsewhere_does_not_open() {
    let elsewhere = [
        Binding { installation: [9; 16], ..PLACE },
        Binding { customer: [9; 16], ..PLACE },
        Binding { compartment: [9; 16], ..PLACE },
        Binding { dek: [9; 16], ..PLACE },
        Binding { version: 6, ..PLACE },
    ];
    let empty = seal_record(&dek(), &SystemRandom, &PLACE, &[]).unwrap();
    for place in elsewhere {
        // Put there as it is, and with its header rewritten to fit; the same without any cell.
        check_tampered(&dek(), &place, &sealed());
        check_tampered(&dek(), &place, &empty);
        for sealed in [sealed(), empty.clone()] {
            let mut parts = Parts::of(&sealed);
            parts.binding = place;
            check_tampered(&dek(), &place, &parts.join());
        }
    }
    check_tampered(&SecretKey::from_bytes([8; 32]), &PLACE, &sealed());
    check_tampered(&SecretKey::from_bytes([8; 32]), &PLACE, &empty);
}

#[test]
fn a_cell_moved_between_customers_versions_compartments_or_installations_does_not_open() {
    let seal = |place: &Binding| seal_record(&dek(), &SystemRandom, place, &CELLS).unwrap();
    let others = [
        Binding { installation: [9; 16], ..PLACE },
        Binding { customer: [9; 16], ..PLACE },
        Binding { compartment: [9; 16], ..PLACE },
        Binding { dek: [9; 16], ..PLACE },
        Binding { version: 4, ..PLACE },
        // Sealed again for the very same place: only the salt differs.
        PLACE,
    ];
    for other in others.map(|place| seal(&place)) {
        let mut parts = Parts::of(&sealed());
        parts.cells[0] = Parts::of(&other).cells[0].clone();
        assert_eq!(opened(&parts.join(), Wanted::All), Err(CryptoError::Tampered));
        assert_eq!(opened(&parts.join(), Wanted::Only(&[3])), Err(CryptoError::Tampered));
    }
}

#[test]
fn a_cell_moved_between_fields_does_not_open() {
    let mut reordered = Parts::of(&sealed());
    reordered.cells.swap(0, 1);
    assert_eq!(opened(&reordered.join(), Wanted::All), Err(CryptoError::Tampered));
    assert_eq!(opened(&reordered.join(), Wanted::Only(&[3])), Err(CryptoError::Tampered));
    let mut doubled = Parts::of(&sealed());
    doubled.cells[1] = doubled.cells[0].clone();
    assert_eq!(opened(&doubled.join(), Wanted::Only(&[200])), Err(CryptoError::Tampered));
}

#[test]
fn a_removed_or_added_cell_is_noticed_whatever_is_wanted() {
    let check = |change: &dyn Fn(&mut Parts)| {
        let mut parts = Parts::of(&sealed());
        change(&mut parts);
        check_tampered(&dek(), &PLACE, &parts.join());
    };
    check(&|parts| drop(parts.cells.pop()));
    check(&|parts| drop(parts.cells.remove(0)));
    check(&|parts| parts.cells.clear());
    check(&|parts| parts.cells.push(parts.cells[0].clone()));
    // The legend edited along with the cells.
    check(&|parts| drop((parts.cells.pop(), parts.legend.pop())));
    check(&|parts| {
        parts.cells.clear();
        parts.legend.clear();
    });
    check(&|parts| {
        parts.legend.push(201);
        parts.cells.push(parts.cells[0].clone());
    });
    // A cell of a size that sealing never makes, also where nobody opens it.
    check(&|parts| parts.cells[1].truncate(16));
    check(&|parts| parts.cells[1].clear());
    check(&|parts| parts.cells[1].push(0));
}

#[test]
fn an_edited_legend_is_noticed_whatever_is_wanted() {
    for legend in [&[4, 200][..], &[3, 201], &[200, 3], &[3, 3], &[3], &[], &[3, 200, 201]] {
        let mut parts = Parts::of(&sealed());
        parts.legend = legend.to_vec();
        check_tampered(&dek(), &PLACE, &parts.join());
    }
}

#[test]
fn a_legend_that_is_not_strictly_increasing_is_refused_even_with_the_right_key() {
    // Sealed by the holder of the key, as only a defect of ours could do it.
    for legend in [[200, 3], [3, 3]] {
        let header = Header { binding: PLACE, legend: &legend };
        let padded = PaddedCells::new(&CELLS).unwrap();
        let sealed = seal_with_salt(&dek(), &header, &[0; 32], &padded).unwrap();
        check_tampered(&dek(), &PLACE, &sealed);
        assert_eq!(peek_fields(&sealed), Err(CryptoError::Malformed));
    }
}

#[test]
fn every_flipped_bit_is_noticed_and_none_gives_a_wrong_value() {
    let good = sealed();
    let header_size = Parts::of(&good).header().len();
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(opened(&bad, Wanted::All), Err(CryptoError::Tampered), "bit {bit}");
        // A flip in a cell that nobody opens may go unnoticed; one anywhere else may not.
        match opened(&bad, Wanted::Only(&[3])) {
            Ok(values) => assert_eq!(values, clear(&CELLS[..1])),
            Err(error) => assert_eq!(error, CryptoError::Tampered),
        }
        if bit / 8 < header_size + 5 + 32 {
            check_tampered(&dek(), &PLACE, &bad);
        }
    }
}

#[test]
fn every_cut_and_every_appended_byte_is_noticed() {
    let good = sealed();
    for end in 0..good.len() {
        check_tampered(&dek(), &PLACE, &good[..end]);
    }
    check_tampered(&dek(), &PLACE, &[good.as_slice(), &[0]].concat());
}

#[test]
fn a_record_never_opens_under_two_keys() {
    let other = SecretKey::from_bytes([8; 32]);
    let mut parts = Parts::of(&sealed());
    let (_, ours) = parts.keys(&dek());
    let (_, theirs) = parts.keys(&other);
    // One stored commitment can be that of one key only ...
    assert_ne!(ours, theirs);
    check_tampered(&other, &PLACE, &parts.join());
    // ... and with the other key's commitment put in, the first key refuses, although every cell
    // would still open under it.
    parts.commitment = theirs;
    check_tampered(&dek(), &PLACE, &parts.join());
    assert_eq!(
        open_record(&other, &PLACE, &parts.join(), Wanted::All).err(),
        Some(CryptoError::Tampered)
    );
}

#[test]
fn a_header_can_be_read_without_a_key() {
    assert_eq!(peek_binding(&sealed()), Ok(PLACE));
    assert_eq!(peek_fields(&sealed()), Ok(vec![3, 200]));
    for no_record in [&b""[..], b"no record", &sealed()[..40]] {
        assert_eq!(peek_binding(no_record), Err(CryptoError::Malformed));
        assert_eq!(peek_fields(no_record), Err(CryptoError::Malformed));
    }
}

#[test]
fn an_unknown_suite_is_refused_before_anything_is_made_of_the_rest() {
    let mut sealed = sealed();
    let suite = Encoder::new("strongroom/record").finish().len() + 1;
    for unknown in [0, 2, 255] {
        sealed[suite] = unknown;
        check_tampered(&dek(), &PLACE, &sealed);
        assert_eq!(peek_binding(&sealed), Err(CryptoError::Malformed));
    }
}

#[test]
fn the_salt_depends_on_everything_and_on_chance() {
    let salt = |dek: u8, random: &dyn Random, place: &Binding, cells: &[Cell<'_>]| {
        let dek = SecretKey::from_bytes([dek; 32]);
        Parts::of(&seal_record(&dek, random, place, cells).unwrap()).salt
    };
    let zeros = ConstantRandom(0);
    let cell = |field, value| Cell { field, value };
    let other_version = Binding { version: 6, ..PLACE };
    let salts = [
        salt(7, &zeros, &PLACE, &[cell(1, b"ab"), cell(2, b"c")]),
        salt(7, &zeros, &PLACE, &[cell(1, b"a"), cell(2, b"bc")]),
        salt(7, &zeros, &PLACE, &[cell(1, b"ab"), cell(3, b"c")]),
        salt(7, &zeros, &PLACE, &[cell(1, b"ab")]),
        salt(7, &zeros, &other_version, &[cell(1, b"ab"), cell(2, b"c")]),
        salt(8, &zeros, &PLACE, &[cell(1, b"ab"), cell(2, b"c")]),
        salt(7, &ConstantRandom(1), &PLACE, &[cell(1, b"ab"), cell(2, b"c")]),
        salt(7, &SystemRandom, &PLACE, &[cell(1, b"ab"), cell(2, b"c")]),
        salt(7, &SystemRandom, &PLACE, &[cell(1, b"ab"), cell(2, b"c")]),
    ];
    assert_eq!(HashSet::from(salts).len(), salts.len());
}

#[test]
fn stored_lengths_of_10_000_emails_fall_in_at_most_4_classes() {
    let mut emails = HashSet::new();
    let mut stored = HashSet::new();
    for number in 0..10_000_usize {
        // Lengths from 8 to 110, as real addresses have them.
        let name = "x".repeat(number % 60);
        let host = "example".repeat(number % 7);
        let email = format!("{name}{}@{host}.example", number % 10);
        let cells = [Cell { field: 1, value: email.as_bytes() }];
        stored.insert(seal_record(&dek(), &ConstantRandom(0), &PLACE, &cells).unwrap().len());
        emails.insert(email.len());
    }
    assert!(emails.len() > 50, "{} lengths are no test", emails.len());
    assert!(stored.len() <= 4, "{stored:?}");
}

proptest! {
    #[test]
    fn any_record_comes_back(
        cells in prop::collection::btree_map(any::<u8>(), prop::collection::vec(any::<u8>(), 0..300), 0..12),
        customer: [u8; 16],
        version: u64,
    ) {
        let place = Binding { customer, version, ..PLACE };
        let cells: Vec<Cell<'_>> =
            cells.iter().map(|(field, value)| Cell { field: *field, value }).collect();
        let sealed = seal_record(&dek(), &SystemRandom, &place, &cells).unwrap();
        prop_assert_eq!(peek_binding(&sealed), Ok(place));
        let opened = open_record(&dek(), &place, &sealed, Wanted::All).unwrap();
        let opened: Vec<_> = opened.iter().map(|(field, plain)| (*field, plain.expose().to_vec())).collect();
        prop_assert_eq!(opened, clear(&cells));
    }

    #[test]
    fn random_bytes_never_open_and_never_panic(
        tail in prop::collection::vec(any::<u8>(), 0..200),
        keep in any::<prop::sample::Index>(),
    ) {
        // The start of a real record, so that every depth of the parser is reached.
        let mut bytes = sealed();
        let whole = bytes.clone();
        bytes.truncate(keep.index(bytes.len()));
        bytes.extend_from_slice(&tail);
        prop_assume!(bytes != whole);
        prop_assert_eq!(opened(&bytes, Wanted::All), Err(CryptoError::Tampered));
        prop_assert_eq!(peek_binding(&tail), Err(CryptoError::Malformed));
    }
}
