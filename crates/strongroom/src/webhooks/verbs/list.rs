//! How endpoints stand.

use crate::access::{self, Desk};
use crate::ctx::{Ctx, Entry, EntryKind, Receipt, Time};
use crate::db::Connection;
use crate::error::Error;
use crate::id::{Id, Webhook};
use crate::policy::Right;
use crate::webhooks::model::{EndpointState, EventKind};
use crate::webhooks::store;
use crate::webhooks::verbs::is_intact;

/// How an endpoint stands.
pub struct EndpointView {
    /// Names it.
    pub id: Id<Webhook>,
    /// Where it is told.
    pub url: String,
    /// What it is told of.
    pub kinds: Vec<EventKind>,
    /// Whether it is told; `None` where its row was altered by other hands, so that it is not.
    pub state: Option<EndpointState>,
    /// When it was made.
    pub made: Time,
    /// By whom, as the ledger names them.
    pub made_by: String,
    /// How many events wait for it.
    pub waiting: u64,
    /// How many it was not told of, because it refused them or was away for too long.
    pub passed: u64,
    /// What came of the last attempt, as a stable code; empty before the first.
    pub code: String,
    /// Since when nothing was taken.
    pub failing: Option<Time>,
    /// When it is tried again, where it fails.
    pub next: Option<Time>,
    /// Until when the secret before the present one counts as well.
    pub old_ends: Option<Time>,
}

/// Every endpoint.
pub async fn list(desk: &Desk, ctx: &Ctx) -> Result<(Vec<EndpointView>, Receipt), Error> {
    let grant = access::permit(desk, ctx, Right::Keys)?;
    let look = |db: &mut Connection| {
        let mut found = Vec::new();
        for row in store::read_endpoints(db)? {
            let waiting = store::count_kinds(db, row.position, i64::MAX)?;
            found.push((row, waiting));
        }
        Ok(found)
    };
    let mut views = Vec::new();
    for (row, waiting) in desk.data.scan(look).await? {
        let is_intact = is_intact(desk, &row)?;
        let is_told_of = |kind: &EventKind| row.kinds.contains(kind);
        views.push(EndpointView {
            id: row.id,
            waiting: waiting.iter().filter(|(kind, _)| is_told_of(kind)).map(|it| it.1).sum(),
            state: is_intact.then_some(row.state),
            next: row.failing.map(|_| row.next),
            old_ends: row.old.map(|it| it.ends).filter(|ends| *ends > ctx.now),
            url: row.url,
            kinds: row.kinds.into_iter().collect(),
            made: row.made,
            made_by: row.made_by,
            passed: row.passed,
            code: row.code,
            failing: row.failing,
        });
    }
    let entry = Entry::new(ctx, EntryKind::Send, "webhook.list").counting(views.len() as u64);
    let receipt = access::commit(desk, grant.change(entry)).await?;
    Ok((views, receipt))
}
