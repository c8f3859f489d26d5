//! Many writes in one call, each by its own reference and with its own answer.
//!
//! Each item is one upsert with its own entry, so one that is refused stops no other, and a call whose
//! answer was lost is repeated as it is. Items run in bounded pieces whose commits share their disk
//! syncs.

use std::collections::HashSet;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use crate::access::{self, Desk, refuse};
use crate::ctx::{Ctx, EntryKind};
use crate::error::{Error, ErrorKind};
use crate::policy::Right;
use crate::vault::model::Reference;
use crate::vault::verbs::create::NewCustomer;
use crate::vault::verbs::upsert::{Upserted, upsert};

/// One write.
pub struct BatchItem {
    /// The caller's own name for the customer.
    pub reference: Reference,
    /// What is known of them.
    pub customer: NewCustomer,
}

/// What each item came to, in the order they were sent.
pub type BatchOutcome = Vec<Result<Upserted, Error>>;

/// Makes or changes many customers. An item that could not even be read is handed on as it is.
///
/// Sealing takes a processor for a tenth of a second, so it does not run where requests are answered.
pub async fn batch(
    desk: &Arc<Desk>,
    ctx: &Ctx,
    items: Vec<Result<BatchItem, Error>>,
) -> Result<BatchOutcome, Error> {
    if items.len() > BATCH_ITEMS_MAX {
        let detail = format!("send at most {BATCH_ITEMS_MAX} items at a time");
        return Err(Error::new(ErrorKind::TooLarge, "too_many_items", detail));
    }
    // A caller without the right learns it once, not a thousand times.
    access::permit(desk, ctx, Right::Create)?;
    let items = refuse_twins(items);
    let (desk, ctx) = (Arc::clone(desk), ctx.clone());
    let runtime = tokio::runtime::Handle::current();
    let work = move || runtime.block_on(in_pieces(&desk, &ctx, items));
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)
}

async fn in_pieces(desk: &Desk, ctx: &Ctx, items: Vec<Result<BatchItem, Error>>) -> BatchOutcome {
    let mut outcome = Vec::with_capacity(items.len());
    let mut items = items.into_iter();
    loop {
        let piece: Vec<_> =
            items.by_ref().take(PIECE_ITEMS).map(|item| one(desk, ctx, item)).collect();
        if piece.is_empty() {
            return outcome;
        }
        outcome.extend(all(piece).await);
    }
}

async fn one(desk: &Desk, ctx: &Ctx, item: Result<BatchItem, Error>) -> Result<Upserted, Error> {
    let done = async {
        let item = item?;
        upsert(desk, ctx, &item.reference, &item.customer).await
    };
    match done.await {
        Ok(upserted) => Ok(upserted),
        Err(error) => Err(refuse(desk, ctx, EntryKind::Write, "customer.batch", error).await),
    }
}

/// Items run side by side, so two with one reference would have no order.
fn refuse_twins(items: Vec<Result<BatchItem, Error>>) -> Vec<Result<BatchItem, Error>> {
    let mut seen = HashSet::new();
    let alone = |item: Result<BatchItem, Error>| {
        let item = item?;
        if seen.insert(item.reference.index_text()) {
            return Ok(item);
        }
        let detail = "an item before this one has the same `ref`; send one item for each customer";
        Err(Error::unprocessable("reference_twice", detail))
    };
    items.into_iter().map(alone).collect()
}

/// Waits for all of these at once; what they come to, in order.
async fn all<F: Future>(acts: Vec<F>) -> Vec<F::Output> {
    let mut waiting: Vec<Pin<Box<F>>> = acts.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = waiting.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (act, slot) in waiting.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let Poll::Ready(output) = act.as_mut().poll(context)
            {
                *slot = Some(output);
            }
        }
        if done.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// With items at their usual size four megabytes, which is what the body may hold.
pub const BATCH_ITEMS_MAX: usize = 1_000;

/// So many share one disk sync; more would only hold memory.
const PIECE_ITEMS: usize = 128;
