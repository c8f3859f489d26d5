//! Finding by the beginnings of words: whatever is durable is found at once, nobody who should not be, and
//! no answer has gaps that it does not tell.

use serde_json::{Value, json};
use strongroom::jobs;

use crate::attack::findings;
use crate::support::{Answer, POLICY, Shop, person, refusals, send};

/// The shop's policy with words in the name and the address, for who delivers.
pub(crate) fn policy() -> String {
    let name = "title = \"Name\"\ntype = \"name\"\n";
    let address = "title = \"Postal address\"\ntype = \"postal_address\"\n";
    let grant = "purpose = \"delivery\"\nfields = [\"name\", \"address\"]\n";
    let mut policy = POLICY.to_owned();
    for (part, more) in [
        (name, "find = \"words\"\n"),
        (address, "find = \"words\"\n"),
        (grant, "find = [\"name\", \"address\"]\n"),
    ] {
        assert!(policy.contains(part), "{part}");
        policy = policy.replacen(part, &format!("{part}{more}"), 1);
    }
    policy
}

async fn search_as(shop: &Shop, role: &str, field: &str, typed: &str) -> Answer {
    let (body, purpose) = (json!({ field: typed }), [("strongroom-purpose", "delivery")]);
    shop.call_with(role, "POST", "/v1/customers/lookup", Some(body), &purpose).await
}

async fn search(shop: &Shop, typed: &str) -> Answer {
    search_as(shop, "shop", "name", typed).await
}

/// Who is found by a name, sorted.
async fn found(shop: &Shop, typed: &str) -> Vec<String> {
    found_by(shop, "name", typed).await
}

async fn found_by(shop: &Shop, field: &str, typed: &str) -> Vec<String> {
    let answer = search_as(shop, "shop", field, typed).await;
    assert_eq!(answer.status, 200, "{typed}: {answer:?}");
    let customers = answer.json["customers"].as_array().unwrap();
    let mut ids: Vec<String> = customers.iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

fn named(name: &str) -> Value {
    json!({ "relations": [{ "name": "enquiry" }], "fields": { "name": name } })
}

async fn customer(shop: &Shop, name: &str) -> String {
    let made = shop.call("shop", "POST", "/v1/customers", Some(named(name))).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.json["id"].as_str().unwrap().to_owned()
}

async fn patch(shop: &Shop, id: &str, version: u64, fields: Value) {
    let (path, version) = (format!("/v1/customers/{id}"), format!("\"{version}\""));
    let body = json!({ "fields": fields });
    let done = shop.call_with("shop", "PATCH", &path, Some(body), &[("if-match", &version)]).await;
    assert_eq!(done.status, 200, "{done:?}");
}

#[tokio::test]
async fn customers_are_found_by_the_beginnings_of_words_however_they_are_typed() {
    let shop = Shop::with_policy(&policy()).await;
    let jorg = customer(&shop, "Jörg Müller-Whitfield").await;
    let nora = customer(&shop, "Nora O’Brien").await;
    let none: [&str; 0] = [];
    for typed in ["jör", "JORG", "joerg", "mull", "Mueller", "whit jo", "j whitfield"] {
        assert_eq!(found(&shop, typed).await, [jorg.as_str()], "{typed}");
    }
    for typed in ["o'brien", "NORA", "nor bri"] {
        assert_eq!(found(&shop, typed).await, [nora.as_str()], "{typed}");
    }
    for typed in ["orien", "jorg nora", "nora whit", "whitfieldian", "müllerin"] {
        assert_eq!(found(&shop, typed).await, none, "{typed}");
    }
    for typed in ["no", "n o r", "", "'"] {
        let refused = search(&shop, typed).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (422, "fields_refused"), "{typed}");
        assert_eq!(refused.json["errors"][0]["code"], "not_words");
    }

    let whitby = shop.customer(12).await;
    assert_eq!(found_by(&shop, "address", "harbour 12").await, [whitby.as_str()]);
    assert_eq!(found_by(&shop, "address", "whit yo21").await, [whitby.as_str()]);
    assert_eq!(found_by(&shop, "address", "jorg").await, none, "a field finds by its own words");
}

#[tokio::test]
async fn candidates_are_opened_and_compared() {
    let shop = Shop::with_policy(&policy()).await;
    let id = customer(&shop, "Wolfeschlegelsteinhausen").await;
    assert_eq!(found(&shop, "Wolfeschlegelstein").await, [id]);
    let none: [&str; 0] = [];
    assert_eq!(found(&shop, "Wolfeschlegelberg").await, none, "alike in the first twelve letters");
}

#[tokio::test]
async fn whatever_changes_is_found_anew_before_the_answer_to_the_change_is_there() {
    let shop = Shop::with_policy(&policy()).await;
    let none: [&str; 0] = [];
    let ann = customer(&shop, "Ann Whitfield").await;
    assert_eq!(found(&shop, "whit").await, [ann.as_str()]);
    patch(&shop, &ann, 1, json!({ "name": "Ann Harker" })).await;
    assert_eq!(found(&shop, "whit").await, none);
    assert_eq!(found(&shop, "harker").await, [ann.as_str()]);
    patch(&shop, &ann, 2, json!({ "name": null })).await;
    assert_eq!(found(&shop, "ann").await, none);
    assert_eq!(shop.desk().keyring.words().size().0, 0, "nothing of them is left");
    patch(&shop, &ann, 3, json!({ "name": "Ann Again" })).await;

    let upsert = "/v1/customers/ref/shop/4711";
    let made = shop.call("shop", "PUT", upsert, Some(named("Bea Carver"))).await;
    let bea = made.json["id"].as_str().unwrap().to_owned();
    assert_eq!(found(&shop, "carver").await, [bea.as_str()]);
    shop.call("shop", "PUT", upsert, Some(named("Bea Turner"))).await;
    assert_eq!(found(&shop, "carver").await, none);
    assert_eq!(found(&shop, "turner").await, [bea.as_str()]);

    let item = json!({ "ref": "shop/4712", "relations": [{ "name": "enquiry" }],
        "fields": { "name": "Cleo Batch" } });
    let body = json!({ "items": [item] });
    let batch = shop.call("shop", "POST", "/v1/customers:batch", Some(body)).await;
    assert_eq!(batch.status, 200, "{batch:?}");
    assert_eq!(found(&shop, "batch").await.len(), 1);
}

#[tokio::test]
async fn whoever_is_hidden_merged_or_erased_is_not_found() {
    let shop = Shop::with_policy(&policy()).await;
    let none: [&str; 0] = [];
    let (ann, bea) =
        (customer(&shop, "Ann Whitfield").await, customer(&shop, "Bea Whitfield").await);
    let path = format!("/v1/customers/{ann}");
    assert_eq!(found(&shop, "ann").await, [ann.as_str()]);
    assert_eq!(shop.call("privacy", "DELETE", &path, None).await.status, 202);
    assert_eq!(found(&shop, "ann").await, none, "hidden");
    assert_eq!(shop.desk().keyring.words().size().0, 1, "the index does not know the hidden");
    let kept = shop.call("privacy", "DELETE", &format!("{path}/erasure"), None).await;
    assert_eq!(kept.status, 204, "{kept:?}");
    assert_eq!(found(&shop, "ann").await, [ann.as_str()], "brought back");

    let version = shop.call("shop", "GET", &format!("{path}?fields=name"), None).await;
    let body = json!({ "other": bea, "other_version": 1, "keep": { "name": "other" } });
    let if_match = format!("\"{}\"", version.json["version"]);
    let headers = [("if-match", if_match.as_str())];
    let merge = format!("{path}/merge");
    let merged = shop.call_with("privacy", "POST", &merge, Some(body), &headers).await;
    assert_eq!(merged.status, 200, "{merged:?}");
    assert_eq!(found(&shop, "whitfield").await, [ann.as_str()], "one is left of two");

    assert_eq!(shop.call("privacy", "DELETE", &path, None).await.status, 202);
    shop.clock.pass_ms(8 * 86_400_000);
    jobs::run_once(&shop.desk()).await;
    assert_eq!(found(&shop, "whitfield").await, none, "erased");
}

#[tokio::test]
async fn a_start_fills_the_index_anew_under_an_entry_that_counts() {
    let mut shop = Shop::with_policy(&policy()).await;
    let ann = customer(&shop, "Ann Whitfield").await;
    customer(&shop, "Bea Carver").await;
    shop.stop();
    shop.start().await.unwrap();
    assert_eq!(shop.desk().keyring.words().size().0, 0, "it is in memory alone");
    let before = shop.ledger_size();
    jobs::index_words(&shop.desk()).await.unwrap();
    assert_eq!(shop.desk().keyring.words().size().0, 2);
    jobs::run_once(&shop.desk()).await;
    let entries = shop.entries_from(before).await;
    let told: Vec<_> = entries.iter().filter(|it| it.verb == "words.index").collect();
    assert_eq!(told.iter().map(|it| it.count).collect::<Vec<_>>(), [2]);
    assert_eq!(told[0].actor, "system:words.index");
    assert_eq!(told[0].fields.iter().count(), 2, "name and address");
    assert_eq!(found(&shop, "whit").await, [ann]);
}

#[tokio::test]
async fn while_the_index_is_filled_nobody_is_answered_with_gaps() {
    let mut shop = Shop::with_policy(&policy()).await;
    let ann = customer(&shop, "Ann Whitfield").await;
    shop.stop();
    shop.start().await.unwrap();
    let desk = shop.desk();
    let filling = desk.keyring.words().fill_alone().unwrap();
    let waits = search(&shop, "whit").await;
    assert_eq!((waits.status.as_u16(), waits.code()), (503, "index_filling"));
    assert_eq!(waits.headers["retry-after"], "5");
    drop(filling);
    assert_eq!(found(&shop, "whit").await, [ann], "a small shop is filled by whoever asks");
}

#[tokio::test]
async fn nothing_of_the_index_is_left_once_the_server_is_sealed() {
    let shop = Shop::with_policy(&policy()).await;
    customer(&shop, "Ann Whitfield").await;
    assert_eq!(found(&shop, "whit").await.len(), 1);
    let (customers, bytes) = shop.desk().keyring.words().size();
    assert!(customers == 1 && bytes > 0);
    assert_eq!(shop.call("admin", "POST", "/v1/seal", None).await.status, 204);
    assert_eq!(shop.desk().keyring.words().size(), (0, 0));
    let desk = shop.desk();
    assert_eq!(desk.keyring.words().find(0, &[]).unwrap_err().code, "sealed");
    desk.keyring.words().touch(&[7]);
    assert!(desk.keyring.words().waiting_at_most(9).is_empty(), "nobody waits any more");
    assert_eq!(search(&shop, "whit").await.code(), "sealed");
    jobs::index_words(&desk).await.unwrap();
}

#[tokio::test]
async fn beyond_its_limit_the_index_finds_nobody_and_a_finding_says_so() {
    let shop = Shop::with_policy(&policy()).await;
    let words = || shop.desk();
    words().keyring.words().limit_customers(2);
    let ann = customer(&shop, "Ann Whitfield").await;
    customer(&shop, "Bea Whitfield").await;
    assert_eq!(found(&shop, "whit").await.len(), 2);
    patch(&shop, &ann, 1, json!({ "name": "Ann Harker" })).await;
    assert_eq!(found(&shop, "whit").await.len(), 1, "who changes is not one more");
    let cleo = customer(&shop, "Cleo Whitfield").await;
    let over = search(&shop, "whit").await;
    assert_eq!((over.status.as_u16(), over.code()), (503, "index_overfull"));
    assert_eq!(words().keyring.words().size(), (0, 0), "what finds nobody takes no memory");
    jobs::run_once(&shop.desk()).await;
    jobs::run_once(&shop.desk()).await;
    let with_it = ["key_file_only", "recovery_missing", "words_overfull"];
    assert_eq!(findings(&shop).await, with_it);

    assert_eq!(
        shop.call("privacy", "DELETE", &format!("/v1/customers/{cleo}"), None).await.status,
        202
    );
    shop.clock.pass_ms(8 * 86_400_000);
    jobs::run_once(&shop.desk()).await;
    assert_eq!(found(&shop, "whit").await.len(), 1, "two are left");
    jobs::run_once(&shop.desk()).await;
    assert_eq!(findings(&shop).await, ["key_file_only", "recovery_missing"]);
}

#[tokio::test]
async fn more_than_twenty_are_told_to_be_more() {
    let shop = Shop::with_policy(&policy()).await;
    for number in 0..20 {
        customer(&shop, &format!("Ann Whitfield{number}")).await;
    }
    let twenty = search(&shop, "ann whit").await;
    assert_eq!(twenty.json["customers"].as_array().unwrap().len(), 20);
    assert_eq!(twenty.json.get("more"), None);
    customer(&shop, "Ann Whitfield").await;
    let more = search(&shop, "ann whit").await;
    assert_eq!(more.json["customers"].as_array().unwrap().len(), 20);
    assert_eq!(more.json["more"], true);
}

#[tokio::test]
async fn a_search_by_words_is_decided_and_set_down_like_any_other() {
    let shop = Shop::with_policy(&policy()).await;
    customer(&shop, "Ann Whitfield").await;
    customer(&shop, "Bea Whitfield").await;
    let before = shop.ledger_size();
    let both = search(&shop, "whit").await;
    let entry = &shop.entries_from(both.index()).await[0];
    assert_eq!((entry.verb.as_str(), entry.count), ("customer.lookup", 2));
    assert_eq!(entry.fields.iter().count(), 1);
    search(&shop, "nobody").await;
    let refused = search_as(&shop, "desk", "name", "whit").await;
    assert_eq!((refused.status.as_u16(), refused.code()), (403, "grant_missing"));
    let body = Some(json!({ "name": "whit" }));
    let other = shop.call("shop", "POST", "/v1/customers/lookup", body).await;
    assert_eq!(other.code(), "grant_missing", "another purpose");
    let entries = shop.entries_from(before).await;
    assert_eq!(refusals(&entries, "customer.lookup", "grant_missing"), 2);
    let asked: Vec<u64> =
        entries.iter().filter(|it| it.verb == "customer.lookup").map(|it| it.count).collect();
    assert_eq!(asked[..2], [2, 0], "hits and misses");
    assert_eq!(shop.verify().await["intact"], true);
}

#[tokio::test]
async fn who_has_not_consented_is_not_found_by_words() {
    let masked = "find = [\"email\"]\nsee = \"masked\"\nbudget = { per_day = 2000 }";
    let clear = "find = [\"name\"]\nsee = \"clear\"\nbudget = { per_day = 2000 }";
    assert!(POLICY.contains(masked));
    let shop = Shop::with_policy(&policy().replacen(masked, clear, 1)).await;
    let (ann, _) = (customer(&shop, "Ann Whitfield").await, customer(&shop, "Bea Whitfield").await);
    let consents = format!("/v1/customers/{ann}/consents/marketing");
    let given = shop.call("shop", "PUT", &consents, Some(json!({ "how": "form" }))).await;
    assert_eq!(given.status, 200, "{given:?}");
    let key = shop.new_key("shop", &["marketing"]).await;
    let key = format!("Bearer {key}");
    let headers = [("authorization", key.as_str()), ("strongroom-purpose", "marketing")];
    let body = Some(json!({ "name": "whit" }));
    let path = "/v1/customers/lookup";
    let answer = send(shop.router(), "POST", path, body, &headers, false).await;
    assert_eq!(answer.json, json!({ "customers": [ann] }));
    assert_eq!(found(&shop, "whit").await.len(), 2, "for another purpose");
}

#[tokio::test]
async fn words_may_come_and_go_with_a_policy_and_find_those_who_were_kept_before() {
    let shop = Shop::open().await;
    let ada = shop.call("shop", "POST", "/v1/customers", Some(person(1))).await;
    assert_eq!(search(&shop, "ada").await.code(), "grant_missing");
    let waits = shop.as_operator("POST", "/v1/policy", Some(json!({ "policy": policy() }))).await;
    assert!(waits.status.is_success(), "{waits:?}");
    shop.clock.pass_ms(86_400_000);
    jobs::run_once(&shop.desk()).await;
    assert_eq!(found(&shop, "ada").await, [ada.json["id"].as_str().unwrap()]);
    let back = shop.as_operator("POST", "/v1/policy", Some(json!({ "policy": POLICY }))).await;
    assert_eq!(back.status, 200, "{back:?}");
    jobs::index_words(&shop.desk()).await.unwrap();
    assert_eq!(shop.desk().keyring.words().size(), (0, 0));
}
