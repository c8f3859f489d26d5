//! Marked values, and the search for them in every form that programs bring texts into: as they are,
//! in the other case, base64 at three offsets, hexadecimal, percent, UTF-16, escaped for JSON and
//! HTML, hashed. Nothing of the product compresses, so nothing is decompressed.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER};
use strongroom_crypto::{SystemRandom, random_array, sha256};

/// Values that must not be found, each with where it was put in.
#[derive(Default)]
pub(crate) struct Canaries {
    needles: Vec<Needle>,
    by_start: HashMap<[u8; START], Vec<usize>>,
}

struct Needle {
    name: String,
    form: &'static str,
    bytes: Vec<u8>,
}

/// A word that stands nowhere else: twelve random letters.
pub(crate) fn fresh_word() -> String {
    let bytes: [u8; 12] = random_array(&SystemRandom).unwrap();
    bytes.iter().map(|byte| char::from(b'a' + byte % 26)).collect()
}

/// So many random digits.
pub(crate) fn fresh_digits(number: usize) -> String {
    let bytes: [u8; 16] = random_array(&SystemRandom).unwrap();
    bytes.iter().take(number).map(|byte| char::from(b'0' + byte % 10)).collect()
}

impl Canaries {
    /// From now on this text is searched for, under a name that says where it was put in.
    pub(crate) fn mark(&mut self, name: &str, text: &str) {
        for variant in BTreeSet::from([text.to_owned(), text.to_lowercase(), text.to_uppercase()]) {
            for (form, bytes) in forms(&variant) {
                self.add(name, form, bytes);
            }
        }
    }

    /// The same for bytes that are no text.
    pub(crate) fn mark_bytes(&mut self, name: &str, bytes: &[u8]) {
        self.add(name, "bytes", bytes.to_vec());
    }

    fn add(&mut self, name: &str, form: &'static str, bytes: Vec<u8>) {
        // Letters count in either case. What only counts as it is, like base64, is not found less.
        let folded = bytes.to_ascii_lowercase();
        for bytes in BTreeSet::from([bytes, folded]) {
            let start = *bytes.first_chunk::<START>().expect("a marked value is long enough");
            self.by_start.entry(start).or_default().push(self.needles.len());
            self.needles.push(Needle { name: name.to_owned(), form, bytes });
        }
    }

    /// What stands in these bytes, by name and form.
    pub(crate) fn find(&self, bytes: &[u8]) -> BTreeSet<(&str, &'static str)> {
        let mut found = BTreeSet::new();
        for text in [bytes, &bytes.to_ascii_lowercase()] {
            let mut rest = text;
            while let Some(start) = rest.first_chunk::<START>() {
                for number in self.by_start.get(start).into_iter().flatten() {
                    let needle = &self.needles[*number];
                    if rest.starts_with(&needle.bytes) {
                        found.insert((needle.name.as_str(), needle.form));
                    }
                }
                rest = &rest[1..];
            }
        }
        found
    }

    /// The same below several.
    pub(crate) fn find_in_folders(&self, folders: &[PathBuf]) -> Vec<String> {
        folders.iter().flat_map(|folder| self.find_in_folder(folder)).collect()
    }

    /// What stands in the files below a folder, each line with the file.
    pub(crate) fn find_in_folder(&self, folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for item in std::fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                found.extend(self.find_in_folder(&path));
                continue;
            }
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let bytes = std::fs::read(&path).unwrap();
            if name == "reserve" {
                // Large, and nothing but room: looked through faster than for every form.
                let nothing = vec![0; bytes.len()];
                assert!(bytes == nothing, "the reserve holds something");
                continue;
            }
            let hits = self.find(&bytes).into_iter().chain(self.find(name.as_bytes()));
            found.extend(hits.map(|(canary, form)| format!("{canary} in {name} as {form}")));
        }
        found
    }
}

/// Every form of a text. Those that depend on what stands around it are cut to the part that does
/// not.
fn forms(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = text.as_bytes();
    let hash = sha256(&[bytes]);
    let mut forms: Vec<(&'static str, Vec<u8>)> = vec![
        ("plain", bytes.to_vec()),
        ("hex", HEXLOWER.encode(bytes).into_bytes()),
        ("percent, all", each(bytes, |byte| format!("%{byte:02x}"))),
        ("percent", each(bytes, percent)),
        ("utf-16 le", text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("utf-16 be", text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ("json", json_escaped(text)),
        (
            "json, all",
            text.encode_utf16().flat_map(|unit| format!("\\u{unit:04x}").into_bytes()).collect(),
        ),
        ("json, ascii", json_ascii(text)),
        ("html", html(text)),
        (
            "html, decimal",
            text.chars().flat_map(|c| format!("&#{};", u32::from(c)).into_bytes()).collect(),
        ),
        (
            "html, hex",
            text.chars().flat_map(|c| format!("&#x{:x};", u32::from(c)).into_bytes()).collect(),
        ),
        ("debug", text.escape_debug().to_string().into_bytes()),
        // Half of a hash is as good as a whole one to whoever tries all names.
        ("sha-256", hash[..16].to_vec()),
        ("sha-256, hex", HEXLOWER.encode(&hash[..16]).into_bytes()),
    ];
    for offset in 0..3 {
        forms.push(("base64", base64(&BASE64_NOPAD, bytes, offset)));
        forms.push(("base64url", base64(&BASE64URL_NOPAD, bytes, offset)));
        forms.push(("sha-256, base64", base64(&BASE64_NOPAD, &hash[..16], offset)));
        forms.push(("sha-256, base64url", base64(&BASE64URL_NOPAD, &hash[..16], offset)));
    }
    forms
}

/// The characters that stand for these bytes alone, so many bytes behind a boundary of three.
fn base64(encoding: &data_encoding::Encoding, bytes: &[u8], offset: usize) -> Vec<u8> {
    let mut shifted = vec![0; offset];
    shifted.extend_from_slice(bytes);
    let text = encoding.encode(&shifted);
    let (first, end) = ((8 * offset).div_ceil(6), 8 * shifted.len() / 6);
    text.as_bytes()[first..end].to_vec()
}

fn each(bytes: &[u8], write: impl Fn(u8) -> String) -> Vec<u8> {
    bytes.iter().flat_map(|byte| write(*byte).into_bytes()).collect()
}

fn percent(byte: u8) -> String {
    let is_plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if is_plain { char::from(byte).to_string() } else { format!("%{byte:02x}") }
}

fn json_escaped(text: &str) -> Vec<u8> {
    let quoted = serde_json::to_string(text).unwrap();
    quoted.trim_start_matches('"').strip_suffix('"').unwrap().as_bytes().to_vec()
}

fn json_ascii(text: &str) -> Vec<u8> {
    let mut ascii = String::new();
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(quote @ (b'"' | b'\\')) => write!(ascii, "\\{}", char::from(quote)).unwrap(),
            Ok(byte) if byte.is_ascii_graphic() || byte == b' ' => ascii.push(char::from(byte)),
            _ => write!(ascii, "\\u{unit:04x}").unwrap(),
        }
    }
    ascii.into_bytes()
}

fn html(text: &str) -> Vec<u8> {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    escaped.replace('"', "&quot;").replace('\'', "&#x27;").into_bytes()
}

/// Every log line of this process since the first call, of every level and target, whichever test or
/// thread wrote it.
pub(crate) fn log_lines() -> Vec<u8> {
    collected().lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Begins to collect log lines.
pub(crate) fn collect_log_lines() {
    collected();
}

fn collected() -> Arc<Mutex<Vec<u8>>> {
    static LINES: OnceLock<Arc<Mutex<Vec<u8>>>> = OnceLock::new();
    let begin = || {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&lines);
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || Lines(Arc::clone(&writer)))
            .finish();
        tracing::subscriber::set_global_default(subscriber)
            .expect("only the search for canaries collects the lines of the whole process");
        lines
    };
    Arc::clone(LINES.get_or_init(begin))
}

struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// So many first bytes find the candidates.
const START: usize = 8;
