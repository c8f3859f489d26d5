//! Pending keys: live once their record is seen; those without one are counted and left alone.

use std::collections::HashSet;

use strongroom_crypto::peek_binding;

use crate::access::Desk;
use crate::ctx::Ctx;
use crate::error::Error;
use crate::vault::store;

/// What a sweep found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Keys that are live now.
    pub live: u64,
    /// Keys older than seven days without a record: left over from a change that was never done.
    /// They open nothing; removing them waits for backups to know about them.
    pub without_record: u64,
}

/// Looks at pending keys older than seven days.
pub async fn sweep_pending_keys(desk: &Desk, ctx: &Ctx) -> Result<Swept, Error> {
    let before = ctx.now.plus_days(-PENDING_DAYS);
    let pending = desk.keyring.list_pending(before)?;
    if pending.is_empty() {
        return Ok(Swept::default());
    }
    let wanted: HashSet<[u8; 16]> = pending.iter().copied().collect();
    let seen = desk.data.scan(move |db| in_use(db, &wanted)).await?;
    let mut swept = Swept::default();
    for dek in pending {
        if seen.contains(&dek) {
            desk.keyring.mark_live(&dek)?;
            swept.live += 1;
        } else {
            swept.without_record += 1;
        }
    }
    Ok(swept)
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

const PAGE_ROWS: i64 = 1_000;
