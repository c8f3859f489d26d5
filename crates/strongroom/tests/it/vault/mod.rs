//! Customers, end to end.

mod basics;
mod batch;
mod consent;
mod imports;
mod once;
mod read_many;
mod records;
mod refusals;
mod tokens;
