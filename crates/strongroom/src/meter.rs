//! What is counted while the server runs; `metrics` shows it.
//!
//! What must never happen here: a label that holds anything a person typed, an id or a path. Labels
//! are words of this program, by type where that is possible, and the templates of its routes.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::time::Time;

/// Counts of one process. Clones count together.
#[derive(Clone)]
pub struct Meter(Arc<Counts>);

/// A request that was answered, or whose caller went away.
pub struct Answered<'a> {
    /// A known method, or `other`.
    pub method: &'static str,
    /// The template of its route, never its path.
    pub route: &'a str,
    /// None where the caller went away.
    pub status: Option<u16>,
    /// How long it took.
    pub us: i64,
}

struct Counts {
    started: Time,
    requests: Family<Request, Counter>,
    request_seconds: Family<Route, Histogram, fn() -> Histogram>,
    running: Gauge,
    problems: Family<Code, Counter>,
    waiting: Gauge,
    batch_changes: Histogram,
    commit_seconds: Histogram,
    batches_failed: Counter,
    job_succeeded: Family<Job, Gauge<f64, AtomicU64>>,
    job_failures: Family<Job, Counter>,
    /// Milliseconds; 0 where no certificate is shown.
    certificate_ends: AtomicI64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: &'static str,
    route: String,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    method: &'static str,
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Job {
    job: &'static str,
}

impl Meter {
    /// Of a process that began then; everything stands at zero.
    pub fn starting_at(started: Time) -> Self {
        let request_seconds: fn() -> Histogram = || Histogram::new(REQUEST_SECONDS);
        Self(Arc::new(Counts {
            started,
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(request_seconds),
            running: Gauge::default(),
            problems: Family::default(),
            waiting: Gauge::default(),
            batch_changes: Histogram::new(BATCH_CHANGES),
            commit_seconds: Histogram::new(COMMIT_SECONDS),
            batches_failed: Counter::default(),
            job_succeeded: Family::default(),
            job_failures: Family::default(),
            certificate_ends: AtomicI64::new(0),
        }))
    }

    /// When the process began.
    pub fn started(&self) -> Time {
        self.0.started
    }

    /// When the certificate that is shown ends.
    pub fn certificate_ends(&self) -> Option<Time> {
        let ms = self.0.certificate_ends.load(Ordering::Relaxed);
        (ms != 0).then(|| Time::from_ms(ms))
    }

    /// Another certificate is shown, which ends then.
    pub fn certificate(&self, ends: Time) {
        self.0.certificate_ends.store(ends.as_ms(), Ordering::Relaxed);
    }

    /// A request came in.
    pub fn begun(&self) {
        self.0.running.inc();
    }

    /// How many requests are at work.
    pub fn running(&self) -> usize {
        usize::try_from(self.0.running.get()).unwrap_or(0)
    }

    /// A request that came in is over.
    pub fn answered(&self, answered: &Answered<'_>) {
        let Answered { method, route, status, us } = answered;
        self.0.running.dec();
        let (route, status) = ((*route).to_owned(), class(*status));
        let request = Request { method, route: route.clone(), status };
        self.0.requests.get_or_create(&request).inc();
        let route = Route { method, route };
        self.0.request_seconds.get_or_create(&route).observe(seconds(*us));
    }

    /// A failure was told, by its stable code.
    pub fn problem(&self, code: &'static str) {
        self.0.problems.get_or_create(&Code { code }).inc();
    }

    /// A change waits for the committer.
    pub fn waits(&self) {
        self.0.waiting.inc();
    }

    /// A change that waited waits no more.
    pub fn waited(&self) {
        self.0.waiting.dec();
    }

    /// A batch is durable.
    pub fn batch(&self, changes: usize, us: i64) {
        self.0.batch_changes.observe(f64::from(u32::try_from(changes).unwrap_or(u32::MAX)));
        self.0.commit_seconds.observe(seconds(us));
    }

    /// A batch could not be written.
    pub fn batch_failed(&self) {
        self.0.batches_failed.inc();
    }

    /// A job of the system ran.
    pub fn job<T, E>(&self, job: &'static str, done: &Result<T, E>, now: Time) {
        match done {
            Ok(_) => {
                self.0.job_succeeded.get_or_create(&Job { job }).set(timestamp(now));
                // So that it stands there from the beginning: an alert compares it with before.
                let _ = self.0.job_failures.get_or_create(&Job { job });
            }
            Err(_) => drop(self.0.job_failures.get_or_create(&Job { job }).inc()),
        }
    }

    /// Lets a registry show all of it.
    pub fn show_in(&self, registry: &mut Registry) {
        let counts = &self.0;
        registry.register("requests", REQUESTS, counts.requests.clone());
        registry.register("request_seconds", REQUESTS_TOOK, counts.request_seconds.clone());
        registry.register("requests_running", REQUESTS_RUNNING, counts.running.clone());
        registry.register("problems", PROBLEMS, counts.problems.clone());
        registry.register("changes_waiting", WAITING, counts.waiting.clone());
        registry.register("batch_changes", BATCHES, counts.batch_changes.clone());
        registry.register("commit_seconds", COMMITS_TOOK, counts.commit_seconds.clone());
        registry.register("batches_failed", FAILED, counts.batches_failed.clone());
        let succeeded = counts.job_succeeded.clone();
        registry.register("job_success_timestamp_seconds", JOB_SUCCEEDED, succeeded);
        registry.register("job_failures", JOB_FAILED, counts.job_failures.clone());
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meter")
    }
}

/// A moment as Prometheus counts it.
#[expect(clippy::cast_precision_loss, reason = "a float holds milliseconds of 285,000 years")]
pub fn timestamp(time: Time) -> f64 {
    time.as_ms() as f64 / 1e3
}

#[expect(clippy::cast_precision_loss, reason = "a float holds microseconds of 285 years")]
fn seconds(us: i64) -> f64 {
    us as f64 / 1e6
}

fn class(status: Option<u16>) -> &'static str {
    match status.map(|status| status / 100) {
        Some(1) => "1xx",
        Some(2) => "2xx",
        Some(3) => "3xx",
        Some(4) => "4xx",
        Some(_) => "5xx",
        None => "gone",
    }
}

/// From a read that was served from memory to the limit of a request.
const REQUEST_SECONDS: [f64; 12] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// From a fast disk to one that fails.
const COMMIT_SECONDS: [f64; 10] =
    [0.000_5, 0.001, 0.002, 0.004, 0.008, 0.016, 0.064, 0.25, 1.0, 5.0];

/// Up to the most that go into one.
const BATCH_CHANGES: [f64; 6] = [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0];

const REQUESTS: &str = "Requests by method, template of the route and class of status; `gone` are callers who did not wait for the answer";
const REQUESTS_TOOK: &str = "From the request to its answer";
const REQUESTS_RUNNING: &str = "Requests that are being served";
const PROBLEMS: &str = "Answers of 400 and above, by their stable code";
const WAITING: &str = "Changes that wait for the committer or are in its batch";
const BATCHES: &str = "Changes written in one commit";
const COMMITS_TOOK: &str = "From the beginning of a commit until it was durable";
const FAILED: &str = "Batches that could not be written; everyone in them was answered 503";
const JOB_SUCCEEDED: &str = "When a job last ended well since the process began";
const JOB_FAILED: &str = "Runs of a job that failed";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_shown() {
        let meter = Meter::starting_at(Time::from_ms(7));
        meter.begun();
        meter.begun();
        let (method, route) = ("GET", "/v1/customers/{id}");
        meter.answered(&Answered { method, route, status: Some(503), us: 1_500_000 });
        meter.problem("ledger_stalled");
        meter.waits();
        meter.batch(3, 900);
        meter.job("backup", &Err::<(), _>(()), Time::from_ms(0));
        meter.job("erase.due", &Ok::<_, ()>(()), Time::from_ms(12_500));
        let mut registry = Registry::default();
        meter.show_in(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "requests_total{method=\"GET\",route=\"/v1/customers/{id}\",status=\"5xx\"} 1",
            "request_seconds_bucket{le=\"1.0\",method=\"GET\",route=\"/v1/customers/{id}\"} 0",
            "request_seconds_bucket{le=\"5.0\",method=\"GET\",route=\"/v1/customers/{id}\"} 1",
            "requests_running 1",
            "problems_total{code=\"ledger_stalled\"} 1",
            "changes_waiting 1",
            "batch_changes_bucket{le=\"1.0\"} 0",
            "batch_changes_bucket{le=\"4.0\"} 1",
            "commit_seconds_bucket{le=\"0.001\"} 1",
            "batches_failed_total 0",
            "job_failures_total{job=\"backup\"} 1",
            "job_failures_total{job=\"erase.due\"} 0",
            "job_success_timestamp_seconds{job=\"erase.due\"} 12.5",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} in:\n{text}");
        }
    }
}
