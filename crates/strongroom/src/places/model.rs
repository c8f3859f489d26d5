//! Places and holdings as this room knows them.

use strongroom_crypto::Encoder;

use crate::ctx::{FieldSet, Pseudonym, Time};
use crate::error::Error;
use crate::id::{Holding, Id};

/// The name of a place: it stands in addresses, so it is never a person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlaceName(String);

impl PlaceName {
    /// 1 to 60 lower-case letters, digits, `-`, `_` and `.`, beginning with a letter.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        let begins = text.starts_with(|c: char| c.is_ascii_lowercase());
        if begins && text.len() <= NAME_SIZE_MAX && text.chars().all(plain) {
            return Ok(Self(text.to_owned()));
        }
        let detail = "the name of a place is 1 to 60 lower-case letters, digits, `-`, `_` and `.` \
                      and begins with a letter; it stands in addresses, so never a person's name";
        Err(Error::unprocessable("bad_place", detail))
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceKind {
    /// Another database.
    Database,
    /// A folder of files.
    Folder,
    /// A laptop or another device that is carried around.
    Laptop,
    /// Somebody's mailbox.
    Mailbox,
    /// A box of paper.
    PaperBox,
    /// This vault.
    Vault,
    /// Another company.
    Vendor,
}

impl PlaceKind {
    /// Every kind, in the order of the alphabet.
    pub const ALL: [Self; 7] = [
        Self::Database,
        Self::Folder,
        Self::Laptop,
        Self::Mailbox,
        Self::PaperBox,
        Self::Vault,
        Self::Vendor,
    ];

    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Folder => "folder",
            Self::Laptop => "laptop",
            Self::Mailbox => "mailbox",
            Self::PaperBox => "paper_box",
            Self::Vault => "vault",
            Self::Vendor => "vendor",
        }
    }

    /// The kind of that name.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join("`, `");
            Error::unprocessable("bad_place_kind", format!("the kind of a place is `{known}`"))
        })
    }
}

/// A place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceRow {
    /// Its name.
    pub name: String,
    /// What it is; one of [`PlaceKind`].
    pub kind: String,
    /// Who answers for it: a key's id, `operator`, or the name of a post.
    pub owner: String,
    /// Since when it is known.
    pub opened: Time,
    /// Since when nothing of ours is there any more.
    pub closed: Option<Time>,
    /// How many open holdings there are.
    pub open_holdings: u64,
}

/// Whose data is at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// So many people, nobody knows who: strangers' data that a search found.
    Count(u64),
    /// Everyone who was a customer at this index of the ledger: backups, full exports.
    EveryoneAsOf(u64),
    /// Exactly these, at most [`HOLDING_SET_MAX`].
    These(Vec<Pseudonym>),
}

/// How a kept holding says whose data it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldOf {
    /// A number of people nobody knows.
    Count,
    /// Everyone as of a ledger index.
    EveryoneAsOf,
    /// A sealed set.
    These,
}

impl HeldOf {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::EveryoneAsOf => "everyone_as_of",
            Self::These => "these",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Count, Self::EveryoneAsOf, Self::These].into_iter().find(|it| it.as_str() == text)
    }
}

/// A holding about to be written.
#[derive(Debug, Clone)]
pub struct NewHolding<'a> {
    /// Where. A place that is not known yet is opened, one that was closed is opened again.
    pub place: &'a PlaceName,
    /// What the place is, if it is new.
    pub kind: PlaceKind,
    /// Whose data.
    pub whose: Whose,
    /// Which fields of theirs.
    pub fields: FieldSet,
    /// When it should be gone at the latest.
    pub due: Option<Time>,
    /// The act that put it there, like `import.rows`.
    pub act: &'static str,
    /// What that act belongs to: the id of an import, a send, a request. Holdings are closed by it.
    pub origin: &'a str,
}

/// A holding as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Names it.
    pub id: Id<Holding>,
    /// Where.
    pub place: String,
    /// What `number` is.
    pub whose: HeldOf,
    /// The size of the set, the ledger index, or the count.
    pub number: u64,
    pub(super) sealed: Vec<u8>,
    /// Which fields.
    pub fields: FieldSet,
    /// The act that put it there.
    pub act: String,
    /// What the act belongs to.
    pub origin: String,
    /// Since when.
    pub since: Time,
    /// When it should be gone.
    pub due: Option<Time>,
    /// Since when it is gone.
    pub closed: Option<Time>,
    /// What shows that it is gone.
    pub evidence: String,
    pub(super) mac: [u8; 32],
}

/// Which holdings of a place are closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closing {
    /// All of them, and the place with them.
    Everything,
    /// One.
    One(Id<Holding>),
    /// Those an act put there: an import, a send.
    Origin(String),
}

impl Held {
    /// What the row's MAC covers.
    pub(super) fn columns(&self) -> Vec<u8> {
        let optional = |time: Option<Time>| time.map_or(u64::MAX, |it| it.as_ms().cast_unsigned());
        let mut encoder = Encoder::new("holding");
        encoder
            .bytes(self.id.as_bytes())
            .text(&self.place)
            .text(self.whose.as_str())
            .u64(self.number)
            .bytes(&self.sealed)
            .bytes(&self.fields.to_bytes())
            .text(&self.act)
            .text(&self.origin)
            .u64(self.since.as_ms().cast_unsigned())
            .u64(optional(self.due))
            .u64(optional(self.closed))
            .text(&self.evidence);
        encoder.finish()
    }

    /// Whether it was at its place at some moment of a span. What has no evidence of being gone is
    /// still there, however long it is overdue.
    pub fn was_there(&self, span: (Time, Time)) -> bool {
        self.since <= span.1 && self.closed.is_none_or(|closed| closed >= span.0)
    }
}

/// A short text people write: an owner, an evidence. Never free prose, because it stands unsealed.
pub(super) fn plain_words(text: &str, size_max: usize, code: &'static str) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || " -_.,:/#".contains(c);
    let fits = !text.trim().is_empty() && text.len() <= size_max && text.chars().all(plain);
    if fits && !strongroom_detect::card::contains_card_number(text) {
        return Ok(());
    }
    let detail = format!(
        "write 1 to {size_max} letters, digits, spaces and `-_.,:/#`; it stands unsealed for years, \
         so name the post, the ticket or the certificate, never a person"
    );
    Err(Error::unprocessable(code, detail))
}

/// What the sealed set of one holding may name: a wrapped text has at most 64 KiB.
pub const HOLDING_SET_MAX: usize = 4_000;

const NAME_SIZE_MAX: usize = 60;
