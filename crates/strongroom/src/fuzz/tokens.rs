//! Short texts from outside: API keys, cursors, ids, tokens, references, times, names of servers.

use strongroom_crypto::Plain;

use crate::ctx::{StaffRef, Time};
use crate::error::Error;
use crate::id::{Customer, Id};
use crate::policy::{GracePeriod, HttpsAddress, RetentionPeriod};
use crate::staff;
use crate::vault::{Reference, Token};
use crate::web::{self, CURSOR_SIZE_BYTES_MAX, Cursor, HostName, PAGE_ITEMS_MAX};

/// API keys as texts, as headers, and made here and then altered. A key has one spelling.
pub fn keys(data: &[u8]) {
    let Some((&mode, data)) = data.split_first() else { return };
    match mode % 3 {
        0 => {
            let Ok(text) = std::str::from_utf8(data) else { return };
            if let Some(again) = staff::rewritten(text) {
                assert!(again.expose() == data, "two spellings of one key");
            }
        }
        1 => match web::bearer_of(data) {
            Some(Ok(token)) => {
                let sent = std::str::from_utf8(data).unwrap_or_default();
                assert!(sent.ends_with(token.expose()), "not what was sent");
                let plain = |byte: u8| byte.is_ascii_graphic() && byte != b',';
                assert!(token.expose().bytes().all(plain), "no token");
            }
            Some(Err(error)) => unrepeated(&error, data),
            None => {}
        },
        _ => made_key(data),
    }
}

fn made_key(data: &[u8]) {
    let Some((&[place, by], data)) = data.split_first_chunk::<2>() else { return };
    let mut bytes = [0; 48];
    bytes.iter_mut().zip(data).for_each(|(slot, byte)| *slot = *byte);
    let (Some(id), Some(secret)) = (bytes.first_chunk(), bytes.last_chunk()) else { return };
    let key = staff::text_of(*id, secret);
    let read = |text: &[u8]| std::str::from_utf8(text).ok().and_then(staff::rewritten);
    assert!(same(read(key.expose()), key.expose()), "made and not read");
    let mut other = key.expose().to_vec();
    let place = usize::from(place) % other.len();
    if let Some(byte) = other.get_mut(place) {
        *byte ^= by;
    }
    if other != key.expose() {
        // Four bytes of a hash tell a slip, not a forgery: whatever is read is still one spelling.
        assert!(read(&other).is_none_or(|again| again.expose() == other), "altered and read");
        other.truncate(place);
        assert!(read(&other).is_none(), "cut off and read");
    }
}

fn same(read: Option<Plain>, expected: &[u8]) -> bool {
    read.is_some_and(|read| read.expose() == expected)
}

/// Positions in lists, and the queries that carry them.
pub fn cursors(data: &[u8]) {
    let Some((&mode, data)) = data.split_first() else { return };
    if mode % 3 == 0 {
        let cursor = Cursor::new(data);
        let again = cursor.to_string().parse::<Cursor>();
        let fits = (1..=CURSOR_SIZE_BYTES_MAX).contains(&data.len());
        assert_eq!(again.is_ok(), fits, "{} bytes", data.len());
        assert!(again.is_ok_and(|again| again == cursor) || !fits, "another position");
        return;
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if mode % 3 == 1 {
        match text.parse::<Cursor>() {
            Ok(cursor) => assert_eq!(cursor.to_string(), text, "two spellings of one position"),
            Err(error) => unrepeated(&error, data),
        }
        return;
    }
    match web::read_paging(text) {
        Ok(paging) => {
            assert!((1..=PAGE_ITEMS_MAX).contains(&paging.limit), "a page of {}", paging.limit);
            let said = paging.cursor.map(|cursor| format!("cursor={cursor}"));
            assert!(said.is_none_or(|said| text.split('&').any(|it| it == said)), "another cursor");
        }
        Err(error) => unrepeated(&error, data),
    }
}

/// Everything else that is one word.
pub fn words(data: &[u8]) {
    let Some((&mode, data)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(data) else { return };
    match mode % 9 {
        0 => match text.parse::<Id<Customer>>() {
            Ok(id) => assert_eq!(id.to_string(), text, "two spellings of one id"),
            Err(error) => unrepeated(&error, data),
        },
        1 => {
            if let Some(token) = Token::parse(text) {
                assert_eq!(token.to_string(), text, "two spellings of one token");
                one_letter_off(text);
            }
        }
        2 => match Reference::parse_text(text) {
            Ok(reference) => {
                assert!(Reference::parse_text(text).is_ok_and(|again| again == reference));
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
                assert!(text.bytes().all(plain) && text.len() <= 105, "stands in addresses");
            }
            Err(error) => unrepeated(&error, data),
        },
        3 => {
            if let Some(person) = StaffRef::parse(text) {
                assert_eq!(person.as_str(), text);
                assert!(text.is_ascii() && !text.contains('@'), "a name or an e-mail");
            }
        }
        4 => {
            if let Some(time) = Time::parse_rfc3339(text) {
                let again = Time::parse_rfc3339(&time.to_rfc3339());
                assert_eq!(again, Some(time), "written as another time");
            }
        }
        5 => {
            let Ok(host) = HostName::parse(text) else { return };
            let url = host.in_url();
            assert!(host.is_host(&url) && host.is_host(&format!("{url}:443")), "not itself");
            let bare = url.trim_start_matches('[').trim_end_matches(']');
            assert!(HostName::parse(bare).as_ref() == Ok(&host), "another when read again");
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
            assert!(url.bytes().all(plain), "no host: {url}");
        }
        6 => {
            let Some(address) = HttpsAddress::parse(text) else { return };
            assert_eq!(address.as_str(), text);
            assert!(text.is_ascii() && !text.contains('@'), "a person stands in it");
            assert!(!address.host().is_empty() && text.contains(address.host()), "another host");
        }
        7 => {
            let Some(period) = RetentionPeriod::parse(text) else { return };
            assert_eq!(RetentionPeriod::parse(&period.to_string()), Some(period), "another length");
        }
        _ => {
            let Some(grace) = GracePeriod::parse(text) else { return };
            assert_eq!(GracePeriod::parse(&grace.to_string()), Some(grace), "another grace");
        }
    }
}

/// Any single wrong letter of a token is told.
fn one_letter_off(text: &str) {
    for (place, letter) in text.char_indices().skip("tok_".len()) {
        for other in ['0', '7', 'a', 'z'] {
            let (before, after) = text.split_at_checked(place).unwrap_or_default();
            let wrong = format!("{before}{other}{}", after.get(1..).unwrap_or_default());
            assert!(other == letter || Token::parse(&wrong).is_none(), "{wrong} for {text}");
        }
    }
}

/// What people mistype are passwords and customers' names: no refusal repeats it. Words short enough to
/// stand in a sentence by chance say nothing.
fn unrepeated(error: &Error, sent: &[u8]) {
    let Ok(sent) = std::str::from_utf8(sent) else { return };
    let told = format!("{error:?} {error}");
    let by_chance = sent.len() < 12 || sent.bytes().filter(u8::is_ascii_digit).count() < 6;
    assert!(by_chance || !told.contains(sent), "repeats what was sent");
}

pub(super) fn key_seeds() -> Vec<Vec<u8>> {
    let key = staff::text_of([1; 16], &[2; 32]);
    vec![
        [&[0], key.expose()].concat(),
        [b"\x01Bearer ", key.expose()].concat(),
        b"\x01bearer abc==".to_vec(),
        [&[2, 9, 1], [7_u8; 48].as_slice()].concat(),
    ]
}

pub(super) fn cursor_seeds() -> Vec<Vec<u8>> {
    let cursor = Cursor::new([3; 24]).to_string();
    vec![
        [&[0], [3_u8; 40].as_slice()].concat(),
        [&[1], cursor.as_bytes()].concat(),
        [&[2], format!("limit=20&cursor={cursor}&state=active").as_bytes()].concat(),
    ]
}

pub(super) fn word_seeds() -> Vec<Vec<u8>> {
    let id = Id::<Customer>::from_bytes([5; 16]).to_string();
    let token = crate::vault::token_of([6; 16]);
    [
        (0, id.as_str()),
        (1, &token),
        (2, "shop/4711"),
        (3, "staff-17"),
        (4, "2026-11-22T08:00:00.123+01:00"),
        (5, "vault.harbour.example"),
        (5, "bücher.example"),
        (5, "2001:db8::1"),
        (6, "https://hooks.harbour.example:8443/in?x=1"),
        (6, "https://[2001:db8::1]/"),
        (7, "2 years 6 months"),
        (8, "7 days"),
    ]
    .iter()
    .map(|(mode, text)| [&[*mode], text.as_bytes()].concat())
    .collect()
}

#[test]
fn seeds_are_read() {
    let (keys, words) = (key_seeds(), word_seeds());
    let text = |seed: &[u8]| String::from_utf8(seed[1..].to_vec()).unwrap();
    assert!(staff::rewritten(&text(&keys[0])).is_some());
    assert!(Token::parse(&text(&words[1])).is_some());
}
