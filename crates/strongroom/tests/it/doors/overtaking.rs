//! The ledger position is the moment of the act: what takes a right away, or a customer, is never
//! overtaken by a reader who decided before it.

use serde_json::{Value, json};
use strongroom::ctx::{EntryKind, Outcome};
use strongroom::jobs;
use strongroom::ledger::Leaf;

use crate::support::{Answer, POLICY, Readers, Shop, person};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_after_erase_is_shown_to_sixty_four_racing_readers() {
    let shop = Shop::open().await;
    // Ten erasures a day are a caller's limit.
    for round in 0..10 {
        let made = shop.call("shop", "POST", "/v1/customers", Some(whole_goes(round))).await;
        assert_eq!(made.status, 201, "{:?}", made.json);
        let id = made.json["id"].as_str().unwrap().to_owned();
        let readers = Readers::start(READERS, |number| look(&shop, &id, round, number));
        readers.answered(2 * READERS as u32).await;
        let asked = shop.call("privacy", "DELETE", &format!("/v1/customers/{id}"), None).await;
        assert_eq!(asked.status, 202, "{:?}", asked.json);
        readers.refused(READERS as u32).await;
        if round == 9 {
            shop.clock.pass_ms(8 * DAY_MS);
            jobs::run_once(&shop.desk()).await;
            readers.refused(READERS as u32).await;
        }
        readers.stop().await;
    }
    let entries = shop.entries().await;
    let asks = places(&entries, "erase.ask");
    let begins = places(&entries, "erase.begin");
    assert_eq!((asks.len(), begins.len()), (10, 10));
    for ask in asks {
        let subject = entries[ask].subjects;
        let begin = begins.iter().find(|begin| entries[**begin].subjects == subject).unwrap();
        assert!(ask < *begin);
        let shown: Vec<usize> =
            (0..entries.len()).filter(|it| shows(&entries[*it], subject)).collect();
        assert!(shown.len() >= READERS, "the race was one: {} looks", shown.len());
        let late: Vec<&usize> = shown.iter().filter(|it| **it > ask).collect();
        assert!(late.is_empty(), "asked at {ask}, begun at {begin}, shown at {late:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_revoked_key_sees_nothing_above_its_end() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    for round in 0..10 {
        let input = json!({ "name": "reader", "role": "shop", "purposes": ["support"] });
        let key = shop.as_operator("POST", "/v1/keys", Some(input)).await;
        let client = shop.client_with(key.json["secret"].as_str().unwrap());
        let readers = Readers::start(READERS, |_| {
            let (client, path) = (client.clone(), format!("/v1/customers/{id}?fields=name"));
            move || {
                let (client, path) = (client.clone(), path.clone());
                async move { client.call("GET", &path, None).await }
            }
        });
        readers.answered(2 * READERS as u32).await;
        let name = key.json["id"].as_str().unwrap();
        let ended = shop.call("admin", "DELETE", &format!("/v1/keys/{name}"), None).await;
        assert_eq!(ended.status, 204, "{:?}", ended.json);
        readers.refused(READERS as u32).await;
        readers.stop().await;
        let entries = shop.entries_from(ended.index() + 1).await;
        let late = entries.iter().filter(|it| it.actor == name && it.outcome == Outcome::Ok);
        assert_eq!(late.count(), 0, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_narrowed_policy_is_obeyed_from_its_entry_on() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    let widest = "fields = [\"name\", \"email\", \"phone\", \"address\", \"note\"]";
    // What is left to the shop, what its readers ask for, and whether they still may afterwards.
    let steps = [
        ("\"name\", \"phone\", \"note\"", "name,phone", true),
        ("\"name\", \"phone\"", "name,phone", true),
        ("\"name\"", "name,phone", false),
    ];
    for (left, fields, may_still) in steps {
        let path = format!("/v1/customers/{id}?fields={fields}");
        let client = shop.client("shop");
        let readers = Readers::start(READERS, |_| {
            let (client, path) = (client.clone(), path.clone());
            move || {
                let (client, path) = (client.clone(), path.clone());
                async move { client.call("GET", &path, None).await }
            }
        });
        readers.answered(2 * READERS as u32).await;
        // The first grant of the policy is the shop's.
        let policy = POLICY.replacen(widest, &format!("fields = [{left}]"), 1);
        let applied =
            shop.call("admin", "POST", "/v1/policy", Some(json!({ "policy": policy }))).await;
        assert_eq!(applied.status, 200, "{:?}", applied.json);
        let version = applied.json["version"].as_u64().expect("narrowing does not wait");
        match may_still {
            true => readers.answered(READERS as u32).await,
            false => readers.refused(READERS as u32).await,
        }
        readers.stop().await;
        let entries = shop.entries_from(applied.index() + 1).await;
        let late = entries.iter().filter(|it| {
            let shown = it.kind == EntryKind::Read && it.outcome == Outcome::Ok;
            shown && (u64::from(it.policy_version) < version || !may_still)
        });
        assert_eq!(late.count(), 0, "decided under an older policy than the one in force");
    }
}

/// A look at a customer, by another door for each number.
fn look(
    shop: &Shop,
    id: &str,
    round: usize,
    number: usize,
) -> impl Fn() -> std::pin::Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync + 'static {
    let email = json!({ "email": format!("ada.{round}@mail.example") });
    let (role, method, path, body): (&str, &str, String, Option<Value>) = match number % 4 {
        0 => ("shop", "POST", "/v1/customers/lookup".to_owned(), Some(email)),
        1 => ("shop", "GET", format!("/v1/customers/{id}/ledger"), None),
        2 => {
            let page = json!({ "ids": [id], "fields": ["name"] });
            ("shop", "POST", "/v1/customers/read".to_owned(), Some(page))
        }
        _ => ("shop", "GET", format!("/v1/customers/{id}?fields=name,email"), None),
    };
    let client = shop.client(role);
    move || {
        let (client, path, body) = (client.clone(), path.clone(), body.clone());
        Box::pin(async move { client.call(method, &path, body).await })
    }
}

/// No legal duty keeps anything of them.
fn whole_goes(number: usize) -> Value {
    let mut input = person(number);
    input["relations"] = json!([{ "name": "enquiry" }]);
    input["fields"].as_object_mut().unwrap().remove("address");
    input
}

fn places(entries: &[Leaf], verb: &str) -> Vec<usize> {
    (0..entries.len()).filter(|index| entries[*index].verb == verb).collect()
}

fn shows(leaf: &Leaf, subject: strongroom::ledger::LeafSubjects) -> bool {
    let kinds = [EntryKind::Ledger, EntryKind::Read, EntryKind::Reveal, EntryKind::Search];
    leaf.subjects == subject && leaf.outcome == Outcome::Ok && kinds.contains(&leaf.kind)
}

const READERS: usize = 64;
const DAY_MS: i64 = 86_400_000;
