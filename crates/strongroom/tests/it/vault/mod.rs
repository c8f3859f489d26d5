//! Customers, end to end.

mod basics;
mod merge;
mod records;
mod tokens;
