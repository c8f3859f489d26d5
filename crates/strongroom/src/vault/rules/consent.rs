//! Consent: which purposes need it, and what a new word of the customer changes.

use crate::ctx::Time;
use crate::error::Error;
use crate::policy::{Applied, Policy};
use crate::vault::model::{Consent, Core, How};

/// Whether a customer may be used for a purpose as far as consent goes. A purpose that the policy does
/// not know is one that nobody consented to.
pub(in crate::vault) fn has_consented(applied: &Applied, core: &Core, purpose: &str) -> bool {
    let Some(declared) = applied.policy.purposes().get(purpose) else { return false };
    let counts = |consent: &Consent| consent.purpose == purpose && counts(applied, consent);
    !declared.needs_consent || core.consents.iter().any(counts)
}

/// Whether a consent stands, and is none of those that a restore brought back unconfirmed.
pub(in crate::vault) fn counts(applied: &Applied, consent: &Consent) -> bool {
    let since = applied.consents_since;
    consent.stands() && since.is_none_or(|since| consent.given.is_some_and(|(at, _)| at >= since))
}

/// Nothing of a customer is shown or sent for a purpose that needs a consent they have not given.
pub(in crate::vault) fn refuse_without_consent(
    applied: &Applied,
    core: &Core,
    purpose: &str,
) -> Result<(), Error> {
    if has_consented(applied, core, purpose) {
        return Ok(());
    }
    if core.consents.iter().any(|consent| consent.purpose == purpose && consent.stands()) {
        let detail = "the data was restored from a backup, and nobody has confirmed yet that consents \
                      withdrawn since then were set down again; see the finding `restored`, then \
                      `strongroom doctor --confirm-consents`";
        return Err(Error::unavailable("consents_unconfirmed", detail));
    }
    let detail = format!(
        "this customer has not consented to `{purpose}`, or has withdrawn it; ask them, and set down \
         what they say with `PUT /v1/customers/{{id}}/consents/{purpose}`"
    );
    Err(Error::forbidden("consent_missing", detail))
}

/// Only what the policy asks consent for can be consented to: a consent to anything else would be a
/// promise that nobody keeps when it is withdrawn.
pub(in crate::vault) fn refuse_needless(policy: &Policy, purpose: &str) -> Result<(), Error> {
    match policy.purposes().get(purpose) {
        Some(declared) if declared.needs_consent => Ok(()),
        Some(_) => {
            let detail = "the policy asks no consent for this purpose; write `needs_consent = true` \
                          into it first";
            Err(Error::unprocessable("consent_not_needed", detail))
        }
        None => Err(purpose_unknown(policy)),
    }
}

fn purpose_unknown(policy: &Policy) -> Error {
    let all = policy.purposes().iter().filter(|(_, purpose)| purpose.needs_consent);
    let known: Vec<&str> = all.map(|(name, _)| name.as_str()).collect();
    let known = known.join("`, `");
    let detail = format!("consent is for a purpose of the policy that needs it: `{known}`");
    Error::unprocessable("purpose_unknown", detail)
}

/// Takes a consent in. One that is older than a withdrawal is refused: an old list brought in again
/// must not undo what the customer said since.
pub(in crate::vault) fn give(
    policy: &Policy,
    consents: &mut Vec<Consent>,
    purpose: &str,
    at: Time,
    how: How,
) -> Result<(), Error> {
    if let Some(known) = consents.iter_mut().find(|consent| consent.purpose == purpose) {
        if known.withdrawn.is_some_and(|withdrawn| at <= withdrawn) {
            let detail =
                "the customer has withdrawn this consent since then; only a newer one counts";
            return Err(Error::conflict("consent_withdrawn", detail));
        }
        if known.given.is_none_or(|(given, _)| at >= given) {
            known.given = Some((at, how));
        }
        known.withdrawn = None;
        return Ok(());
    }
    // Those of purposes that the policy dropped go before there are more than it can have purposes.
    if consents.len() >= CONSENTS_MAX {
        consents.retain(|consent| policy.purposes().contains_key(consent.purpose.as_str()));
    }
    let (purpose, given) = (purpose.to_owned(), Some((at, how)));
    consents.push(Consent { purpose, given, withdrawn: None });
    Ok(())
}

/// Takes a withdrawal in, also of a consent that was never given: the customer said no.
pub(in crate::vault) fn withdraw(
    policy: &Policy,
    consents: &mut Vec<Consent>,
    purpose: &str,
    now: Time,
) -> Result<(), Error> {
    if let Some(known) = consents.iter_mut().find(|consent| consent.purpose == purpose) {
        known.withdrawn.get_or_insert(now);
        return Ok(());
    }
    refuse_needless(policy, purpose)?;
    if consents.len() >= CONSENTS_MAX {
        consents.retain(|consent| policy.purposes().contains_key(consent.purpose.as_str()));
    }
    consents.push(Consent { purpose: purpose.to_owned(), given: None, withdrawn: Some(now) });
    Ok(())
}

/// As many as a policy may have purposes.
const CONSENTS_MAX: usize = 64;
