//! A rotation of keys, page by page over all customers: every data key is put under the newest wrapping
//! key or replaced, and everything is hashed anew. What a data key is wrapped for is known here alone:
//! its customer and compartment stand in no column beside it.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::access::{self, Desk, system_grant};
use crate::ctx::{Ctx, Entry, EntryKind};
use crate::error::Error;
use crate::keys::{CORE, Placed, Rotation};
use crate::vault::jobs::renew::{Renewed, renew};
use crate::vault::jobs::retire::list_intact;
use crate::vault::model::CustomerState;
use crate::vault::store;
use crate::vault::verbs::open::{Opened, Which, open_page};

/// Goes on with the rotation that is not done yet, to the end of a pass over all customers. Harmless to
/// run at any time, and to break off: the next run goes on where this one was.
///
/// After so many passes it stops: what is left then belongs to customers that do not open, or to nobody.
pub async fn rotate_due(desk: &Arc<Desk>, ctx: &Ctx, passes_max: u32) -> Result<(), Error> {
    let _alone = desk.keyring.rotate_alone().await;
    desk.keyring.forget_faded(ctx.now)?;
    for _ in 0..PASSES_IN_A_ROW_MAX {
        let running = desk.keyring.rotations()?.into_iter().find(|it| it.ended.is_none());
        let Some(rotation) = running.filter(|it| it.passes < passes_max) else { return Ok(()) };
        // A hash does not say under which key it is: that nobody is left, only another pass can tell.
        let is_counted = !rotation.kind.hashes_anew();
        pass(desk, ctx, rotation).await?;
        if is_counted {
            return Ok(());
        }
    }
    Ok(())
}

async fn pass(desk: &Arc<Desk>, ctx: &Ctx, mut rotation: Rotation) -> Result<(), Error> {
    loop {
        let first = rotation.position.map_or(i64::MIN, |at| at.saturating_add(1));
        let (own, whose) = (Arc::clone(desk), ctx.clone());
        let page =
            desk.data.apart(move || async move { look_at(&own, &whose, first).await }).await?;
        let Some(page) = page else { break };
        rotation.unsettled += page.broken;
        let last = page.last;
        let placed = match rotation.kind.seals_anew() || rotation.kind.hashes_anew() {
            true => renew_page(desk, ctx, &mut rotation, page).await?,
            false => page.opened.iter().flat_map(keys_of).collect(),
        };
        rotation.position = Some(last);
        rotation = desk.keyring.rewrap(&rotation, &placed)?;
    }
    if rotation.kind.wraps_anew() {
        rotation = rewrap_retired(desk, rotation).await?;
    }
    end_pass(desk, ctx, &rotation).await
}

/// The log says so before the old key is gone for good.
async fn end_pass(desk: &Desk, ctx: &Ctx, rotation: &Rotation) -> Result<(), Error> {
    if desk.keyring.is_settled(rotation)? {
        let entry = Entry::new(ctx, EntryKind::System, "rotate.done").counting(rotation.rewrapped);
        access::commit(desk, system_grant(ctx, Vec::new())?.change(entry)).await?;
    }
    desk.keyring.end_pass(rotation, ctx.now).await.map(drop)
}

struct Page {
    opened: Vec<Opened>,
    /// Customers that do not open.
    broken: u64,
    /// The place of its last customer.
    last: i64,
}

async fn look_at(desk: &Desk, ctx: &Ctx, first: i64) -> Result<Option<Page>, Error> {
    let listed = {
        let mut data = desk.data.snapshot().await?;
        store::list_keys(&mut data, (first, i64::MAX), PAGE_ROWS).await?
    };
    let Some((last, _)) = listed.last() else { return Ok(None) };
    let which: Vec<Which<'_>> = listed.iter().map(|(key, _)| Which::Key(*key)).collect();
    let mut page = Page { opened: Vec::new(), broken: 0, last: *last };
    for opened in open_page(desk, ctx, &which).await? {
        match opened {
            Ok(Some(opened)) => page.opened.push(opened),
            Ok(None) => {}
            Err(error) if error.code == "sealed" => return Err(error),
            // It keeps the old key alive, and has a finding of its own.
            Err(_) => page.broken += 1,
        }
    }
    Ok(Some(page))
}

/// Every data key of a customer.
pub(super) fn keys_of(opened: &Opened) -> Vec<Placed> {
    let customer = *opened.row.id.as_bytes();
    let place = |compartment, dek| Placed { customer, compartment, dek };
    let records = opened.records.iter().map(|(id, record)| place(*id, record.key.dek()));
    let shelves = opened.core.shelves.iter().map(|shelf| place(shelf.id, shelf.dek));
    std::iter::once(place(CORE, opened.core_key.dek())).chain(records).chain(shelves).collect()
}

/// Seals or hashes the customers of a page anew, many at a time, so that they share what is made
/// durable; gives the keys that were replaced.
async fn renew_page(
    desk: &Arc<Desk>,
    ctx: &Ctx,
    rotation: &mut Rotation,
    page: Page,
) -> Result<Vec<Placed>, Error> {
    let mut waiting = page.opened.into_iter().filter(|it| it.row.state != CustomerState::Erasing);
    let (mut running, mut replaced) = (JoinSet::new(), Vec::new());
    loop {
        while running.len() < RENEWED_AT_A_TIME {
            let Some(opened) = waiting.next() else { break };
            let (own, whose, of) = (Arc::clone(desk), ctx.clone(), rotation.clone());
            running.spawn(async move { renew(&own, &whose, &of, opened).await });
        }
        let Some(done) = running.join_next().await else { return Ok(replaced) };
        match done.map_err(Error::internal)? {
            Ok(Renewed { is_changed: false, .. }) => {}
            Ok(Renewed { replaced: keys, is_hashed_anew, .. }) => {
                replaced.extend(keys);
                rotation.unsettled += u64::from(is_hashed_anew);
                // Data keys count where they are put under the new wrapping key.
                rotation.rewrapped += u64::from(!rotation.kind.seals_anew());
            }
            Err(error) if error.code == "tampered" || error.code == "key_missing" => {
                rotation.unsettled += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Keys that wait for backups to know their successors are kept under the newest wrapping key too.
async fn rewrap_retired(desk: &Arc<Desk>, mut rotation: Rotation) -> Result<Rotation, Error> {
    let mut after = None;
    loop {
        let page = list_intact(desk, crate::ctx::Time::from_ms(i64::MAX), after).await?;
        let Some(last) = page.last else { return Ok(rotation) };
        after = Some(last);
        let placed: Vec<Placed> = page.rows.iter().map(|row| row.key).collect();
        rotation = desk.keyring.rewrap(&rotation, &placed)?;
    }
}

/// Opened and put under the new key in some tens of milliseconds, in which no other key is made durable.
const PAGE_ROWS: i64 = 500;

/// Enough that one making durable serves many; those who wait for it meanwhile are not kept long.
const RENEWED_AT_A_TIME: usize = 32;

/// One that does the work, one that sees it done, and one for whoever was changed between.
const PASSES_IN_A_ROW_MAX: u32 = 3;
