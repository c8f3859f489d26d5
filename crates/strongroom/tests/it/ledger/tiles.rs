//! The log in pieces: what C2SP tlog-tiles names, to whom, and no further than it is durable.

use serde_json::json;
use strongroom_tlog::{Hash, entries_bundle, leaf_hash};

use super::{leaves, roots};
use crate::support::{Answer, Shop};

async fn get(shop: &Shop, role: &str, path: &str) -> Answer {
    shop.call(role, "GET", &format!("/v1/ledger/{path}"), None).await
}

fn bytes_of(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

#[tokio::test]
async fn tiles_are_the_log_and_end_where_it_is_durable() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    while shop.ledger_size() < 520 {
        shop.call("desk", "GET", &format!("/v1/customers/{id}?fields=name"), None).await;
    }
    let (size, entries, roots) = (shop.ledger_size(), leaves(&shop), roots(&shop));
    let hashes: Vec<Hash> = entries.iter().map(|leaf| leaf_hash(leaf)).collect();

    let full = get(&shop, "importer", "tile/0/001").await;
    assert_eq!((full.status.as_u16(), full.bytes), (200, bytes_of(&hashes[256..512])));
    assert_eq!(full.headers["cache-control"], "private, max-age=31536000, immutable");
    let narrow = get(&shop, "importer", "tile/0/001.p/3").await;
    assert_eq!((narrow.status.as_u16(), narrow.bytes), (200, bytes_of(&hashes[256..259])));
    assert_eq!(narrow.headers["cache-control"], "private, no-cache");
    let widest = format!("tile/0/002.p/{}", size - 512);
    assert_eq!(get(&shop, "desk", &widest).await.bytes, bytes_of(&hashes[512..]));
    let above = get(&shop, "desk", "tile/1/000.p/2").await;
    assert_eq!(above.bytes[..32], roots[255].0);
    assert_eq!(shop.ledger_size(), size, "hashes leave no entry");

    let beyond = format!("tile/0/002.p/{}", size - 511);
    let absent = ["tile/0/002", "tile/0/003.p/1", "tile/1/000", "tile/1/000.p/3", "tile/2/000.p/1"];
    let malformed =
        ["tile/0/1", "tile/00/000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/64/000"];
    for path in absent.into_iter().chain(malformed).chain([beyond.as_str()]) {
        assert_eq!(get(&shop, "desk", path).await.status, 404, "{path}");
    }
    assert_eq!(get(&shop, "desk", "tile/0/000?incarnation=2").await.status, 404);
    assert_eq!(get(&shop, "desk", "tile/0/000?incarnation=x").await.status, 400);
}

#[tokio::test]
async fn entries_are_for_whoever_may_verify_and_reading_them_is_an_entry() {
    let shop = Shop::open().await;
    let size = shop.ledger_size();
    let path = format!("tile/entries/000.p/{size}");
    let whole = leaves(&shop);
    let read = get(&shop, "privacy", &path).await;
    let entries: Vec<&[u8]> = whole.iter().map(Vec::as_slice).collect();
    assert_eq!(
        (read.status.as_u16(), read.bytes.clone()),
        (200, entries_bundle(&entries).unwrap())
    );
    let left = shop.entries_from(size).await;
    assert_eq!((left.len(), left[0].verb.as_str(), left[0].count), (1, "ledger.entries", size));
    assert_eq!(read.index(), size);
    let refused = get(&shop, "desk", &path).await;
    assert_eq!((refused.status.as_u16(), &refused.json["code"]), (403, &json!("right_missing")));
    let left = shop.entries_from(size + 1).await;
    assert_eq!((left.len(), left[0].reason.as_str()), (1, "right_missing"));
    let beyond = format!("tile/entries/000.p/{}", shop.ledger_size() + 1);
    assert_eq!(get(&shop, "privacy", &beyond).await.status, 404);
}

#[tokio::test]
async fn a_proof_as_text_needs_nothing_but_the_key() {
    let shop = Shop::open().await;
    shop.customer(1).await;
    let checkpoint = get(&shop, "desk", "checkpoint").await;
    let key = checkpoint.headers["strongroom-verifier-key"].to_str().unwrap();
    assert_eq!(checkpoint.headers["strongroom-incarnation"], "1");
    let key = strongroom_verify::Key::log(key).unwrap();
    let told = get(&shop, "privacy", "proof/3?form=text").await;
    assert!(told.headers["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert!(told.headers.contains_key("strongroom-receipt"));
    let proof = strongroom_verify::Proof::parse(&told.bytes).unwrap();
    let proven = strongroom_verify::verify_proof(&proof, &key, &[], None).unwrap();
    assert_eq!((proven.index, proven.entry.verb.as_str()), (3, "key.create"));
    assert_eq!(get(&shop, "privacy", "proof/3?form=pdf").await.status, 400);
}
