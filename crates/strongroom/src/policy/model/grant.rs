//! Who may do what: purposes, roles with their rights, grants with their budgets.

use std::collections::BTreeSet;

use super::{Field, Name};

/// Why anyone may look; named in every request and every entry of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purpose {
    /// For people; the name where the policy gives none.
    pub title: String,
    /// Whether a customer is shown or sent anything for it only with their consent.
    pub needs_consent: bool,
}

/// What a key or a person may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// For people; the name where the policy gives none.
    pub title: String,
    /// May be empty: seeing and finding come from grants.
    pub may: BTreeSet<Right>,
}

/// A right that is not about seeing or finding values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Make a customer.
    Create,
    /// Ask for the erasure of a customer.
    Erase,
    /// Take clear values of all customers out, as far as grants show them.
    Export,
    /// Run an import.
    Import,
    /// Make and revoke keys.
    Keys,
    /// Ask who looked.
    Ledger,
    /// Join two customers into one.
    Merge,
    /// Apply a policy.
    Policy,
    /// Touch or end a relation.
    Relate,
    /// Send through an outlet, share by a link.
    Send,
    /// Change a customer's fields.
    Update,
}

impl Right {
    /// Every right of this version, in the order of the alphabet.
    pub const ALL: [Self; 11] = [
        Self::Create,
        Self::Erase,
        Self::Export,
        Self::Import,
        Self::Keys,
        Self::Ledger,
        Self::Merge,
        Self::Policy,
        Self::Relate,
        Self::Send,
        Self::Update,
    ];

    /// The word of the policy.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Erase => "erase",
            Self::Export => "export",
            Self::Import => "import",
            Self::Keys => "keys",
            Self::Ledger => "ledger",
            Self::Merge => "merge",
            Self::Policy => "policy",
            Self::Relate => "relate",
            Self::Send => "send",
            Self::Update => "update",
        }
    }
}

/// What one role sees and finds for one purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// A declared role.
    pub role: Name<super::Role>,
    /// A declared purpose.
    pub purpose: Name<super::Purpose>,
    /// Never empty; disjoint from those of the role's other grants for the purpose.
    pub fields: BTreeSet<Name<Field>>,
    /// Indexed fields the role may look customers up by, whether or not it sees them.
    pub find: BTreeSet<Name<Field>>,
    /// How values show.
    pub see: See,
    /// Always present when `see` shows something or `find` names a field.
    pub budget: Option<Budget>,
    /// Whether clear values may be had for a reason.
    pub reveal: Option<Reveal>,
}

impl Grant {
    /// One text per grant, `role/purpose/field` with the first field by name, for rows that count
    /// its budget. No two grants of a policy share it, and it outlives edits elsewhere in the
    /// file.
    pub fn key(&self) -> String {
        // INVARIANT: `fields` is never empty, so the key never ends in a slash.
        let first = self.fields.first().map(Name::as_str).unwrap_or_default();
        format!("{}/{}/{first}", self.role, self.purpose)
    }
}

/// How a grant shows values, from nothing to everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum See {
    /// Not at all.
    None,
    /// A hint of fixed length.
    Masked,
    /// Whole.
    Clear,
}

impl See {
    /// The word of the policy.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Masked => "masked",
            Self::None => "none",
        }
    }
}

/// How many distinct customers an actor may see, and how often it may look one up, on a day of the
/// business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// 1 to 1,000,000.
    pub per_day: u32,
}

/// Clear values for a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reveal {
    /// What may be given as the reason, in the order of the policy; never empty, each at most 60
    /// characters.
    pub reasons: Vec<String>,
    /// Reveals on a day of the business, 1 to 1,000,000; every one counts.
    pub per_day: u32,
}
