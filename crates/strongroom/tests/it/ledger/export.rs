//! `strongroom ledger export`, checked by the auditor's own program.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use strongroom_verify::{Asked, Key, Report, Wrong, verify_log};

use crate::attack::{Kept, read};
use crate::support::Shop;
use crate::support::data::section_of;

/// Exports the log of a shop that is stopped; what it said, where it was refused.
pub(crate) fn export(shop: &Shop, folder: &Path) -> Result<String, String> {
    let config = shop.folder.path().join("strongroom.toml");
    let text = format!(
        "data_dir = {:?}\nkey_file = {:?}\npolicy = \"policy.toml\"\n{}",
        shop.data_folder(),
        shop.key_file(),
        section_of(shop.folder.path())
    );
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    let command = command.args(["ledger", "export"]).arg(folder).arg("--config").arg(&config);
    let told = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    match told.status.code() {
        Some(0) => Ok(text(&told.stdout)),
        _ => Err(text(&told.stderr)),
    }
}

/// Checks what was exported, with the key that the folder says (a test trusts it).
pub(crate) fn check(folder: &Path, since: Option<&[u8]>) -> Result<Vec<Report>, Wrong> {
    let key = std::fs::read_to_string(folder.join("vkey")).unwrap();
    let key = Key::log(key.trim_end()).unwrap();
    verify_log(folder, &Asked { since, ..Asked::with(&key) })
}

async fn grow(shop: &Shop, id: &str, size: u64) {
    while shop.ledger_size() < size {
        assert_eq!(read(shop, id).await.status, 200);
    }
}

fn file(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    assert!(path.is_file(), "{name}");
    path
}

/// What was written anew is another file.
fn number(folder: &Path, name: &str) -> u64 {
    std::fs::metadata(file(folder, name)).unwrap().ino()
}

#[tokio::test]
async fn an_exported_log_is_intact_and_goes_on_where_it_ended() {
    let mut shop = Shop::open_today().await;
    let id = shop.customer(1).await;
    grow(&shop, &id, 300).await;
    let folder = shop.folder.path().join("log");
    shop.stop();
    let told = export(&shop, &folder).unwrap();
    let reports = check(&folder, None).unwrap();
    let size = reports[0].checkpoint.size;
    assert!(reports.len() == 1 && (300..310).contains(&size), "{reports:?}");
    assert!(told.starts_with(&format!("{size} entries are in")), "{told}");
    let kept = std::fs::read(file(&folder, "checkpoint")).unwrap();
    let rest = size - 256;
    for row in ["0", "entries"] {
        file(&folder, &format!("tile/{row}/001.p/{rest}"));
    }
    file(&folder, "tile/1/000.p/1");

    shop.start().await.unwrap();
    grow(&shop, &id, 600).await;
    shop.stop();
    let same = ["tile/0/000", "tile/entries/000"].map(|name| (name, number(&folder, name)));
    let told = export(&shop, &folder).unwrap();
    let size = check(&folder, Some(&kept)).unwrap()[0].checkpoint.size;
    assert!(size >= 600 && told.starts_with(&format!("{size} entries")), "{told}");
    for (name, before) in same {
        assert_eq!(number(&folder, name), before, "{name} is full and was right");
    }
    assert!(!folder.join("tile/0/001.p").exists(), "what grew full stands there once");

    // What was damaged since is fetched anew.
    for name in ["tile/0/001", "tile/entries/000"] {
        std::fs::write(file(&folder, name), b"damaged").unwrap();
        assert!(check(&folder, None).is_err(), "{name}");
        export(&shop, &folder).unwrap();
        check(&folder, Some(&kept)).unwrap();
    }
}

#[tokio::test]
async fn a_folder_takes_one_log_and_no_other_past_of_it() {
    let mut shop = Shop::open_today().await;
    let id = shop.customer(1).await;
    let folder = shop.folder.path().join("log");
    shop.stop();
    let then = Kept::of(&shop);
    shop.start().await.unwrap();
    grow(&shop, &id, 60).await;
    shop.stop();
    export(&shop, &folder).unwrap();
    let exported = std::fs::read(file(&folder, "checkpoint")).unwrap();

    let mut other = Shop::open_today().await;
    other.stop();
    let refused = export(&other, &folder).unwrap_err();
    assert!(refused.contains("another name or key"), "{refused}");
    let busy = other.folder.path().join("busy");
    std::fs::create_dir(&busy).unwrap();
    std::fs::write(busy.join("holiday.jpg"), b"x").unwrap();
    let refused = export(&other, &busy).unwrap_err();
    assert!(refused.contains("is not empty and holds no exported log"), "{refused}");

    // Both stores put back to before the export: nobody notices at start, the folder does.
    then.put_back(&shop);
    let refused = export(&shop, &folder).unwrap_err();
    assert!(refused.contains("it has more entries than the log has now"), "{refused}");
    shop.start().await.unwrap();
    grow(&shop, &id, 90).await;
    shop.stop();
    let refused = export(&shop, &folder).unwrap_err();
    assert!(refused.contains("the log does not continue it"), "{refused}");
    assert_eq!(std::fs::read(file(&folder, "checkpoint")).unwrap(), exported, "it is the proof");
    check(&folder, None).unwrap();
}

#[tokio::test]
async fn a_server_that_sends_another_log_than_it_signed_spoils_no_folder() {
    let mut shop = Shop::open_today().await;
    let id = shop.customer(1).await;
    grow(&shop, &id, 600).await;
    shop.stop();
    let folder = shop.folder.path().join("log");
    let sql = "UPDATE ledger_entry SET leaf = leaf || x'00' WHERE idx = 9";
    crate::support::intrude(shop.data(), sql);
    let refused = export(&shop, &folder).unwrap_err();
    assert!(refused.contains("tile/0/000 is not the one under the signed root"), "{refused}");
    assert!(!folder.join("checkpoint").exists());
    assert!(check(&folder, None).is_err());
}
