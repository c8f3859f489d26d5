//! The server's certificate: made by a small authority of our own, asked of a public one, or given;
//! renewed in time, shown without a restart.
//!
//! What must never happen here: an authority that can sign for names nobody asked for, a key that
//! others can read, a working certificate given up before its successor works.

mod jobs;
mod model;
mod pages;
#[cfg(test)]
mod tests;
mod verbs;

pub use jobs::{Keeper, run};
pub use model::Authority;
pub use pages::{Step, steps, trust_page};
pub use verbs::{AUTHORITY_FILE, TRUST_FILE, authority, issue, make_authority, obtain};
