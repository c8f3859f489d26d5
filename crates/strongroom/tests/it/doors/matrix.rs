//! Who may call what: every route of the server, every kind of caller, each answer written by hand
//! from `examples/shop/policy.toml`.

mod quiet;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use strongroom::ctx::Outcome;
use strongroom::jobs;
use strongroom::router::openapi;

use self::quiet::QUIET;
use crate::outlets::{outward_names, send_body, share_body};
use crate::support::{Answer, POLICY, Shop, person, send};
use crate::webhooks::hook_names;

#[test]
fn every_route_stands_in_the_matrix() {
    let document = serde_json::to_value(openapi()).unwrap();
    // The description of all routes is the one route it does not describe.
    let mut routes = BTreeSet::from([("GET".to_owned(), "/v1/openapi.json".to_owned())]);
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|it| METHODS.contains(&it.as_str())) {
            routes.insert((method.to_uppercase(), path.clone()));
        }
    }
    let rows: BTreeSet<(String, String)> = rows().into_iter().map(Row::name).collect();
    let cure = "write what each caller is answered into MATRIX, and how to call it into `request`";
    assert_eq!(routes.difference(&rows).collect::<Vec<_>>(), [] as [&_; 0], "no entry; {cure}");
    assert_eq!(rows.difference(&routes).collect::<Vec<_>>(), [] as [&_; 0], "no such route");
}

#[test]
fn routes_without_an_entry_are_few_and_have_a_reason() {
    let quiet: BTreeSet<(String, String)> = QUIET
        .iter()
        .map(|(route, reason)| {
            assert!(reason.len() > 20, "{route} needs a reason");
            let (method, path) = route.split_once(' ').unwrap();
            (method.to_owned(), path.to_owned())
        })
        .collect();
    assert!(quiet.len() <= 12, "specs/ledger.md allows twelve");
    let marked = rows().into_iter().filter(|row| !row.leaves_entry).map(Row::name).collect();
    assert_eq!(quiet, marked, "the marks in MATRIX and the reviewed list are the same");
}

#[tokio::test]
async fn each_caller_is_answered_as_the_policy_says() {
    let mut wrong = Vec::new();
    let other = Shop::open().await;
    for row in rows() {
        let mut scene = Scene::open(&other.keys["admin"]).await;
        for (place, caller) in CALLERS.into_iter().enumerate() {
            let expected = row.statuses[place];
            if (row.method, row.path) == ("POST", "/v1/policy") {
                // While one waits, another is not applied.
                scene.shop.as_operator("DELETE", "/v1/policy/pending", None).await;
            }
            let before = scene.shop.ledger_size();
            let answer = scene.call(&row, caller).await;
            let name = format!("{} {} by {caller}", row.method, row.path);
            if answer.status.as_u16() != expected {
                let got = answer.status;
                wrong.push(format!("{name}: {got} instead of {expected}: {}", answer.json));
                continue;
            }
            if let Some(flaw) = scene.ledger_flaw(&row, caller, &answer, before).await {
                wrong.push(format!("{name}: {flaw}"));
            }
            if answer.status.is_success() && row.is_sealing() {
                break;
            }
            if answer.status.is_success() && row.leaves_entry && !row.is_by_link() {
                scene.renew(caller).await;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_purpose_that_the_key_or_the_grant_lacks_is_refused() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    let narrow = shop.client_with(&shop.new_key("shop", &["delivery"]).await);
    let none = shop.client_with(&shop.new_key("shop", &[]).await);
    let desk = shop.client("desk");
    let cases = [
        (&narrow, "support", "name", "purpose_missing"),
        (&narrow, "delivery", "phone", "grant_missing"),
        (&none, "support", "name", "purpose_missing"),
        (&desk, "delivery", "name", "grant_missing"),
        (&desk, "support", "date_of_birth", "grant_missing"),
        (&desk, "support", "shoe_size", "field_unknown"),
        (&desk, "marketing", "name", "purpose_missing"),
        (&desk, "", "name", "purpose_missing"),
    ];
    let reveal = json!({ "fields": ["name"], "reason": "customer called" });
    for (client, purpose, field, code) in cases {
        let path = format!("/v1/customers/{id}?fields=name,{field}");
        let before = shop.ledger_size();
        let headers = [("strongroom-purpose", purpose)];
        let answer = client.call_plain("GET", &path, None, &headers).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (403, code), "{purpose} {field}");
        assert!(answer.json.get("fields").is_none());
        assert_eq!(shop.ledger_size(), before + 1, "the refusal is an entry");
    }
    // Of two nobody knows which was meant.
    let twice = [("strongroom-purpose", "support"), ("strongroom-purpose", "delivery")];
    let read = format!("/v1/customers/{id}?fields=name");
    let answer = desk.call_plain("GET", &read, None, &twice).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, "purpose_missing"), "{answer:?}");
    let path = format!("/v1/customers/{id}/reveal");
    for client in [&narrow, &none] {
        assert_eq!(client.call("POST", &path, Some(reveal.clone())).await.status, 403);
    }
    let unsaid = narrow.call_plain("POST", &path, Some(reveal), &[]).await;
    assert_eq!((unsaid.status.as_u16(), unsaid.code()), (400, "purpose_missing"));
}

#[tokio::test]
async fn a_hundred_strangers_write_one_entry_together() {
    let shop = Shop::open().await;
    let before = shop.ledger_size();
    for number in 0..100 {
        let key = format!("Bearer sr_live_{number}");
        let headers = [("authorization", key.as_str())];
        let headers = if number % 2 == 0 { &headers[..] } else { &[] };
        let path = "/v1/customers/cus_00000000000000000000000000?fields=name";
        assert_eq!(send(shop.router(), "GET", path, None, headers, false).await.status, 401);
    }
    assert_eq!(shop.ledger_size(), before, "strangers do not grow the log");
    jobs::run_once(&shop.desk()).await;
    jobs::run_once(&shop.desk()).await;
    let entries = shop.entries_from(before).await;
    let summaries: Vec<u64> =
        entries.iter().filter(|it| it.verb == "auth.strangers").map(|it| it.count).collect();
    assert_eq!(summaries, [100], "one summary, once");
}

/// A hundred a second for an hour, the clock moved by hand: each minute some come through the door, the
/// others are counted where the door counts them.
#[tokio::test]
async fn a_hundred_strangers_a_second_for_an_hour_do_not_grow_the_log() {
    let shop = Shop::open().await;
    let (before, desk) = (shop.ledger_size(), shop.desk());
    for _ in 0..60 {
        for _ in 0..10 {
            let answer = send(shop.router(), "GET", "/v1/keys", None, &[], false).await;
            assert_eq!(answer.status, 401);
        }
        (10..6_000).for_each(|_| desk.strangers.count(None));
        let within = shop.ledger_size();
        shop.clock.pass_ms(60_000);
        jobs::run_once(&desk).await;
        assert_eq!(shop.ledger_size(), within + 1, "one summary a minute");
    }
    let entries = shop.entries_from(before).await;
    assert!(entries.len() == 60 && entries.iter().all(|it| it.verb == "auth.strangers"));
    assert_eq!(entries.iter().map(|it| it.count).sum::<u64>(), 360_000);
}

#[tokio::test]
async fn refusals_of_one_caller_do_not_flood_the_ledger() {
    let shop = Shop::open().await;
    let before = shop.ledger_size();
    for _ in 0..200 {
        assert_eq!(shop.call("desk", "GET", "/v1/keys", None).await.status, 403);
    }
    assert_eq!(shop.ledger_size() - before, 120, "so many a minute");
    shop.clock.pass_ms(60_000);
    assert_eq!(shop.call("desk", "GET", "/v1/keys", None).await.status, 403);
    let newest = shop.entries_from(before + 120).await;
    assert_eq!((newest.len(), newest[0].count), (1, 80), "the dropped ones are counted");
}

/// One line of the matrix.
#[derive(Clone)]
struct Row {
    method: &'static str,
    path: &'static str,
    statuses: Vec<u16>,
    leaves_entry: bool,
}

impl Row {
    fn name(self) -> (String, String) {
        (self.method.to_owned(), self.path.to_owned())
    }

    /// Whoever holds the link may, with a key or without.
    fn is_by_link(&self) -> bool {
        ["/v1/shares/open", "/share/{secret}"].contains(&self.path)
    }

    fn is_sealing(&self) -> bool {
        self.path == "/v1/seal"
    }
}

fn rows() -> Vec<Row> {
    let read = |line: &'static str| {
        let words: Vec<&'static str> = line.split_whitespace().collect();
        let [method, path, statuses @ .., entry] = words.as_slice() else { panic!("{line}") };
        let statuses: Vec<u16> = statuses.iter().map(|status| status.parse().unwrap()).collect();
        assert_eq!(statuses.len(), CALLERS.len(), "{line}");
        assert!(["entry", "none"].contains(entry), "{line}");
        Row { method, path, statuses, leaves_entry: *entry == "entry" }
    };
    MATRIX.lines().filter(|line| !line.trim().is_empty()).map(read).collect()
}

/// A shop in which every call can succeed once.
struct Scene {
    shop: Shop,
    number: usize,
    keys: BTreeMap<&'static str, String>,
    names: BTreeMap<&'static str, String>,
}

impl Scene {
    /// With a key of another installation as the unknown one.
    async fn open(unknown: &str) -> Self {
        let shop = Shop::open().await;
        let mut keys = BTreeMap::new();
        keys.insert("malformed", "sr_live_123".to_owned());
        keys.insert("unknown", unknown.to_owned());
        keys.insert("revoked", shop.new_key("admin", &["support"]).await);
        let ended = shop.client_with(&keys["revoked"]).call("DELETE", "/v1/keys/own", None).await;
        assert_eq!(ended.status, 204, "{:?}", ended.json);
        let short = json!({ "name": "short", "role": "admin", "purposes": ["support"], "days": 1 });
        let short = shop.as_operator("POST", "/v1/keys", Some(short)).await;
        keys.insert("expired", short.json["secret"].as_str().unwrap().to_owned());
        shop.clock.pass_ms(2 * 86_400_000);
        let mut scene = Self { shop, number: 0, keys, names: BTreeMap::new() };
        scene.renew("nobody").await;
        scene
    }

    /// Things to call about, none of which was touched yet; a new key for the caller, who may have
    /// ended its own.
    async fn renew(&mut self, caller: &'static str) {
        let shop = &mut self.shop;
        if let Some(key) = shop.keys.get(caller).cloned() {
            let alive = shop.client_with(&key).call("GET", "/v1/policy", None).await;
            if alive.status == 401 {
                let key = shop.new_key(caller, &["support", "delivery"]).await;
                shop.keys.insert(caller, key);
            }
        }
        let shop = &self.shop;
        let known = Some(person(8_000 + self.number));
        let known = shop.call("shop", "PUT", "/v1/customers/ref/shop/known-1", known).await;
        assert!(known.status.is_success(), "{known:?}");
        for name in ["customer", "held", "asked", "goes"] {
            self.number += 1;
            self.names.insert(name, shop.customer(self.number).await);
        }
        self.number += 1;
        let recorded = shop.customer(self.number).await;
        let records = format!("/v1/customers/{recorded}/records");
        let token = json!({ "customer": recorded, "field": "name" });
        let token = shop.call("shop", "POST", "/v1/tokens", Some(token)).await;
        self.names.insert("token", token.json["tokens"][0].as_str().unwrap().to_owned());
        self.names.insert("recorded", recorded);
        for (kind, field) in [("invoice", "number"), ("message", "body")] {
            let body = json!({ "kind": kind, "fields": { field: "4711" } });
            let added = shop.call("shop", "POST", &records, Some(body)).await;
            self.names.insert(kind, added.json["id"].as_str().unwrap().to_owned());
        }
        let held = format!("/v1/customers/{}/hold", self.names["held"]);
        let placed = shop.as_operator("PUT", &held, Some(json!({ "reason": "case 7" }))).await;
        assert_eq!(placed.status, 204, "{:?}", placed.json);
        let asked = format!("/v1/customers/{}", self.names["asked"]);
        assert_eq!(shop.call("privacy", "DELETE", &asked, None).await.status, 202);
        let wider =
            POLICY.replacen("per_day = 30 }", &format!("per_day = {} }}", 30 + self.number), 1);
        let wider = json!({ "policy": wider });
        let waits = shop.as_operator("POST", "/v1/policy", Some(wider)).await;
        assert!([200, 409].contains(&waits.status.as_u16()), "{:?}", waits.json);
        let hash = format!("{:064x}", self.number);
        let begin = json!({ "file_sha256": hash, "map_sha256": hash });
        let begun = shop.call("importer", "POST", "/v1/imports", Some(begin)).await;
        self.names.insert("import", begun.json["id"].as_str().unwrap().to_owned());
        let verified = shop.verify().await;
        self.names.insert("verification", verified["id"].as_str().unwrap().to_owned());
        let cabinet = json!({ "kind": "paper_box", "owner": "front desk" });
        shop.as_operator("PUT", "/v1/places/cabinet", Some(cabinet)).await;
        let map = Some(json!({ "columns": [] }));
        let kept = shop.call("importer", "PUT", "/v1/imports/maps/old-shop", map).await;
        assert_eq!(kept.status, 204, "{:?}", kept.json);
        let left = outward_names(shop, &self.names["customer"]).await;
        self.names.extend(left);
        self.names.extend(hook_names(shop).await);
        let spare = json!({ "name": "spare", "role": "desk" });
        let spare = shop.as_operator("POST", "/v1/keys", Some(spare)).await;
        self.names.insert("key", spare.json["id"].as_str().unwrap().to_owned());
        let off = json!({ "name": "off", "role": "desk" });
        let off = shop.as_operator("POST", "/v1/keys", Some(off)).await;
        let off = off.json["id"].as_str().unwrap().to_owned();
        let disabled = shop.as_operator("POST", &format!("/v1/keys/{off}/disable"), None).await;
        assert_eq!(disabled.status, 204, "{:?}", disabled.json);
        self.names.insert("key that is off", off);
    }

    async fn call(&self, row: &Row, caller: &str) -> Answer {
        let (path, body) = self.request(row);
        let key = self.keys.get(caller).or_else(|| self.shop.keys.get(caller));
        let key = key.map(|key| format!("Bearer {key}"));
        // What may be shared is what a role sees in clear.
        let purpose = if row.path == "/v1/shares" { "delivery" } else { "support" };
        let mut headers = vec![("strongroom-purpose", purpose), ("if-match", "\"1\"")];
        headers.extend(key.as_deref().map(|key| ("authorization", key)));
        let answer = send(self.shop.router(), row.method, &path, body, &headers, false).await;
        if answer.status == 202 && row.path == "/v1/ledger/verify" {
            self.shop.verified(&answer).await;
        }
        answer
    }

    /// A call of this route that succeeds for whoever may make it.
    fn request(&self, row: &Row) -> (String, Option<Value>) {
        let name = match (row.method, row.path) {
            ("DELETE", "/v1/customers/{id}/hold") => "held",
            (_, "/v1/customers/{id}/erasure") => "asked",
            (_, "/v1/keys/{id}" | "/v1/keys/{id}/disable") => "key",
            (_, "/v1/keys/{id}/enable") => "key that is off",
            (_, "/v1/imports/{id}/rows") => "import",
            (_, "/v1/ledger/verify/{id}") => "verification",
            (_, path) if path.starts_with("/v1/customers/{id}/records") => "recorded",
            _ => "customer",
        };
        let fresh = format!("order-{}", self.number);
        let path = row
            .path
            .replace("{id}", &self.names[name])
            .replace("{source}", "shop")
            .replace("{reference}", if row.method == "GET" { "known-1" } else { &fresh })
            .replace("{name}", if row.path.contains("/maps/") { "old-shop" } else { "cabinet" })
            .replace("{outlet}", "parcel-news")
            .replace("{send}", &self.names["send"])
            .replace("{share}", &self.names["share"])
            .replace("{secret}", &self.names["secret"])
            .replace("{purpose}", "marketing")
            .replace(
                "{record}",
                &self.names[if row.method == "PATCH" { "message" } else { "invoice" }],
            )
            .replace(
                "{hook}",
                &self.names[if row.path.ends_with("/enable") { "hook off" } else { "hook on" }],
            )
            .replace("{index}", "0")
            .replace("{level}/{place}", "0/000.p/1")
            .replace("{place}", "000.p/1");
        let path = match (row.method, row.path) {
            ("GET", "/v1/customers/{id}" | "/v1/customers/ref/{source}/{reference}") => {
                path + "?fields=name,email"
            }
            ("GET", "/v1/customers/{id}/records" | "/v1/customers/{id}/records/{record}") => {
                path + "?fields=invoice.number"
            }
            (_, "/v1/access/who") => path + "?field=email",
            _ => path,
        };
        (path, self.body(row))
    }

    fn body(&self, row: &Row) -> Option<Value> {
        let fresh = person(9_000 + self.number);
        let mut import_row = fresh.clone();
        import_row["line"] = json!(1);
        let hash = format!("{:064x}", 9_000 + self.number);
        let body = match (row.method, row.path) {
            ("POST", "/v1/keys") => json!({ "name": "one more", "role": "desk" }),
            ("POST", "/v1/policy") => {
                json!({ "policy": POLICY.replacen("per_day = 5000", "per_day = 4999", 1) })
            }
            ("POST", "/v1/webhooks") => json!({ "url": "https://shop.example/hooks" }),
            (_, "/v1/webhooks/{hook}/replay") => json!({ "since": "2026-11-21T10:00:00Z" }),
            ("POST", "/v1/policy/check") => json!({ "policy": POLICY }),
            ("POST", "/v1/rotations") => json!({ "what": "root" }),
            (_, "/v1/access/why") => {
                json!({ "role": "desk", "purpose": "support", "field": "email", "wish": "read" })
            }
            ("PUT", "/v1/customers/{id}/hold") => json!({ "reason": "case 8" }),
            (_, "/v1/ledger/scope") => json!({ "actor": "operator",
                "from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z" }),
            ("POST", "/v1/customers") | ("PUT", "/v1/customers/ref/{source}/{reference}") => fresh,
            (_, "/v1/customers:batch") => {
                let mut item = fresh;
                item["ref"] = json!(format!("shop/{}", self.number));
                json!({ "items": [item] })
            }
            (_, "/v1/customers/lookup") => json!({ "email": "ada.1@mail.example" }),
            ("PATCH", "/v1/customers/{id}") => json!({ "fields": { "note": "rings at noon" } }),
            (_, "/v1/customers/{id}/reveal") => {
                json!({ "fields": ["name"], "reason": "customer called" })
            }
            (_, "/v1/customers/{id}/records") => {
                json!({ "kind": "invoice", "fields": { "number": "4712" } })
            }
            ("PATCH", "/v1/customers/{id}/records/{record}") => {
                json!({ "fields": { "body": "rings at noon" } })
            }
            (_, "/v1/customers/{id}/records/{record}/reveal") => {
                json!({ "fields": ["invoice.number"], "reason": "return" })
            }
            (_, "/v1/customers/{id}/merge") => {
                json!({ "other": self.names["goes"], "other_version": 1 })
            }
            (_, "/v1/tokens") => json!({ "customer": self.names["customer"], "field": "name" }),
            (_, "/v1/tokens/detokenize") => json!({ "token": self.names["token"] }),
            (_, "/v1/customers/{id}/relations") => json!({ "name": "enquiry", "act": "touch" }),
            (_, "/v1/outlets/{outlet}/send") => send_body(&self.names["customer"]),
            ("POST", "/v1/shares") => share_body(&self.names["customer"]),
            (_, "/v1/shares/open") => json!({ "secret": self.names["secret"] }),
            ("PUT", "/v1/places/{name}") => json!({ "kind": "paper_box", "owner": "front desk" }),
            (_, "/v1/places/{name}/close") => json!({ "evidence": "ticket 4" }),
            (_, "/v1/customers/read") => {
                json!({ "ids": [self.names["customer"]], "fields": ["name", "email"] })
            }
            ("PUT", "/v1/customers/{id}/consents/{purpose}") => json!({ "how": "phone" }),
            (_, "/v1/exports") => json!({ "fields": ["name"] }),
            ("PUT", "/v1/imports/maps/{name}") => json!({ "columns": [] }),
            (_, "/v1/imports") => json!({ "file_sha256": hash, "map_sha256": hash }),
            (_, "/v1/imports/{id}/rows") => json!({ "first": 0, "rows": [import_row] }),
            (_, "/v1/imports/dry-run") => json!({ "rows": [import_row] }),
            _ => return None,
        };
        Some(body)
    }

    /// What is wrong with the entries a call left behind.
    async fn ledger_flaw(
        &self,
        row: &Row,
        caller: &str,
        answer: &Answer,
        before: u64,
    ) -> Option<String> {
        let entries = self.shop.entries_from(before).await;
        let expected = match answer.status.as_u16() {
            401 => None,
            403 => Some(Outcome::Refused),
            _ if row.leaves_entry => Some(Outcome::Ok),
            _ => None,
        };
        // A verification ends with an entry of its own; whoever holds a link acts for nobody.
        let of_calls =
            entries.iter().filter(|it| row.is_by_link() || !it.actor.starts_with("system:"));
        let outcomes: Vec<Outcome> = of_calls.map(|it| it.outcome).collect();
        if outcomes != expected.into_iter().collect::<Vec<_>>() {
            return Some(format!("left the entries {outcomes:?} instead of {expected:?}"));
        }
        let entry = entries.first()?;
        let known = if row.is_by_link() { "system:share.open" } else { "key_" };
        if !entry.actor.starts_with(known) {
            return Some(format!("its entry names {} instead of {caller}'s key", entry.actor));
        }
        let has_receipt = answer.headers.contains_key("strongroom-receipt");
        (expected == Some(Outcome::Ok) && (!has_receipt || answer.index() != before))
            .then(|| "its receipt does not name its entry".to_owned())
    }
}

/// The columns of the matrix: five that are nobody, and the roles of the policy.
const CALLERS: [&str; 10] = [
    "nobody",
    "malformed",
    "unknown",
    "expired",
    "revoked",
    "shop",
    "desk",
    "importer",
    "privacy",
    "admin",
];

const METHODS: [&str; 5] = ["delete", "get", "patch", "post", "put"];

/// By hand, from what each role `may` and the grants: who has no grant to see is refused, also where
/// there is nothing to be seen.
const MATRIX: &str = include_str!("matrix/expected.txt");
