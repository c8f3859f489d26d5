//! Legal holds: while one stands, no path erases the customer.

use strongroom_crypto::random_array;
use strongroom_detect::card::contains_card_number;

use crate::access::model::Desk;
use crate::access::store::{self, HoldRow};
use crate::access::verbs::{commit, permit};
use crate::ctx::{Change, Ctx, Entry, EntryKind, Guard, Miss, Receipt, StateDelta, StatePart};
use crate::db::Connection;
use crate::error::{Error, ErrorKind};
use crate::id::{Customer, Id};
use crate::keys::Keyring;
use crate::policy::Right;

/// Places a hold on a customer. The reason is a short code, for the legal contact.
pub async fn place_hold(
    desk: &Desk,
    ctx: &Ctx,
    customer: Id<Customer>,
    reason: &str,
) -> Result<Receipt, Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || " -_.".contains(c);
    let is_short = !reason.is_empty() && reason.len() <= REASON_SIZE_MAX;
    if !is_short || !reason.chars().all(plain) || contains_card_number(reason) {
        let detail = "the reason of a hold is 1 to 60 letters, digits, spaces, `-`, `_` or `.`; \
                      name the case, not a person";
        return Err(Error::unprocessable("bad_reason", detail));
    }
    let grant = permit(desk, ctx, Right::Policy)?;
    // Counted after the decision, whose epoch every other hold placed meanwhile would end.
    if store::count_holds(&mut desk.data.snapshot().await?).await? >= store::HOLDS_MAX {
        let detail = "100,000 legal holds stand; no more are kept in this version";
        return Err(Error::unprocessable("holds_used_up", detail));
    }
    let mut row = HoldRow {
        id: random_array(ctx.rng.as_ref())?,
        customer: *customer.as_bytes(),
        reason: reason.to_owned(),
        placed: ctx.now,
        mac: [0; 32],
    };
    row.mac = desk.keyring.mac_row(store::HOLD_TABLE, &row.columns())?;
    let delta = StateDelta { part: StatePart::Rights, before: None, after: Some(row.mac) };
    let entry = Entry::new(ctx, EntryKind::Admin, "hold.place").from_reserve();
    commit(desk, grant.change(entry).write(store::insert_hold(&row)).with_state(delta)).await
}

/// Releases every hold on a customer.
pub async fn release_hold(
    desk: &Desk,
    ctx: &Ctx,
    customer: Id<Customer>,
) -> Result<Receipt, Error> {
    let grant = permit(desk, ctx, Right::Policy)?;
    let rows = match *customer.as_bytes() == store::HOLD_ON_CONSENTS {
        true => Vec::new(),
        false => holds_on(desk, customer.as_bytes()).await?,
    };
    if rows.is_empty() {
        let detail = "no hold stands on this customer";
        return Err(Error::new(ErrorKind::NotFound, "no_hold", detail).leaving_entry());
    }
    release(desk, grant.change(Entry::new(ctx, EntryKind::Admin, "hold.release")), rows).await
}

/// Says that every withdrawal since the backup was set down again, or there was none: consents that were
/// restored count again.
pub async fn confirm_consents(desk: &Desk, ctx: &Ctx) -> Result<Receipt, Error> {
    let grant = permit(desk, ctx, Right::Policy)?;
    let rows = holds_on(desk, &store::HOLD_ON_CONSENTS).await?;
    release(desk, grant.change(Entry::new(ctx, EntryKind::Admin, "consents.confirm")), rows).await
}

async fn holds_on(desk: &Desk, whose: &[u8; 16]) -> Result<Vec<HoldRow>, Error> {
    let mut rows = desk.data.scan(store::list_holds).await?;
    rows.retain(|row| row.customer == *whose);
    Ok(rows)
}

async fn release(desk: &Desk, mut change: Change, rows: Vec<HoldRow>) -> Result<Receipt, Error> {
    for row in rows {
        refuse_broken(desk, &row)?;
        let statement = store::delete_hold(&row);
        let delta = StateDelta { part: StatePart::Rights, before: Some(row.mac), after: None };
        change = change
            .guard(Guard::Rows { statement, expected: 1, miss: Miss::StateChanged })
            .with_state(delta);
    }
    commit(desk, change).await
}

/// In a restore: consents given until now do not count until [`confirm_consents`]. Nobody knows which of
/// them were withdrawn since the backup.
pub fn hold_consents(db: &mut Connection, keyring: &Keyring, ctx: &Ctx) -> Result<(), Error> {
    let mut row = HoldRow {
        id: random_array(ctx.rng.as_ref())?,
        customer: store::HOLD_ON_CONSENTS,
        reason: "restored".to_owned(),
        placed: ctx.now,
        mac: [0; 32],
    };
    row.mac = keyring.mac_row(store::HOLD_TABLE, &row.columns())?;
    db.execute(&store::insert_hold(&row)).map(drop)
}

/// In a restore, before anything is opened: holds that are newer than the data stand again. One that
/// was released since stands again too, which keeps a customer longer and destroys nothing. Gives how
/// many there are.
pub fn replay_holds(
    db: &mut Connection,
    mirror: &mut Connection,
    keyring: &Keyring,
) -> Result<u64, Error> {
    let known = store::list_holds(db)?;
    let newer = store::list_holds(mirror)?;
    let total = known.len() as u64;
    let mut added = 0;
    for row in newer.iter().filter(|row| !known.iter().any(|it| it.id == row.id)) {
        // A row of other hands confers nothing, and as a limit it is honoured where it stands.
        if keyring.is_row_intact(store::HOLD_TABLE, &row.columns(), &row.mac)? {
            db.execute(&store::insert_hold(row))?;
            added += 1;
        }
    }
    Ok(total + added)
}

/// What leaves the state hash is the MAC in the row, so the row must be ours: one put there by SQL with
/// the MAC of another row would let that other row vanish unnoticed.
fn refuse_broken(desk: &Desk, row: &HoldRow) -> Result<(), Error> {
    if desk.keyring.is_row_intact(store::HOLD_TABLE, &row.columns(), &row.mac)? {
        return Ok(());
    }
    let detail = "a legal hold was put into the database by other hands; nothing was released. \
                  Restore the data from a backup";
    Err(Error::unavailable("rights_altered", detail))
}

const REASON_SIZE_MAX: usize = 60;
