//! Writing down how far a courier came, and telling a person what they must know.

use crate::access::{self, Desk, system_grant};
use crate::ctx::{Ctx, Entry, EntryKind, Guard, Miss, Time};
use crate::db::Statement;
use crate::error::Error;
use crate::findings::{self, Finding, FindingKind};
use crate::webhooks::jobs::system_ctx;
use crate::webhooks::model::{EndpointRow, EndpointState};
use crate::webhooks::rules::{self, End, Walked};
use crate::webhooks::verbs::{ATTEMPTS_MAX, Among, becomes, is_intact};

/// The endpoint as it is from now on; none where it was ended or told again meanwhile.
pub(super) async fn note(
    desk: &Desk,
    before: &EndpointRow,
    walked: Walked,
) -> Result<Option<EndpointRow>, Error> {
    for _ in 0..ATTEMPTS_MAX {
        let Some(among) = Among::find(desk, &before.id).await? else { return Ok(None) };
        // Switched or given another secret meanwhile: what was posted was posted.
        if among.row.position != before.position || !is_intact(desk, &among.row)? {
            return Ok(None);
        }
        let ctx = system_ctx(desk)?;
        let is_trusted = !desk.trust.is_suspect(desk.clock.as_ref());
        let mut after = rules::noted(&among.row, &walked, ctx.now, is_trusted);
        let gives_up = after.position > walked.position;
        let guard = becomes(desk, &among.row, &mut after, Miss::StateChanged)?;
        let entry = Entry::new(&ctx, EntryKind::System, verb(&walked, gives_up))
            .because(&before.id.to_string(), &after.code)
            .counting(walked.posted);
        let mut change = system_grant(&ctx, Vec::new())?
            .change(entry)
            .guard(guard)
            .write_all(told(&ctx, &among.row, &after, &walked))
            .write_all(among.settled(Some(&after), ctx.now));
        if gives_up {
            // A clock that jumps must not pass events over.
            change = change.guard(Guard::TrustedClock);
        }
        match access::commit(desk, change).await {
            Ok(_) => return Ok(Some(after)),
            Err(error) if error.code == "state_changed" || error.code == "clock_suspect" => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn verb(walked: &Walked, gives_up: bool) -> &'static str {
    match &walked.end {
        End::Gone(_) => "webhook.gone",
        _ if gives_up => "webhook.pass",
        End::Failed { .. } if walked.posted == 0 => "webhook.fail",
        _ => "webhook.deliver",
    }
}

/// Findings, in the change that makes them true.
fn told(ctx: &Ctx, before: &EndpointRow, after: &EndpointRow, walked: &Walked) -> Vec<Statement> {
    let mut told = Vec::new();
    if after.fails_at(ctx.now) {
        told.push(finding(FindingKind::WebhookFailing, failing(after), ctx.now));
    }
    if after.state == EndpointState::Gone && before.state != EndpointState::Gone {
        told.push(finding(FindingKind::WebhookGone, gone(after), ctx.now));
    }
    if after.passed > before.passed {
        told.push(finding(FindingKind::WebhookPassed, passed(after), ctx.now));
    }
    if walked.altered > 0 {
        told.push(finding(FindingKind::Tampered, ALTERED.to_owned(), ctx.now));
    }
    told
}

fn finding(kind: FindingKind, detail: String, now: Time) -> Statement {
    findings::raise_within(&Finding { kind, detail, customer: None }, now)
}

fn failing(row: &EndpointRow) -> String {
    format!(
        "the webhook `{}` takes nothing (`{}`), so another system does not learn who was changed or \
         erased: look at `strongroom webhook list` and at the receiver. Nothing is lost for 30 days",
        row.id, row.code
    )
}

fn gone(row: &EndpointRow) -> String {
    format!(
        "the webhook `{}` answered that it is gone for good (410) and is told nothing any more: \
         `strongroom webhook on` if that is wrong, `strongroom webhook end` if it is right",
        row.id
    )
}

pub(super) fn passed(row: &EndpointRow) -> String {
    format!(
        "the webhook `{}` will not learn of events that it refused for three days or that grew older \
         than 30 days: mend the receiver and have it told again with `strongroom webhook replay`; what \
         is no longer kept it has to read from its customers",
        row.id
    )
}

const ALTERED: &str = "an event for webhooks was altered in the database by other hands and was sent to \
                       nobody; find out who can write to the database, and have the receivers read \
                       their customers again";
