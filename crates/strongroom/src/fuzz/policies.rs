//! Policy files.

use strongroom_crypto::{CryptoError, Random};

use super::is_plain;
use crate::policy::{self, Problem, Registry, compartments, describe, difference};

/// A text as a policy. What is wrong is told plainly and where it stands; what is right means one
/// thing, and nothing changes from it to itself.
pub fn policies(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let policy = match policy::parse(text) {
        Ok(policy) => policy,
        Err(problems) => return told(text, &problems),
    };
    let again = policy::parse(text);
    assert!(again.as_ref() == Ok(&policy), "one file and two policies");
    assert!(difference(Some(&policy), &policy).is_empty(), "differs from itself");
    let summary = difference(None, &policy);
    assert!(!summary.is_empty() && summary.iter().all(|line| is_plain(&line.text)), "{summary:?}");
    assert_eq!(describe(&policy), describe(&policy));
    let needs = compartments(&policy);
    let mut unique = needs.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), needs.len(), "one need has two compartments");
    let Ok(registry) = Registry::default().extended_for(&policy, &Counting) else { return };
    let twice = registry.extended_for(&policy, &Counting);
    assert!(twice.is_ok_and(|twice| twice == registry), "applied twice, numbered anew");
    let mut numbers: Vec<u8> =
        policy.all_fields().filter_map(|(name, _)| registry.id_of(name.as_str())).collect();
    let fields = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), fields, "two fields have one number");
}

fn told(text: &str, problems: &[Problem]) {
    assert!((1..=20).contains(&problems.len()), "{} problems", problems.len());
    let lines = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
    for problem in problems {
        let line = usize::try_from(problem.line).unwrap_or(0);
        assert!((1..=lines).contains(&line), "line {line} of {lines}");
        assert!(is_plain(&problem.cause) && is_plain(&problem.cure), "{problem:?}");
    }
    assert!(problems.is_sorted_by_key(|problem| problem.line), "out of order");
}

/// Random enough: compartments must not share an id.
struct Counting;

impl Random for Counting {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        out.fill(9);
        Ok(())
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    [
        include_str!("../../../../examples/agency/policy.toml"),
        include_str!("../../../../examples/club/policy.toml"),
        include_str!("../../../../examples/practice/policy.toml"),
        include_str!("../../../../examples/shop/policy.toml"),
        "[business]\nname = \"\u{1b}[2J\"\n[relation.\"a\\nb\"]\nkeep = \"3 yaers\"\n",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect()
}

#[test]
fn seeds_are_policies() {
    let is_policy =
        |seed: &Vec<u8>| policy::parse(std::str::from_utf8(seed).unwrap()).map(drop).is_ok();
    assert_eq!(seeds().iter().filter(|seed| is_policy(seed)).count(), 4);
}
