//! Sends, their recipients, and what a hand-over came to.

use strongroom_crypto::Encoder;

use crate::ctx::{Pseudonym, Time};
use crate::id::{ApiKey, Id, Sending};

/// A send through an outlet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SendRow {
    pub(super) id: Id<Sending>,
    pub(super) outlet: String,
    pub(super) asked_by: Id<ApiKey>,
    /// The relation whose customers it goes to; empty where they were listed.
    pub(super) segment: String,
    /// The words, sealed; empty for an HTTPS outlet.
    pub(super) template: Vec<u8>,
    pub(super) asked: Time,
    pub(super) state: SendState,
    /// Why it waits or was stopped, as a stable code.
    pub(super) why: String,
    /// Up to which customer a segment is gathered.
    pub(super) place: i64,
    pub(super) recipients: u64,
    /// Not before then.
    pub(super) next: Time,
    pub(super) mac: [u8; 32],
}

/// How far a send is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendState {
    /// Nothing is left to do.
    Done,
    /// Its recipients are being found.
    Gathering,
    /// It goes out.
    Sending,
    /// Somebody or something ended it before everyone was reached.
    Stopped,
}

impl SendState {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Gathering => "gathering",
            Self::Sending => "sending",
            Self::Stopped => "stopped",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let all = [Self::Done, Self::Gathering, Self::Sending, Self::Stopped];
        all.into_iter().find(|it| it.as_str() == text)
    }
}

impl SendRow {
    pub(super) fn columns(&self) -> Vec<u8> {
        let mut encoder = Encoder::new("send");
        encoder
            .bytes(self.id.as_bytes())
            .text(&self.outlet)
            .bytes(self.asked_by.as_bytes())
            .text(&self.segment)
            .bytes(&self.template)
            .u64(self.asked.as_ms().cast_unsigned())
            .text(self.state.as_str())
            .text(&self.why)
            .u64(self.place.cast_unsigned())
            .u64(self.recipients)
            .u64(self.next.as_ms().cast_unsigned());
        encoder.finish()
    }
}

/// One recipient of a send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recipient {
    pub(super) send: Id<Sending>,
    pub(super) number: u64,
    pub(super) subject: Pseudonym,
    pub(super) state: RecipientState,
    /// How often it was released.
    pub(super) attempts: u64,
    /// How often nobody knows whether it arrived.
    pub(super) doubts: u64,
    pub(super) next: Time,
    /// What the last answer was, as a stable code.
    pub(super) code: String,
    pub(super) mac: [u8; 32],
}

/// What became of a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecipientState {
    /// The vendor took it.
    Accepted,
    /// Given up after many attempts.
    Failed,
    /// The vendor refused it for good: a bounce.
    Refused,
    /// It left and its outcome is not known yet.
    Released,
    /// Nothing was sent: erased, no consent, no address.
    Skipped,
    /// Not yet, or again later.
    Waiting,
}

impl RecipientState {
    /// Every state, in the order of the alphabet.
    pub const ALL: [Self; 6] =
        [Self::Accepted, Self::Failed, Self::Refused, Self::Released, Self::Skipped, Self::Waiting];

    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Released => "released",
            Self::Skipped => "skipped",
            Self::Waiting => "waiting",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

impl Recipient {
    pub(super) fn columns(&self) -> Vec<u8> {
        let mut encoder = Encoder::new("send_recipient");
        encoder
            .bytes(self.send.as_bytes())
            .u64(self.number)
            .bytes(&self.subject.0)
            .text(self.state.as_str())
            .u64(self.attempts)
            .u64(self.doubts)
            .u64(self.next.as_ms().cast_unsigned())
            .text(&self.code);
        encoder.finish()
    }
}

/// One message on its way; wiped when dropped.
pub(super) struct Letter {
    /// Stable for send and recipient: the same after any number of attempts.
    pub(super) token: String,
    /// The recipient's own address; empty for HTTPS.
    pub(super) to: zeroize::Zeroizing<String>,
    /// The whole message, or the body of the request.
    pub(super) body: zeroize::Zeroizing<Vec<u8>>,
}

/// What handing a letter over came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Handed {
    /// The vendor has it.
    Accepted,
    /// The vendor will never take it; with its code.
    Refused(String),
    /// It was not taken; later it may be.
    Later(String),
    /// The connection ended before an answer: the vendor may have it.
    Unknown(String),
}

impl Handed {
    /// Whether the connection can go on after it.
    pub(super) fn keeps_connection(&self) -> bool {
        !matches!(self, Self::Unknown(_))
    }
}

/// The place of what went through an outlet is the outlet's own name.
pub(super) const SEND_TABLE: &str = "send";
pub(super) const RECIPIENT_TABLE: &str = "send_recipient";
