//! What is wrong, and what to do about it: in a policy (with its line) and in a value (without
//! ever repeating it).

use std::fmt;

/// One thing wrong in a policy file. Shows as ``line 12: field `mail` is not declared: did you
/// mean `email`?``.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1; where the reader should look first.
    pub line: u32,
    /// What is wrong, words of the file in backticks.
    pub cause: String,
    /// What to write instead.
    pub cure: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {}", self.line, self.cause, self.cure)
    }
}

/// Why a value was refused. Holds no part of the value, so it may be logged and shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueProblem {
    /// For programs; the words are for people.
    pub code: ValueProblemCode,
    /// What is wrong, without the value.
    pub cause: String,
    /// What the sender can do.
    pub cure: String,
}

impl fmt::Display for ValueProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause, self.cure)
    }
}

impl std::error::Error for ValueProblem {}

/// The classes of refusal an API can name; `as_str` is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueProblemCode {
    /// A payment card number, which is never kept, in any field.
    CardNumber,
    /// Control, direction-changing or invisible characters.
    ForbiddenCharacter,
    /// Not what the type of the field takes.
    Invalid,
    /// More than the type of the field takes.
    TooLong,
    /// Another JSON type than the field takes.
    WrongType,
}

impl ValueProblemCode {
    /// The code as programs see it, for example `card_number`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CardNumber => "card_number",
            Self::ForbiddenCharacter => "forbidden_character",
            Self::Invalid => "invalid",
            Self::TooLong => "too_long",
            Self::WrongType => "wrong_type",
        }
    }
}
