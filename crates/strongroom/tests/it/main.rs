//! One integration binary: every promise of the product, through its doors or over HTTP.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

mod attack;
mod backup;
mod cli;
mod crash;
mod doors;
mod engines;
mod ledger;
mod metrics;
mod outlets;
mod places;
mod recovery;
mod roads;
mod support;
mod vault;
mod webhooks;
mod witness;
