//! No personal data in an entry.

use serde_json::json;
use strongroom::jobs;

use crate::attack::{enquirer, look_up, read, reveal};
use crate::ledger::leaves;
use crate::support::{Shop, person};

/// Values a search for which must find nothing, as a caller sends them and as they are normalised.
const VALUES: [&str; 14] = [
    "Ada Example1",
    "Example1",
    "ada.1@mail.example",
    "ADA.1@MAIL.EXAMPLE",
    "mail.example",
    "+44 20 7946 0001",
    "+442079460001",
    "7946 0001",
    "79460001",
    "1 Harbour Street",
    "Whitby",
    "YO21 1AA",
    "new@mail.example",
    "wishes a map of 1854",
];

#[tokio::test]
async fn no_value_of_a_customer_stands_in_any_entry_of_their_life() {
    let shop = Shop::open().await;
    let id = enquirer(&shop, 1).await;
    let path = format!("/v1/customers/{id}");
    look_up(&shop, "email", "ADA.1@mail.example").await;
    look_up(&shop, "phone", "+44 20 7946 0001").await;
    look_up(&shop, "name", "Ada Example1").await;
    read(&shop, &id).await;
    reveal(&shop, &id).await;
    let fields = json!({ "email": "new@mail.example", "note": "wishes a map of 1854" });
    let patch = Some(json!({ "fields": fields }));
    shop.call_with("shop", "PATCH", &path, patch, &[("if-match", "\"1\"")]).await;
    shop.call("shop", "POST", "/v1/customers", Some(person(1))).await;
    // Sent where it does not belong: as a reason, a ticket, a purpose, a field.
    let why =
        json!({ "fields": ["email"], "reason": "ada.1@mail.example", "ticket": "+442079460001" });
    shop.call("desk", "POST", &format!("{path}/reveal"), Some(why)).await;
    let purpose = [("strongroom-purpose", "Ada Example1")];
    shop.call_with("desk", "GET", &format!("{path}?fields=name"), None, &purpose).await;
    let twice = format!("{path}?fields=ada.1@mail.example");
    shop.call("desk", "GET", &twice, None).await;
    shop.call("privacy", "DELETE", &path, None).await;
    shop.clock.pass_ms(8 * 86_400_000);
    jobs::run_once(&shop.desk()).await;
    let leaves = leaves(&shop);
    assert!(leaves.len() > 15, "{}", leaves.len());
    for value in VALUES {
        for (index, leaf) in leaves.iter().enumerate() {
            assert!(!holds(leaf, value), "`{value}` in entry {index}");
        }
    }
    assert!(leaves.iter().any(|leaf| holds(leaf, "customer called")), "the search can find");
    // Nor does the customer's own id: entries speak pseudonyms.
    let own: strongroom::id::Id<strongroom::id::Customer> = id.parse().unwrap();
    let bytes = own.as_bytes();
    assert!(!leaves.iter().any(|leaf| leaf.windows(16).any(|it| it == bytes)));
    assert!(!leaves.iter().any(|leaf| holds(leaf, &id)));
}

/// What would start a line, move the cursor or stand in for somebody else, in every place that an entry
/// has a word for: it is refused, and no entry holds it.
#[tokio::test]
async fn a_newline_an_escape_or_a_forged_prefix_stands_in_no_entry() {
    let shop = Shop::open().await;
    let id = enquirer(&shop, 1).await;
    let path = format!("/v1/customers/{id}");
    let before = leaves(&shop).len();
    for forged in
        ["kanari-1\nstrongroom", "\u{1b}[2Jkanari-2", "system:kanari-3", "a\u{202e}kanari-4"]
    {
        for why in [
            json!({ "fields": ["email"], "reason": "customer called", "ticket": forged }),
            json!({ "fields": ["email"], "reason": forged }),
            json!({ "fields": [forged], "reason": "customer called" }),
        ] {
            let answer = shop.call("desk", "POST", &format!("{path}/reveal"), Some(why)).await;
            assert!(answer.status.is_client_error(), "{forged:?}: {:?}", answer.json);
        }
        for member in ["name", "role", "purposes"] {
            let mut key = json!({ "name": "till", "role": "desk", "purposes": ["support"] });
            key[member] = if member == "purposes" { json!([forged]) } else { json!(forged) };
            let answer = shop.as_operator("POST", "/v1/keys", Some(key)).await;
            assert!(answer.status.is_client_error(), "{forged:?}: {:?}", answer.json);
        }
    }
    let behalf = [("strongroom-on-behalf-of", "system:kanari-5")];
    let read = format!("{path}?fields=name");
    let answer = shop.call_with("desk", "GET", &read, None, &behalf).await;
    assert!(answer.status.is_client_error(), "{:?}", answer.json);
    let leaves = leaves(&shop);
    assert!(leaves.len() > before, "refusals have entries");
    for (index, leaf) in leaves.iter().enumerate() {
        assert!(!holds(leaf, "kanari"), "in entry {index}");
    }
}

fn holds(leaf: &[u8], value: &str) -> bool {
    let (leaf, value) = (leaf.to_ascii_lowercase(), value.to_ascii_lowercase());
    leaf.windows(value.len()).any(|window| window == value.as_bytes())
}

/// Runs far beyond the log would be looked into one by one, for ever, on a thread of the server.
#[tokio::test]
async fn a_page_of_looks_begun_beyond_the_log_begins_at_its_end() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    let path = format!("/v1/customers/{id}/ledger?limit=1&cursor=7777777777776");
    let looks = shop.call("privacy", "GET", &path, None).await;
    assert_eq!(looks.status, 200, "{:?}", looks.json);
    assert_eq!(looks.json["items"][0]["act"], "customer.create");
}

#[tokio::test]
async fn every_value_said_to_be_taken_has_its_entry_however_many_are_asked_for() {
    let shop = Shop::open().await;
    shop.customer(1).await;
    let before = super::leaves(&shop).len();
    for _ in 0..130 {
        let twin = shop.call("shop", "POST", "/v1/customers", Some(person(1))).await;
        assert_eq!(twin.status, 409, "{:?}", twin.json);
    }
    assert_eq!(super::leaves(&shop).len() - before, 130);
}
