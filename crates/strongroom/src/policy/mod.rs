//! The data policy: one file people can read, which says what is kept about customers, why, how
//! long, and who may see it. This part parses it into types that cannot be wrong, tells what a
//! change of it means, and reads and masks the values of its fields. It stores and applies
//! nothing.

mod model;
mod rules;
mod store;
#[cfg(test)]
mod tests;
mod verbs;

pub use self::model::{
    Budget, Business, Class, Compartment, Destination, DifferenceLine, Effect, Field, FieldKind,
    FieldValue, Find, GracePeriod, Grant, HttpsAddress, Name, Outlet, Policy, Problem, Purpose,
    RecordKind, Registry, Relation, RetentionPeriod, Reveal, Right, Role, See,
    UnreadableValueError, ValueProblem, ValueProblemCode,
};
pub use self::rules::{compartments, describe, difference, mask, parse_value};
pub use self::verbs::{
    Applied, Applying, Pending, Stored, apply, apply_due, cancel, load, read, replay,
};

/// Reads a policy file. On failure at least one and at most 20 problems, in the order of their
/// lines; when the TOML itself is broken, only that is reported, since the rest would mislead.
pub fn parse(text: &str) -> Result<Policy, Vec<Problem>> {
    rules::check(text)
}
