//! Another signing key for the log, and what the witness has to do with it.

use crate::access::{Desk, commit};
use crate::ctx::{Ctx, Entry, EntryKind, Grant, Receipt};
use crate::error::Error;
use crate::ledger::{self, HANDOVER_VERB, Signers};
use crate::witness::jobs::end_unwatched;

/// Hands the log over to a new signing key. Both sign until the witness has cosigned which key it is, and
/// it does that for a key that somebody told it of; where nobody cosigns, the new one signs alone at once.
///
/// The key is durable before the entry names it, and the old one is there until an entry says that it has
/// ended: killed in between, the next asking or the next start goes on from there.
pub async fn hand_over(desk: &Desk, ctx: &Ctx, grant: Grant) -> Result<Receipt, Error> {
    let _alone = desk.keyring.hand_over_alone().await;
    let newest = desk.published.newest();
    if let Some(coming) = newest.and_then(|newest| newest.handing) {
        let detail = format!(
            "the ledger is being handed over to the key {coming}, and the witness has not cosigned it yet: \
             on its machine run `strongroom witness trust --folder DIR '{coming}'`"
        );
        return Err(Error::conflict("signing_key_waits", detail));
    }
    desk.keyring.make_coming_signer()?;
    let origin = desk.keyring.incarnation().1;
    let keys = ledger::signed_keys(&desk.keyring, origin, Signers::Now)?;
    let coming = keys.first().ok_or_else(|| Error::internal("no coming key"))?.to_string();
    let entry = Entry::new(ctx, EntryKind::Admin, HANDOVER_VERB).because("", &coming);
    let receipt = commit(desk, grant.change(entry)).await?;
    end_unwatched(desk).await?;
    Ok(receipt)
}
