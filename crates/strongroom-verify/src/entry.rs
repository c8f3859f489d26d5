//! Entries, as `docs/verify.md` describes them: a label, then items in a fixed order, each with one
//! encoding.

use crate::wrong::Wrong;

/// What an entry says, as far as a check of the log needs it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// When it counted, in milliseconds since 1970.
    pub time_ms: i64,
    /// What kind of act.
    pub kind: Kind,
    /// What came of it.
    pub outcome: Outcome,
    /// The act, like `customer.read`.
    pub verb: String,
    /// Who, by pseudonym.
    pub actor: String,
    /// The ticket; of `ledger.restore`, the log that went before, of `rotate.signing` the coming key.
    pub ticket: String,
    /// The epoch of rights after it; never falls.
    pub epoch: u64,
    /// How many changes of rights there were up to it; never falls.
    pub state_changes: u64,
    /// Whose data.
    pub subjects: Subjects,
}

/// What kind of act an entry records.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Kind(u8);

impl Kind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        KINDS.get(usize::from(self.0).wrapping_sub(1)).copied().unwrap_or("unknown")
    }
}

/// What came of an act.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Outcome {
    /// It happened.
    Ok,
    /// It was refused.
    Refused,
}

impl Outcome {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
        }
    }
}

/// Whose data an entry speaks of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Subjects {
    /// Nobody's.
    None,
    /// One customer's, by pseudonym.
    One([u8; 16]),
    /// So many customers'; the log holds the root over them.
    Set(u64),
}

impl Entry {
    /// Reads an entry. Whatever is not the one encoding of an entry is refused.
    pub fn decode(bytes: &[u8]) -> Result<Self, Wrong> {
        Reader { rest: bytes }.entry().ok_or_else(|| Wrong::new("it is no entry of this format"))
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn entry(mut self) -> Option<Entry> {
        let has_claim = match self.text()? {
            "strongroom/entry/v1" => false,
            "strongroom/entry/v2" => true,
            _ => return None,
        };
        let time_ms = i64::try_from(self.u64()?).ok()?;
        let kind = Kind(self.u8()?);
        if kind.as_str() == "unknown" {
            return None;
        }
        let outcome = match self.u8()? {
            1 => Outcome::Ok,
            2 => Outcome::Refused,
            _ => return None,
        };
        let (verb, actor) = (self.text()?.to_owned(), self.text()?.to_owned());
        let (_purpose, _reason) = (self.text()?, self.text()?);
        let ticket = self.text()?.to_owned();
        let _request: [u8; 16] = self.array()?;
        let _policy_version = self.u32()?;
        let (epoch, state_changes) = (self.u64()?, self.u64()?);
        let subjects = match self.u8()? {
            0 => Subjects::None,
            1 => Subjects::One(self.array()?),
            2 => {
                let _root: [u8; 32] = self.array()?;
                Subjects::Set(self.u64()?)
            }
            _ => return None,
        };
        let fields = self.bytes()?;
        if fields.len() > 32 || fields.last() == Some(&0) {
            return None;
        }
        let _count = self.u64()?;
        match self.u8()? {
            0 => {}
            1 => {
                let (_sealed_hash, _row_mac): ([u8; 32], [u8; 32]) = (self.array()?, self.array()?);
            }
            _ => return None,
        }
        let network = self.bytes()?;
        if !network.is_empty() && network.len() != 16 {
            return None;
        }
        let _salt: [u8; 16] = self.array()?;
        if has_claim && self.text()?.is_empty() {
            return None;
        }
        let entry =
            Entry { time_ms, kind, outcome, verb, actor, ticket, epoch, state_changes, subjects };
        self.rest.is_empty().then_some(entry)
    }

    fn u8(&mut self) -> Option<u8> {
        let [value] = self.item(1)?;
        Some(value)
    }

    fn u32(&mut self) -> Option<u32> {
        self.item(2).map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.item(3).map(u64::from_be_bytes)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        self.sized(4)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes()?.try_into().ok()
    }

    fn text(&mut self) -> Option<&'a str> {
        str::from_utf8(self.sized(5)?).ok()
    }

    /// Bytes after a length of 32 bits. An entry has at most 65,535 bytes, so the mark of longer
    /// items is longer than whatever follows.
    fn sized(&mut self, kind: u8) -> Option<&'a [u8]> {
        let length = usize::try_from(u32::from_be_bytes(self.item(kind)?)).ok()?;
        let (value, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(value)
    }

    fn item<const N: usize>(&mut self, kind: u8) -> Option<[u8; N]> {
        let (found, rest) = self.rest.split_first()?;
        let (value, rest) = rest.split_first_chunk::<N>()?;
        self.rest = rest;
        (*found == kind).then_some(*value)
    }
}

/// By their numbers, from 1.
const KINDS: [&str; 14] = [
    "admin", "auth", "erase", "import", "key", "policy", "read", "reveal", "search", "system",
    "write", "ledger", "export", "send",
];
