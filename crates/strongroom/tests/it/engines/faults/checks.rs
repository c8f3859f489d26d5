//! What must hold when everything is over.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use strongroom::ctx::Outcome;
use strongroom::ledger::LeafSubjects;

use super::load::{CREATE, Known, READ, REPEATED, Told};
use crate::ledger::roots;
use crate::support::{Shop, person, together};

/// Everybody is there as was told, once; every answer has its entry, once; the log verifies.
pub(super) async fn check(shop: &Shop, told: &Told) {
    assert_eq!(shop.verify().await["flaws"], json!([]));
    let open = shop.as_operator("GET", "/v1/findings", None).await;
    for kind in ["tampered", "key_missing", "rights_altered", "ledger_flaw"] {
        assert!(!open.json.to_string().contains(kind), "{:?}", open.json);
    }
    see_entries(shop, told).await;
    assert_eq!(shop.count_customers(), told.known.len() as u64, "somebody nobody was told of");
    let known: Vec<_> = told.known.iter().collect();
    for some in known.chunks(TOGETHER) {
        see_customers(shop, some).await;
    }
}

async fn see_entries(shop: &Shop, told: &Told) {
    let entries = shop.entries().await;
    let done = |verb| entries.iter().filter(move |it| it.verb == verb && it.outcome == Outcome::Ok);
    assert_eq!(done(CREATE).count(), told.known.len(), "each was made once");
    let mut read: BTreeMap<String, u32> = BTreeMap::new();
    for entry in done(READ) {
        *read.entry(entry.request.to_string()).or_default() += 1;
    }
    let (mut indexes, mut subjects) = (BTreeSet::new(), BTreeMap::new());
    let roots = roots(shop);
    for receipt in &told.receipts {
        let (index, size) = (receipt.held.index, receipt.held.size);
        assert!(indexes.insert(index), "two answers name entry {index}");
        let entry = entries.get(usize::try_from(index).unwrap());
        let entry = entry.unwrap_or_else(|| panic!("entry {index} of an answer is gone"));
        assert_eq!(entry.outcome, Outcome::Ok, "{entry:?}");
        assert_eq!(entry.request.to_string(), receipt.request, "{entry:?}");
        assert_eq!(entry.verb, receipt.verb, "{entry:?}");
        if receipt.verb == READ {
            assert_eq!(read[&receipt.request], 1, "read once, and two entries: {entry:?}");
        }
        if let LeafSubjects::One(subject) = entry.subjects {
            let known = subjects.entry(&receipt.customer).or_insert(subject);
            assert_eq!(*known, subject, "of another customer: {entry:?}");
        } else {
            assert_eq!(entry.verb, REPEATED, "of nobody: {entry:?}");
        }
        let stands = roots[usize::try_from(size).unwrap() - 1].to_base64();
        assert_eq!(receipt.held.root, stands, "the root of size {size} is another's");
    }
    let different: BTreeSet<_> = subjects.values().map(|it| it.0).collect();
    assert_eq!(different.len(), subjects.len(), "one name for two customers");
}

/// Each as was told, and found by their address alone.
async fn see_customers(shop: &Shop, some: &[(&String, &Known)]) {
    let calls = some.iter().map(|(id, known)| {
        let (client, path) = (shop.client("shop"), format!("/v1/customers/{id}?fields=name"));
        let email = json!({ "email": person(known.number)["fields"]["email"] });
        async move {
            let delivery = [("strongroom-purpose", "delivery")];
            let seen = client.call_plain("GET", &path, None, &delivery).await;
            (seen, client.call("POST", "/v1/customers/lookup", Some(email)).await)
        }
    });
    for ((seen, found), (id, known)) in together(calls).await.into_iter().zip(some) {
        assert_eq!(seen.status, 200, "{id} was lost: {seen:?}");
        let (version, name) = (&seen.json["version"], &seen.json["fields"]["name"]);
        assert_eq!((version, name), (&json!(known.version), &json!(known.name)), "{id}: {seen:?}");
        assert_eq!(found.json["customers"], json!([id]), "{found:?}");
    }
}

/// So many share a batch.
const TOGETHER: usize = 32;
