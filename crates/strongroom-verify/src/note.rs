//! Signed notes, the keys they are checked with, and checkpoints.

use strongroom_crypto::{VerifyingKey, sha256};

use crate::base64;
use crate::tree::{Hash, SIZE_MAX};
use crate::wrong::Wrong;

/// A verifier key, `name+id+base64`: of a log (Ed25519, type 1) or of a witness (cosignature/v1,
/// type 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    name: String,
    kind: KeyKind,
    public: [u8; 32],
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum KeyKind {
    Log,
    Witness,
}

impl Key {
    /// The key of a log.
    pub fn log(text: &str) -> Result<Self, Wrong> {
        Self::parse(text, KeyKind::Log)
            .map_err(|wrong| wrong.at("the key is not the verifier key of a log"))
    }

    /// The key of a witness.
    pub fn witness(text: &str) -> Result<Self, Wrong> {
        Self::parse(text, KeyKind::Witness)
            .map_err(|wrong| wrong.at("the key is not the verifier key of a witness"))
    }

    /// The name it signs under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same public key under another name, as a log has it after a restore.
    pub(crate) fn named(&self, name: &str) -> Result<Self, Wrong> {
        refuse_name(name)?;
        Ok(Self { name: name.to_owned(), ..*self })
    }

    fn parse(text: &str, kind: KeyKind) -> Result<Self, Wrong> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(Wrong::new("it has the form name+id+base64"));
        };
        refuse_name(name)?;
        let bytes = base64::decode(encoded).ok_or(Wrong::new("its last part is not base64"))?;
        let Some((number, public)) = bytes.split_first() else {
            return Err(Wrong::new("its last part is empty"));
        };
        if *number != kind.number() {
            return Err(Wrong::new(format!("it is of type {number}, not {}", kind.number())));
        }
        let public = public.try_into().map_err(|_| Wrong::new("its last part has no 32 bytes"))?;
        let key = Self { name: name.to_owned(), kind, public };
        if key.id_text() != id {
            return Err(Wrong::new("its id is not that of its name and public key"));
        }
        Ok(key)
    }

    /// The first four bytes of SHA-256 over name, newline, type and public key.
    fn id(&self) -> [u8; 4] {
        let hash = sha256(&[self.name.as_bytes(), b"\n", &[self.kind.number()], &self.public]);
        let [a, b, c, d, ..] = hash;
        [a, b, c, d]
    }

    fn id_text(&self) -> String {
        hex(self.id())
    }

    fn holds(&self, message: &[u8], signature: &[u8]) -> bool {
        VerifyingKey::from_bytes(self.public).verify(message, signature).is_ok()
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = vec![self.kind.number()];
        bytes.extend_from_slice(&self.public);
        write!(out, "{}+{}+{}", self.name, self.id_text(), base64::encode(&bytes))
    }
}

impl KeyKind {
    fn number(self) -> u8 {
        match self {
            Self::Log => 1,
            Self::Witness => 4,
        }
    }
}

/// A note taken apart. Nothing in it is to be believed before a signature holds.
#[derive(Clone, Debug)]
pub struct Note<'a> {
    text: &'a str,
    lines: Vec<Line<'a>>,
}

#[derive(Clone, Debug)]
struct Line<'a> {
    name: &'a str,
    id: [u8; 4],
    signature: Vec<u8>,
}

impl<'a> Note<'a> {
    /// Takes a note apart.
    pub fn parse(note: &'a [u8]) -> Result<Self, Wrong> {
        if note.len() > NOTE_SIZE_BYTES_MAX {
            return Err(Wrong::new("it is longer than any note"));
        }
        let note = str::from_utf8(note).map_err(|_| Wrong::new("it is not text"))?;
        if note.chars().any(|letter| letter.is_control() && letter != '\n') {
            return Err(Wrong::new("it holds a control character"));
        }
        let divided = note.rfind("\n\n").and_then(|at| note.split_at_checked(at + 1));
        let Some((text, signatures)) = divided else {
            return Err(Wrong::new("no blank line stands between its text and its signatures"));
        };
        let signatures = signatures.strip_prefix('\n').and_then(|it| it.strip_suffix('\n'));
        let Some(signatures) = signatures else {
            return Err(Wrong::new("it does not end in a signature line"));
        };
        let mut lines = Vec::new();
        for line in signatures.split('\n') {
            if lines.len() == LINES_MAX {
                return Err(Wrong::new("it has more than 100 signatures"));
            }
            let line = Line::parse(line);
            lines.push(line.ok_or(Wrong::new("a line after its text is no signature"))?);
        }
        Ok(Self { text, lines })
    }

    /// The checkpoint, where the log's key signed it.
    pub fn checkpoint(&self, key: &Key) -> Result<Checkpoint, Wrong> {
        let mut signed = false;
        for line in self.lines_of(key) {
            if !key.holds(self.text.as_bytes(), &line.signature) {
                return Err(Wrong::new(format!("the signature of {} does not hold", key.name)));
            }
            signed = true;
        }
        if !signed {
            return Err(Wrong::new(self.who_signed(key)));
        }
        let checkpoint = Checkpoint::parse(self.text)?;
        if checkpoint.origin != key.name {
            return Err(Wrong::new("the key signed it for another log"));
        }
        Ok(checkpoint)
    }

    /// The coming key that its text names, where a log is handed over with it.
    pub(crate) fn named_key(&self) -> Option<Result<Key, Wrong>> {
        let named = self.text.split('\n').find_map(|line| line.strip_prefix("handover "));
        named.map(Key::log)
    }

    /// When a witness cosigned it, in seconds since 1970 (tlog-cosignature).
    pub fn cosigned(&self, witness: &Key) -> Result<u64, Wrong> {
        let mut newest = None;
        for line in self.lines_of(witness) {
            let Some((time, signature)) = line.signature.split_first_chunk::<8>() else {
                return Err(Wrong::new(format!("the cosignature of {} is cut", witness.name)));
            };
            let time = u64::from_be_bytes(*time);
            let message = format!("cosignature/v1\ntime {time}\n{}", self.text);
            if !witness.holds(message.as_bytes(), signature) {
                let what = format!("the cosignature of {} does not hold", witness.name);
                return Err(Wrong::new(what));
            }
            newest = newest.max(Some(time));
        }
        newest.ok_or_else(|| Wrong::new(format!("{} did not cosign it", witness.name)))
    }

    /// How many lines none of these keys has written: nobody checked them.
    pub(crate) fn unknown_lines(&self, keys: &[&Key]) -> usize {
        let is_known =
            |line: &&Line<'_>| !keys.iter().any(|key| line.name == key.name && line.id == key.id());
        self.lines.iter().filter(is_known).count()
    }

    /// The first line, before any signature is checked: which key to ask.
    pub(crate) fn claimed_origin(&self) -> &'a str {
        self.text.split('\n').next().unwrap_or_default()
    }

    /// Whoever has an older key, or that of another log, sees here which one to ask for.
    fn who_signed(&self, key: &Key) -> String {
        let own = key.id_text();
        let same = self.lines.iter().filter(|line| line.name == key.name);
        let others: Vec<String> = same.map(|line| hex(line.id)).collect();
        let name = &key.name;
        if others.is_empty() {
            let origin = self.claimed_origin().escape_debug();
            return format!("the key {own} of {name} did not sign it; it says it is of {origin}");
        }
        format!(
            "the key {own} of {name} did not sign it; it bears a signature of its key {}, unchecked",
            others.join(", ")
        )
    }

    fn lines_of(&self, key: &Key) -> impl Iterator<Item = &Line<'a>> {
        let id = key.id();
        self.lines.iter().filter(move |line| line.name == key.name && line.id == id)
    }
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
        refuse_name(name).ok()?;
        let bytes = base64::decode(encoded)?;
        let (id, signature) = bytes.split_first_chunk::<4>()?;
        (!signature.is_empty()).then(|| Self { name, id: *id, signature: signature.to_vec() })
    }
}

/// What a log signs: how many entries it has, and the root over them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: [u8; 32],
}

impl Checkpoint {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let malformed = |what: &str| Wrong::new(format!("its text is no checkpoint: {what}"));
        let lines = text.strip_suffix('\n').ok_or(malformed("its last line is not ended"))?;
        let mut lines = lines.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(malformed("it has fewer than three lines"));
        };
        if origin.is_empty() || lines.any(str::is_empty) {
            return Err(malformed("it has an empty line"));
        }
        let size = number(size).filter(|size| *size <= SIZE_MAX);
        let size = size.ok_or(malformed("its size is no plain number"))?;
        let root = hash(root).ok_or(malformed("its root is no hash"))?;
        Ok(Self { origin: origin.to_owned(), size, root })
    }
}

fn hex(id: [u8; 4]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A number as it is always written: no sign, no leading zero.
pub(crate) fn number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// A hash in base64.
pub(crate) fn hash(text: &str) -> Option<Hash> {
    base64::decode(text)?.try_into().ok()
}

fn refuse_name(name: &str) -> Result<(), Wrong> {
    let is_odd = |letter: char| letter.is_whitespace() || letter.is_control() || letter == '+';
    if name.is_empty() || name.contains(is_odd) {
        return Err(Wrong::new("a name is one word without `+`"));
    }
    Ok(())
}

/// Largest note read: 1 MiB.
pub(crate) const NOTE_SIZE_BYTES_MAX: usize = 1 << 20;

/// Most signatures read, as other verifiers do.
const LINES_MAX: usize = 100;
