//! What comes from outside: the crypto wall and the number of packages, read from Cargo.lock.
//!
//! Licences and advisories need more than the lock file; `./check` asks cargo-deny about them and
//! says so when it cannot.

use std::path::Path;
use std::process::Command;

use toml::{Table, Value};

use crate::tree::Tree;

/// One `[[package]]` of the lock file.
pub(crate) struct Package {
    name: String,
    needs: Vec<String>,
}

/// Fails where the lock file is absent or not understood: an unread lock file proves nothing.
pub(crate) fn packages(tree: &Tree) -> Result<Vec<Package>, String> {
    let text = tree.texts.get("Cargo.lock").ok_or("Cargo.lock does not exist: commit it")?;
    let table: Table = text.parse().map_err(|error| format!("Cargo.lock: {error}"))?;
    let listed = table.get("package").and_then(Value::as_array).ok_or("Cargo.lock: no package")?;
    listed.iter().map(|package| read_package(package).ok_or_else(unreadable)).collect()
}

/// Nobody new touches the ciphers, and none of the banned comes in.
pub(crate) fn wall(packages: &[Package]) -> Vec<String> {
    let mut found = Vec::new();
    for package in packages {
        for need in &package.needs {
            let reviewed = CIPHER_USERS.iter().any(|(name, _)| *name == package.name);
            if CIPHERS.contains(&need.as_str()) && !reviewed && need != &package.name {
                found.push(format!(
                    "`{}` depends on {need} directly: go through strongroom-crypto, or, for a \
                     library that brings it along, add it with its reason to CIPHER_USERS and to \
                     deny.toml",
                    package.name
                ));
            }
            let is_unbuilt =
                UNBUILT.iter().any(|(banned, by, _)| banned == need && *by == package.name);
            if BANNED.iter().any(|(name, _)| name == need) && !is_unbuilt {
                found.push(format!(
                    "`{}` brings in `{need}`: switch off the feature that does, or take another \
                     library ({})",
                    package.name,
                    reason(need)
                ));
            }
        }
    }
    found
}

/// Every package is code somebody must trust.
pub(crate) fn count(packages: &[Package]) -> Vec<String> {
    if packages.len() <= PACKAGES_MAX {
        return Vec::new();
    }
    vec![format!(
        "Cargo.lock holds {} packages, {PACKAGES_MAX} are allowed: drop one (`cargo tree -d` shows \
         what stands there twice) before the next comes in",
        packages.len()
    )]
}

/// The lock file lists a few packages that no build contains; this asks cargo for the proof.
pub(crate) fn unbuilt(root: &Path, packages: &[Package]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, by, _) in UNBUILT {
        if !packages.iter().any(|package| package.name == *name) {
            found.push(format!(
                "`{name}` (by {by}) is gone from Cargo.lock: take it out of UNBUILT"
            ));
            continue;
        }
        let tree = Command::new(env!("CARGO"))
            .args(["tree", "--workspace", "--locked", "--offline", "--edges", "all"])
            .args(["--invert", name])
            .current_dir(root)
            .output();
        match tree {
            Ok(output) if output.status.success() && output.stdout.is_empty() => {}
            Ok(output) => found.push(format!(
                "`{name}` is said to be locked but never built, and cargo does not agree: {}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            )),
            Err(error) => found.push(format!("cargo tree cannot be started: {error}")),
        }
    }
    found
}

fn read_package(package: &Value) -> Option<Package> {
    let name = package.get("name")?.as_str()?.to_owned();
    let needs = match package.get("dependencies") {
        // An entry is `name`, `name version` or `name version (source)`.
        Some(listed) => listed
            .as_array()?
            .iter()
            .map(|need| Some(need.as_str()?.split(' ').next()?.to_owned()))
            .collect::<Option<_>>()?,
        None => Vec::new(),
    };
    Some(Package { name, needs })
}

fn unreadable() -> String {
    "Cargo.lock: a package that tidy does not understand: teach tidy the new form".to_owned()
}

fn reason(banned: &str) -> &'static str {
    BANNED.iter().find(|(name, _)| *name == banned).map_or("", |(_, reason)| reason)
}

/// The way to PostgreSQL brought 37, of which 15 are for systems that we do not build for.
const PACKAGES_MAX: usize = 410;

const CIPHERS: &[&str] = &["argon2", "aws-lc-rs", "aws-lc-sys", "aws-lc-fips-sys"];

/// Who may use the ciphers directly, reviewed one by one; the same list stands in deny.toml.
const CIPHER_USERS: &[(&str, &str)] = &[
    ("aws-lc-rs", "is the library itself"),
    ("instant-acme", "signs what it asks a public authority with the account's key"),
    ("rcgen", "makes certificates of an own authority and requests to a public one"),
    ("rustls", "TLS; its provider is aws-lc-rs, the same code we use"),
    ("rustls-webpki", "checks the certificates of TLS peers with the same provider"),
    ("strongroom-crypto", "is the wall"),
    ("x509-parser", "reads dates and names of certificates; comes with rcgen"),
];

const BANNED: &[(&str, &str)] = &[
    ("native-tls", "TLS is rustls: one implementation, the same on every system"),
    ("openssl", "ciphers are aws-lc-rs: a second implementation is a second risk"),
    ("openssl-sys", "ciphers are aws-lc-rs: a second implementation is a second risk"),
    ("ring", "ciphers are aws-lc-rs: a second implementation is a second risk"),
    ("sqlx", "rusqlite and tokio-postgres stand behind our own seam, measured faster"),
];

/// Banned, in the lock file because of whom, and why no build contains it.
const UNBUILT: &[(&str, &str, &str)] = &[(
    "ring",
    "rustls-webpki",
    "an optional dependency; cargo locks it for the sake of a weak feature (`ring?/std`)",
)];

#[cfg(test)]
fn lock_of(packages: &[(&str, &str)]) -> Result<Vec<Package>, String> {
    let line = |(name, needs): &(&str, &str)| {
        let needs: Vec<_> =
            needs.split_whitespace().map(|need| format!("\"{need} 1.0.0\"")).collect();
        format!("[[package]]\nname = \"{name}\"\ndependencies = [{}]\n", needs.join(", "))
    };
    let text: String = packages.iter().map(line).collect();
    super::supply::packages(&Tree::of(&[("Cargo.lock", &text)])?)
}

#[test]
fn a_new_user_of_the_ciphers_is_caught() -> Result<(), String> {
    let good = [("strongroom-crypto", "aws-lc-rs"), ("rustls", "aws-lc-rs log")];
    crate::tree::check(&wall(&lock_of(&good)?), &[]);
    let bad = [("strongroom", "serde aws-lc-rs"), ("other", "aws-lc-sys")];
    let expected = ["`strongroom` depends on aws-lc-rs", "`other` depends on aws-lc-sys"];
    crate::tree::check(&wall(&lock_of(&bad)?), &expected);
    Ok(())
}

#[test]
fn a_banned_package_is_caught() -> Result<(), String> {
    for (banned, _) in BANNED {
        let found = wall(&lock_of(&[("other", banned)])?);
        crate::tree::check(&found, &[&format!("`other` brings in `{banned}`")]);
    }
    crate::tree::check(&wall(&lock_of(&[("rustls-webpki", "ring")])?), &[]);
    Ok(())
}

#[test]
fn a_package_too_many_is_caught() -> Result<(), String> {
    crate::tree::check(&count(&lock_of(&[("a", ""); PACKAGES_MAX])?), &[]);
    crate::tree::check(&count(&lock_of(&[("a", ""); PACKAGES_MAX + 1])?), &["holds 411 packages"]);
    Ok(())
}

#[test]
fn a_lock_file_that_cannot_be_read_is_an_error() -> Result<(), String> {
    assert!(packages(&Tree::of(&[])?).is_err());
    for text in ["", "package = 1", "[[package]]\nversion = \"1\"", "[[package]"] {
        assert!(packages(&Tree::of(&[("Cargo.lock", text)])?).is_err(), "{text}");
    }
    Ok(())
}
