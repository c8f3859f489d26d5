//! Two people for what one must not decide: whoever was erased after the newest register comes back.

use std::collections::HashMap;

use super::{Outcome, RestoreInput, Window};
use crate::access::{Rights, may};
use crate::ctx::{Actor, Ctx};
use crate::error::{Error, ErrorKind};
use crate::id::{ApiKey, Id};
use crate::keys::Keyring;
use crate::policy::Right;
use crate::staff::{self, KeyRow};

/// Who agreed to a register that does not reach far enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agreement {
    /// One person, because fewer than two API keys could agree.
    Alone,
    /// A preview: two people will have to.
    Asked,
    /// It reaches far enough: there is nothing to agree to.
    NotNeeded,
    /// The API keys of two people or more.
    Two(Vec<Id<ApiKey>>),
}

impl Agreement {
    /// As it stands in the first entry of the new incarnation.
    pub(super) fn as_words(&self) -> String {
        match self {
            Self::Asked | Self::NotNeeded => String::new(),
            Self::Alone => ", agreed to by one person".to_owned(),
            Self::Two(keys) => {
                let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
                format!(", agreed to by {}", keys.join(" and "))
            }
        }
    }
}

/// Looks for two people, after every register had its word: a key that the newest one calls revoked was
/// lost or stolen, or its holder left.
///
/// A key counts as it stood when the data was copied, however long ago that is, and also where it is
/// switched off: the restore itself does that, and the people are still the same.
pub(super) fn two_people(
    input: &RestoreInput,
    rights: &Rights,
    keyring: &Keyring,
    ctx: &Ctx,
    window: &Window,
) -> Result<Agreement, Error> {
    if window.is_short() {
        return Ok(Agreement::NotNeeded);
    }
    let authority = rights.now()?;
    let may_agree = |key: &KeyRow| {
        let applied = authority.applied.as_ref();
        let is_allowed = applied.is_some_and(|it| may(&it.policy, &key.role, Right::Keys).is_ok());
        key.revoked.is_none() && window.data <= key.expires && is_allowed
    };
    let people: HashMap<Id<ApiKey>, KeyRow> = authority
        .keys
        .iter()
        .filter(|(_, key)| may_agree(key))
        .map(|(id, key)| (*id, KeyRow { disabled: None, ..key.clone() }))
        .collect();
    if people.len() < PEOPLE {
        return Ok(Agreement::Alone);
    }
    if input.outcome == Outcome::Discard {
        return Ok(Agreement::Asked);
    }
    let then = Ctx { now: window.data, ..ctx.clone() };
    let mut agreed = Vec::new();
    for secret in &input.agreed_by {
        match staff::authenticate(&then, keyring, secret, |id| people.get(id)) {
            Ok(Actor::Key { id, .. }) => agreed.push(id),
            _ => {
                return Err(refused(
                    "one of those named is not of this installation, was revoked, was over when the \
                     data was copied, or its role has no `keys` in its `may` list",
                ));
            }
        }
    }
    agreed.sort();
    agreed.dedup();
    match agreed.len() {
        PEOPLE.. => Ok(Agreement::Two(agreed)),
        _ => Err(refused("two different keys were not named")),
    }
}

fn refused(why: &str) -> Error {
    let detail = format!(
        "`--register-as-of` brings back whoever was erased since, so two people agree to it: each names \
         the file of an API key whose role may `keys`, with `--agreed-by FILE` ({why})"
    );
    Error::new(ErrorKind::Forbidden, "second_person_needed", detail)
}

/// One who asks and one who agrees.
const PEOPLE: usize = 2;
