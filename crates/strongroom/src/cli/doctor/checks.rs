//! What lies on this machine: files and who may read them, the disk, the clock, the policy.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::Value;

use super::{Check, Verdict, applied};
use crate::app::App;
use crate::config::{Config, SealKind};
use crate::ctx::Time;
use crate::db::is_reserved;
use crate::policy;

/// Files and the disk they lie on.
pub(super) fn of_files(config: &Config) -> Vec<Check> {
    let mut checks = vec![data_folder(config)];
    match (&config.key_file, &config.seal) {
        (Some(path), _) => checks.extend([key_file(config, path), key_apart(config, path)]),
        (None, Some(sealing)) => checks.push(sealed(sealing.by)),
        (None, None) => {}
    }
    checks.push(disk(config));
    checks
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

/// Nothing on this machine opens the data without a person or systemd.
fn sealed(by: SealKind) -> Check {
    let saw = match by {
        SealKind::Credential => {
            "a credential opens it, which systemd decrypts on this machine only"
        }
        SealKind::Passphrase => "a passphrase opens it, which is on no disk",
    };
    Check::pass("seal", saw)
}

fn key_file(config: &Config, path: &Path) -> Check {
    let name = "key file";
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

fn key_apart(config: &Config, path: &Path) -> Check {
    let name = "key apart";
    let disk = |path: &Path| fs::metadata(path).map(|facts| facts.dev());
    let (Ok(key), Ok(data)) = (disk(path), disk(&config.data_dir)) else {
        let look = format!("df {} {}", path.display(), config.data_dir.display());
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
    let kept = match is_reserved(&config.data_dir) {
        true => "64 MiB more are set aside for when it is full",
        false => "nothing is set aside for when it is full; a start of the server does that",
    };
    let Ok(facts) = rustix::fs::statvfs(&config.data_dir) else {
        return Check::unknown(name, "its free space could not be seen", look);
    };
    let free = facts.f_bavail.saturating_mul(facts.f_frsize);
    let whole = facts.f_blocks.saturating_mul(facts.f_frsize);
    let saw = format!("{} MiB of {} MiB are free; {kept}", free / MIB, whole / MIB);
    if free >= FREE_BYTES_MIN && free >= whole / 20 {
        return Check::pass(name, saw);
    }
    let risk = "When it is nearly full only erasures, revoking keys, sealing and backups elsewhere go on; \
                nobody's data is shown.";
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

/// What `GET /v1/backups` says: that there is a backup, young enough, and that it was seen to come back.
pub(super) fn backup(told: &Value, every_minutes: Option<u32>) -> Check {
    let name = "backup";
    let number = |key: &str| told.get(key).and_then(Value::as_i64);
    let time = |value: Option<&Value>| value?.as_str().and_then(Time::parse_rfc3339);
    if told.get("backups").is_none() {
        return Check::unknown(name, "how old it is was not said", "strongroom backup list");
    }
    let (Some(made), Some(age_minutes)) = (time(told.get("newest")), number("minutes_ago")) else {
        let risk = "With this machine everything about every customer would be gone for good.";
        return Check::fail(name, "there never was one", risk, MAKE);
    };
    let age = in_words(age_minutes);
    // A server elsewhere does not say how often; rarer than daily cannot be configured.
    let every = i64::from(every_minutes.unwrap_or(EVERY_MINUTES_MAX));
    if age_minutes > every.saturating_mul(2) {
        let saw = format!("the newest is {age} old, and one is due every {}", in_words(every));
        let risk = "What customers told you since would be lost with this machine.";
        return Check::fail(name, saw, risk, MAKE);
    }
    // The installation's own clock, not that of whoever asks from elsewhere.
    let now = made.plus_ms(age_minutes.saturating_mul(60_000));
    let days_ago = |then: Time| now.as_ms().saturating_sub(then.as_ms()) / 86_400_000;
    let risk =
        "A backup that does not come back is none: a dead disk would take every customer along.";
    let rehearsal = told.get("rehearsal").filter(|it| !it.is_null());
    let Some(rehearsed) = time(rehearsal.and_then(|it| it.get("at"))) else {
        let backups = told.get("backups").and_then(Value::as_array);
        let oldest = time(backups.and_then(|all| all.last()).and_then(|it| it.get("made")));
        let saw = format!("the newest is {age} old; whether it comes back was never tried");
        return match oldest {
            Some(oldest) if days_ago(oldest) >= DAYS_UNREHEARSED_MAX => {
                Check::fail(name, saw, risk, REHEARSE)
            }
            _ => Check::unknown(name, saw, REHEARSE),
        };
    };
    let result = rehearsal.and_then(|it| it.get("result")).and_then(Value::as_str);
    if result != Some("ok") {
        let code = result.unwrap_or("no result");
        let saw = format!("the last rehearsed restore did not bring everything back ({code})");
        let mend =
            format!("strongroom backup, then {REHEARSE}; `strongroom backup list` says more");
        return Check::fail(name, saw, risk, mend);
    }
    if days_ago(rehearsed) >= DAYS_UNREHEARSED_MAX {
        let saw = format!("a restore was last rehearsed {} days ago", days_ago(rehearsed));
        return Check::fail(name, saw, risk, REHEARSE);
    }
    let ago = in_words(now.as_ms().saturating_sub(rehearsed.as_ms()) / 60_000);
    let saw = format!("the newest is {age} old; rehearsed {ago} ago, everything came back");
    Check::pass(name, saw)
}

/// The largest unit that says it well enough.
fn in_words(minutes: i64) -> String {
    match minutes {
        1 => "1 minute".to_owned(),
        ..=119 => format!("{} minutes", minutes.max(0)),
        120..=2879 => format!("{} hours", minutes / 60),
        _ => format!("{} days", minutes / 1440),
    }
}

/// A server makes them by itself, so one that did not has a finding about it.
const MAKE: &str =
    "strongroom backup; if a server runs, `strongroom findings` says why it made none";
const REHEARSE: &str = "strongroom restore --verify";
/// Rehearsals are daily; one may be missed while the server is off over night.
const DAYS_UNREHEARSED_MAX: i64 = 2;
const EVERY_MINUTES_MAX: u32 = 1440;

/// Of a data folder; it has a handful.
const FILES_MAX: usize = 1000;
const MIB: u64 = 1024 * 1024;
/// A busy day's ledger and a copy of it.
const FREE_BYTES_MIN: u64 = 1024 * MIB;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(minutes_ago: i64, rehearsed: &str, result: &str, expected: Verdict, says: &str) {
        let told = json!({
            "newest": "2026-11-21T10:00:00Z", "minutes_ago": minutes_ago,
            "backups": [{ "made": "2026-11-21T10:00:00Z" }],
            "rehearsal": { "at": rehearsed, "result": result },
        });
        let seen = backup(&told, Some(60));
        assert_eq!(seen.verdict, expected, "{minutes_ago} {rehearsed} {result}: {}", seen.saw);
        assert!(seen.saw.contains(says), "{}", seen.saw);
        assert_eq!(seen.mend.is_empty(), expected == Verdict::Pass);
    }

    #[test]
    fn a_backup_passes_that_is_young_and_was_seen_to_come_back() {
        let (pass, fail) = (Verdict::Pass, Verdict::Fail);
        let today = "2026-11-21T09:00:00Z";
        check(0, today, "ok", pass, "0 minutes old; rehearsed 60 minutes ago");
        check(120, today, "ok", pass, "2 hours old; rehearsed 3 hours ago");
        check(121, today, "ok", fail, "one is due every 60 minutes");
        check(30, today, "backup_part", fail, "did not bring everything back (backup_part)");
        check(0, "2026-11-19T10:00:01Z", "ok", pass, "rehearsed 47 hours ago");
        check(0, "2026-11-19T10:00:00Z", "ok", fail, "last rehearsed 2 days ago");
    }

    #[test]
    fn what_was_never_tried_did_not_pass_and_fails_after_two_days() {
        let never =
            json!({ "newest": null, "minutes_ago": null, "rehearsal": null, "backups": [] });
        assert_eq!(backup(&never, None).verdict, Verdict::Fail);
        let told = |oldest: &str| {
            json!({ "newest": "2026-11-21T10:00:00Z", "minutes_ago": 5, "rehearsal": null,
                "backups": [{ "made": "2026-11-21T10:00:00Z" }, { "made": oldest }] })
        };
        assert_eq!(backup(&told("2026-11-20T10:00:00Z"), None).verdict, Verdict::Unknown);
        assert_eq!(backup(&told("2026-11-19T10:00:00Z"), None).verdict, Verdict::Fail);
        for nothing in [json!(null), json!({}), json!("x")] {
            assert_eq!(backup(&nothing, None).verdict, Verdict::Unknown, "{nothing}");
        }
    }

    #[test]
    fn a_server_elsewhere_is_held_against_the_rarest_there_can_be() {
        let told = |minutes: i64| {
            json!({ "newest": "2026-11-21T10:00:00Z", "minutes_ago": minutes, "backups": [],
                "rehearsal": { "at": "2026-11-22T10:00:00Z", "result": "ok" } })
        };
        assert_eq!(backup(&told(2880), None).verdict, Verdict::Pass);
        assert_eq!(backup(&told(2881), None).verdict, Verdict::Fail);
    }
}
