//! The daily walk over all customers, a thirtieth a day: each row's MAC, versions and keys are checked
//! as if somebody had asked for it, so that what was changed by other hands cannot hide among those
//! nobody asks for. It never deletes anything.

use std::sync::Arc;

use crate::access::{self, Desk, raise_finding, system_grant};
use crate::ctx::{Ctx, Entry, EntryKind, Pseudonym, Subjects};
use crate::error::Error;
use crate::findings::{Finding, FindingKind};
use crate::vault::model::{CustomerRow, CustomerState};
use crate::vault::rules;
use crate::vault::store::{self, WalkRow};
use crate::vault::verbs::open::{Opened, Which, open_page};

/// What a walk came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Walked {
    /// Customers that were looked at.
    pub seen: u64,
    /// Of these, customers that do not open; each has a finding.
    pub broken: u64,
    /// Customers whose due day was set anew, because the policy's periods changed.
    pub due_anew: u64,
}

/// Walks the part of today, and those of days on which nobody was there to walk. A walk that was
/// interrupted goes on where it was.
pub async fn walk(desk: &Arc<Desk>, ctx: &Ctx) -> Result<Walked, Error> {
    let today = ctx.now.as_ms().div_euclid(DAY_MS);
    let mut walked = Walked::default();
    let mut state = match store::read_walk(&mut desk.data.snapshot().await?).await? {
        Some(state) => state,
        None => WalkRow { position: part_of(0).0, day: today - 1, parts: 0 },
    };
    if state.day > today {
        // Set down while the clock was ahead: one part now, and from here on one a day.
        state.day = today - 1;
    }
    state.day = state.day.max(today - PARTS);
    while state.day < today {
        state = walk_page(desk, ctx, state, &mut walked).await?;
    }
    Ok(walked)
}

/// The next page of a part; where it was the last one, the part is finished.
async fn walk_page(
    desk: &Arc<Desk>,
    ctx: &Ctx,
    state: WalkRow,
    walked: &mut Walked,
) -> Result<WalkRow, Error> {
    let (first, last) = part_of(state.parts);
    // A place outside of its part was set by other hands: the part begins again.
    let from = if (first..=last).contains(&state.position) { state.position } else { first };
    let (own, whose) = (Arc::clone(desk), ctx.clone());
    let page =
        desk.data.apart(move || async move { look_at(&own, &whose, (from, last)).await }).await?;
    let next = match page.after {
        Some(position) => WalkRow { position, ..state },
        None => {
            let parts = (state.parts + 1).rem_euclid(PARTS);
            WalkRow { position: part_of(parts).0, day: state.day + 1, parts }
        }
    };
    if !page.due_anew.is_empty() {
        let whom = page.due_anew.iter().map(|(_, pseudonym, _)| *pseudonym).collect();
        let entry = Entry::new(ctx, EntryKind::System, "customer.due")
            .about(Subjects::Set(whom))
            .counting(page.due_anew.len() as u64);
        let rows = page.due_anew.iter().map(|(row, _, before)| store::set_due_day(row, before));
        let change = system_grant(ctx, Vec::new())?.change(entry).write_all(rows);
        access::commit(desk, change).await?;
    }
    let entry = Entry::new(ctx, EntryKind::System, "customer.walk").counting(page.seen);
    let change = system_grant(ctx, Vec::new())?.change(entry).write(store::put_walk(&next));
    access::commit(desk, change).await?;
    walked.seen += page.seen;
    walked.broken += page.broken;
    walked.due_anew += page.due_anew.len() as u64;
    Ok(next)
}

/// What a page showed.
struct Page {
    seen: u64,
    broken: u64,
    /// Rows with their new due day, whose they are, and the MAC they had.
    due_anew: Vec<(CustomerRow, Pseudonym, [u8; 32])>,
    /// Where the next page begins; none at the end of the part.
    after: Option<i64>,
}

async fn look_at(desk: &Desk, ctx: &Ctx, span: (i64, i64)) -> Result<Page, Error> {
    let listed = {
        let mut data = desk.data.snapshot().await?;
        store::list_keys(&mut data, span, PAGE_ROWS).await?
    };
    let is_full = i64::try_from(listed.len()).is_ok_and(|rows| rows >= PAGE_ROWS);
    let end = listed.last().map_or(span.1, |(key, _)| if is_full { *key } else { span.1 });
    let after = end.checked_add(1).filter(|_| end < span.1);
    let mut page = Page { seen: listed.len() as u64, broken: 0, due_anew: Vec::new(), after };
    // By id where it is one, so that even a row that cannot be read has a name in its finding.
    let which: Vec<Which<'_>> =
        listed.iter().map(|(key, id)| id.as_ref().map_or(Which::Key(*key), Which::Id)).collect();
    for opened in open_page(desk, ctx, &which).await? {
        match opened {
            Ok(Some(opened)) => page.due_anew.extend(due_anew(desk, opened)?),
            // Erased, or being erased.
            Ok(None) => {}
            Err(error) if error.code == "sealed" => return Err(error),
            Err(_) => page.broken += 1,
        }
    }
    let has_nameless = listed.iter().any(|(_, id)| id.is_none());
    let has_orphan = store::any_orphan(&mut desk.data.snapshot().await?, (span.0, end)).await?;
    if has_nameless || has_orphan {
        let (kind, detail) = (FindingKind::Tampered, NAMELESS.to_owned());
        let finding = Finding { kind, detail, customer: None };
        raise_finding(desk, ctx, "customer.walk", &finding).await?;
    }
    Ok(page)
}

/// The row with its due day as the sealed relations give it, where that is another one. The row's MAC
/// holds, so no other hands set it: the policy's periods have changed since.
fn due_anew(
    desk: &Desk,
    opened: Opened,
) -> Result<Option<(CustomerRow, Pseudonym, [u8; 32])>, Error> {
    if opened.row.state != CustomerState::Active {
        return Ok(None);
    }
    let authority = desk.rights.now()?;
    let due_day = rules::due_day(&authority.applied()?.policy, &opened.core.relations);
    if due_day == opened.row.due_day {
        return Ok(None);
    }
    let mut row = opened.row;
    let before = row.mac;
    row.due_day = due_day;
    row.mac = opened.core_key.mac_row(&row.columns());
    Ok(Some((row, opened.core.pseudonym, before)))
}

/// The first and the last row key of a part. Row keys are random, those of a chunk of an
/// import side by side, so parts of many chunks are about equal; what is below zero was put there by other hands and
/// is looked at with the first.
fn part_of(parts: i64) -> (i64, i64) {
    let width = i64::MAX / PARTS;
    let part = parts.rem_euclid(PARTS);
    let first = if part == 0 { i64::MIN } else { part * width };
    let last = if part == PARTS - 1 { i64::MAX } else { (part + 1) * width - 1 };
    (first, last)
}

/// Every customer is looked at once in so many days (`specs/crypto.md`).
const PARTS: i64 = 30;

/// Opened in some twenty milliseconds: a snapshot held longer lets the write-ahead log grow.
const PAGE_ROWS: i64 = 500;

const DAY_MS: i64 = 86_400_000;

const NAMELESS: &str = "a customer's row was deleted, or its id replaced, by other hands while their \
                        sealed records are still there: nobody can be shown who they are. Restore \
                        the data from a backup, and find out who can write to the database";
