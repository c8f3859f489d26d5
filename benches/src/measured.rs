//! What one run measured, and the middle of several.

use serde::{Deserialize, Serialize};

/// One run.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Measured {
    /// Operations answered in the measured span.
    pub(crate) operations: u64,
    pub(crate) per_second: f64,
    /// Processor time of the server per operation; absent where there is no server.
    pub(crate) server_cpu_us: Option<f64>,
    /// Processor time of the load generator per operation.
    pub(crate) generator_cpu_us: Option<f64>,
    /// Bytes the server had written to disk per operation.
    pub(crate) written_bytes: Option<f64>,
    /// Batches made durable per operation, each with one `fsync`; known of what runs in this process.
    pub(crate) commits: Option<f64>,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) max_us: f64,
}

impl Measured {
    /// Both at the same time, as one: rates add up, costs are means, and latencies are those of the slower.
    pub(crate) fn beside(&self, other: &Self) -> Self {
        let operations = self.operations + other.operations;
        let (own, others) = (self.operations as f64, other.operations as f64);
        let mean = |one: Option<f64>, two: Option<f64>| {
            Some((one? * own + two? * others) / operations.max(1) as f64)
        };
        Self {
            operations,
            per_second: self.per_second + other.per_second,
            server_cpu_us: mean(self.server_cpu_us, other.server_cpu_us),
            generator_cpu_us: mean(self.generator_cpu_us, other.generator_cpu_us),
            written_bytes: mean(self.written_bytes, other.written_bytes),
            commits: mean(self.commits, other.commits),
            p50_us: self.p50_us.max(other.p50_us),
            p99_us: self.p99_us.max(other.p99_us),
            max_us: self.max_us.max(other.max_us),
        }
    }
}

/// The middle of several runs and how far they lie apart.
#[derive(Serialize, Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let median = *values.get(values.len() / 2)?;
        Some(Self { median, min, max })
    }
}

/// The latencies at 50 %, 99 % and the end, in microseconds.
pub(crate) fn latencies_us(mut nanoseconds: Vec<u64>) -> [f64; 3] {
    nanoseconds.sort_unstable();
    let at = |percent: usize| {
        let place = (nanoseconds.len() * percent / 100).min(nanoseconds.len().saturating_sub(1));
        nanoseconds.get(place).map_or(0.0, |value| *value as f64 / 1000.0)
    };
    [at(50), at(99), at(100)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_ends_are_found() {
        let spread = Spread::of([3.0, 1.0, 2.0, 9.0, 4.0]);
        assert_eq!(spread, Some(Spread { median: 3.0, min: 1.0, max: 9.0 }));
        assert_eq!(Spread::of([]), None);
        let latencies = latencies_us((1..=1000).rev().map(|ms| ms * 1000).collect());
        assert_eq!(latencies, [501.0, 991.0, 1000.0]);
    }
}
