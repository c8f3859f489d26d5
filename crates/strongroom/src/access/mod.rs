//! Who may: decisions, grants with their guards, budgets, refusals, legal holds.
//!
//! The only maker of [`crate::ctx::Grant`]. What must never happen here: a right from a row instead
//! of the published authority, a refusal that tells more than the caller may know.

mod api;
mod jobs;
mod model;
mod rules;
mod store;
#[cfg(test)]
mod tests;
mod verbs;

pub use api::{AsOperator, Caller, Purpose, VerificationView, rebuild, routes};
pub use jobs::{summarise_strangers, tell_ending_keys};
pub use model::{
    Allowed, Authority, Desk, MissingKeys, Refusal, RefusalMeter, Rights, StrangerMeter, Wish,
};
pub use rules::{Seer, decide, may, reasons, who};
pub use store::{BROKEN_ROW, Book, RegisterMacs, none_for as no_legal_hold};
pub use verbs::{
    Attempt, Comparing, Deeper, Permission, Repeated, actor_of_key, announce, begin_verification,
    claim, close_finding, commit, commit_or_retry, confirm_consents, erase_claims, find_repeated,
    find_verification, forget_past_days, forget_repeated, hold_consents, keep_shares, may_export,
    may_look_up, may_read, may_reveal, may_see_consents, may_send, may_share, permit, permit_any,
    permit_own_end, place_hold, raise_finding, refusal_of, refuse, release_hold, replay_holds,
    system_grant,
};
