//! What can be done with policies as a whole.

mod apply;

pub use apply::{Applied, Applying, Pending, Stored, apply, apply_due, cancel, load, read, replay};
