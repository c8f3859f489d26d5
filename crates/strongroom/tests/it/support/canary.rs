//! Searches for marked values.
