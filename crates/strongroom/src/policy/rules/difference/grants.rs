//! Changes of grants. Grants have no names, so they are taken apart into what each role may do
//! with each field for each purpose, and those atoms are compared; then the budgets, which tie
//! fields together.

use std::collections::{BTreeMap, BTreeSet};

use super::{Lines, quoted};
use crate::policy::model::{Effect, Field, Grant, Name, Purpose, Reveal, Role, See};

pub(super) fn grants(lines: &mut Lines, old: &[Grant], new: &[Grant]) {
    let actors: BTreeSet<Actor<'_>> = old
        .iter()
        .chain(new)
        .map(|grant| Actor { role: &grant.role, purpose: &grant.purpose })
        .collect();
    for actor in actors {
        let of_actor = |grants: &'_ [Grant]| -> Vec<Grant> {
            grants.iter().filter(|grant| actor.has(grant)).cloned().collect()
        };
        let (old, new) = (of_actor(old), of_actor(new));
        seeing(lines, actor, &old, &new);
        finding(lines, actor, &old, &new);
        revealing(lines, actor, &old, &new);
        budgets(lines, actor, &old, &new);
        sharing(lines, actor, &old, &new);
    }
}

/// One role at work for one purpose.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Actor<'g> {
    role: &'g Name<Role>,
    purpose: &'g Name<Purpose>,
}

impl Actor<'_> {
    fn has(self, grant: &Grant) -> bool {
        grant.role == *self.role && grant.purpose == *self.purpose
    }
}

fn seeing(lines: &mut Lines, Actor { role, purpose }: Actor<'_>, old: &[Grant], new: &[Grant]) {
    let old = by_field(old, |grant| Some(grant.see));
    let new = by_field(new, |grant| Some(grant.see));
    for field in keys(&old, &new) {
        let before = old.get(field).copied().unwrap_or(See::None);
        let after = new.get(field).copied().unwrap_or(See::None);
        let effect = match after.cmp(&before) {
            std::cmp::Ordering::Equal => continue,
            std::cmp::Ordering::Greater => Effect::Widens,
            std::cmp::Ordering::Less => Effect::Narrows,
        };
        let how = |see: See| match see {
            See::Clear => "in clear",
            See::Masked => "masked",
            See::None => "not at all",
        };
        let (before, after) = (how(before), how(after));
        lines.say(
            effect,
            format!(
                "Role `{role}` may now see field `{field}` {after} (was {before}) for purpose \
                 `{purpose}`"
            ),
        );
    }
}

fn finding(lines: &mut Lines, Actor { role, purpose }: Actor<'_>, old: &[Grant], new: &[Grant]) {
    let fields = |grants: &[Grant]| -> BTreeSet<Name<Field>> {
        grants.iter().flat_map(|grant| grant.find.iter().cloned()).collect()
    };
    let (old, new) = (fields(old), fields(new));
    for field in new.difference(&old) {
        let text = format!("Role `{role}` may now find by field `{field}` for purpose `{purpose}`");
        lines.say(Effect::Widens, text);
    }
    for field in old.difference(&new) {
        let text =
            format!("Role `{role}` may no longer find by field `{field}` for purpose `{purpose}`");
        lines.say(Effect::Narrows, text);
    }
}

fn revealing(lines: &mut Lines, Actor { role, purpose }: Actor<'_>, old: &[Grant], new: &[Grant]) {
    let old = by_field(old, |grant| grant.reveal.as_ref());
    let new = by_field(new, |grant| grant.reveal.as_ref());
    for field in keys(&old, &new) {
        let (effect, text) = match (old.get(field), new.get(field)) {
            (Some(before), Some(after)) if before != after => {
                let what = format!("field `{field}` to role `{role}` for purpose `{purpose}`");
                revealing_changed(&what, before, after)
            }
            (None, Some(after)) => {
                let reasons = after.reasons.join(", ");
                let text = format!(
                    "Role `{role}` may now reveal field `{field}` for purpose `{purpose}`, {} \
                     times a day, for: {reasons}",
                    after.per_day
                );
                (Effect::Widens, text)
            }
            (Some(_), None) => {
                let text = format!(
                    "Role `{role}` may no longer reveal field `{field}` for purpose `{purpose}`"
                );
                (Effect::Narrows, text)
            }
            _ => continue,
        };
        lines.say(effect, text);
    }
}

/// More reveals or more reasons widen, whatever else is taken away with the same change.
fn revealing_changed(what: &str, before: &Reveal, after: &Reveal) -> (Effect, String) {
    let new_reason = after.reasons.iter().any(|reason| !before.reasons.contains(reason));
    let lost_reason = before.reasons.iter().any(|reason| !after.reasons.contains(reason));
    let effect = if after.per_day > before.per_day || new_reason {
        Effect::Widens
    } else if after.per_day < before.per_day || lost_reason {
        Effect::Narrows
    } else {
        Effect::Neutral
    };
    let words =
        |reveal: &Reveal| format!("{} a day for: {}", reveal.per_day, reveal.reasons.join(", "));
    (effect, format!("Revealing {what} is now {} (was {})", words(after), words(before)))
}

/// A field that is new or gone has had its line; here are those whose count changed.
fn budgets(lines: &mut Lines, actor: Actor<'_>, old: &[Grant], new: &[Grant]) {
    let mut changed: BTreeMap<(&str, u32, u32), BTreeSet<&Name<Field>>> = BTreeMap::new();
    for (verb, old, new) in [
        ("read", by_field(old, per_day), by_field(new, per_day)),
        ("look customers up by", by_find(old), by_find(new)),
    ] {
        for (field, before) in &old {
            let after = new.get(field).filter(|after| *after != before);
            if let Some(after) = after {
                changed.entry((verb, *before, *after)).or_default().insert(field);
            }
        }
    }
    for ((verb, before, after), fields) in changed {
        let effect = if after > before { Effect::Widens } else { Effect::Narrows };
        let Actor { role, purpose } = actor;
        let fields = quoted(fields);
        lines.say(
            effect,
            format!(
                "Role `{role}` may {verb} {fields} {after} times a day (was {before}) for purpose \
                 `{purpose}`"
            ),
        );
    }
}

/// Fields of one grant share its budget. Split over two, each has one of its own, and together
/// they reach more customers.
fn sharing(lines: &mut Lines, actor: Actor<'_>, old: &[Grant], new: &[Grant]) {
    let uses = |grants: &[Grant]| -> Vec<BTreeSet<(&'static str, Name<Field>)>> {
        let uses_of = |grant: &Grant| {
            let fields = grant.fields.iter().map(|field| ("fields", field.clone()));
            fields.chain(grant.find.iter().map(|field| ("find", field.clone()))).collect()
        };
        grants.iter().map(uses_of).collect()
    };
    let (old, new) = (uses(old), uses(new));
    let all = |grants: &[BTreeSet<_>]| grants.iter().flatten().cloned().collect::<BTreeSet<_>>();
    let common: BTreeSet<_> = all(&old).intersection(&all(&new)).cloned().collect();
    let parted = |grants: &[BTreeSet<_>]| -> BTreeSet<BTreeSet<_>> {
        let parts = grants.iter().map(|uses| uses & &common);
        parts.filter(|part| !part.is_empty()).collect()
    };
    let (old, new) = (parted(&old), parted(&new));
    if old == new {
        return;
    }
    let joined = old.iter().all(|part| new.iter().any(|whole| part.is_subset(whole)));
    let effect = if joined { Effect::Narrows } else { Effect::Widens };
    let Actor { role, purpose } = actor;
    lines.say(
        effect,
        format!(
            "The budgets of role `{role}` for purpose `{purpose}` are shared among other fields \
             ({} budgets, was {})",
            new.len(),
            old.len()
        ),
    );
}

/// What the grants say about each field; no field is in two.
fn by_field<'g, T>(
    grants: &'g [Grant],
    what: impl Fn(&'g Grant) -> Option<T>,
) -> BTreeMap<&'g Name<Field>, T> {
    let atoms = |grant: &'g Grant| {
        let fields = grant.fields.iter();
        let what = &what;
        fields.filter_map(move |field| Some((field, what(grant)?)))
    };
    grants.iter().flat_map(atoms).collect()
}

fn by_find(grants: &[Grant]) -> BTreeMap<&Name<Field>, u32> {
    let atoms = |grant| {
        per_day(grant)
            .into_iter()
            .flat_map(|count| grant.find.iter().map(move |field| (field, count)))
    };
    grants.iter().flat_map(atoms).collect()
}

fn per_day(grant: &Grant) -> Option<u32> {
    grant.budget.map(|budget| budget.per_day)
}

fn keys<'m, T>(
    old: &BTreeMap<&'m Name<Field>, T>,
    new: &BTreeMap<&'m Name<Field>, T>,
) -> BTreeSet<&'m Name<Field>> {
    old.keys().chain(new.keys()).copied().collect()
}
