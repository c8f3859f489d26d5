//! Data keys that others took the place of: kept until a newer backup was rehearsed, then destroyed.

use std::collections::HashSet;

use crate::access::{self, Desk, system_grant};
use crate::ctx::{Ctx, Destruction, Entry, EntryKind, Guard, Time};
use crate::db::Connection;
use crate::error::Error;
use crate::vault::store::{self, RETIRED_TABLE, RetiredRow};
use crate::vault::verbs::open::{Which, open};

/// Destroys the retired keys that no backup needs any more which was made at this time or later; gives
/// how many. Whatever is still sealed under one of them keeps it.
pub async fn destroy_retired(desk: &Desk, ctx: &Ctx, rehearsed: Time) -> Result<u64, Error> {
    let before = Time::from_ms(rehearsed.as_ms().saturating_sub(MARGIN_MS));
    let (mut after, mut count) = (None, 0);
    loop {
        let page = list_intact(desk, before, after).await?;
        let Some(last) = page.last else { return Ok(count) };
        after = Some(last);
        let mut gone = Vec::new();
        for row in page.rows {
            if !is_in_use(desk, ctx, &row).await? {
                gone.push(row);
            }
        }
        if !gone.is_empty() {
            count += gone.len() as u64;
            destroy(desk, ctx, gone).await?;
        }
    }
}

/// The log says so before they are gone; harmless to repeat where it broke off between.
async fn destroy(desk: &Desk, ctx: &Ctx, gone: Vec<RetiredRow>) -> Result<(), Error> {
    let entry = |verb| Entry::new(ctx, EntryKind::System, verb).counting(gone.len() as u64);
    let change = system_grant(ctx, Vec::new())?.change(entry("retired.begin"));
    access::commit(desk, change.guard(Guard::TrustedClock)).await?;
    let deks = gone.iter().map(|row| row.key.dek).collect();
    desk.keyring.destroy_forever(Destruction::issue(deks)).await?;
    let mut change = system_grant(ctx, Vec::new())?.change(entry("retired.done"));
    for row in gone {
        let mut after = RetiredRow { destroyed: Some(ctx.now), ..row.clone() };
        after.mac = desk.keyring.mac_row(RETIRED_TABLE, &after.columns())?;
        change = change.write(store::destroyed_retired(&after, &row.mac));
    }
    access::commit(desk, change).await.map(drop)
}

/// A row that says of a key in use that it is retired was written by other hands, or put back.
async fn is_in_use(desk: &Desk, ctx: &Ctx, row: &RetiredRow) -> Result<bool, Error> {
    let opened = match open(desk, ctx, Which::Key(row.customer)).await {
        Ok(Some(opened)) => opened,
        // Erased, or being erased: the erasure destroys it.
        Ok(None) => return Ok(true),
        Err(error) if error.code == "sealed" => return Err(error),
        Err(_) => return Ok(true),
    };
    let records = opened.records.values().map(|record| record.key.dek());
    let shelves = opened.core.shelves.iter().map(|shelf| shelf.dek);
    let used: HashSet<[u8; 16]> = records.chain(shelves).chain([opened.core_key.dek()]).collect();
    Ok(used.contains(&row.key.dek))
}

struct RetiredPage {
    rows: Vec<RetiredRow>,
    /// Where the next one begins; none after the last.
    last: Option<[u8; 16]>,
}

/// A page of retired keys whose rows are as they were written: others are passed over, which keeps a key.
async fn list_intact(
    desk: &Desk,
    before: Time,
    after: Option<[u8; 16]>,
) -> Result<RetiredPage, Error> {
    let read =
        move |db: &mut Connection| store::list_retired(db, before, after.as_ref(), PAGE_ROWS);
    let listed = desk.data.scan(read).await?;
    let last = listed.last().map(|row| row.key.dek);
    let mut rows = Vec::with_capacity(listed.len());
    for row in listed {
        if desk.keyring.is_row_intact(RETIRED_TABLE, &row.columns(), &row.mac)? {
            rows.push(row);
        }
    }
    Ok(RetiredPage { rows, last })
}

/// A change that was decided before a backup began may be durable after it, never so much later.
const MARGIN_MS: i64 = 3_600_000;

const PAGE_ROWS: i64 = 500;
