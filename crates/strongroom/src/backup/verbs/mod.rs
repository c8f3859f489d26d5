//! What can be done with backups, one file a verb.

mod copy;
mod list;
mod make;
mod parts;
mod read;
mod remove;
mod restore;

pub use copy::{copy_newest, remove_old_copies};
pub(super) use list::exposed_before;
pub use list::{Latest, Standing, close_leak, latest, rehearsed, standing};
pub use make::{Made, make};
pub use read::contents;
#[cfg(any(test, feature = "fuzz"))]
pub(super) use read::rows_of;
pub(super) use read::{load, open, pick};
pub use remove::remove_old;
pub(super) use restore::Stage;
pub use restore::{Agreement, MissingKeys, Outcome, RestoreInput, Restored, Window, restore};
