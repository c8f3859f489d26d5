//! From the text of a policy to a `Policy`. Strict: what is not understood is refused, because a
//! key passed over in silence would be a protection somebody believes to have. All problems are
//! collected, so a file is mended in one go.

mod fields;
mod grants;
mod nearest;
mod outlets;
mod reader;
mod records;

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use self::reader::{Need, Reader, Section, quoted, sort_of};
use crate::policy::model::{Business, GracePeriod, Name, Policy, Problem};

#[cfg(test)]
pub(in crate::policy) use self::reader::PROBLEMS_MAX;

/// The policy, or everything that is wrong with the text.
pub(in crate::policy) fn check(text: &str) -> Result<Policy, Vec<Problem>> {
    if text.len() > POLICY_SIZE_BYTES_MAX {
        let cause = "the policy has more than 256 KiB".to_owned();
        let cure = "a policy names fields and roles, never customers; take the rest out".to_owned();
        return Err(vec![Problem { line: 1, cause, cure }]);
    }
    let mut reader = Reader::new(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let end = text.len();
        reader.report(
            &error.span().unwrap_or(end..end),
            format!("this is not TOML ({})", error.message()),
            "put texts in quotes, lists in brackets, and every key once on a line of its own",
        );
    }
    if !errors.is_empty() {
        return Err(reader.finish());
    }
    let policy = check_parts(&mut reader, root.get_ref());
    let problems = reader.finish();
    match policy {
        Some(policy) if problems.is_empty() => Ok(policy),
        _ => Err(problems),
    }
}

/// None only after a report.
fn check_parts(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<Policy> {
    let root = Section { table, span: 0..0, place: "the policy".to_owned() };
    reader.only(&root, &SECTIONS, &[]);

    let business = check_business(reader, &root);
    let relations = check_named(reader, &root, "relation", RELATIONS_MAX, fields::relation);
    let known_relations = names_of(&root, "relation");
    let fields = check_named(reader, &root, "field", FIELDS_MAX, |reader, section| {
        fields::field(reader, section, &known_relations)
    });
    fields::check_compartments(reader, &root, &fields);
    let records = check_named(reader, &root, "record", RECORD_KINDS_MAX, |reader, section| {
        records::record(reader, section, &known_relations)
    });
    records::check_count(reader, &root, FIELDS_MAX.saturating_sub(fields.len()), &records);
    let of_records = records::field_names(&root);
    let purposes = check_named(reader, &root, "purpose", PURPOSES_MAX, grants::purpose);
    let roles = check_named(reader, &root, "role", ROLES_MAX, grants::role);
    let known = grants::Known {
        roles: names_of(&root, "role"),
        purposes: names_of(&root, "purpose"),
        field_names: names_of(&root, "field")
            .into_iter()
            .chain(of_records.iter().map(String::as_str))
            .collect(),
        fields: &fields,
    };
    let grants = grants::grants(reader, &root, &known);
    let outlets = check_named(reader, &root, "outlet", OUTLETS_MAX, |reader, section| {
        outlets::outlet(reader, section, &known)
    });

    for (key, example) in [("relation", "[relation.enquiry]"), ("field", "[field.name]")] {
        if table.get(key).is_none() {
            let cause = format!("the policy has no {key}");
            reader.report(&root.span, cause, format!("add one, beginning with `{example}`"));
        }
    }
    Some(Policy {
        business: business?,
        relations,
        fields,
        records,
        purposes,
        roles,
        grants,
        outlets,
    })
}

fn check_business(reader: &mut Reader<'_>, root: &Section<'_>) -> Option<Business> {
    let section = reader.section(root, "business", Need::Required, "`[business]`".to_owned())?;
    reader.only(&section, &["country", "erase_grace", "name", "timezone"], &[]);
    let name = reader.title(&section, "name", Need::Required);
    let zone = reader.text(&section, "timezone", Need::Required);
    let grace = reader.text(&section, "erase_grace", Need::Optional);
    let country = reader.text(&section, "country", Need::Optional);

    let timezone = zone.and_then(|(text, span)| {
        let timezone = find_timezone(text);
        if timezone.is_none() {
            let cause = format!("there is no time zone {}", quoted(text));
            let zones = jiff::tz::db().available().map(|zone| zone.to_string()).collect::<Vec<_>>();
            let zones = zones.iter().map(String::as_str);
            let cure = nearest::nearest(text, zones)
                .map(|zone| format!("did you mean `{zone}`?"))
                .unwrap_or_else(|| "use a name such as `Europe/London`".to_owned());
            reader.report(&span, cause, cure);
        }
        timezone.map(|timezone| (text.to_owned(), timezone))
    });
    let erase_grace = match grace {
        None => Some(GracePeriod::DEFAULT),
        Some((text, span)) => {
            let cause = format!("`erase_grace` is {}", quoted(text));
            reader.parsed(GracePeriod::parse(text), &span, cause, "write `0 days` to `30 days`")
        }
    };
    let country = match country {
        None => None,
        Some((text, span)) => Some(reader.country(text, &span)?),
    };
    let (timezone_name, timezone) = timezone?;
    Some(Business { name: name?, timezone, timezone_name, erase_grace: erase_grace?, country })
}

/// A zone by its exact IANA name. The name is looked at first because it may become a file name.
fn find_timezone(name: &str) -> Option<jiff::tz::TimeZone> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte);
    if name.is_empty() || !name.bytes().all(allowed) {
        return None;
    }
    let timezone = jiff::tz::TimeZone::get(name).ok()?;
    (timezone.iana_name() == Some(name)).then_some(timezone)
}

/// The parts of one section, `[relation.x] [relation.y]`, each by its name.
fn check_named<'t, Part>(
    reader: &mut Reader<'_>,
    root: &Section<'t>,
    key: &'static str,
    count_max: usize,
    mut check: impl FnMut(&mut Reader<'_>, &Section<'t>) -> Option<Part>,
) -> BTreeMap<Name<Part>, Part> {
    let mut parts = BTreeMap::new();
    let Some(named) = reader.section(root, key, Need::Optional, format!("`[{key}.name]`")) else {
        return parts;
    };
    for (name, value) in named.table {
        let (text, span) = (name.get_ref().as_ref(), name.span());
        let place = format!("{key} {}", quoted(text));
        let parsed = reader.parsed(
            Name::parse(text),
            &span,
            format!("{} is not a name", quoted(text)),
            "use lower-case letters, digits, `_` and `-`, a letter first, at most 40",
        );
        let DeValue::Table(table) = value.get_ref() else {
            let cause = format!("{place} is {}", sort_of(value.get_ref()));
            reader.report(&span, cause, format!("begin it with `[{key}.name]`"));
            continue;
        };
        if parts.len() == count_max {
            let cause = format!("there are more than {count_max} of `{key}`");
            reader.report(&span, cause, "join those that mean the same");
            break;
        }
        let part = check(reader, &Section { table, span, place });
        if let (Some(name), Some(part)) = (parsed, part) {
            parts.insert(name, part);
        }
    }
    parts
}

/// Names as written, also of parts that have problems of their own: one mistake is one problem.
fn names_of<'t>(root: &Section<'t>, key: &str) -> Vec<&'t str> {
    let table = root.table.get(key).and_then(|value| value.get_ref().as_table());
    let names = table.into_iter().flatten();
    names.map(|(name, _)| name.get_ref().as_ref()).collect()
}

/// A hundred times the policy of a shop; `toml` and the checks take milliseconds for it.
pub(in crate::policy) const POLICY_SIZE_BYTES_MAX: usize = 256 * 1024;

/// The ledger names fields by one byte each; the rest is for fields of former policies.
const FIELDS_MAX: usize = 200;

/// Invoices, orders, messages and what else a business issues.
const RECORD_KINDS_MAX: usize = 32;

/// Any more, and nobody can say why a customer is known.
const RELATIONS_MAX: usize = 64;

const ROLES_MAX: usize = 64;

const PURPOSES_MAX: usize = 64;

const SECTIONS: [&str; 8] =
    ["business", "field", "grant", "outlet", "purpose", "record", "relation", "role"];

/// More ways out than anyone keeps an eye on.
const OUTLETS_MAX: usize = 64;
