//! Names people give to the parts of a policy. A name is safe to print, to put into a URL and to
//! write into the ledger.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// The name of one part of a policy: `Name<Field>`, `Name<Role>`. Lower-case ASCII letters,
/// digits, `_` and `-`, first a letter, at most 40 bytes. The parameter keeps the name of a role
/// from being used where a field is meant.
pub struct Name<Of> {
    text: Box<str>,
    of: PhantomData<fn() -> Of>,
}

impl<Of> Name<Of> {
    /// None when the text breaks the rule for names.
    pub fn parse(text: &str) -> Option<Self> {
        let starts_well = text.starts_with(|first: char| first.is_ascii_lowercase());
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        if !starts_well || text.len() > NAME_LEN_MAX || !text.bytes().all(allowed) {
            return None;
        }
        Some(Self { text: text.into(), of: PhantomData })
    }

    /// The name of a field of a record, `invoice.number`: no name of its own has a dot.
    pub(in crate::policy) fn of_record<Kind, Part>(kind: &Name<Kind>, field: &Name<Part>) -> Self {
        Self { text: format!("{kind}.{field}").into(), of: PhantomData }
    }

    /// The name as written in the policy.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

// Written by hand because derived ones would ask the same of `Of`, which is a mark only.
impl<Of> Clone for Name<Of> {
    fn clone(&self) -> Self {
        Self { text: self.text.clone(), of: PhantomData }
    }
}

impl<Of> PartialEq for Name<Of> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl<Of> Eq for Name<Of> {}

impl<Of> PartialOrd for Name<Of> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<Of> Ord for Name<Of> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl<Of> Hash for Name<Of> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

// INVARIANT: order and hash are those of the text, as `Borrow` demands, so maps can be asked with
// a plain `&str`.
impl<Of> Borrow<str> for Name<Of> {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl<Of> fmt::Debug for Name<Of> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl<Of> fmt::Display for Name<Of> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Fits a column of the console and of a terminal; longer names are titles.
const NAME_LEN_MAX: usize = 40;
