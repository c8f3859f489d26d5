//! What clients do while the disk fails and the process dies.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use strongroom::ctx::EntryKind;

use super::Told;
use crate::support::person;
use crate::support::server::{Client, Reply};

/// Creates, changes, reads, reveals and erases until a request gets no answer; whether that one was in
/// flight.
pub(super) fn work(
    first: usize,
    seed: u64,
    (mut maker, mut looker, mut privacy): (Client, Client, Client),
    told: &Mutex<Told>,
    answered: &AtomicU64,
) -> bool {
    let mut seed = seed;
    for number in first.. {
        // Whoever asks for an erasure owes no duty, so that it takes all of them.
        let mut input = person(number);
        input["relations"] = json!([{ "name": "enquiry" }]);
        input["fields"].as_object_mut().unwrap().remove("address");
        let Some(made) = maker.send("POST", "/v1/customers", Some(&input)) else {
            return maker.was_sent();
        };
        let Some(id) = note(told, answered, &made, "create", EntryKind::Write) else { continue };
        told.lock().unwrap().known.entry(id.clone()).or_default().1 = number;
        let path = format!("/v1/customers/{id}");
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        if (seed >> 33).is_multiple_of(2) {
            let change = json!({ "fields": { "name": format!("Ada Changed{number}") } });
            let Some(reply) = maker.send("PATCH", &path, Some(&change)) else {
                return maker.was_sent();
            };
            note(told, answered, &reply, "patch", EntryKind::Write);
        }
        if (seed >> 34).is_multiple_of(2) {
            let read = format!("{path}?fields=name,email");
            let Some(reply) = looker.send("GET", &read, None) else { return looker.was_sent() };
            note(told, answered, &reply, "read", EntryKind::Read);
        }
        if (seed >> 35).is_multiple_of(4) {
            let why = json!({ "fields": ["email"], "reason": "return" });
            let Some(reply) = looker.send("POST", &format!("{path}/reveal"), Some(&why)) else {
                return looker.was_sent();
            };
            note(told, answered, &reply, "reveal", EntryKind::Reveal);
        }
        if (seed >> 37).is_multiple_of(8) {
            told.lock().unwrap().doubtful.insert(id.clone());
            let Some(reply) = privacy.send("DELETE", &path, None) else {
                return privacy.was_sent();
            };
            let mut known = told.lock().unwrap();
            if reply.status == 202 {
                known.erased.insert(id.clone());
                let index = reply.receipt.expect("an answer without a receipt");
                known.receipts.insert(index, EntryKind::Erase);
                *known.done.entry("erase").or_default() += 1;
            } else {
                assert!([403, 429, 503].contains(&reply.status), "{reply:?}");
                // A commit whose sync failed is not answered as done, and may be found on the disk.
                if reply.json["code"] != "ledger_stalled" {
                    known.doubtful.remove(&id);
                }
            }
            answered.fetch_add(1, Ordering::SeqCst);
        }
    }
    false
}

/// Remembers an answer; the id of the customer if it was done.
fn note(
    told: &Mutex<Told>,
    answered: &AtomicU64,
    reply: &Reply,
    act: &'static str,
    kind: EntryKind,
) -> Option<String> {
    answered.fetch_add(1, Ordering::SeqCst);
    let is_overtaken = reply.status == 412 && told.lock().unwrap().is_rotated;
    if reply.status == 429 || reply.status == 503 || is_overtaken {
        assert!(reply.json.get("fields").is_none(), "data without an entry: {:?}", reply.json);
        return None;
    }
    assert!(reply.status == 200 || reply.status == 201, "{act}: {:?}", reply.json);
    let id = reply.json["id"].as_str()?.to_owned();
    let version = reply.json["version"].as_u64()?;
    let mut told = told.lock().unwrap();
    told.receipts.insert(reply.receipt.expect("an answer without a receipt"), kind);
    let (size, root) = reply.root.clone().expect("an answer without a root");
    let known = told.roots.entry(size).or_insert_with(|| root.clone());
    assert_eq!(*known, root, "two roots at size {size}");
    *told.done.entry(act).or_default() += 1;
    let known = told.known.entry(id.clone()).or_default();
    known.0 = known.0.max(version);
    Some(id)
}
