//! Opening, listing and closing places and holdings; and the one way to write a holding.

use strongroom_crypto::Plain;

use crate::access::{self, Desk, permit};
use crate::ctx::{Ctx, Entry, EntryKind, Guard, Miss, Pseudonym, Receipt, Time};
use crate::db::{Connection, Statement};
use crate::error::{Error, ErrorKind};
use crate::id::{Holding, Id};
use crate::keys::Keyring;
use crate::places::model::{Closing, HOLDING_SET_MAX, Held, HeldOf, NewHolding};
use crate::places::model::{PlaceKind, PlaceName, PlaceRow, Whose, plain_words};
use crate::places::store;
use crate::policy::Right;

/// The statements that write a holding, for the change of the act that puts the data there. Nothing
/// is written for a set of nobody.
pub fn hold(desk: &Desk, ctx: &Ctx, new: &NewHolding<'_>) -> Result<Vec<Statement>, Error> {
    let id: Id<Holding> = ctx.new_id()?;
    let place = new.place.as_str();
    let (whose, number, sealed) = match &new.whose {
        Whose::These(these) if these.is_empty() => return Ok(Vec::new()),
        Whose::These(these) if these.len() > HOLDING_SET_MAX => {
            return Err(Error::internal("more customers than one holding may name"));
        }
        Whose::These(these) => {
            let set = Plain::new(these.iter().flat_map(|it| it.0).collect());
            let sealed = desk.keyring.seal_holding(id.as_bytes(), place, &set)?;
            (HeldOf::These, these.len() as u64, sealed)
        }
        Whose::EveryoneAsOf(index) => (HeldOf::EveryoneAsOf, *index, Vec::new()),
        Whose::Count(count) => (HeldOf::Count, *count, Vec::new()),
    };
    let mut held = Held {
        id,
        place: place.to_owned(),
        whose,
        number,
        sealed,
        fields: new.fields,
        act: new.act.to_owned(),
        origin: new.origin.to_owned(),
        since: ctx.now,
        due: new.due,
        closed: None,
        evidence: String::new(),
        mac: [0; 32],
    };
    held.mac = desk.keyring.mac_row(store::HOLDING_TABLE, &held.columns())?;
    let owner = ctx.actor.reference();
    let open = store::open_place(new.place, new.kind, &owner, ctx.now);
    Ok(vec![open, store::insert_holding(&held)])
}

/// Opens a place, or changes who owns it and what it is.
pub async fn open(
    desk: &Desk,
    ctx: &Ctx,
    name: &PlaceName,
    kind: PlaceKind,
    owner: &str,
) -> Result<Receipt, Error> {
    plain_words(owner, OWNER_SIZE_MAX, "bad_owner")?;
    let grant = permit(desk, ctx, Right::Policy)?;
    refuse_one_too_many(desk, name).await?;
    let entry = Entry::new(ctx, EntryKind::Admin, "place.open");
    let change = grant.change(entry).write(store::put_place(name, kind, owner, ctx.now));
    access::commit(desk, change).await
}

/// Refuses a place that is new where there are 5,000. Whoever names places asks this first; two
/// at the same moment may both be let in, which a bound against growth can bear.
pub async fn refuse_one_too_many(desk: &Desk, name: &PlaceName) -> Result<(), Error> {
    let mut data = desk.data.snapshot().await?;
    if store::find_place(&mut data, name).await?.is_some()
        || store::count_places(&mut data).await? < PLACES_MAX
    {
        return Ok(());
    }
    let detail = format!(
        "there are {PLACES_MAX} places, and no more are kept apart: use the name of one that is \
         known, or one name for all of a kind (`strongroom places list`)"
    );
    Err(Error::conflict("too_many_places", detail))
}

/// Places after a name, in the order of their names, with the receipt of the question.
pub async fn list(
    desk: &Desk,
    ctx: &Ctx,
    after: &str,
    limit: usize,
) -> Result<(Vec<PlaceRow>, Receipt), Error> {
    let grant = permit(desk, ctx, Right::Ledger)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let places = {
        let mut data = desk.data.snapshot().await?;
        store::list_places(&mut data, after, limit).await?
    };
    let entry = Entry::new(ctx, EntryKind::Ledger, "places.list").counting(places.len() as u64);
    Ok((places, access::commit(desk, grant.change(entry)).await?))
}

/// A page of what is at a place.
pub struct Holdings {
    /// In the order they came there, the oldest first.
    pub holdings: Vec<Held>,
    /// Where the question stands in the ledger.
    pub receipt: Receipt,
}

/// What is at a place after an id: how many customers, which fields; never who.
pub async fn list_holdings(
    desk: &Desk,
    ctx: &Ctx,
    name: &PlaceName,
    after: Vec<u8>,
    limit: usize,
) -> Result<Holdings, Error> {
    let grant = permit(desk, ctx, Right::Ledger)?;
    find(desk, name).await?;
    let (place, limit) = (name.as_str().to_owned(), i64::try_from(limit).unwrap_or(i64::MAX));
    let holdings =
        desk.data.scan(move |db| store::list_holdings(db, &place, &after, limit)).await?;
    holdings.iter().try_for_each(|held| refuse_altered(&desk.keyring, held))?;
    let entry =
        Entry::new(ctx, EntryKind::Ledger, "places.holdings").counting(holdings.len() as u64);
    let receipt = access::commit(desk, grant.change(entry)).await?;
    Ok(Holdings { holdings, receipt })
}

/// Closes holdings, because what they were is gone, with what shows it: a ticket, a certificate.
/// Answers how many were closed.
pub async fn close(
    desk: &Desk,
    ctx: &Ctx,
    name: &PlaceName,
    what: &Closing,
    evidence: &str,
) -> Result<(u64, Receipt), Error> {
    plain_words(evidence, EVIDENCE_SIZE_MAX, "bad_evidence")?;
    permit(desk, ctx, Right::Policy)?;
    find(desk, name).await?;
    // A call that is to be done once is done when its last change is: until then whoever sends it
    // again goes on with what is still open.
    let unclaimed = Ctx { claim: None, ..ctx.clone() };
    let (mut closed, mut last, mut after) = (0, None, Vec::new());
    let mut held_back: Vec<Held> = Vec::new();
    loop {
        let (place, from) = (name.as_str().to_owned(), after.clone());
        let page = desk.data.scan(move |db| store::list_open(db, &place, &from, PAGE_MAX)).await?;
        let Some(end) = page.last() else { break };
        after = end.id.as_bytes().to_vec();
        let wanted: Vec<Held> = page.into_iter().filter(|held| is_meant(what, held)).collect();
        if wanted.is_empty() {
            continue;
        }
        closed += wanted.len() as u64;
        let before = std::mem::replace(&mut held_back, wanted);
        if !before.is_empty() {
            close_page(desk, &unclaimed, before, evidence).await?;
        }
    }
    if !held_back.is_empty() {
        let is_last = *what != Closing::Everything;
        let ctx = if is_last { ctx } else { &unclaimed };
        last = Some(close_page(desk, ctx, held_back, evidence).await?);
    }
    if *what == Closing::Everything {
        let grant = permit(desk, ctx, Right::Policy)?;
        let entry = Entry::new(ctx, EntryKind::Admin, "place.close").counting(closed);
        let statement = store::close_place(name, ctx.now);
        let guard = Guard::Rows { statement, expected: 1, miss: Miss::StateChanged };
        last = Some(access::commit(desk, grant.change(entry).guard(guard)).await?);
    }
    last.map(|receipt| (closed, receipt)).ok_or_else(|| {
        let detail = "no open holding of this place is meant by this; list them to see their ids \
                      and origins";
        Error::new(ErrorKind::NotFound, "no_holding", detail)
    })
}

/// The statements that close holdings of these origins, for the change of the act that destroyed what was
/// there: the act is the evidence.
pub async fn gone(
    desk: &Desk,
    ctx: &Ctx,
    name: &PlaceName,
    origins: Vec<String>,
    evidence: &str,
) -> Result<Vec<Statement>, Error> {
    let (mut statements, mut after) = (Vec::new(), Vec::new());
    loop {
        let (place, from) = (name.as_str().to_owned(), after.clone());
        let page = desk.data.scan(move |db| store::list_open(db, &place, &from, PAGE_MAX)).await?;
        let Some(end) = page.last() else { return Ok(statements) };
        after = end.id.as_bytes().to_vec();
        for mut held in page.into_iter().filter(|held| origins.contains(&held.origin)) {
            refuse_altered(&desk.keyring, &held)?;
            let before = held.mac;
            held.closed = Some(ctx.now);
            evidence.clone_into(&mut held.evidence);
            held.mac = desk.keyring.mac_row(store::HOLDING_TABLE, &held.columns())?;
            statements.push(store::close_holding(&held, &before));
        }
    }
}

async fn close_page(
    desk: &Desk,
    ctx: &Ctx,
    wanted: Vec<Held>,
    evidence: &str,
) -> Result<Receipt, Error> {
    let grant = permit(desk, ctx, Right::Policy)?;
    let entry = Entry::new(ctx, EntryKind::Admin, "holding.close").counting(wanted.len() as u64);
    let mut change = grant.change(entry);
    for mut held in wanted {
        refuse_altered(&desk.keyring, &held)?;
        let before = held.mac;
        held.closed = Some(ctx.now);
        evidence.clone_into(&mut held.evidence);
        held.mac = desk.keyring.mac_row(store::HOLDING_TABLE, &held.columns())?;
        let statement = store::close_holding(&held, &before);
        change = change.guard(Guard::Rows { statement, expected: 1, miss: Miss::StateChanged });
    }
    access::commit(desk, change).await
}

/// Everything that was at a place at some moment of a span, with the customers it names; one holding
/// at a time, so that a year of sends does not have to fit into memory. For a thread that may block.
pub fn visit_held(
    db: &mut Connection,
    keyring: &Keyring,
    place: &str,
    span: (Time, Time),
    mut visit: impl FnMut(&Held, Vec<Pseudonym>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut after = Vec::new();
    loop {
        let page = store::list_holdings(db, place, &after, PAGE_MAX)?;
        let Some(end) = page.last() else { return Ok(()) };
        after = end.id.as_bytes().to_vec();
        for held in page {
            refuse_altered(keyring, &held)?;
            if held.was_there(span) {
                let members = members_of(keyring, &held)?;
                visit(&held, members)?;
            }
        }
    }
}

fn members_of(keyring: &Keyring, held: &Held) -> Result<Vec<Pseudonym>, Error> {
    if held.whose != HeldOf::These {
        return Ok(Vec::new());
    }
    let plain = keyring.open_holding(held.id.as_bytes(), &held.place, &held.sealed)?;
    let (members, rest) = plain.expose().as_chunks::<16>();
    if !rest.is_empty() || members.len() as u64 != held.number {
        return Err(altered());
    }
    Ok(members.iter().map(|member| Pseudonym(*member)).collect())
}

async fn find(desk: &Desk, name: &PlaceName) -> Result<PlaceRow, Error> {
    let mut data = desk.data.snapshot().await?;
    store::find_place(&mut data, name).await?.ok_or_else(|| {
        let detail = "there is no place of this name; `strongroom places list` names them";
        Error::new(ErrorKind::NotFound, "no_place", detail)
    })
}

fn is_meant(what: &Closing, held: &Held) -> bool {
    match what {
        Closing::Everything => true,
        Closing::One(id) => held.id == *id,
        Closing::Origin(origin) => held.origin == *origin,
    }
}

/// An incident's scope rests on these rows: one that was altered is told, never passed over.
fn refuse_altered(keyring: &Keyring, held: &Held) -> Result<(), Error> {
    match keyring.is_row_intact(store::HOLDING_TABLE, &held.columns(), &held.mac)? {
        true => Ok(()),
        false => Err(altered()),
    }
}

fn altered() -> Error {
    let detail = "a holding was altered in the database by other hands, so what is at this place \
                  cannot be answered; restore the data from a backup";
    Error::unavailable("tampered", detail)
}

/// Every vendor, laptop and box of a company of a thousand people; the list is read by a person.
const PLACES_MAX: u64 = 5_000;

const OWNER_SIZE_MAX: usize = 60;

const EVIDENCE_SIZE_MAX: usize = 120;

/// Bounds one change and one read: 500 holdings of at most 64 KiB.
const PAGE_MAX: i64 = 500;
