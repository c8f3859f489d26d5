//! Telling other systems that something happened to a customer: ids, signed, in order, nothing else.
//!
//! The act itself writes the event ([`event`]), in its own change, so there is no act without its event
//! and no event without its act. A courier for each endpoint then posts them one after another until
//! each was taken. What must never happen here: anything of a person but their id in an event, an event
//! to an address nobody with the right named, a secret in a row, a log line or an error.

mod api;
mod jobs;
mod model;
mod rules;
mod store;
#[cfg(test)]
mod tests;
mod verbs;

use crate::ctx::Ctx;
use crate::db::Statement;
use crate::error::Error;
use crate::id::{Customer, Id};
use crate::keys::Keyring;

use model::EventRow;

pub use api::routes;
pub use jobs::{Couriers, attend, forget_old, run_once};
pub use model::{EndpointState, EventKind};
pub use verbs::{
    EndpointView, Made, NewEndpoint, Replayed, Switch, end, list, make, renew_secret, replay,
    switch, switch_all_off,
};

/// What an act writes about itself, for whoever wants to be told. It writes nothing where no endpoint
/// was made, so an installation without webhooks grows nothing.
pub fn event(
    ctx: &Ctx,
    keyring: &Keyring,
    kind: EventKind,
    customer: &Id<Customer>,
) -> Result<Statement, Error> {
    write(ctx, keyring, kind, customer, None)
}

/// The same for a customer who is another one from now on.
pub fn merged(
    ctx: &Ctx,
    keyring: &Keyring,
    goes: &Id<Customer>,
    stays: &Id<Customer>,
) -> Result<Statement, Error> {
    write(ctx, keyring, EventKind::Merged, goes, Some(*stays))
}

/// What was not delivered yet of a customer who is gone whole, but for that: there is nothing left to
/// read.
pub fn forget(customer: &[u8; 16]) -> Vec<Statement> {
    vec![store::forget(customer)]
}

fn write(
    ctx: &Ctx,
    keyring: &Keyring,
    kind: EventKind,
    customer: &Id<Customer>,
    into: Option<Id<Customer>>,
) -> Result<Statement, Error> {
    let id = ctx.new_id()?;
    let mut row =
        EventRow { number: 0, id, kind, customer: *customer, into, at: ctx.now, mac: [0; 32] };
    row.mac = keyring.mac_row(model::EVENT_TABLE, &row.columns())?;
    Ok(store::insert_event(&row))
}
