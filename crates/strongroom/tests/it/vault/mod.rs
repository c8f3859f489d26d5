//! Customers, end to end.

mod basics;
mod batch;
mod consent;
mod once;
mod read_many;
mod records;
mod tokens;
