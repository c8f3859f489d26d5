//! What changes between two policies, in words and by what it does to customers and staff.

use std::fmt;

/// One change, for the person who applies the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DifferenceLine {
    /// A sentence without its full stop.
    pub text: String,
    /// What the change does.
    pub effect: Effect,
}

impl fmt::Display for DifferenceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a change does. When in doubt, the graver one is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Values kept so far have no field any more.
    DropsField,
    /// Someone may see or do less.
    Narrows,
    /// Nobody sees more or less and nothing ends earlier.
    Neutral,
    /// Something kept so far may end earlier, or can be erased with less delay.
    ShortensLife,
    /// Someone may see or do more.
    Widens,
}

impl Effect {
    /// Whether a second person (or the delay that stands in for one) is asked for.
    pub fn needs_second_person(self) -> bool {
        match self {
            Self::DropsField | Self::ShortensLife | Self::Widens => true,
            Self::Narrows | Self::Neutral => false,
        }
    }
}
