//! What is put in, and through which door.

use serde_json::{Value, json};
use strongroom::jobs;

use super::{Aviary, Probe};

/// A customer with every field marked.
pub(super) struct Marked {
    pub(super) id: String,
    pub(super) email: Value,
    phone: Value,
}

/// Create, upsert, patch: kept, twice the same, refused.
pub(super) async fn customers(aviary: &mut Aviary) -> Marked {
    let relations = json!([{ "name": "enquiry" }, { "name": "purchase" }]);
    let fields = aviary.fields("create");
    let body = json!({ "relations": relations, "fields": fields });
    let made = aviary.send(Probe::new("shop", "POST", "/v1/customers").json(&body), 201).await;
    aviary.send(Probe::new("shop", "POST", "/v1/customers").json(&body), 409).await;
    let id = made.json["id"].as_str().unwrap().to_owned();

    let reference = format!("/v1/customers/ref/shop/7{}", aviary.word("upsert/reference"));
    for (door, status) in [("upsert", 201), ("upsert again", 200)] {
        let fields = aviary.fields(door);
        let body = json!({ "relations": relations, "fields": fields });
        aviary.send(Probe::new("shop", "PUT", &reference).json(&body), status).await;
    }
    let personal = format!("/v1/customers/ref/shop/{}", aviary.word("upsert/personal reference"));
    let body = json!({ "relations": relations });
    aviary.send(Probe::new("shop", "PUT", &personal).json(&body), 422).await;

    let batched = aviary.fields("batch");
    let mut bad = aviary.fields("batch refused");
    bad["phone"] = json!(aviary.word("batch refused/phone"));
    let personal = aviary.email("batch refused/reference");
    let items = json!([
        { "ref": "shop/88001", "relations": relations, "fields": batched },
        { "ref": "shop/88002", "relations": relations, "fields": bad },
        { "ref": personal, "relations": relations },
    ]);
    let body = json!({ "items": items });
    aviary.send(Probe::new("shop", "POST", "/v1/customers:batch").json(&body), 200).await;

    // What a caller takes for a key may be anything.
    let key = aviary.email("idempotency key");
    let body = json!({ "relations": relations, "fields": aviary.fields("create once") });
    let probe = || Probe::new("shop", "POST", "/v1/customers").header("idempotency-key", &key);
    for _ in 0..2 {
        aviary.send(probe().json(&body), 201).await;
    }
    let other = json!({ "relations": relations, "fields": aviary.fields("create once, other") });
    aviary.send(probe().json(&other), 422).await;

    let path = format!("/v1/customers/{id}");
    let (name, note) = (aviary.name("patch/name"), aviary.name("patch/note"));
    let patch = json!({ "fields": { "name": name, "note": note } });
    let probe = Probe::new("shop", "PATCH", &path).json(&patch).header("if-match", "\"1\"");
    aviary.send(probe, 200).await;
    let patch = json!({ "fields": { "name": aviary.name("patch stale/name") } });
    let probe = Probe::new("shop", "PATCH", &path).json(&patch).header("if-match", "\"1\"");
    aviary.send(probe, 412).await;

    refused(aviary).await;
    Marked { id, email: fields["email"].clone(), phone: fields["phone"].clone() }
}

/// Values that are refused, at create.
async fn refused(aviary: &mut Aviary) {
    let name = "create refused/value";
    let words: Vec<String> = (0..16).map(|_| aviary.word(name)).collect();
    let card = "4242 4242 4242 4242";
    aviary.canaries.mark("create refused/card", card);
    aviary.canaries.mark("create refused/card", "4242424242424242");
    let fields = [
        json!({ "name": format!("\u{202e}{}", words[0]) }),
        json!({ "name": format!("a\u{200b}{}", words[1]) }),
        json!({ "name": format!("nul\0{}", words[2]) }),
        json!({ "name": [words[3]] }),
        json!({ "email": format!("{} at home", words[4]) }),
        json!({ "phone": format!("call {}", words[5]) }),
        json!({ "date_of_birth": format!("in {}", words[6]) }),
        json!({ "address": words[7] }),
        json!({ "address": { "lines": [words[8]], "country": words[8] } }),
        json!({ "address": { "lines": ["x"], words[9].clone(): words[9] } }),
        json!({ words[10].clone(): "a value in the wrong place" }),
        json!({ "shoe_size": words[11] }),
        json!({ "note": format!("{} pays by {card}", words[12]) }),
        json!({ "name": format!("{} 4242424242424242", words[13]) }),
        json!({ "address": { "lines": ["4242 4242", "4242 4242"], "city": words[14] } }),
        json!({ "note": words[15].repeat(500) }),
    ];
    for fields in fields {
        let relations = json!([{ "name": "enquiry" }, { "name": "purchase" }]);
        let body = json!({ "relations": relations, "fields": fields });
        aviary.send(Probe::new("shop", "POST", "/v1/customers").json(&body), 422).await;
    }
    let unknown = aviary.word("create refused/relation");
    let body = json!({ "relations": [{ "name": unknown }] });
    aviary.send(Probe::new("shop", "POST", "/v1/customers").json(&body), 422).await;
    let time = aviary.word("create refused/time");
    let body = json!({ "relations": [{ "name": "enquiry", "last": time }] });
    aviary.send(Probe::new("shop", "POST", "/v1/customers").json(&body), 422).await;
}

/// What is typed to find somebody by the beginnings of words: hit, missed, refused.
pub(super) async fn words(aviary: &mut Aviary) {
    let delivery = ("strongroom-purpose", "delivery");
    let look_up = |body: Value| {
        let probe = Probe::new("shop", "POST", "/v1/customers/lookup").json(&body);
        probe.header(delivery.0, delivery.1)
    };
    let name = aviary.word("words/name");
    let relations = json!([{ "name": "enquiry" }]);
    let body = json!({ "relations": relations, "fields": { "name": name } });
    let made = aviary.send(Probe::new("shop", "POST", "/v1/customers").json(&body), 201).await;
    let typed: String = name.chars().take(9).collect();
    aviary.canaries.mark("words/typed", &typed);
    let found = aviary.send(look_up(json!({ "name": typed })), 200).await;
    assert_eq!(found.json["customers"], json!([made.json["id"]]));
    let missed = aviary.name("words missed/name");
    aviary.send(look_up(json!({ "name": missed })), 200).await;
    let city = aviary.word("words missed/city");
    aviary.send(look_up(json!({ "address": city })), 200).await;
    let long = format!("{} ", aviary.word("words refused/long")).repeat(9);
    aviary.send(look_up(json!({ "name": long })), 422).await;
    let list = [aviary.word("words refused/list")];
    aviary.send(look_up(json!({ "name": list })), 422).await;
    jobs::index_words(&aviary.shop.desk()).await.unwrap();
}

/// Look-up, masked and clear reads, reveals, who looked.
pub(super) async fn looks(aviary: &mut Aviary, customer: &Marked) {
    let look_up = |body: Value| Probe::new("desk", "POST", "/v1/customers/lookup").json(&body);
    for (field, value) in [("email", &customer.email), ("phone", &customer.phone)] {
        let found = aviary.send(look_up(json!({ field: value })), 200).await;
        assert_eq!(found.json["customers"], json!([customer.id]));
    }
    let missed = aviary.email("look-up missed/email");
    aviary.send(look_up(json!({ "email": missed })), 200).await;
    let phone = aviary.phone("look-up missed/phone");
    aviary.send(look_up(json!({ "phone": phone })), 200).await;
    let bad = aviary.word("look-up refused/email");
    aviary.send(look_up(json!({ "email": bad })), 422).await;
    let name = aviary.name("look-up refused/name");
    aviary.send(look_up(json!({ "name": name })), 403).await;
    let field = aviary.word("look-up refused/field");
    aviary.send(look_up(json!({ field: "x" })), 403).await;

    let path = format!("/v1/customers/{}", customer.id);
    let masked = format!("{path}?fields=name,email,phone,address,note");
    for role in ["shop", "desk"] {
        aviary.send(Probe::new(role, "GET", &masked), 200).await;
    }
    let page = |body: Value| Probe::new("desk", "POST", "/v1/customers/read").json(&body);
    let fields = ["name", "email", "phone", "address", "note"];
    aviary.send(page(json!({ "ids": [customer.id], "fields": fields })), 200).await;
    let bad = aviary.email("page refused/id");
    aviary.send(page(json!({ "ids": [bad], "fields": fields })), 400).await;
    let field = aviary.word("page refused/field");
    aviary.send(page(json!({ "ids": [customer.id], "fields": [field] })), 403).await;
    // What was there before the patch must not come back either.
    let clear = Probe::new("shop", "GET", &format!("{path}?fields=name,address"))
        .header("strongroom-purpose", "delivery")
        .may_show(&["patch/name", "create/address"]);
    let shown = aviary.send(clear, 200).await;
    assert!(shown.json["fields"]["name"].as_str().unwrap().starts_with("Zoë"));
    let reveal = |body: Value| Probe::new("desk", "POST", &format!("{path}/reveal")).json(&body);
    let why = json!({ "fields": ["email", "note"], "reason": "return", "ticket": "T-77" });
    aviary.send(reveal(why).may_show(&["create/email", "patch/note"]), 200).await;
    let reason = aviary.name("reveal refused/reason");
    aviary.send(reveal(json!({ "fields": ["email"], "reason": reason })), 422).await;
    let ticket = aviary.email("reveal refused/ticket");
    let why = json!({ "fields": ["email"], "reason": "return", "ticket": ticket });
    aviary.send(reveal(why), 422).await;
    let field = aviary.word("reveal refused/field");
    aviary.send(reveal(json!({ "fields": [field], "reason": "return" })), 403).await;

    aviary.send(Probe::new("shop", "GET", &format!("{path}/ledger")), 200).await;
    let actor = aviary.name("scope/actor");
    let span = json!({ "actor": actor, "from": "2026-01-01T00:00:00Z",
        "to": "2027-01-01T00:00:00Z" });
    aviary.send(Probe::new("privacy", "POST", "/v1/ledger/scope").json(&span), 200).await;
    let mut paged = span;
    paged["cursor"] = json!(aviary.word("scope/cursor"));
    aviary.send(Probe::new("privacy", "POST", "/v1/ledger/scope").json(&paged), 400).await;
    let path = format!("/v1/ledger/verify/{}", aviary.word("verification/id"));
    aviary.send(Probe::new("privacy", "GET", &path), 400).await;
    aviary.send(Probe::new("privacy", "POST", "/v1/ledger/verify"), 202).await;
}

/// Records: kept, listed, revealed, changed, refused.
pub(super) async fn records(aviary: &mut Aviary, id: &str) {
    let path = format!("/v1/customers/{id}/records");
    let (name, number) = (aviary.name("record/name"), aviary.word("record/number"));
    let fields = json!({ "billing_name": name, "number": number });
    let body = json!({ "kind": "invoice", "fields": fields });
    let made = aviary.send(Probe::new("shop", "POST", &path).json(&body), 201).await;
    let invoice = format!("{path}/{}", made.json["id"].as_str().unwrap());
    let all = "fields=invoice.billing_name,invoice.number";
    aviary.send(Probe::new("desk", "GET", &format!("{path}?{all}")), 200).await;
    aviary.send(Probe::new("desk", "GET", &format!("{invoice}?{all}")), 200).await;
    let clear = Probe::new("shop", "GET", &format!("{path}?fields=invoice.number"));
    aviary.send(clear.may_show(&["record/number"]), 200).await;
    let why = json!({ "fields": ["invoice.billing_name"], "reason": "return" });
    let reveal = Probe::new("desk", "POST", &format!("{invoice}/reveal")).json(&why);
    aviary.send(reveal.may_show(&["record/name"]), 200).await;
    let patch = json!({ "fields": { "number": aviary.word("record patch refused") } });
    let patch = Probe::new("shop", "PATCH", &invoice).json(&patch).header("if-match", "\"1\"");
    aviary.send(patch, 409).await;

    let body = aviary.name("record/message");
    let body = json!({ "kind": "message", "fields": { "body": body } });
    let made = aviary.send(Probe::new("shop", "POST", &path).json(&body), 201).await;
    let message = format!("{path}/{}", made.json["id"].as_str().unwrap());
    let patch = json!({ "fields": { "body": aviary.name("record/message patched") } });
    let patch = Probe::new("shop", "PATCH", &message).json(&patch).header("if-match", "\"1\"");
    aviary.send(patch, 200).await;

    let word = aviary.word("record refused");
    for body in [
        json!({ "kind": word, "fields": { "number": "1" } }),
        json!({ "kind": "invoice", "issued": word, "fields": { "number": "1" } }),
        json!({ "kind": "invoice", "fields": { word.clone(): "1" } }),
        json!({ "kind": "invoice", "fields": { "total": word } }),
    ] {
        aviary.send(Probe::new("shop", "POST", &path).json(&body), 422).await;
    }
    let body = json!({ "kind": "invoice", "corrects": word, "fields": { "number": "1" } });
    aviary.send(Probe::new("shop", "POST", &path).json(&body), 400).await;
    aviary.send(Probe::new("shop", "GET", &format!("{path}?fields={word}")), 400).await;
    aviary.send(Probe::new("shop", "GET", &format!("{path}/{word}?{all}")), 400).await;
}

/// Two who are one: whose values stay, and those that do not.
pub(super) async fn merges(aviary: &mut Aviary) {
    let mut ids = Vec::new();
    for name in ["merge stays", "merge goes"] {
        let relations = json!([{ "name": "enquiry" }, { "name": "purchase" }]);
        let body = json!({ "relations": relations, "fields": aviary.fields(name) });
        let made = aviary.send(Probe::new("shop", "POST", "/v1/customers").json(&body), 201).await;
        let id = made.json["id"].as_str().unwrap().to_owned();
        let body = aviary.name(&format!("{name}/message"));
        let body = json!({ "kind": "message", "fields": { "body": body } });
        let path = format!("/v1/customers/{id}/records");
        aviary.send(Probe::new("shop", "POST", &path).json(&body), 201).await;
        ids.push(id);
    }
    let path = format!("/v1/customers/{}/merge", ids[0]);
    let word = aviary.word("merge refused");
    let merge =
        |body: Value| Probe::new("privacy", "POST", &path).json(&body).header("if-match", "\"2\"");
    let body = json!({ "other": word, "other_version": 2 });
    aviary.send(merge(body), 400).await;
    let body = json!({ "other": ids[1], "other_version": 2, "keep": { word: "this" } });
    aviary.send(merge(body), 422).await;
    let keep = json!({ "email": "other", "name": "this" });
    let body = json!({ "other": ids[1], "other_version": 2, "keep": keep });
    aviary.send(merge(body), 200).await;
    let read = format!("/v1/customers/{}?fields=name,email,phone,address", ids[0]);
    aviary.send(Probe::new("desk", "GET", &read), 200).await;
}

/// Tokens: made, shown masked and clear, refused.
pub(super) async fn tokens(aviary: &mut Aviary, id: &str) {
    let word = aviary.word("token refused");
    for (field, pinned) in [("name", true), ("email", false)] {
        let body = json!({ "customer": id, "field": field, "pinned": pinned });
        let make = Probe::new("shop", "POST", "/v1/tokens").json(&body).may_show(&["token made"]);
        let made = aviary.send(make, 200).await;
        let token = made.json["tokens"][0].as_str().unwrap().to_owned();
        // A token is known to its holder alone: it is searched for like a value.
        aviary.canaries.mark("token made", &token);
        let path = "/v1/tokens/detokenize";
        let body = json!({ "tokens": [token, word] });
        aviary.send(Probe::new("desk", "POST", path).json(&body), 200).await;
        let clear = Probe::new("shop", "POST", path).header("strongroom-purpose", "delivery");
        let clear = clear.json(&json!({ "token": token })).may_show(&["patch/name"]);
        aviary.send(clear, if field == "name" { 200 } else { 403 }).await;
    }
    for (body, status) in [
        (json!({ "customer": word, "field": "name" }), 400),
        (json!({ "customer": id, "field": word }), 422),
        (json!({ "customer": id, "field": "name", "consumer": format!("{word} & co") }), 422),
        (json!({ "customer": id, "field": "name", "expires": word }), 422),
    ] {
        aviary.send(Probe::new("shop", "POST", "/v1/tokens").json(&body), status).await;
    }
}

/// Rows that are taken, refused, and twins; first as a dry run.
pub(super) async fn imports(aviary: &mut Aviary) {
    let relations = json!([{ "name": "enquiry" }, { "name": "purchase" }]);
    let (one, other) = (aviary.fields("import"), aviary.fields("import twin"));
    let mut twin = other.clone();
    twin["email"] = one["email"].clone();
    let mut bad = aviary.fields("import refused");
    bad["phone"] = json!(aviary.word("import refused/phone"));
    bad[aviary.word("import refused/column").as_str()] = json!(aviary.word("import refused/cell"));
    let rows: Vec<Value> = [one, twin, bad]
        .into_iter()
        .zip(2..)
        .map(|(fields, line)| json!({ "line": line, "relations": relations, "fields": fields }))
        .collect();
    let body = json!({ "rows": rows });
    let tried =
        aviary.send(Probe::new("importer", "POST", "/v1/imports/dry-run").json(&body), 200).await;
    assert_eq!(tried.json["problems"].as_array().unwrap().len(), 2, "{}", tried.json);
    let begin = json!({ "file_sha256": "ab".repeat(32), "map_sha256": "cd".repeat(32) });
    let begun = aviary.send(Probe::new("importer", "POST", "/v1/imports").json(&begin), 200).await;
    let path = format!("/v1/imports/{}/rows", begun.json["id"].as_str().unwrap());
    let body = json!({ "first": 0, "rows": rows });
    let taken = aviary.send(Probe::new("importer", "POST", &path).json(&body), 200).await;
    assert_eq!(taken.json["created"], 1, "{}", taken.json);
    aviary.send(Probe::new("importer", "POST", &path).json(&body), 409).await;
    let hash = aviary.word("import refused/hash");
    let begin = json!({ "file_sha256": hash, "map_sha256": hash });
    aviary.send(Probe::new("importer", "POST", "/v1/imports").json(&begin), 400).await;
}

/// Policy, keys, holds: texts of the operator, refused.
pub(super) async fn texts(aviary: &mut Aviary, id: &str) {
    let word = aviary.word("policy refused/word");
    let bad =
        crate::support::POLICY.replacen("per_day = 5000", &format!("per_day = \"{word}\""), 1);
    for path in ["/v1/policy", "/v1/policy/check"] {
        let probe = Probe::new("admin", "POST", path).json(&json!({ "policy": bad }));
        aviary.send(probe.may_show(&["policy refused"]), 422).await;
    }
    let name = aviary.name("key refused/name");
    let body = json!({ "name": name, "role": "desk" });
    aviary.send(Probe::new("admin", "POST", "/v1/keys").json(&body), 422).await;
    let (role, purpose) = (aviary.word("key refused/role"), aviary.word("key refused/purpose"));
    let body = json!({ "name": "till", "role": role, "purposes": [purpose] });
    aviary.send(Probe::new("admin", "POST", "/v1/keys").json(&body), 422).await;
    let reason = aviary.name("hold refused/reason");
    let body = json!({ "reason": reason });
    let path = format!("/v1/customers/{id}/hold");
    aviary.send(Probe::new("admin", "PUT", &path).json(&body), 422).await;
    let owner = aviary.name("place refused/owner");
    let body = json!({ "kind": "laptop", "owner": owner });
    aviary.send(Probe::new("admin", "PUT", "/v1/places/laptop-7").json(&body), 422).await;
    let kind = aviary.word("place refused/kind");
    let body = json!({ "kind": kind, "owner": "front desk" });
    aviary.send(Probe::new("admin", "PUT", "/v1/places/laptop-7").json(&body), 422).await;
    let evidence = aviary.email("close refused/evidence");
    let body = json!({ "evidence": evidence });
    let path = "/v1/places/import-sources/close";
    aviary.send(Probe::new("admin", "POST", path).json(&body), 422).await;
    let origin = aviary.name("close unknown/origin");
    let body = json!({ "evidence": "ticket 4", "origin": origin });
    aviary.send(Probe::new("admin", "POST", path).json(&body), 404).await;
    for path in ["/v1/places", "/v1/places/import-sources/holdings"] {
        aviary.send(Probe::new("privacy", "GET", path), 200).await;
    }
    let span = json!({ "place": "import-sources", "from": "2026-01-01T00:00:00Z",
        "to": "2027-01-01T00:00:00Z" });
    aviary.send(Probe::new("privacy", "POST", "/v1/ledger/scope").json(&span), 200).await;
    let relation = aviary.word("relate refused/name");
    let path = format!("/v1/customers/{id}/relations");
    let body = json!({ "name": relation, "act": "touch" });
    aviary.send(Probe::new("desk", "POST", &path).json(&body), 422).await;
    let consent = format!("/v1/customers/{id}/consents/marketing");
    let how = aviary.name("consent refused/how");
    aviary.send(Probe::new("desk", "PUT", &consent).json(&json!({ "how": how })), 400).await;
    let body = json!({ "how": "form", "at": aviary.word("consent refused/at") });
    aviary.send(Probe::new("desk", "PUT", &consent).json(&body), 422).await;
    aviary.send(Probe::new("desk", "PUT", &consent).json(&json!({ "how": "form" })), 200).await;
    aviary.send(Probe::new("desk", "DELETE", &consent), 200).await;
    let act = aviary.word("relate refused/act");
    let body = json!({ "name": "enquiry", "act": act });
    aviary.send(Probe::new("desk", "POST", &path).json(&body), 400).await;
    // Why a decision falls is for whoever looks after the policy, in the words they asked with.
    let why = json!({ "role": aviary.word("why/asked"), "purpose": "support", "field": "email",
        "wish": "read" });
    let probe = Probe::new("admin", "POST", "/v1/access/why").json(&why);
    aviary.send(probe.may_show(&["why/asked"]), 200).await;
}

/// Bodies that are no JSON, or not the one that is asked for, at every door that takes one.
pub(super) async fn bodies(aviary: &mut Aviary, id: &str) {
    let doors = [
        ("shop", "POST", "/v1/customers".to_owned()),
        ("shop", "PUT", "/v1/customers/ref/shop/order-1".to_owned()),
        ("shop", "PATCH", format!("/v1/customers/{id}")),
        ("shop", "POST", "/v1/customers:batch".to_owned()),
        ("desk", "POST", "/v1/customers/lookup".to_owned()),
        ("desk", "POST", "/v1/customers/read".to_owned()),
        ("desk", "POST", format!("/v1/customers/{id}/reveal")),
        ("desk", "POST", format!("/v1/customers/{id}/relations")),
        ("desk", "PUT", format!("/v1/customers/{id}/consents/marketing")),
        ("shop", "POST", format!("/v1/customers/{id}/records")),
        ("shop", "PATCH", format!("/v1/customers/{id}/records/{NO_RECORD}")),
        ("desk", "POST", format!("/v1/customers/{id}/records/{NO_RECORD}/reveal")),
        ("admin", "POST", "/v1/webhooks".to_owned()),
        ("admin", "POST", "/v1/webhooks/hook_00000000000000000000000000/replay".to_owned()),
        ("shop", "POST", "/v1/tokens".to_owned()),
        ("privacy", "POST", format!("/v1/customers/{id}/merge")),
        ("desk", "POST", "/v1/tokens/detokenize".to_owned()),
        ("shop", "POST", "/v1/exports".to_owned()),
        ("importer", "POST", "/v1/imports".to_owned()),
        ("importer", "PUT", "/v1/imports/maps/old-shop".to_owned()),
        ("importer", "POST", "/v1/imports/dry-run".to_owned()),
        ("importer", "POST", "/v1/imports/imp_00000000000000000000000000/rows".to_owned()),
        ("privacy", "POST", "/v1/ledger/scope".to_owned()),
        ("admin", "POST", "/v1/policy".to_owned()),
        ("admin", "POST", "/v1/policy/check".to_owned()),
        ("admin", "POST", "/v1/keys".to_owned()),
        ("admin", "POST", "/v1/access/why".to_owned()),
        ("admin", "POST", "/v1/rotations".to_owned()),
        ("admin", "PUT", format!("/v1/customers/{id}/hold")),
        ("admin", "PUT", "/v1/places/laptop-7".to_owned()),
        ("shop", "POST", "/v1/outlets/parcel-news/send".to_owned()),
        ("shop", "POST", "/v1/shares".to_owned()),
        ("shop", "POST", "/v1/shares/open".to_owned()),
        ("admin", "POST", "/v1/places/laptop-7/close".to_owned()),
    ];
    for (role, method, path) in doors {
        let word = aviary.name(&format!("bad body/{method} {path}"));
        let quoted = json!(word).to_string();
        let mut not_text = word.clone().into_bytes();
        not_text.push(0xff);
        let bodies: Vec<Vec<u8>> = vec![
            word.clone().into_bytes(),
            quoted.clone().into_bytes(),
            format!("{{\"fields\":{quoted}").into_bytes(),
            format!("{{\"fields\":[{quoted}],{quoted}:{{{quoted}:1}}}}").into_bytes(),
            format!("{{{quoted}:1,{quoted}:2}}").into_bytes(),
            format!("{{\"a\":\"\\q{word}\"}}").into_bytes(),
            not_text,
        ];
        for body in bodies {
            let probe = Probe::new(role, method, &path).bytes(body).header("if-match", "\"1\"");
            aviary.send(probe, 400).await;
        }
    }
}

/// Values someone put into an address or a header by mistake.
pub(super) async fn addresses_and_headers(aviary: &mut Aviary, id: &str) {
    let word = aviary.word("address");
    let paths = [
        ("shop", "GET", format!("/v1/customers/{word}?fields=name"), 400),
        ("shop", "GET", format!("/v1/customers/{id}?fields={word}"), 403),
        ("shop", "GET", format!("/v1/customers/{id}?fields=name&email={word}"), 400),
        ("shop", "GET", format!("/v1/customers/{id}?{word}"), 400),
        ("shop", "GET", format!("/v1/customers/%ff{word}?fields=name"), 400),
        ("shop", "GET", format!("/v1/customers?email={word}%40mail.example"), 405),
        ("shop", "GET", format!("/v1/customers/{id}/ledger?limit={word}"), 400),
        ("shop", "GET", format!("/v1/customers/{id}/ledger?cursor={word}"), 400),
        ("shop", "GET", format!("/v1/ledger/proof/{word}"), 400),
        ("shop", "GET", format!("/{word}"), 404),
        ("shop", "POST", format!("/v1/customers/lookup/{word}"), 404),
        ("shop", "PUT", format!("/v1/customers/ref/{word}%20x/order-1"), 400),
        ("privacy", "GET", format!("/v1/places/{word}%40mail.example/holdings"), 422),
        ("privacy", "DELETE", format!("/v1/customers/{word}"), 400),
        ("privacy", "DELETE", format!("/v1/customers/{word}/erasure"), 400),
        ("desk", "GET", format!("/v1/customers/{word}/consents"), 400),
        ("desk", "DELETE", format!("/v1/customers/{id}/consents/{word}"), 422),
        ("admin", "DELETE", format!("/v1/keys/{word}"), 400),
        ("admin", "DELETE", format!("/v1/customers/{word}/hold"), 400),
        ("admin", "GET", format!("/v1/access/who?field={word}"), 404),
        ("nobody", "GET", format!("/v1/customers/{word}?fields={word}"), 401),
    ];
    for (role, method, path, status) in paths {
        aviary.send(Probe::new(role, method, &path), status).await;
    }
    let word = aviary.word("header");
    let read = format!("/v1/customers/{id}?fields=name");
    let get = || Probe::new("shop", "GET", &read);
    aviary.send(get().header("strongroom-purpose", &word), 403).await;
    aviary.send(get().header("authorization", &format!("Bearer {word}")), 401).await;
    aviary.send(get().header("authorization", &format!("Basic {word}")), 401).await;
    let almost = format!("{}{word}", aviary.shop.keys["shop"]);
    aviary.send(get().header("authorization", &format!("Bearer {almost}")), 401).await;
    aviary.send(get().header("strongroom-on-behalf-of", &word), 400).await;
    aviary.send(get().header("cookie", &format!("session={word}")), 200).await;
    aviary.send(get().header(&format!("x-{word}"), &word), 200).await;
    aviary.send(get().header("user-agent", &word), 200).await;
    aviary.send(get().header("referer", &format!("https://shop.example/?email={word}")), 200).await;
    aviary.send(get().header("strongroom-request-id", &word), 200).await;
    aviary.send(Probe::new("shop", &word, "/v1/customers"), 405).await;
    let patch = Probe::new("shop", "PATCH", &format!("/v1/customers/{id}"));
    let patch = patch.json(&json!({ "fields": {} })).header("if-match", &word);
    aviary.send(patch, 400).await;
    let create = Probe::new("shop", "POST", "/v1/customers").json(&json!({}));
    aviary.send(create.header("content-type", &word), 400).await;
    for (role, key) in aviary.shop.keys.clone() {
        aviary.canaries.mark(&format!("secret of {role}"), &key);
    }
}

const NO_RECORD: &str = "rec_00000000000000000000000000";
