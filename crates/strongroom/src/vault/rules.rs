//! Pure decisions of the vault: what may be kept, when it falls due, what an erasure leaves.

mod compared;
mod consent;
mod parting;
mod records;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use jiff::ToSpan;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::ctx::Time;
use crate::error::{Error, FieldProblem};
use crate::policy::{Applied, FieldValue, Find, Policy, RetentionPeriod, parse_value};
use crate::vault::model::{Core, IndexKind, Relation};

pub(super) use self::compared::{Said, SaidRows, Stands, Verdict, compare};
pub(super) use self::consent::{
    counts, give, has_consented, refuse_needless, refuse_without_consent, withdraw,
};
pub use self::parting::Parting;
pub(super) use self::parting::{last_day, parting};
pub(super) use self::records::{
    RecordField, due_day_of, end_year, issued_day, parse_record_fields, start_of,
};
pub(super) use self::words::{Typed, beginnings_of};

/// A field of the input that was read into a value.
pub(super) struct ParsedField {
    pub(super) id: u8,
    pub(super) compartment: [u8; 16],
    pub(super) index: Option<IndexKind>,
    /// `None` removes the field.
    pub(super) value: Option<FieldValue>,
}

/// Whether a missing value is allowed: it removes a field from a customer who exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nulls {
    /// In a patch.
    Remove,
    /// In a create.
    Refuse,
}

/// Reads the fields of an input. Undeclared ones, ones that no relation of the customer needs, and
/// values that do not fit are refused, all at once; a refusal never repeats a value.
pub(super) fn parse_fields(
    applied: &Applied,
    relations: &[Relation],
    input: &BTreeMap<String, Value>,
    nulls: Nulls,
) -> Result<Vec<ParsedField>, Error> {
    let mut parsed = Vec::with_capacity(input.len());
    let mut problems = Vec::new();
    for (position, (name, value)) in input.iter().enumerate() {
        match parse_field(applied, relations, name, value, nulls) {
            Ok(field) => parsed.push(field),
            Err(mut problem) => {
                if problem.code == "undeclared_field" {
                    // The caller's own text may be a value that landed in the wrong place.
                    problem.field = format!("field number {} by name", position + 1);
                }
                problems.push(problem);
            }
        }
    }
    if problems.is_empty() {
        return Ok(parsed);
    }
    let detail = "some fields were refused; nothing was changed";
    Err(Error::unprocessable("fields_refused", detail).with_fields(problems))
}

fn parse_field(
    applied: &Applied,
    relations: &[Relation],
    name: &str,
    value: &Value,
    nulls: Nulls,
) -> Result<ParsedField, FieldProblem> {
    let policy = &applied.policy;
    let problem =
        |code: &'static str, detail: String| FieldProblem { field: name.to_owned(), code, detail };
    let Some(field) = policy.fields().get(name) else {
        let known: Vec<&str> = policy.fields().keys().map(|name| name.as_str()).collect();
        let detail = format!(
            "this field is not declared, so it is not kept; declared are `{}`. Leave it out, or \
             declare it in the policy with what it is needed for",
            known.join("`, `")
        );
        return Err(problem("undeclared_field", detail));
    };
    let needed_for = || field.needed_for.iter().map(|relation| relation.as_str());
    let found = applied.registry.id_of(name).zip(applied.registry.compartment_for(needed_for()));
    let Some((id, compartment)) = found else {
        return Err(problem("unregistered_field", "this field has no number yet".to_owned()));
    };
    let index = match field.find {
        // Words are indexed in memory, once the change is durable.
        Find::None | Find::Words => None,
        Find::Exact => Some(IndexKind::Exact),
        Find::Unique => Some(IndexKind::Unique),
    };
    let read = |value| ParsedField { id, compartment: compartment.id, index, value };
    if value.is_null() {
        return match nulls {
            Nulls::Remove => Ok(read(None)),
            Nulls::Refuse => {
                Err(problem("null_value", "leave the field out instead of sending null".to_owned()))
            }
        };
    }
    if !relations.iter().any(|relation| field.needed_for.contains(relation.name.as_str())) {
        let needed: Vec<&str> = needed_for().collect();
        let detail = format!(
            "nothing this customer is known for needs it; it is needed for `{}`. Leave it out, or \
             name that relation",
            needed.join("`, `")
        );
        return Err(problem("not_needed", detail));
    }
    match parse_value(&field.kind, policy.business(), value) {
        Ok(value) => Ok(read(Some(value))),
        Err(refused) => {
            let detail = format!("{}; {}", refused.cause, refused.cure);
            Err(problem(refused.code.as_str(), detail))
        }
    }
}

/// The end of a relation: so long after it last happened, end of that day where the business is.
pub(super) fn relation_ends(last: Time, keep: RetentionPeriod, zone: &TimeZone) -> Option<Time> {
    let span = i32::from(keep.years())
        .years()
        .months(i32::from(keep.months()))
        .days(i32::try_from(keep.days()).ok()?);
    let start = jiff::Timestamp::from_millisecond(last.as_ms()).ok()?.to_zoned(zone.clone());
    let day = start.date().checked_add(span).ok()?;
    let next = day.tomorrow().ok()?.to_zoned(zone.clone()).ok()?;
    Some(Time::from_ms(next.timestamp().as_millisecond()))
}

/// The first day, counted from 1970-01-01 where the business is, on which a relation is over; 0 if
/// there is none.
pub(super) fn due_day(policy: &Policy, relations: &[Relation]) -> i64 {
    let zone = &policy.business().timezone;
    let ends = relations.iter().filter_map(|relation| {
        let rule = policy.relations().get(relation.name.as_str())?;
        relation_ends(relation.last, rule.keep, zone)
    });
    let first = ends.min().and_then(|end| jiff::Timestamp::from_millisecond(end.as_ms()).ok());
    first.map_or(0, |end| day_number(end.to_zoned(zone.clone()).date()))
}

/// Counted from 1970-01-01.
fn day_number(day: jiff::civil::Date) -> i64 {
    let epoch = jiff::civil::date(1970, 1, 1);
    i64::from(day.since(epoch).map_or(0, |span| span.get_days()))
}

/// A relation that a legal duty rests on ends by its time alone: ended by hand, the next erasure would
/// destroy what the law keeps.
pub(super) fn refuse_ending_a_duty(
    policy: &Policy,
    relations: &[Relation],
    name: &str,
    now: Time,
) -> Result<(), Error> {
    let Some(relation) = relations.iter().find(|relation| relation.name == name) else {
        return Ok(());
    };
    let Some(rule) = policy.relations().get(name) else { return Ok(()) };
    let Some(basis) = &rule.basis else { return Ok(()) };
    let ends = relation_ends(relation.last, rule.keep, &policy.business().timezone);
    let Some(until) = ends.filter(|end| *end > now) else { return Ok(()) };
    let detail = format!(
        "this relation rests on a legal duty ({basis}) until {}; it ends by itself then",
        until.to_rfc3339()
    );
    Err(Error::conflict("kept_by_law", detail))
}

/// What an erasure leaves: the relations with a legal duty that is not over, and the compartments
/// they need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remainder {
    pub(super) relations: Vec<Relation>,
    pub(super) compartments: BTreeSet<[u8; 16]>,
    /// Shelves of records, which outlive the relation to the end of their year.
    pub(super) shelves: BTreeSet<[u8; 16]>,
    /// In words, one line a relation.
    pub(super) why: Vec<Kept>,
    /// And one line a kind of record.
    pub(super) why_records: Vec<Kept>,
}

/// Why something stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The relation.
    pub relation: String,
    /// The legal duty, as the policy words it.
    pub basis: String,
    /// Until when.
    pub until: Time,
    /// The fields that stay: all that need it, or in [`Parting`] those that hold a value.
    pub fields: Vec<String>,
}

pub(super) fn remainder(applied: &Applied, core: &Core, now: Time) -> Remainder {
    let policy = &applied.policy;
    let mut left = Remainder {
        relations: Vec::new(),
        compartments: BTreeSet::new(),
        shelves: BTreeSet::new(),
        why: Vec::new(),
        why_records: Vec::new(),
    };
    if core.is_merged_away {
        // All that a duty needs stands with whom it was merged into.
        return left;
    }
    for relation in &core.relations {
        let Some(rule) = policy.relations().get(relation.name.as_str()) else { continue };
        let Some(basis) = &rule.basis else { continue };
        let ends = relation_ends(relation.last, rule.keep, &policy.business().timezone);
        let Some(until) = ends.filter(|end| *end > now) else { continue };
        let needed: Vec<[u8; 16]> = core
            .compartments
            .keys()
            .filter(|id| {
                let known = applied.registry.compartment(id);
                known.is_some_and(|known| known.needed_for.contains(&relation.name))
            })
            .copied()
            .collect();
        if needed.is_empty() {
            continue;
        }
        let fields = policy
            .fields()
            .iter()
            .filter(|(_, field)| field.needed_for.contains(relation.name.as_str()))
            .map(|(name, _)| name.as_str().to_owned())
            .collect();
        left.compartments.extend(needed);
        left.relations.push(relation.clone());
        left.why.push(Kept {
            relation: relation.name.clone(),
            basis: basis.clone(),
            until,
            fields,
        });
    }
    records::remaining_shelves(applied, core, now, &mut left);
    left
}

impl Remainder {
    /// Whether nothing stays.
    pub(super) fn is_empty(&self) -> bool {
        self.relations.is_empty() && self.shelves.is_empty()
    }
}

/// How many erasures a day go without a second person: 1 % of all, at least 100.
pub(super) fn erasures_a_day_max(customers: u64) -> u64 {
    (customers / 100).max(100)
}
