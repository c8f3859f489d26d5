//! Customers, end to end.

mod basics;
mod batch;
mod once;
