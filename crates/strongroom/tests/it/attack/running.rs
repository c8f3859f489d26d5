//! Rights changed through a second connection while the server runs: it works from memory, so the
//! intruder gets nothing, and the next change of rights or the next start notices.

use serde_json::json;
use strongroom::jobs;

use super::{POLICY, assert_code, enquirer, findings, one, read, reveal};
use crate::support::{Shop, intrude};

/// Runs an intruder's SQL under a running shop, and says what must not have happened; the next
/// change of rights then finds that the rows are not the ones it knows.
async fn check_noticed_at_the_next_change(shop: &mut Shop, sql: &str) {
    intrude(shop.data(), sql);
    let body = json!({ "name": "next", "role": "shop", "purposes": ["support"] });
    let made = shop.as_operator("POST", "/v1/keys", Some(body)).await;
    assert_eq!(made.status, 201, "{:?}", made.json);
    assert_code(&shop.call("desk", "GET", "/v1/policy", None).await, 503, "rights_altered");
    shop.stop();
    shop.start().await.unwrap();
    assert_code(&shop.call("desk", "GET", "/v1/policy", None).await, 503, "rights_altered");
}

#[tokio::test]
async fn a_role_raised_by_sql_gives_nothing_while_the_server_runs() {
    let mut shop = Shop::open().await;
    let id = shop.customer(1).await;
    let raised = "UPDATE api_key SET role = 'admin', purposes = 'support,delivery'";
    intrude(shop.data(), raised);
    let body = json!({ "name": "mine", "role": "admin" });
    let answer = shop.call("desk", "POST", "/v1/keys", Some(body)).await;
    assert_code(&answer, 403, "right_missing");
    assert_eq!(read(&shop, &id).await.status, 200, "rights are those in memory");
    check_noticed_at_the_next_change(&mut shop, raised).await;
}

#[tokio::test]
async fn a_key_un_revoked_by_sql_stays_revoked_while_the_server_runs() {
    let mut shop = Shop::open().await;
    let id = shop.customer(1).await;
    let restore = "CREATE TABLE kept AS SELECT * FROM api_key";
    intrude(shop.data(), restore);
    assert_eq!(shop.call("desk", "DELETE", "/v1/keys/own", None).await.status, 204);
    assert_code(&read(&shop, &id).await, 401, "key_ended");
    let old_rows = "DELETE FROM api_key; INSERT INTO api_key SELECT * FROM kept";
    intrude(shop.data(), old_rows);
    assert_code(&read(&shop, &id).await, 401, "key_ended");
    check_noticed_at_the_next_change(&mut shop, "DROP TABLE kept").await;
    assert_code(&read(&shop, &id).await, 503, "rights_altered");
}

#[tokio::test]
async fn a_policy_waiting_for_its_day_is_not_hurried_by_sql() {
    let mut shop = Shop::open().await;
    let id = shop.customer(1).await;
    let wider = POLICY.replace("\"customer called\", ", "\"customer called\", \"curious\", ");
    let wider = wider.replace("budget = { per_day = 50 }", "budget = { per_day = 900 }");
    let asked = shop.as_operator("POST", "/v1/policy", Some(json!({ "policy": wider }))).await;
    assert!(asked.json["due"].is_string(), "{:?}", asked.json);
    intrude(shop.data(), "UPDATE policy_pending SET due_ms = 0");
    shop.clock.pass_ms(3_600_000);
    jobs::run_once(&shop.desk()).await;
    let shown = shop.call("desk", "GET", "/v1/policy", None).await;
    assert_eq!(shown.json["version"], 1, "{:?}", shown.json);
    let why = json!({ "fields": ["email"], "reason": "curious" });
    let path = format!("/v1/customers/{id}/reveal");
    let answer = shop.call("desk", "POST", &path, Some(why)).await;
    assert_code(&answer, 422, "reason_unknown");
    check_noticed_at_the_next_change(&mut shop, "SELECT 1").await;
}

#[tokio::test]
async fn a_policy_edited_by_sql_gives_nothing_while_the_server_runs() {
    let mut shop = Shop::open().await;
    shop.customer(1).await;
    let wider = "UPDATE policy_version SET policy = replace(policy, '\"relate\"]', '\"relate\", \"keys\"]')";
    intrude(shop.data(), wider);
    let body = json!({ "name": "mine", "role": "admin" });
    let answer = shop.call("desk", "POST", "/v1/keys", Some(body)).await;
    assert_code(&answer, 403, "right_missing");
    check_noticed_at_the_next_change(&mut shop, wider).await;
}

#[tokio::test]
async fn a_legal_hold_deleted_by_sql_still_stands_against_an_erasure() {
    let mut shop = Shop::open().await;
    let (asked, held) = (enquirer(&shop, 1).await, enquirer(&shop, 2).await);
    let path = format!("/v1/customers/{asked}");
    assert_eq!(shop.call("privacy", "DELETE", &path, None).await.status, 202);
    for id in [&asked, &held] {
        let hold = Some(json!({ "reason": "case 7" }));
        let placed = shop.as_operator("PUT", &format!("/v1/customers/{id}/hold"), hold).await;
        assert_eq!(placed.status, 204);
    }
    let keys: i64 = one(shop.keys(), "SELECT COUNT(*) FROM dek");
    intrude(shop.data(), "DELETE FROM legal_hold");
    let refused = shop.call("privacy", "DELETE", &format!("/v1/customers/{held}"), None).await;
    assert_code(&refused, 423, "legal_hold");
    shop.clock.pass_ms(8 * 86_400_000);
    jobs::run_once(&shop.desk()).await;
    assert_eq!(one::<i64>(shop.keys(), "SELECT COUNT(*) FROM dek"), keys, "nothing died");
    assert_eq!(shop.call("privacy", "DELETE", &format!("{path}/erasure"), None).await.status, 204);
    check_noticed_at_the_next_change(&mut shop, "SELECT 1").await;
}

#[tokio::test]
async fn a_hold_placed_by_sql_limits_although_it_was_placed_by_nobody() {
    let shop = Shop::open().await;
    let id = enquirer(&shop, 1).await;
    let hold = "INSERT INTO legal_hold
        SELECT x'00000000000000000000000000000000', id, 'x', 0, x'00' FROM customer";
    intrude(shop.data(), hold);
    let refused = shop.call("privacy", "DELETE", &format!("/v1/customers/{id}"), None).await;
    assert_code(&refused, 423, "legal_hold");
    // In the grace too.
    intrude(shop.data(), "DELETE FROM legal_hold");
    let asked = shop.call("privacy", "DELETE", &format!("/v1/customers/{id}"), None).await;
    assert_eq!(asked.status, 202, "{:?}", asked.json);
    let keys: i64 = one(shop.keys(), "SELECT COUNT(*) FROM dek");
    intrude(shop.data(), hold);
    shop.clock.pass_ms(8 * 86_400_000);
    jobs::run_once(&shop.desk()).await;
    assert_eq!(one::<i64>(shop.keys(), "SELECT COUNT(*) FROM dek"), keys);
}

#[tokio::test]
async fn an_entry_put_at_the_end_by_sql_stops_the_server_until_it_is_gone() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    let forged = "INSERT INTO ledger_entry
        SELECT idx + 1, leaf, leaf_check FROM ledger_entry ORDER BY idx DESC LIMIT 1";
    intrude(shop.data(), forged);
    for _ in 0..2 {
        assert_code(&read(&shop, &id).await, 503, "ledger_stalled");
        assert_code(&reveal(&shop, &id).await, 503, "ledger_stalled");
    }
    intrude(
        shop.data(),
        "DELETE FROM ledger_entry WHERE idx = (SELECT MAX(idx) FROM ledger_entry)",
    );
    assert_eq!(read(&shop, &id).await.status, 200);
    assert_eq!(super::flaws(&shop).await, []);
    assert_eq!(findings(&shop).await, ["key_file_only", "recovery_missing"]);
}

/// What leaves the state hash with a released hold is the MAC in its row: with the MAC of another row
/// there, that one would vanish for good and the sum still hold.
#[tokio::test]
async fn a_legal_hold_put_there_with_the_mac_of_another_is_not_released_in_its_stead() {
    let mut shop = Shop::open().await;
    let (kept, other) = (enquirer(&shop, 1).await, enquirer(&shop, 2).await);
    for (id, case) in [(&kept, "case 7"), (&other, "case 8")] {
        let path = format!("/v1/customers/{id}/hold");
        let placed = shop.as_operator("PUT", &path, Some(json!({ "reason": case }))).await;
        assert_eq!(placed.status, 204, "{:?}", placed.json);
    }
    intrude(
        shop.data(),
        "INSERT INTO legal_hold SELECT randomblob(16), other.customer, 'case 9', 0, kept.mac
           FROM legal_hold kept, legal_hold other
           WHERE kept.reason = 'case 7' AND other.reason = 'case 8';
         DELETE FROM legal_hold WHERE reason = 'case 7'",
    );
    let path = format!("/v1/customers/{other}/hold");
    assert_code(&shop.as_operator("DELETE", &path, None).await, 503, "rights_altered");
    let asked = shop.call("privacy", "DELETE", &format!("/v1/customers/{kept}"), None).await;
    assert_code(&asked, 423, "legal_hold");
    shop.stop();
    shop.start().await.unwrap();
    assert_code(&read(&shop, &kept).await, 503, "rights_altered");
}

/// All holds are read whole: one more than that would leave a state hash that never holds again.
#[tokio::test]
async fn more_legal_holds_than_are_ever_read_are_refused_at_a_hundred_thousand() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    intrude(
        shop.data(),
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
         INSERT INTO legal_hold SELECT randomblob(16), randomblob(16), 'case', 0, zeroblob(32) FROM n",
    );
    let path = format!("/v1/customers/{id}/hold");
    let refused = shop.as_operator("PUT", &path, Some(json!({ "reason": "case 7" }))).await;
    assert_code(&refused, 422, "holds_used_up");
}
