//! Which fields live and die together, and so share a key.

use std::collections::BTreeSet;

use crate::policy::model::{Name, Policy, Relation};

/// The distinct sets of relations that fields are needed for, in a stable order; the fields of one
/// set share a compartment. At most 8; the core of a customer is not among them.
pub fn compartments(policy: &Policy) -> Vec<BTreeSet<Name<Relation>>> {
    let sets: BTreeSet<_> = policy.fields.values().map(|field| &field.needed_for).collect();
    sets.into_iter().cloned().collect()
}
