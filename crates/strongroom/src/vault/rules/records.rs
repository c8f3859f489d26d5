//! Records: what they may hold, when their life ends, what an erasure leaves of them.

use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::{Kept, Nulls, Remainder, day_number, due_day};
use crate::ctx::Time;
use crate::error::{Error, FieldProblem};
use crate::policy::{Applied, FieldValue, Policy, RecordKind, RetentionPeriod, parse_value};
use crate::vault::model::{Core, Shelf};

/// A field of a record that was read into a value.
pub(in crate::vault) struct RecordField {
    pub(in crate::vault) id: u8,
    /// `None` removes the field.
    pub(in crate::vault) value: Option<FieldValue>,
}

/// Reads the fields of a record. What is wrong is told all at once and never repeats a value.
pub(in crate::vault) fn parse_record_fields(
    applied: &Applied,
    (name, kind): (&str, &RecordKind),
    input: &BTreeMap<String, Value>,
    nulls: Nulls,
) -> Result<Vec<RecordField>, Error> {
    let mut parsed = Vec::with_capacity(input.len());
    let mut problems = Vec::new();
    for (position, (field, value)) in input.iter().enumerate() {
        match parse_field(applied, (name, kind), field, value, nulls) {
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
    if !problems.is_empty() {
        let detail = "some fields were refused; nothing was changed";
        return Err(Error::unprocessable("fields_refused", detail).with_fields(problems));
    }
    if parsed.is_empty() {
        let detail = "a record has at least one field; send `fields` with what it says";
        return Err(Error::unprocessable("record_empty", detail));
    }
    parsed.sort_by_key(|field| field.id);
    Ok(parsed)
}

fn parse_field(
    applied: &Applied,
    (kind_name, kind): (&str, &RecordKind),
    name: &str,
    value: &Value,
    nulls: Nulls,
) -> Result<RecordField, FieldProblem> {
    let problem =
        |code: &'static str, detail: String| FieldProblem { field: name.to_owned(), code, detail };
    let Some(field) = kind.fields.get(name) else {
        let known: Vec<&str> = kind.fields.keys().map(|name| name.as_str()).collect();
        let detail = format!(
            "this field is not declared for `{kind_name}`, so it is not kept; declared are `{}`",
            known.join("`, `")
        );
        return Err(problem("undeclared_field", detail));
    };
    let Some(id) = applied.registry.id_of(&format!("{kind_name}.{name}")) else {
        return Err(problem("unregistered_field", "this field has no number yet".to_owned()));
    };
    match (value.is_null(), nulls) {
        (true, Nulls::Remove) => return Ok(RecordField { id, value: None }),
        (true, Nulls::Refuse) => {
            let detail = "leave the field out instead of sending null";
            return Err(problem("null_value", detail.to_owned()));
        }
        (false, _) => {}
    }
    match parse_value(&field.kind, applied.policy.business(), value) {
        Ok(value) => Ok(RecordField { id, value: Some(value) }),
        Err(refused) => {
            let detail = format!("{}; {}", refused.cause, refused.cure);
            Err(problem(refused.code.as_str(), detail))
        }
    }
}

/// The day a record was issued: as sent, or today where the business is; never in the future.
pub(in crate::vault) fn issued_day(
    text: Option<&str>,
    now: Time,
    zone: &TimeZone,
) -> Result<Date, Error> {
    let today: Date = now.day_in(zone).parse().map_err(Error::internal)?;
    let refuse = |code: &'static str, detail: &str| {
        let (field, detail) = ("issued".to_owned(), detail.to_owned());
        let problem = FieldProblem { field, code, detail: detail.clone() };
        Error::unprocessable(code, detail).with_fields(vec![problem])
    };
    let Some(text) = text else { return Ok(today) };
    let is_plain = text.len() == 10 && text.bytes().all(|it| it.is_ascii_digit() || it == b'-');
    let day = text.parse::<Date>().ok().filter(|day| is_plain && day.year() >= 1970);
    let day = day.ok_or_else(|| refuse("bad_issued", "`issued` is a day like 2026-11-21"))?;
    if day > today {
        return Err(refuse("issued_in_future", "a record cannot have been issued in the future"));
    }
    Ok(day)
}

/// The year in which the life of a record ends.
pub(in crate::vault) fn end_year(issued: Date, keep: RetentionPeriod) -> Option<i16> {
    let span = i32::from(keep.years())
        .years()
        .months(i32::from(keep.months()))
        .days(i32::try_from(keep.days()).ok()?);
    Some(issued.checked_add(span).ok()?.year())
}

/// The first moment of a day where the business is.
pub(in crate::vault) fn start_of(day: Date, zone: &TimeZone) -> Option<Time> {
    let start = day.to_zoned(zone.clone()).ok()?;
    Some(Time::from_ms(start.timestamp().as_millisecond()))
}

/// The moment from which on nobody needs a shelf: the year after its last one.
fn shelf_over(shelf: &Shelf, zone: &TimeZone) -> Option<Time> {
    start_of(Date::new(shelf.end_year.checked_add(1)?, 1, 1).ok()?, zone)
}

/// As `due_day`, with the records.
pub(in crate::vault) fn due_day_of(policy: &Policy, core: &Core) -> i64 {
    let years = core.shelves.iter().filter_map(|shelf| {
        Some(day_number(Date::new(shelf.end_year.checked_add(1)?, 1, 1).ok()?))
    });
    let relations = Some(due_day(policy, &core.relations)).filter(|day| *day != 0);
    years.chain(relations).min().unwrap_or(0)
}

/// Adds the shelves that a legal duty keeps to what an erasure leaves.
pub(super) fn remaining_shelves(applied: &Applied, core: &Core, now: Time, left: &mut Remainder) {
    let policy = &applied.policy;
    let mut kinds: BTreeMap<&str, Kept> = BTreeMap::new();
    for shelf in &core.shelves {
        let relation = applied.registry.relation_of_record(&shelf.kind).unwrap_or_default();
        let Some(rule) = policy.relations().get(relation) else { continue };
        let Some(basis) = &rule.basis else { continue };
        let over = shelf_over(shelf, &policy.business().timezone);
        let Some(until) = over.filter(|over| *over > now) else { continue };
        left.shelves.insert(shelf.id);
        let kept = kinds.entry(&shelf.kind).or_insert_with(|| Kept {
            relation: relation.to_owned(),
            basis: basis.clone(),
            until,
            fields: record_fields(applied, &shelf.kind),
        });
        kept.until = kept.until.later(until);
    }
    left.why_records.extend(kinds.into_values());
}

/// The fields of a kind of record as they are named beside a customer's own: `invoice.number`. Of a
/// kind that the policy has dropped only the kind.
pub(super) fn record_fields(applied: &Applied, kind: &str) -> Vec<String> {
    let Some(declared) = applied.policy.records().get(kind) else { return vec![kind.to_owned()] };
    declared.fields.keys().map(|field| format!("{kind}.{field}")).collect()
}
