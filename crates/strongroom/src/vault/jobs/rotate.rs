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
use crate::vault::model::CustomerState;
use crate::vault::store;
use crate::vault::verbs::open::{Opened, Which, open_page, tell_tampered};

/// Goes on with the rotation that is not done yet, to the end of a pass over all customers. Harmless to
/// run at any time, and to break off: the next run goes on where this one was.
///
/// After so many passes it stops: what is left then belongs to customers that do not open, or to nobody.
pub async fn rotate_due(desk: &Arc<Desk>, ctx: &Ctx, passes_max: u32) -> Result<(), Error> {
    let _alone = desk.keyring.rotate_alone().await;
    desk.keyring.forget_faded(ctx.now)?;
    for _ in 0..PASSES_IN_A_ROW_MAX {
        // Whoever begins one has come to the end of it: nothing is in flight that knows older keys alone.
        drop(desk.keyring.begin_alone().await);
        let running = desk.keyring.rotations()?.into_iter().find(|it| it.ended.is_none());
        let Some(rotation) = running.filter(|it| it.passes < passes_max) else { return Ok(()) };
        // Where a count does not say that nobody is left, only another pass can tell.
        let is_counted = !(rotation.kind.hashes_anew() || rotation.kind.seals_anew());
        pass(desk, ctx, rotation).await?;
        if is_counted {
            return Ok(());
        }
    }
    Ok(())
}

async fn pass(desk: &Arc<Desk>, ctx: &Ctx, mut rotation: Rotation) -> Result<(), Error> {
    let renews = rotation.kind.seals_anew() || rotation.kind.hashes_anew();
    while let Some(first) = rotation.position.map_or(Some(i64::MIN), |at| at.checked_add(1)) {
        let (own, whose) = (Arc::clone(desk), ctx.clone());
        let page =
            desk.data.apart(move || async move { look_at(&own, &whose, first).await }).await?;
        let Some(page) = page else { break };
        // Who does not open is found by nobody under any key.
        rotation.unsettled += if rotation.kind.seals_anew() { page.broken } else { 0 };
        let (last, placed) = (page.last, page.opened.iter().flat_map(keys_of).collect::<Vec<_>>());
        if renews {
            renew_page(desk, ctx, &mut rotation, page.opened).await?;
        }
        rotation.position = Some(last);
        rotation = desk.keyring.rewrap(&rotation, &placed)?;
        if !desk.keyring.is_running(&rotation)? {
            return Ok(());
        }
    }
    end_pass(desk, ctx, &rotation).await
}

/// The log says so before the old key is gone for good.
async fn end_pass(desk: &Desk, ctx: &Ctx, rotation: &Rotation) -> Result<(), Error> {
    if desk.keyring.is_settled(rotation)? {
        let entry = Entry::new(ctx, EntryKind::System, "rotate.done").counting(rotation.rewrapped);
        access::commit(desk, system_grant(ctx, Vec::new())?.change(entry)).await?;
    }
    desk.keyring.end_pass(rotation, desk.now()).await.map(drop)
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

/// Every data key of a customer, and those that backups of before need.
pub(super) fn keys_of(opened: &Opened) -> Vec<Placed> {
    let customer = *opened.row.id.as_bytes();
    let place = |compartment, dek| Placed { customer, compartment, dek };
    let records = opened.records.iter().map(|(id, record)| place(*id, record.key.dek()));
    let shelves = opened.core.shelves.iter().map(|shelf| place(shelf.id, shelf.dek));
    let formers = opened.core.formers.iter().map(|former| place(former.compartment, former.dek));
    let own = std::iter::once(place(CORE, opened.core_key.dek())).chain(records).chain(shelves);
    own.chain(formers).collect()
}

/// Seals or hashes the customers of a page anew, many at a time, so that they share what is made
/// durable. One who cannot be renewed keeps nobody else waiting.
async fn renew_page(
    desk: &Arc<Desk>,
    ctx: &Ctx,
    rotation: &mut Rotation,
    page: Vec<Opened>,
) -> Result<(), Error> {
    let mut waiting = page.into_iter().filter(|it| it.row.state != CustomerState::Erasing);
    let mut running = JoinSet::new();
    loop {
        while running.len() < RENEWED_AT_A_TIME {
            let Some(opened) = waiting.next() else { break };
            let (own, whose, of) = (Arc::clone(desk), ctx.clone(), rotation.clone());
            let id = opened.row.id;
            running.spawn(async move { (id, renew(&own, &whose, &of, opened).await) });
        }
        let Some(done) = running.join_next().await else { return Ok(()) };
        let (id, done) = done.map_err(Error::internal)?;
        match done {
            Ok(Renewed::Settled) => {}
            Ok(Renewed::Changed) => {
                rotation.unsettled += 1;
                // Data keys count where they are put under the new wrapping key.
                rotation.rewrapped += u64::from(!rotation.kind.seals_anew());
            }
            Err(error) if desk.committer.stall().is_stalled() || ENDS.contains(&error.code) => {
                return Err(error);
            }
            Err(error) => {
                rotation.unsettled += u64::from(rotation.kind.seals_anew());
                let error = tell_tampered(desk, ctx, &id, error).await;
                tracing::error!(code = error.code, cause = ?error.cause(),
                    "a customer could not be put under new keys");
            }
        }
    }
}

/// What concerns more than one customer.
const ENDS: [&str; 3] = ["sealed", "overloaded", "disk_reserve"];

/// Opened and put under the new key in some tens of milliseconds, in which no other key is made durable.
const PAGE_ROWS: i64 = 500;

/// Enough that one making durable serves many; those who wait for it meanwhile are not kept long.
const RENEWED_AT_A_TIME: usize = 32;

/// One that does the work, one that sees it done, and one for whoever was changed between.
const PASSES_IN_A_ROW_MAX: u32 = 3;
