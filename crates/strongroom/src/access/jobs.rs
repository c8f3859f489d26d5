//! Periodic work for rights: the summary of requests without a valid key.

use crate::access::model::Desk;
use crate::access::verbs::{commit, system_grant};
use crate::ctx::{Ctx, Entry, EntryKind};
use crate::error::Error;

/// One entry a network, with how many requests without a valid key came from it since the last time.
pub async fn summarise_strangers(desk: &Desk, ctx: &Ctx) -> Result<(), Error> {
    for (network, count) in desk.strangers.take() {
        let from = Ctx { network, ..ctx.clone() };
        let entry = Entry::new(&from, EntryKind::Auth, "auth.strangers").counting(count);
        commit(desk, system_grant(&from, Vec::new())?.change(entry)).await?;
    }
    Ok(())
}
