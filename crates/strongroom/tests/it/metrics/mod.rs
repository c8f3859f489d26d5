//! `/metrics`: numbers that are true, labels that say nothing of anybody, a listener of its own.

mod listener;

use serde_json::json;
use strongroom::findings::{Finding, FindingKind};
use strongroom::{access, jobs, metrics};

use crate::support::data::Data;
use crate::support::numbers::Numbers;
use crate::support::{Shop, person};

async fn numbers(shop: &Shop) -> Numbers {
    Numbers::read(&metrics::scrape(&shop.desk()).await)
}

#[tokio::test]
async fn what_is_asked_answered_and_refused_is_counted_by_template_and_code() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    let before = numbers(&shop).await;
    let path = format!("/v1/customers/{id}?fields=name");
    for _ in 0..3 {
        assert_eq!(shop.call("shop", "GET", &path, None).await.status, 200);
    }
    assert_eq!(shop.call("importer", "GET", &path, None).await.status, 403);
    assert_eq!(shop.call("shop", "GET", "/v1/nowhere", None).await.status, 404);
    let after = numbers(&shop).await;
    let more = |name: &str| after.of(name) - before.of(name);
    let read = "method=\"GET\",route=\"/v1/customers/{id}\"";
    let requests = |labels: &str| format!("strongroom_requests_total{{{labels}}}");
    assert_eq!(more(&requests(&format!("{read},status=\"2xx\""))), 3.0);
    assert_eq!(more(&requests(&format!("{read},status=\"4xx\""))), 1.0);
    assert_eq!(more(&format!("strongroom_request_seconds_count{{{read}}}")), 4.0);
    assert_eq!(more(&requests("method=\"GET\",route=\"none\",status=\"4xx\"")), 1.0);
    assert_eq!(more("strongroom_problems_total{code=\"unknown_route\"}"), 1.0);
    assert_eq!(more("strongroom_problems_total{code=\"grant_missing\"}"), 1.0);
    assert_eq!(after.of("strongroom_requests_running"), 0.0);
    // Three reads and a refusal: one entry and one change each.
    assert_eq!(more("strongroom_ledger_entries"), 4.0);
    assert_eq!(more("strongroom_batch_changes_sum"), 4.0);
    assert_eq!(after.of("strongroom_changes_waiting"), 0.0);
    assert!(more("strongroom_commit_seconds_count") >= 1.0);
}

#[tokio::test]
async fn looking_at_the_numbers_needs_and_leaves_no_entry() {
    let shop = Shop::open().await;
    let before = shop.ledger_size();
    let first = numbers(&shop).await;
    let second = numbers(&shop).await;
    assert_eq!(shop.ledger_size(), before);
    assert_eq!(first.of("strongroom_ledger_entries"), before as f64);
    let requests = "strongroom_batch_changes_sum";
    assert_eq!(first.of(requests), second.of(requests));
}

#[tokio::test]
async fn findings_jobs_backups_and_sends_are_as_they_stand() {
    let shop = Shop::open().await;
    let desk = shop.desk();
    let told = numbers(&shop).await;
    assert_eq!(told.of("strongroom_scrape_complete"), 1.0);
    assert_eq!(told.of("strongroom_backup_timestamp_seconds"), 0.0, "there never was one");
    assert_eq!(told.of("strongroom_backup_rehearsal_good"), 0.0);
    assert!(told.has("strongroom_backup_rehearsal_good"));
    assert_eq!(told.of("strongroom_findings_open{kind=\"key_file_only\"}"), 1.0);
    assert_eq!(told.of("strongroom_findings_open{kind=\"tampered\"}"), 0.0);
    assert_eq!(told.of("strongroom_sends_open"), 0.0);
    assert!(!told.has("strongroom_certificate_end_timestamp_seconds"), "none is shown");
    assert!(!told.has("strongroom_job_success_timestamp_seconds{job=\"erase.due\"}"));

    let customer = Some([7; 16]);
    let finding = Finding { kind: FindingKind::Tampered, detail: "seen".to_owned(), customer };
    let ctx = strongroom::app::App::job_ctx(&desk, "test").unwrap();
    access::raise_finding(&desk, &ctx, "test", &finding).await.unwrap();
    jobs::run_once(&desk).await;
    crate::backup::back_up(&shop).await;
    crate::recovery::rehearse(&shop).await;
    let now = shop.seconds();
    let told = numbers(&shop).await;
    assert_eq!(told.of("strongroom_findings_open{kind=\"tampered\"}"), 1.0);
    assert_eq!(told.of("strongroom_job_success_timestamp_seconds{job=\"erase.due\"}"), now);
    assert_eq!(told.of("strongroom_job_failures_total{job=\"erase.due\"}"), 0.0);
    assert_eq!(told.of("strongroom_backup_timestamp_seconds"), now);
    assert_eq!(told.of("strongroom_backup_rehearsal_good"), 1.0);
    assert_eq!(told.of("strongroom_ledger_checkpoint_timestamp_seconds"), now);
    for (place, file) in [(shop.keys(), "keys.db"), (shop.data(), "strongroom.db")] {
        if let Data::File(_) = place {
            assert!(told.of(&format!("strongroom_file_bytes{{file=\"{file}\"}}")) > 0.0);
        }
    }
    assert!(told.of("process_resident_memory_bytes") > 1e6);
    assert_eq!(told.of("strongroom_build_info{version=\"0.1.0\"}"), 1.0);
}

#[tokio::test]
async fn the_anchor_in_keys_db_shows_its_age() {
    let shop = Shop::open().await;
    let began = shop.seconds();
    // A right that changed was anchored at once.
    assert_eq!(numbers(&shop).await.of("strongroom_ledger_anchor_timestamp_seconds"), began);
    shop.clock.pass_ms(59_000);
    shop.customer(1).await;
    shop.clock.pass_ms(2_000);
    let lookup = json!({ "email": "ada.1@mail.example" });
    shop.call("desk", "POST", "/v1/customers/lookup", Some(lookup)).await;
    let told = numbers(&shop).await;
    assert_eq!(told.of("strongroom_ledger_anchor_timestamp_seconds"), began + 61.0);
}

#[tokio::test]
async fn dropped_keys_show_and_the_page_stays() {
    let shop = Shop::open().await;
    assert_eq!(numbers(&shop).await.of("strongroom_sealed"), 0.0);
    assert_eq!(shop.call("admin", "POST", "/v1/seal", None).await.status, 204);
    assert_eq!(shop.call("shop", "POST", "/v1/customers", Some(person(1))).await.status, 503);
    let told = numbers(&shop).await;
    assert_eq!(told.of("strongroom_sealed"), 1.0);
    assert_eq!(told.of("strongroom_problems_total{code=\"sealed\"}"), 1.0);
}

#[tokio::test]
async fn numbers_of_the_database_are_missing_where_it_cannot_be_asked() {
    let shop = Shop::open().await;
    let told = numbers(&shop).await;
    assert!(told.has("strongroom_sends_open") && told.of("strongroom_scrape_complete") == 1.0);
    // As while the database is opened afresh after a failure: long reads give way.
    shop.desk().committer.stall().end_scans();
    let told = numbers(&shop).await;
    assert_eq!(told.of("strongroom_scrape_complete"), 0.0);
    for name in ["sends_open", "backup_timestamp_seconds", "findings_open{kind=\"tampered\"}"] {
        assert!(!told.has(&format!("strongroom_{name}")), "{name}");
    }
    assert!(told.has("strongroom_ledger_stalled") && told.has("strongroom_ledger_entries"));
}
