//! Figures without the compiler's version cannot be compared.

use std::process::Command;

fn main() {
    let output = Command::new("rustc").arg("--version").output().ok();
    let text = output.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    let version = text.split(' ').nth(1).unwrap_or("unknown");
    println!("cargo::rustc-env=RUST_VERSION={version}");
    println!("cargo::rerun-if-changed=build.rs");
}
