//! Use without seeing: values go to a vendor or a named recipient, and whoever asked sees none.
//!
//! Each recipient of a send is one change of its own (entry, guards, holding), durable before the value
//! leaves. What must never happen here: a value that leaves without its entry, a recipient passed over
//! or served twice without being listed, a value in a row, a log line or an error.

mod api;
mod jobs;
mod model;
mod rules;
mod store;
#[cfg(test)]
mod tests;
mod verbs;

pub use api::routes;
pub use jobs::{Connections, attend, forget_ended, run_once};
pub use model::{RecipientState, SendState};
pub use rules::TemplateText;
pub use verbs::{
    AskInput, Asked, NewShare, OpenedShare, Progress, Shared, ask, count_waiting, end_all,
    open_share, progress, revoke_share, share, stop,
};
