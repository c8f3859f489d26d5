//! Two people for what one must not decide: whoever was erased after the newest register comes back.

use super::{Outcome, RestoreInput};
use crate::access::{Rights, may};
use crate::ctx::{Actor, Ctx, Time};
use crate::db::Connection;
use crate::error::{Error, ErrorKind};
use crate::id::{ApiKey, Id};
use crate::keys::Keyring;
use crate::policy::Right;
use crate::staff;

/// The API keys that agreed; none where nothing has to be agreed to, and where an installation has fewer
/// than two that could.
///
/// A key counts as it stood when the data was copied, however long ago that is: the restore itself
/// switches every key off, and the people are still the same.
pub(super) fn two_people(
    input: &RestoreInput,
    rights: &Rights,
    keyring: &Keyring,
    ctx: &Ctx,
    copied: Time,
) -> Result<Vec<Id<ApiKey>>, Error> {
    if input.register_as_of.is_none() || input.outcome == Outcome::Discard {
        return Ok(Vec::new());
    }
    let authority = rights.now()?;
    let may_agree = |role: &str| {
        let applied = authority.applied.as_ref();
        applied.is_some_and(|applied| may(&applied.policy, role, Right::Keys).is_ok())
    };
    let counts = authority.keys.values().filter(|key| key.refusal_at(copied).is_none());
    if counts.filter(|key| may_agree(&key.role)).count() < PEOPLE {
        return Ok(Vec::new());
    }
    let then = Ctx { now: copied, ..ctx.clone() };
    let mut agreed = Vec::new();
    for secret in &input.agreed_by {
        let known = staff::authenticate(&then, keyring, secret, |id| authority.keys.get(id));
        match known.map_err(|error| refused(&error.detail))? {
            Actor::Key { id, role, .. } if may_agree(&role) => agreed.push(id),
            _ => {
                return Err(refused("the role of one of the keys has no `keys` in its `may` list"));
            }
        }
    }
    agreed.sort();
    agreed.dedup();
    match agreed.len() {
        PEOPLE.. => Ok(agreed),
        _ => Err(refused("so many different keys were not named")),
    }
}

/// A key that a newer register calls revoked was lost or stolen, or its holder left.
pub(super) fn refuse_revoked(
    db: &mut Connection,
    keyring: &Keyring,
    agreed: &[Id<ApiKey>],
) -> Result<(), Error> {
    let (rows, _) = staff::load(db, keyring)?;
    let is_revoked =
        |id: &Id<ApiKey>| rows.iter().any(|row| row.id == *id && row.revoked.is_some());
    match agreed.iter().any(is_revoked) {
        true => Err(refused("one of the keys was revoked since the data was copied")),
        false => Ok(()),
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
