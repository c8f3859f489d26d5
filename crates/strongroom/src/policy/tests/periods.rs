//! Lengths of time and names.

use proptest::prelude::*;

use super::*;

#[test]
fn periods_read_as_people_write_them() {
    let check = |text: &str, [years, months, days]: [u32; 3]| {
        let period = RetentionPeriod::parse(text).unwrap();
        let read = [period.years().into(), period.months().into(), period.days()];
        assert_eq!(read, [years, months, days], "{text}");
        assert_eq!(RetentionPeriod::parse(&period.to_string()), Some(period), "{text}");
    };
    check("3 years", [3, 0, 0]);
    check("1 year", [1, 0, 0]);
    check("18 months", [0, 18, 0]);
    check("90 days", [0, 0, 90]);
    check("2 years 6 months 1 day", [2, 6, 1]);
    check("100 years", [100, 0, 0]);
    check("1200 months", [0, 1200, 0]);
}

#[test]
fn other_periods_are_refused() {
    for text in [
        "",
        "3",
        "years",
        "3years",
        "three years",
        "-3 years",
        "+3 years",
        "3.5 years",
        "0 days",
        "0 years 0 months",
        "3 Years",
        "3 weeks",
        "6 months 2 years",
        "1 year 1 year",
        "101 years",
        "100 years 1 day",
        "1201 months",
        "36526 days",
        "999999999999 days",
        "3 years, 2 months",
        "3 years 2",
        "٣ years",
    ] {
        assert_eq!(RetentionPeriod::parse(text), None, "{text}");
    }
}

#[test]
fn a_grace_is_counted_in_days_up_to_thirty() {
    for (text, days) in [("0 days", 0), ("1 day", 1), ("30 days", 30)] {
        assert_eq!(GracePeriod::parse(text).unwrap().days(), days);
    }
    for text in ["31 days", "1 month", "7", "-1 days", "256 days", "7  days"] {
        assert_eq!(GracePeriod::parse(text), None, "{text}");
    }
    assert_eq!(GracePeriod::DEFAULT.days(), 7);
}

#[test]
fn a_period_that_could_end_earlier_counts_as_shorter() {
    let check = |new: &str, old: &str, shorter: bool| {
        let period = |text| RetentionPeriod::parse(text).unwrap();
        assert_eq!(period(new).may_end_before(period(old)), shorter, "{new} after {old}");
    };
    check("3 years", "10 years", true);
    check("10 years", "3 years", false);
    check("12 months", "1 year", false);
    check("1 year", "12 months", false);
    check("365 days", "1 year", true);
    check("366 days", "1 year", false);
    check("1 year", "366 days", true);
    check("90 days", "3 months", true);
    check("93 days", "3 months", false);
    check("1 month", "29 days", true);
    check("1 month", "28 days", false);
    check("1 year 1 day", "1 year", false);
    check("1 year", "1 year 1 day", true);
}

#[test]
fn names_are_plain_words() {
    for name in ["a", "date_of_birth", "front-desk2", &"a".repeat(40)] {
        assert_eq!(Name::<Field>::parse(name).unwrap().as_str(), name);
    }
    for name in ["", "A", "1a", "_a", "-a", "é", "a b", "a.b", "a\n", &"a".repeat(41)] {
        assert!(Name::<Field>::parse(name).is_none(), "{name}");
    }
}

/// Counts days on the calendar instead of by the lengths of months.
fn end(period: RetentionPeriod, start: jiff::civil::Date) -> jiff::civil::Date {
    let span = jiff::Span::new()
        .years(i64::from(period.years()))
        .months(i64::from(period.months()))
        .days(i64::from(period.days()));
    start.checked_add(span).unwrap()
}

proptest! {
    #[test]
    fn a_period_called_no_shorter_never_ends_earlier(
        old in (0..9_u32, 0..40_u32, 0..900_u32),
        new in (0..9_u32, 0..40_u32, 0..900_u32),
        start in 0..12_000_i64,
    ) {
        let period = |(years, months, days): (u32, u32, u32)| {
            RetentionPeriod::parse(&format!("{years} years {months} months {days} days"))
        };
        if let (Some(old), Some(new)) = (period(old), period(new)) {
            let start = jiff::civil::date(1890, 1, 1).checked_add(jiff::Span::new().days(start));
            let start = start.unwrap();
            if !new.may_end_before(old) {
                prop_assert!(end(new, start) >= end(old, start));
            }
        }
    }
}
