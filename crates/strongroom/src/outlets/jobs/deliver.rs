//! One run of a send: workers that each let one recipient go at a time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use strongroom_crypto::Encoder;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::access::{self, Desk, actor_of_key, may_send, system_grant};
use crate::ctx::{Ctx, Entry, EntryKind, FieldSet, Guard, Miss, Pseudonym, Subjects, Time};
use crate::error::{Error, ErrorKind};
use crate::outlets::jobs::https::HttpsChannel;
use crate::outlets::jobs::smtp::{SmtpChannel, SmtpSettings};
use crate::outlets::jobs::{Connections, ends_a_send, system_ctx, updated};
use crate::outlets::model::{Handed, Letter, RECIPIENT_TABLE, Recipient, RecipientState, SendRow};
use crate::outlets::rules::{Template, TemplateText, wait_ms};
use crate::outlets::store;
use crate::outlets::verbs::field_names;
use crate::places::{self, NewHolding, PlaceKind, PlaceName, Whose};
use crate::policy::{Destination, FieldKind, FieldValue, Outlet};
use crate::vault::{self, Allowance, Release, Released};

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// Everyone who was due had their turn.
    Drained,
    /// Not now, for so many ms.
    Pause(String, i64),
    /// Never, unless it is asked for again.
    Stop(String),
}

/// What every worker of a run knows.
struct Run {
    desk: Arc<Desk>,
    send: SendRow,
    template: Option<Template>,
    /// Whom mail is from; none for HTTPS.
    smtp: Option<SmtpSettings>,
    /// The field with the recipient's address; none for HTTPS.
    address_field: Option<String>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    due: VecDeque<Recipient>,
    behind: i64,
    ended: bool,
}

/// One open connection.
enum Channel {
    Https(Box<HttpsChannel>),
    Smtp(Box<SmtpChannel>),
}

pub(super) async fn deliver(
    desk: &Arc<Desk>,
    connections: &Arc<Connections>,
    send: &SendRow,
) -> Result<End, Error> {
    let acting = Ctx { actor: actor_of_key(desk, &send.asked_by)?, ..system_ctx(desk)? };
    let permission = may_send(desk, &acting, &send.outlet, None)?;
    let policy = &permission.applied.policy;
    let outlet = policy.outlets().get(send.outlet.as_str()).ok_or_else(Error::not_found)?.clone();
    let address_field = policy
        .fields()
        .iter()
        .find(|(name, field)| {
            field.kind == FieldKind::Email && outlet.fields.contains(name.as_str())
        })
        .map(|(name, _)| name.as_str().to_owned());
    let template = match outlet.to {
        Destination::Https(_) => None,
        Destination::Smtp => Some(open_template(desk, send, &outlet)?),
    };
    let Some(channels) = channels(connections, &send.outlet, &outlet) else {
        return Ok(End::Pause("no_connection".to_owned(), PAUSE_MS));
    };
    let queue = Mutex::new(Queue { behind: -1, ..Queue::default() });
    let (desk, send) = (Arc::clone(desk), send.clone());
    let smtp = connections.smtp.clone();
    let run = Arc::new(Run { desk, send, template, smtp, address_field, queue });
    let mut workers = JoinSet::new();
    for channel in channels {
        workers.spawn(work(Arc::clone(&run), channel));
    }
    let mut end = End::Drained;
    let mut failed = None;
    while let Some(worker) = workers.join_next().await {
        match worker.map_err(Error::internal)? {
            Ok(End::Drained) => {}
            Ok(other) => end = other,
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(end), Err)
}

fn open_template(desk: &Desk, send: &SendRow, outlet: &Outlet) -> Result<Template, Error> {
    let plain = desk.keyring.open_text(send.id.as_bytes(), &send.template)?;
    let text: TemplateText = serde_json::from_slice(plain.expose()).map_err(Error::internal)?;
    // The outlet may have lost a field since; then its words no longer fit.
    Template::parse(&text, &field_names(outlet))
        .map_err(|_| Error::forbidden("template_outdated", "the outlet no longer sends a field"))
}

fn channels(connections: &Connections, name: &str, outlet: &Outlet) -> Option<Vec<Channel>> {
    match &outlet.to {
        Destination::Smtp => {
            let smtp = connections.smtp.as_ref()?;
            let channel = || Channel::Smtp(Box::new(SmtpChannel::new(smtp.clone())));
            Some((0..smtp.connections()).map(|_| channel()).collect())
        }
        Destination::Https(address) => {
            let settings = connections.https.get(name)?;
            Some(vec![Channel::Https(Box::new(HttpsChannel::new(address, settings)))])
        }
    }
}

async fn work(run: Arc<Run>, mut channel: Channel) -> Result<End, Error> {
    loop {
        let Some(recipient) = run.next().await? else {
            channel.close().await;
            return Ok(End::Drained);
        };
        // First the connection: nothing is let go for one that cannot be had.
        if let Err(code) = channel.ready().await {
            return Ok(End::Pause(code, PAUSE_MS));
        }
        if let Some(end) = run.serve(&mut channel, recipient).await? {
            return Ok(end);
        }
    }
}

impl Run {
    async fn next(&self) -> Result<Option<Recipient>, Error> {
        let mut queue = self.queue.lock().await;
        while queue.due.is_empty() && !queue.ended {
            let (id, behind) = (self.send.id, queue.behind);
            let state = RecipientState::Waiting;
            let page = self
                .desk
                .data
                .scan(move |db| store::list_recipients(db, &id, state, behind, PAGE_MAX))
                .await?;
            let now = self.desk.now();
            match page.last() {
                Some(last) => queue.behind = i64::try_from(last.number).unwrap_or(i64::MAX),
                None => queue.ended = true,
            }
            queue.due.extend(page.into_iter().filter(|it| it.next <= now));
        }
        Ok(queue.due.pop_front())
    }

    /// Lets one recipient go and writes down what came of it. An end ends the run.
    async fn serve(
        &self,
        channel: &mut Channel,
        recipient: Recipient,
    ) -> Result<Option<End>, Error> {
        let desk = &self.desk;
        let columns = recipient.columns();
        if !desk.keyring.is_row_intact(RECIPIENT_TABLE, &columns, &recipient.mac)? {
            return Ok(Some(End::Stop("tampered".to_owned())));
        }
        let mut released = Recipient {
            state: RecipientState::Released,
            attempts: recipient.attempts + 1,
            ..recipient.clone()
        };
        released.mac = desk.keyring.mac_row(RECIPIENT_TABLE, &released.columns())?;
        let letter = match self.release(&recipient, &released).await {
            Ok(Some(letter)) => letter,
            Ok(None) => return self.skip(&recipient, "gone").await,
            Err(error) if SKIPPED.contains(&error.code) => {
                return self.skip(&recipient, error.code).await;
            }
            // Stopped, or taken by nobody else: looked at again in the next run.
            Err(error) if error.code == "state_changed" => {
                return Ok(Some(End::Pause("changed_meanwhile".to_owned(), 0)));
            }
            Err(error) if error.code == "budget_spent" => {
                let ms = error.retry_after_s.unwrap_or(3_600).saturating_mul(1_000);
                let ms = i64::try_from(ms).unwrap_or(PAUSE_MS);
                return Ok(Some(End::Pause("budget_spent".to_owned(), ms)));
            }
            Err(error) if ends_a_send(&error) => {
                return Ok(Some(End::Stop(error.code.to_owned())));
            }
            // One customer who cannot be opened keeps nobody else waiting.
            Err(error) if DAMAGED.contains(&error.code) => {
                return self.note(&recipient, Handed::Later(error.code.to_owned())).await;
            }
            Err(error) => return Err(error),
        };
        let handed = channel.hand_over(&letter).await;
        drop(letter);
        if !handed.keeps_connection() {
            channel.close().await;
        }
        self.note(&released, handed).await
    }

    /// Entry, guards and holding are durable when this gives the letter out.
    async fn release(
        &self,
        recipient: &Recipient,
        released: &Recipient,
    ) -> Result<Option<Letter>, Error> {
        let desk = &self.desk;
        let actor = actor_of_key(desk, &self.send.asked_by)?;
        let ctx = Ctx { actor, ..system_ctx(desk)? };
        let origin = self.send.id.to_string();
        let place = PlaceName::parse(&self.send.outlet)?;
        let allow = |id: &_| may_send(desk, &ctx, &self.send.outlet, Some(id)).map(Allowance::Key);
        let act = |now_as: &Pseudonym, fields: FieldSet, values: &BTreeMap<String, FieldValue>| {
            // What cannot be written is not let go.
            self.letter(recipient, values, ctx.now)?;
            let holding = NewHolding {
                place: &place,
                kind: PlaceKind::Vendor,
                whose: Whose::These(vec![recipient.subject]),
                fields,
                due: None,
                act: "outlet.send",
                origin: &origin,
            };
            let is_first = recipient.attempts == 0;
            let writes = if is_first { places::hold(desk, &ctx, &holding)? } else { Vec::new() };
            let released = store::update_recipient(released, &recipient.mac);
            let same = store::same_send(&self.send);
            let miss = Miss::StateChanged;
            let mut guards = vec![
                Guard::Rows { statement: same, expected: 1, miss: miss.clone() },
                Guard::Rows { statement: released, expected: 1, miss },
            ];
            if *now_as != recipient.subject {
                // Merged into another: who stands in this send themselves gets it as themselves.
                let statement = store::recipients_of(&self.send.id, now_as);
                guards.push(Guard::Rows { statement, expected: 0, miss: Miss::Served });
            }
            Ok(Release {
                entry: Entry::new(&ctx, EntryKind::Send, "outlet.send")
                    .because(&self.send.outlet, "")
                    .counting(1),
                guards,
                writes,
                life: None,
            })
        };
        match vault::release(desk, &ctx, &recipient.subject, allow, act).await? {
            Released::Gone => Ok(None),
            Released::Values { values, .. } => self.letter(recipient, &values, ctx.now).map(Some),
        }
    }

    fn letter(
        &self,
        recipient: &Recipient,
        values: &BTreeMap<String, FieldValue>,
        now: Time,
    ) -> Result<Letter, Error> {
        let mut encoder = Encoder::new("send/message");
        encoder.bytes(recipient.send.as_bytes()).u64(recipient.number);
        let tag = self.desk.keyring.mac_row("send/message", &encoder.finish())?;
        let token = data_encoding::HEXLOWER.encode(tag.get(..16).unwrap_or(&tag));
        match (&self.template, &self.address_field, &self.smtp) {
            (Some(template), Some(field), Some(smtp)) => {
                let address = values.get(field).ok_or_else(|| cannot("no_address"))?;
                smtp.letter(token, address, &template.render(values), now)
            }
            _ => super::https::letter(token, values),
        }
    }

    async fn skip(&self, recipient: &Recipient, code: &str) -> Result<Option<End>, Error> {
        let state = RecipientState::Skipped;
        let next = Recipient { state, code: code.to_owned(), ..recipient.clone() };
        self.write(recipient, next, "outlet.skip").await
    }

    async fn note(&self, recipient: &Recipient, handed: Handed) -> Result<Option<End>, Error> {
        let now = self.desk.now();
        let mut next = recipient.clone();
        let later = |attempts: u64| {
            wait_ms(attempts).map_or((RecipientState::Failed, now), |ms| {
                (RecipientState::Waiting, Time::from_ms(now.as_ms() + ms))
            })
        };
        let verb = match handed {
            Handed::Accepted => {
                (next.state, next.code) = (RecipientState::Accepted, String::new());
                "outlet.accepted"
            }
            Handed::Refused(code) => {
                (next.state, next.code) = (RecipientState::Refused, code);
                "outlet.bounce"
            }
            Handed::Later(code) => {
                (next.state, next.next) = later(next.attempts.max(1));
                next.code = code;
                "outlet.later"
            }
            Handed::Unknown(code) => {
                (next.state, next.next) = later(next.attempts);
                next.doubts += 1;
                next.code = code;
                "outlet.unknown"
            }
        };
        self.write(recipient, next, verb).await
    }

    async fn write(
        &self,
        before: &Recipient,
        next: Recipient,
        verb: &'static str,
    ) -> Result<Option<End>, Error> {
        let ctx = system_ctx(&self.desk)?;
        let reason = if next.code.is_empty() { &self.send.outlet } else { &next.code };
        let entry = Entry::new(&ctx, EntryKind::Send, verb)
            .because(reason, "")
            .about(Subjects::One(before.subject));
        let guard = updated(&self.desk, before, next)?;
        let change = system_grant(&ctx, Vec::new())?.change(entry).guard(guard);
        access::commit(&self.desk, change).await?;
        Ok(None)
    }
}

impl Channel {
    async fn ready(&mut self) -> Result<(), String> {
        match self {
            Self::Https(channel) => channel.ready().await,
            Self::Smtp(channel) => channel.ready().await,
        }
    }

    async fn hand_over(&mut self, letter: &Letter) -> Handed {
        match self {
            Self::Https(channel) => channel.hand_over(letter).await,
            Self::Smtp(channel) => channel.hand_over(letter).await,
        }
    }

    async fn close(&mut self) {
        if let Self::Smtp(channel) = self {
            channel.close().await;
        }
    }
}

/// A letter that cannot be written; its recipient is passed over and listed as such.
pub(super) fn cannot(code: &'static str) -> Error {
    Error::new(ErrorKind::Unprocessable, code, "nothing can be sent to this customer")
}

const SKIPPED: [&str; 4] = ["bad_address", "consent_missing", "no_address", "served_already"];

const DAMAGED: [&str; 2] = ["key_missing", "tampered"];

/// So many recipients are read ahead.
const PAGE_MAX: i64 = 200;

/// A server that is down is usually up again after so long.
const PAUSE_MS: i64 = 5 * 60_000;
