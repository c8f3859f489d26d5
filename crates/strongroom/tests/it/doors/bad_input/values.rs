//! Values that no field takes: hidden characters, card numbers, fields nobody declared.

use serde_json::{Value, json};

use super::{Watched, check, check_field};
use crate::support::person;

#[tokio::test]
async fn hidden_characters_are_refused_in_every_text() {
    let watched = Watched::open().await;
    let hidden = [
        ("\0", "control"),
        ("\u{7}", "control"),
        ("\u{1b}[31m", "control"),
        ("\u{202e}", "direction"),
        ("\u{2066}", "direction"),
        ("\u{200b}", "without width"),
        ("\u{feff}", "without width"),
        ("\u{fffe}", "no character"),
    ];
    for (hidden, why) in hidden {
        let text = format!("Ada{hidden}kanari");
        for field in ["name", "note"] {
            let answer = watched.create(json!({ field: text })).await;
            let cure = check_field(&answer, "forbidden_character", &["kanari"]);
            assert!(cure.contains(why), "{cure}");
        }
        let places = [json!({ "lines": [text] }), json!({ "lines": ["1 Quay"], "city": text })];
        for address in places {
            let answer = watched.create(json!({ "address": address })).await;
            check_field(&answer, "forbidden_character", &["kanari"]);
        }
        let answer = watched.create(json!({ "email": format!("a{hidden}b@mail.example") })).await;
        assert_eq!(answer.status, 422, "{}", answer.json);
    }
    let answer = watched.create(json!({ "name": "Ada\nkanari" })).await;
    check_field(&answer, "forbidden_character", &["kanari"]);
    watched.is_as_before().await;
    let real = json!({ "name": "Zoë O’Brien-Åström عبد‌الله", "note": "one\n\ttwo 👩‍👧" });
    assert_eq!(watched.create(real).await.status, 201, "names of people stay possible");
}

#[tokio::test]
async fn a_value_that_does_not_fit_its_field_is_refused_with_a_cure() {
    let watched = Watched::open().await;
    let long = "kanari".repeat(2_000);
    let cases: Vec<(&str, Value, &str)> = vec![
        ("name", json!(""), "invalid"),
        ("name", json!("  "), "invalid"),
        ("name", json!("—"), "invalid"),
        ("name", json!(long), "too_long"),
        ("name", json!(17), "wrong_type"),
        ("name", json!({ "kanari": 1 }), "wrong_type"),
        ("name", Value::Null, "null_value"),
        ("email", json!("kanari"), "invalid"),
        ("email", json!("kanari@"), "invalid"),
        ("email", json!("kanari@mail example"), "invalid"),
        ("email", json!(["kanari@mail.example"]), "wrong_type"),
        ("phone", json!("kanari"), "invalid"),
        ("phone", json!("+0 1"), "invalid"),
        ("phone", json!(442_079_460_000_i64), "wrong_type"),
        ("address", json!("kanari"), "wrong_type"),
        ("address", json!({}), "invalid"),
        ("address", json!({ "lines": [] }), "invalid"),
        ("address", json!({ "lines": ["1", "2", "3", "4", "5"] }), "invalid"),
        ("address", json!({ "lines": ["1 Quay"], "kanari": "x" }), "invalid"),
        ("address", json!({ "lines": ["1 Quay"], "country": "kanari" }), "invalid"),
        ("address", json!({ "lines": ["1 Quay"], "postcode": long }), "too_long"),
        ("note", json!(long), "too_long"),
        ("note", json!(true), "wrong_type"),
        ("date_of_birth", json!("2001-02-29"), "invalid"),
        ("date_of_birth", json!("29.2.2000 kanari"), "invalid"),
        ("date_of_birth", json!("1879-12-31"), "invalid"),
        ("date_of_birth", json!(19_990_101), "wrong_type"),
    ];
    for (field, value, code) in cases {
        let answer = watched.create(json!({ field: value })).await;
        check_field(&answer, code, &["kanari", "2001-02-29", "19990101"]);
        assert_eq!(answer.json["errors"][0]["field"], field);
        if value.is_null() {
            continue;
        }
        let patch = json!({ "fields": { field: value } });
        let headers = [("if-match", "\"1\"")];
        let path = watched.customer_path();
        let answer = watched.shop.call_with("shop", "PATCH", &path, Some(patch), &headers).await;
        check_field(&answer, code, &["kanari"]);
    }
    watched.is_as_before().await;
}

#[tokio::test]
async fn a_field_that_nobody_declared_is_refused_with_those_that_are() {
    let watched = Watched::open().await;
    let mut fields = person(7)["fields"].clone();
    for number in 0..13 {
        fields["kanari_number"] = json!(format!("kanari value {number}"));
        let answer = watched.create(fields.clone()).await;
        let cure = check_field(&answer, "undeclared_field", &["kanari"]);
        for known in ["name", "email", "phone", "address", "note", "date_of_birth"] {
            assert!(cure.contains(&format!("`{known}`")), "{cure}");
        }
        assert!(cure.contains("Leave it out"), "{cure}");
    }
    let mut row = json!({ "line": 9, "relations": [{ "name": "enquiry" }], "fields": fields });
    let rows = json!({ "rows": [row.take()] });
    let tried = watched.shop.call("importer", "POST", "/v1/imports/dry-run", Some(rows)).await;
    assert_eq!(tried.json["problems"][0]["line"], 9, "{}", tried.json);
    assert!(!tried.json.to_string().contains("kanari"));
    watched.is_as_before().await;
}

#[tokio::test]
async fn a_field_that_no_relation_of_the_customer_needs_is_refused() {
    let watched = Watched::open().await;
    for (relation, field, needed_for) in
        [("enquiry", "address", "purchase"), ("purchase", "phone", "enquiry")]
    {
        let mut input = person(7);
        input["relations"] = json!([{ "name": relation }]);
        let answer = watched.shop.call("shop", "POST", "/v1/customers", Some(input)).await;
        let cure = check_field(&answer, "not_needed", &["Ada Example7", "Harbour"]);
        assert_eq!(answer.json["errors"][0]["field"], field);
        assert!(cure.contains(&format!("needed for `{needed_for}`")), "{cure}");
    }
    watched.is_as_before().await;
}

#[tokio::test]
async fn a_relation_that_cannot_be_is_refused() {
    let watched = Watched::open().await;
    let cases = [
        (json!([]), "relation_missing"),
        (json!([{ "name": "kanari" }]), "relation_unknown"),
        (json!([{ "name": "enquiry" }, { "name": "enquiry" }]), "relation_twice"),
        (json!([{ "name": "enquiry", "last": "2026-11-21T10:00:01Z" }]), "relation_in_future"),
        (json!([{ "name": "enquiry", "last": "kanari" }]), "bad_time"),
        (json!([{ "name": "enquiry", "last": "2026-11-20" }]), "bad_time"),
        (json!([{ "name": "enquiry", "last": "+999999-01-01T00:00:00Z" }]), "bad_time"),
    ];
    for (relations, code) in cases {
        let body = json!({ "relations": relations });
        let answer = watched.shop.call("shop", "POST", "/v1/customers", Some(body)).await;
        check(&answer, 422, code, &["kanari"]);
    }
    watched.is_as_before().await;
}

#[tokio::test]
async fn card_numbers_are_refused_in_every_text_of_every_door() {
    let watched = Watched::open().await;
    for card in CARDS {
        let plain: String = card.chars().filter(char::is_ascii_digit).collect();
        let never = [*card, plain.as_str()];
        let wide: String =
            plain.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap()).collect();
        let texts = [
            (*card).to_owned(),
            plain.clone(),
            format!("pays by {card}, again"),
            format!("({plain})"),
            card.replace(' ', "-"),
            wide,
        ];
        for text in texts {
            let fields = [
                json!({ "name": text }),
                json!({ "note": format!("first line\n{text}") }),
                json!({ "address": { "lines": ["1 Quay", text] } }),
                json!({ "address": { "lines": ["1 Quay"], "city": text } }),
                json!({ "address": { "lines": ["1 Quay"], "region": text } }),
            ];
            for fields in fields {
                let cure = check_field(&watched.create(fields).await, "card_number", &never);
                assert!(cure.contains("payment provider's token"), "{cure}");
            }
        }
        let (half, rest) = plain.split_at(8);
        let halves = json!({ "lines": [half, rest] });
        check_field(&watched.create(json!({ "address": halves })).await, "card_number", &never);
        for other in ["email", "phone"] {
            let answer = watched.create(json!({ other: card })).await;
            check(&answer, 422, "fields_refused", &never);
        }
        other_doors(&watched, card, &never).await;
    }
    watched.is_as_before().await;
}

/// Where else somebody could put a card number.
async fn other_doors(watched: &Watched, card: &str, never: &[&str]) {
    let (shop, path) = (&watched.shop, watched.customer_path());
    let plain: String = card.chars().filter(char::is_ascii_digit).collect();
    let patch = json!({ "fields": { "note": card } });
    let answer =
        shop.call_with("shop", "PATCH", &path, Some(patch), &[("if-match", "\"1\"")]).await;
    check_field(&answer, "card_number", never);
    let row =
        json!({ "line": 1, "relations": [{ "name": "enquiry" }], "fields": { "note": card } });
    let rows = json!({ "rows": [row] });
    let tried = shop.call("importer", "POST", "/v1/imports/dry-run", Some(rows)).await;
    assert_eq!(tried.json["problems"][0]["code"], "card_number", "{}", tried.json);
    let reference = format!("/v1/customers/ref/shop/{plain}");
    let answer = shop.call("shop", "PUT", &reference, Some(person(7))).await;
    check(&answer, 422, "bad_reference", never);
    let reveal = json!({ "fields": ["name"], "reason": "return", "ticket": plain });
    let answer = shop.call("desk", "POST", &format!("{path}/reveal"), Some(reveal)).await;
    check(&answer, 422, "bad_ticket", never);
    let held =
        shop.call("admin", "PUT", &format!("{path}/hold"), Some(json!({ "reason": card }))).await;
    check(&held, 422, "bad_reason", never);
    let key = json!({ "name": card, "role": "desk" });
    check(&shop.call("admin", "POST", "/v1/keys", Some(key)).await, 422, "bad_name", never);
}

/// Numbers the schemes and providers give out for tests; none is anybody's.
const CARDS: &[&str] = &[
    "4242 4242 4242 4242",
    "4012 8888 8888 1881",
    "5555 5555 5555 4444",
    "2223 0031 2200 3222",
    "3782 822463 10005",
    "6011 1111 1111 1117",
    "3056 930902 5904",
    "3566 0020 2036 0505",
    "6200 0000 0000 0005",
    "6759 6498 2643 8453",
    "5066 9911 1111 1118",
];
