//! Tests of the rules of the room, through its door.

mod differences;
mod outlets;
mod periods;
mod policies;
mod refusals;
mod values;
mod words;

use super::*;

/// The policy an operator begins with.
const SHOP: &str = include_str!("../../../../../examples/shop/policy.toml");

/// A whole policy that the tests change.
const SMALL: &str = r#"[business]
name = "Shop"
timezone = "Europe/London"
[relation.sale]
keep = "3 years"
[field.email]
type = "email"
needed_for = ["sale"]
find = "exact"
[field.note]
type = "text"
needed_for = ["sale"]
[purpose.support]
[role.desk]
may = ["relate"]
[[grant]]
role = "desk"
purpose = "support"
fields = ["email"]
find = ["email"]
see = "masked"
budget = { per_day = 5 }
reveal = { needs = "reason", reasons = ["called"], per_day = 3 }
"#;

fn shop() -> Policy {
    parsed(SHOP)
}

#[track_caller]
fn parsed(text: &str) -> Policy {
    parse(text).unwrap_or_else(|problems| {
        let lines = problems.iter().map(Problem::to_string).collect::<Vec<_>>();
        panic!("{}\n---\n{text}", lines.join("\n"))
    })
}
