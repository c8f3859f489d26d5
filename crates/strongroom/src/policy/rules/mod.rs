//! The pure decisions of the room: what a policy file means, what changes between two, which
//! values a field takes and how they are masked. No clock, no I/O beyond the time zone table.

mod check;
mod compartments;
mod describe;
mod difference;
mod mask;
mod value;

pub use self::compartments::compartments;
pub use self::describe::describe;
pub use self::difference::difference;
pub use self::mask::mask;
pub use self::value::parse_value;

pub(in crate::policy) use self::check::check;
#[cfg(test)]
pub(in crate::policy) use self::check::{POLICY_SIZE_BYTES_MAX, PROBLEMS_MAX};
