//! An authority as people meet it, and when a certificate is due.

use strongroom_crypto::sha256;

use crate::ctx::Time;
use crate::web::{HostName, Life};

/// A small authority of our own; what may be shown of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Its certificate in PEM, for the devices.
    pub pem: String,
    /// SHA-256 of its certificate, as systems show it: `AB:CD:…`.
    pub fingerprint: String,
    /// The only names and addresses it can sign for.
    pub names: Vec<HostName>,
    /// Until when it counts.
    pub until: Time,
}

/// SHA-256 over a certificate in DER, as systems show it.
pub(super) fn fingerprint(der: &[u8]) -> String {
    let pairs: Vec<String> = sha256(&[der]).iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

/// Whether a certificate is to be renewed: a third of its life or less is left.
pub(super) fn is_due(life: Life, now: Time) -> bool {
    let whole_ms = life.until.as_ms().saturating_sub(life.from.as_ms());
    now >= life.until.plus_ms(-(whole_ms / 3))
}

/// Whether somebody must be told that it ends.
pub(super) fn is_ending(life: Life, now: Time) -> bool {
    // A certificate of days, as some authorities give them, is worth a word in its last sixth only.
    let whole_ms = life.until.as_ms().saturating_sub(life.from.as_ms());
    let notice_ms = (whole_ms / 6).min(NOTICE_MS);
    now >= life.until.plus_ms(-notice_ms)
}

/// Whole days until a moment; none once it is past.
pub(super) fn days_left(until: Time, now: Time) -> i64 {
    (until.as_ms().saturating_sub(now.as_ms()) / DAY_MS).max(0)
}

pub(super) const DAY_MS: i64 = 86_400_000;
/// Time for a person who is away for a week, and for another week of trying.
const NOTICE_MS: i64 = 14 * DAY_MS;
