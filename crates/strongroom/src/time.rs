//! Time, injected: the wall clock in milliseconds UTC, and whether it can be trusted.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// A moment: milliseconds since 1970-01-01T00:00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// The moment so many milliseconds after the epoch.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the epoch.
    pub const fn as_ms(self) -> i64 {
        self.0
    }

    /// So many milliseconds later; stays at the end of time instead of wrapping.
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// So many days of 24 hours later.
    #[must_use]
    pub const fn plus_days(self, days: i64) -> Self {
        self.plus_ms(days.saturating_mul(DAY_MS))
    }

    /// The later of two moments.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        self.max(other)
    }

    /// RFC 3339 in UTC, to the millisecond.
    pub fn to_rfc3339(self) -> String {
        jiff::Timestamp::from_millisecond(self.0)
            .map_or_else(|_| "out of range".to_owned(), |time| format!("{time:.3}"))
    }

    /// Reads RFC 3339 with any offset; `None` for anything else.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|time| Self(time.as_millisecond()))
    }

    /// The day in a zone as `2026-11-21`; budgets and limits count by the business's days.
    pub fn day_in(self, zone: &jiff::tz::TimeZone) -> String {
        jiff::Timestamp::from_millisecond(self.0).map_or_else(
            |_| "out of range".to_owned(),
            |time| time.to_zoned(zone.clone()).date().to_string(),
        )
    }

    /// How long until the next day begins in a zone, in whole seconds, at least one.
    pub fn seconds_left_of_day(self, zone: &jiff::tz::TimeZone) -> u64 {
        let left_ms = jiff::Timestamp::from_millisecond(self.0)
            .and_then(|time| time.to_zoned(zone.clone()).tomorrow())
            .and_then(|tomorrow| tomorrow.start_of_day())
            .map_or(DAY_MS, |start| start.timestamp().as_millisecond().saturating_sub(self.0));
        u64::try_from(left_ms / 1000).unwrap_or(0).max(1)
    }
}

/// Where time comes from.
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> Time;
    /// Milliseconds that only ever grow, from an arbitrary start, also while the wall clock steps.
    fn monotonic_ms(&self) -> i64;
    /// The same in microseconds, where the clock knows them: what is measured takes less than one.
    fn monotonic_us(&self) -> i64 {
        self.monotonic_ms().saturating_mul(1000)
    }
}

/// The machine's clock.
pub struct SystemClock {
    start: std::time::Instant,
}

impl SystemClock {
    /// Starts its monotonic count at zero.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub fn new() -> Self {
        Self { start: std::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Time {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Time(since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
    }

    fn monotonic_ms(&self) -> i64 {
        i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    fn monotonic_us(&self) -> i64 {
        i64::try_from(self.start.elapsed().as_micros()).unwrap_or(i64::MAX)
    }
}

/// A clock that a test moves: "silent for three years" is one call.
pub struct TestClock {
    wall_ms: AtomicI64,
    monotonic_ms: AtomicI64,
}

impl TestClock {
    /// Stands still at `start`.
    pub fn at(start: Time) -> Self {
        Self { wall_ms: AtomicI64::new(start.0), monotonic_ms: AtomicI64::new(0) }
    }

    /// Time passes: both clocks move.
    pub fn pass_ms(&self, ms: i64) {
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
        self.monotonic_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Somebody sets the wall clock; no time passes.
    pub fn step_ms(&self, ms: i64) {
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Time {
        Time(self.wall_ms.load(Ordering::SeqCst))
    }

    fn monotonic_ms(&self) -> i64 {
        self.monotonic_ms.load(Ordering::SeqCst)
    }
}

/// Whether wall time may decide that something expires or is erased.
///
/// A step of more than a day between wall and monotonic time makes it suspect until a person
/// confirms it: a wrong clock must not be able to erase customers.
pub struct ClockTrust {
    first_wall_ms: AtomicI64,
    first_monotonic_ms: AtomicI64,
    suspect: AtomicBool,
}

impl ClockTrust {
    /// Trusts the clock as it stands now.
    pub fn starting_at(clock: &dyn Clock) -> Self {
        Self {
            first_wall_ms: AtomicI64::new(clock.now().0),
            first_monotonic_ms: AtomicI64::new(clock.monotonic_ms()),
            suspect: AtomicBool::new(false),
        }
    }

    /// Compares the two clocks and answers whether they have parted; stays suspect once it was.
    pub fn is_suspect(&self, clock: &dyn Clock) -> bool {
        let wall = clock.now().0.saturating_sub(self.first_wall_ms.load(Ordering::SeqCst));
        let monotonic =
            clock.monotonic_ms().saturating_sub(self.first_monotonic_ms.load(Ordering::SeqCst));
        if wall.saturating_sub(monotonic).saturating_abs() > DAY_MS {
            self.suspect.store(true, Ordering::SeqCst);
        }
        self.suspect.load(Ordering::SeqCst)
    }

    /// The time that acts go by: the wall clock, or what it would show while it is suspect.
    pub fn now(&self, clock: &dyn Clock) -> Time {
        if self.is_suspect(clock) { self.believed(clock) } else { clock.now() }
    }

    /// What the wall clock would show had it not parted from the monotonic one: the time of acts while
    /// it is suspect. A time once written cannot be taken back, so one jump forward would end every
    /// credential for good.
    fn believed(&self, clock: &dyn Clock) -> Time {
        let passed =
            clock.monotonic_ms().saturating_sub(self.first_monotonic_ms.load(Ordering::SeqCst));
        Time(self.first_wall_ms.load(Ordering::SeqCst)).plus_ms(passed)
    }

    /// A person says the wall clock is right.
    pub fn confirm(&self, clock: &dyn Clock) {
        self.first_wall_ms.store(clock.now().0, Ordering::SeqCst);
        self.first_monotonic_ms.store(clock.monotonic_ms(), Ordering::SeqCst);
        self.suspect.store(false, Ordering::SeqCst);
    }
}

const DAY_MS: i64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_the_wall_clock_makes_it_suspect_until_a_person_confirms() {
        let clock = TestClock::at(Time::from_ms(0));
        let trust = ClockTrust::starting_at(&clock);
        clock.pass_ms(400 * DAY_MS);
        assert!(!trust.is_suspect(&clock), "a year that really passed is not suspect");
        clock.step_ms(DAY_MS + 1);
        assert!(trust.is_suspect(&clock));
        clock.step_ms(-DAY_MS);
        assert!(trust.is_suspect(&clock), "stepping back does not clear it");
        trust.confirm(&clock);
        assert!(!trust.is_suspect(&clock));
    }

    #[test]
    fn a_day_is_the_business_s_day() {
        let zone = jiff::tz::TimeZone::get("Europe/London").unwrap();
        let late = Time::from_ms(1_782_946_800_000); // 2026-07-01T23:00:00Z, in London the next day.
        assert_eq!(late.day_in(&zone), "2026-07-02");
        assert_eq!(late.day_in(&jiff::tz::TimeZone::UTC), "2026-07-01");
        assert_eq!(late.seconds_left_of_day(&zone), 86_400);
    }
}
