//! Logs to check: made by `strongroom-tlog`, with entries written here byte by byte.

use std::fs;
use std::path::{Path, PathBuf};

use strongroom_crypto::{SecretKey, SigningKey, sha256};
use strongroom_tlog::{
    Checkpoint, Frontier, Hash, TILE_WIDTH, TileWidth, VerifierKey, entries_bundle, entries_path,
    leaf_hash, sign_checkpoint, tile_path, tile_width,
};
use strongroom_verify::{Asked, Key, Report, Wrong, verify_log};

/// A log that grows in memory.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) origin: String,
    pub(crate) entries: Vec<Vec<u8>>,
}

pub(crate) const ORIGIN: &str = "strongroom/0123/1";

impl Made {
    pub(crate) fn of(origin: &str, size: u64) -> Self {
        let entries = (0..size).map(|number| entry(number, &Line::default())).collect();
        Self { origin: origin.to_owned(), entries }
    }

    /// One that was opened by a restore after another.
    pub(crate) fn after(old: &Self, origin: &str, size: u64) -> Self {
        let mut made = Self::of(origin, size);
        let ticket = format!("{} {} {}", old.origin, old.entries.len(), old.root().to_base64());
        let line = Line { verb: "ledger.restore", ticket: &ticket, ..Line::default() };
        made.entries[0] = entry(0, &line);
        made
    }

    pub(crate) fn root(&self) -> Hash {
        let (mut tree, mut completed) = (Frontier::new(), Vec::new());
        self.entries.iter().for_each(|it| tree.append(leaf_hash(it), &mut completed));
        tree.root()
    }

    pub(crate) fn note(&self) -> String {
        self.note_by(&signer(1))
    }

    pub(crate) fn note_by(&self, key: &SigningKey) -> String {
        let (origin, size) = (self.origin.clone(), self.entries.len() as u64);
        let checkpoint = Checkpoint { origin, size, root: self.root(), extensions: Vec::new() };
        sign_checkpoint(&checkpoint, key).unwrap()
    }

    pub(crate) fn vkey(&self) -> String {
        VerifierKey::new(&self.origin, signer(1).verifying_key()).unwrap().to_string()
    }

    pub(crate) fn key(&self) -> Key {
        Key::log(&self.vkey()).unwrap()
    }

    /// Writes it as an export would.
    pub(crate) fn write(&self, folder: &Path) {
        let size = self.entries.len() as u64;
        put(folder, "checkpoint", self.note().as_bytes());
        put(folder, "vkey", format!("{}\n", self.vkey()).as_bytes());
        let mut row: Vec<Hash> = self.entries.iter().map(|it| leaf_hash(it)).collect();
        for (index, entries) in (0..).zip(self.entries.chunks(TILE_WIDTH)) {
            let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
            let width = width(size, 0, index);
            put(folder, &entries_path(index, width), &entries_bundle(&entries).unwrap());
        }
        for level in 0.. {
            if row.is_empty() {
                return;
            }
            let mut above = Vec::new();
            for (index, hashes) in (0..).zip(row.chunks(TILE_WIDTH)) {
                let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.0).collect();
                put(folder, &tile_path(level, index, width(size, level, index)), &bytes);
                if hashes.len() == TILE_WIDTH {
                    let (mut tree, mut completed) = (Frontier::new(), Vec::new());
                    hashes.iter().for_each(|hash| tree.append(*hash, &mut completed));
                    above.push(tree.root());
                }
            }
            row = above;
        }
    }
}

fn width(size: u64, level: u8, index: u64) -> TileWidth {
    tile_width(size, level, index).unwrap()
}

pub(crate) fn put(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// What of an entry a test chooses.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) verb: &'a str,
    pub(crate) ticket: &'a str,
    pub(crate) kind: u8,
    pub(crate) behalf: &'a str,
    pub(crate) time_ms: Option<u64>,
}

impl Default for Line<'_> {
    fn default() -> Self {
        Self { verb: "customer.read", ticket: "", kind: 7, behalf: "", time_ms: None }
    }
}

/// The encoding of an entry, from its description alone.
pub(crate) fn entry(number: u64, line: &Line<'_>) -> Vec<u8> {
    let label = if line.behalf.is_empty() { "strongroom/entry/v1" } else { "strongroom/entry/v2" };
    let mut bytes = Vec::new();
    let mut item = |kind: u8, value: &[u8]| {
        bytes.push(kind);
        if kind >= 4 {
            bytes.extend_from_slice(&(value.len() as u32).to_be_bytes());
        }
        bytes.extend_from_slice(value);
    };
    item(5, label.as_bytes());
    let time = line.time_ms.unwrap_or(1_795_255_200_000 + number);
    item(3, &time.to_be_bytes());
    item(1, &[line.kind]);
    item(1, &[1 + u8::from(number % 7 == 3)]);
    item(5, line.verb.as_bytes());
    item(5, b"key_06gzz");
    item(5, b"support");
    item(5, b"");
    item(5, line.ticket.as_bytes());
    item(4, &[9; 16]);
    item(2, &1_u32.to_be_bytes());
    item(3, &(number / 100).to_be_bytes());
    item(3, &(number / 10).to_be_bytes());
    match number % 3 {
        0 => item(1, &[0]),
        1 => {
            item(1, &[1]);
            item(4, &[7; 16]);
        }
        _ => {
            item(1, &[2]);
            item(4, &[6; 32]);
            item(3, &2_u64.to_be_bytes());
        }
    }
    item(4, &[0, 1]);
    item(3, &1_u64.to_be_bytes());
    if number.is_multiple_of(2) {
        item(1, &[0]);
    } else {
        item(1, &[1]);
        item(4, &[4; 32]);
        item(4, &[5; 32]);
    }
    item(4, if number.is_multiple_of(2) { &[] } else { &[3; 16] });
    item(4, &sha256(&[&number.to_be_bytes()])[..16]);
    if !line.behalf.is_empty() {
        item(5, line.behalf.as_bytes());
    }
    bytes
}

pub(crate) fn signer(seed: u8) -> SigningKey {
    SigningKey::from_seed(&SecretKey::from_bytes([seed; 32])).unwrap()
}

/// A witness's key and its line under a note.
pub(crate) fn cosign(note: &str, name: &str, seed: u8, time: u64) -> (String, String) {
    let key = signer(seed);
    let public = *key.verifying_key().as_bytes();
    let id = &sha256(&[name.as_bytes(), b"\n\x04", &public])[..4];
    let text = note.split_inclusive("\n\n").next().unwrap().strip_suffix('\n').unwrap();
    let message = format!("cosignature/v1\ntime {time}\n{text}");
    let mut bytes = id.to_vec();
    bytes.extend_from_slice(&time.to_be_bytes());
    bytes.extend_from_slice(&key.sign(message.as_bytes()));
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();

    let vkey = format!("{name}+{hex}+{}", to_base64(&[&[4][..], &public].concat()));
    (vkey, format!("\u{2014} {name} {}\n", to_base64(&bytes)))
}

/// Groups of three bytes, as RFC 4648 shows it.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let mut three = [0; 3];
        three[..group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize] as char;
            text.push(if place > group.len() { '=' } else { letter });
        }
    }
    text
}

/// Checks a folder against a log's key, and an older checkpoint if there is one.
pub(crate) fn check(folder: &Path, key: &Key, since: Option<&str>) -> Result<Vec<Report>, Wrong> {
    verify_log(folder, &Asked { since: since.map(str::as_bytes), ..Asked::with(key) })
}

/// What is wrong with a folder, in words.
pub(crate) fn wrong(folder: &Path, key: &Key) -> String {
    check(folder, key, None).expect_err("it is accepted").to_string()
}

pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for inner in fs::read_dir(folder).unwrap().map(|inner| inner.unwrap().path()) {
        match inner.is_dir() {
            true => found.extend(files(&inner)),
            false => found.push(inner),
        }
    }
    found.sort();
    found
}
