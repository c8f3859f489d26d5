//! Asking for a send: whom, with which words. Nothing leaves yet.

use std::collections::{BTreeSet, HashSet};

use strongroom_crypto::Plain;

use crate::access::{self, Attempt, Desk, Permission, commit_or_retry};
use crate::ctx::{Actor, Ctx, Entry, EntryKind, FieldSet, Pseudonym, Receipt};
use crate::error::{Error, ErrorKind};
use crate::id::{Customer, Id, Sending};
use crate::outlets::model::{RECIPIENT_TABLE, Recipient, RecipientState, SEND_TABLE};
use crate::outlets::model::{SendRow, SendState};
use crate::outlets::rules::{Template, TemplateText};
use crate::outlets::store;
use crate::outlets::verbs::ATTEMPTS_MAX;
use crate::policy::{Destination, Outlet};
use crate::vault;

/// Whom to send to and what to say.
pub struct AskInput {
    /// These, each once; none where a segment is named.
    pub customers: Vec<Id<Customer>>,
    /// All customers with this relation.
    pub segment: Option<String>,
    /// The words of a mail; none for an HTTPS outlet.
    pub template: Option<TemplateText>,
}

/// A send that was asked for.
pub struct Asked {
    /// Names it.
    pub id: Id<Sending>,
    /// How many customers it goes to; none while a segment is still gathered.
    pub recipients: Option<u64>,
    /// How many of the ids name nobody who may be sent to.
    pub unknown: u64,
    /// Where the asking stands in the ledger.
    pub receipt: Receipt,
}

/// Asks for a send through an outlet.
pub async fn ask(desk: &Desk, ctx: &Ctx, outlet: &str, input: &AskInput) -> Result<Asked, Error> {
    for _ in 0..ATTEMPTS_MAX {
        let permission = access::may_send(desk, ctx, outlet, None)?;
        let Actor::Key { id: asked_by, .. } = &ctx.actor else { return Err(Error::not_found()) };
        let id: Id<Sending> = ctx.new_id()?;
        refuse_bad_recipients(&permission, input)?;
        let template = seal_template(desk, &id, known(&permission, outlet)?, &input.template)?;
        refuse_one_too_many(desk).await?;
        let (subjects, unknown) = subjects_of(desk, ctx, &input.customers).await?;
        let mut row = SendRow {
            id,
            outlet: outlet.to_owned(),
            asked_by: *asked_by,
            segment: input.segment.clone().unwrap_or_default(),
            template,
            asked: ctx.now,
            state: if input.segment.is_some() { SendState::Gathering } else { SendState::Sending },
            why: String::new(),
            place: i64::MIN,
            recipients: subjects.len() as u64,
            next: ctx.now,
            mac: [0; 32],
        };
        row.mac = desk.keyring.mac_row(SEND_TABLE, &row.columns())?;
        let mut writes = vec![store::insert_send(&row)];
        for (number, subject) in (0..).zip(&subjects) {
            let recipient = waiting(desk, ctx, &id, number, *subject)?;
            writes.push(store::insert_recipient(&recipient));
        }
        let fields = FieldSet::of(permission.fields.keys().copied());
        let entry = Entry::new(ctx, EntryKind::Send, "outlet.ask")
            .because(outlet, "")
            .of_fields(fields)
            .counting(row.recipients);
        let change = permission.grant.change(entry).making(id).write_all(writes);
        if let Attempt::Done(receipt) = commit_or_retry(desk, change).await? {
            let recipients = input.segment.is_none().then_some(row.recipients);
            return Ok(Asked { id, recipients, unknown, receipt });
        }
    }
    let detail = "rights keep changing while this is done; try again";
    Err(Error::unavailable("changed_meanwhile", detail).retry_after(1))
}

/// A recipient nothing was sent to yet.
pub(in crate::outlets) fn waiting(
    desk: &Desk,
    ctx: &Ctx,
    send: &Id<Sending>,
    number: u64,
    subject: Pseudonym,
) -> Result<Recipient, Error> {
    let mut recipient = Recipient {
        send: *send,
        number,
        subject,
        state: RecipientState::Waiting,
        attempts: 0,
        doubts: 0,
        next: ctx.now,
        code: String::new(),
        mac: [0; 32],
    };
    recipient.mac = desk.keyring.mac_row(RECIPIENT_TABLE, &recipient.columns())?;
    Ok(recipient)
}

/// The fields of an outlet by name.
pub(in crate::outlets) fn field_names(outlet: &Outlet) -> BTreeSet<String> {
    outlet.fields.iter().map(|name| name.as_str().to_owned()).collect()
}

fn known<'p>(permission: &'p Permission, outlet: &str) -> Result<&'p Outlet, Error> {
    permission.applied.policy.outlets().get(outlet).ok_or_else(Error::not_found)
}

/// The words may hold a name somebody typed into them, so they are sealed like one.
fn seal_template(
    desk: &Desk,
    id: &Id<Sending>,
    outlet: &Outlet,
    template: &Option<TemplateText>,
) -> Result<Vec<u8>, Error> {
    match (&outlet.to, template) {
        (Destination::Smtp, Some(template)) => {
            Template::parse(template, &field_names(outlet))?;
            let text = serde_json::to_vec(template).map_err(Error::internal)?;
            desk.keyring.seal_text(id.as_bytes(), &Plain::new(text))
        }
        (Destination::Https(_), None) => Ok(Vec::new()),
        (Destination::Smtp, None) => {
            let detail = "this outlet sends mail: send `template` with `subject` and `text`";
            Err(Error::unprocessable("template_missing", detail))
        }
        (Destination::Https(_), Some(_)) => {
            let detail = "this outlet posts fields to a vendor, who has the words; leave `template` \
                          out";
            Err(Error::unprocessable("template_unused", detail))
        }
    }
}

fn refuse_bad_recipients(permission: &Permission, input: &AskInput) -> Result<(), Error> {
    match &input.segment {
        Some(segment) => {
            if !input.customers.is_empty() {
                let detail = "name `customers` or `segment`, not both";
                return Err(Error::bad_request("bad_recipients", detail));
            }
            let relations = permission.applied.policy.relations();
            if !relations.contains_key(segment.as_str()) {
                let names: Vec<&str> = relations.keys().map(|name| name.as_str()).collect();
                let detail = format!("`segment` is one of `{}`", names.join("`, `"));
                return Err(Error::unprocessable("segment_unknown", detail));
            }
            Ok(())
        }
        None if input.customers.is_empty() => {
            let detail = "name `customers` or `segment`";
            Err(Error::bad_request("missing_member", detail))
        }
        None if input.customers.len() > RECIPIENTS_MAX => {
            let detail = "a send names at most 20,000 customers; send in parts, or to a segment";
            Err(Error::new(ErrorKind::TooLarge, "too_many_recipients", detail))
        }
        None => Ok(()),
    }
}

async fn refuse_one_too_many(desk: &Desk) -> Result<(), Error> {
    let open = store::list_open(&mut desk.data.snapshot().await?).await?.len();
    if i64::try_from(open).unwrap_or(i64::MAX) < store::SENDS_MAX {
        return Ok(());
    }
    let detail = "100 sends are under way; wait for one to end, or stop one";
    Err(Error::conflict("too_many_sends", detail))
}

async fn subjects_of(
    desk: &Desk,
    ctx: &Ctx,
    customers: &[Id<Customer>],
) -> Result<(Vec<Pseudonym>, u64), Error> {
    let (mut subjects, mut known, mut unknown) = (Vec::new(), HashSet::new(), 0);
    for id in customers {
        match vault::subject_of(desk, ctx, id).await {
            Ok(subject) => {
                if known.insert(subject.pseudonym) {
                    subjects.push(subject.pseudonym);
                }
            }
            Err(error) if error.kind == ErrorKind::NotFound => unknown += 1,
            Err(error) => return Err(error),
        }
    }
    Ok((subjects, unknown))
}

/// One change writes a row for each: about 4 MB, a few tenths of a second.
const RECIPIENTS_MAX: usize = 20_000;
