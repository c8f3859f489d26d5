//! Sending: found again where it was left, each recipient once, through kills.
//!
//! A worker is one open connection. It lets one recipient go at a time: entry, guards and holding in
//! one change, then the hand-over, then what came of it. So a kill leaves at most one recipient per
//! connection whose fate nobody knows; those are listed, and sent again under the same message id.

mod deliver;
mod forget;
mod https;
mod smtp;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::access::{self, Desk, actor_of_key, raise_finding, system_grant};
use crate::config::Config;
use crate::ctx::{Ctx, Entry, EntryKind, Guard, Miss, Subjects, Time};
use crate::error::{Error, ErrorKind};
use crate::findings::{Finding, FindingKind};
use crate::outlets::model::SendState;
use crate::outlets::model::{RECIPIENT_TABLE, Recipient, RecipientState, SEND_TABLE, SendRow};
use crate::outlets::store;
use crate::outlets::verbs::waiting;
use crate::vault;

use deliver::{End, deliver};
pub use forget::forget_ended;
use https::HttpsSettings;
use smtp::SmtpSettings;

/// How vendors are reached; read once from the configuration.
pub struct Connections {
    smtp: Option<SmtpSettings>,
    https: BTreeMap<String, HttpsSettings>,
    /// Two runs at a time would take each other's recipients for lost.
    busy: tokio::sync::Mutex<()>,
}

impl Connections {
    /// To nobody: every send waits.
    pub fn none() -> Self {
        Self { smtp: None, https: BTreeMap::new(), busy: tokio::sync::Mutex::new(()) }
    }

    /// Reads passwords, tokens and certificates. Fails with `bad_config` or `bad_certificate`.
    pub fn read(config: &Config) -> Result<Self, Error> {
        let smtp = config.smtp.as_ref().map(SmtpSettings::read).transpose()?;
        let https = config
            .outlets
            .iter()
            .map(|(name, outlet)| Ok((name.clone(), HttpsSettings::read(outlet)?)))
            .collect::<Result<_, Error>>()?;
        Ok(Self { smtp, https, busy: tokio::sync::Mutex::new(()) })
    }
}

/// Looks for work every second until the future is dropped.
pub async fn attend(desk: Arc<Desk>, connections: Arc<Connections>) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        seconds.tick().await;
        let done = run_once(&desk, &connections).await;
        desk.meter.job(JOB, &done, desk.now());
        if let Err(error) = done {
            tracing::error!(job = JOB, code = error.code, cause = ?error.cause(), "a job failed");
        }
    }
}

/// Goes on with every send that is due, as far as it goes now.
pub async fn run_once(desk: &Arc<Desk>, connections: &Arc<Connections>) -> Result<(), Error> {
    let _alone = connections.busy.lock().await;
    let open = store::list_open(&mut desk.data.snapshot().await?).await?;
    for send in open {
        recover(desk, &send).await?;
        if send.next <= desk.now() {
            advance(desk, connections, send).await?;
        }
    }
    close_when_reached(desk).await
}

/// No vendor keeps a send waiting any more, or whatever waited was stopped.
async fn close_when_reached(desk: &Desk) -> Result<(), Error> {
    let open = store::list_open(&mut desk.data.snapshot().await?).await?;
    if open.iter().any(|send| is_unreachable(&send.why)) {
        return Ok(());
    }
    access::close_finding(desk, &system_ctx(desk)?, JOB, FindingKind::OutletUnreachable).await
}

/// Whether a send waits for its vendor, and not for another day's budget or the next look.
fn is_unreachable(why: &str) -> bool {
    !matches!(why, "" | "budget_spent" | "changed_meanwhile")
}

async fn advance(
    desk: &Arc<Desk>,
    connections: &Arc<Connections>,
    mut send: SendRow,
) -> Result<(), Error> {
    if !desk.keyring.is_row_intact(SEND_TABLE, &send.columns(), &send.mac)? {
        tell_altered(desk).await?;
        return settle(desk, &send, &End::Stop("tampered".to_owned())).await;
    }
    while send.state == SendState::Gathering {
        send = gather(desk, send).await?;
    }
    let end = match deliver(desk, connections, &send).await {
        Ok(end) => end,
        Err(error) if ends_a_send(&error) => End::Stop(error.code.to_owned()),
        Err(error) => return Err(error),
    };
    if let End::Pause(code, _) = &end
        && is_unreachable(code)
    {
        tell(desk, FindingKind::OutletUnreachable, UNREACHABLE).await?;
    }
    settle(desk, &send, &end).await
}

/// What a decision said no to stays so until somebody asks anew.
fn ends_a_send(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Forbidden | ErrorKind::Unauthenticated)
}

/// The next customers of a segment become recipients; where it stands goes on in the same change.
async fn gather(desk: &Desk, send: SendRow) -> Result<SendRow, Error> {
    let ctx = system_ctx(desk)?;
    // What was asked with a key ends with the key, before anybody is looked up for it.
    let acting = Ctx { actor: actor_of_key(desk, &send.asked_by)?, ..ctx.clone() };
    access::may_send(desk, &acting, &send.outlet, None)?;
    let (subjects, last) =
        vault::segment(desk, &ctx, &send.segment, send.place, GATHERED_AT_ONCE_MAX).await?;
    let mut next = SendRow { recipients: send.recipients + subjects.len() as u64, ..send.clone() };
    match last {
        Some(place) => next.place = place,
        None => next.state = SendState::Sending,
    }
    next.mac = desk.keyring.mac_row(SEND_TABLE, &next.columns())?;
    let entry = Entry::new(&ctx, EntryKind::Send, "outlet.gather")
        .because(&send.outlet, "")
        .counting(subjects.len() as u64);
    let statement = store::update_send(&next, &send.mac);
    let mut change = system_grant(&ctx, Vec::new())?.change(entry).guard(Guard::Rows {
        statement,
        expected: 1,
        miss: Miss::StateChanged,
    });
    for (number, subject) in (send.recipients..).zip(subjects) {
        let recipient = waiting(desk, &ctx, &send.id, number, subject)?;
        change = change.write(store::insert_recipient(&recipient));
    }
    access::commit(desk, change).await?;
    Ok(next)
}

/// Recipients that were let go and have no outcome: the process ended, or the outcome could not be
/// written. Nobody knows whether they were reached, so they are listed and sent to again.
async fn recover(desk: &Desk, send: &SendRow) -> Result<(), Error> {
    loop {
        let id = send.id;
        let state = RecipientState::Released;
        let lost = desk
            .data
            .scan(move |db| store::list_recipients(db, &id, state, -1, RECOVERED_AT_ONCE_MAX))
            .await?;
        if lost.is_empty() {
            return Ok(());
        }
        let ctx = system_ctx(desk)?;
        let subjects = lost.iter().map(|it| it.subject).collect();
        let entry = Entry::new(&ctx, EntryKind::Send, "outlet.unknown")
            .because(&send.outlet, "")
            .about(Subjects::Set(subjects))
            .counting(lost.len() as u64);
        let mut change = system_grant(&ctx, Vec::new())?.change(entry);
        for recipient in lost {
            let next = Recipient {
                state: RecipientState::Waiting,
                doubts: recipient.doubts + 1,
                next: ctx.now,
                code: "unknown".to_owned(),
                ..recipient.clone()
            };
            change = change.guard(updated(desk, &recipient, next)?);
        }
        access::commit(desk, change).await?;
    }
}

/// Writes where a send stands after a run, if that changed.
async fn settle(desk: &Desk, send: &SendRow, end: &End) -> Result<(), Error> {
    let id = send.id;
    let due = desk.data.scan(move |db| store::next_due(db, &id)).await?;
    let now = desk.now();
    let (state, why, next) = match (end, due) {
        (End::Stop(code), _) => (SendState::Stopped, code.clone(), now),
        (End::Pause(code, ms), _) => {
            (SendState::Sending, code.clone(), Time::from_ms(now.as_ms() + ms))
        }
        (End::Drained, Some(due)) => (SendState::Sending, String::new(), due),
        (End::Drained, None) => (SendState::Done, String::new(), now),
    };
    let mut settled = SendRow { state, why, next, ..send.clone() };
    if (settled.state, &settled.why) == (send.state, &send.why) && settled.next <= send.next {
        return Ok(());
    }
    settled.mac = desk.keyring.mac_row(SEND_TABLE, &settled.columns())?;
    let ctx = system_ctx(desk)?;
    let entry = Entry::new(&ctx, EntryKind::Send, "outlet.settle").because(&send.outlet, "");
    let statement = store::update_send(&settled, &send.mac);
    let change = system_grant(&ctx, Vec::new())?.change(entry).guard(Guard::Rows {
        statement,
        expected: 1,
        miss: Miss::StateChanged,
    });
    match access::commit(desk, change).await {
        // Somebody stopped it meanwhile: that counts.
        Err(error) if error.code == "state_changed" => Ok(()),
        other => other.map(drop),
    }
}

fn updated(desk: &Desk, before: &Recipient, mut next: Recipient) -> Result<Guard, Error> {
    next.mac = desk.keyring.mac_row(RECIPIENT_TABLE, &next.columns())?;
    let statement = store::update_recipient(&next, &before.mac);
    Ok(Guard::Rows { statement, expected: 1, miss: Miss::StateChanged })
}

async fn tell_altered(desk: &Desk) -> Result<(), Error> {
    tell(desk, FindingKind::Tampered, ALTERED).await
}

async fn tell(desk: &Desk, kind: FindingKind, detail: &str) -> Result<(), Error> {
    let finding = Finding { kind, detail: detail.to_owned(), customer: None };
    raise_finding(desk, &system_ctx(desk)?, JOB, &finding).await
}

fn system_ctx(desk: &Desk) -> Result<Ctx, Error> {
    Ctx::system(JOB, desk.now(), Arc::clone(&desk.random))
}

const JOB: &str = "outlets.send";

/// Opening a core takes tens of microseconds, and other work wants its turn.
const GATHERED_AT_ONCE_MAX: usize = 500;

const RECOVERED_AT_ONCE_MAX: i64 = 500;

const ALTERED: &str = "a send or one of its recipients was altered in the database by other hands, so \
                       it was stopped; find out who can write to the database, and ask for the send \
                       again";
const UNREACHABLE: &str = "an outlet cannot reach its vendor, so customers wait for what was to be sent: \
                           the configuration lacks its connection, or the server refuses it. See \
                           `[smtp]` and `[outlets.NAME]` in the configuration and the log";
