//! What changes between two policies, in plain words. The caller asks for a second person where an
//! effect is grave, so this errs on the grave side; and a change it had no words for would slip
//! through, so a test changes every part and expects a line.

mod grants;
mod outlets;
mod parts;
mod records;

use std::collections::BTreeSet;

use crate::policy::model::{DifferenceLine, Effect, Name, Policy};

/// Every change from the old policy to the new one; empty exactly when nothing changes but the
/// order of the grants. Without an old policy a summary of the new one.
pub fn difference(old: Option<&Policy>, new: &Policy) -> Vec<DifferenceLine> {
    let mut lines = Lines { lines: Vec::new() };
    match old {
        None => summary(&mut lines, new),
        Some(old) => {
            parts::business(&mut lines, &old.business, &new.business);
            parts::relations(&mut lines, old, new);
            parts::fields(&mut lines, old, new);
            records::records(&mut lines, old, new);
            parts::purposes(&mut lines, old, new);
            parts::roles(&mut lines, old, new);
            grants::grants(&mut lines, &old.grants, &new.grants);
            outlets::outlets(&mut lines, old, new);
        }
    }
    lines.lines
}

/// Nobody had anything before the first policy, so nothing widens.
fn summary(lines: &mut Lines, policy: &Policy) {
    let business = &policy.business;
    lines.say(
        Effect::Neutral,
        format!("First policy of {}, time zone {}", business.name, business.timezone_name),
    );
    for (name, relation) in &policy.relations {
        let text = format!("Relation `{name}` lasts {} after it last happened", relation.keep);
        lines.say(Effect::Neutral, text);
    }
    lines.say(Effect::Neutral, format!("Kept about a customer: {}", quoted(policy.fields.keys())));
    for (name, record) in &policy.records {
        let fields = quoted(record.fields.keys());
        let fixed = if record.fixed { ", fixed once issued" } else { "" };
        let text = format!("Record `{name}` with {fields}, kept for `{}`{fixed}", record.relation);
        lines.say(Effect::Neutral, text);
    }
    for (name, role) in &policy.roles {
        let rights = role.may.iter().map(|right| right.as_str()).collect::<Vec<_>>().join(", ");
        let grants = policy.grants.iter().filter(|grant| grant.role == *name).count();
        let rights = if rights.is_empty() { "no rights" } else { &rights };
        let plural = if grants == 1 { "" } else { "s" };
        lines.say(Effect::Neutral, format!("Role `{name}` has {rights}; {grants} grant{plural}"));
    }
    for (name, outlet) in &policy.outlets {
        lines.say(Effect::Neutral, outlets::in_words(name, outlet));
    }
}

/// The lines so far.
struct Lines {
    lines: Vec<DifferenceLine>,
}

impl Lines {
    fn say(&mut self, effect: Effect, text: String) {
        self.lines.push(DifferenceLine { text, effect });
    }

    /// A line when two things differ; `what` ends where "is now" follows.
    fn compare<T: PartialEq + ToString>(&mut self, effect: Effect, what: &str, old: &T, new: &T) {
        if old != new {
            let text = format!("{what} is now `{}` (was `{}`)", new.to_string(), old.to_string());
            self.say(effect, text);
        }
    }
}

/// Names in backticks with commas.
fn quoted<'n, Of: 'n>(names: impl IntoIterator<Item = &'n Name<Of>>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What the second set lacks of the first.
fn without<T: Ord + Clone>(set: &BTreeSet<T>, other: &BTreeSet<T>) -> BTreeSet<T> {
    set.difference(other).cloned().collect()
}
