//! How far a rotation of keys is.

use crate::ctx::Time;

/// What a rotation puts new keys in place of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationKind {
    /// The key that wraps data keys.
    WrappingKey,
    /// The data keys themselves, and the key that wraps them: every value is sealed anew.
    DataKeys,
    /// The keys under which values, tokens and pseudonyms are found.
    LookUpKeys,
    /// All of these at once, because somebody else may have them.
    AfterLeak,
}

impl RotationKind {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WrappingKey => "wrapping_key",
            Self::DataKeys => "data_keys",
            Self::LookUpKeys => "look_up_keys",
            Self::AfterLeak => "after_leak",
        }
    }

    pub(in crate::keys) fn parse(text: &str) -> Option<Self> {
        let all = [Self::WrappingKey, Self::DataKeys, Self::LookUpKeys, Self::AfterLeak];
        all.into_iter().find(|it| it.as_str() == text)
    }

    /// Whether there is a new wrapping key.
    pub fn wraps_anew(self) -> bool {
        self != Self::LookUpKeys
    }

    /// Whether every customer gets new data keys.
    pub fn seals_anew(self) -> bool {
        matches!(self, Self::DataKeys | Self::AfterLeak)
    }

    /// Whether everything that is found by a hash is found by another one.
    pub fn hashes_anew(self) -> bool {
        matches!(self, Self::LookUpKeys | Self::AfterLeak)
    }
}

/// A rotation of keys that each customer has, or is found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// Names it.
    pub id: [u8; 16],
    /// What it is about.
    pub kind: RotationKind,
    /// The version that wraps from now on.
    pub kek_version: u32,
    /// The place of the customer whose keys were put under it last; none before the first of a pass.
    pub position: Option<i64>,
    /// How often all customers were gone over.
    pub passes: u32,
    /// Data keys that were put under it, or replaced; of look-up keys the customers hashed anew.
    pub rewrapped: u64,
    /// Data keys still under an older one after the last pass; of look-up keys the customers who were
    /// not yet found under the new ones when they were looked at.
    pub left_over: u64,
    /// Customers of this pass who were not as they should be when they were looked at.
    pub unsettled: u64,
    /// When it began.
    pub begun: Time,
    /// When the older keys were destroyed.
    pub ended: Option<Time>,
}

/// A data key and where it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The customer.
    pub customer: [u8; 16],
    /// The compartment; all zero for the core.
    pub compartment: [u8; 16],
    /// The key.
    pub dek: [u8; 16],
}
