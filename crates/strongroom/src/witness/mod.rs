//! The witness: on another machine it cosigns how far the ledger is, and here it is asked for that.
//!
//! Two sides of one protocol (C2SP tlog-witness). The witness remembers the newest checkpoint it
//! cosigned of each log it was told of. The server asks it at its start and while it runs; a witness
//! that remembers more than the ledger holds shows that older files were put back. What must never
//! happen here: two roots cosigned at one size or a smaller size, a cosignature before its checkpoint
//! is durable, a server that goes on after the witness contradicted it.

mod api;
mod jobs;
mod rules;
mod store;
#[cfg(test)]
mod tests;
mod verbs;

pub use api::{ADD_CHECKPOINT_PATH, routes};
pub use jobs::{Watching, end_unwatched, tell_none, tell_outlook};
pub use verbs::{Keeper, Outlook, Trusted, Witness, hand_over, make, refuse_contradicted, trust};
