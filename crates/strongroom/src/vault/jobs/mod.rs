//! The vault's periodic work: erasures that are due, and pending keys that have their record.

mod erase;
mod sweep;

pub use erase::{Erased, erase_due, finish_begun, refuse_returned_keys, register_macs};
pub use sweep::{Swept, sweep_pending_keys};
