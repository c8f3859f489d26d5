//! What was measured on: enough to judge a figure, nothing that names the machine.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

#[derive(Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_mib: u64,
    pub(crate) kernel: String,
    /// Of the folder that holds the data: on `tmpfs` nothing is ever durable.
    pub(crate) file_system: String,
}

#[derive(Serialize)]
pub(crate) struct Versions {
    pub(crate) strongroom: &'static str,
    pub(crate) commit: String,
    pub(crate) rust: &'static str,
    pub(crate) sqlite: &'static str,
    pub(crate) build: &'static str,
}

impl Machine {
    pub(crate) fn read(data_folder: &Path) -> Self {
        let memory = line("/proc/meminfo", "MemTotal:");
        let memory_kib: u64 = memory.trim_end_matches(" kB").parse().unwrap_or(0);
        Self {
            processor: line("/proc/cpuinfo", "model name"),
            cores: cores(),
            memory_mib: memory_kib / 1024,
            kernel: text("/proc/sys/kernel/osrelease"),
            file_system: file_system(data_folder).unwrap_or_else(unknown),
        }
    }
}

impl Versions {
    pub(crate) fn read() -> Self {
        Self {
            strongroom: env!("CARGO_PKG_VERSION"),
            commit: commit().unwrap_or_else(unknown),
            rust: env!("RUST_VERSION"),
            sqlite: rusqlite::version(),
            build: if cfg!(debug_assertions) { "debug: figures mean nothing" } else { "release" },
        }
    }
}

pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Load of the last 1, 5 and 15 minutes.
pub(crate) fn load_average() -> String {
    text("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// The type of the mount with the longest prefix of the folder's path.
fn file_system(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let covering = mounts.lines().filter_map(|mount| {
        let place = mount.split(' ').nth(4)?;
        let kind = mount.split(" - ").nth(1)?.split(' ').next()?;
        folder.starts_with(place).then(|| (place.len(), kind.to_owned()))
    });
    covering.max_by_key(|(length, _)| *length).map(|(_, kind)| kind)
}

fn commit() -> Option<String> {
    let mut git = Command::new("git");
    let git = git.args(["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty"]);
    let output = git.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

fn line(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.map_or_else(unknown, |value| value.trim_start_matches([' ', '\t', ':']).to_owned())
}

fn text(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|_| unknown(), |text| text.trim().to_owned())
}

fn unknown() -> String {
    "unknown".to_owned()
}
