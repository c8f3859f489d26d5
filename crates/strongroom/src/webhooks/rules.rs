//! What is said, how it is signed, what an answer means, when to try again (Standard Webhooks 1.0).

use std::collections::BTreeSet;

use data_encoding::BASE64;
use serde_json::json;
use strongroom_crypto::SharedSecret;
use zeroize::Zeroizing;

use crate::ctx::Time;
use crate::error::Error;
use crate::policy::HttpsAddress;
use crate::web::is_private_number;
use crate::webhooks::model::{EndpointRow, EndpointState, EventKind, EventRow};

/// What an answer means for the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The endpoint is gone for good.
    Gone,
    /// Not now: nobody who could judge the event has seen it.
    Later,
    /// The receiver has seen it and does not want it.
    Refused,
    /// It was taken.
    Taken,
}

/// What came of posting one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) verdict: Verdict,
    /// A stable code.
    pub(super) code: String,
}

/// How a walk ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing is left to do now.
    Drained,
    /// One was not taken.
    Failed { attempt: Attempt, number: i64 },
    /// The endpoint is gone for good, with its code.
    Gone(String),
    /// More is waiting.
    More,
}

/// How far a walk through the events came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Walked {
    /// The number of the last event that is done with.
    pub(super) position: i64,
    /// How many were taken.
    pub(super) posted: u64,
    /// How many were altered by other hands, and passed over.
    pub(super) altered: u64,
    /// The code of the last that was taken.
    pub(super) code: String,
    pub(super) end: End,
}

impl Walked {
    pub(super) fn from(position: i64) -> Self {
        Self { position, posted: 0, altered: 0, code: String::new(), end: End::Drained }
    }

    /// An event the endpoint is not told of.
    pub(super) fn pass(&mut self, number: i64, is_intact: bool) {
        self.position = number;
        self.altered += u64::from(!is_intact);
    }

    /// An event that was posted; whether to go on.
    pub(super) fn take(&mut self, attempt: Attempt, number: i64) -> bool {
        match attempt.verdict {
            Verdict::Taken => {
                (self.position, self.code) = (number, attempt.code);
                self.posted += 1;
                return true;
            }
            Verdict::Gone => self.end = End::Gone(attempt.code),
            Verdict::Later | Verdict::Refused => self.end = End::Failed { attempt, number },
        }
        false
    }

    /// Having looked past what the endpoint is not told of is looked past again.
    pub(super) fn is_worth_noting(&self) -> bool {
        self.posted > 0 || self.altered > 0 || self.end != End::Drained
    }
}

/// The endpoint after a walk. It gives up on a refused event only where the clock can be trusted.
pub(super) fn noted(
    before: &EndpointRow,
    walked: &Walked,
    now: Time,
    is_clock_trusted: bool,
) -> EndpointRow {
    let mut row = before.clone();
    row.position = walked.position;
    row.passed += walked.altered;
    if walked.posted > 0 {
        (row.attempts, row.failing, row.refused) = (0, None, None);
        row.code.clone_from(&walked.code);
    }
    match &walked.end {
        End::Drained | End::More => {}
        End::Gone(code) => {
            row.state = EndpointState::Gone;
            row.code.clone_from(code);
        }
        End::Failed { attempt, number } => {
            row.attempts += 1;
            row.code.clone_from(&attempt.code);
            row.failing = row.failing.or(Some(now));
            row.next = Time::from_ms(now.as_ms() + wait_ms(row.attempts));
            if attempt.verdict == Verdict::Refused {
                row.refused = row.refused.or(Some(now));
                if is_clock_trusted && is_given_up(row.refused, now) {
                    (row.position, row.next) = (*number, now);
                    (row.attempts, row.refused) = (0, None);
                    row.passed += 1;
                }
            }
        }
    }
    row
}

pub(super) fn judge(status: u16) -> Verdict {
    match status {
        200..=299 => Verdict::Taken,
        410 => Verdict::Gone,
        // Too busy, or a proxy whose application is down.
        408 | 425 | 429 | 502..=504 => Verdict::Later,
        // A redirect too: a receiver elsewhere is another receiver.
        _ => Verdict::Refused,
    }
}

/// How long to wait after so many attempts in vain.
fn wait_ms(attempts: u64) -> i64 {
    let place = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    WAITS_S.get(place).copied().unwrap_or(WAIT_S_MAX) * 1_000
}

/// Whether the time of an endpoint has come. One that would have to wait longer than any wait was told
/// so by a clock that was set right since.
pub(super) fn is_due(next: Time, now: Time) -> bool {
    next <= now || next.as_ms().saturating_sub(now.as_ms()) > WAIT_S_MAX * 1_000
}

/// Whether an event that is refused again and again is to keep the others waiting no longer.
fn is_given_up(refused: Option<Time>, now: Time) -> bool {
    refused.is_some_and(|since| now.as_ms().saturating_sub(since.as_ms()) >= REFUSED_MS)
}

/// The body: ids, and nothing else of a person.
pub(super) fn body(event: &EventRow) -> String {
    let mut data = json!({ "id": event.customer.to_string() });
    if let (Some(into), Some(data)) = (event.into, data.as_object_mut()) {
        data.insert("into".to_owned(), json!(into.to_string()));
    }
    json!({ "type": event.kind.as_str(), "timestamp": event.at.to_rfc3339(), "data": data })
        .to_string()
}

/// The value of `webhook-signature`: one signature for each secret that counts.
pub(super) fn signatures(secrets: &[SharedSecret], id: &str, second: &str, body: &str) -> String {
    let parts = [id, ".", second, ".", body].map(str::as_bytes);
    let sign = |secret: &SharedSecret| format!("v1,{}", BASE64.encode(&secret.sign(&parts)));
    secrets.iter().map(sign).collect::<Vec<_>>().join(" ")
}

/// The secret as its receiver is given it.
pub(super) fn secret_text(secret: &SharedSecret) -> Zeroizing<String> {
    let encoded = Zeroizing::new(BASE64.encode(secret.expose()));
    Zeroizing::new(format!("whsec_{}", *encoded))
}

/// Where to post. A number that is not of the open network is refused here; where a name leads is seen
/// each time it is connected to.
pub(super) fn parse_url(text: &str) -> Result<HttpsAddress, Error> {
    let address = HttpsAddress::parse(text).ok_or_else(|| {
        let detail = "`url` is an address that begins with https:// and names a host; without user, \
                      password, `#` or blanks, at most 300 letters";
        Error::unprocessable("bad_url", detail)
    })?;
    if !is_private_number(address.host()) {
        return Ok(address);
    }
    let detail = "`url` names an address of this machine or a private network. For a receiver in your \
                  own house name its host, and set `allow_private_address` under `[webhooks]`";
    Err(Error::unprocessable("private_address", detail))
}

/// What it is to be told of; everything without a word.
pub(super) fn parse_kinds(names: &[String]) -> Result<BTreeSet<EventKind>, Error> {
    if names.is_empty() {
        return Ok(EventKind::ALL.into_iter().collect());
    }
    let known = names.iter().map(|name| EventKind::parse(name));
    known.collect::<Option<_>>().ok_or_else(|| {
        let names = EventKind::ALL.map(EventKind::as_str).join("`, `");
        let detail = format!("`kinds` are of `{names}`; leave it out for all of them");
        Error::unprocessable("kind_unknown", detail)
    })
}

/// A receiver that hiccups is asked again at once, one that is down is not stormed when it comes back.
const WAITS_S: [i64; 6] = [5, 30, 120, 600, 1_800, WAIT_S_MAX];

const WAIT_S_MAX: i64 = 3_600;

/// Three days: a weekend in which nobody mends a program.
const REFUSED_MS: i64 = 3 * 86_400_000;
