//! Calls that are done once, however often they are sent (`Idempotency-Key`).
//!
//! What is kept stands in the effect's own change: two hashes, the status, an id. Neither what was
//! sent nor what was answered is kept; the answer is built again from the present state.

use strongroom_crypto::Encoder;

use crate::access::model::Desk;
use crate::access::store::{self, RepeatRow};
use crate::access::verbs::allow::permit_repetition;
use crate::access::verbs::{commit, system_grant};
use crate::ctx::{Change, Claim, Ctx, Entry, EntryKind, Guard, Miss, Receipt};
use crate::error::Error;

/// A call that was done before.
pub struct Repeated {
    /// The status it was answered with.
    pub status: u16,
    /// The id of what it made or changed, where its address does not name it; else empty.
    pub resource: String,
    /// Where being told so stands in the ledger.
    pub receipt: Receipt,
}

/// What a caller wants done once: `key` as sent, `digest` of everything else that was sent, and the
/// statuses of the route where something is made and where not.
pub fn claim(
    desk: &Desk,
    ctx: &Ctx,
    key: &str,
    digest: &[u8; 32],
    (made_status, done_status): (u16, u16),
) -> Result<Claim, Error> {
    let mut name = Encoder::new("repeat/key");
    name.text(&ctx.actor.reference()).text(key);
    let mut request = Encoder::new("repeat/request");
    request.text(key).bytes(digest);
    Ok(Claim {
        key_hash: desk.keyring.mac_row("repeat_key", &name.finish())?,
        request_hash: desk.keyring.mac_row("repeat_request", &request.finish())?,
        made_status,
        done_status,
        status: done_status,
        resource: String::new(),
    })
}

/// What became of the call, if it was done within a day. The same key with anything else is refused.
pub async fn find_repeated(
    desk: &Desk,
    ctx: &Ctx,
    claim: &Claim,
) -> Result<Option<Repeated>, Error> {
    let found = {
        let mut data = desk.data.snapshot().await?;
        store::find_repeat(&mut data, &desk.keyring, &claim.key_hash, ctx.now).await?
    };
    let Some(row) = found else { return Ok(None) };
    if !strongroom_crypto::constant_time_eq(&row.request_hash, &claim.request_hash) {
        let detail = "this `Idempotency-Key` was sent with another call within a day; nothing was \
                      done. Take a new key for a new call, and repeat a call unchanged";
        return Err(Error::unprocessable("idempotency_key_reused", detail));
    }
    let told = Ctx { claim: None, ..ctx.clone() };
    let entry = Entry::new(&told, EntryKind::Write, "call.repeated");
    let receipt = commit(desk, permit_repetition(desk, &told)?.change(entry)).await?;
    Ok(Some(Repeated { status: row.status, resource: row.resource, receipt }))
}

/// Forgets calls that were done more than a day ago.
pub async fn forget_repeated(desk: &Desk, ctx: &Ctx) -> Result<(), Error> {
    if !store::any_repeat_ended(&mut desk.data.snapshot().await?, ctx.now).await? {
        return Ok(());
    }
    let entry = Entry::new(ctx, EntryKind::System, "repeat.forget");
    let change = system_grant(ctx, Vec::new())?.change(entry);
    commit(desk, change.write(store::forget_ended_repeats(ctx.now))).await.map(drop)
}

/// Makes a statement of the guard that a grant carries: it meets one row only if nobody was first.
pub(super) fn claim_in(desk: &Desk, mut change: Change) -> Result<Change, Error> {
    for guard in &mut change.guards {
        let Guard::Once(claim) = guard else { continue };
        let now = desk.now();
        let row = RepeatRow {
            key_hash: claim.key_hash,
            request_hash: claim.request_hash,
            status: claim.status,
            resource: std::mem::take(&mut claim.resource),
            ends: now.plus_days(DAYS_KEPT),
        };
        let statement = store::claim_repeat(&desk.keyring, &row, now)?;
        *guard = Guard::Rows { statement, expected: 1, miss: Miss::Repeated };
    }
    Ok(change)
}

/// As long as a caller may lose an answer and ask again; it also bounds the table.
const DAYS_KEPT: i64 = 1;
