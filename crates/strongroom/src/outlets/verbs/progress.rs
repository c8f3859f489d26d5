//! How far a send is, whom it could not reach, whose fate is not known; and stopping it.

use std::collections::BTreeMap;

use crate::access::{self, Desk};
use crate::ctx::{Ctx, Entry, EntryKind, Guard, Miss, Receipt, Time};
use crate::error::{Error, ErrorKind};
use crate::id::{Customer, Id, Sending};
use crate::outlets::model::{Recipient, RecipientState, SEND_TABLE, SendRow, SendState};
use crate::outlets::store;
use crate::policy::Right;
use crate::vault;

/// How far a send is.
pub struct Progress {
    /// Whether it goes on.
    pub state: SendState,
    /// Why it waits or was stopped, as a stable code; empty for neither.
    pub why: String,
    /// When it goes on, where it waits.
    pub next: Time,
    /// How many recipients in each state.
    pub counts: BTreeMap<RecipientState, u64>,
    /// Customers who may have it twice, because nobody knew whether it had arrived; at most 1,000.
    pub unknown: Vec<Id<Customer>>,
    /// Customers the vendor refused, with its code; at most 1,000.
    pub refused: Vec<(Id<Customer>, String)>,
    /// Where the question stands in the ledger.
    pub receipt: Receipt,
}

/// How far a send is.
pub async fn progress(
    desk: &Desk,
    ctx: &Ctx,
    outlet: &str,
    id: &Id<Sending>,
) -> Result<Progress, Error> {
    let grant = access::permit(desk, ctx, Right::Send)?;
    let send = find(desk, outlet, id).await?;
    let of = send.id;
    let (counts, doubtful, refused) = desk
        .data
        .scan(move |db| {
            let counts = store::count_states(db, &of)?;
            let doubtful = store::list_doubtful(db, &of, LISTED_MAX)?;
            let state = RecipientState::Refused;
            Ok((counts, doubtful, store::list_recipients(db, &of, state, -1, LISTED_MAX)?))
        })
        .await?;
    let entry = Entry::new(ctx, EntryKind::Send, "outlet.progress")
        .because(outlet, "")
        .counting((doubtful.len() + refused.len()) as u64);
    let receipt = access::commit(desk, grant.change(entry)).await?;
    let unknown = named(desk, ctx, doubtful).await?.into_iter().map(|(id, _)| id).collect();
    let refused = named(desk, ctx, refused).await?;
    let counts = counts.into_iter().collect();
    let SendRow { state, why, next, .. } = send;
    Ok(Progress { state, why, next, counts, unknown, refused, receipt })
}

/// Sends that are not over, and recipients of theirs that wait; for whoever watches the server.
pub async fn count_waiting(desk: &Desk) -> Result<(u64, u64), Error> {
    desk.data.scan(store::count_waiting).await
}

/// Ends a send: nobody else is sent to. What has left has left.
pub async fn stop(
    desk: &Desk,
    ctx: &Ctx,
    outlet: &str,
    id: &Id<Sending>,
) -> Result<Receipt, Error> {
    let grant = access::permit(desk, ctx, Right::Send)?;
    let send = find(desk, outlet, id).await?;
    if matches!(send.state, SendState::Done | SendState::Stopped) {
        return Err(access::refusal_of(Miss::StateChanged));
    }
    let before = send.mac;
    let (state, why, next) = (SendState::Stopped, "asked".to_owned(), ctx.now);
    let mut stopped = SendRow { state, why, next, ..send };
    stopped.mac = desk.keyring.mac_row(SEND_TABLE, &stopped.columns())?;
    let statement = store::update_send(&stopped, &before);
    let entry = Entry::new(ctx, EntryKind::Send, "outlet.stop").because(outlet, "").from_reserve();
    let guard = Guard::Rows { statement, expected: 1, miss: Miss::StateChanged };
    access::commit(desk, grant.change(entry).guard(guard)).await
}

async fn find(desk: &Desk, outlet: &str, id: &Id<Sending>) -> Result<SendRow, Error> {
    let found = store::find_send(&mut desk.data.snapshot().await?, id).await?;
    found.filter(|send| send.outlet == outlet).ok_or_else(|| {
        let detail = "there is no send of this id through this outlet";
        Error::new(ErrorKind::NotFound, "not_found", detail)
    })
}

/// Those who can still be named.
async fn named(
    desk: &Desk,
    ctx: &Ctx,
    recipients: Vec<Recipient>,
) -> Result<Vec<(Id<Customer>, String)>, Error> {
    let mut named = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        if let Some(id) = vault::customer_behind(desk, ctx, &recipient.subject).await? {
            named.push((id, recipient.code));
        }
    }
    Ok(named)
}

/// What a person looks through; the ledger has them all.
const LISTED_MAX: i64 = 1_000;
