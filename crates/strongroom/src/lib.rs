//! Strongroom keeps the customer data of a business safe, and can prove it.
//!
//! `ARCHITECTURE.md` draws the house: a ground floor everything stands on, rooms with one door each,
//! and a roof that wires them. Every act is *read, decide, commit*.

pub mod ctx;
pub mod db;
pub mod error;
pub mod id;
pub mod config;
pub mod keys;
pub mod ledger;
pub mod policy;
pub mod staff;
pub mod access;
pub mod findings;
pub mod vault;
pub mod app;
pub mod web;
pub mod cli;
pub mod router;
pub mod jobs;
