//! The one function that lets keys be destroyed, and what an intruder or a wrong clock makes of it.

use serde_json::json;
use strongroom::jobs;

use super::{Kept, assert_code, enquirer, findings, look_up, one, read};
use crate::support::{Shop, intrude};

async fn ask(shop: &Shop, id: &str) {
    let asked = shop.call("privacy", "DELETE", &format!("/v1/customers/{id}"), None).await;
    assert_eq!(asked.status, 202, "{:?}", asked.json);
}

fn keys_of(shop: &Shop) -> i64 {
    one(shop.keys(), "SELECT COUNT(*) FROM dek")
}

/// Once from now on, with the jobs of the system.
async fn pass_days(shop: &Shop, days: i64) {
    shop.clock.pass_ms(days * DAY_MS);
    jobs::run_once(&shop.desk()).await;
}

#[tokio::test]
async fn no_cheap_destruction_before_the_grace_is_over() {
    let shop = Shop::open().await;
    let id = enquirer(&shop, 1).await;
    let keys = keys_of(&shop);
    ask(&shop, &id).await;
    pass_days(&shop, 6).await;
    assert_eq!(keys_of(&shop), keys);
    pass_days(&shop, 2).await;
    assert!(keys_of(&shop) < keys);
}

#[tokio::test]
async fn a_legal_hold_placed_in_the_grace_stops_the_erasure_until_it_is_released() {
    let shop = Shop::open().await;
    let id = enquirer(&shop, 1).await;
    let keys = keys_of(&shop);
    ask(&shop, &id).await;
    let path = format!("/v1/customers/{id}/hold");
    let placed = shop.as_operator("PUT", &path, Some(json!({ "reason": "case 7" }))).await;
    assert_eq!(placed.status, 204, "{:?}", placed.json);
    pass_days(&shop, 30).await;
    assert_eq!(keys_of(&shop), keys, "the hold stands");
    assert_eq!(shop.as_operator("DELETE", &path, None).await.status, 204);
    pass_days(&shop, 0).await;
    assert!(keys_of(&shop) < keys, "released, it goes on");
}

#[tokio::test]
async fn a_legal_hold_refuses_an_erasure_that_is_asked_for() {
    let shop = Shop::open().await;
    let id = enquirer(&shop, 1).await;
    let path = format!("/v1/customers/{id}/hold");
    shop.as_operator("PUT", &path, Some(json!({ "reason": "case 7" }))).await;
    let refused = shop.call("privacy", "DELETE", &format!("/v1/customers/{id}"), None).await;
    assert_code(&refused, 423, "legal_hold");
    assert_eq!(read(&shop, &id).await.status, 200);
}

#[tokio::test]
async fn a_clock_that_jumped_erases_nobody_until_a_person_confirms_it() {
    let shop = Shop::open().await;
    let id = enquirer(&shop, 1).await;
    let other = enquirer(&shop, 2).await;
    let keys = keys_of(&shop);
    ask(&shop, &id).await;
    shop.clock.step_ms(10 * DAY_MS);
    jobs::run_once(&shop.desk()).await;
    assert_eq!(keys_of(&shop), keys, "a step of the clock is not ten days");
    assert_eq!(findings(&shop).await, ["clock_suspect", "key_file_only", "recovery_missing"]);
    assert_eq!(read(&shop, &other).await.status, 200, "reads go on");
    let back = shop.as_operator("POST", "/v1/clock/confirm", None).await;
    assert_eq!(back.status, 204, "{:?}", back.json);
    jobs::run_once(&shop.desk()).await;
    assert!(keys_of(&shop) < keys, "confirmed, ten days are ten days");
}

/// Which days of a clock that jumped are true only a person knows, those before the jump as well.
#[tokio::test]
async fn a_suspect_clock_erases_nobody_who_was_due_before_it_jumped() {
    let shop = Shop::open().await;
    let id = enquirer(&shop, 1).await;
    let keys = keys_of(&shop);
    ask(&shop, &id).await;
    shop.clock.pass_ms(8 * DAY_MS);
    shop.clock.step_ms(2 * DAY_MS);
    jobs::run_once(&shop.desk()).await;
    assert_eq!(keys_of(&shop), keys);
    let back = shop.as_operator("POST", "/v1/clock/confirm", None).await;
    assert_eq!(back.status, 204, "{:?}", back.json);
    jobs::run_once(&shop.desk()).await;
    assert!(keys_of(&shop) < keys, "confirmed, it goes on");
}

#[tokio::test]
async fn the_eleventh_erasure_a_day_needs_a_second_person() {
    let shop = Shop::open().await;
    let mut ids = Vec::new();
    for number in 0..11 {
        let id = enquirer(&shop, number).await;
        ids.push(id.clone());
        let asked = shop.call("privacy", "DELETE", &format!("/v1/customers/{id}"), None).await;
        match number {
            10 => assert_code(&asked, 403, "second_person_needed"),
            _ => assert_eq!(asked.status, 202, "{:?}", asked.json),
        }
    }
    let shown = "SELECT count(*) FROM customer WHERE state = 'active'";
    assert_eq!(one::<i64>(shop.data(), shown), 1, "only the eleventh is still shown");
    // Taking one back and asking again is no way round.
    let back = format!("/v1/customers/{}/erasure", ids[0]);
    let taken = shop.call("privacy", "DELETE", &back, None).await;
    assert!(taken.status == 200 || taken.status == 204, "{taken:?}");
    let path = format!("/v1/customers/{}", ids[10]);
    let asked = shop.call("privacy", "DELETE", &path, None).await;
    assert_code(&asked, 403, "second_person_needed");
    pass_days(&shop, 1).await;
    let id = enquirer(&shop, 12).await;
    ask(&shop, &id).await;
}

#[tokio::test]
async fn beyond_a_hundred_erasures_a_day_in_all_a_second_person_is_needed() {
    let mut shop = Shop::open().await;
    let mut number = 0;
    for _ in 0..10 {
        let key = shop.new_key("privacy", &["support"]).await;
        shop.keys.insert("privacy", key);
        for _ in 0..10 {
            let id = enquirer(&shop, number).await;
            ask(&shop, &id).await;
            number += 1;
        }
    }
    let key = shop.new_key("privacy", &["support"]).await;
    shop.keys.insert("privacy", key);
    let id = enquirer(&shop, number).await;
    let refused = shop.call("privacy", "DELETE", &format!("/v1/customers/{id}"), None).await;
    assert_code(&refused, 403, "second_person_needed");
}

/// While it runs, an edited job fails its MAC: it destroys nothing, and the next start notices.
#[tokio::test]
async fn an_erasure_job_changed_by_sql_destroys_nothing() {
    for attack in [
        "UPDATE erasure_job SET due_ms = 0",
        "UPDATE erasure_job SET customer = (SELECT key FROM customer WHERE state = 'active')",
        "UPDATE erasure_job SET due_ms = 0,
           customer = (SELECT key FROM customer WHERE state = 'active')",
        "UPDATE erasure_job SET state = 'begun', due_ms = 0",
        "INSERT INTO erasure_job SELECT randomblob(16), 'asked', key, 0, 0, x'', 1, zeroblob(32)
         FROM customer WHERE state = 'active'",
    ] {
        let mut shop = Shop::open().await;
        let (asked, other) = (enquirer(&shop, 1).await, enquirer(&shop, 2).await);
        let keys = keys_of(&shop);
        ask(&shop, &asked).await;
        intrude(shop.data(), attack);
        jobs::run_once(&shop.desk()).await;
        assert_eq!(keys_of(&shop), keys, "{attack}");
        assert_eq!(read(&shop, &other).await.status, 200, "{attack}");
        shop.stop();
        shop.start().await.unwrap();
        jobs::run_once(&shop.desk()).await;
        assert_eq!(keys_of(&shop), keys, "{attack}");
        assert_code(&read(&shop, &other).await, 503, "rights_altered");
    }
}

/// Those who are due are begun at once, and their keys go together: whoever stands before the changed job is
/// erased, and nobody from there on.
#[tokio::test]
async fn of_those_who_are_due_together_nobody_from_a_changed_job_on_is_erased() {
    let shop = Shop::open().await;
    let mut keys_of_each = Vec::new();
    for number in 1..=4 {
        let before = keys_of(&shop);
        let id = enquirer(&shop, number).await;
        keys_of_each.push(keys_of(&shop) - before);
        ask(&shop, &id).await;
        shop.clock.pass_ms(60_000);
    }
    intrude(
        shop.data(),
        "UPDATE erasure_job SET version = version + 1
         WHERE asked_ms = (SELECT MIN(asked_ms) + 120000 FROM erasure_job)",
    );
    let keys = keys_of(&shop);
    pass_days(&shop, 8).await;
    assert_eq!(keys - keys_of(&shop), keys_of_each[0] + keys_of_each[1]);
    let done = "SELECT COUNT(*) FROM erasure_job WHERE state = 'done'";
    assert_eq!(one::<i64>(shop.data(), done), 2);
    let asked = "SELECT COUNT(*) FROM erasure_job WHERE state = 'asked'";
    assert_eq!(one::<i64>(shop.data(), asked), 2);
}

/// A plan that was good once: all rows of a begun erasure under the id of another customer's job.
#[tokio::test]
async fn a_done_erasure_put_back_as_begun_destroys_nothing_more() {
    let mut shop = Shop::open().await;
    let (gone, other) = (enquirer(&shop, 1).await, enquirer(&shop, 2).await);
    ask(&shop, &gone).await;
    shop.stop();
    let asked = Kept::of(&shop);
    shop.start().await.unwrap();
    pass_days(&shop, 8).await;
    let keys = keys_of(&shop);
    shop.stop();
    let old = "DELETE FROM erasure_job; INSERT INTO erasure_job SELECT * FROM old.erasure_job;";
    intrude(shop.data(), &asked.attached(old));
    shop.start().await.unwrap();
    jobs::run_once(&shop.desk()).await;
    assert_eq!(keys_of(&shop), keys);
    assert_code(&read(&shop, &other).await, 503, "rights_altered");
}

#[tokio::test]
async fn time_in_the_ledger_never_runs_backwards() {
    let mut shop = Shop::open().await;
    let id = shop.customer(1).await;
    let mut times = Vec::new();
    for step in [3_600_000, -7_200_000, -5 * DAY_MS, 60_000, -1] {
        shop.clock.step_ms(step);
        assert_eq!(read(&shop, &id).await.status, 200);
        times.push(one::<i64>(shop.data(), "SELECT time_ms FROM ledger_head"));
    }
    shop.stop();
    shop.start().await.unwrap();
    read(&shop, &id).await;
    times.push(one::<i64>(shop.data(), "SELECT time_ms FROM ledger_head"));
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(super::flaws(&shop).await, []);
}

/// One row that does not open is found again at every run, as the oldest that is due.
#[tokio::test]
async fn a_customer_who_cannot_be_erased_keeps_nobody_else_waiting() {
    let shop = Shop::open().await;
    let (damaged, other) = (enquirer(&shop, 1).await, enquirer(&shop, 2).await);
    ask(&shop, &damaged).await;
    shop.clock.pass_ms(60_000);
    ask(&shop, &other).await;
    let damage = "UPDATE customer SET mac = zeroblob(32)
        WHERE key = (SELECT customer FROM erasure_job ORDER BY asked_ms LIMIT 1)";
    intrude(shop.data(), damage);
    let keys = keys_of(&shop);
    pass_days(&shop, 8).await;
    assert!(keys_of(&shop) < keys, "the other one is erased");
    assert_eq!(findings(&shop).await, ["key_file_only", "recovery_missing", "tampered"]);
}

/// Row, core and records of one customer from before they asked to be forgotten fit together; the job
/// says what is missing.
#[tokio::test]
async fn a_customer_put_back_to_before_they_asked_to_be_forgotten_is_noticed_when_they_are_due() {
    let mut shop = Shop::open().await;
    let id = enquirer(&shop, 1).await;
    shop.stop();
    let before = Kept::of(&shop);
    shop.start().await.unwrap();
    ask(&shop, &id).await;
    shop.stop();
    let old = "DELETE FROM customer; INSERT INTO customer SELECT * FROM old.customer;
        DELETE FROM sealed_record; INSERT INTO sealed_record SELECT * FROM old.sealed_record;";
    intrude(shop.data(), &before.attached(old));
    shop.start().await.unwrap();
    assert_eq!(findings(&shop).await, ["key_file_only", "recovery_missing"]);
    pass_days(&shop, 8).await;
    assert_eq!(findings(&shop).await, ["key_file_only", "recovery_missing", "tampered"]);
    let keys = keys_of(&shop);
    ask(&shop, &id).await;
    pass_days(&shop, 8).await;
    assert!(keys_of(&shop) < keys, "asked again, they are forgotten");
}

/// Between begin and done the customer of whom a part stays is shown and changed like any other.
#[tokio::test]
async fn a_value_set_anew_before_an_erasure_is_done_is_still_found_afterwards() {
    let shop = Shop::open_in_file().await;
    let id = shop.customer(1).await;
    ask(&shop, &id).await;
    let reader = rusqlite::Connection::open(shop.keys_file()).unwrap();
    reader.execute_batch("BEGIN; SELECT COUNT(*) FROM dek").unwrap();
    pass_days(&shop, 8).await;
    assert_eq!(one::<i64>(shop.data(), BEGUN), 1, "a reader keeps the keys from going");
    let touch = json!({ "name": "enquiry", "act": "touch" });
    let path = format!("/v1/customers/{id}/relations");
    assert_eq!(shop.call("shop", "POST", &path, Some(touch)).await.status, 200);
    let path = format!("/v1/customers/{id}");
    for (version, number) in [(4, 1), (5, 2)] {
        let phone = format!("+44 20 7946 {number:04}");
        let fields = json!({ "fields": { "phone": phone } });
        let matching = format!("\"{version}\"");
        let headers = [("if-match", matching.as_str())];
        let set = shop.call_with("shop", "PATCH", &path, Some(fields), &headers).await;
        assert_eq!(set.status, 200, "{:?}", set.json);
        let found = look_up(&shop, "phone", &phone).await;
        assert_eq!(found.json["customers"], json!([id]), "{:?}", found.json);
        drop(reader.execute_batch("ROLLBACK"));
        pass_days(&shop, 0).await;
        assert_eq!(one::<i64>(shop.data(), BEGUN), 0);
        let found = look_up(&shop, "phone", &phone).await;
        assert_eq!(found.json["customers"], json!([id]), "{:?}", found.json);
    }
}

/// A jump of the clock and back again: what is written in between must not carry its time, or every
/// key would be past its end for as long as the jump was.
#[tokio::test]
async fn a_clock_that_jumped_a_year_and_back_ends_no_key() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    shop.clock.step_ms(400 * DAY_MS);
    let path = format!("/v1/customers/{id}/hold");
    let placed = shop.as_operator("PUT", &path, Some(json!({ "reason": "case 7" }))).await;
    assert_eq!(placed.status, 204, "{:?}", placed.json);
    shop.clock.step_ms(-400 * DAY_MS);
    assert_eq!(read(&shop, &id).await.status, 200);
    assert_eq!(shop.as_operator("POST", "/v1/clock/confirm", None).await.status, 204);
    assert_eq!(read(&shop, &id).await.status, 200);
}

/// Rows and keys of somebody who was erased, put back under a running server: the register says that
/// they are gone, whatever else is there.
#[tokio::test]
async fn erased_stays_erased_although_rows_and_keys_are_put_back() {
    let mut shop = Shop::open().await;
    let id = enquirer(&shop, 1).await;
    shop.stop();
    let before = Kept::of(&shop);
    shop.start().await.unwrap();
    ask(&shop, &id).await;
    pass_days(&shop, 8).await;
    let rows = "INSERT INTO customer SELECT * FROM old.customer;
        INSERT INTO sealed_record SELECT * FROM old.sealed_record;
        INSERT INTO lookup_unique SELECT * FROM old.lookup_unique;
        INSERT INTO subject SELECT * FROM old.subject;";
    intrude(shop.data(), &before.attached(rows));
    let keys = "INSERT INTO dek SELECT * FROM old.dek;";
    let keys = before.keys().attached("old", keys);
    intrude(shop.keys(), &keys);
    assert_eq!(read(&shop, &id).await.status, 404);
    let found = look_up(&shop, "email", "ada.1@mail.example").await;
    assert_eq!(found.json["customers"], json!([]), "{:?}", found.json);
    assert!(findings(&shop).await.contains(&"tampered".to_owned()));
    shop.stop();
    assert_eq!(shop.start().await.unwrap_err().code, "store_rolled_back");
}

const BEGUN: &str = "SELECT COUNT(*) FROM erasure_job WHERE state = 'begun'";

const DAY_MS: i64 = 86_400_000;
