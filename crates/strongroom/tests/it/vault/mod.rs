//! Customers, end to end.

mod basics;
