//! Customers, end to end.

mod basics;
mod batch;
mod consent;
mod export;
mod imports;
mod merge;
mod once;
mod parting;
mod read_many;
mod records;
mod refusals;
mod tokens;
mod walk;
pub(crate) mod words;
