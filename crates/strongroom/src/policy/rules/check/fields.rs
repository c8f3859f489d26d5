//! Relations and fields: what is kept, and why.

use std::collections::{BTreeMap, BTreeSet};

use strongroom_detect::country::CountryCode;

use super::reader::{Need, Reader, Section, Word, line_of, listed, quoted};
use crate::policy::model::{
    Class, Field, FieldKind, Find, KINDS, Name, Relation, RetentionPeriod, TEXT_SIZE_DEFAULT,
    TEXT_SIZE_MAX,
};

pub(super) fn relation(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Relation> {
    reader.only(section, &["basis", "keep", "title"], &[]);
    let title = title_or_name(reader, section);
    let basis = reader.title(section, "basis", Need::Optional);
    let (keep, span) = reader.text(section, "keep", Need::Required)?;
    let cause = format!("`keep` of {} is {}", section.place, quoted(keep));
    let keep = reader.parsed(
        RetentionPeriod::parse(keep),
        &span,
        cause,
        "write it as in `3 years`, `18 months`, `90 days` or `2 years 6 months`, at most 100 years",
    );
    Some(Relation { title, keep: keep?, basis })
}

pub(super) fn field(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    relations: &[&str],
) -> Option<Field> {
    let known = ["choices", "class", "country", "find", "needed_for", "size_max", "title", "type"];
    reader.only(section, &known, &[]);
    let title = title_or_name(reader, section);
    let kind = kind(reader, section);
    let class = class(reader, section);
    let needed_for = needed_for(reader, section, relations);
    let find = find(reader, section, kind.as_ref());
    Some(Field { title, kind: kind?, class: class?, needed_for: needed_for?, find: find? })
}

/// Too many sets are reported where the ninth comes up in the file.
pub(super) fn check_compartments(
    reader: &mut Reader<'_>,
    root: &Section<'_>,
    fields: &BTreeMap<Name<Field>, Field>,
) {
    let table = root.table.get("field").and_then(|value| value.get_ref().as_table());
    let mut keys: Vec<_> = table.into_iter().flatten().map(|(key, _)| key).collect();
    keys.sort_by_key(|key| key.span().start);
    let mut sets = BTreeSet::new();
    for key in keys {
        let Some(field) = fields.get(key.get_ref().as_ref()) else {
            continue;
        };
        sets.insert(&field.needed_for);
        if sets.len() > COMPARTMENTS_MAX {
            reader.report(
                &key.span(),
                format!(
                    "with field {} there are more than {COMPARTMENTS_MAX} different `needed_for`",
                    quoted(key.get_ref())
                ),
                "give it the same `needed_for` as another field: each set has keys of its own for \
                 every customer",
            );
            return;
        }
    }
}

/// A part without a title is called by its name.
pub(super) fn title_or_name(reader: &mut Reader<'_>, section: &Section<'_>) -> String {
    let name = || section.place.split('`').nth(1).unwrap_or_default().to_owned();
    reader.title(section, "title", Need::Optional).unwrap_or_else(name)
}

pub(super) fn kind(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<FieldKind> {
    let (word, span) = reader.text(section, "type", Need::Required)?;
    kind_called(reader, section, &Word { text: word, span })
}

/// The kind of this word, with its options from the section.
pub(super) fn kind_called(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    Word { text: word, span }: &Word<'_>,
) -> Option<FieldKind> {
    let word = *word;
    for (option, owner) in OPTIONS {
        if owner != word
            && let Some((span, _)) = reader.value(section, option, Need::Optional)
        {
            let cause = format!("{} has `{option}`, but is not of type `{owner}`", section.place);
            reader.report(&span, cause, format!("take `{option}` out"));
        }
    }
    Some(match word {
        "choice" => FieldKind::Choice { choices: choices(reader, section)? },
        "country" => FieldKind::Country,
        "date" => FieldKind::Date,
        "date_of_birth" => FieldKind::DateOfBirth,
        "email" => FieldKind::Email,
        "iban" => FieldKind::Iban,
        "name" => FieldKind::Name,
        "national_id" => FieldKind::NationalId { country: country(reader, section)? },
        "number" => FieldKind::Number,
        "payment_token" => FieldKind::PaymentToken,
        "phone" => FieldKind::Phone,
        "postal_address" => FieldKind::PostalAddress,
        "text" => FieldKind::Text { size_max: size_max(reader, section)? },
        _ => {
            reader.unknown(span, "a type", word, &KINDS, &section.place);
            return None;
        }
    })
}

fn choices(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Vec<String>> {
    let listed = reader.list(section, "choices", Need::Required)?;
    let span = listed.first().map(|word| word.span.clone())?;
    if !(2..=CHOICES_MAX).contains(&listed.len()) {
        let cause = format!("{} has {} `choices`", section.place, listed.len());
        reader.report(&span, cause, format!("name 2 to {CHOICES_MAX}"));
        return None;
    }
    let choice = |Word { text, span }: Word<'_>| {
        let cause = format!("the choice {} is not one plain line", quoted(text));
        reader.parsed(line_of(text, CHOICE_SIZE_MAX), &span, cause, "write 1 to 60 characters")
    };
    listed.into_iter().map(choice).collect()
}

fn country(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<CountryCode> {
    let (text, span) = reader.text(section, "country", Need::Required)?;
    reader.country(text, &span)
}

fn size_max(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<u32> {
    if section.table.get("size_max").is_none() {
        return Some(TEXT_SIZE_DEFAULT);
    }
    reader.count(section, "size_max", Need::Required, TEXT_SIZE_MAX)
}

pub(super) fn class(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Class> {
    let Some((span, _)) = reader.value(section, "class", Need::Optional) else {
        return Some(Class::Confidential);
    };
    match reader.text(section, "class", Need::Required)?.0 {
        "confidential" => Some(Class::Confidential),
        "internal" => Some(Class::Internal),
        "restricted" => Some(Class::Restricted),
        word => {
            let known = ["internal", "confidential", "restricted"];
            reader.unknown(&span, "a class", word, &known, &section.place);
            None
        }
    }
}

fn needed_for(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    relations: &[&str],
) -> Option<BTreeSet<Name<Relation>>> {
    let listed = reader.list(section, "needed_for", Need::Required)?;
    let mut needed_for = BTreeSet::new();
    for Word { text: word, span } in listed {
        if !relations.contains(&word) {
            reader.unknown(&span, "a relation", word, relations, &section.place);
        }
        needed_for.extend(Name::parse(word));
    }
    Some(needed_for)
}

fn find(reader: &mut Reader<'_>, section: &Section<'_>, kind: Option<&FieldKind>) -> Option<Find> {
    let Some((span, _)) = reader.value(section, "find", Need::Optional) else {
        return Some(Find::None);
    };
    let find = match reader.text(section, "find", Need::Required)?.0 {
        "none" => return Some(Find::None),
        "exact" => Find::Exact,
        "unique" => Find::Unique,
        "words" => Find::Words,
        word => {
            let known = ["none", "exact", "unique", "words"];
            reader.unknown(&span, "a way to find", word, &known, &section.place);
            return None;
        }
    };
    let kind = kind?;
    if find == Find::Words {
        return kind.has_words().then_some(find).or_else(|| {
            let cause = format!("{} has type `{}`, which", section.place, kind.as_str());
            let worded = listed(&["email", "name", "postal_address"]);
            let cure = match kind.can_be_found_by() {
                true => "write `find = \"exact\"`, or take it out",
                false => "take `find` out",
            };
            reader.report(
                &span,
                format!("{cause} nobody is found by the words of"),
                format!("{cure}; customers are found by words of {worded}"),
            );
            None
        });
    }
    if !kind.can_be_found_by() {
        let findable = ["email", "iban", "name", "national_id", "number", "payment_token", "phone"];
        reader.report(
            &span,
            format!("{} has type `{}`, which nobody is found by", section.place, kind.as_str()),
            format!("take `find` out; customers are found by {}", listed(&findable)),
        );
        return None;
    }
    Some(find)
}

/// Keys that belong to one type, and which.
const OPTIONS: [(&str, &str); 3] =
    [("choices", "choice"), ("country", "national_id"), ("size_max", "text")];

/// A customer has a core and eight compartments, each with a key of its own.
const COMPARTMENTS_MAX: usize = 8;

/// A longer list is a text.
const CHOICES_MAX: usize = 100;

const CHOICE_SIZE_MAX: usize = 60;
