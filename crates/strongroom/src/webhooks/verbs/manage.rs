//! Ending an endpoint, switching it, telling it again.

use crate::access::{self, Attempt, Desk, commit_or_retry};
use crate::ctx::{Ctx, Entry, EntryKind, Guard, Miss, Receipt, Time};
use crate::db::Connection;
use crate::error::Error;
use crate::id::{Id, Webhook};
use crate::keys::Keyring;
use crate::policy::Right;
use crate::webhooks::model::{ENDPOINT_TABLE, EndpointState};
use crate::webhooks::store;
use crate::webhooks::verbs::{ATTEMPTS_MAX, Among, becomes, changed_meanwhile};

/// Which way an endpoint is switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// It is told nothing; what happens waits for it.
    Off,
    /// It is told, and first of what waited.
    On,
}

/// What telling again came to.
pub struct Replayed {
    /// How many events wait for the endpoint now.
    pub waiting: u64,
    /// Where it stands in the ledger.
    pub receipt: Receipt,
}

/// Ends an endpoint for good, also one whose row was altered by other hands.
pub async fn end(desk: &Desk, ctx: &Ctx, id: &Id<Webhook>) -> Result<Receipt, Error> {
    for _ in 0..ATTEMPTS_MAX {
        let grant = access::permit(desk, ctx, Right::Keys)?;
        let among = Among::find(desk, id).await?.ok_or_else(Error::not_found)?;
        let entry = Entry::new(ctx, EntryKind::Send, "webhook.end").because(&id.to_string(), "");
        let statement = store::delete_endpoint(&among.row);
        let change = grant
            .change(entry)
            .guard(Guard::Rows { statement, expected: 1, miss: Miss::LifeChanged })
            .write_all(among.settled(None, ctx.now));
        if let Attempt::Done(receipt) = commit_or_retry(desk, change).await? {
            return Ok(receipt);
        }
    }
    Err(changed_meanwhile())
}

/// Switches an endpoint on or off.
pub async fn switch(
    desk: &Desk,
    ctx: &Ctx,
    id: &Id<Webhook>,
    to: Switch,
) -> Result<Receipt, Error> {
    for _ in 0..ATTEMPTS_MAX {
        let grant = access::permit(desk, ctx, Right::Keys)?;
        let among = Among::find_intact(desk, id).await?;
        let mut row = among.row.clone();
        let verb = match (to, row.state) {
            (Switch::On, EndpointState::On) => {
                return Err(Error::conflict("already_on", "this webhook is on"));
            }
            (Switch::Off, EndpointState::Gone | EndpointState::Off) => {
                return Err(Error::conflict("already_off", "this webhook is off"));
            }
            (Switch::On, _) => {
                row.state = EndpointState::On;
                (row.attempts, row.next) = (0, ctx.now);
                (row.failing, row.refused) = (None, None);
                "webhook.enable"
            }
            (Switch::Off, EndpointState::On) => {
                row.state = EndpointState::Off;
                "webhook.disable"
            }
        };
        let entry = Entry::new(ctx, EntryKind::Send, verb).because(&id.to_string(), "");
        let guard = becomes(desk, &among.row, &mut row, Miss::LifeChanged)?;
        let settled = among.settled(Some(&row), ctx.now);
        let change = grant.change(entry).guard(guard).write_all(settled);
        if let Attempt::Done(receipt) = commit_or_retry(desk, change).await? {
            return Ok(receipt);
        }
    }
    Err(changed_meanwhile())
}

/// Tells an endpoint again of everything that happened since a moment, as far as it is kept, under the
/// same ids.
pub async fn replay(
    desk: &Desk,
    ctx: &Ctx,
    id: &Id<Webhook>,
    since: Time,
) -> Result<Replayed, Error> {
    for _ in 0..ATTEMPTS_MAX {
        let grant = access::permit(desk, ctx, Right::Keys)?;
        let among = Among::find_intact(desk, id).await?;
        let mut row = among.row.clone();
        let behind = desk.data.scan(move |db| store::number_before(db, since)).await?;
        // Never forward: what waits is not passed over.
        row.position = behind.map_or(row.position, |behind| row.position.min(behind));
        (row.attempts, row.next, row.refused, row.passed) = (0, ctx.now, None, 0);
        let (position, kinds) = (row.position, row.kinds.clone());
        let counts = desk.data.scan(move |db| store::count_kinds(db, position, i64::MAX)).await?;
        let waiting = counts.iter().filter(|(kind, _)| kinds.contains(kind)).map(|it| it.1).sum();
        let entry = Entry::new(ctx, EntryKind::Send, "webhook.replay")
            .because(&id.to_string(), "")
            .counting(waiting);
        let guard = becomes(desk, &among.row, &mut row, Miss::LifeChanged)?;
        let settled = among.settled(Some(&row), ctx.now);
        let change = grant.change(entry).guard(guard).write_all(settled);
        if let Attempt::Done(receipt) = commit_or_retry(desk, change).await? {
            return Ok(Replayed { waiting, receipt });
        }
    }
    Err(changed_meanwhile())
}

/// In a restore, before anything is opened: nobody is told of anything until somebody has looked. Gives
/// how many wait to be switched on. A row that was altered stays so, and counts for nothing.
pub fn switch_all_off(db: &mut Connection, keyring: &Keyring) -> Result<u64, Error> {
    let mut off = 0;
    for row in store::read_endpoints(db)? {
        let is_intact = keyring.is_row_intact(ENDPOINT_TABLE, &row.columns(), &row.mac)?;
        if !is_intact || row.state != EndpointState::On {
            continue;
        }
        let mut after = row.clone();
        after.state = EndpointState::Off;
        after.mac = keyring.mac_row(ENDPOINT_TABLE, &after.columns())?;
        db.execute(&store::update_endpoint(&after, &row.mac))?;
        off += 1;
    }
    Ok(off)
}
