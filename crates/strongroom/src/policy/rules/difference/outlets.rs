//! Changes of where values may go. More going out, or going elsewhere, widens.

use super::parts::{Change, each};
use super::{Lines, quoted, without};
use crate::policy::model::{Effect, Name, Outlet, Policy};

pub(super) fn outlets(lines: &mut Lines, old: &Policy, new: &Policy) {
    each(&old.outlets, &new.outlets, |name, change| match change {
        Change::Added(outlet) => lines.say(Effect::Widens, in_words(name, outlet)),
        Change::Dropped => lines.say(Effect::Narrows, format!("Outlet `{name}` is dropped")),
        Change::Kept(old, new) => outlet(lines, name, old, new),
    });
}

pub(super) fn in_words(name: &Name<Outlet>, outlet: &Outlet) -> String {
    format!(
        "Outlet `{name}` sends {} to `{}` for purpose `{}`, to {} customers a day",
        quoted(&outlet.fields),
        outlet.to.as_str(),
        outlet.purpose,
        outlet.per_day
    )
}

fn outlet(lines: &mut Lines, name: &Name<Outlet>, old: &Outlet, new: &Outlet) {
    let what = |part: &str| format!("The {part} of outlet `{name}`");
    lines.compare(Effect::Neutral, &what("title"), &old.title, &new.title);
    let purposes = (old.purpose.as_str().to_owned(), new.purpose.as_str().to_owned());
    lines.compare(Effect::Widens, &what("purpose"), &purposes.0, &purposes.1);
    let ends = (old.to.as_str().to_owned(), new.to.as_str().to_owned());
    lines.compare(Effect::Widens, &what("destination"), &ends.0, &ends.1);
    let gone = without(&old.fields, &new.fields);
    if !gone.is_empty() {
        lines.say(Effect::Narrows, format!("Outlet `{name}` no longer sends {}", quoted(&gone)));
    }
    let added = without(&new.fields, &old.fields);
    if !added.is_empty() {
        lines.say(Effect::Widens, format!("Outlet `{name}` now sends {}", quoted(&added)));
    }
    let effect = if new.per_day > old.per_day { Effect::Widens } else { Effect::Narrows };
    lines.compare(effect, &what("budget a day"), &old.per_day, &new.per_day);
}
