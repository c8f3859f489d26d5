//! Purposes, roles and grants: who may do, see and find what. A grant that cannot be honoured is
//! refused, never weakened in silence.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::DeValue;

use super::fields::title_or_name;
use super::reader::{Need, Reader, Section, Word, line_of, quoted, sort_of};
use crate::policy::model::{
    Budget, Field, Find, Grant, Name, Purpose, RecordKind, Reveal, Right, Role, See,
};

/// What grants may refer to.
pub(super) struct Known<'k> {
    pub(super) roles: Vec<&'k str>,
    pub(super) purposes: Vec<&'k str>,
    /// As written; `fields` has those without problems.
    pub(super) field_names: Vec<&'k str>,
    pub(super) fields: &'k BTreeMap<Name<Field>, Field>,
}

pub(super) fn purpose(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Purpose> {
    reader.only(section, &["needs_consent", "title"], &[]);
    let title = title_or_name(reader, section);
    let needs_consent = match reader.value(section, "needs_consent", Need::Optional) {
        None => false,
        Some((span, value)) => value.as_bool().unwrap_or_else(|| {
            let cause = format!("`needs_consent` of {} is neither yes nor no", section.place);
            reader.report(&span, cause, "write `true` or `false` without quotes, or take it out");
            true
        }),
    };
    Some(Purpose { title, needs_consent })
}

pub(super) fn role(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Role> {
    reader.only(section, &["may", "title"], &["people"]);
    let title = title_or_name(reader, section);
    let known = Right::ALL.map(Right::as_str);
    let mut may = BTreeSet::new();
    for Word { text: word, span } in list_or_nothing(reader, section, "may") {
        match Right::ALL.into_iter().find(|right| right.as_str() == word) {
            Some(right) => {
                may.insert(right);
            }
            None => reader.unknown(&span, "a right", word, &known, &section.place),
        }
    }
    Some(Role { title, may })
}

pub(super) fn grants<'t>(
    reader: &mut Reader<'_>,
    root: &Section<'t>,
    known: &Known<'_>,
) -> Vec<Grant> {
    let mut grants = Vec::new();
    let Some((span, value)) = reader.value(root, "grant", Need::Optional) else {
        return grants;
    };
    let Some(items) = value.as_array() else {
        let cause = format!("`grant` is {}", sort_of(value));
        reader.report(&span, cause, "begin each grant with `[[grant]]`");
        return grants;
    };
    let mut taken = BTreeSet::new();
    for item in items {
        let DeValue::Table(table) = item.get_ref() else {
            reader.report(&item.span(), "a grant is not a table", "begin it with `[[grant]]`");
            continue;
        };
        if grants.len() == GRANTS_MAX {
            let cause = format!("there are more than {GRANTS_MAX} grants");
            reader.report(&item.span(), cause, "join roles that see the same");
            break;
        }
        let section = Section { table, span: item.span(), place: "a grant".to_owned() };
        grants.extend(grant(reader, &section, known, &mut taken));
    }
    grants
}

/// `taken` holds role, purpose, use and field of the grants before.
fn grant<'t>(
    reader: &mut Reader<'_>,
    section: &Section<'t>,
    known: &Known<'_>,
    taken: &mut BTreeSet<[&'t str; 4]>,
) -> Option<Grant> {
    let keys = ["budget", "fields", "find", "purpose", "reveal", "role", "see"];
    reader.only(section, &keys, &[]);
    let role = known_name(reader, section, "role", &known.roles);
    let purpose = known_name(reader, section, "purpose", &known.purposes);
    let fields = reader.list(section, "fields", Need::Required);
    let find = list_or_nothing(reader, section, "find");
    let see = see(reader, section);
    let reveal_span = reader.value(section, "reveal", Need::Optional).map(|(span, _)| span);
    let reveal = reveal_span.as_ref().map(|_| reveal(reader, section));

    let fields = fields.unwrap_or_default();
    check_fields(reader, known, &fields, &find);
    if let (Some(role), Some(purpose)) = (role, purpose) {
        check_taken(reader, taken, [role, purpose], [("fields", &fields), ("find", &find)]);
    }
    let see = see?;
    check_words(reader, known, see, &fields, &find);
    if let (See::Clear, Some(span)) = (see, &reveal_span) {
        let cause = "a grant reveals what it shows in clear anyway";
        reader.report(span, cause, "take `reveal` out, or write `see = \"masked\"`");
    }
    if see == See::None && find.is_empty() && reveal.is_none() {
        let cause = "a grant shows nothing, finds nothing and reveals nothing";
        reader.report(&section.span, cause, "take it out: without a grant all is denied");
    }
    let needs_budget =
        if see == See::None && find.is_empty() { Need::Optional } else { Need::Required };
    let budget = budget(reader, section, needs_budget);
    let reveal = match reveal {
        Some(reveal) => Some(reveal?),
        None => None,
    };
    let (role, purpose) = (Name::parse(role?)?, Name::parse(purpose?)?);
    Some(Grant { role, purpose, fields: names(&fields), find: names(&find), see, budget, reveal })
}

pub(super) fn known_name<'s>(
    reader: &mut Reader<'_>,
    section: &Section<'s>,
    key: &str,
    known: &[&str],
) -> Option<&'s str> {
    let (word, span) = reader.text(section, key, Need::Required)?;
    if !known.contains(&word) {
        reader.unknown(&span, &format!("a {key}"), word, known, &section.place);
        return None;
    }
    Some(word)
}

fn check_fields(
    reader: &mut Reader<'_>,
    known: &Known<'_>,
    fields: &[Word<'_>],
    find: &[Word<'_>],
) {
    for Word { text: word, span } in fields.iter().chain(find) {
        if !known.field_names.contains(word) {
            reader.unknown(span, "a field", word, &known.field_names, "the policy");
        }
    }
    for Word { text: word, span } in find.iter().filter(|word| word.text.contains('.')) {
        let cause = format!("a grant finds by {}, which belongs to a record", quoted(word));
        reader.report(span, cause, "take it out: customers are found by fields of their own");
    }
    for Word { text: word, span } in find {
        if known.fields.get(*word).is_some_and(|field| field.find == Find::None) {
            let cause = format!("a grant finds by {}, which has no index", quoted(word));
            reader.report(span, cause, "give the field `find = \"exact\"`, or take it out here");
        }
    }
}

/// Who finds by the beginnings of words learns the words letter by letter, so they must be shown them.
fn check_words(
    reader: &mut Reader<'_>,
    known: &Known<'_>,
    see: See,
    fields: &[Word<'_>],
    find: &[Word<'_>],
) {
    for Word { text: word, span } in find {
        let is_shown = see == See::Clear && fields.iter().any(|field| field.text == *word);
        if !is_shown && known.fields.get(*word).is_some_and(|field| field.find == Find::Words) {
            let cause = format!(
                "a grant finds by the words of {}, which it does not show in clear",
                quoted(word)
            );
            let cure = "put it into `find` of a grant that has it in `fields` with \
                        `see = \"clear\"`: who types word by word learns the value anyway";
            reader.report(span, cause, cure);
        }
    }
}

/// Two grants for one field would leave open which budget counts.
fn check_taken<'t>(
    reader: &mut Reader<'_>,
    taken: &mut BTreeSet<[&'t str; 4]>,
    [role, purpose]: [&'t str; 2],
    uses: [(&'static str, &[Word<'t>]); 2],
) {
    for (key, words) in uses {
        for Word { text: field, span } in words {
            if taken.insert([role, purpose, key, field]) {
                continue;
            }
            let cause = format!(
                "{} is in `{key}` of two grants of role {} for purpose {}",
                quoted(field),
                quoted(role),
                quoted(purpose)
            );
            reader.report(span, cause, "leave it in one of them");
        }
    }
}

fn see(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<See> {
    let (word, span) = reader.text(section, "see", Need::Required)?;
    match word {
        "clear" => Some(See::Clear),
        "masked" => Some(See::Masked),
        "none" => Some(See::None),
        _ => {
            let known = ["none", "masked", "clear"];
            reader.unknown(&span, "a way to see", word, &known, &section.place);
            None
        }
    }
}

/// None where the grant has none, or after a report.
fn budget(reader: &mut Reader<'_>, section: &Section<'_>, need: Need) -> Option<Budget> {
    let form = "`budget = { per_day = 200 }`".to_owned();
    let budget = reader.section(section, "budget", need, form)?;
    reader.only(&budget, &["per_day"], &[]);
    let per_day = reader.count(&budget, "per_day", Need::Required, PER_DAY_MAX)?;
    Some(Budget { per_day })
}

fn reveal(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Reveal> {
    let form = "`reveal = { needs = \"reason\", reasons = [\"..\"], per_day = 30 }`".to_owned();
    let reveal = reader.section(section, "reveal", Need::Required, form)?;
    reader.only(&reveal, &["needs", "per_day", "reasons"], &[]);
    match reader.text(&reveal, "needs", Need::Required) {
        Some(("reason", _)) | None => {}
        Some(("approval", span)) => reader.not_in_this_version(&span, "`needs = \"approval\"`"),
        Some((word, span)) => {
            reader.unknown(&span, "a need", word, &["reason"], &reveal.place);
        }
    }
    let per_day = reader.count(&reveal, "per_day", Need::Required, PER_DAY_MAX);
    let listed = reader.list(&reveal, "reasons", Need::Required)?;
    if let Some(Word { span, .. }) = listed.get(REASONS_MAX) {
        let cause = format!("{} has more than {REASONS_MAX} `reasons`", reveal.place);
        reader.report(span, cause, "join those that mean the same");
    }
    let reason = |Word { text, span }: Word<'_>| {
        let cause = format!("the reason {} is not one plain line", quoted(text));
        reader.parsed(line_of(text, REASON_SIZE_MAX), &span, cause, "write 1 to 60 characters")
    };
    let reasons = listed.into_iter().map(reason).collect::<Option<Vec<_>>>()?;
    Some(Reveal { reasons, per_day: per_day? })
}

/// A list that may be absent or empty; both say the same.
fn list_or_nothing<'s>(reader: &mut Reader<'_>, section: &Section<'s>, key: &str) -> Vec<Word<'s>> {
    match section.table.get(key).and_then(|value| value.get_ref().as_array()) {
        Some(words) if words.is_empty() => Vec::new(),
        _ => reader.list(section, key, Need::Optional).unwrap_or_default(),
    }
}

pub(super) fn names(words: &[Word<'_>]) -> BTreeSet<Name<Field>> {
    let name = |word: &Word<'_>| match word.text.split_once('.') {
        Some((kind, field)) => {
            let (kind, field) = (Name::<RecordKind>::parse(kind)?, Name::<Field>::parse(field)?);
            Some(Name::of_record(&kind, &field))
        }
        None => Name::parse(word.text),
    };
    words.iter().filter_map(name).collect()
}

/// A grant for each of 64 roles and the 7 purposes a busy business has.
const GRANTS_MAX: usize = 500;

/// More customers than one role may see in a day are a job, not people.
pub(super) const PER_DAY_MAX: u32 = 1_000_000;

/// What a person can choose from.
const REASONS_MAX: usize = 50;

/// Goes into every entry of the ledger.
const REASON_SIZE_MAX: usize = 60;
