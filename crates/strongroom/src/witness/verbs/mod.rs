//! What the two sides do.

mod ask;
mod hand;
mod keep;

pub use ask::{Outlook, Witness, refuse_contradicted};
pub(super) use ask::{Standing, contradiction};
pub use hand::hand_over;
pub use keep::{Keeper, Trusted, make, trust};
pub(super) use keep::{Refused, Unanswered};
