//! Rows that confer or limit rights, changed while nothing runs: all noticed at the next start, and
//! at every later one; nobody has any right until the rows are back.

use serde_json::json;
use strongroom::jobs;

use super::{Kept, POLICY, assert_code, assert_no_value, enquirer, read};
use crate::support::{Shop, intrude};

/// A shop with every kind of row of authority.
struct House {
    shop: Shop,
    customer: String,
    /// Before the newest policy and the revocation.
    before: Kept,
    now: Kept,
}

impl House {
    async fn open() -> Self {
        let mut shop = Shop::open().await;
        let customer = shop.customer(1).await;
        let leaked = shop.new_key("privacy", &["support"]).await;
        shop.keys.insert("leaked", leaked);
        let gone = enquirer(&shop, 2).await;
        shop.call("privacy", "DELETE", &format!("/v1/customers/{gone}"), None).await;
        shop.clock.pass_ms(8 * 86_400_000);
        jobs::run_once(&shop.desk()).await;
        let asked = enquirer(&shop, 3).await;
        shop.call("privacy", "DELETE", &format!("/v1/customers/{asked}"), None).await;
        let hold = Some(json!({ "reason": "case 7" }));
        let path = format!("/v1/customers/{customer}/hold");
        assert_eq!(shop.as_operator("PUT", &path, hold).await.status, 204);
        shop.stop();
        let before = Kept::of(&shop);
        shop.start().await.unwrap();
        let revoked = shop.call("leaked", "DELETE", "/v1/keys/own", None).await;
        assert_eq!(revoked.status, 204, "{:?}", revoked.json);
        let narrower = POLICY.replace("per_day = 30 }", "per_day = 20 }");
        for text in [narrower.as_str(), POLICY] {
            let body = Some(json!({ "policy": text }));
            let applied = shop.as_operator("POST", "/v1/policy", body).await;
            assert_eq!(applied.status, 200, "{:?}", applied.json);
        }
        shop.stop();
        let now = Kept::of(&shop);
        Self { shop, customer, before, now }
    }

    /// The intruder runs `sql`; `old.` names the state before. Nobody has a right afterwards, at
    /// this start and the next one; with the rows back everyone has.
    async fn check_refused(&mut self, attack: &str, sql: &str) {
        self.now.put_back(&self.shop);
        intrude(self.shop.data(), &self.before.attached(sql));
        for start in 1..=3 {
            self.shop.start().await.unwrap_or_else(|error| panic!("{attack}, {start}: {error:?}"));
            self.assert_nobody_may(attack, start).await;
            self.shop.stop();
        }
        let rights = rows_of_rights();
        intrude(self.shop.data(), &self.now.attached(&rights));
        self.shop.start().await.unwrap();
        assert_eq!(read(&self.shop, &self.customer).await.status, 200, "{attack}, mended");
        self.shop.stop();
    }

    async fn assert_nobody_may(&self, attack: &str, start: u32) {
        let mut answers = vec![
            read(&self.shop, &self.customer).await,
            self.shop.as_operator("GET", "/v1/keys", None).await,
        ];
        let paths = ["/v1/policy", "/v1/findings", "/v1/ledger/checkpoint"];
        for role in ["shop", "desk", "privacy", "admin", "leaked"] {
            for path in paths {
                answers.push(self.shop.call(role, "GET", path, None).await);
            }
        }
        for answer in answers {
            let got = (answer.status.as_u16(), answer.json["code"].as_str());
            assert_eq!(got, (503, Some("rights_altered")), "{attack}, start {start}");
            assert_no_value(&answer);
        }
        jobs::run_once(&self.shop.desk()).await;
        let jobs: i64 = super::one(
            self.shop.data(),
            "SELECT COUNT(*) FROM finding WHERE kind = 'rights_altered' AND state = 'open'",
        );
        assert_eq!(jobs, 1, "{attack}");
    }
}

fn rows_of_rights() -> String {
    let mut sql = String::new();
    for table in TABLES {
        sql.push_str(&format!(
            "DELETE FROM {table}; INSERT INTO {table} SELECT * FROM old.{table};"
        ));
    }
    sql
}

#[tokio::test]
async fn rows_of_authority_changed_by_sql_give_nobody_any_right() {
    let mut house = House::open().await;
    for (attack, sql) in ATTACKS {
        house.check_refused(attack, sql).await;
    }
}

#[tokio::test]
async fn an_api_key_inserted_by_sql_opens_nothing_and_is_noticed_at_the_next_start() {
    let mut house = House::open().await;
    let forged = forged_key(&house.shop.keys["privacy"]);
    house.shop.keys.insert("forged", forged);
    house.check_refused("key inserted", INSERT_KEY).await;
    // While it runs the rights are those in memory: the forged key is nobody's.
    house.shop.start().await.unwrap();
    intrude(house.shop.data(), INSERT_KEY);
    let path = format!("/v1/customers/{}?fields=name", house.customer);
    let answer = house.shop.call("forged", "GET", &path, None).await;
    assert_code(&answer, 401, "unauthenticated");
    assert_eq!(house.shop.call("privacy", "GET", &path, None).await.status, 200);
}

#[tokio::test]
async fn an_older_ledger_head_beside_older_rights_is_refused_at_the_next_start() {
    let mut house = House::open().await;
    let head = "DELETE FROM ledger_head; INSERT INTO ledger_head SELECT * FROM old.ledger_head;";
    let rights = rows_of_rights();
    for sql in [head.to_owned(), format!("{head} {rights}")] {
        house.now.put_back(&house.shop);
        intrude(house.shop.data(), &house.before.attached(&sql));
        assert_eq!(house.shop.start().await.unwrap_err().code, "ledger_altered");
    }
    // Only the state of rights in the head, so that it fits the older rows: the newest entry differs.
    house.now.put_back(&house.shop);
    let state = "UPDATE ledger_head SET (epoch, state_changes, state_tag) =
        (SELECT epoch, state_changes, state_tag FROM old.ledger_head);";
    intrude(house.shop.data(), &house.before.attached(&format!("{state} {rights}")));
    assert_eq!(house.shop.start().await.unwrap_err().code, "ledger_altered");
    // Only the keyed hash: it is not the one of this number of changes.
    house.now.put_back(&house.shop);
    let tag = "UPDATE ledger_head SET state_tag = (SELECT state_tag FROM old.ledger_head);";
    intrude(house.shop.data(), &house.before.attached(&format!("{tag} {rights}")));
    house.shop.start().await.unwrap();
    house.assert_nobody_may("older tag and rows", 1).await;
}

/// The secret of a key one has under the id of a key one puts there.
fn forged_key(own: &str) -> String {
    let hex = own.strip_prefix("sr_live_").unwrap();
    let mut body = vec![0xee; 16];
    body.extend(data_encoding::HEXLOWER.decode(&hex.as_bytes()[32..96]).unwrap());
    let check = strongroom_crypto::sha256(&[b"strongroom/api key/checksum", &body]);
    let (body, check) = (data_encoding::HEXLOWER.encode(&body), &check[..4]);
    format!("sr_live_{body}{}", data_encoding::HEXLOWER.encode(check))
}

const INSERT_KEY: &str = "INSERT INTO api_key
  SELECT x'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee', name, role, purposes, created_ms, expires_ms, NULL,
    verifier, version, mac, NULL, people
  FROM api_key WHERE role = 'privacy' AND revoked_ms IS NULL;";

const TABLES: [&str; 6] = [
    "api_key",
    "policy_version",
    "policy_pending",
    "legal_hold",
    "erasure_register",
    "erasure_job",
];

const ATTACKS: [(&str, &str); 27] = [
    ("role raised", "UPDATE api_key SET role = 'admin' WHERE role = 'desk'"),
    (
        "purposes widened",
        "UPDATE api_key SET purposes = 'support,delivery,all' WHERE role = 'desk'",
    ),
    ("end moved", "UPDATE api_key SET expires_ms = expires_ms + 86400000 WHERE role = 'desk'"),
    ("key un-revoked", "UPDATE api_key SET revoked_ms = NULL"),
    (
        "key un-revoked with its old row",
        "DELETE FROM api_key WHERE revoked_ms IS NOT NULL;
         INSERT OR IGNORE INTO api_key SELECT * FROM old.api_key;",
    ),
    ("key deleted", "DELETE FROM api_key WHERE role = 'desk'"),
    ("revoked key deleted", "DELETE FROM api_key WHERE revoked_ms IS NOT NULL"),
    ("key renamed", "UPDATE api_key SET name = 'other' WHERE role = 'desk'"),
    (
        "verifiers exchanged",
        "UPDATE api_key SET verifier = (SELECT verifier FROM api_key WHERE role = 'desk')
         WHERE role = 'admin'",
    ),
    (
        "policy edited",
        "UPDATE policy_version SET policy = replace(policy, 'per_day = 20', 'per_day = 99')",
    ),
    ("registry edited", "UPDATE policy_version SET registry = replace(registry, 'name', 'nom')"),
    (
        "older policy over the newest",
        "UPDATE policy_version SET (policy, registry, applied_ms, mac) =
           (SELECT policy, registry, applied_ms, mac FROM policy_version WHERE version = 1)
         WHERE version = 2",
    ),
    ("newest policy deleted", "DELETE FROM policy_version WHERE version = 2"),
    (
        "older policy inserted as a newer one",
        "INSERT INTO policy_version SELECT 3, policy, registry, applied_ms, mac
         FROM policy_version WHERE version = 1",
    ),
    ("waiting policy moved", "UPDATE policy_pending SET due_ms = 0"),
    ("waiting policy edited", "UPDATE policy_pending SET policy = replace(policy, '200', '900')"),
    ("waiting policy deleted", "DELETE FROM policy_pending"),
    (
        "waiting policy inserted",
        "DELETE FROM policy_pending;
         INSERT INTO policy_pending SELECT 1, policy, 0, mac FROM policy_version WHERE version = 1",
    ),
    ("hold deleted", "DELETE FROM legal_hold"),
    ("hold moved", "UPDATE legal_hold SET customer = x'00112233445566778899aabbccddeeff'"),
    (
        "hold inserted",
        "INSERT INTO legal_hold SELECT x'00000000000000000000000000000000', customer, reason, placed_ms, mac FROM legal_hold",
    ),
    (
        "register line deleted",
        "DELETE FROM erasure_register WHERE dek = (SELECT MIN(dek) FROM erasure_register)",
    ),
    ("erasure moved earlier", "UPDATE erasure_job SET due_ms = 0 WHERE state = 'asked'"),
    (
        "erasure moved to another customer",
        "UPDATE erasure_job SET customer = (SELECT MIN(key) FROM customer
           WHERE state = 'active') WHERE state = 'asked'",
    ),
    (
        "erasure begun with a plan of another customer",
        "UPDATE erasure_job SET state = 'begun', plan = x'00' WHERE state = 'asked'",
    ),
    (
        "erasure inserted",
        "INSERT INTO erasure_job SELECT x'00000000000000000000000000000000', 'begun', customer,
           asked_ms, due_ms, plan, version, mac FROM erasure_job WHERE state = 'asked'",
    ),
    ("erasure taken out", "DELETE FROM erasure_job WHERE state = 'asked'"),
];
