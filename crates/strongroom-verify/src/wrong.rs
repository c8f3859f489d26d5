//! What was found wrong.

use std::fmt;

/// The first thing that does not hold, and where, in words. What files say is repeated in escaped form
/// only: it is whoever wrote them who would speak to the terminal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wrong {
    what: String,
    is_unread: bool,
}

impl Wrong {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), is_unread: false }
    }

    /// The same, with where it is.
    pub(crate) fn at(self, place: impl fmt::Display) -> Self {
        Self { what: format!("{place}: {}", self.what), ..self }
    }

    /// The same, of something that the caller named and that could not be read: no log was looked at.
    pub(crate) fn unread(self) -> Self {
        Self { is_unread: true, ..self }
    }

    /// Whether nothing was checked, because what the caller named is not there or is something else.
    pub fn is_unread(&self) -> bool {
        self.is_unread
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.what)
    }
}

impl std::error::Error for Wrong {}
