//! The bytes of the file: decrypted where it is sealed, turned into UTF-8 where it is not.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use clap::ValueEnum;
use strongroom_crypto::Sha256;
use zeroize::Zeroizing;

use super::plan::Plan;
use crate::cli::failure::Failure;

/// How the letters of a file are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Encoding {
    /// What its first bytes say, else UTF-8
    #[default]
    Auto,
    /// UTF-16, as some spreadsheets save; without a mark at its beginning little-endian
    #[value(name = "utf-16")]
    Utf16,
    /// As old Windows programs save in western Europe and America
    #[value(name = "windows-1252")]
    Windows1252,
}

/// A source of UTF-8 that hashes what passes.
pub(super) struct Source {
    inner: Box<dyn Read>,
    hash: Sha256,
}

impl Source {
    pub(super) fn open(path: &Path, plan: &Plan) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|cause| {
            let sentence = format!("the file `{}` cannot be opened: {cause}", path.display());
            Failure::new("input_output", sentence)
        })?;
        let clear: Box<dyn Read> = match &plan.identity {
            Some(identity) => decrypt(file, identity)?,
            None => Box::new(file),
        };
        Self::of(clear, plan)
    }

    /// Bytes that lie open already.
    pub(super) fn of(clear: Box<dyn Read>, plan: &Plan) -> Result<Self, Failure> {
        let inner = without_marks(as_utf8(clear, plan.encoding)?);
        Ok(Self { inner, hash: Sha256::new() })
    }

    /// Of all that was read.
    pub(super) fn sha256(self) -> [u8; 32] {
        self.hash.finish()
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// Into memory only, chunk by chunk.
fn decrypt(file: File, identity: &Path) -> Result<Box<dyn Read>, Failure> {
    let cannot = |what: &str| Failure::new("bad_identity", what.to_owned());
    let mut text = Zeroizing::new(String::new());
    let read = File::open(identity)
        .and_then(|file| file.take(IDENTITY_SIZE_BYTES_MAX).read_to_string(&mut text));
    read.map_err(|cause| cannot(&format!("the identity file cannot be read: {}", cause.kind())))?;
    let line = text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-"));
    let key: Option<age::x25519::Identity> = line.and_then(|line| line.trim().parse().ok());
    let key = key.ok_or_else(|| cannot("the identity file holds no secret key of age"))?;
    let closed = |_| {
        cannot(
            "the file does not open with this identity: it is for another recipient, damaged, or \
                not encrypted at all",
        )
    };
    let sealed = age::Decryptor::new_buffered(BufReader::new(file)).map_err(closed)?;
    let clear = sealed.decrypt(std::iter::once(&key as &dyn age::Identity)).map_err(closed)?;
    Ok(Box::new(clear))
}

/// By the mark at the beginning, or as named. UTF-8 passes as it is; whoever reads it says where it is
/// broken.
fn as_utf8(mut clear: Box<dyn Read>, encoding: Encoding) -> Result<Box<dyn Read>, Failure> {
    let mut first = Vec::with_capacity(MARK_SIZE_BYTES);
    clear.by_ref().take(MARK_SIZE_BYTES as u64).read_to_end(&mut first)?;
    let (kind, skipped) = match (encoding, first.as_slice()) {
        (_, first) if first == MARK => (None, 3),
        (_, [0xff, 0xfe, ..]) => (Some(Kind::Utf16Little), 2),
        (_, [0xfe, 0xff, ..]) => (Some(Kind::Utf16Big), 2),
        (Encoding::Auto, _) => (None, 0),
        (Encoding::Utf16, _) => (Some(Kind::Utf16Little), 0),
        (Encoding::Windows1252, _) => (Some(Kind::Windows1252), 0),
    };
    let whole = io::Cursor::new(first.split_off(skipped)).chain(clear);
    Ok(match kind {
        None => Box::new(whole),
        Some(kind) => {
            let (rest, out) = (Vec::new(), VecDeque::new());
            Box::new(Decoding { inner: whole, kind, rest, out, is_broken: false })
        }
    })
}

/// A file put together of two has a mark in front of its mark, and a reader of tables would drop it or not, by
/// how much it reads at first.
fn without_marks(mut utf8: Box<dyn Read>) -> Box<dyn Read> {
    loop {
        let mut first = Vec::with_capacity(MARK_SIZE_BYTES);
        if let Err(cause) = utf8.by_ref().take(MARK_SIZE_BYTES as u64).read_to_end(&mut first) {
            let refused = Refused(cause.kind(), cause.to_string());
            return Box::new(io::Cursor::new(first).chain(refused));
        }
        if first != MARK {
            return Box::new(io::Cursor::new(first).chain(utf8));
        }
    }
}

/// What could not be read, for whoever reads so far. What failed once is not asked again: it might say that
/// the file ends there.
struct Refused(io::ErrorKind, String);

impl Read for Refused {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::new(self.0, self.1.clone()))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Utf16Big,
    Utf16Little,
    Windows1252,
}

/// Turns one of them into UTF-8.
struct Decoding<R> {
    inner: R,
    kind: Kind,
    /// Bytes of a letter that was cut by the end of a block.
    rest: Vec<u8>,
    out: VecDeque<u8>,
    /// What comes next stands for no letter. What came before is given first, so that it does not matter
    /// where a block ends.
    is_broken: bool,
}

impl<R: Read> Read for Decoding<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.out.is_empty() {
            if self.is_broken {
                return Err(not_a_letter());
            }
            let mut block = Zeroizing::new([0; BLOCK_SIZE_BYTES]);
            let count = self.inner.read(block.as_mut_slice())?;
            if count == 0 {
                return if self.rest.is_empty() { Ok(0) } else { Err(cut()) };
            }
            self.rest.extend_from_slice(block.get(..count).unwrap_or_default());
            self.decode();
        }
        self.out.read(buffer)
    }
}

impl<R> Decoding<R> {
    fn decode(&mut self) {
        let bytes = std::mem::take(&mut self.rest);
        if self.kind == Kind::Windows1252 {
            return self.put_all(bytes.into_iter().map(windows_1252));
        }
        let (pairs, odd) = bytes.as_chunks::<2>();
        let unit = |pair: &[u8; 2]| match self.kind {
            Kind::Utf16Big => u16::from_be_bytes(*pair),
            Kind::Utf16Little | Kind::Windows1252 => u16::from_le_bytes(*pair),
        };
        let mut units: Vec<u16> = pairs.iter().map(unit).collect();
        self.rest = odd.to_vec();
        // The first half of a letter of two waits for the second.
        if units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit)) {
            units.pop();
            let half = pairs.last().copied().unwrap_or_default();
            self.rest = [&half[..], odd].concat();
        }
        self.put_all(char::decode_utf16(units).map(Result::ok));
    }

    /// All letters up to something that is none.
    fn put_all(&mut self, letters: impl Iterator<Item = Option<char>>) {
        for letter in letters {
            let Some(letter) = letter else {
                self.is_broken = true;
                return;
            };
            self.out.extend(letter.encode_utf8(&mut [0; 4]).bytes());
        }
    }
}

/// The byte as a letter; five stand for none.
fn windows_1252(byte: u8) -> Option<char> {
    if !(0x80..0xa0).contains(&byte) {
        return Some(char::from(byte));
    }
    HIGH.get(usize::from(byte - 0x80)).copied().filter(|letter| *letter != '\0')
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the file ends inside a letter; is it whole?")
}

fn not_a_letter() -> io::Error {
    let text = "a byte stands for no letter in this encoding; name another with `--encoding`";
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// 0x80 to 0x9f of Windows-1252, where it differs from ISO 8859-1.
const HIGH: [char; 32] = [
    '€', '\0', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\0', 'Ž', '\0', '\0', '‘',
    '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\0', 'ž', 'Ÿ',
];

/// Of UTF-8, the longest mark.
const MARK: [u8; MARK_SIZE_BYTES] = [0xef, 0xbb, 0xbf];
const MARK_SIZE_BYTES: usize = 3;

const BLOCK_SIZE_BYTES: usize = 16 * 1024;

/// A key and comments.
const IDENTITY_SIZE_BYTES_MAX: u64 = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives what it has, fails once, and then says that nothing is left.
    struct FailsOnce(Vec<u8>, bool);

    impl Read for FailsOnce {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() && !std::mem::replace(&mut self.1, true) {
                return Err(cut());
            }
            let count = self.0.len().min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0.drain(..count);
            Ok(count)
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_behind_its_marks_is_not_taken_for_one_that_ends_there() {
        let bytes = [&MARK[..], &MARK, b"a"].concat();
        let mut bare = without_marks(Box::new(FailsOnce(bytes, false)));
        for _ in 0..2 {
            let mut read = Vec::new();
            assert!(bare.read_to_end(&mut read).is_err(), "{read:?}");
        }
    }
}
