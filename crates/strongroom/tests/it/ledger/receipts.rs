//! Receipts: every one a client ever got stays true, through failed batches and restarts, and no two
//! roots of one size are ever signed out.

use std::collections::HashMap;

use crate::attack::{assert_code, flaws, read, reveal};
use crate::ledger::{Held, roots};
use crate::support::{Answer, Shop, person};

/// What a client that keeps everything knows.
#[derive(Default)]
struct Client(HashMap<u64, String>);

impl Client {
    /// One size has one root, whoever asks and whenever.
    fn keep(&mut self, answer: &Answer) -> Held {
        let held = Held::of(&answer.headers);
        assert!(held.index < held.size && !held.signature.is_empty(), "{held:?}");
        let root = self.0.entry(held.size).or_insert_with(|| held.root.clone());
        assert_eq!(*root, held.root, "two roots at size {}", held.size);
        held
    }

    /// Each root kept is the one of the entries as they stand now.
    fn assert_all_true(&self, shop: &Shop) {
        let roots = roots(shop);
        for (size, root) in &self.0 {
            let stands = roots[usize::try_from(*size).unwrap() - 1].to_base64();
            assert_eq!(*root, stands, "the receipt of size {size} is no longer true");
        }
    }
}

#[tokio::test]
async fn one_history_every_receipt_stays_true_through_failed_batches_and_restarts() {
    let mut shop = Shop::open().await;
    let id = shop.customer(1).await;
    let mut client = Client::default();
    for (number, failing) in (10..).zip(FAILURES) {
        client.keep(&read(&shop, &id).await);
        let (data, table) = match failing {
            Failing::Data(table) => (shop.data().clone(), table),
            Failing::Keys(table) => (shop.keys().clone(), table),
        };
        data.refuse_rows_of(table);
        for _ in 0..2 {
            let refused = shop.call("shop", "POST", "/v1/customers", Some(person(number))).await;
            assert_code(&refused, 503, "ledger_stalled");
            assert!(!refused.headers.contains_key("strongroom-receipt"), "no receipt for nothing");
        }
        data.take_rows_of(table);
        let made = shop.call("shop", "POST", "/v1/customers", Some(person(number))).await;
        assert_eq!(made.status, 201, "{:?}", made.json);
        client.keep(&made);
        shop.stop();
        client.assert_all_true(&shop);
        shop.start().await.unwrap();
    }
    client.keep(&reveal(&shop, &id).await);
    client.assert_all_true(&shop);
    assert_eq!(flaws(&shop).await, []);
}

/// Entry first: no value and no acknowledgement leaves while the ledger cannot be written.
#[tokio::test]
async fn entry_first_nothing_is_shown_while_the_ledger_cannot_be_written() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    shop.data().refuse_rows_of("ledger_head");
    assert_code(&read(&shop, &id).await, 503, "ledger_stalled");
    assert_code(&reveal(&shop, &id).await, 503, "ledger_stalled");
    let path = format!("/v1/customers/{id}?fields=name,address");
    let purpose = [("strongroom-purpose", "delivery")];
    let clear = shop.call_with("shop", "GET", &path, None, &purpose).await;
    assert_eq!(clear.json["code"], "ledger_stalled", "{:?}", clear.json);
    let looked = shop.call("shop", "GET", &format!("/v1/customers/{id}/ledger"), None).await;
    // A long read may meet the moment in which the database is opened afresh.
    assert!(looked.status == 503 && ["ledger_stalled", "scan_ended"].contains(&looked.code()));
    // Not even a refusal leaves without its entry.
    let refused = shop.call("desk", "DELETE", &format!("/v1/customers/{id}"), None).await;
    assert_code(&refused, 503, "ledger_stalled");
    shop.data().take_rows_of("ledger_head");
    assert_eq!(read(&shop, &id).await.status, 200, "service returns by itself");
}

#[tokio::test]
async fn the_checkpoint_anyone_may_ask_for_is_one_that_is_durable() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    let before = shop.call("desk", "GET", "/v1/ledger/checkpoint", None).await;
    shop.data().refuse_rows_of("ledger_head");
    assert_code(&read(&shop, &id).await, 503, "ledger_stalled");
    let after = shop.call("desk", "GET", "/v1/ledger/checkpoint", None).await;
    assert_eq!(before.json, after.json, "a checkpoint that was signed and lost was let out");
}

enum Failing {
    Data(&'static str),
    Keys(&'static str),
}

/// After the checkpoint was signed, in both stores and before and after keys are put.
const FAILURES: [Failing; 5] = [
    Failing::Data("ledger_head"),
    Failing::Keys("dek"),
    Failing::Data("ledger_entry"),
    Failing::Data("ledger_subject"),
    Failing::Data("ledger_actor"),
];
