//! Customers, end to end.

mod basics;
mod imports;
mod refusals;
