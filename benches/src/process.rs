//! What the kernel counts about a process, from `/proc`.

use std::fs;

use anyhow::Context;

/// Which process.
#[derive(Clone, Copy)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// Processor time so far, user and system, in microseconds.
    pub(crate) fn cpu_us(self) -> anyhow::Result<u64> {
        let text = self.read("stat")?;
        // The name in parentheses may hold blanks; the fields after it may not.
        let (_, fields) = text.rsplit_once(')').context("`stat` has another form")?;
        let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
        let user = times.next().context("no user time")??;
        let system = times.next().context("no system time")??;
        Ok((user + system) * TICK_US)
    }

    /// Bytes it caused to be written to disk so far; `None` where the kernel does not say.
    pub(crate) fn written_bytes(self) -> Option<u64> {
        self.number("io", "write_bytes:")
    }

    /// The memory it has now, in KiB.
    pub(crate) fn memory_kib(self) -> Option<u64> {
        self.number("status", "VmRSS:")
    }

    /// The most memory it ever had, in KiB.
    pub(crate) fn memory_peak_kib(self) -> Option<u64> {
        self.number("status", "VmHWM:")
    }

    fn number(self, file: &str, name: &str) -> Option<u64> {
        let text = self.read(file).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    }

    fn read(self, file: &str) -> anyhow::Result<String> {
        let path = format!("/proc/{}/{file}", self.0);
        fs::read_to_string(path)
            .with_context(|| format!("the kernel tells no `{file}`: not Linux?"))
    }
}

/// Linux counts for user space in hundredths of a second, whatever its own clock does.
const TICK_US: u64 = 10_000;
