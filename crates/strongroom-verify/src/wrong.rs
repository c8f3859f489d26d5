//! What was found wrong.

use std::fmt;

/// The first thing that does not hold, and where, in words. What files say is repeated in escaped form
/// only: it is whoever wrote them who would speak to the terminal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wrong(pub(crate) String);

impl Wrong {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// The same, with where it is.
    pub(crate) fn at(self, place: impl fmt::Display) -> Self {
        Self(format!("{place}: {}", self.0))
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}
