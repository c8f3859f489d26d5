//! Records: what belongs to a customer and has fields and a life of its own.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::{DeTable, DeValue};

use super::fields::{class, kind, kind_called, title_or_name};
use super::reader::{Need, Reader, Section, Word, quoted, sort_of};
use crate::policy::model::{Class, Field, Find, Name, RecordKind, Relation};

pub(super) fn record(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    relations: &[&str],
) -> Option<RecordKind> {
    reader.only(section, &["fields", "fixed", "relation", "title"], &[]);
    let title = title_or_name(reader, section);
    let relation = relation(reader, section, relations);
    let fixed = fixed(reader, section);
    let fields = fields(reader, section, relation.as_ref());
    Some(RecordKind { title, relation: relation?, fixed: fixed?, fields: fields? })
}

/// Fields of records have numbers of the same registry, so they count with the others.
pub(super) fn check_count(
    reader: &mut Reader<'_>,
    root: &Section<'_>,
    left: usize,
    records: &BTreeMap<Name<RecordKind>, RecordKind>,
) {
    let count: usize = records.values().map(|record| record.fields.len()).sum();
    if count > left {
        let span = reader.value(root, "record", Need::Optional).map(|(span, _)| span);
        reader.report(
            &span.unwrap_or_default(),
            format!("records have {count} fields, {left} are left of the 200 a policy may have"),
            "take out those nobody needs",
        );
    }
}

/// Names as grants call them and as written, also of fields that have problems of their own.
pub(super) fn field_names(root: &Section<'_>) -> Vec<String> {
    let table = |value: &DeValue<'_>, key: &str| -> Vec<(String, Vec<String>)> {
        let Some(table) = value.as_table() else { return Vec::new() };
        let named = |(name, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
            let name: &std::borrow::Cow<'_, str> = name.get_ref();
            let inner = value.get_ref().as_table().and_then(|inner| inner.get(key));
            let fields = inner.and_then(|fields| fields.get_ref().as_table());
            let fields = fields.into_iter().flatten().map(|(field, _)| field.get_ref().to_string());
            (name.to_string(), fields.collect())
        };
        table.iter().map(named).collect()
    };
    let records = root.table.get("record").map(|records| table(records.get_ref(), "fields"));
    let names = records
        .unwrap_or_default()
        .into_iter()
        .flat_map(|(kind, fields)| fields.into_iter().map(move |field| format!("{kind}.{field}")));
    names.collect()
}

/// Without the word a record is fixed: what was issued stays what it was.
fn fixed(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<bool> {
    let Some((span, value)) = reader.value(section, "fixed", Need::Optional) else {
        return Some(true);
    };
    let cause = format!("`fixed` of {} is neither yes nor no", section.place);
    reader.parsed(value.as_bool(), &span, cause, "write `fixed = true` or `fixed = false`")
}

fn relation(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    relations: &[&str],
) -> Option<Name<Relation>> {
    let (word, span) = reader.text(section, "relation", Need::Required)?;
    if !relations.contains(&word) {
        reader.unknown(&span, "a relation", word, relations, &section.place);
        return None;
    }
    Name::parse(word)
}

/// None only after a report.
fn fields(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    relation: Option<&Name<Relation>>,
) -> Option<BTreeMap<Name<Field>, Field>> {
    let form = "`fields = { number = \"text\", total = \"number\" }`".to_owned();
    let named = reader.section(section, "fields", Need::Required, form)?;
    let mut fields = BTreeMap::new();
    for (name, value) in named.table {
        let (text, span) = (name.get_ref().as_ref(), name.span());
        let parsed = reader.parsed(
            Name::parse(text),
            &span,
            format!("{} is not a name", quoted(text)),
            "use lower-case letters, digits, `_` and `-`, a letter first, at most 40",
        );
        if fields.len() == RECORD_FIELDS_MAX {
            let cause = format!("{} has more than {RECORD_FIELDS_MAX} fields", section.place);
            reader.report(&span, cause, "take out those nobody needs");
            break;
        }
        let place = format!("field {} of {}", quoted(text), section.place);
        let field = field(reader, (&place, &span), value.get_ref(), relation);
        if let (Some(name), Some(field)) = (parsed, field) {
            fields.insert(name, field);
        }
    }
    if named.table.is_empty() {
        let cause = format!("{} has no fields", section.place);
        reader.report(&named.span, cause, "name at least one, as in `{ number = \"text\" }`");
        return None;
    }
    Some(fields)
}

/// A type as a word, or a table with the type and its options.
fn field(
    reader: &mut Reader<'_>,
    (place, span): (&str, &std::ops::Range<usize>),
    value: &DeValue<'_>,
    relation: Option<&Name<Relation>>,
) -> Option<Field> {
    let place = place.to_owned();
    let (title, kind, class) = match value {
        DeValue::String(word) if ["choice", "national_id"].contains(&word.as_ref()) => {
            let cause = format!("{place} has type {}, which needs more", quoted(word));
            let cure = "write `{ type = \"choice\", choices = [\"..\", \"..\"] }`, or `{ type = \
                        \"national_id\", country = \"..\" }`";
            reader.report(span, cause, cure);
            return None;
        }
        DeValue::String(word) => {
            let none = DeTable::new();
            let section = Section { table: &none, span: span.clone(), place };
            let word = Word { text: word.as_ref(), span: span.clone() };
            let title = title_or_name(reader, &section);
            (title, kind_called(reader, &section, &word)?, Class::Confidential)
        }
        DeValue::Table(table) => {
            let section = Section { table, span: span.clone(), place };
            let known = ["choices", "class", "country", "size_max", "title", "type"];
            reader.only(&section, &known, &["find"]);
            let title = title_or_name(reader, &section);
            (title, kind(reader, &section)?, class(reader, &section)?)
        }
        other => {
            let cause = format!("{place} is {}", sort_of(other));
            reader.report(span, cause, "write its type, as in `number = \"text\"`");
            return None;
        }
    };
    let needed_for = BTreeSet::from([relation?.clone()]);
    Some(Field { title, kind, class, needed_for, find: Find::None })
}

/// A form of that many lines is several records.
const RECORD_FIELDS_MAX: usize = 40;
