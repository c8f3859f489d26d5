//! Strongroom keeps the customer data of a business safe, and can prove it.
//!
//! `ARCHITECTURE.md` draws the house: a ground floor everything stands on, rooms with one door each,
//! and a roof that wires them. Every act is *read, decide, commit*.

// What the integration tests share with those of `db` names the library as they do.
#[cfg(test)]
extern crate self as strongroom;

pub mod access;
pub mod app;
pub mod backup;
pub mod certificates;
pub mod cli;
pub mod config;
pub mod ctx;
pub mod db;
pub mod error;
pub mod findings;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
pub mod id;
pub mod jobs;
pub mod keys;
pub mod ledger;
pub mod meter;
pub mod metrics;
pub mod outlets;
pub mod places;
pub mod policy;
pub mod router;
pub mod sql;
pub mod staff;
pub mod time;
pub mod vault;
pub mod web;
pub mod webhooks;
pub mod witness;
