//! A part that is not what the manifest says is refused by its name; so is what is not ours at all.

use std::path::{Path, PathBuf};

use super::{back_up, input, restore};
use crate::support::Shop;

/// A shop whose backups have several parts each is too large for a quick test; these have two or three.
async fn pair_of_two(shop: &Shop) -> super::Pair {
    for number in 0..3 {
        shop.customer(number).await;
    }
    back_up(shop).await
}

fn copy(from: &Path, to: &Path) -> PathBuf {
    let copy = to.join(from.file_name().unwrap());
    let _ = std::fs::remove_dir_all(&copy);
    std::fs::create_dir_all(&copy).unwrap();
    for file in std::fs::read_dir(from).unwrap().flatten() {
        std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    copy
}

#[tokio::test]
async fn a_damaged_truncated_swapped_missing_or_foreign_part_is_refused_by_name() {
    let mut shop = Shop::open().await;
    let pair = pair_of_two(&shop).await;
    let other = back_up(&shop).await;
    shop.stop();
    let work = tempfile::tempdir().unwrap();
    let empty = shop.empty_beside();
    let check = |what: &dyn Fn(&Path), part: &str, why: &str| {
        let keys = copy(&pair.keys, work.path());
        what(&keys);
        let refused = restore(&empty, &input(&empty, &pair.data, &keys)).unwrap_err();
        assert_eq!(refused.code, "backup_part", "{}", refused.detail);
        assert!(refused.detail.contains(&format!("`{part}`")), "{part}: {}", refused.detail);
        assert!(refused.detail.contains(why), "{why}: {}", refused.detail);
        assert!(!empty.keys_file().exists());
    };
    let first = "part-0001.age";
    let second = "part-0002.age";
    check(
        &|keys| {
            let mut bytes = std::fs::read(keys.join(first)).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(keys.join(first), bytes).unwrap();
        },
        first,
        "damaged",
    );
    check(
        &|keys| {
            let bytes = std::fs::read(keys.join(second)).unwrap();
            std::fs::write(keys.join(second), &bytes[..bytes.len() - 1]).unwrap();
        },
        second,
        "truncated",
    );
    check(
        &|keys| {
            let [one, two] = [first, second].map(|it| std::fs::read(keys.join(it)).unwrap());
            std::fs::write(keys.join(first), two).unwrap();
            std::fs::write(keys.join(second), one).unwrap();
        },
        first,
        "swapped: it is `part-0002.age`",
    );
    check(&|keys| std::fs::remove_file(keys.join(second)).unwrap(), second, "missing");
    check(
        &|keys| {
            // Of the right length, so that only what is in it tells.
            let length = std::fs::metadata(keys.join(first)).unwrap().len();
            let mut bytes = std::fs::read(other.keys.join(first)).unwrap();
            bytes.resize(usize::try_from(length).unwrap(), 0);
            std::fs::write(keys.join(first), bytes).unwrap();
        },
        first,
        "was put there from elsewhere",
    );
    check(
        &|keys| {
            std::fs::copy(other.keys.join(first), keys.join("part-0009.age")).unwrap();
        },
        "part-0009.age",
        "no part of this backup",
    );
    restore(&empty, &input(&empty, &pair.data, &pair.keys)).unwrap();
}

#[tokio::test]
async fn a_manifest_that_was_changed_in_any_byte_is_refused() {
    let mut shop = Shop::open().await;
    let pair = pair_of_two(&shop).await;
    shop.stop();
    let work = tempfile::tempdir().unwrap();
    let empty = shop.empty_beside();
    let good = std::fs::read(pair.data.join("manifest")).unwrap();
    for place in (0..good.len()).step_by(61) {
        let data = copy(&pair.data, work.path());
        let mut bytes = good.clone();
        bytes[place] ^= 1;
        std::fs::write(data.join("manifest"), bytes).unwrap();
        let refused = restore(&empty, &input(&empty, &data, &pair.keys)).unwrap_err();
        let codes = [
            "backup_manifest",
            "backup_kind",
            "backup_format",
            "wrong_key_file",
            "backup_unreadable",
        ];
        assert!(codes.contains(&refused.code), "byte {place}: {}", refused.code);
    }
    let data = copy(&pair.data, work.path());
    let older = String::from_utf8(good).unwrap().replace("\"entries\": ", "\"entries\": 1");
    std::fs::write(data.join("manifest"), older).unwrap();
    let refused = restore(&empty, &input(&empty, &data, &pair.keys)).unwrap_err();
    assert_eq!(refused.code, "backup_manifest");
}

#[tokio::test]
async fn another_key_file_opens_no_backup() {
    let mut shop = Shop::open().await;
    let pair = pair_of_two(&shop).await;
    shop.stop();
    let stranger = Shop::bare();
    let empty = shop.empty_beside();
    std::fs::remove_file(empty.key_file()).unwrap();
    std::fs::copy(stranger.key_file(), empty.key_file()).unwrap();
    let refused = restore(&empty, &input(&empty, &pair.data, &pair.keys)).unwrap_err();
    assert_eq!(refused.code, "wrong_key_file");
}

#[tokio::test]
async fn backups_of_two_installations_or_of_one_kind_are_no_pair() {
    let mut shop = Shop::open().await;
    let pair = pair_of_two(&shop).await;
    shop.stop();
    let mut other = Shop::open().await;
    let others = pair_of_two(&other).await;
    other.stop();
    let empty = shop.empty_beside();
    let refused = restore(&empty, &input(&empty, &pair.data, &others.keys)).unwrap_err();
    assert_eq!(refused.code, "wrong_key_file");
    let refused = restore(&empty, &input(&empty, &pair.keys, &pair.keys)).unwrap_err();
    assert_eq!(refused.code, "backup_kind");
    let nowhere = tempfile::tempdir().unwrap();
    let refused = restore(&empty, &input(&empty, nowhere.path(), &pair.keys)).unwrap_err();
    assert_eq!(refused.code, "no_backup");
}

/// The folder that all backups lie in may be named: the newest of each kind is taken.
#[tokio::test]
async fn the_newest_of_a_folder_is_taken() {
    let mut shop = Shop::open().await;
    pair_of_two(&shop).await;
    shop.clock.pass_ms(3_600_000);
    back_up(&shop).await;
    shop.stop();
    let empty = shop.empty_beside();
    let folder = super::vault_of(&shop);
    let seen = restore(&empty, &input(&empty, &folder, &folder)).unwrap();
    assert_eq!(seen.data.made, "2026-11-21T11:00:00.000Z");
}
