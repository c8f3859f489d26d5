//! Outlets: where values go without anyone here seeing them. One that could not keep what it promises
//! is refused.

use super::fields::title_or_name;
use super::grants::{Known, PER_DAY_MAX, known_name, names};
use super::reader::{Need, Reader, Section, Word, quoted};
use crate::policy::model::{Destination, FieldKind, HttpsAddress, Name, Outlet};

pub(super) fn outlet(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    known: &Known<'_>,
) -> Option<Outlet> {
    reader.only(section, &["budget", "fields", "purpose", "title", "to"], &[]);
    let title = title_or_name(reader, section);
    let purpose = known_name(reader, section, "purpose", &known.purposes);
    let fields = reader.list(section, "fields", Need::Required).unwrap_or_default();
    for Word { text: word, span } in &fields {
        if !known.field_names.contains(word) {
            reader.unknown(span, "a field", word, &known.field_names, "the policy");
        }
    }
    let to = destination(reader, section);
    if to == Some(Destination::Smtp) {
        let is_email = |word: &&Word<'_>| {
            known.fields.get(word.text).is_some_and(|field| field.kind == FieldKind::Email)
        };
        if fields.iter().filter(is_email).count() != 1 {
            let cause = format!("{} sends mail without exactly one e-mail field", section.place);
            let cure = "name the one field of type `email` that holds the recipient's address";
            reader.report(&section.span, cause, cure);
        }
    }
    let per_day = match reader.value(section, "budget", Need::Optional) {
        None => PER_DAY_DEFAULT,
        Some(_) => {
            let form = "`budget = { per_day = 10000 }`".to_owned();
            let budget = reader.section(section, "budget", Need::Required, form)?;
            reader.only(&budget, &["per_day"], &[]);
            reader.count(&budget, "per_day", Need::Required, PER_DAY_MAX)?
        }
    };
    Some(Outlet {
        title,
        purpose: Name::parse(purpose?)?,
        fields: names(&fields),
        to: to?,
        per_day,
    })
}

fn destination(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Destination> {
    let (text, span) = reader.text(section, "to", Need::Required)?;
    if text == "smtp" {
        return Some(Destination::Smtp);
    }
    let cause = format!("`to` of {} is {}", section.place, quoted(text));
    let cure = "write `smtp`, or an address like `https://courier.example/labels`";
    reader.parsed(HttpsAddress::parse(text), &span, cause, cure).map(Destination::Https)
}

/// A newsletter of a small shop in one day; a larger one says so in its policy.
const PER_DAY_DEFAULT: u32 = 10_000;
