//! What lies on this machine: files and who may read them, the disk, the clock, the policy.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Check, Verdict, applied};
use crate::app::App;
use crate::config::Config;
use crate::policy;

/// Files and the disk they lie on.
pub(super) fn of_files(config: &Config) -> Vec<Check> {
    vec![data_folder(config), key_file(config), key_apart(config), disk(config)]
}

fn data_folder(config: &Config) -> Check {
    let name = "data folder";
    let folder = &config.data_dir;
    let cannot = |cause: &std::io::Error| {
        let saw = format!("`{}` cannot be looked at: {cause}", folder.display());
        Check::unknown(name, saw, format!("ls -ld {}", folder.display()))
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) => return cannot(&cause),
    };
    let inside = entries.take(FILES_MAX).filter_map(Result::ok).map(|entry| entry.path());
    let mut open = Vec::new();
    for path in std::iter::once(folder.clone()).chain(inside) {
        match fs::symlink_metadata(&path) {
            Ok(facts) if facts.mode() & 0o077 != 0 => open.push(path.display().to_string()),
            Ok(_) => {}
            Err(cause) => return cannot(&cause),
        }
    }
    if open.is_empty() {
        return Check::pass(name, "only its owner can read it");
    }
    let saw = format!("others on this machine may reach {}", open.join(", "));
    let risk =
        "A copy of it is a copy of all customers, sealed; together with the key file, readable.";
    Check::fail(name, saw, risk, format!("chmod -R go= {}", folder.display()))
}

fn key_file(config: &Config) -> Check {
    let name = "key file";
    let path = &config.key_file;
    let facts = match fs::metadata(path) {
        Ok(facts) => facts,
        Err(cause) => {
            let saw = format!("`{}` cannot be looked at: {cause}", path.display());
            let risk = "Without it no customer's data can be opened, by anyone, ever.";
            let mend = "put back the copy you keep in a safe place";
            return Check::fail(name, saw, risk, mend);
        }
    };
    if facts.mode() & 0o077 != 0 {
        let risk =
            "Whoever logs in to this machine and gets a copy of the data reads every customer.";
        let mend = format!("chmod 400 {}", path.display());
        return Check::fail(name, "others on this machine can read it", risk, mend);
    }
    let places = [("data_dir", &config.data_dir), ("backup.to", &config.backup.to)];
    for (setting, folder) in places {
        if is_inside(path, folder) {
            let saw = format!("it lies inside `{setting}` ({})", folder.display());
            let risk = "Every copy of that folder carries the key that opens it: who finds one backup \
                        reads every customer.";
            let mend = format!("mv {} ELSEWHERE, and name that in `key_file`", path.display());
            return Check::fail(name, saw, risk, mend);
        }
    }
    Check::pass(name, "only its owner can read it; it is in neither the data nor the backup folder")
}

/// Links and `..` lead where they lead.
fn is_inside(path: &Path, folder: &Path) -> bool {
    let (Ok(path), Ok(folder)) = (path.canonicalize(), folder.canonicalize()) else {
        return path.starts_with(folder);
    };
    path.starts_with(folder)
}

fn key_apart(config: &Config) -> Check {
    let name = "key apart";
    let disk = |path: &Path| fs::metadata(path).map(|facts| facts.dev());
    let (Ok(key), Ok(data)) = (disk(&config.key_file), disk(&config.data_dir)) else {
        let look = format!("df {} {}", config.key_file.display(), config.data_dir.display());
        return Check::unknown(name, "where key file and data lie could not be seen", look);
    };
    if key != data {
        return Check::pass(name, "the key file is on another disk than the data");
    }
    let saw = "the key file is on the same disk as the data";
    let risk = "Whoever steals that disk, or a copy of it, reads every customer.";
    let mend = "put it on another disk or a stick that stays in the machine, and name that in \
                `key_file`";
    Check { verdict: Verdict::Finding, ..Check::fail(name, saw, risk, mend) }
}

fn disk(config: &Config) -> Check {
    let name = "disk";
    let look = format!("df -h {}", config.data_dir.display());
    let Ok(facts) = rustix::fs::statvfs(&config.data_dir) else {
        return Check::unknown(name, "its free space could not be seen", look);
    };
    let free = facts.f_bavail.saturating_mul(facts.f_frsize);
    let whole = facts.f_blocks.saturating_mul(facts.f_frsize);
    let saw = format!("{} MiB of {} MiB are free", free / MIB, whole / MIB);
    if free >= FREE_BYTES_MIN && free >= whole / 20 {
        return Check::pass(name, saw);
    }
    let risk = "When it is full nothing can be written into the ledger, so nothing is answered.";
    Check::fail(name, saw, risk, format!("{look}, then make room"))
}

/// Whether the machine sets its clock by others. Only systemd-timesyncd says so in a file.
pub(super) fn clock() -> Check {
    let name = "clock";
    if Path::new("/run/systemd/timesync/synchronized").exists() {
        return Check::pass(name, "it is set by a time server");
    }
    let look =
        if Path::new("/run/chrony").exists() { "chronyc tracking" } else { "timedatectl status" };
    let saw =
        "whether it is set by a time server could not be seen; keys, budgets and erasures go by it";
    Check::unknown(name, saw, look)
}

/// Whether the file says what counts.
pub(super) fn policy(app: &App, config: &Config) -> Check {
    let name = "policy";
    let path = config.policy.display();
    let read = fs::read_to_string(&config.policy).ok().and_then(|text| policy::read(&text).ok());
    let risk = "What people read in the file is not what happens to customers' data.";
    match (read, applied(app)) {
        (_, None) => {
            let saw = "none is applied, so nothing is kept or shown";
            Check::fail(name, saw, "Customers' data stays where it was.", "strongroom policy apply")
        }
        (None, Some(_)) => {
            let saw = format!("`{path}` cannot be read as a policy; the applied one counts");
            Check::fail(name, saw, risk, "strongroom policy check")
        }
        (Some(file), Some(applied)) if file == applied.policy => {
            Check::pass(name, "the file is the applied policy")
        }
        (Some(_), Some(_)) => {
            let saw = format!("`{path}` differs from the applied policy, which counts");
            Check::fail(name, saw, risk, "strongroom policy apply")
        }
    }
}

/// Of a data folder; it has a handful.
const FILES_MAX: usize = 1000;
const MIB: u64 = 1024 * 1024;
/// A busy day's ledger and a copy of it.
const FREE_BYTES_MIN: u64 = 1024 * MIB;
