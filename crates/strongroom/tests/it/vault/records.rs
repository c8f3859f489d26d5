//! Records: a life of their own, fixed once issued.

use serde_json::{Value, json};
use strongroom::jobs;

use crate::support::{Answer, Shop, together};

const INVOICE: &str = "invoice.number,invoice.billing_address,invoice.billing_name,invoice.total";
const DAY_MS: i64 = 86_400_000;

fn invoice(number: usize) -> Value {
    json!({ "kind": "invoice", "fields": {
        "number": format!("2026-{number}"),
        "billing_name": "Ada Example1",
        "billing_address": { "lines": ["1 Harbour Street"], "city": "Whitby", "country": "GB" },
        "total": 12.5,
    } })
}

fn message(body: &str) -> Value {
    json!({ "kind": "message", "fields": { "subject": "A question", "body": body } })
}

pub(crate) async fn add(shop: &Shop, customer: &str, body: Value) -> Answer {
    let path = format!("/v1/customers/{customer}/records");
    shop.call("shop", "POST", &path, Some(body)).await
}

async fn added(shop: &Shop, customer: &str, body: Value) -> String {
    let answer = add(shop, customer, body).await;
    assert_eq!((answer.status.as_u16(), &answer.json["version"]), (201, &json!(1)), "{answer:?}");
    answer.json["id"].as_str().unwrap().to_owned()
}

async fn list(shop: &Shop, role: &str, customer: &str, query: &str) -> Answer {
    shop.call(role, "GET", &format!("/v1/customers/{customer}/records?{query}"), None).await
}

async fn reveal(shop: &Shop, customer: &str, record: &str) -> Answer {
    let fields: Vec<&str> = INVOICE.split(',').collect();
    let why = json!({ "fields": fields, "reason": "return" });
    let path = format!("/v1/customers/{customer}/records/{record}/reveal");
    shop.call("desk", "POST", &path, Some(why)).await
}

fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(
        (answer.status.as_u16(), &answer.json["code"]),
        (status, &json!(code)),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_new_address_leaves_yesterdays_invoice_as_it_was() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    let record = added(&shop, &id, invoice(17)).await;
    let before = reveal(&shop, &id, &record).await;
    assert_eq!(before.status, 200, "{before:?}");
    assert_eq!(before.json["fields"]["billing_address"]["lines"], json!(["1 Harbour Street"]));

    shop.clock.pass_ms(DAY_MS);
    let address = json!({ "lines": ["9 New Quay"], "city": "Whitby", "country": "GB" });
    let patch = json!({ "fields": { "address": address, "name": "Ada Married" } });
    let path = format!("/v1/customers/{id}");
    let changed =
        shop.call_with("shop", "PATCH", &path, Some(patch), &[("if-match", "\"2\"")]).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let after = reveal(&shop, &id, &record).await;
    assert_eq!(after.json, before.json);
    assert_eq!(after.json["issued"], "2026-11-21");
}

#[tokio::test]
async fn a_fixed_record_never_changes_and_a_correction_names_it() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    let record = added(&shop, &id, invoice(1)).await;
    let path = format!("/v1/customers/{id}/records/{record}");
    let patch = json!({ "fields": { "total": 1 } });
    let refused =
        shop.call_with("shop", "PATCH", &path, Some(patch.clone()), &[("if-match", "\"1\"")]).await;
    assert_refused(&refused, 409, "record_fixed");
    assert!(refused.json["detail"].as_str().unwrap().contains("corrects"), "the cure is named");

    let mut correction = invoice(2);
    correction["corrects"] = json!(record);
    let correction = added(&shop, &id, correction).await;
    let shown = reveal(&shop, &id, &correction).await;
    assert_eq!(shown.json["corrects"], json!(record), "{shown:?}");

    // What was issued fixed stays so under a policy that no longer says it.
    let looser = crate::support::POLICY.replacen("fixed = true", "fixed = false", 1);
    let asked = shop.as_operator("POST", "/v1/policy", Some(json!({ "policy": looser }))).await;
    assert!(asked.json["due"].is_string(), "a looser rule waits: {asked:?}");
    shop.clock.pass_ms(2 * DAY_MS);
    jobs::run_once(&shop.desk()).await;
    let policy = shop.call("shop", "GET", "/v1/policy", None).await;
    assert_eq!(policy.json["policy"]["records"][0]["fixed"], json!(false), "{policy:?}");
    let refused =
        shop.call_with("shop", "PATCH", &path, Some(patch), &[("if-match", "\"1\"")]).await;
    assert_refused(&refused, 409, "record_fixed");

    // Another customer's record, another kind, or none at all is no record to correct.
    let other = shop.customer(2).await;
    let mut wrong = invoice(3);
    wrong["corrects"] = json!(record);
    assert_refused(&add(&shop, &other, wrong).await, 422, "corrects_unknown");
    let mut wrong = message("hello");
    wrong["corrects"] = json!(record);
    assert_refused(&add(&shop, &id, wrong).await, 422, "corrects_unknown");
}

#[tokio::test]
async fn a_record_that_is_not_fixed_changes_with_its_version() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    let record = added(&shop, &id, message("one")).await;
    let path = format!("/v1/customers/{id}/records/{record}");
    let patch = json!({ "fields": { "body": "two", "subject": null } });
    let call = |version: &'static str, body: Value| {
        let (shop, path) = (&shop, &path);
        async move { shop.call_with("shop", "PATCH", path, Some(body), &[("if-match", version)]).await }
    };
    let changed = call("\"1\"", patch.clone()).await;
    assert_eq!(
        (changed.status.as_u16(), &changed.json["version"]),
        (200, &json!(2)),
        "{changed:?}"
    );
    assert_refused(&call("\"1\"", patch).await, 412, "version_changed");
    let unknown = call("\"2\"", json!({ "fields": { "colour": "red" } })).await;
    assert_refused(&unknown, 422, "fields_refused");
    let query = "?fields=message.subject,message.body";
    let shown = shop.call("shop", "GET", &format!("{path}{query}"), None).await;
    assert_eq!(shown.json["fields"], json!({ "body": "two" }), "{shown:?}");
    assert_eq!(shown.headers["etag"], "\"2\"");
}

#[tokio::test]
async fn records_are_listed_newest_first_and_shown_as_the_grant_says() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        shop.clock.pass_ms(1_000);
        ids.push(added(&shop, &id, invoice(number)).await);
        added(&shop, &id, message("in between")).await;
    }
    ids.reverse();
    let before = shop.ledger_size();
    let first = list(&shop, "desk", &id, &format!("fields={INVOICE}&limit=3")).await;
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!(shop.ledger_size(), before + 1, "one entry for a page");
    let entry = shop.entries_from(before).await.remove(0);
    assert_eq!((entry.verb.as_str(), entry.count), ("record.list", 3));
    let text = first.json.to_string();
    for clear in ["Example1", "Harbour", "12.5", "2026-4"] {
        assert!(!text.contains(clear), "masked for the desk: {text}");
    }
    let next = first.json["next"].as_str().unwrap().to_owned();
    let rest = list(&shop, "desk", &id, &format!("fields={INVOICE}&limit=3&cursor={next}")).await;
    assert_eq!(rest.json["next"], Value::Null, "{rest:?}");
    let seen: Vec<&str> = [&first, &rest]
        .iter()
        .flat_map(|page| page.json["items"].as_array().unwrap())
        .map(|item| item["id"].as_str().unwrap())
        .collect();
    assert_eq!(seen, ids, "each once, newest first, no other kind");

    let both = list(&shop, "shop", &id, "fields=invoice.number,message.body").await;
    assert_eq!(both.json["items"].as_array().unwrap().len(), 10);
    let clear = |text: &str| both.json.to_string().contains(text);
    assert!(clear("2026-0") && clear("in between") && !clear("Example1"), "{both:?}");

    let missing = list(&shop, "shop", &id, "fields=invoice.number,invoice.billing_name").await;
    assert_refused(&missing, 403, "grant_missing");
    assert_refused(&list(&shop, "shop", &id, "fields=name").await, 400, "bad_fields");
    assert_refused(&list(&shop, "shop", &id, "fields=invoice.x").await, 403, "field_unknown");
    let own = format!("/v1/customers/{id}?fields=name,invoice.number");
    assert_refused(&shop.call("shop", "GET", &own, None).await, 400, "bad_fields");
    let path = format!("/v1/customers/{id}/records/{}?fields=message.body", ids[0]);
    assert_refused(&shop.call("shop", "GET", &path, None).await, 404, "not_found");
    let other = shop.customer(2).await;
    let path = format!("/v1/customers/{other}/records/{}?fields=invoice.number", ids[0]);
    assert_refused(&shop.call("shop", "GET", &path, None).await, 404, "not_found");
}

#[tokio::test]
async fn what_a_record_may_not_hold_is_refused_and_never_repeated() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    let with = |field: &str, value: Value| {
        let mut body = invoice(1);
        body["fields"][field] = value;
        body
    };
    let card = add(&shop, &id, with("number", json!("paid 4111 1111 1111 1111"))).await;
    assert_refused(&card, 422, "fields_refused");
    assert!(!card.json.to_string().contains("4111"), "{card:?}");
    let undeclared = add(&shop, &id, with("ada.1@mail.example", json!("x"))).await;
    assert_refused(&undeclared, 422, "fields_refused");
    assert!(!undeclared.json.to_string().contains("mail.example"), "{undeclared:?}");
    let mut body = invoice(1);
    body["kind"] = json!("receipt");
    assert_refused(&add(&shop, &id, body).await, 422, "record_kind_unknown");
    for (issued, code) in [
        ("2026-11-22", "issued_in_future"),
        ("yesterday", "bad_issued"),
        ("2026-11-21T10:00", "bad_issued"),
        ("2014-11-21", "record_over"),
    ] {
        let mut body = invoice(1);
        body["issued"] = json!(issued);
        assert_refused(&add(&shop, &id, body).await, 422, code);
    }
    let empty = add(&shop, &id, json!({ "kind": "invoice", "fields": {} })).await;
    assert_refused(&empty, 422, "record_empty");
    let unread = list(&shop, "shop", &id, "fields=invoice.number").await;
    assert_eq!(unread.json["items"], json!([]), "nothing of it was kept");
}

#[tokio::test]
async fn records_added_at_one_moment_all_stand() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    let path = format!("/v1/customers/{id}/records");
    let calls = (0..4).map(|number| {
        let (client, path) = (shop.client("shop"), path.clone());
        async move { client.call("POST", &path, Some(invoice(number))).await }
    });
    let answers = together(calls).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert!(made >= 1, "{answers:?}");
    assert!(answers.iter().all(|it| [201, 503].contains(&it.status.as_u16())), "{answers:?}");
    let all = list(&shop, "shop", &id, "fields=invoice.number").await;
    assert_eq!(all.json["items"].as_array().unwrap().len(), made, "{all:?}");
}

#[tokio::test]
async fn a_record_is_its_relation_happening() {
    let shop = Shop::open().await;
    let enquirer = crate::attack::enquirer(&shop, 1).await;
    added(&shop, &enquirer, invoice(1)).await;
    let path = format!("/v1/customers/{enquirer}");
    let address = json!({ "lines": ["9 New Quay"], "city": "Whitby", "country": "GB" });
    let patch = Some(json!({ "fields": { "address": address } }));
    let changed = shop.call_with("shop", "PATCH", &path, patch, &[("if-match", "\"2\"")]).await;
    assert_eq!(changed.status, 200, "an address is needed for a purchase: {changed:?}");
}

#[tokio::test]
async fn an_erasure_leaves_invoices_to_the_end_of_their_year_and_destroys_messages() {
    let mut shop = Shop::open().await;
    let id = crate::attack::enquirer(&shop, 1).await;
    added(&shop, &id, message("please send a map")).await;
    let mut old = invoice(1);
    old["issued"] = json!("2017-03-01");
    let old = added(&shop, &id, old).await;
    let path = format!("/v1/customers/{id}");
    let asked = shop.call("privacy", "DELETE", &path, None).await;
    let kept = asked.json["kept"].as_array().unwrap();
    let line = kept.iter().find(|it| it["fields"][0] == "invoice.billing_address").unwrap();
    assert_eq!(line["basis"], "tax law");
    assert_eq!(line["until"], "2028-01-01T00:00:00.000Z", "2017 and ten years: to the end of 2027");
    let goes = asked.json["goes"].as_array().unwrap();
    assert!(goes.contains(&json!("message.body")), "{asked:?}");
    assert!(!goes.contains(&json!("invoice.billing_address")), "{asked:?}");
    let keys = crate::attack::one::<i64>(shop.keys(), "SELECT COUNT(*) FROM dek");
    shop.clock.pass_ms(8 * DAY_MS);
    jobs::run_once(&shop.desk()).await;
    let left = crate::attack::one::<i64>(shop.keys(), "SELECT COUNT(*) FROM dek");
    assert!(left < keys, "the key of the message is gone");
    assert_eq!(reveal(&shop, &id, &old).await.status, 200);
    let gone = list(&shop, "shop", &id, "fields=message.body").await;
    assert_eq!(gone.json["items"], json!([]), "{gone:?}");
    let count = "SELECT COUNT(*) FROM shelf_record";
    assert_eq!(crate::attack::one::<i64>(shop.data(), count), 1);
    shop.stop();
    shop.start().await.unwrap();
    assert_eq!(reveal(&shop, &id, &old).await.status, 200, "what stays survives a restart");

    // On the first day of 2028 nothing of it is needed any more.
    shop.clock.pass_ms(500 * DAY_MS);
    let key = shop.new_key("privacy", &["support"]).await;
    shop.keys.insert("privacy", key);
    let asked = shop.call("privacy", "DELETE", &path, None).await;
    assert_eq!(asked.json["kept"], json!([]), "{asked:?}");
    shop.clock.pass_ms(8 * DAY_MS);
    jobs::run_once(&shop.desk()).await;
    assert_eq!(crate::attack::one::<i64>(shop.data(), count), 0);
    assert_eq!(crate::attack::one::<i64>(shop.keys(), "SELECT COUNT(*) FROM dek"), 0);
    let verified = shop.verify().await;
    assert_eq!(verified["intact"], true, "{verified}");
}

#[tokio::test]
async fn a_kind_the_policy_dropped_is_not_shown_and_stays_as_long_as_a_duty_needs_it() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    let record = added(&shop, &id, invoice(1)).await;
    let (before, rest) = crate::support::POLICY.split_once("[record.invoice]").unwrap();
    let (_, rest) = rest.split_once("[record.message]").unwrap();
    let mut text = format!("{before}[record.message]{rest}");
    let (kept, _) = text.rsplit_once("[[grant]]\nrole = \"desk\"").unwrap();
    text = kept.replace("\"invoice.number\", \"invoice.total\", ", "");
    let asked = shop.as_operator("POST", "/v1/policy", Some(json!({ "policy": text }))).await;
    assert!(asked.json["due"].is_string(), "dropping waits: {asked:?}");
    shop.clock.pass_ms(2 * DAY_MS);
    jobs::run_once(&shop.desk()).await;
    let path = format!("/v1/customers/{id}/records/{record}?fields=invoice.number");
    assert_refused(&shop.call("shop", "GET", &path, None).await, 403, "field_unknown");
    shop.call("privacy", "DELETE", &format!("/v1/customers/{id}"), None).await;
    shop.clock.pass_ms(8 * DAY_MS);
    jobs::run_once(&shop.desk()).await;
    let count = "SELECT COUNT(*) FROM shelf_record";
    assert_eq!(crate::attack::one::<i64>(shop.data(), count), 1, "tax law still needs it");
}

#[tokio::test]
async fn records_are_shown_for_a_purpose_that_needs_consent_only_with_it() {
    let grant = "[[grant]]\nrole = \"shop\"\npurpose = \"marketing\"\nfields = [\"invoice.number\"]\n\
                 see = \"clear\"\nbudget = { per_day = 50 }\n";
    let shop = Shop::with_policy(&format!("{}\n{grant}", crate::support::POLICY)).await;
    let client = shop.client_with(&shop.new_key("shop", &["marketing"]).await);
    let id = shop.customer(1).await;
    let record = added(&shop, &id, invoice(1)).await;
    let purpose = [("strongroom-purpose", "marketing")];
    let consent = format!("/v1/customers/{id}/consents/marketing");
    for (consented, status) in [(false, 403), (true, 200), (false, 403)] {
        shop.clock.pass_ms(1_000);
        let said = match consented {
            true => shop.call("desk", "PUT", &consent, Some(json!({ "how": "form" }))).await,
            false => shop.call("desk", "DELETE", &consent, None).await,
        };
        assert!(said.status.is_success(), "{said:?}");
        for path in ["", &format!("/{record}")] {
            let path = format!("/v1/customers/{id}/records{path}?fields=invoice.number");
            let seen = client.call_plain("GET", &path, None, &purpose).await;
            assert_eq!(seen.status, status, "{seen:?}");
            assert_eq!(seen.json.to_string().contains("2026-1\""), consented, "{seen:?}");
        }
    }
}

#[tokio::test]
async fn the_key_of_a_shelf_is_live_once_its_record_is_seen() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    added(&shop, &id, invoice(1)).await;
    shop.clock.pass_ms(8 * DAY_MS);
    jobs::run_daily(&shop.desk()).await;
    let pending = "SELECT COUNT(*) FROM dek WHERE state = 'pending'";
    assert_eq!(crate::attack::one::<i64>(shop.keys(), pending), 0);
}
