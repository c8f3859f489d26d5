//! Events go when they are old, told or not.

use std::collections::BTreeMap;

use crate::access::{self, Desk, system_grant};
use crate::ctx::{Ctx, Entry, EntryKind, Guard, Miss, Time};
use crate::db::Connection;
use crate::error::Error;
use crate::findings::{self, Finding, FindingKind};
use crate::webhooks::jobs::note::passed;
use crate::webhooks::model::{EndpointRow, EventKind};
use crate::webhooks::store;
use crate::webhooks::verbs::{becomes, is_intact};

/// What is to go in one change.
struct Old {
    /// Up to this number.
    last: i64,
    count: u64,
    /// Endpoints that were not told, with what they miss by kind.
    behind: Vec<(EndpointRow, BTreeMap<EventKind, u64>)>,
}

/// Deletes events that are past their time, and says of which endpoint they were not taken.
pub async fn forget_old(desk: &Desk, ctx: &Ctx) -> Result<(), Error> {
    while !desk.trust.is_suspect(desk.clock.as_ref()) {
        let before = ctx.now.plus_days(-KEPT_DAYS);
        let Some(old) = desk.data.scan(move |db| find(db, before)).await? else { return Ok(()) };
        match forget(desk, ctx, old).await {
            // A courier came between: look again.
            Err(error) if error.code == "state_changed" => {}
            other => other?,
        }
    }
    Ok(())
}

fn find(db: &mut Connection, before: Time) -> Result<Option<Old>, Error> {
    let endpoints = store::read_endpoints(db)?;
    // Nobody is left who could be told.
    let before = if endpoints.is_empty() { Time::from_ms(i64::MAX) } else { before };
    let newest = store::newest_number(db)?;
    let Some(last) = store::last_old(db, before, newest)? else { return Ok(None) };
    let mut behind = Vec::new();
    for row in endpoints.into_iter().filter(|row| row.position < last) {
        let missed = store::count_kinds(db, row.position, last)?;
        behind.push((row, missed));
    }
    let count = store::count_kinds(db, i64::MIN, last)?.values().sum();
    Ok(Some(Old { last, count, behind }))
}

async fn forget(desk: &Desk, ctx: &Ctx, old: Old) -> Result<(), Error> {
    let entry = Entry::new(ctx, EntryKind::System, "webhook.forget").counting(old.count);
    let mut change = system_grant(ctx, Vec::new())?
        .change(entry)
        .guard(Guard::TrustedClock)
        .write(store::delete_events_to(old.last));
    for (row, missed) in old.behind {
        if !is_intact(desk, &row)? {
            continue;
        }
        let of_theirs = missed.iter().filter(|(kind, _)| row.kinds.contains(kind));
        let missed: u64 = of_theirs.map(|(_, count)| count).sum();
        let mut after = row.clone();
        (after.position, after.attempts, after.refused) = (old.last, 0, None);
        after.passed += missed;
        change = change.guard(becomes(desk, &row, &mut after, Miss::StateChanged)?);
        if missed > 0 {
            let (kind, detail) = (FindingKind::WebhookPassed, passed(&after));
            let finding = Finding { kind, detail, customer: None };
            change = change.write(findings::raise_within(&finding, ctx.now));
        }
    }
    access::commit(desk, change).await.map(drop)
}

/// Long enough for a receiver nobody looks at in a summer, as short as a backup of it lives; told or
/// not, so that a receiver that lost its own data can be told again.
const KEPT_DAYS: i64 = 30;
