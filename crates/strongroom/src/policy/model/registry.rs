//! Numbers for names: which numeric id seals which field, and which compartment which needs.
//!
//! Allotted once and never reused: a value sealed years ago must not turn up under another name.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use strongroom_crypto::{Random, random_array};

use crate::error::Error;
use crate::policy::model::Policy;
use crate::policy::rules;

/// Every field and compartment there ever was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    fields: BTreeMap<String, RegisteredField>,
    compartments: Vec<Compartment>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RegisteredField {
    id: u8,
    kind: String,
    find: String,
    needed_for: BTreeSet<String>,
}

/// Fields that the same relations need share a compartment, and so a key and a life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compartment {
    /// Random; bound into every record sealed in it.
    pub id: [u8; 16],
    /// The relations that need what is in it.
    pub needed_for: BTreeSet<String>,
}

impl Registry {
    /// This registry and what a policy adds to it. Refuses what would not be true of values that are
    /// kept already: another kind, another index, another need.
    pub fn extended_for(&self, policy: &Policy, random: &dyn Random) -> Result<Self, Error> {
        let mut extended = self.clone();
        for (name, field) in policy.all_fields() {
            let next = u8::try_from(extended.fields.len());
            let wanted = RegisteredField {
                id: next.unwrap_or(u8::MAX),
                kind: field.kind.as_str().to_owned(),
                find: field.find.as_stored().as_str().to_owned(),
                needed_for: field.needed_for.iter().map(|it| it.as_str().to_owned()).collect(),
            };
            match extended.fields.get(name.as_str()) {
                Some(known) => known.refuse_change(name.as_str(), &wanted)?,
                // 255 stands for references in the indexes.
                None if wanted.id < u8::MAX => {
                    extended.fields.insert(name.as_str().to_owned(), wanted);
                }
                None => {
                    let detail = "255 fields were declared over time, and numbers are never \
                                  reused; a new installation is needed";
                    return Err(Error::unprocessable("field_ids_used_up", detail));
                }
            }
        }
        for needed_for in rules::compartments(policy) {
            let needed_for: BTreeSet<String> =
                needed_for.iter().map(|name| name.as_str().to_owned()).collect();
            if !extended.compartments.iter().any(|known| known.needed_for == needed_for) {
                let id = random_array(random)?;
                extended.compartments.push(Compartment { id, needed_for });
            }
        }
        Ok(extended)
    }

    /// The number of a field.
    pub fn id_of(&self, name: &str) -> Option<u8> {
        self.fields.get(name).map(|field| field.id)
    }

    /// The field behind a number.
    pub fn name_of(&self, id: u8) -> Option<&str> {
        self.fields.iter().find(|(_, field)| field.id == id).map(|(name, _)| name.as_str())
    }

    /// The relation a kind of record is kept for, also after the policy dropped the kind: a legal duty
    /// does not end with a line of a file.
    pub fn relation_of_record(&self, kind: &str) -> Option<&str> {
        let is_of_kind = |name: &str| name.split_once('.').is_some_and(|(it, _)| it == kind);
        let (_, field) = self.fields.iter().find(|(name, _)| is_of_kind(name))?;
        field.needed_for.first().map(String::as_str)
    }

    /// Where values that these relations need are sealed.
    pub fn compartment_for<'a>(
        &self,
        needed_for: impl IntoIterator<Item = &'a str>,
    ) -> Option<&Compartment> {
        let needed_for: BTreeSet<&str> = needed_for.into_iter().collect();
        self.compartments.iter().find(|known| known.needed_for.iter().eq(needed_for.iter()))
    }

    /// The compartment with this id.
    pub fn compartment(&self, id: &[u8; 16]) -> Option<&Compartment> {
        self.compartments.iter().find(|known| known.id == *id)
    }
}

impl RegisteredField {
    /// Values kept under the old declaration would be misread, not found, or forgotten at the wrong
    /// time.
    fn refuse_change(&self, name: &str, wanted: &Self) -> Result<(), Error> {
        let (what, before, after) = if self.kind != wanted.kind {
            ("type", self.kind.clone(), wanted.kind.clone())
        } else if self.find != wanted.find {
            ("find", self.find.clone(), wanted.find.clone())
        } else if self.needed_for != wanted.needed_for {
            ("needed_for", listed(&self.needed_for), listed(&wanted.needed_for))
        } else {
            return Ok(());
        };
        let detail = format!(
            "`{what}` of field `{name}` was `{before}` when it was first declared and cannot become \
             `{after}`: moving values that are kept already is not in this version. Put it back, or \
             declare a field with another name"
        );
        Err(Error::unprocessable("field_changed", detail))
    }
}

fn listed(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
