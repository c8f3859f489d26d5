//! Hourly, rehearsed daily, removed in time; a failure is a finding, a kill leaves nothing half.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use strongroom::backup::{self, Attempts, Settings};

use super::{
    DAY_MS, back_up, enquirer, erase, findings, input, operator, read, restore, restored, settings,
    vault_of,
};
use crate::support::Shop;
use crate::support::server::configure;

fn folders(shop: &Shop, kind: &str) -> usize {
    let Ok(found) = std::fs::read_dir(vault_of(shop)) else { return 0 };
    found.flatten().filter(|it| it.file_name().to_string_lossy().starts_with(kind)).count()
}

#[tokio::test]
async fn a_pair_is_made_every_hour_and_rehearsed_every_day() {
    let shop = Shop::open().await;
    for number in 0..12 {
        shop.customer(number).await;
    }
    let (settings, mut attempts) = (settings(&shop), Attempts::default());
    for hour in 0..25 {
        backup::run_due(&shop.desk(), &settings, &mut attempts).await.unwrap();
        backup::run_due(&shop.desk(), &settings, &mut attempts).await.unwrap();
        assert_eq!((folders(&shop, "data-"), folders(&shop, "keys-")), (hour + 1, hour + 1));
        shop.clock.pass_ms(3_600_000);
    }
    let entries = shop.entries().await;
    let counted = |verb: &str| entries.iter().filter(|leaf| leaf.verb == verb).count();
    assert_eq!((counted("backup.make"), counted("backup.verify")), (25, 2));
    let listed = shop.as_operator("GET", "/v1/backups", None).await.json;
    assert_eq!(listed["rehearsal"]["result"], "ok", "{listed}");
    assert_eq!(listed["rehearsal"]["customers"], 12);
    assert!(listed["rehearsal"]["sampled"].as_u64().unwrap() >= 12);
    assert_eq!(of_backups(&shop).await, ["backup_same_disk"], "said once, and true here");
    assert!(!shop.data_folder().join("rehearsal").exists(), "the rehearsal leaves nothing");
}

#[tokio::test]
async fn a_rehearsal_sees_a_damaged_backup_and_says_so() {
    let shop = Shop::open().await;
    shop.customer(1).await;
    let pair = back_up(&shop).await;
    let part = pair.data.join("part-0001.age");
    let mut bytes = std::fs::read(&part).unwrap();
    bytes[500] ^= 1;
    std::fs::write(&part, bytes).unwrap();
    let check = backup::rehearse(&shop.desk(), &operator(&shop), &settings(&shop)).await.unwrap();
    assert_eq!(check.result, "backup_part");
    assert!(findings(&shop).await.contains(&"backup_unusable".to_owned()));
    shop.clock.pass_ms(1_000);
    back_up(&shop).await;
    let check = backup::rehearse(&shop.desk(), &operator(&shop), &settings(&shop)).await.unwrap();
    assert_eq!(check.result, "ok");
    assert!(!findings(&shop).await.contains(&"backup_unusable".to_owned()), "evidence closes it");
}

/// Against the keys of today: a key that is gone without an erasure shows.
#[tokio::test]
async fn a_rehearsal_misses_a_key_that_nobody_erased_and_not_one_that_was() {
    let mut shop = Shop::open().await;
    let (gone, lost) = (enquirer(&shop, 1).await, enquirer(&shop, 2).await);
    back_up(&shop).await;
    erase(&shop, &gone).await;
    let check = backup::rehearse(&shop.desk(), &operator(&shop), &settings(&shop)).await.unwrap();
    assert_eq!((check.result.as_str(), check.customers), ("ok", 1), "{}", check.detail);
    shop.stop();
    crate::support::intrude(shop.keys(), "DELETE FROM dek");
    shop.start().await.unwrap();
    let check = backup::rehearse(&shop.desk(), &operator(&shop), &settings(&shop)).await.unwrap();
    assert_eq!(check.result, "not_all_open");
    assert_eq!(read(&shop, &lost).await.status, 503);
}

#[tokio::test]
async fn a_backup_that_fails_is_a_finding_until_one_succeeds() {
    let shop = Shop::open().await;
    let (settings, mut attempts) = (settings(&shop), Attempts::default());
    backup::run_due(&shop.desk(), &settings, &mut attempts).await.unwrap();
    let kept = vault_of(&shop).with_extension("kept");
    std::fs::rename(vault_of(&shop), &kept).unwrap();
    std::fs::write(vault_of(&shop), b"a file is in the way").unwrap();
    for _ in 0..3 {
        shop.clock.pass_ms(3_600_000);
        backup::run_due(&shop.desk(), &settings, &mut attempts).await.unwrap();
    }
    let seen = shop.as_operator("GET", "/v1/findings", None).await.json;
    let late = seen["findings"].as_array().unwrap().iter().find(|it| it["kind"] == "backup_late");
    assert!(late.unwrap()["detail"].as_str().unwrap().contains("3 hours ago"), "{seen}");
    assert!(findings(&shop).await.contains(&"backup_failed".to_owned()));
    std::fs::remove_file(vault_of(&shop)).unwrap();
    shop.clock.pass_ms(5 * 60_000);
    backup::run_due(&shop.desk(), &settings, &mut attempts).await.unwrap();
    assert_eq!(of_backups(&shop).await, ["backup_same_disk"]);
}

/// What takes copies away in these tests: it writes down what it was asked for, and does it in a folder.
/// It fails for what begins as a file `broken` beside it says.
fn taken_away(shop: &Shop) -> (Settings, PathBuf) {
    let (script, away) = (shop.folder.path().join("take"), shop.folder.path().join("away"));
    let text = r#"
        set -e
        cd "$(dirname "$0")"
        echo "$1 $2" >>asked
        if test -e broken; then case $2 in $(cat broken)*) exit 1;; esac; fi
        cd away
        case $1 in
            put) mkdir -p "$(dirname "$2")"; cat >"$2";;
            remove) rm -r "$2";;
        esac"#;
    std::fs::write(&script, text).unwrap();
    std::fs::create_dir(&away).unwrap();
    let command = vec!["/bin/sh".to_owned(), script.to_str().unwrap().to_owned()];
    (Settings { command, ..settings(shop) }, away)
}

#[tokio::test]
async fn each_pair_is_copied_away_whole_with_its_manifests_last() {
    let mut shop = Shop::open().await;
    let id = enquirer(&shop, 1).await;
    let ((settings, away), mut attempts) = (taken_away(&shop), Attempts::default());
    for _ in 0..2 {
        backup::run_due(&shop.desk(), &settings, &mut attempts).await.unwrap();
        for _ in 0..2 {
            backup::run_due_copies(&shop.desk(), &settings).await.unwrap();
        }
        shop.clock.pass_ms(3_600_000);
    }
    let asked = std::fs::read_to_string(shop.folder.path().join("asked")).unwrap();
    let asked: Vec<&str> = asked.lines().collect();
    let manifests: Vec<bool> = asked.iter().map(|it| it.ends_with("/manifest")).collect();
    let pair = manifests.len() / 2;
    assert!(pair >= 4, "{asked:?}");
    for pair in manifests.chunks(pair) {
        let (parts, manifests) = pair.split_at(pair.len() - 2);
        assert!(manifests.iter().all(|it| *it) && !parts.iter().any(|it| *it), "{asked:?}");
    }
    let verbs = shop.entries().await;
    let of = |verb: &str| verbs.iter().position(|leaf| leaf.verb == verb).unwrap();
    assert!(of("backup.copy") < of("backup.copied"));
    assert_eq!(of_backups(&shop).await, Vec::<String>::new(), "a copy is elsewhere");
    let listed = shop.as_operator("GET", "/v1/backups", None).await.json;
    assert!(listed["backups"].as_array().unwrap().iter().all(|it| it["copied"].is_string()));
    shop.stop();
    let (again, _) = restored(&shop, &away, &away).await;
    assert_eq!(read(&again, &id).await.status, 200);
}

#[tokio::test]
async fn a_copy_that_fails_is_a_finding_until_one_succeeds() {
    let shop = Shop::open().await;
    let ((settings, _), mut attempts) = (taken_away(&shop), Attempts::default());
    let broken = shop.folder.path().join("broken");
    std::fs::write(&broken, "").unwrap();
    backup::run_due(&shop.desk(), &settings, &mut attempts).await.unwrap();
    backup::run_due_copies(&shop.desk(), &settings).await.unwrap();
    assert_eq!(of_backups(&shop).await, ["backup_not_copied", "backup_same_disk"]);
    let listed = shop.as_operator("GET", "/v1/backups", None).await.json;
    assert!(listed["backups"][0]["copied"].is_null(), "{listed}");
    std::fs::remove_file(broken).unwrap();
    backup::run_due_copies(&shop.desk(), &settings).await.unwrap();
    assert_eq!(of_backups(&shop).await, Vec::<String>::new());
}

/// By age alone: that the folder here is empty, as on a machine just restored, says nothing of copies.
#[tokio::test]
async fn a_copy_is_taken_back_after_n_days_and_not_before() {
    let shop = Shop::open().await;
    let ((settings, away), mut attempts) = (taken_away(&shop), Attempts::default());
    let broken = shop.folder.path().join("broken");
    let kept = |kind: &str| {
        let found = std::fs::read_dir(&away).unwrap().flatten();
        found.filter(|it| it.file_name().to_string_lossy().starts_with(kind)).count()
    };
    let remove =
        async || backup::remove_old_copies(&shop.desk(), &operator(&shop), &settings).await;
    // One whose copy broke off behind its keys lies there too.
    std::fs::write(&broken, "data-*/manifest").unwrap();
    backup::run_due(&shop.desk(), &settings, &mut attempts).await.unwrap();
    backup::run_due_copies(&shop.desk(), &settings).await.unwrap();
    assert_eq!(of_backups(&shop).await, ["backup_not_copied", "backup_same_disk"]);
    std::fs::remove_file(&broken).unwrap();
    shop.clock.pass_ms(DAY_MS);
    backup::run_due(&shop.desk(), &settings, &mut attempts).await.unwrap();
    backup::run_due_copies(&shop.desk(), &settings).await.unwrap();
    std::fs::remove_dir_all(vault_of(&shop)).unwrap();
    std::fs::create_dir(vault_of(&shop)).unwrap();
    backup::remove_old(&shop.desk(), &operator(&shop), &settings).await.unwrap();
    assert_eq!(remove().await.unwrap(), 0);
    assert_eq!((kept("data-"), kept("keys-")), (2, 2));
    shop.clock.pass_ms(40 * DAY_MS);
    std::fs::write(&broken, "").unwrap();
    assert_eq!(remove().await.unwrap_err().code, "backup_not_removed");
    let listed = shop.as_operator("GET", "/v1/backups", None).await.json;
    let oldest = listed["backups"].as_array().unwrap().last().unwrap().clone();
    assert!(oldest["keys_copy_removed"].is_null(), "it is there, and said to be: {listed}");
    std::fs::remove_file(broken).unwrap();
    shop.clock.step_ms(10 * DAY_MS);
    assert_eq!(remove().await.unwrap_err().code, "clock_suspect");
    assert_eq!((kept("data-"), kept("keys-")), (2, 2));
    assert_eq!(shop.as_operator("POST", "/v1/clock/confirm", None).await.status, 204);
    assert_eq!(remove().await.unwrap(), 2);
    assert_eq!((kept("data-"), kept("keys-")), (1, 1), "the newest whole one stays");
    assert_eq!(remove().await.unwrap(), 0);
    let without = Settings { command: Vec::new(), ..settings };
    backup::run_due_copies(&shop.desk(), &without).await.unwrap();
    assert!(!of_backups(&shop).await.contains(&"backup_not_copied".to_owned()));
}

async fn of_backups(shop: &Shop) -> Vec<String> {
    let kinds = findings(shop).await.into_iter();
    kinds.filter(|kind| kind.starts_with("backup")).collect()
}

#[tokio::test]
async fn key_backups_go_after_n_days_but_never_the_newest_and_never_by_a_wrong_clock() {
    let shop = Shop::open().await;
    let old = back_up(&shop).await;
    shop.clock.pass_ms(15 * DAY_MS);
    let remove =
        async || backup::remove_old(&shop.desk(), &operator(&shop), &settings(&shop)).await;
    assert_eq!(remove().await.unwrap(), 0);
    assert!(old.keys.exists(), "the newest there is");
    let new = back_up(&shop).await;
    shop.clock.step_ms(10 * DAY_MS);
    assert_eq!(remove().await.unwrap_err().code, "clock_suspect");
    assert!(old.keys.exists());
    assert_eq!(shop.as_operator("POST", "/v1/clock/confirm", None).await.status, 204);
    assert_eq!(remove().await.unwrap(), 1);
    assert!(!old.keys.exists() && old.data.exists() && new.keys.exists());
    let entries = shop.entries().await;
    let removed = entries.iter().find(|leaf| leaf.verb == "backup.remove").unwrap();
    assert_eq!(removed.count, 1);
    shop.clock.pass_ms(36 * DAY_MS);
    back_up(&shop).await;
    assert!(remove().await.unwrap() >= 2);
    assert!(!old.data.exists() && !new.keys.exists() && !new.data.exists());
}

/// Whoever loses the disk with the backups learns that everyone was on it, and as of when.
#[tokio::test]
async fn a_backup_is_a_holding_of_everyone_until_it_is_removed() {
    let shop = Shop::open().await;
    shop.customer(1).await;
    back_up(&shop).await;
    let open = async || {
        let listed = shop.as_operator("GET", "/v1/places/backups/holdings", None).await;
        assert_eq!(listed.status, 200, "{:?}", listed.json);
        let all = listed.json["items"].as_array().unwrap().clone();
        all.into_iter().filter(|it| it["closed"].is_null()).count()
    };
    assert_eq!(open().await, 1);
    let asked = serde_json::json!({ "place": "backups", "from": "2026-11-01T00:00:00Z",
        "to": "2026-12-01T00:00:00Z" });
    let scope = shop.as_operator("POST", "/v1/ledger/scope", Some(asked)).await;
    assert!(scope.json["everyone_as_of"].as_u64().unwrap() > 5, "{:?}", scope.json);
    shop.clock.pass_ms(36 * DAY_MS);
    back_up(&shop).await;
    assert_eq!(open().await, 2);
    backup::remove_old(&shop.desk(), &operator(&shop), &settings(&shop)).await.unwrap();
    assert_eq!(open().await, 1, "what was removed is gone");
}

#[tokio::test]
async fn a_folder_among_the_data_is_refused() {
    let shop = Shop::open().await;
    let inside = shop.data_folder().join("backups");
    let made = backup::make(&shop.desk(), &operator(&shop), &inside, Box::new(|_, _| {})).await;
    assert_eq!(made.err().unwrap().code, "backup_among_data");
}

#[tokio::test]
async fn a_backup_given_up_half_way_leaves_nothing() {
    let shop = Shop::open().await;
    for number in 0..20 {
        shop.customer(number).await;
    }
    let folder = vault_of(&shop);
    let (desk, ctx) = (shop.desk(), operator(&shop));
    let made = backup::make(&desk, &ctx, &folder, Box::new(|_, _| {}));
    let timely = tokio::time::timeout(std::time::Duration::ZERO, made).await;
    assert!(timely.is_err(), "it was whole before it was given up");
    let partial = || {
        let left = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        left.filter(|it| it.file_name().to_string_lossy().starts_with('.')).count()
    };
    // What was being copied comes to its end on a thread of its own.
    let clock = strongroom::ctx::SystemClock::new();
    while partial() > 0 && strongroom::ctx::Clock::monotonic_ms(&clock) < 30_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!((partial(), folders(&shop, "data-")), (0, 0));
    back_up(&shop).await;
    assert_eq!((partial(), folders(&shop, "data-")), (0, 1));
}

/// The real program, killed wherever it happens to be.
#[tokio::test]
async fn kill_in_mid_backup_leaves_nothing_that_is_taken_for_one() {
    let mut shop = Shop::open_today().await;
    for number in 0..200 {
        shop.customer(number).await;
    }
    shop.stop();
    let config = configure(shop.folder.path(), "strongroom.toml", "");
    let mut killed_early = 0;
    for round in 0..12_u64 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_strongroom"))
            .args(["backup", "--config"])
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // As far as it comes until so many files of it are there.
        let mut looks = 0_u64;
        while child.try_wait().unwrap().is_none() {
            looks += 1;
            if partial_files(&shop) > round % 5 && looks > round * 40 {
                break;
            }
            std::thread::yield_now();
        }
        killed_early += usize::from(child.try_wait().unwrap().is_none());
        let _ = child.kill();
        let _ = child.wait();
        for folder in ["data-", "keys-"] {
            for found in std::fs::read_dir(vault_of(&shop)).unwrap().flatten() {
                if found.file_name().to_string_lossy().starts_with(folder) {
                    assert!(found.path().join("manifest").exists(), "named, and not whole");
                }
            }
        }
    }
    assert!(killed_early > 0, "no kill met a backup on its way");
    shop.start().await.unwrap();
    shop.clock.pass_ms(1_000);
    let pair = back_up(&shop).await;
    shop.stop();
    let empty = shop.empty_beside();
    let seen = restore(&empty, &input(&empty, &pair.data, &pair.keys)).unwrap();
    assert_eq!(seen.rebuilt.customers, 200);
}

/// The same of a restore: killed anywhere, there is an installation or none, and the next one works.
#[tokio::test]
async fn kill_in_mid_restore_leaves_an_installation_or_none() {
    let mut shop = Shop::open_today().await;
    for number in 0..200 {
        shop.customer(number).await;
    }
    let pair = back_up(&shop).await;
    shop.stop();
    let (mut whole, mut none) = (0, 0);
    for round in 0..10_u64 {
        let mut empty = shop.empty_beside();
        let mut child = Command::new(env!("CARGO_BIN_EXE_strongroom"))
            .arg("restore")
            .args(["--data".as_ref(), pair.data.as_os_str(), "--keys".as_ref()])
            .args([pair.keys.as_os_str(), "--to".as_ref(), empty.data_folder().as_os_str()])
            .args(["--seal-key".as_ref(), empty.key_file().as_os_str()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let names = empty.data_folder().join("restoring/names");
        let mut looks = 0_u64;
        while child.try_wait().unwrap().is_none() {
            looks += 1;
            // Half of the rounds aim at the moment in which the files get their names.
            if (round % 2 == 0 && names.exists()) || (round % 2 == 1 && looks > round * 300) {
                break;
            }
        }
        let _ = child.kill();
        let _ = child.wait();
        if empty.start().await.is_ok() {
            whole += 1;
        } else {
            none += 1;
            restore(&empty, &input(&empty, &pair.data, &pair.keys)).unwrap();
            empty.start().await.unwrap();
        }
        assert_eq!(empty.count_customers(), 200);
    }
    println!("{whole} killed after the last step, {none} before");
    assert!(none > 0, "no kill met a restore on its way");
}

fn partial_files(shop: &Shop) -> u64 {
    let Ok(found) = std::fs::read_dir(vault_of(shop)) else { return 0 };
    let partial = found.flatten().filter(|it| it.file_name().to_string_lossy().starts_with('.'));
    partial.map(|it| std::fs::read_dir(it.path()).map_or(0, Iterator::count) as u64 + 1).sum()
}
