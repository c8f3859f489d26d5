//! What an erasure leaves and takes, field by field, as whoever asked for it is told.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;

use crate::ctx::Time;
use crate::policy::Applied;
use crate::vault::model::Core;
use crate::vault::rules::records::record_fields;
use crate::vault::rules::{Kept, Remainder};

/// What becomes of a customer who is to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parting {
    /// What a legal duty keeps; empty when everything goes.
    pub kept: Vec<Kept>,
    /// The fields that go; those of records by kind, `invoice.number`, where at least one goes.
    pub goes: Vec<String>,
    /// The relations that end.
    pub ends: Vec<String>,
}

/// Told from the numbers of the fields that hold a value, compartment by compartment, because those are
/// what stays or goes: also a field that the policy has dropped since.
pub(in crate::vault) fn parting(
    applied: &Applied,
    core: &Core,
    held: &BTreeMap<[u8; 16], Vec<u8>>,
    left: Remainder,
) -> Parting {
    let named = |wanted: &dyn Fn(&[u8; 16]) -> bool| {
        let numbers = held.iter().filter(|(id, _)| wanted(id)).flat_map(|(_, numbers)| numbers);
        let names = numbers.filter_map(|number| applied.registry.name_of(*number));
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        names
    };
    let mut goes = named(&|id| !left.compartments.contains(id));
    goes.extend(fields_of_records(applied, core, &left));
    let stays = |relation: &str| core_relations(&left).any(|name| name == relation);
    let all = core.relations.iter().map(|relation| relation.name.clone());
    let ends = all.filter(|relation| !stays(relation)).collect();
    let mut kept = left.why.clone();
    for one in &mut kept {
        one.fields = named(&|id| {
            let known = applied.registry.compartment(id);
            known.is_some_and(|known| known.needed_for.contains(&one.relation))
        });
    }
    // Records are kept or go as a whole, whichever of their fields hold a value.
    kept.extend(left.why_records.iter().cloned());
    Parting { kept, goes, ends }
}

/// The last day of something that ends at a moment, where the business is: `2036-11-21`.
pub(in crate::vault) fn last_day(until: Time, zone: &TimeZone) -> String {
    // The end is the first moment after that day.
    until.plus_ms(-1).day_in(zone)
}

/// The fields of all kinds of record of which at least one shelf goes.
fn fields_of_records(applied: &Applied, core: &Core, left: &Remainder) -> Vec<String> {
    let goes = core.shelves.iter().filter(|shelf| !left.shelves.contains(&shelf.id));
    let kinds: BTreeSet<&str> = goes.map(|shelf| shelf.kind.as_str()).collect();
    kinds.into_iter().flat_map(|kind| record_fields(applied, kind)).collect()
}

fn core_relations(left: &Remainder) -> impl Iterator<Item = &str> {
    left.relations.iter().map(|relation| relation.name.as_str())
}
