//! The vault's periodic work: erasures that are due, the walk over all customers, the index of words, and
//! pending keys that have their record.

mod compare;
mod erase;
mod rebuild;
mod renew;
mod replay;
mod retire;
mod rotate;
mod sweep;
mod vanished;
mod walk;
mod words;

pub use compare::compare;
pub use erase::{Erased, erase_due, finish_begun, refuse_returned_keys, register_macs};
pub use rebuild::{NAMED_MAX, Rebuild, Rebuilt, rebuild_indexes};
pub use replay::{Replay, gather, replay};
pub use retire::destroy_retired;
pub use rotate::rotate_due;
pub use sweep::{Swept, sweep_pending_keys};
pub use walk::{Walked, walk};
pub(super) use words::whole_by_now;
pub use words::{index_words, tell_indexed};
