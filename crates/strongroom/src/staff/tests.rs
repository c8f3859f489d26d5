//! API keys: their text, and what their verifier and MAC are bound to.

use std::sync::Arc;

use proptest::prelude::*;
use strongroom_crypto::SystemRandom;

use super::model::Presented;
use super::*;
use crate::ctx::Time;
use crate::id::{ApiKey, Id};
use crate::keys::{Places, Seal, create, open};

struct House {
    keyring: Keyring,
    ctx: Ctx,
    _folder: tempfile::TempDir,
}

impl House {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data_folder = folder.path().join("data");
        std::fs::create_dir(&data_folder).unwrap();
        let places = Places::in_folder(data_folder, Seal::KeyFile(folder.path().join("seal.key")));
        create(&places, Arc::new(SystemRandom)).unwrap();
        let keyring = open(&places, Arc::new(SystemRandom)).unwrap();
        let now = Time::from_ms(1_795_255_200_000);
        let ctx = Ctx::system("test", now, Arc::new(SystemRandom)).unwrap();
        Self { keyring, ctx, _folder: folder }
    }

    /// A key and its row, as they are issued.
    fn key(&self) -> (String, KeyRow) {
        let presented = Presented::generate(self.ctx.new_id().unwrap(), &SystemRandom).unwrap();
        let mut row = KeyRow {
            id: presented.id,
            name: "till".to_owned(),
            role: "desk".to_owned(),
            purposes: vec!["support".to_owned()],
            people: true,
            created: self.ctx.now,
            expires: self.ctx.now.plus_days(90),
            revoked: None,
            disabled: None,
            verifier: [0; 32],
            version: 1,
            mac: [0; 32],
        };
        let message = row.verifier_message(presented.secret.expose());
        row.verifier = self.keyring.mac_row(VERIFIER, message.expose()).unwrap();
        row.mac = self.keyring.mac_row(store::TABLE, &row.columns()).unwrap();
        (presented.to_text().expose_text().unwrap().to_owned(), row)
    }

    fn code(&self, text: &str, row: Option<&KeyRow>) -> &'static str {
        match authenticate(&self.ctx, &self.keyring, text, |_| row) {
            Ok(_) => "",
            Err(error) => error.code,
        }
    }
}

/// Every way an intruder can change a row, and whether its holder's secret still counts for it.
const EDITS: [fn(&mut KeyRow); 10] = [
    |row| row.id = Id::<ApiKey>::from_bytes([9; 16]),
    |row| row.role = "admin".to_owned(),
    |row| row.purposes.push("delivery".to_owned()),
    |row| row.purposes.clear(),
    |row| row.expires = row.expires.plus_days(1),
    |row| row.verifier[0] ^= 1,
    |row| row.name.push('x'),
    |row| row.created = row.created.plus_ms(1),
    |row| row.version += 1,
    |row| row.people = false,
];

#[test]
fn a_key_opens_with_its_own_row_only() {
    let house = House::open();
    let (text, row) = house.key();
    let (other, other_row) = house.key();
    assert_eq!(house.code(&text, Some(&row)), "");
    assert_eq!(house.code(&text, Some(&other_row)), "unauthenticated");
    assert_eq!(house.code(&other, Some(&row)), "unauthenticated");
    assert_eq!(house.code(&text, None), "unauthenticated");
}

#[test]
fn a_raised_role_a_wider_purpose_or_a_later_end_makes_the_secret_worthless() {
    let house = House::open();
    let (text, row) = house.key();
    for edit in &EDITS[..6] {
        let mut edited = row.clone();
        edit(&mut edited);
        assert_eq!(house.code(&text, Some(&edited)), "unauthenticated", "{edited:?}");
    }
}

#[test]
fn the_mac_of_a_key_covers_every_column() {
    let house = House::open();
    let (_, row) = house.key();
    let intact =
        |row: &KeyRow| house.keyring.is_row_intact(store::TABLE, &row.columns(), &row.mac).unwrap();
    assert!(intact(&row));
    for edit in EDITS {
        let mut edited = row.clone();
        edit(&mut edited);
        assert!(!intact(&edited), "{edited:?}");
    }
    let mut revoked = row.clone();
    revoked.revoked = Some(house.ctx.now);
    assert!(!intact(&revoked));
    // Another table's MAC is not this one's.
    assert!(!house.keyring.is_row_intact("legal_hold", &row.columns(), &row.mac).unwrap());
}

#[test]
fn a_key_counts_until_its_end_and_never_after_it_was_revoked() {
    let mut house = House::open();
    let (text, mut row) = house.key();
    house.ctx.now = row.expires;
    assert_eq!(house.code(&text, Some(&row)), "");
    house.ctx.now = row.expires.plus_ms(1);
    assert_eq!(house.code(&text, Some(&row)), "key_ended");
    house.ctx.now = row.created;
    row.revoked = Some(row.created.plus_days(400));
    assert_eq!(house.code(&text, Some(&row)), "key_ended");
}

#[test]
fn the_text_of_a_key_with_any_letter_changed_is_no_key() {
    let house = House::open();
    let (text, row) = house.key();
    for place in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[place] = if bytes[place] == b'0' { b'1' } else { b'0' };
        let wrong = String::from_utf8(bytes).unwrap();
        assert_eq!(house.code(&wrong, Some(&row)), "unauthenticated", "{place}");
        assert!(Presented::parse(text.get(..place).unwrap()).is_none());
    }
    assert!(Presented::parse(&text.to_uppercase()).is_none());
    assert!(Presented::parse(&format!("{text}0")).is_none());
}

#[test]
fn a_key_has_an_end_and_a_name_that_is_no_person_s() {
    let input = |name: &str, days| NewKeyInput {
        name: name.to_owned(),
        role: "desk".to_owned(),
        purposes: Vec::new(),
        people: false,
        days,
    };
    for (name, days, code) in [
        ("till 3", 1, ""),
        ("till_3.b-c", 365, ""),
        ("till", 0, "bad_days"),
        ("till", 366, "bad_days"),
        ("till", u32::MAX, "bad_days"),
        ("", 1, "bad_name"),
        ("ada@mail.example", 1, "bad_name"),
        ("till\n", 1, "bad_name"),
        ("ki\u{202e}ll", 1, "bad_name"),
    ] {
        let refused = refuse_bad_input(&input(name, days));
        assert_eq!(refused.map_or_else(|error| error.code, |()| ""), code, "{name:?} {days}");
    }
}

/// A row more than are read would leave a state hash that never holds again.
#[test]
fn the_last_key_that_is_ever_read_is_the_last_one_made() {
    assert!(refuse_one_too_many(9_999).is_ok());
    assert_eq!(refuse_one_too_many(10_000).unwrap_err().code, "keys_used_up");
}

proptest! {
    #[test]
    fn no_text_but_ours_is_a_key(text in ".{0,120}") {
        prop_assert!(Presented::parse(&text).is_none());
    }
}
