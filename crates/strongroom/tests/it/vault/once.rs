//! `Idempotency-Key`: a call that changes something is done once, however often it is sent.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use strongroom::jobs;
use strongroom::router::openapi;

use crate::outlets::{SEND, asked, send_body, share_body, shared};
use crate::support::{Answer, POLICY, Shop, intrude, person, send, together};
use crate::webhooks::hook_names;

const KEY: &str = "idempotency-key";

async fn once(
    shop: &Shop,
    role: &str,
    call: (&str, &str),
    body: Option<Value>,
    key: &str,
) -> Answer {
    let headers = [(KEY, key), ("if-match", "\"1\"")];
    if role == "operator" {
        return send(shop.router(), call.0, call.1, body, &headers, true).await;
    }
    // What may be shared is what a role sees in clear.
    let purpose = if call.1 == "/v1/shares" { "delivery" } else { "support" };
    let headers = [&headers[..], &[("strongroom-purpose", purpose)]].concat();
    shop.client(role).call_plain(call.0, call.1, body, &headers).await
}

fn is_repeated(answer: &Answer) -> bool {
    answer.headers.contains_key("strongroom-repeated")
}

#[tokio::test]
async fn a_call_sent_again_is_done_once_and_answered_as_things_are_now() {
    let shop = Shop::open().await;
    let create = ("POST", "/v1/customers");
    let first = once(&shop, "shop", create, Some(person(1)), "k-1").await;
    assert_eq!(first.status, 201, "{:?}", first.json);
    assert!(!is_repeated(&first));
    let before = shop.ledger_size();
    let again = once(&shop, "shop", create, Some(person(1)), "k-1").await;
    assert_eq!((again.status, &again.json), (first.status, &first.json));
    assert!(is_repeated(&again));
    assert_eq!(again.headers["location"], first.headers["location"]);
    assert_eq!(again.index(), before, "being told again is an entry as well");

    // The body is built from the present state, not from a memory of the past.
    let path = format!("/v1/customers/{}", first.json["id"].as_str().unwrap());
    let fields = json!({ "fields": { "note": "rings at noon" } });
    assert_eq!(once(&shop, "shop", ("PATCH", &path), Some(fields), "k-2").await.status, 200);
    let later = once(&shop, "shop", create, Some(person(1)), "k-1").await;
    assert_eq!((later.status.as_u16(), &later.json["version"]), (201, &json!(2)));
    let entries = shop.entries().await;
    let made = entries.iter().filter(|it| it.verb == "customer.create").count();
    assert_eq!(made, 1);
}

#[tokio::test]
async fn the_same_key_with_anything_else_is_refused_and_nothing_is_done() {
    let shop = Shop::open().await;
    let create = ("POST", "/v1/customers");
    assert_eq!(once(&shop, "shop", create, Some(person(1)), "k").await.status, 201);
    let before = shop.ledger_size();
    let other = once(&shop, "shop", create, Some(person(2)), "k").await;
    assert_eq!((other.status.as_u16(), other.code()), (422, "idempotency_key_reused"));
    let place = ("PUT", "/v1/customers/ref/shop/4711");
    assert_eq!(once(&shop, "shop", place, Some(person(1)), "k").await.status, 422);
    assert_eq!(shop.ledger_size(), before);
    // A key belongs to its caller: another one's is another.
    let id = shop.customer(9).await;
    let touch = json!({ "name": "enquiry", "act": "touch" });
    let path = format!("/v1/customers/{id}/relations");
    let by_desk = once(&shop, "desk", ("POST", &path), Some(touch), "k").await;
    assert_eq!((by_desk.status.as_u16(), is_repeated(&by_desk)), (200, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_calls_that_race_with_one_key_one_is_done_and_all_are_answered_alike() {
    let shop = Shop::open().await;
    for round in 0..10 {
        let key = format!("race-{round}");
        // Without a unique value nothing but the key keeps two from being made.
        let body = json!({ "relations": [{ "name": "enquiry" }], "fields": { "note": "hello" } });
        let acts = (0..8).map(|_| {
            let (client, key, body) = (shop.client("shop"), key.clone(), body.clone());
            async move {
                let headers = [(KEY, key.as_str())];
                client.call_with("POST", "/v1/customers", Some(body), &headers).await
            }
        });
        let answers = together(acts).await;
        let ids: BTreeSet<String> = answers.iter().map(|it| it.json["id"].to_string()).collect();
        assert_eq!(ids.len(), 1, "{answers:?}");
        assert!(answers.iter().all(|it| it.status == 201));
        assert_eq!(answers.iter().filter(|it| !is_repeated(it)).count(), 1);
    }
    let made = shop.entries().await.iter().filter(|it| it.verb == "customer.create").count();
    assert_eq!(made, 10);
}

#[tokio::test]
async fn what_was_refused_is_not_remembered() {
    let shop = Shop::open().await;
    let refused = once(&shop, "desk", ("POST", "/v1/customers"), Some(person(1)), "k").await;
    assert_eq!(refused.status, 403);
    let mut bad = person(1);
    bad["fields"]["shoe_size"] = json!(44);
    let create = ("POST", "/v1/customers");
    assert_eq!(once(&shop, "shop", create, Some(bad), "k").await.status, 422);
    let mended = once(&shop, "shop", create, Some(person(1)), "k").await;
    assert_eq!((mended.status.as_u16(), is_repeated(&mended)), (201, false));
}

#[tokio::test]
async fn after_a_day_a_key_is_forgotten_and_its_row_is_gone() {
    let mut shop = Shop::open().await;
    let create = ("POST", "/v1/customers");
    let body = json!({ "relations": [{ "name": "enquiry" }], "fields": { "note": "hello" } });
    let first = once(&shop, "shop", create, Some(body.clone()), "k").await;
    shop.clock.pass_ms(86_400_000 - 1);
    jobs::run_once(&shop.desk()).await;
    assert!(is_repeated(&once(&shop, "shop", create, Some(body.clone()), "k").await));
    shop.clock.pass_ms(1);
    let anew = once(&shop, "shop", create, Some(body), "k").await;
    assert!(!is_repeated(&anew));
    assert_ne!(anew.json["id"], first.json["id"]);
    shop.clock.pass_ms(86_400_000);
    jobs::run_once(&shop.desk()).await;
    shop.stop();
    assert_eq!(shop.data().one::<i64>("SELECT COUNT(*) FROM repeat"), 0);
}

#[tokio::test]
async fn a_remembered_call_changed_by_sql_is_told_not_believed() {
    let mut shop = Shop::open().await;
    let create = ("POST", "/v1/customers");
    once(&shop, "shop", create, Some(person(1)), "k").await;
    let other = shop.customer(2).await;
    shop.stop();
    intrude(shop.data(), &format!("UPDATE repeat SET resource = '{other}'"));
    shop.start().await.unwrap();
    let answer = once(&shop, "shop", create, Some(person(1)), "k").await;
    assert_eq!((answer.status.as_u16(), answer.code()), (503, "tampered"));
}

#[tokio::test]
async fn a_key_that_is_no_key_is_refused() {
    let shop = Shop::open().await;
    for bad in ["", "two words", &"x".repeat(256)] {
        let answer = once(&shop, "shop", ("POST", "/v1/customers"), Some(person(1)), bad).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "bad_idempotency_key"), "{bad}");
    }
    let twice = [(KEY, "a"), (KEY, "b")];
    let answer = shop.call_with("shop", "POST", "/v1/customers", Some(person(1)), &twice).await;
    assert_eq!(answer.code(), "bad_idempotency_key");
    let stranger = send(shop.router(), "POST", "/v1/customers", None, &[(KEY, "a")], false).await;
    assert_eq!(stranger.status, 401);
}

/// Every route that is not a GET: by whom it is called and what becomes of the second call, by hand.
/// `asks`: a key is refused (400). `same`: same status and body. `done`: same status. Else the code of
/// the problem that the second call is told.
const ROUTES: &str = "
POST   /v1/customers                           shop     same
PUT    /v1/customers/ref/{source}/{reference}  shop     same
POST   /v1/customers/lookup                    shop     asks
PATCH  /v1/customers/{id}                      shop     same
DELETE /v1/customers/{id}                      privacy  same
POST   /v1/customers/{id}/reveal               desk     asks
POST   /v1/customers/{id}/relations            shop     same
DELETE /v1/customers/{id}/erasure              privacy  done
POST   /v1/customers/{id}/merge                privacy  done
POST   /v1/customers/read                      shop     asks
PUT    /v1/customers/{id}/consents/{purpose}   shop     same
DELETE /v1/customers/{id}/consents/{purpose}   shop     same
POST   /v1/customers/{id}/records              shop     done
PATCH  /v1/customers/{id}/records/{record}     shop     done
POST   /v1/customers/{id}/records/{record}/reveal desk  asks
POST   /v1/tokens                              shop     asks
POST   /v1/tokens/detokenize                   shop     asks
PUT    /v1/customers/{id}/hold                 admin    done
DELETE /v1/customers/{id}/hold                 admin    done
POST   /v1/customers:batch                     shop     asks
POST   /v1/exports                             shop     asks
POST   /v1/imports                             importer same
PUT    /v1/imports/maps/{name}                 importer done
POST   /v1/imports/{id}/rows                   importer done
POST   /v1/imports/dry-run                     importer asks
POST   /v1/ledger/verify                       shop     asks
POST   /v1/ledger/scope                        privacy  asks
PUT    /v1/places/{name}                       operator done
POST   /v1/places/{name}/close                 operator done
POST   /v1/outlets/{outlet}/send               shop     done
DELETE /v1/outlets/{outlet}/sends/{send}       shop     done
POST   /v1/shares                              shop     secret_shown_once
DELETE /v1/shares/{share}                      shop     done
POST   /v1/shares/open                         shop     asks
POST   /share/{secret}                         shop     asks
POST   /v1/webhooks                            admin    secret_shown_once
DELETE /v1/webhooks/{hook}                     admin    done
POST   /v1/webhooks/{hook}/enable              admin    done
POST   /v1/webhooks/{hook}/disable             admin    done
POST   /v1/webhooks/{hook}/secret              admin    secret_shown_once
POST   /v1/webhooks/{hook}/replay              admin    done
POST   /v1/policy                              admin    done
POST   /v1/policy/check                        admin    asks
DELETE /v1/policy/pending                      admin    done
POST   /v1/access/why                          admin    asks
POST   /v1/keys                                admin    secret_shown_once
DELETE /v1/keys/{id}                           admin    done
POST   /v1/keys/{id}/disable                   operator done
POST   /v1/keys/{id}/enable                    operator done
DELETE /v1/keys/own                            desk     key_ended
POST   /v1/clock/confirm                       admin    done
POST   /v1/consents/confirm                    admin    done
POST   /v1/rotations                           admin    asks
POST   /v1/seal                                admin    sealed
";

#[test]
fn every_route_that_changes_something_says_what_a_second_call_gets() {
    let document = serde_json::to_value(openapi()).unwrap();
    let mut routes = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["delete", "patch", "post", "put"] {
            if item.get(method).is_some() {
                routes.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    let named: BTreeSet<String> =
        lines().map(|[method, path, ..]| format!("{method} {path}")).collect();
    let cure = "write it into ROUTES; where its answer has more than an id, build it in `rebuild`";
    assert_eq!(routes.difference(&named).collect::<Vec<_>>(), [] as [&String; 0], "{cure}");
    assert_eq!(named.difference(&routes).collect::<Vec<_>>(), [] as [&String; 0], "no such route");
}

#[tokio::test]
async fn a_second_call_is_answered_as_the_list_says_on_every_route() {
    let mut wrong = Vec::new();
    let shop = Shop::open().await;
    // Sealing comes last.
    for (number, [method, path, role, second]) in lines().enumerate() {
        let (path, body) = request(&shop, method, path, 100 + number).await;
        let key = format!("walk-{number}");
        let first = once(&shop, role, (method, &path), body.clone(), &key).await;
        if second == "asks" {
            if first.code() != "idempotency_key_not_taken" {
                wrong.push(format!("{method} {path}: {} {}", first.status, first.json));
            }
            continue;
        }
        let again = once(&shop, role, (method, &path), body, &key).await;
        let good = first.status.is_success()
            && match second {
                "same" => (again.status, &again.json) == (first.status, &first.json),
                "done" => again.status == first.status,
                code => again.code() == code,
            }
            && (is_repeated(&again) || again.status.as_u16() >= 400);
        if !good {
            wrong.push(format!("{method} {path}: {first:?} and then {again:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn lines() -> impl Iterator<Item = [&'static str; 4]> {
    let lines = ROUTES.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().try_into().unwrap())
}

/// The same for routes through which values leave.
async fn outward(
    shop: &Shop,
    method: &str,
    path: &str,
    id: &str,
) -> Option<(String, Option<Value>)> {
    let path = path.replace("{outlet}", "parcel-news");
    match (method, path.as_str()) {
        ("POST", SEND) => Some((path, Some(send_body(id)))),
        ("POST", "/v1/shares") => Some((path, Some(share_body(id)))),
        (_, "/v1/outlets/parcel-news/sends/{send}") => {
            Some((path.replace("{send}", &asked(shop, id).await), None))
        }
        (_, "/v1/shares/{share}") => {
            Some((path.replace("{share}", &shared(shop, id).await.0), None))
        }
        _ => None,
    }
}

/// A call of this route that succeeds once.
async fn request(shop: &Shop, method: &str, path: &str, number: usize) -> (String, Option<Value>) {
    let id = shop.customer(number).await;
    if let Some(call) = outward(shop, method, path, &id).await {
        return call;
    }
    if let Some(call) = apart_from_customers(shop, method, path).await {
        return call;
    }
    let hash = format!("{number:064x}");
    let begin = json!({ "file_sha256": hash, "map_sha256": hash });
    let mut row = person(number + 1_000);
    let path = path.replace("{source}/{reference}", &format!("shop/{number}"));
    let own = format!("/v1/customers/{id}");
    let (path, body) = match (method, path.as_str()) {
        ("DELETE", "/v1/customers/{id}/hold") => {
            let hold = Some(json!({ "reason": "case 7" }));
            shop.as_operator("PUT", &format!("{own}/hold"), hold).await;
            (path, None)
        }
        (_, "/v1/customers/{id}/erasure") => {
            shop.call("privacy", "DELETE", &own, None).await;
            (path, None)
        }
        (_, "/v1/imports/{id}/rows") => {
            let begun = shop.call("importer", "POST", "/v1/imports", Some(begin)).await;
            row["line"] = json!(1);
            let path = format!("/v1/imports/{}/rows", begun.json["id"].as_str().unwrap());
            (path, Some(json!({ "first": 0, "rows": [row] })))
        }
        (_, "/v1/imports/maps/{name}") => {
            (path.replace("{name}", "old-shop"), Some(json!({ "columns": [] })))
        }
        (_, "/v1/imports") => (path, Some(begin)),
        ("POST", "/v1/policy") => {
            let wider = POLICY.replacen("per_day = 30 }", "per_day = 31 }", 1);
            (path, Some(json!({ "policy": wider })))
        }
        ("PUT", "/v1/customers/{id}/hold") => (path, Some(json!({ "reason": "case 8" }))),
        ("PATCH", "/v1/customers/{id}") => {
            (path, Some(json!({ "fields": { "note": "rings at noon" } })))
        }
        (method, "/v1/customers/{id}/consents/{purpose}") => (
            format!("{own}/consents/marketing"),
            (method == "PUT").then(|| json!({ "how": "phone" })),
        ),
        (_, "/v1/customers/{id}/merge") => (path, Some(merge_of(&shop.customer(77).await))),
        ("POST", "/v1/customers/{id}/records") => {
            (path, Some(json!({ "kind": "invoice", "fields": { "number": "4712" } })))
        }
        ("PATCH", "/v1/customers/{id}/records/{record}") => {
            let message = json!({ "kind": "message", "fields": { "body": "rings" } });
            let added = shop.call("shop", "POST", &format!("{own}/records"), Some(message)).await;
            let path = format!("{own}/records/{}", added.json["id"].as_str().unwrap());
            (path, Some(json!({ "fields": { "body": "rings at noon" } })))
        }
        (_, "/v1/customers/{id}/relations") => {
            (path, Some(json!({ "name": "enquiry", "act": "touch" })))
        }
        ("POST" | "PUT", "/v1/customers") => (path, Some(row)),
        ("PUT", _) => (path, Some(row)),
        _ => (path, None),
    };
    (path.replace("{id}", &id), body)
}

/// Calls about keys and places.
async fn apart_from_customers(
    shop: &Shop,
    method: &str,
    path: &str,
) -> Option<(String, Option<Value>)> {
    if path.starts_with("/v1/keys/{id}") {
        let spare = json!({ "name": "spare", "role": "desk" });
        let spare = shop.as_operator("POST", "/v1/keys", Some(spare)).await;
        let id = spare.json["id"].as_str().unwrap().to_owned();
        if path.ends_with("/enable") {
            shop.as_operator("POST", &format!("/v1/keys/{id}/disable"), None).await;
        }
        return Some((path.replace("{id}", &id), None));
    }
    if path.starts_with("/v1/webhooks/{hook}") {
        let [(_, on), (_, off)] = hook_names(shop).await;
        let id = if path.ends_with("/enable") { off } else { on };
        let body = path.ends_with("/replay").then(|| json!({ "since": "2026-11-21T10:00:00Z" }));
        return Some((path.replace("{hook}", &id), body));
    }
    let body = match (method, path) {
        ("POST", "/v1/webhooks") => json!({ "url": "https://shop.example/hooks" }),
        ("POST", "/v1/keys") => json!({ "name": "one more", "role": "desk" }),
        ("PUT", "/v1/places/{name}") => json!({ "kind": "paper_box", "owner": "desk" }),
        ("POST", "/v1/places/{name}/close") => json!({ "evidence": "ticket 4" }),
        _ => return None,
    };
    Some((path.replace("{name}", "cabinet"), Some(body)))
}

fn merge_of(other: &str) -> Value {
    json!({ "other": other, "other_version": 1 })
}
