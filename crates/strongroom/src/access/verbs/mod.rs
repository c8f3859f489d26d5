//! What can be done with rights.

mod allow;
mod commit;
mod holds;
mod recovery;
mod repeat;
mod send;
mod verify;

pub use allow::{
    Permission, erase_claims, forget_past_days, may_export, may_look_up, may_read, may_reveal,
    may_see_consents, permit, permit_any, permit_own_end, system_grant,
};
pub use commit::{
    Attempt, close_finding, commit, commit_or_retry, raise_finding, refusal_of, refuse,
};
pub use holds::{confirm_consents, hold_consents, place_hold, release_hold, replay_holds};
pub use recovery::{announce, keep_shares};
pub use repeat::{Repeated, claim, find_repeated, forget_repeated};
pub use send::{actor_of_key, may_send, may_share};
pub use verify::{Comparing, Deeper, begin_verification, find_verification};
