//! Customers, end to end.

mod basics;
mod records;
mod tokens;
