//! What the committer keeps for rights: the state hash, budgets, legal holds.

mod book;
mod budgets;
mod holds;
mod repeats;

pub use book::{BROKEN_ROW, Book, RegisterMacs};
pub(super) use budgets::{any_day_before, forget_days_before, seen_hash};
pub use holds::none_for;
pub(super) use holds::{
    CONSENTS as HOLD_ON_CONSENTS, HOLDS_MAX, HoldRow, TABLE as HOLD_TABLE, count as count_holds,
    delete as delete_hold, insert as insert_hold, list as list_holds,
};
pub(super) use repeats::{
    RepeatRow, any_ended as any_repeat_ended, claim as claim_repeat, find as find_repeat,
    forget_ended as forget_ended_repeats,
};
