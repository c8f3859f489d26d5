//! Pending keys: live once their record is seen; those that no record ever came for are removed, because
//! each of them keeps the key alive that wraps it.
//!
//! What must never happen here: a key removed that anything still names.

use std::collections::HashSet;
use std::sync::Arc;

use strongroom_crypto::peek_binding;

use super::erase::{destroy_unused, planned_keys};
use super::rotate::keys_of;
use crate::access::{self, Desk, system_grant};
use crate::ctx::{Ctx, Entry, EntryKind, Guard};
use crate::error::Error;
use crate::vault::store;
use crate::vault::verbs::open::{Which, open_page};

/// What a sweep found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Keys that are live now.
    pub live: u64,
    /// Keys older than seven days without a record: left over from a change that was never done.
    pub without_record: u64,
    /// Of these, keys that are gone for good.
    pub removed: u64,
}

/// Looks at pending keys older than seven days.
pub async fn sweep_pending_keys(desk: &Arc<Desk>, ctx: &Ctx) -> Result<Swept, Error> {
    let before = ctx.now.plus_days(-PENDING_DAYS);
    let pending = desk.keyring.list_pending(before)?;
    if pending.is_empty() {
        return Ok(Swept::default());
    }
    let (seen, unused) = part(desk, pending).await?;
    let (live, without_record) = (seen.len() as u64, unused.len() as u64);
    desk.keyring.mark_live(seen).await?;
    let removed = if unused.is_empty() { 0 } else { remove(desk, ctx, unused).await? };
    Ok(Swept { live, without_record, removed })
}

/// Removes keys that nothing names. The order does the work: whatever is being committed while they are
/// listed is done once the entry is durable, and only then all records are looked at again.
async fn remove(desk: &Arc<Desk>, ctx: &Ctx, unused: Vec<[u8; 16]>) -> Result<u64, Error> {
    if !may_remove(desk, ctx) {
        return Ok(0);
    }
    // A core names the keys of shelves too whose rows are gone. Of one that does not open nobody knows.
    let Some(named) = named_by_cores(desk, ctx, &unused).await? else { return Ok(0) };
    desk.keyring.mark_live(named.iter().copied().collect()).await?;
    let unused: Vec<[u8; 16]> = unused.into_iter().filter(|dek| !named.contains(dek)).collect();
    if unused.is_empty() {
        return Ok(0);
    }
    let entry = Entry::new(ctx, EntryKind::System, "keys.remove").counting(unused.len() as u64);
    let change = system_grant(ctx, Vec::new())?.change(entry).guard(Guard::TrustedClock);
    match access::commit(desk, change).await {
        Ok(_) => {}
        Err(error) if error.code == "clock_suspect" => return Ok(0),
        Err(error) => return Err(error),
    }
    let (_, unused) = part(desk, unused).await?;
    let planned = planned_keys(desk).await?;
    let unused = unused.into_iter().filter(|dek| !planned.contains(dek)).collect();
    destroy_unused(desk, unused).await
}

/// Not soon after a restore, for a newer backup of the data may still be brought back that has the
/// records; and not where time or the ledger is not to be relied on.
fn may_remove(desk: &Desk, ctx: &Ctx) -> bool {
    let restored = desk.archives.first().map(|archive| archive.ended);
    restored.is_none_or(|at| at.plus_days(RESTORED_DAYS) <= ctx.now)
        && !desk.trust.is_suspect(desk.clock.as_ref())
        && !desk.committer.stall().is_stalled()
        && !desk.keyring.is_sealed()
}

/// Those that a sealed record names, and those that none does.
async fn part(desk: &Desk, deks: Vec<[u8; 16]>) -> Result<(Vec<[u8; 16]>, Vec<[u8; 16]>), Error> {
    let wanted: HashSet<[u8; 16]> = deks.iter().copied().collect();
    let seen = desk.data.scan(move |db| in_use(db, &wanted)).await?;
    Ok(deks.into_iter().partition(|dek| seen.contains(dek)))
}

/// Which of these keys a customer's core names; none where one does not open.
async fn named_by_cores(
    desk: &Arc<Desk>,
    ctx: &Ctx,
    deks: &[[u8; 16]],
) -> Result<Option<HashSet<[u8; 16]>>, Error> {
    let wanted: HashSet<[u8; 16]> = deks.iter().copied().collect();
    let (mut named, mut first) = (HashSet::new(), i64::MIN);
    loop {
        let (own, whose) = (Arc::clone(desk), ctx.clone());
        let page = desk.data.apart(move || async move { core_keys(&own, &whose, first).await });
        let Some((last, deks)) = page.await? else { return Ok(Some(named)) };
        let Some(deks) = deks else { return Ok(None) };
        named.extend(deks.into_iter().filter(|dek| wanted.contains(dek)));
        let Some(next) = last.checked_add(1) else { return Ok(Some(named)) };
        first = next;
    }
}

/// A page of customers: the place of the last one, and every key they name unless one does not open.
type CorePage = Option<(i64, Option<Vec<[u8; 16]>>)>;

async fn core_keys(desk: &Desk, ctx: &Ctx, first: i64) -> Result<CorePage, Error> {
    let listed = {
        let mut data = desk.data.snapshot().await?;
        store::list_keys(&mut data, (first, i64::MAX), CORES_PAGE_ROWS).await?
    };
    let Some((last, _)) = listed.last() else { return Ok(None) };
    let which: Vec<Which<'_>> = listed.iter().map(|(key, _)| Which::Key(*key)).collect();
    let mut deks = Vec::new();
    for opened in open_page(desk, ctx, &which).await? {
        match opened {
            Ok(Some(opened)) => deks.extend(keys_of(&opened).into_iter().map(|it| it.dek)),
            // Erased since the page was listed.
            Ok(None) => {}
            Err(error) if error.code == "sealed" => return Err(error),
            Err(_) => return Ok(Some((*last, None))),
        }
    }
    Ok(Some((*last, Some(deks))))
}

/// Which of these keys a sealed record names.
fn in_use(
    db: &mut crate::db::Connection,
    wanted: &HashSet<[u8; 16]>,
) -> Result<HashSet<[u8; 16]>, Error> {
    let mut seen = HashSet::new();
    let mut after = store::ShelfPlace(i64::MIN, [0; 16], [0; 16]);
    loop {
        let page = store::list_shelf_deks_page(db, &after, PAGE_ROWS)?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        for (_, sealed) in &page {
            let dek = peek_binding(sealed)?.dek;
            if wanted.contains(&dek) {
                seen.insert(dek);
            }
        }
    }
    let mut after = (i64::MIN, [0; 16]);
    loop {
        let page = store::list_deks_page(db, (after.0, &after.1), PAGE_ROWS)?;
        let Some(last) = page.last() else { return Ok(seen) };
        after = (last.customer, last.compartment);
        for record in &page {
            let dek = peek_binding(&record.sealed)?.dek;
            if wanted.contains(&dek) {
                seen.insert(dek);
            }
        }
    }
}

/// A change in flight is never so old.
const PENDING_DAYS: i64 = 7;

/// Whoever restored has noticed by then that a newer backup was to be had.
const RESTORED_DAYS: i64 = 30;

/// Opened in some tens of milliseconds.
const CORES_PAGE_ROWS: i64 = 500;

const PAGE_ROWS: i64 = 1_000;
