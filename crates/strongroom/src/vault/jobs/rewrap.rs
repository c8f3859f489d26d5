//! Puts every customer's data keys under the newest wrapping key, page by page. What a data key is
//! wrapped for is known here alone: its customer and compartment stand in no column beside it.

use std::sync::Arc;

use crate::access::{self, Desk, system_grant};
use crate::ctx::{Ctx, Entry, EntryKind};
use crate::error::Error;
use crate::keys::{CORE, Placed, Rotation};
use crate::vault::store;
use crate::vault::verbs::open::{Opened, Which, open_page};

/// Goes on with the rotation that is not done yet, to the end of a pass over all customers. Harmless to
/// run at any time, and to break off: the next run goes on where this one was.
///
/// After so many passes it stops: what is left then belongs to customers that do not open, or to nobody.
pub async fn rewrap_due(desk: &Arc<Desk>, ctx: &Ctx, passes_max: u32) -> Result<(), Error> {
    let _alone = desk.keyring.rotate_alone().await;
    desk.keyring.forget_faded(ctx.now)?;
    let running = desk.keyring.rotations()?.into_iter().find(|it| it.ended.is_none());
    let Some(mut rotation) = running.filter(|it| it.passes < passes_max) else { return Ok(()) };
    loop {
        let first = rotation.position.map_or(i64::MIN, |at| at.saturating_add(1));
        let (own, whose) = (Arc::clone(desk), ctx.clone());
        let page =
            desk.data.apart(move || async move { look_at(&own, &whose, first).await }).await?;
        let Some(page) = page else { break };
        rotation.position = Some(page.last);
        rotation = desk.keyring.rewrap(&rotation, &page.placed)?;
    }
    end_pass(desk, ctx, &rotation).await
}

/// The log says so before the old key is gone for good.
async fn end_pass(desk: &Desk, ctx: &Ctx, rotation: &Rotation) -> Result<(), Error> {
    if desk.keyring.count_left(rotation)? == 0 {
        let entry = Entry::new(ctx, EntryKind::System, "rotate.done").counting(rotation.rewrapped);
        access::commit(desk, system_grant(ctx, Vec::new())?.change(entry)).await?;
    }
    desk.keyring.end_rewrap(rotation, ctx.now).await.map(drop)
}

struct Page {
    placed: Vec<Placed>,
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
    let mut placed = Vec::new();
    for opened in open_page(desk, ctx, &which).await? {
        match opened {
            Ok(Some(opened)) => placed.extend(keys_of(&opened)),
            Ok(None) => {}
            Err(error) if error.code == "sealed" => return Err(error),
            // It keeps the old key alive, and has a finding of its own.
            Err(_) => {}
        }
    }
    Ok(Some(Page { placed, last: *last }))
}

/// Every data key of a customer.
pub(super) fn keys_of(opened: &Opened) -> Vec<Placed> {
    let customer = *opened.row.id.as_bytes();
    let place = |compartment, dek| Placed { customer, compartment, dek };
    let records = opened.records.iter().map(|(id, record)| place(*id, record.key.dek()));
    let shelves = opened.core.shelves.iter().map(|shelf| place(shelf.id, shelf.dek));
    std::iter::once(place(CORE, opened.core_key.dek())).chain(records).chain(shelves).collect()
}

/// Opened and put under the new key in some tens of milliseconds, in which no other key is made durable.
const PAGE_ROWS: i64 = 500;
