//! Changes of the business, of what is kept and why, and of roles and their rights.

use std::collections::BTreeMap;

use super::{Lines, quoted, without};
use crate::policy::model::{
    Business, Effect, Field, FieldKind, Find, Name, Policy, Relation, Role,
};

pub(super) fn business(lines: &mut Lines, old: &Business, new: &Business) {
    lines.compare(Effect::Neutral, "The name of the business", &old.name, &new.name);
    // A day that ends earlier ends a retention earlier, if by hours only.
    let zones = (&old.timezone_name, &new.timezone_name);
    lines.compare(Effect::ShortensLife, "The time zone, by which days end,", zones.0, zones.1);
    let shorter = new.erase_grace < old.erase_grace;
    let effect = if shorter { Effect::ShortensLife } else { Effect::Neutral };
    let what = "The time in which an erasure can be cancelled";
    lines.compare(effect, what, &old.erase_grace, &new.erase_grace);
    let word = |business: &Business| {
        business.country.map_or("none".to_owned(), |it| it.as_str().to_owned())
    };
    let what = "The country of telephone numbers without a prefix";
    lines.compare(Effect::Neutral, what, &word(old), &word(new));
}

pub(super) fn relations(lines: &mut Lines, old: &Policy, new: &Policy) {
    each(&old.relations, &new.relations, |name, change| match change {
        Change::Added(relation) => {
            let text = format!("Relation `{name}` is added; it lasts {}", relation.keep);
            lines.say(Effect::Neutral, text);
        }
        Change::Dropped => {
            let text = format!("Relation `{name}` is dropped, and with it what only it keeps");
            lines.say(Effect::ShortensLife, text);
        }
        Change::Kept(old, new) => relation(lines, name, old, new),
    });
}

pub(super) fn fields(lines: &mut Lines, old: &Policy, new: &Policy) {
    each(&old.fields, &new.fields, |name, change| match change {
        Change::Added(field) => {
            let (kind, relations) = (field.kind.as_str(), quoted(&field.needed_for));
            let text = format!("Field `{name}` of type `{kind}` is added, needed for {relations}");
            lines.say(Effect::Neutral, text);
        }
        Change::Dropped => {
            lines.say(Effect::DropsField, format!("Field `{name}` is dropped with its values"));
        }
        Change::Kept(old, new) => field(lines, name, old, new),
    });
}

pub(super) fn purposes(lines: &mut Lines, old: &Policy, new: &Policy) {
    each(&old.purposes, &new.purposes, |name, change| match change {
        Change::Added(purpose) => {
            let consent = if purpose.needs_consent { ", only with consent" } else { "" };
            lines.say(Effect::Neutral, format!("Purpose `{name}` is added{consent}"));
        }
        Change::Dropped => lines.say(Effect::Narrows, format!("Purpose `{name}` is dropped")),
        Change::Kept(old, new) => {
            let what = format!("The title of purpose `{name}`");
            lines.compare(Effect::Neutral, &what, &old.title, &new.title);
            match (old.needs_consent, new.needs_consent) {
                (false, true) => {
                    let text = format!("Purpose `{name}` needs the customer's consent now");
                    lines.say(Effect::Narrows, text);
                }
                (true, false) => {
                    let text = format!("Purpose `{name}` no longer needs the customer's consent");
                    lines.say(Effect::Widens, text);
                }
                (false, false) | (true, true) => {}
            }
        }
    });
}

pub(super) fn roles(lines: &mut Lines, old: &Policy, new: &Policy) {
    let nothing = Role { title: String::new(), may: Default::default() };
    each(&old.roles, &new.roles, |name, change| match change {
        Change::Added(role) => {
            lines.say(Effect::Neutral, format!("Role `{name}` is added"));
            rights(lines, name, &nothing, role);
        }
        Change::Dropped => lines.say(Effect::Narrows, format!("Role `{name}` is dropped")),
        Change::Kept(old, new) => {
            let what = format!("The title of role `{name}`");
            lines.compare(Effect::Neutral, &what, &old.title, &new.title);
            rights(lines, name, old, new);
        }
    });
}

fn relation(lines: &mut Lines, name: &Name<Relation>, old: &Relation, new: &Relation) {
    let what = format!("The title of relation `{name}`");
    lines.compare(Effect::Neutral, &what, &old.title, &new.title);
    if old.keep != new.keep {
        let (effect, word) = if new.keep.may_end_before(old.keep) {
            (Effect::ShortensLife, "shortened")
        } else {
            (Effect::Neutral, "lengthened")
        };
        let text = format!(
            "The time relation `{name}` lasts is {word} to {} (was {})",
            new.keep, old.keep
        );
        lines.say(effect, text);
    }
    match (&old.basis, &new.basis) {
        (None, Some(basis)) => {
            let text = format!("Relation `{name}` has a legal duty behind it now: {basis}");
            lines.say(Effect::Neutral, text);
        }
        (Some(basis), None) => {
            let text = format!("Erasure no longer waits for relation `{name}` (was: {basis})");
            lines.say(Effect::ShortensLife, text);
        }
        (Some(old), Some(new)) => {
            let what = format!("The legal duty behind relation `{name}`");
            lines.compare(Effect::Neutral, &what, old, new);
        }
        (None, None) => {}
    }
}

pub(super) fn field(lines: &mut Lines, name: &Name<Field>, old: &Field, new: &Field) {
    lines.compare(Effect::Neutral, &format!("The title of field `{name}`"), &old.title, &new.title);
    kind(lines, name, &old.kind, &new.kind);
    if old.class != new.class {
        let effect = if new.class < old.class { Effect::Widens } else { Effect::Narrows };
        let (old, new) = (old.class.as_str().to_owned(), new.class.as_str().to_owned());
        lines.compare(effect, &format!("The class of field `{name}`"), &old, &new);
    }
    let gone = without(&old.needed_for, &new.needed_for);
    if !gone.is_empty() {
        let text = format!("Field `{name}` is no longer needed for {}", quoted(&gone));
        lines.say(Effect::ShortensLife, text);
    }
    let added = without(&new.needed_for, &old.needed_for);
    if !added.is_empty() {
        lines.say(Effect::Neutral, format!("Field `{name}` is now needed for {}", quoted(&added)));
    }
    if old.find != new.find {
        let effect = if new.find == Find::None { Effect::Narrows } else { Effect::Neutral };
        let (old, new) = (old.find.as_str().to_owned(), new.find.as_str().to_owned());
        lines.compare(effect, &format!("The index over field `{name}`"), &old, &new);
    }
}

/// Old values keep their form; those the new type cannot mask are as good as dropped.
fn kind(lines: &mut Lines, name: &Name<Field>, old: &FieldKind, new: &FieldKind) {
    if old.as_str() != new.as_str() {
        let text = format!(
            "Field `{name}` is now of type `{}` (was `{}`); values kept so far are masked whole",
            new.as_str(),
            old.as_str()
        );
        lines.say(Effect::DropsField, text);
    } else if old != new {
        let text = format!(
            "What field `{name}` takes is now {} (was {}); values kept so far stay",
            options(new),
            options(old)
        );
        lines.say(Effect::Neutral, text);
    }
}

fn options(kind: &FieldKind) -> String {
    match kind {
        FieldKind::Choice { choices } => format!("one of {}", choices.join(", ")),
        FieldKind::NationalId { country } => format!("a number of {}", country.as_str()),
        FieldKind::Text { size_max } => format!("at most {size_max} characters"),
        _ => kind.as_str().to_owned(),
    }
}

fn rights(lines: &mut Lines, name: &Name<Role>, old: &Role, new: &Role) {
    for right in without(&new.may, &old.may) {
        let text = format!("Role `{name}` has the right `{}` now", right.as_str());
        lines.say(Effect::Widens, text);
    }
    for right in without(&old.may, &new.may) {
        let text = format!("Role `{name}` no longer has the right `{}`", right.as_str());
        lines.say(Effect::Narrows, text);
    }
}

pub(super) enum Change<'c, T> {
    Added(&'c T),
    Dropped,
    Kept(&'c T, &'c T),
}

/// What became of each name, those of the new policy first.
pub(super) fn each<T>(
    old: &BTreeMap<Name<T>, T>,
    new: &BTreeMap<Name<T>, T>,
    mut tell: impl FnMut(&Name<T>, Change<'_, T>),
) {
    for (name, part) in new {
        match old.get(name) {
            Some(before) => tell(name, Change::Kept(before, part)),
            None => tell(name, Change::Added(part)),
        }
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        tell(name, Change::Dropped);
    }
}
