//! What can be done with outlets and shares.

mod ask;
mod end_all;
mod progress;
mod share;

pub use ask::{AskInput, Asked, ask};
pub(in crate::outlets) use ask::{field_names, waiting};
pub use end_all::end_all;
pub use progress::{Progress, count_waiting, progress, stop};
pub use share::{NewShare, OpenedShare, Shared, open_share, revoke_share, share};

/// An act is decided once more when what it rests on moves; after so many times it is busy.
const ATTEMPTS_MAX: usize = 5;
