//! A call that is done once, however often it is sent.

use std::fmt;

/// What the change of such a call writes down about it: hashes, a status, an id; nothing that was
/// sent and nothing that was answered.
///
/// Made by the outermost door from `Idempotency-Key`. It rides in [`crate::ctx::Ctx`], every grant
/// takes it along as a guard, and the change can only be committed once: no verb can forget it.
#[derive(Clone, PartialEq, Eq)]
pub struct Claim {
    /// HMAC of caller and key.
    pub(crate) key_hash: [u8; 32],
    /// HMAC of the key and everything that was sent.
    pub(crate) request_hash: [u8; 32],
    /// The status where the call makes something new.
    pub(crate) made_status: u16,
    /// The status everywhere else.
    pub(crate) done_status: u16,
    /// The status that was answered.
    pub(crate) status: u16,
    /// The id of what was made or changed, where the address does not name it already.
    pub(crate) resource: String,
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Claim({} {})", self.status, self.resource)
    }
}
