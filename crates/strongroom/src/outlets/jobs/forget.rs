//! Sends and shares that ended long ago: their rows go. What they did stands in the ledger and in the
//! holdings, which say where whose fields are.

use crate::access::{self, Desk, system_grant};
use crate::ctx::{Ctx, Entry, EntryKind, Guard, Miss, Time};
use crate::error::Error;
use crate::outlets::model::{SEND_TABLE, SendRow};
use crate::outlets::store;

/// Deletes what ended 90 days ago: sends with their words and recipients, shares. Each step is a
/// change of its own, so that nobody waits for a large send, and a kill leaves a smaller one.
pub async fn forget_ended(desk: &Desk, ctx: &Ctx) -> Result<(), Error> {
    if desk.trust.is_suspect(desk.clock.as_ref()) {
        // Nobody knows how long ago it was. It is asked again tomorrow.
        return Ok(());
    }
    let before = ctx.now.plus_days(-KEPT_DAYS);
    let (mut after, mut altered) = (Vec::new(), false);
    loop {
        let ended = store::list_ended(&mut desk.data.snapshot().await?, before, &after).await?;
        let Some(last) = ended.last() else { break };
        after = last.id.as_bytes().to_vec();
        for send in &ended {
            if desk.keyring.is_row_intact(SEND_TABLE, &send.columns(), &send.mac)? {
                forget_send(desk, ctx, send).await?;
            } else {
                altered = true;
            }
        }
    }
    forget_shares(desk, ctx, before).await?;
    // It stays for whoever finds out what was done to it.
    if altered { super::tell_altered(desk).await } else { Ok(()) }
}

/// The recipients from behind, then the send itself.
async fn forget_send(desk: &Desk, ctx: &Ctx, send: &SendRow) -> Result<(), Error> {
    loop {
        let id = send.id;
        let left = desk.data.scan(move |db| store::count_recipients(db, &id)).await?;
        let goes = left.min(FORGOTTEN_AT_ONCE_MAX);
        let entry = Entry::new(ctx, EntryKind::System, "outlet.forget")
            .because(&send.outlet, "")
            .counting(goes);
        let still = Guard::Rows {
            statement: store::same_send(send),
            expected: 1,
            miss: Miss::StateChanged,
        };
        let mut change = system_grant(ctx, Vec::new())?
            .change(entry)
            .guard(still)
            .guard(Guard::TrustedClock)
            .write(store::forget_recipients(&send.id, goes));
        let is_last = goes == left;
        if is_last {
            change = change.write(store::forget_send(&send.id));
        }
        access::commit(desk, change).await?;
        if is_last {
            return Ok(());
        }
    }
}

async fn forget_shares(desk: &Desk, ctx: &Ctx, before: Time) -> Result<(), Error> {
    loop {
        let dead = desk.data.scan(move |db| store::count_dead_shares(db, before)).await?;
        if dead == 0 {
            return Ok(());
        }
        let goes = dead.min(FORGOTTEN_AT_ONCE_MAX);
        let entry = Entry::new(ctx, EntryKind::System, "share.forget").counting(goes);
        let change = system_grant(ctx, Vec::new())?
            .change(entry)
            .guard(Guard::TrustedClock)
            .write(store::forget_dead_shares(before, goes));
        access::commit(desk, change).await?;
    }
}

/// A quarter: long enough to answer who complains of a mail, short enough that no list of whom
/// something was sent to outlives its use.
const KEPT_DAYS: i64 = 90;

/// Takes a few milliseconds of everyone's commits.
const FORGOTTEN_AT_ONCE_MAX: u64 = 2_000;
