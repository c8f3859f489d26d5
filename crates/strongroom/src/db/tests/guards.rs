//! What must hold for a change, and what is left of one that was not done.

use futures::future::join_all;

use super::*;
use crate::ctx::{BudgetKind, StatePart};
use crate::db::apply::needs_savepoint;
use crate::error::ErrorKind;

fn insert(table: &str, number: i64) -> Statement {
    let text: &'static str = format!("INSERT INTO {table} VALUES ($1)").leak();
    Statement::new(text, vec![number.into()])
}

fn rows(statement: Statement, expected: u64) -> Guard {
    Guard::Rows { statement, expected, miss: Miss::StateChanged }
}

fn budget() -> Guard {
    Guard::Budget(BudgetClaim {
        kind: BudgetKind::Erase,
        holder: "key".to_owned(),
        day: "2026-07-01".to_owned(),
        max: 1,
        seen: Vec::new(),
        amount: 1,
        retry_after_s: 1,
    })
}

fn bare() -> Change {
    let mut bare = change(1);
    bare.writes.clear();
    bare
}

#[tokio::test]
async fn a_credential_ends_after_its_last_millisecond_and_a_grace_with_it() {
    for place in places() {
        let house = House::open(place, None);
        let (before, now, after) = {
            let now = house.clock.now();
            (now.plus_ms(-1), now, now.plus_ms(1))
        };
        for (guard, missed) in [
            (Guard::NotAfter(before), Some(Miss::Expired)),
            (Guard::NotAfter(now), None),
            (Guard::NotAfter(after), None),
            (Guard::NotBefore(before), None),
            (Guard::NotBefore(now), None),
            (Guard::NotBefore(after), Some(Miss::TooEarly)),
            (Guard::Epoch(0), None),
            (Guard::Epoch(1), Some(Miss::AuthorityChanged)),
            (Guard::TrustedClock, None),
        ] {
            let said = format!("{guard:?}");
            let fate = house.committer.commit(bare().guard(guard)).await.unwrap();
            let miss = if let Fate::Missed(miss) = fate { Some(miss) } else { None };
            assert_eq!(format!("{miss:?}"), format!("{missed:?}"), "{said}");
        }
        house.clock.step_ms(2 * 86_400_000);
        let fate = house.committer.commit(bare().guard(Guard::TrustedClock)).await.unwrap();
        assert!(matches!(fate, Fate::Missed(Miss::ClockSuspect)));
    }
}

#[tokio::test]
async fn a_row_that_is_there_already_is_missed_and_an_engine_that_fails_is_not() {
    for place in places() {
        let house = House::open(place, None);
        let claim = |table| house.committer.commit(bare().guard(rows(insert(table, 1), 1)));
        assert!(matches!(claim("u").await.unwrap(), Fate::Committed(_)));
        assert!(matches!(claim("u").await.unwrap(), Fate::Missed(Miss::StateChanged)));
        assert_eq!(claim("nowhere").await.unwrap_err().code, "ledger_stalled");
        // Nor behind a guard that does not hold: the transaction may be over by then.
        let both = bare().guard(rows(insert("u", 2), 0)).guard(rows(insert("nowhere", 1), 1));
        assert_eq!(house.committer.commit(both).await.unwrap_err().code, "ledger_stalled");
    }
}

/// A house in which row 1 was written, and what came of these, which were one batch after it.
async fn one_batch(
    place: (Place, tempfile::TempDir),
    changes: Vec<Change>,
) -> (House, Vec<Result<Fate, Error>>) {
    let (open, gate) = channel();
    let house = House::open(place, Some(gate));
    let mut first = Box::pin(house.committer.commit(bare().write(insert("u", 1))));
    let soon = tokio::time::timeout(std::time::Duration::ZERO, first.as_mut());
    assert!(soon.await.is_err(), "it waits");
    until(|| house.said.is_at_it.load(Ordering::SeqCst)).await;
    let mut rest = Box::pin(join_all(changes.into_iter().map(|one| house.committer.commit(one))));
    let soon = tokio::time::timeout(std::time::Duration::ZERO, rest.as_mut());
    assert!(soon.await.is_err(), "they wait");
    drop(open);
    first.await.unwrap();
    let fates = rest.await;
    (house, fates)
}

#[tokio::test]
async fn a_change_that_was_not_done_leaves_nothing_and_the_others_of_its_batch_stay() {
    for place in places() {
        let written = |number| bare().write(insert("u", number));
        let failed = |number| written(number).write(insert("u", 1));
        // What fails as the first of its batch begins it anew, and later ones go back to where they began.
        let batch = vec![failed(5), written(2), failed(3), written(4)];
        let (house, fates) = one_batch(place, batch).await;
        let failed: Vec<_> = fates.iter().map(|fate| fate.as_ref().err().map(|e| e.kind)).collect();
        assert_eq!(failed, [Some(ErrorKind::Conflict), None, Some(ErrorKind::Conflict), None]);
        let mut snapshot = house.database.snapshot().await.unwrap();
        let there = snapshot.query("SELECT n FROM u ORDER BY n LIMIT 9", &[]).await.unwrap();
        let there: Vec<i64> = there.iter().map(|row| row.integer(0).unwrap()).collect();
        assert_eq!(there, [1, 2, 4]);
    }
}

/// At a server questions of one batch are asked for together, but never past somebody who writes.
#[tokio::test]
async fn what_a_batch_writes_is_seen_by_the_guards_behind_it_and_by_none_before() {
    for place in places() {
        let counts = |expected| {
            let counted = Statement::new("SELECT n FROM u LIMIT 9", Vec::new());
            bare().guard(rows(counted, expected))
        };
        let written = bare().write(insert("u", 2));
        let batch = vec![counts(1), counts(2), counts(1), written, counts(1), counts(2), counts(2)];
        let (_house, fates) = one_batch(place, batch).await;
        let held = |fate: &Result<Fate, Error>| matches!(fate, Ok(Fate::Committed(_)));
        let held: Vec<bool> = fates.iter().map(held).collect();
        assert_eq!(held, [true, false, true, true, false, true, true]);
    }
}

#[tokio::test]
async fn a_commit_that_fails_is_looked_up_at_a_server_and_nowhere_else() {
    for place in places() {
        let house = House::open(place, None);
        let lost = house.committer.commit(bare().write(insert("v", 1))).await;
        assert_eq!(lost.unwrap_err().code, "ledger_stalled");
        let looks = house.said.looks.load(Ordering::SeqCst);
        assert_eq!(looks, if house.is_file { 0 } else { 1 });
        house.write(1).await.expect("service is back");
    }
}

#[tokio::test]
async fn an_entry_knows_how_many_changes_of_rights_its_batch_had_before_it() {
    for place in places() {
        let house = House::open(place, None);
        let delta = StateDelta { part: StatePart::Rights, before: None, after: Some([1; 32]) };
        house.committer.commit(bare().with_state(delta)).await.unwrap();
        house.committer.commit(bare()).await.unwrap();
        assert_eq!(*house.said.state_changes.lock().unwrap(), [1, 0]);
    }
}

#[test]
fn a_change_is_apart_from_its_batch_where_it_can_leave_something_behind() {
    let look = || rows(Statement::new("SELECT n FROM u LIMIT 1", Vec::new()), 0);
    for (changed, apart, what) in [
        (bare(), false, "nothing to take back"),
        (bare().guard(look()), false, "a question"),
        (bare().guard(budget()), false, "a budget looks before it writes"),
        (bare().guard(look()).guard(budget()), false, "an ordinary read"),
        (bare().guard(budget()).guard(budget()), true, "the first budget has to be taken back"),
        (bare().guard(rows(insert("u", 1), 1)), true, "a guard that writes"),
        (bare().write(insert("u", 1)), true, "a write"),
        (bare().write(insert("u", 1)).guard(look()), true, "a write behind a question"),
    ] {
        assert_eq!(needs_savepoint(&changed), apart, "{what}");
    }
}
