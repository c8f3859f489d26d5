//! A log that was restored: the one from before stays readable, and an export holds both.

use serde_json::json;

use super::{back_up, restored};
use crate::attack::put_back::{deep, live};
use crate::attack::read;
use crate::ledger::export::{check, export};
use crate::support::Shop;

#[tokio::test]
async fn an_export_holds_the_logs_from_before_restores() {
    let mut shop = Shop::open_today().await;
    let id = shop.customer(1).await;
    while shop.ledger_size() < 280 {
        assert_eq!(read(&shop, &id).await.status, 200);
    }
    let pair = back_up(&shop).await;
    shop.stop();
    let (mut again, _) = restored(&shop, &pair.data, &pair.keys).await;
    let path = "/v1/ledger/tile/0/000?incarnation=1";
    let old = again.call("desk", "GET", path, None).await;
    assert_eq!((old.status.as_u16(), old.bytes.len()), (200, 256 * 32));
    let entries = "/v1/ledger/tile/entries/000?incarnation=1";
    assert_eq!(again.call("desk", "GET", entries, None).await.status, 403);
    assert_eq!(again.call("privacy", "GET", entries, None).await.status, 200);
    again.stop();

    let folder = again.folder.path().join("log");
    let told = export(&again, &folder).unwrap();
    assert!(told.contains("a log from before a restore"), "{told}");
    let kept = std::fs::read(folder.join("incarnation-1/checkpoint")).unwrap();
    let reports = check(&folder, Some(&kept)).unwrap();
    assert_eq!(reports.len(), 2);
    assert!(reports[0].before.is_some() && reports[1].continues.is_some());
    std::fs::remove_dir_all(folder.join("incarnation-1")).unwrap();
    let missed = check(&folder, None).unwrap_err().to_string();
    assert!(missed.contains("is not in the folder"), "{missed}");
}

#[tokio::test]
async fn what_the_log_from_before_says_of_rows_counts_after_a_restore() {
    let mut shop = Shop::open().await;
    live(&shop).await;
    let pair = back_up(&shop).await;
    shop.stop();
    let (again, _) = restored(&shop, &pair.data, &pair.keys).await;
    let seen = deep(&again).await;
    assert_eq!((&seen["customers"], &seen["differing"]), (&json!(13), &json!(0)), "{seen}");
    assert_eq!(seen["unknown"], 0, "{seen}");
}
