//! Customers, end to end.

mod basics;
mod consent;
mod parting;
mod read_many;
mod walk;
