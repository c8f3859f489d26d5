//! What customers consent to: given, withdrawn, shown, and asked for by whoever uses their data.

use std::sync::Arc;

use crate::access::{self, Attempt, Desk, commit_or_retry};
use crate::ctx::{
    Ctx, Entry, EntryKind, Grant, Guard, Miss, Pseudonym, Receipt, Subjects, Time, Written,
};
use crate::db::Statement;
use crate::error::Error;
use crate::id::{Customer, Id};
use crate::policy::{Applied, Right};
use crate::vault::model::{Consent, Core, How};
use crate::vault::verbs::create::Sealing;
use crate::vault::verbs::open::{Opened, open_active};
use crate::vault::verbs::patch::Patched;
use crate::vault::verbs::read::still_alive;
use crate::vault::verbs::{ATTEMPTS_MAX, changed_meanwhile};
use crate::vault::{rules, store};
use crate::webhooks::{self, EventKind};

/// A consent as a caller states it.
#[derive(Debug, Clone, Copy)]
pub struct ConsentInput {
    /// How it was obtained.
    pub how: How,
    /// When; now if not said, and never in the future.
    pub at: Option<Time>,
}

/// A customer's newest word on one purpose, brought along from elsewhere.
#[derive(Debug, Clone)]
pub struct ConsentSaid {
    /// A purpose of the policy that needs consent.
    pub purpose: String,
    /// When it was given last, and how.
    pub given: Option<(Time, How)>,
    /// When it was withdrawn, if that came last.
    pub withdrawn: Option<Time>,
}

impl ConsentSaid {
    pub(super) fn of(consent: &Consent) -> Self {
        let Consent { purpose, given, withdrawn } = consent;
        Self { purpose: purpose.clone(), given: *given, withdrawn: *withdrawn }
    }

    /// Sets it down for a new customer.
    pub(super) fn take_in(
        &self,
        applied: &Applied,
        now: Time,
        consents: &mut Vec<Consent>,
    ) -> Result<(), Error> {
        let Self { purpose, given, withdrawn } = self;
        rules::refuse_needless(&applied.policy, purpose)?;
        if let Some((at, how)) = given {
            refuse_future(*at, now)?;
            rules::give(&applied.policy, consents, purpose, *at, *how)?;
        }
        if let Some(at) = withdrawn {
            refuse_future(*at, now)?;
            rules::withdraw(&applied.policy, consents, purpose, *at)?;
        }
        Ok(())
    }
}

fn refuse_future(at: Time, now: Time) -> Result<(), Error> {
    if at <= now {
        return Ok(());
    }
    let detail = "a consent cannot have been given or withdrawn in the future";
    Err(Error::unprocessable("consent_in_future", detail))
}

/// A customer's word on one purpose.
#[derive(Debug)]
pub struct ConsentView {
    /// The purpose.
    pub purpose: String,
    /// Whether it stands.
    pub stands: bool,
    /// When it was given last, and how.
    pub given: Option<(Time, How)>,
    /// When it was withdrawn, if that came last.
    pub withdrawn: Option<Time>,
}

/// A customer's consents.
pub struct Consents {
    /// By purpose, in the order of their names.
    pub consents: Vec<ConsentView>,
    /// Where the question stands in the ledger.
    pub receipt: Receipt,
}

/// Sets down that a customer consents to a purpose.
pub async fn give_consent(
    desk: &Desk,
    ctx: &Ctx,
    id: Id<Customer>,
    purpose: &str,
    input: ConsentInput,
) -> Result<Patched, Error> {
    let at = input.at.unwrap_or(ctx.now);
    refuse_future(at, ctx.now)?;
    for _ in 0..ATTEMPTS_MAX {
        let grant = access::permit(desk, ctx, Right::Relate)?;
        let applied = Arc::clone(desk.rights.now()?.applied()?);
        rules::refuse_needless(&applied.policy, purpose)?;
        let opened = open_active(desk, ctx, &id).await?;
        let mut core = opened.core.clone();
        rules::give(&applied.policy, &mut core.consents, purpose, at, input.how)?;
        let entry =
            Entry::new(ctx, EntryKind::Write, "consent.give").because(input.how.as_str(), "");
        let word = Word { purpose, entry, core, event: None };
        if let Some(patched) = set_down(desk, ctx, grant, &opened, word).await? {
            return Ok(patched);
        }
    }
    Err(changed_meanwhile())
}

/// Sets down that a customer does not, or no longer, consent to a purpose: above this entry nothing is
/// shown or sent for it.
pub async fn withdraw_consent(
    desk: &Desk,
    ctx: &Ctx,
    id: Id<Customer>,
    purpose: &str,
) -> Result<Patched, Error> {
    for _ in 0..ATTEMPTS_MAX {
        let grant = access::permit_any(desk, ctx, &[Right::Relate, Right::Erase])?;
        let applied = Arc::clone(desk.rights.now()?.applied()?);
        let opened = open_active(desk, ctx, &id).await?;
        let mut core = opened.core.clone();
        rules::withdraw(&applied.policy, &mut core.consents, purpose, ctx.now)?;
        let entry = Entry::new(ctx, EntryKind::Write, "consent.withdraw").from_reserve();
        let event = webhooks::event(ctx, &desk.keyring, EventKind::ConsentWithdrawn, &id)?;
        let word = Word { purpose, entry, core, event: Some(event) };
        if let Some(patched) = set_down(desk, ctx, grant, &opened, word).await? {
            return Ok(patched);
        }
    }
    Err(changed_meanwhile())
}

/// What a customer consents to, as far as the caller may know it.
pub async fn list_consents(desk: &Desk, ctx: &Ctx, id: Id<Customer>) -> Result<Consents, Error> {
    for _ in 0..ATTEMPTS_MAX {
        let (grant, shown) = access::may_see_consents(desk, ctx)?;
        let applied = Arc::clone(desk.rights.now()?.applied()?);
        let opened = open_active(desk, ctx, &id).await?;
        let entry = Entry::new(ctx, EntryKind::Read, "consent.list")
            .about(Subjects::One(opened.core.pseudonym));
        let change = still_alive(grant.change(entry), &opened);
        let Attempt::Done(receipt) = commit_or_retry(desk, change).await? else { continue };
        let mut consents: Vec<ConsentView> = opened
            .core
            .consents
            .into_iter()
            .filter(|it| shown.as_ref().is_none_or(|shown| shown.contains(&it.purpose)))
            .map(|it| {
                let stands = rules::counts(&applied, &it);
                let (given, withdrawn) = (it.given, it.withdrawn);
                ConsentView { purpose: it.purpose, stands, given, withdrawn }
            })
            .collect();
        consents.sort_by(|left, right| left.purpose.cmp(&right.purpose));
        return Ok(Consents { consents, receipt });
    }
    Err(changed_meanwhile())
}

/// Proof that a customer may be used for a purpose, as far as consent goes. Whoever uses it puts the
/// guard into the change that does so: a withdrawal that comes first makes it miss.
pub struct Consented {
    /// The customer in the ledger.
    pub pseudonym: Pseudonym,
    /// Less may not be shown at the position than when this was asked.
    pub guard: Guard,
}

/// For rooms above that send a customer's data somewhere, one recipient at a time; 403
/// `consent_missing`, or not found. It decides nothing else: the grant is the caller's to ask for.
pub async fn consented(
    desk: &Desk,
    ctx: &Ctx,
    id: Id<Customer>,
    applied: &Applied,
    purpose: &str,
) -> Result<Consented, Error> {
    let opened = open_active(desk, ctx, &id).await?;
    rules::refuse_without_consent(applied, &opened.core, purpose)?;
    let statement = store::active_and_alive(&opened.row);
    let guard = Guard::Rows { statement, expected: 1, miss: Miss::LifeChanged };
    Ok(Consented { pseudonym: opened.core.pseudonym, guard })
}

/// What is to be set down.
struct Word<'a> {
    purpose: &'a str,
    entry: Entry,
    core: Core,
    /// What others are told of it.
    event: Option<Statement>,
}

/// Seals the next version of the core; `None` to decide once more.
async fn set_down(
    desk: &Desk,
    ctx: &Ctx,
    grant: Grant,
    opened: &Opened,
    word: Word<'_>,
) -> Result<Option<Patched>, Error> {
    let Word { purpose, entry, core, event } = word;
    let stands = |core: &Core| core.consents.iter().any(|it| it.purpose == purpose && it.stands());
    let mut row = opened.row.clone();
    row.version += 1;
    row.life += u64::from(stands(&opened.core) && !stands(&core));
    row.mac = opened.core_key.mac_row(&row.columns());
    let mut sealing = Sealing::default();
    sealing.core(ctx, row.key, &opened.core_key, &core, row.version)?;
    let entry = entry
        .about(Subjects::One(core.pseudonym))
        .writing(Written { sealed_hash: sealing.hash, row_mac: row.mac })
        .counting(1);
    let statement = store::update_customer(&row, &opened.row);
    // Nobody named a version, so a change that came first is no conflict.
    let miss = Miss::LifeChanged;
    let mut change = still_alive(grant.change(entry), opened)
        .guard(Guard::Rows { statement, expected: 1, miss })
        .write_all(sealing.writes)
        .write_all(event);
    // The grant is for no purpose of its own; the entry says which one it is about.
    purpose.clone_into(&mut change.entry.purpose);
    match commit_or_retry(desk, change).await? {
        Attempt::Done(receipt) => Ok(Some(Patched { id: row.id, version: row.version, receipt })),
        Attempt::Retry => Ok(None),
    }
}
