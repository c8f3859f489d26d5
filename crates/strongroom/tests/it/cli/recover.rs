//! `recover`: shares handed out, rehearsed and used, and another seal, as a person at a terminal does it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Installation, Running, run, shell, strongroom, text};

impl Installation {
    fn key_file(&self) -> PathBuf {
        self.path().join("strongroom.key")
    }

    /// The files of a new set of shares.
    fn shares(&self, folder: &str) -> Vec<String> {
        let folder = self.path().join(folder);
        self.must(&["recover", "shares", "--shares-to", &text(&folder)]);
        let mut files: Vec<String> =
            std::fs::read_dir(folder).unwrap().map(|file| text(file.unwrap().path())).collect();
        files.sort();
        assert_eq!(files.len(), 3);
        files
    }

    fn configure(&self, from: &str, to: &str) {
        let config = std::fs::read_to_string(self.config()).unwrap();
        assert!(config.contains(from), "{config}");
        std::fs::write(self.config(), config.replace(from, to)).unwrap();
    }

    fn open_findings(&self) -> String {
        self.must(&["findings"])
    }
}

const KEY_FILE_LINE: &str =
    "key_file = \"strongroom.key\"   # opens them; never inside data_dir, never in the same backup";

#[test]
fn a_lost_key_file_is_no_lost_business() {
    let shop = Installation::new();
    assert!(shop.open_findings().contains("recovery_missing"));
    let shares = shop.shares("held");
    for share in &shares {
        let mode = std::fs::metadata(share).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{share}");
        let page = std::fs::read_to_string(share).unwrap();
        assert!(page.contains("This one alone opens nothing"), "{page}");
    }
    let findings = shop.open_findings();
    assert!(!findings.contains("recovery_missing") && findings.contains("key_file_only"));
    let [first, second, third] = &shares[..] else { panic!("{shares:?}") };
    let rehearse =
        |one: &str, two: &str| shop.run(&["recover", "--dry-run", "--share", one, "--share", two]);
    let told = rehearse(first, third);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.out.contains("Nothing was changed"), "{told:?}");
    let told = rehearse(first, first);
    assert!(told.code == Some(1) && told.err.contains("the same share twice"), "{told:?}");
    let told = shop.run(&["recover", "--dry-run", "--share", first]);
    assert!(told.code == Some(2) && told.err.contains("takes two shares"), "{told:?}");

    let recover = ["recover", "--share", second, "--share", third];
    let told = shop.run(&recover);
    assert!(told.code == Some(1) && told.err.contains("never overwritten"), "{told:?}");
    std::fs::remove_file(shop.key_file()).unwrap();
    let told = shop.run(&["findings"]);
    assert!(told.code == Some(1) && told.err.contains("key file"), "{told:?}");
    shop.must(&recover);
    assert!(shop.must(&["ledger", "verify"]).contains("Intact"));
    let mode = std::fs::metadata(shop.key_file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o400);
}

#[test]
fn a_mistyped_share_is_named_by_its_row() {
    let shop = Installation::new();
    let shares = shop.shares("held");
    let page = std::fs::read_to_string(&shares[0]).unwrap();
    let row = page.lines().find(|line| line.starts_with("3:")).unwrap();
    let wrong = page.replace(row, &format!("{} xylem", row.rsplit_once(' ').unwrap().0));
    std::fs::write(&shares[0], wrong).unwrap();
    let told = shop.run(&["recover", "--dry-run", "--share", &shares[0], "--share", &shares[1]]);
    assert!(told.code == Some(1) && told.err.contains("word 4 of row 3"), "{told:?}");
}

#[test]
fn shares_go_to_a_terminal_or_into_files_and_nowhere_else() {
    let shop = Installation::new();
    let told = shop.run(&["recover", "shares"]);
    assert!(told.code == Some(2) && told.err.contains("--shares-to DIR"), "{told:?}");
    assert!(shop.open_findings().contains("recovery_missing"), "nothing was made");

    let line = format!(
        "{} recover shares --config {}",
        env!("CARGO_BIN_EXE_strongroom"),
        text(shop.config())
    );
    let left = shell(&format!("printf '\\n' | script -qec '{line}' /dev/null"));
    assert!(left.code == Some(2) && left.out.contains("not all seen"), "{left:?}");
    assert!(shop.open_findings().contains("recovery_missing"), "who left has no shares");
    let seen = shell(&format!("printf '\\n\\n\\n' | script -qec '{line}' /dev/null"));
    assert_eq!(seen.code, Some(0), "{seen:?}");
    for part in ["SHARE 1 of 3", "SHARE 2 of 3", "SHARE 3 of 3", "Three recovery shares of the set"]
    {
        assert!(seen.out.contains(part), "{part}: {seen:?}");
    }
    assert!(!shop.open_findings().contains("recovery_missing"));
    // A second set is not put over the first.
    let held = shop.path().join("held");
    let made = |told: &super::Told| told.code == Some(0);
    assert!(made(&shop.run(&["recover", "shares", "--shares-to", &text(&held)])));
    assert!(made(&shop.run(&["recover", "shares", "--shares-to", &text(&held)])));
    assert_eq!(std::fs::read_dir(&held).unwrap().count(), 6);
}

#[test]
fn init_hands_out_shares_where_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, held) = (folder.path().join("shop"), folder.path().join("held"));
    let told =
        run(strongroom().args(["init", "--dir"]).arg(&dir).arg("--shares-to").arg(&held), "");
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.out.contains("Three recovery shares"), "{told:?}");
    assert_eq!(std::fs::read_dir(&held).unwrap().count(), 3);
}

#[test]
fn a_passphrase_opens_it_and_is_on_no_disk() {
    let shop = Installation::with_policy(include_str!("../../../../../examples/shop/policy.toml"));
    let words = shop.path().join("words");
    std::fs::write(&words, "seven wet herons borrow a ladder\n").unwrap();
    std::fs::set_permissions(&words, PermissionsExt::from_mode(0o600)).unwrap();
    let told = shop.must(&["recover", "seal", "--to", "passphrase", "--file", &text(&words)]);
    assert!(told.contains("by = \"passphrase\""), "{told}");
    let told = shop.run(&["findings"]);
    assert!(told.code == Some(1) && told.err.contains("`[seal]`"), "{told:?}");

    shop.configure(KEY_FILE_LINE, "");
    let path = text(shop.config());
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{config}\n[seal]\nby = \"passphrase\"\n")).unwrap();
    let told = shop.run(&["findings"]);
    assert!(told.code == Some(1) && told.err.contains("on a terminal"), "{told:?}");
    let program = env!("CARGO_BIN_EXE_strongroom");
    let ask = |typed: &str| {
        let line = format!("{program} findings --config {path}");
        shell(&format!("printf '{typed}\\n' | script -qec '{line}' /dev/null"))
    };
    let told = ask("seven wet herons borrow a ladder");
    assert!(told.code == Some(0) && !told.out.contains("key_file_only"), "{told:?}");
    let told = ask("seven wet herons borrow a letter");
    assert!(told.code == Some(1) && told.out.contains("not the right one"), "{told:?}");
    let left = text(shop.path());
    let found = shell(&format!("grep -rl 'wet herons' {left} | grep -v '/words$'"));
    assert_eq!(found.out, "", "the passphrase lies somewhere");

    // Where nobody sits at a terminal it comes through a pipe or a file.
    std::fs::write(&path, format!("{config}\n[seal]\nby = \"passphrase\"\nfile = \"words\"\n"))
        .unwrap();
    let mut served = Running::start(&mut shop.command(&["serve"]));
    served.wait_for(|line| line.starts_with("Strongroom answers at"));
    served.signal("TERM");
    assert!(served.end().0.success());
    std::fs::set_permissions(&words, PermissionsExt::from_mode(0o640)).unwrap();
    let told = shop.run(&["findings"]);
    assert!(told.code == Some(1) && told.err.contains("chmod 600"), "{told:?}");
}

/// The real `systemd-creds`, with the key of this machine.
#[test]
fn a_credential_of_systemd_opens_it() {
    if !can_encrypt() {
        let is_root =
            std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0;
        let is_required = option_env!("STRONGROOM_TOOLS") == Some("required") && is_root;
        assert!(!is_required, "there is no systemd-creds");
        println!("NOT RUN: there is no systemd-creds here, or only root may use the machine's key");
        return;
    }
    let shop = Installation::new();
    let credential = text(shop.path().join("strongroom.cred"));
    shop.must(&["recover", "seal", "--to", "credential", "--file", &credential]);
    let encrypted = std::fs::read_to_string(&credential).unwrap();
    assert!(!encrypted.contains("key file"), "it lies there in the clear: {encrypted}");
    shop.configure(KEY_FILE_LINE, "");
    let config = std::fs::read_to_string(shop.config()).unwrap();
    let seal = "[seal]\nby = \"credential\"\nfile = \"strongroom.cred\"\n";
    std::fs::write(shop.config(), format!("{config}\n{seal}")).unwrap();
    std::fs::remove_file(shop.key_file()).unwrap();
    assert!(!shop.open_findings().contains("key_file_only"));

    // As the service manager hands it over: decrypted, in a folder of the service.
    let handed = shop.path().join("handed");
    std::fs::create_dir(&handed).unwrap();
    let decrypted = shell(&format!(
        "systemd-creds decrypt --name=strongroom.key {credential} {}",
        text(handed.join("strongroom.key"))
    ));
    assert_eq!(decrypted.code, Some(0), "{decrypted:?}");
    std::fs::rename(&credential, shop.path().join("away")).unwrap();
    assert_eq!(shop.run(&["findings"]).code, Some(1), "neither handed over nor there");
    let told = run(shop.command(&["findings"]).env("CREDENTIALS_DIRECTORY", &handed), "");
    assert_eq!(told.code, Some(0), "{told:?}");
}

fn can_encrypt() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let line = format!("printf x | systemd-creds encrypt --name=strongroom.key - {}", text(&out));
    shell(&line).code == Some(0) && Path::new(&out).exists()
}
