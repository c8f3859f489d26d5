//! Backups: manifests, parts as they lie there, and what stands in a part once it is open.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use crate::backup::{self, Kind, Manifest, Part};
use crate::keys::BackupKey;

/// Texts as manifests, manifests made here and then altered, frames, open parts, sealed parts.
pub fn backups(data: &[u8]) {
    let Some((&mode, data)) = data.split_first() else { return };
    let Ok(key) = BackupKey::fixed() else { return };
    match mode % 5 {
        0 => {
            let Ok(text) = std::str::from_utf8(data) else { return };
            if let Some(manifest) = backup::read_manifest(text, &key) {
                let again = backup::manifest_text(&manifest, &key).ok();
                assert_eq!(again.as_deref(), Some(text), "believed and not written here");
            }
        }
        1 => made_manifest(data, &key),
        2 => {
            if let Some(again) = backup::frame_again(data) {
                let length = u32::try_from(data.len()).unwrap_or(0).to_be_bytes();
                assert_eq!(again, [&length, data].concat(), "two forms of one frame");
            }
        }
        3 => {
            if let Some(rows) = backup::rows_of(data, TITLE) {
                assert!(rows <= data.len() as u64 / 5, "more rows than bytes");
                assert!(backup::rows_of(data, "another title").is_none(), "taken for another part");
                let cut = data.get(..data.len().saturating_sub(1)).unwrap_or_default();
                assert!(backup::rows_of(cut, TITLE) != Some(rows), "a byte less is the same");
            }
        }
        _ => sealed_part(data, &key),
    }
}

fn made_manifest(data: &[u8], key: &BackupKey) {
    let Some((&[a, b, by], rest)) = data.split_first_chunk::<3>() else { return };
    let manifest = manifest(&String::from_utf8_lossy(rest), u64::from(a) << 32);
    let Ok(text) = backup::manifest_text(&manifest, key) else { return };
    let read = backup::read_manifest(&text, key);
    assert!(read.is_some_and(|read| read == manifest), "written and not read");
    let mut bytes = text.clone().into_bytes();
    let place = usize::from(u16::from_be_bytes([a, b])) % bytes.len();
    if let Some(byte) = bytes.get_mut(place) {
        *byte ^= by;
    }
    if let (true, Ok(other)) = (bytes != text.as_bytes(), std::str::from_utf8(&bytes)) {
        assert!(backup::read_manifest(other, key).is_none(), "altered and believed");
    }
}

/// Bytes as a sealed part. Whatever opens ends in an error or is read whole; a part that was sealed
/// here and altered is never read to the same end.
fn sealed_part(data: &[u8], key: &BackupKey) {
    let Some((&how, data)) = data.split_first() else { return };
    if how % 4 != 0 {
        let mut plain = Vec::new();
        drop(key.open(data).map(|mut part| part.read_to_end(&mut plain)));
        return;
    }
    let Some((&[a, b, by], plain)) = data.split_first_chunk::<3>() else { return };
    let Ok(mut part) = key.seal(Vec::new()) else { return };
    assert!(part.write_all(plain).is_ok(), "not written");
    let Ok(mut sealed) = part.finish() else { return };
    let mut opened = Vec::new();
    let read = key.open(sealed.as_slice()).map(|mut part| part.read_to_end(&mut opened));
    assert!(read.is_ok_and(|read| read.is_ok()) && opened == plain, "sealed and not the same");
    let place = usize::from(u16::from_be_bytes([a, b])) % sealed.len();
    if let (true, Some(byte)) = (by != 0, sealed.get_mut(place)) {
        *byte ^= by;
        let read = key.open(sealed.as_slice()).map(|mut part| part.read_to_end(&mut Vec::new()));
        assert!(!read.is_ok_and(|read| read.is_ok()), "altered and read to its end");
    }
}

fn manifest(text: &str, number: u64) -> Manifest {
    let part = Part {
        name: "part-0001.age".to_owned(),
        holds: text.to_owned(),
        rows: number,
        size_bytes: number,
        sha256: "00".repeat(32),
    };
    Manifest {
        format: 1,
        kind: Kind::Data,
        backup: text.to_owned(),
        installation: "01".repeat(16),
        made: "2026-11-22T08:00:00.000Z".to_owned(),
        made_ms: 1_795_334_400_000,
        schema: 10,
        keys_schema: 2,
        entries: number,
        checkpoint: format!("log\n1\n{text}"),
        wrapped_root: text.to_owned(),
        data_keys: number,
        generations: BTreeMap::from([(1, number)]),
        parts: vec![part.clone(), part],
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let Ok(key) = BackupKey::fixed() else { return Vec::new() };
    // The kinds of frames and values, as `backup::rules` numbers them.
    let title = [&[1], sized(TITLE.as_bytes()).as_slice()].concat();
    let table = [&[2], sized(b"customer").as_slice(), &sized(b"id"), &sized(b"key")].concat();
    let row = [&[3, 2], sized(&[7; 16]).as_slice(), &[1], &9_i64.to_be_bytes()].concat();
    let open = [sized(&title), sized(&table), sized(&row), sized(&row)].concat();
    let mut seeds = vec![
        [&[1, 0, 9, 1], &b"text"[..]].concat(),
        [&[2], title.as_slice()].concat(),
        [&[2], table.as_slice()].concat(),
        [&[2, 3, 0, 3], sized("é".as_bytes()).as_slice()].concat(),
        [&[2], row.as_slice()].concat(),
        [&[3], open.as_slice()].concat(),
        [&[4, 0, 0, 200, 1], &b"a row"[..]].concat(),
    ];
    if let Ok(text) = backup::manifest_text(&manifest("text", 7), &key) {
        seeds.push([&[0], text.as_bytes()].concat());
    }
    seeds
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap_or(0).to_be_bytes(), bytes].concat()
}

const TITLE: &str = "strongroom backup 1 data 20261122 part-0001.age";

#[test]
fn seeds_are_read() {
    let seeds = seeds();
    let (key, text) = (BackupKey::fixed().unwrap(), &seeds.last().unwrap()[1..]);
    assert!(backup::read_manifest(std::str::from_utf8(text).unwrap(), &key).is_some());
    let parts = seeds.iter().filter(|seed| seed[0] == 3);
    assert_eq!(parts.map(|seed| backup::rows_of(&seed[1..], TITLE)).collect::<Vec<_>>(), [Some(2)]);
    let frames = seeds.iter().filter(|seed| seed[0] == 2);
    assert!(frames.map(|seed| backup::frame_again(&seed[1..])).all(|again| again.is_some()));
}
