//! Customers, end to end.

mod basics;
mod batch;
mod export;
mod once;
