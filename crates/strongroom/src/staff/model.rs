//! API keys: their text form and their row.

use strongroom_crypto::{Encoder, Plain, Random, SecretKey, sha256};

use crate::ctx::{Actor, Time};
use crate::error::Error;
use crate::id::{ApiKey, Id};

/// An API key's row, intact, as rights are decided from.
#[derive(Debug, Clone)]
pub struct KeyRow {
    /// Names the key; not secret.
    pub id: Id<ApiKey>,
    /// What people call it.
    pub name: String,
    /// Its one role.
    pub role: String,
    /// What it may claim to act for.
    pub purposes: Vec<String>,
    /// Whether people sit at the program that uses it, so that each call must say who asks.
    pub people: bool,
    /// When it was made.
    pub created: Time,
    /// From when on it no longer counts.
    pub expires: Time,
    /// When it was revoked.
    pub revoked: Option<Time>,
    /// When a restore or a person switched it off, until somebody switches it on again.
    pub disabled: Option<Time>,
    /// HMAC of id, secret, role, purposes and end.
    pub verifier: [u8; 32],
    /// Counts the changes of this row.
    pub version: u64,
    /// The row's MAC.
    pub mac: [u8; 32],
}

impl KeyRow {
    /// Whoever presents it, as long as it counts; on nobody's behalf yet.
    pub fn actor(&self) -> Actor {
        Actor::Key {
            id: self.id,
            role: self.role.clone(),
            purposes: self.purposes.clone(),
            expires: self.expires,
            behalf: None,
        }
    }

    /// What the row's MAC covers.
    pub(super) fn columns(&self) -> Vec<u8> {
        let mut encoder = Encoder::new("api_key");
        encoder
            .bytes(self.id.as_bytes())
            .text(&self.name)
            .text(&self.role)
            .text(&self.purposes.join(","))
            .u64(unsigned(self.created))
            .u64(unsigned(self.expires))
            .u64(self.revoked.map_or(0, unsigned))
            .bytes(&self.verifier)
            .u64(self.version);
        // Rows from before there were keys of people, or restores, end here, and so do those that have
        // neither: they keep their MAC.
        if self.people {
            encoder.text("people");
        }
        if let Some(disabled) = self.disabled {
            encoder.text("disabled").u64(unsigned(disabled));
        }
        encoder.finish()
    }

    /// What the verifier covers: a raised role or a later end makes the secret worthless.
    pub(super) fn verifier_message(&self, secret: &[u8]) -> Plain {
        let mut encoder = Encoder::new("api_key/verifier");
        encoder
            .bytes(self.id.as_bytes())
            .bytes(secret)
            .text(&self.role)
            .text(&self.purposes.join(","))
            .u64(unsigned(self.expires));
        Plain::new(encoder.finish())
    }

    /// Why the key does not count at a moment, if it does not.
    pub fn refusal_at(&self, now: Time) -> Option<&'static str> {
        if self.revoked.is_some() {
            return Some("this key was revoked; use its successor");
        }
        if self.disabled.is_some() {
            return Some(
                "this key is switched off, as every key is after a restore; the operator looks at it \
                 and runs `strongroom key enable`",
            );
        }
        (now > self.expires).then_some("this key is past its end; make a new one")
    }
}

/// A key as its holder presents it.
pub(super) struct Presented {
    pub(super) id: Id<ApiKey>,
    pub(super) secret: Plain,
}

impl Presented {
    /// A new key; its text is shown once.
    pub(super) fn generate(id: Id<ApiKey>, random: &dyn Random) -> Result<Self, Error> {
        let secret = SecretKey::generate(random)?;
        Ok(Self { id, secret: Plain::copy_of(secret.expose_bytes()) })
    }

    /// `sr_live_` + id + secret + checksum, in one word: scanners for leaked secrets know the shape,
    /// and a truncated paste is told from a wrong key.
    pub(super) fn to_text(&self) -> Plain {
        let body = self.body();
        let check = checksum(&body);
        let mut text = zeroize::Zeroizing::new(PREFIX.to_owned());
        text.push_str(&data_encoding::HEXLOWER.encode(body.expose()));
        text.push_str(&data_encoding::HEXLOWER.encode(&check));
        Plain::copy_of(text.as_bytes())
    }

    /// Reads a key; `None` for anything that is not exactly one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix(PREFIX)?;
        if hex.len() != 2 * (16 + 32 + CHECK_SIZE_BYTES) {
            return None;
        }
        let bytes = Plain::new(data_encoding::HEXLOWER.decode(hex.as_bytes()).ok()?);
        let (id, rest) = bytes.expose().split_first_chunk::<16>()?;
        let (secret, check) = rest.split_first_chunk::<32>()?;
        let key = Self { id: Id::from_bytes(*id), secret: Plain::copy_of(secret) };
        (checksum(&key.body()) == check).then_some(key)
    }

    fn body(&self) -> Plain {
        let mut body = self.id.as_bytes().to_vec();
        body.extend_from_slice(self.secret.expose());
        Plain::new(body)
    }
}

/// The role a key has may be read by the policy's rules; the name is for people.
#[derive(Debug, Clone)]
pub struct NewKeyInput {
    /// 1 to 60 letters, digits, spaces, `-`, `_`, `.`: a system's name, not a person's.
    pub name: String,
    /// A role of the applied policy.
    pub role: String,
    /// Purposes of the applied policy.
    pub purposes: Vec<String>,
    /// Whether people sit at the program that uses it.
    pub people: bool,
    /// 1 to 365.
    pub days: u32,
}

fn checksum(body: &Plain) -> [u8; CHECK_SIZE_BYTES] {
    let mut check = [0; CHECK_SIZE_BYTES];
    let hash = sha256(&[b"strongroom/api key/checksum", body.expose()]);
    check.iter_mut().zip(hash).for_each(|(slot, byte)| *slot = byte);
    check
}

fn unsigned(time: Time) -> u64 {
    u64::try_from(time.as_ms()).unwrap_or(0)
}

const PREFIX: &str = "sr_live_";
const CHECK_SIZE_BYTES: usize = 4;
