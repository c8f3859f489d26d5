//! Legal holds: while one stands, no path erases the customer.

use strongroom_crypto::random_array;
use strongroom_detect::card::contains_card_number;

use crate::access::model::Desk;
use crate::access::store::{self, HoldRow};
use crate::access::verbs::{commit, permit};
use crate::ctx::{Ctx, Entry, EntryKind, Guard, Miss, Receipt, StateDelta, StatePart};
use crate::error::{Error, ErrorKind};
use crate::id::{Customer, Id};
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
    let entry = Entry::new(ctx, EntryKind::Admin, "hold.place");
    commit(desk, grant.change(entry).write(store::insert_hold(&row)).with_state(delta)).await
}

/// Releases every hold on a customer.
pub async fn release_hold(
    desk: &Desk,
    ctx: &Ctx,
    customer: Id<Customer>,
) -> Result<Receipt, Error> {
    let grant = permit(desk, ctx, Right::Policy)?;
    let rows = desk.data.scan(store::list_holds).await?;
    let bytes = customer.as_bytes();
    let rows: Vec<HoldRow> = rows.into_iter().filter(|row| row.customer == *bytes).collect();
    if rows.is_empty() {
        let detail = "no hold stands on this customer";
        return Err(Error::new(ErrorKind::NotFound, "no_hold", detail).leaving_entry());
    }
    let mut change = grant.change(Entry::new(ctx, EntryKind::Admin, "hold.release"));
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
