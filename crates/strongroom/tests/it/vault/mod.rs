//! Customers, end to end.

mod basics;
mod consent;
mod read_many;
mod records;
mod tokens;
