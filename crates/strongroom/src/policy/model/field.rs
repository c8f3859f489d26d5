//! What is kept, and why: relations, fields, and records with fields of their own.

use std::collections::{BTreeMap, BTreeSet};

use super::{FieldKind, Name, RetentionPeriod};

/// Why a customer is known to the business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// For people; the name where the policy gives none.
    pub title: String,
    /// How long the relation lives after it last happened.
    pub keep: RetentionPeriod,
    /// The legal duty behind it: while it lives, erasure waits for what it needs.
    pub basis: Option<String>,
}

/// One thing that may be kept about a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// For people; the name where the policy gives none.
    pub title: String,
    /// How values are read, normalised and masked.
    pub kind: FieldKind,
    /// How much harm a leak does.
    pub class: Class,
    /// The relations that keep it alive; never empty. Decides its compartment.
    pub needed_for: BTreeSet<Name<Relation>>,
    /// Which index there is over it.
    pub find: Find,
}

/// A sort of thing that belongs to a customer and has a life of its own: an invoice, an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordKind {
    /// For people; the name where the policy gives none.
    pub title: String,
    /// The relation whose `keep` counts, from the day the record was issued.
    pub relation: Name<Relation>,
    /// Whether a record never changes once it is issued.
    pub fixed: bool,
    /// Never empty; by the names as they stand in the record, without the kind.
    pub fields: BTreeMap<Name<Field>, Field>,
}

/// How confidential a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Of little harm outside.
    Internal,
    /// The default.
    Confidential,
    /// Great harm: identity papers, health.
    Restricted,
}

impl Class {
    /// The word of the policy.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confidential => "confidential",
            Self::Internal => "internal",
            Self::Restricted => "restricted",
        }
    }
}

/// Whether customers can be found by a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    /// By the whole value; several customers may share it.
    Exact,
    /// Not at all.
    None,
    /// By the whole value, and no two customers may have the same.
    Unique,
    /// By the beginnings of its words, from an index in memory.
    Words,
}

impl Find {
    /// The word of the policy.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::None => "none",
            Self::Unique => "unique",
            Self::Words => "words",
        }
    }

    /// What of it stands in the database: nothing of words, which may so come and go with a policy.
    pub(in crate::policy) fn as_stored(self) -> Self {
        match self {
            Self::Words => Self::None,
            Self::Exact | Self::None | Self::Unique => self,
        }
    }
}
