//! Files of an import: tables and lines of JSON.

use serde_json::Value;
use strongroom_crypto::sha256;

use super::is_plain;
use crate::cli::{ReadFile, read_file};
use crate::vault;
use crate::web::BODY_SIZE_BYTES_MAX;

/// Bytes as a table: in any encoding, however the file is cut into reads; and tables made here.
pub fn sheets(data: &[u8]) {
    let Some((&mode, data)) = data.split_first() else { return };
    match mode % 4 {
        0 => drop(whole(data, "csv", "auto")),
        1 => drop(whole(data, "csv", "windows-1252")),
        2 => drop(whole(data, "csv", "utf-16")),
        _ => {
            let Ok(text) = std::str::from_utf8(data) else { return };
            made_sheet(text);
            same_in_utf16(text, "csv");
        }
    }
}

/// Bytes as lines of JSON.
pub fn lines(data: &[u8]) {
    let Some((&mode, data)) = data.split_first() else { return };
    if mode % 2 == 0 {
        drop(whole(data, "ndjson", "auto"));
    } else if let Ok(text) = std::str::from_utf8(data) {
        same_in_utf16(text, "ndjson");
    }
}

/// Reads the file at once and in small pieces, which must not matter; whatever it holds, each row is
/// one that the API takes and every message is plain.
fn whole(bytes: &[u8], format: &str, encoding: &str) -> ReadFile {
    let read = read_file(bytes, usize::MAX, format, encoding);
    let step = 1 + bytes.len() % 7;
    assert!(read == read_file(bytes, step, format, encoding), "it matters how a file is cut");
    match &read {
        Ok((rows, hash)) => {
            rows.iter().for_each(|row| check(row, format));
            let is_utf8 = encoding == "auto" && !bytes.starts_with(b"\xff\xfe");
            let mut bare = bytes;
            while let Some(rest) = bare.strip_prefix(b"\xef\xbb\xbf") {
                bare = rest;
            }
            if is_utf8 && !bytes.starts_with(b"\xfe\xff") {
                assert_eq!(*hash, sha256(&[bare]), "named by other bytes than were read");
            }
        }
        Err(sentence) => assert!(is_plain(sentence), "{sentence:?}"),
    }
    read
}

fn check(row: &Result<String, String>, format: &str) {
    match row {
        Ok(json) => {
            let value: Value = serde_json::from_str(json).unwrap_or_default();
            assert!(value.is_object(), "a row that is no object");
            assert!(value.get("line").is_some_and(|line| line.as_u64() > Some(0)), "line 0");
            assert!(value.get("fields").is_some(), "a row without fields");
            if format == "csv" {
                assert!(json.len() <= BODY_SIZE_BYTES_MAX, "larger than the API takes");
                assert!(vault::takes_row(json), "made here and refused there: {json}");
            }
        }
        Err(problem) => assert!(is_plain(problem), "{problem:?}"),
    }
}

/// Cells written by another program's rules (RFC 4180) are read back as they were.
fn made_sheet(text: &str) {
    let mut cells = text.split('\u{1f}');
    let mut names = Vec::new();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let head = ["Number", "E-Mail", "Name", "Street", "Town", "Last"];
    let mut written = writer.write_record(head).is_ok();
    while let Some(name) = cells.next().filter(|_| names.len() < 20) {
        let town = cells.next().unwrap_or_default();
        written &= writer.write_record(["", "", name, "", town, ""]).is_ok();
        names.push((name, town));
    }
    let bytes = writer.into_inner().unwrap_or_default();
    assert!(written, "not written");
    // The mark of an encoding is none of the cells'.
    let Ok((rows, _)) = whole(&bytes, "csv", "auto") else {
        assert!(text.contains('\0') || text.len() > BODY_SIZE_BYTES_MAX, "cannot be read back");
        return;
    };
    assert_eq!(rows.len(), names.len(), "other rows than were written");
    for (row, (name, town)) in rows.iter().zip(names) {
        let Ok(json) = row else { continue };
        let row: Value = serde_json::from_str(json).unwrap_or_default();
        let read = |path: &str| row.pointer(path).and_then(Value::as_str).unwrap_or_default();
        assert_eq!(read("/fields/name"), kept(name), "another name");
        assert_eq!(read("/fields/address/city"), kept(town), "another town");
    }
}

/// What of a cell is the value.
fn kept(cell: &str) -> &str {
    let bare =
        cell.strip_prefix('\'').filter(|rest| rest.starts_with(['=', '+', '-', '@', '\t', '\r']));
    let bare = bare.unwrap_or(cell);
    if bare.trim().is_empty() { "" } else { bare }
}

/// The same text as UTF-16 of both orders is the same file.
fn same_in_utf16(text: &str, format: &str) {
    if text.starts_with('\u{feff}') {
        return;
    }
    let read = whole(text.as_bytes(), format, "auto");
    let units = || text.encode_utf16();
    let little: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(units().flat_map(u16::to_le_bytes)).collect();
    let big: Vec<u8> = [0xfe, 0xff].into_iter().chain(units().flat_map(u16::to_be_bytes)).collect();
    assert!(read == whole(&little, format, "auto"), "UTF-16 little-endian is another file");
    assert!(read == whole(&big, format, "auto"), "UTF-16 big-endian is another file");
}

pub(super) fn sheet_seeds() -> Vec<Vec<u8>> {
    let table = "Number,E-Mail,Name,Street,Town,Last\n\
        4711,ada@mail.example,\"Ada \"\"the first\"\" Example\",'+1 Harbour Street,Whitby,2024-05-31\n\
        4712,,Zoë Söhne,\"two\nlines\",,\n";
    let utf16: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(table.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let latin: Vec<u8> = table.chars().map(|it| u8::try_from(it).unwrap_or(b'?')).collect();
    vec![
        [&[0], table.as_bytes()].concat(),
        [&[0], utf16.as_slice()].concat(),
        [&[1], latin.as_slice()].concat(),
        [&[2], utf16.get(2..).unwrap_or_default()].concat(),
        [&[3], "Ada\u{1f}Whitby\u{1f}'=1+1\u{1f}a\"b,\r\nc".as_bytes()].concat(),
        [&[3], table.as_bytes()].concat(),
        // Found: no such column, and a byte behind it that stands for no letter. Which of them was told hung
        // on where a block of the file ended.
        b"\x01Number,E-Mail,Name,Town,Last\n4711,,Zo\x8d,,\n".to_vec(),
    ]
}

pub(super) fn line_seeds() -> Vec<Vec<u8>> {
    let file = "{\"fields\":{\"name\":\"Ada\"},\"relations\":[{\"name\":\"enquiry\"}],\
        \"references\":[\"shop/4711\"],\"consents\":[]}\n\n\
        {\"unreadable\":\"cus_1\"}\n{\"fields\":{\"name\":\"Zoë\"},\"records\":[]}\n{\"end\":2}\n";
    vec![[&[0], file.as_bytes()].concat(), [&[1], file.as_bytes()].concat(), b"\x00[1]\n".to_vec()]
}

#[test]
fn seeds_have_rows() {
    let rows = |seeds: Vec<Vec<u8>>, format: &str| match whole(&seeds[0][1..], format, "auto") {
        Ok((rows, _)) => rows.iter().filter(|row| row.is_ok()).count(),
        Err(sentence) => panic!("{sentence}"),
    };
    assert_eq!((rows(sheet_seeds(), "csv"), rows(line_seeds(), "ndjson")), (2, 2));
}
