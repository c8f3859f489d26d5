//! One courier: posts what an endpoint is to be told of, in order, until one is not taken.

use std::sync::Arc;

use strongroom_crypto::SharedSecret;

use crate::access::Desk;
use crate::error::Error;
use crate::policy::HttpsAddress;
use crate::web::{Posted, Poster};
use crate::webhooks::jobs::note::note;
use crate::webhooks::jobs::{Couriers, can_work};
use crate::webhooks::model::{EVENT_TABLE, EndpointRow, EndpointState, EventRow};
use crate::webhooks::rules::{self, Attempt, End, Verdict, Walked};
use crate::webhooks::store;

pub(super) async fn deliver(
    desk: &Arc<Desk>,
    couriers: &Couriers,
    mut row: EndpointRow,
) -> Result<(), Error> {
    let mut poster = None;
    while row.state == EndpointState::On {
        let events = {
            let mut data = desk.data.snapshot().await?;
            store::list_events(&mut data, row.position).await?
        };
        let walked = walk(desk, couriers, &mut poster, &row, events).await?;
        if !walked.is_worth_noting() {
            return Ok(());
        }
        let goes_on = walked.end == End::More;
        let Some(noted) = note(desk, &row, walked).await? else { return Ok(()) };
        row = noted;
        if !goes_on {
            return Ok(());
        }
    }
    Ok(())
}

/// Posts some of these events, and says how far that came.
async fn walk(
    desk: &Desk,
    couriers: &Couriers,
    poster: &mut Option<Poster>,
    row: &EndpointRow,
    events: Vec<EventRow>,
) -> Result<Walked, Error> {
    let secrets = open_secrets(desk, row)?;
    let is_last = events.len() < usize::try_from(store::EVENTS_PAGE_MAX).unwrap_or(usize::MAX);
    let mut walked = Walked::from(row.position);
    for event in events {
        if walked.posted >= NOTED_AFTER_MAX {
            walked.end = End::More;
            return Ok(walked);
        }
        let is_intact = desk.keyring.is_row_intact(EVENT_TABLE, &event.columns(), &event.mac)?;
        if !is_intact || !row.kinds.contains(&event.kind) {
            walked.pass(event.number, is_intact);
            continue;
        }
        // Ended, switched off or told again meanwhile: nothing more leaves for how it was.
        if !can_work(desk) || !store::is_same(&mut desk.data.snapshot().await?, row).await? {
            walked.end = End::Drained;
            return Ok(walked);
        }
        let attempt = post(desk, couriers, poster, row, &secrets, &event).await;
        if !walked.take(attempt, event.number) {
            return Ok(walked);
        }
    }
    walked.end = if is_last { End::Drained } else { End::More };
    Ok(walked)
}

async fn post(
    desk: &Desk,
    couriers: &Couriers,
    poster: &mut Option<Poster>,
    row: &EndpointRow,
    secrets: &[SharedSecret],
    event: &EventRow,
) -> Attempt {
    let later = |code: &str| Attempt { verdict: Verdict::Later, code: code.to_owned() };
    let poster = match poster {
        Some(poster) => poster,
        none => {
            let Some(address) = HttpsAddress::parse(&row.url) else { return later("bad_url") };
            let Ok(trusted) = couriers.trust(None) else { return later("no_trusted_certificates") };
            let (url, host, port) = (address.as_str(), address.host(), address.port());
            none.insert(Poster::new(url, host, port, couriers.reach, trusted))
        }
    };
    if let Err(code) = poster.ready().await {
        return later(code);
    }
    let (id, body) = (event.id.to_string(), rules::body(event));
    // When it is sent, not when it happened: the receiver refuses what is old.
    let second = (desk.now().as_ms() / 1_000).to_string();
    let signatures = rules::signatures(secrets, &id, &second, &body);
    let headers = [
        ("webhook-id", id.as_str()),
        ("webhook-timestamp", &second),
        ("webhook-signature", &signatures),
    ];
    match poster.post(&headers, body.as_bytes()).await {
        Posted::Lost => later("https_connection_lost"),
        Posted::Answered(status) => {
            Attempt { verdict: rules::judge(status), code: format!("https_{status}") }
        }
    }
}

/// The present secret, and the one before it while it counts.
fn open_secrets(desk: &Desk, row: &EndpointRow) -> Result<Vec<SharedSecret>, Error> {
    let now = desk.now();
    let old = row.old.as_ref().filter(|old| now < old.ends).map(|old| &old.sealed);
    std::iter::once(&row.secret)
        .chain(old)
        .map(|sealed| {
            let plain = desk.keyring.open_text(row.id.as_bytes(), sealed)?;
            Ok(SharedSecret::from_plain(&plain)?)
        })
        .collect()
}

/// What a kill has posted twice at most, to each endpoint; each note is an entry and a disk sync.
const NOTED_AFTER_MAX: u64 = 16;
