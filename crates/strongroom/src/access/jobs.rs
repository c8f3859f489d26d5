//! Periodic work for rights: the summary of requests without a valid key, and keys that end soon.

use crate::access::model::Desk;
use crate::access::verbs::{close_finding, commit, raise_finding, system_grant};
use crate::ctx::{Ctx, Entry, EntryKind, Time};
use crate::error::Error;
use crate::findings::{Finding, FindingKind};
use crate::staff::KeyRow;

/// One entry a network, with how many requests without a valid key came from it since the last time.
pub async fn summarise_strangers(desk: &Desk, ctx: &Ctx) -> Result<(), Error> {
    for (network, count) in desk.strangers.take() {
        let from = Ctx { network, ..ctx.clone() };
        let entry = Entry::new(&from, EntryKind::Auth, "auth.strangers").counting(count);
        commit(desk, system_grant(&from, Vec::new())?.change(entry.from_reserve())).await?;
    }
    Ok(())
}

/// Says in time which keys end: a shop whose key ended in the night stands still in the morning. Those
/// that have just ended are named too, until they are revoked or nobody can be waiting for them.
pub async fn tell_ending_keys(desk: &Desk, ctx: &Ctx) -> Result<(), Error> {
    let authority = desk.rights.now()?;
    let mut ending: Vec<&KeyRow> =
        authority.keys.values().filter(|key| is_ending(key, ctx.now)).collect();
    if ending.is_empty() {
        return close_finding(desk, ctx, "auth.ending", FindingKind::KeyEnding).await;
    }
    ending.sort_by_key(|key| key.expires);
    let named = ending.iter().take(NAMED_MAX);
    let named = named.map(|key| format!("{} ({})", key.id, key.expires.to_rfc3339()));
    let detail = format!(
        "{} API keys end within {DAYS} days, or just have: from then on their programs are refused and \
         stand still. Make a new one for each (`strongroom key new`), give it to its program, and \
         revoke the old one (`strongroom key revoke ID`); `strongroom key list` shows all: {}",
        ending.len(),
        named.collect::<Vec<_>>().join(", ")
    );
    let finding = Finding { kind: FindingKind::KeyEnding, detail, customer: None };
    raise_finding(desk, ctx, "auth.ending", &finding).await
}

/// Whether somebody may have to act now, for a key that is still in use or was until now.
fn is_ending(key: &KeyRow, now: Time) -> bool {
    let counts = key.revoked.is_none() && key.disabled.is_none();
    counts && key.expires < now.plus_days(DAYS) && now < key.expires.plus_days(DAYS)
}

/// Time to make a new key and roll it out, as for certificates.
const DAYS: i64 = 14;

/// A finding is read by people; `key list` has the rest.
const NAMED_MAX: usize = 5;
