//! Merging: what stays is with the one who stays at once, the other is hidden and then erased.

use serde_json::{Value, json};
use strongroom::ctx::Outcome;
use strongroom::jobs;
use strongroom::ledger::Leaf;

use crate::attack::{Kept, assert_code, findings, look_up, one, read};
use crate::support::{Answer, Readers, Shop, intrude, together};

const DAY_MS: i64 = 86_400_000;

/// Known for an enquiry only, with a name and an e-mail of their own.
async fn asker(shop: &Shop, number: usize) -> String {
    let body = json!({ "relations": [{ "name": "enquiry", "last": "2026-05-01T10:00:00Z" }],
        "fields": { "name": format!("Ada Example{number}"), "email": format!("ada.{number}@mail.example"),
            "note": "a map, please" } });
    let path = format!("/v1/customers/ref/shop/order-{number}");
    let made = shop.call("shop", "PUT", &path, Some(body)).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.json["id"].as_str().unwrap().to_owned()
}

async fn record(shop: &Shop, customer: &str, kind: &str, field: &str) -> String {
    let body = json!({ "kind": kind, "fields": { field: format!("of {customer}") } });
    let path = format!("/v1/customers/{customer}/records");
    let made = shop.call("shop", "POST", &path, Some(body)).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.json["id"].as_str().unwrap().to_owned()
}

async fn token(shop: &Shop, customer: &str, field: &str, pinned: bool) -> String {
    let body = json!({ "customer": customer, "field": field, "pinned": pinned });
    let made = shop.call("shop", "POST", "/v1/tokens", Some(body)).await;
    assert_eq!(made.status, 200, "{made:?}");
    made.json["tokens"][0].as_str().unwrap().to_owned()
}

async fn merge(shop: &Shop, stays: (&str, u64), goes: (&str, u64), keep: Value) -> Answer {
    let body = json!({ "other": goes.0, "other_version": goes.1, "keep": keep });
    let (path, version) = (format!("/v1/customers/{}/merge", stays.0), format!("\"{}\"", stays.1));
    shop.call_with("privacy", "POST", &path, Some(body), &[("if-match", &version)]).await
}

async fn reveal(shop: &Shop, id: &str, fields: &[&str]) -> Value {
    let why = json!({ "fields": fields, "reason": "return" });
    let path = format!("/v1/customers/{id}/reveal");
    let answer = shop.call("desk", "POST", &path, Some(why)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json["fields"].clone()
}

async fn found_by(shop: &Shop, field: &str, value: &str) -> Value {
    look_up(shop, field, value).await.json["customers"].clone()
}

async fn pass_days(shop: &Shop, days: i64) {
    shop.clock.pass_ms(days * DAY_MS);
    jobs::run_once(&shop.desk()).await;
}

fn keys_of(shop: &Shop) -> i64 {
    one(shop.keys(), "SELECT COUNT(*) FROM dek")
}

#[tokio::test]
async fn two_who_are_one_become_one() {
    let shop = Shop::open().await;
    let (stays, goes) = (asker(&shop, 1).await, shop.customer(2).await);
    let merged = merge(&shop, (&stays, 1), (&goes, 1), json!({ "name": "other" })).await;
    assert_eq!((merged.status.as_u16(), &merged.json["version"]), (200, &json!(2)), "{merged:?}");
    assert_eq!(merged.json["other_erased"], "2026-11-28T10:00:00.000Z");
    assert_eq!(read(&shop, &goes).await.status, 404, "hidden at once");

    let fields = reveal(&shop, &stays, &["name", "email", "phone", "address", "note"]).await;
    assert_eq!(fields["name"], "Ada Example2", "as `keep` says");
    assert_eq!(fields["email"], "ada.1@mail.example", "by default that of who stays");
    assert_eq!(fields["phone"], "+442079460002", "where only the other has one, that");
    assert_eq!(fields["address"]["city"], "Whitby");
    assert_eq!(fields["note"], "a map, please");

    assert_eq!(found_by(&shop, "email", "ada.1@mail.example").await, json!([stays]));
    assert_eq!(found_by(&shop, "email", "ada.2@mail.example").await, json!([]));
    assert_eq!(found_by(&shop, "phone", "+44 20 7946 0002").await, json!([stays]));
    let body = json!({ "fields": { "note": "and a chart" } });
    let upserted = shop.call("shop", "PUT", "/v1/customers/ref/shop/order-1", Some(body)).await;
    assert_eq!((upserted.status.as_u16(), &upserted.json["id"]), (200, &json!(stays)));
    let body = json!({ "relations": [{ "name": "enquiry" }],
        "fields": { "email": "ada.2@mail.example" } });
    let free = shop.call("shop", "POST", "/v1/customers", Some(body)).await;
    assert_eq!(free.status, 201, "an address that did not stay is free again: {free:?}");
    let kept = shop.call("privacy", "DELETE", &format!("/v1/customers/{stays}"), None).await;
    assert!(kept.json["kept"].to_string().contains("tax law"), "the duty came over: {kept:?}");
}

#[tokio::test]
async fn references_of_both_lead_to_the_one_who_stays() {
    let shop = Shop::open().await;
    let (stays, goes) = (asker(&shop, 1).await, asker(&shop, 2).await);
    assert_eq!(merge(&shop, (&stays, 1), (&goes, 1), json!({})).await.status, 200);
    for number in [1, 2] {
        let path = format!("/v1/customers/ref/shop/order-{number}");
        let body = Some(json!({ "fields": { "note": format!("by {number}") } }));
        let upserted = shop.call("shop", "PUT", &path, body).await;
        assert_eq!((upserted.status.as_u16(), &upserted.json["id"]), (200, &json!(stays)));
    }
}

#[tokio::test]
async fn of_two_consents_the_withdrawal_wins() {
    for (mine, theirs, stands) in [
        (Some("PUT"), Some("DELETE"), false),
        (Some("DELETE"), Some("PUT"), false),
        (Some("PUT"), Some("PUT"), true),
        (None, Some("PUT"), true),
        (None, None, false),
    ] {
        let shop = Shop::open().await;
        let (stays, goes) = (asker(&shop, 1).await, asker(&shop, 2).await);
        for (id, said) in [(&stays, mine), (&goes, theirs)] {
            let Some(method) = said else { continue };
            let path = format!("/v1/customers/{id}/consents/marketing");
            let body = (method == "PUT").then(|| json!({ "how": "form" }));
            assert!(shop.call("desk", method, &path, body).await.status.is_success());
        }
        let versions = [mine, theirs].map(|said| 1 + u64::from(said.is_some()));
        let merged = merge(&shop, (&stays, versions[0]), (&goes, versions[1]), json!({})).await;
        assert_eq!(merged.status, 200, "{merged:?}");
        let client = shop.client_with(&shop.new_key("shop", &["marketing"]).await);
        let path = format!("/v1/customers/{stays}?fields=name");
        let purpose = [("strongroom-purpose", "marketing")];
        let seen = client.call_plain("GET", &path, None, &purpose).await;
        assert_eq!(seen.status, if stands { 200 } else { 403 }, "{mine:?} {theirs:?}: {seen:?}");
    }
}

#[tokio::test]
async fn records_tokens_and_who_looked_come_over() {
    let shop = Shop::open().await;
    let (stays, goes) = (asker(&shop, 1).await, shop.customer(2).await);
    let mut ids = vec![
        record(&shop, &goes, "invoice", "number").await,
        record(&shop, &stays, "message", "body").await,
        record(&shop, &goes, "message", "body").await,
    ];
    let follows = token(&shop, &goes, "email", false).await;
    let pinned = token(&shop, &goes, "phone", true).await;
    reveal(&shop, &goes, &["phone"]).await;
    let merged = merge(&shop, (&stays, 2), (&goes, 3), json!({})).await;
    assert_eq!(merged.status, 200, "{merged:?}");

    ids.push(record(&shop, &stays, "message", "body").await);
    let path = format!("/v1/customers/{stays}/records?fields=invoice.number,message.body");
    let all = shop.call("shop", "GET", &path, None).await;
    let items = all.json["items"].as_array().unwrap();
    assert!(ids.iter().all(|id| items.iter().any(|it| it["id"] == json!(id))), "{all:?}");
    assert_eq!(items.len(), 4);
    assert!(all.json.to_string().contains(&format!("of {goes}")), "{all:?}");

    let body = json!({ "tokens": [follows, pinned] });
    let shown = shop.call("desk", "POST", "/v1/tokens/detokenize", Some(body)).await;
    assert_eq!(shown.json["tokens"][0]["value"], "a•••@•••.•••", "follows who stays: {shown:?}");
    assert_eq!(shown.json["tokens"][1]["value"], "•••• ••02");

    let looks = shop.call("shop", "GET", &format!("/v1/customers/{stays}/ledger"), None).await;
    let acts = looks.json["items"].as_array().unwrap().iter();
    let acts: Vec<&str> = acts.map(|it| it["act"].as_str().unwrap()).collect();
    assert_eq!(acts.iter().filter(|act| **act == "customer.merge").count(), 1, "{acts:?}");
    assert_eq!(acts.iter().filter(|act| **act == "record.add").count(), 4, "{acts:?}");
    assert_eq!(acts.iter().filter(|act| **act == "customer.create").count(), 2, "{acts:?}");
    let keys = shop.as_operator("GET", "/v1/keys", None).await;
    let desk =
        keys.json["keys"].as_array().unwrap().iter().find(|it| it["role"] == "desk").unwrap();
    let span = json!({ "actor": desk["id"], "from": "2026-01-01T00:00:00Z",
        "to": "2027-01-01T00:00:00Z" });
    let scope = shop.as_operator("POST", "/v1/ledger/scope", Some(span)).await;
    assert!(scope.json.to_string().contains(&stays), "{scope:?}");
    assert_eq!(scope.json["erased_since"], 0, "{scope:?}");

    let keys = keys_of(&shop);
    pass_days(&shop, 8).await;
    // Three of fields, two of shelves and the core: the purchase of the other keeps nothing of them.
    assert_eq!(keys_of(&shop), keys - 6);
    assert_eq!(reveal(&shop, &stays, &["phone"]).await["phone"], "+442079460002");
    let again = shop.call("shop", "GET", &path, None).await;
    assert_eq!(again.json["items"].as_array().unwrap().len(), 4);
    let verified = shop.verify().await;
    assert_eq!(verified["intact"], true, "{verified}");
}

#[tokio::test]
async fn nothing_is_left_of_either_once_the_one_who_stayed_is_erased() {
    let mut shop = Shop::open().await;
    let (stays, goes) = (asker(&shop, 1).await, asker(&shop, 2).await);
    record(&shop, &goes, "message", "body").await;
    token(&shop, &goes, "name", true).await;
    let merged = merge(&shop, (&stays, 1), (&goes, 2), json!({})).await;
    assert_eq!(merged.status, 200, "{merged:?}");
    // Both at once: who stays is asked for while the keys of the other still live.
    let asked = shop.call("privacy", "DELETE", &format!("/v1/customers/{stays}"), None).await;
    assert_eq!((asked.status.as_u16(), &asked.json["kept"]), (202, &json!([])), "{asked:?}");
    shop.stop();
    shop.start().await.unwrap();
    pass_days(&shop, 8).await;
    assert_eq!(keys_of(&shop), 0);
    for table in [
        "customer",
        "sealed_record",
        "shelf_record",
        "token",
        "subject",
        "lookup_unique",
        "lookup_exact",
    ] {
        let count = format!("SELECT COUNT(*) FROM {table}");
        assert_eq!(one::<i64>(shop.data(), &count), 0, "{table}");
    }
}

#[tokio::test]
async fn a_merge_that_may_not_be_is_refused_and_changes_nothing() {
    let shop = Shop::open().await;
    let (stays, goes) = (asker(&shop, 1).await, asker(&shop, 2).await);
    let nobody = "cus_00000000000000000000000000";
    let none = json!({});
    assert_code(&merge(&shop, (&stays, 1), (&stays, 1), none.clone()).await, 422, "merge_same");
    assert_code(&merge(&shop, (&stays, 2), (&goes, 1), none.clone()).await, 412, "version_changed");
    assert_code(&merge(&shop, (&stays, 1), (&goes, 2), none.clone()).await, 412, "version_changed");
    assert_code(&merge(&shop, (&stays, 1), (nobody, 1), none.clone()).await, 404, "not_found");
    let keep = json!({ "shoe_size": "this" });
    assert_code(&merge(&shop, (&stays, 1), (&goes, 1), keep).await, 422, "field_unknown");
    for held in [&stays, &goes] {
        let path = format!("/v1/customers/{held}/hold");
        shop.as_operator("PUT", &path, Some(json!({ "reason": "case 7" }))).await;
        assert_code(&merge(&shop, (&stays, 1), (&goes, 1), none.clone()).await, 423, "legal_hold");
        assert_eq!(shop.as_operator("DELETE", &path, None).await.status, 204);
    }
    assert_eq!(found_by(&shop, "email", "ada.2@mail.example").await, json!([goes]));
    let merged = merge(&shop, (&stays, 1), (&goes, 1), none.clone()).await;
    assert_eq!(merged.status, 200, "{merged:?}");
    let back = shop.call("privacy", "DELETE", &format!("/v1/customers/{goes}/erasure"), None).await;
    assert_code(&back, 409, "merged");
    assert_code(&merge(&shop, (&stays, 2), (&goes, 2), none).await, 404, "not_found");
}

/// It destroys what does not stay, so it draws on the same limit as asking for erasures.
#[tokio::test]
async fn no_cheap_destruction_by_merging() {
    let shop = Shop::open().await;
    let stays = asker(&shop, 100).await;
    for number in 0..11 {
        let goes = asker(&shop, number).await;
        let merged = merge(&shop, (&stays, 1 + number as u64), (&goes, 1), json!({})).await;
        match number {
            10 => assert_code(&merged, 403, "second_person_needed"),
            _ => assert_eq!(merged.status, 200, "{merged:?}"),
        }
    }
    let keys = keys_of(&shop);
    pass_days(&shop, 6).await;
    assert_eq!(keys_of(&shop), keys, "not before the grace is over");
}

#[tokio::test]
async fn a_hold_placed_in_the_grace_stops_the_end_of_who_goes() {
    let shop = Shop::open().await;
    let (stays, goes) = (asker(&shop, 1).await, asker(&shop, 2).await);
    assert_eq!(merge(&shop, (&stays, 1), (&goes, 1), json!({})).await.status, 200);
    let keys = keys_of(&shop);
    let path = format!("/v1/customers/{goes}/hold");
    shop.as_operator("PUT", &path, Some(json!({ "reason": "case 7" }))).await;
    pass_days(&shop, 8).await;
    assert_eq!(keys_of(&shop), keys);
    shop.as_operator("DELETE", &path, None).await;
    pass_days(&shop, 0).await;
    assert!(keys_of(&shop) < keys);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_who_race_a_merge_see_one_state_or_the_other() {
    let shop = Shop::open().await;
    for round in 0..5 {
        let (stays, goes) = (asker(&shop, 2 * round).await, asker(&shop, 2 * round + 1).await);
        let readers = Readers::start(16, |number| {
            let client = shop.client("desk");
            let path = format!("/v1/customers/{goes}?fields=name,email");
            let email = json!({ "email": format!("ada.{}@mail.example", 2 * round + 1) });
            let known = [json!([stays.clone()]), json!([goes.clone()])];
            move || {
                let (client, path, email) = (client.clone(), path.clone(), email.clone());
                let known = known.clone();
                async move {
                    if number % 2 == 0 {
                        let read = client.call("GET", &path, None).await;
                        let status = read.status.as_u16();
                        assert!([200, 404, 429, 503].contains(&status), "{read:?}");
                        return read;
                    }
                    let found = client.call("POST", "/v1/customers/lookup", Some(email)).await;
                    let busy = found.status == 503 || found.status == 429;
                    assert!(
                        busy || known.contains(&found.json["customers"]),
                        "never none: {found:?}"
                    );
                    found
                }
            }
        });
        readers.answered(32).await;
        let merged = merge(&shop, (&stays, 1), (&goes, 1), json!({ "email": "other" })).await;
        assert_eq!(merged.status, 200, "{merged:?}");
        readers.refused(16).await;
        readers.stop().await;
        // The readers may have spent the budget of the day.
        shop.clock.pass_ms(DAY_MS);
        let email = format!("ada.{}@mail.example", 2 * round + 1);
        assert_eq!(found_by(&shop, "email", &email).await, json!([stays]));
    }
    let entries = shop.entries().await;
    let merges: Vec<usize> =
        (0..entries.len()).filter(|it| entries[*it].verb == "customer.merge").collect();
    assert_eq!(merges.len(), 5);
    // Who stays is made first, and then who goes.
    let made = entries.iter().filter(|it| it.verb == "customer.upsert");
    let gone: Vec<_> = made.skip(1).step_by(2).map(|it| it.subjects).collect();
    for (at, gone) in merges.into_iter().zip(gone) {
        let shown = |it: &&Leaf| {
            it.verb == "customer.read" && it.subjects == gone && it.outcome == Outcome::Ok
        };
        assert!(entries[..at].iter().any(|it| shown(&it)), "the race was one");
        assert_eq!(entries[at..].iter().filter(shown).count(), 0, "shown above the merge");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_merges_into_each_other_one_is_done() {
    let shop = Shop::open().await;
    let (one, other) = (asker(&shop, 1).await, asker(&shop, 2).await);
    let calls = [(one.clone(), other.clone()), (other, one)].map(|(stays, goes)| {
        let client = shop.client("privacy");
        async move {
            let body = Some(json!({ "other": goes, "other_version": 1 }));
            let path = format!("/v1/customers/{stays}/merge");
            client.call_with("POST", &path, body, &[("if-match", "\"1\"")]).await
        }
    });
    let answers = together(calls).await;
    let done = answers.iter().filter(|it| it.status == 200).count();
    assert_eq!(done, 1, "{answers:?}");
    let active = "SELECT COUNT(*) FROM customer WHERE state = 'active'";
    assert_eq!(self::one::<i64>(shop.data(), active), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tokens_made_while_two_are_merged_come_over_or_are_refused() {
    let shop = Shop::open().await;
    let (mut done, mut stood_for) = (0, 0);
    for round in 0..5 {
        let (stays, goes) = (asker(&shop, 2 * round).await, asker(&shop, 2 * round + 1).await);
        let merging = {
            let (client, path) = (shop.client("privacy"), format!("/v1/customers/{stays}/merge"));
            let body = json!({ "other": goes, "other_version": 1, "keep": { "name": "other" } });
            let headers = [("if-match", "\"1\"")];
            tokio::spawn(async move { client.call_with("POST", &path, Some(body), &headers).await })
        };
        let makers = (0..8).map(|number| {
            let client = shop.client("shop");
            let customer = if number % 2 == 0 { stays.clone() } else { goes.clone() };
            let consumer = format!("of-{}", number / 2);
            let body = json!({ "customer": customer, "field": "name", "consumer": consumer });
            async move { client.call("POST", "/v1/tokens", Some(body)).await }
        });
        let made = together(makers).await;
        let merged = merging.await.unwrap();
        assert!([200, 503].contains(&merged.status.as_u16()), "{merged:?}");
        let good = made.iter().filter(|it| it.status == 200);
        let tokens: Vec<&Value> = good.map(|it| &it.json["tokens"][0]).collect();
        let refused = made.iter().filter(|it| it.status != 200);
        assert!(
            refused.map(|it| it.status.as_u16()).all(|it| [404, 503].contains(&it)),
            "{made:?}"
        );
        done += usize::from(merged.status == 200);
        if tokens.is_empty() {
            continue;
        }
        let body = json!({ "tokens": tokens });
        let shown = shop.call("desk", "POST", "/v1/tokens/detokenize", Some(body)).await;
        let values = shown.json["tokens"].as_array().unwrap_or_else(|| panic!("{shown:?}"));
        assert_eq!(values.len(), tokens.len(), "{shown:?}");
        for token in values {
            assert_eq!(token["value"], "A••••", "made, so it stands for something: {shown:?}");
        }
        stood_for += values.len();
    }
    assert!(done > 0 && stood_for > 0, "{done} merges, {stood_for} tokens");
}

/// The power fails after the merge and before the keys of the other are gone, and again after it.
#[tokio::test]
async fn a_merge_survives_a_power_cut_between_its_steps() {
    let mut shop = Shop::open().await;
    let (stays, goes) = (asker(&shop, 1).await, shop.customer(2).await);
    let invoice = record(&shop, &goes, "invoice", "number").await;
    assert_eq!(merge(&shop, (&stays, 1), (&goes, 2), json!({})).await.status, 200);
    let cut = Kept::of_running(&shop);
    shop.stop();
    cut.put_back(&shop);
    shop.start().await.unwrap();
    let path = format!("/v1/customers/{stays}/records/{invoice}?fields=invoice.number");
    assert_eq!(shop.call("shop", "GET", &path, None).await.status, 200);
    assert_eq!(read(&shop, &goes).await.status, 404);
    let keys = keys_of(&shop);
    pass_days(&shop, 8).await;
    let cut = Kept::of_running(&shop);
    shop.stop();
    cut.put_back(&shop);
    shop.start().await.unwrap();
    jobs::run_once(&shop.desk()).await;
    assert!(keys_of(&shop) < keys);
    assert_eq!(shop.call("shop", "GET", &path, None).await.status, 200);
    assert_eq!(findings(&shop).await, ["key_file_only", "recovery_missing"]);
}

/// Rows and keys of who went, put back under the running server.
#[tokio::test]
async fn erased_stays_erased_after_a_merge() {
    let mut shop = Shop::open().await;
    let (stays, goes) = (asker(&shop, 1).await, asker(&shop, 2).await);
    shop.stop();
    let before = Kept::of(&shop);
    shop.start().await.unwrap();
    let merged = merge(&shop, (&stays, 1), (&goes, 1), json!({})).await;
    assert_eq!(merged.status, 200, "{merged:?}");
    pass_days(&shop, 8).await;
    let rows = "INSERT OR IGNORE INTO customer SELECT * FROM old.customer;
        INSERT OR IGNORE INTO sealed_record SELECT * FROM old.sealed_record;";
    intrude(shop.data(), &before.attached(rows));
    let keys = "INSERT OR IGNORE INTO dek SELECT * FROM old.dek;";
    let keys = before.keys().attached("old", keys);
    intrude(shop.keys(), &keys);
    assert_code(&read(&shop, &goes).await, 404, "not_found");
    assert_eq!(read(&shop, &stays).await.status, 200);
}
