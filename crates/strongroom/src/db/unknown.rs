//! A COMMIT without an answer.

use std::time::Duration;

use crate::ctx::Clock;
use crate::db::connection::{Connection, Durability, Place};
use crate::db::keeper::Keeper;
use crate::db::stall::Stall;
use crate::error::Error;

/// After a COMMIT that a server did not answer: looks whether the batch is there, on the connection that is
/// given. Until one can be had nobody is told anything. The batch is as good as not there, and told to be
/// unknown, when the server stays away.
pub(super) fn find_batch(
    place: &Place,
    keeper: &mut dyn Keeper,
    (clock, stall): (&dyn Clock, &Stall),
    unknown: Error,
) -> Result<Connection, Error> {
    tracing::warn!(cause = ?unknown.cause(), "a COMMIT had no answer; looking what became of it");
    let look = |keeper: &mut dyn Keeper| {
        let mut fresh = place.open(Durability::Durable)?;
        keeper.is_durable(&mut fresh).map(|is_there| is_there.then_some(fresh))
    };
    let began_ms = clock.monotonic_ms();
    for _ in 0..LOOKS_MAX {
        match look(keeper) {
            Ok(found) => return found.ok_or(unknown),
            Err(still) => tracing::debug!(cause = ?still.cause(), "the server is not back yet"),
        }
        // A look takes seconds where packets are lost or a lock is held.
        if clock.monotonic_ms().saturating_sub(began_ms) >= LOOKS_MS_MAX {
            break;
        }
        std::thread::park_timeout(LOOK_PAUSE);
    }
    // It may still come.
    stall.unsettle();
    Err(unknown)
}

/// A server that was started again is back by then, and the callers, who are kept for half a minute, are
/// still there to be told. By number too, should the clock stand still.
const LOOKS_MS_MAX: i64 = 25_000;
const LOOKS_MAX: u32 = 1000;
const LOOK_PAUSE: Duration = Duration::from_millis(100);
