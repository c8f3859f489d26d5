//! Changes of records and of their fields.

use super::parts::{Change, each, field};
use super::{Lines, quoted};
use crate::policy::model::{Effect, Field, Name, Policy, RecordKind};

pub(super) fn records(lines: &mut Lines, old: &Policy, new: &Policy) {
    each(&old.records, &new.records, |name, change| match change {
        Change::Added(record) => {
            let (fields, relation) = (quoted(record.fields.keys()), &record.relation);
            let text = format!("Record `{name}` with {fields} is added, kept for `{relation}`");
            lines.say(Effect::Neutral, text);
        }
        Change::Dropped => {
            let text = format!("Record `{name}` is dropped with its values");
            lines.say(Effect::DropsField, text);
        }
        Change::Kept(old, new) => record(lines, name, old, new),
    });
}

fn record(lines: &mut Lines, kind: &Name<RecordKind>, old: &RecordKind, new: &RecordKind) {
    let what = format!("The title of record `{kind}`");
    lines.compare(Effect::Neutral, &what, &old.title, &new.title);
    let what = format!("The relation that record `{kind}` is kept for");
    let relations = (old.relation.as_str().to_owned(), new.relation.as_str().to_owned());
    lines.compare(Effect::ShortensLife, &what, &relations.0, &relations.1);
    match (old.fixed, new.fixed) {
        (true, false) => {
            let text = format!(
                "Record `{kind}` may be changed after it was issued; those issued so far may not"
            );
            lines.say(Effect::Widens, text);
        }
        (false, true) => {
            let text = format!("Record `{kind}` is fixed once issued");
            lines.say(Effect::Narrows, text);
        }
        _ => {}
    }
    each(&old.fields, &new.fields, |name, change| {
        let full: Name<Field> = Name::of_record(kind, name);
        match change {
            Change::Added(added) => {
                let text = format!("Field `{full}` of type `{}` is added", added.kind.as_str());
                lines.say(Effect::Neutral, text);
            }
            Change::Dropped => {
                let text = format!("Field `{full}` is dropped with its values");
                lines.say(Effect::DropsField, text);
            }
            Change::Kept(old, new) => {
                // Its relation is the record's, which has its own line.
                let new = Field { needed_for: old.needed_for.clone(), ..new.clone() };
                field(lines, &full, old, &new);
            }
        }
    });
}
