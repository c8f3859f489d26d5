//! Moments in words.

/// RFC 3339 in UTC, from milliseconds since 1970.
pub(crate) fn to_text(ms: i64) -> String {
    let (days, of_day) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
    let (year, month, day) = date(days);
    let (seconds, ms) = (of_day / 1_000, of_day % 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// The proleptic Gregorian date of a day counted from 1970-01-01.
fn date(days: i64) -> (i64, i64, i64) {
    // Counted in spans of 400 years, which all have the same number of days, from a 1st of March, so
    // that the day that comes and goes is the last of its year.
    let shifted = days + DAYS_TO_1970;
    let (span, mut rest) = (shifted.div_euclid(SPAN_DAYS), shifted.rem_euclid(SPAN_DAYS));
    let mut year = span * 400;
    loop {
        let next = year + 1;
        let is_leap = next % 4 == 0 && (next % 100 != 0 || next % 400 == 0);
        let length = 365 + i64::from(is_leap);
        if rest < length {
            break;
        }
        rest -= length;
        year = next;
    }
    for (place, length) in MONTHS_FROM_MARCH.into_iter().enumerate() {
        if rest < length {
            let month = (place as i64 + 2) % 12 + 1;
            return (year + i64::from(month <= 2), month, rest + 1);
        }
        rest -= length;
    }
    (year + 1, 2, rest + 1)
}

const DAY_MS: i64 = 86_400_000;

/// Days in 400 years.
const SPAN_DAYS: i64 = 146_097;

/// From the 1st of March of the year 0.
const DAYS_TO_1970: i64 = 719_468;

/// February has the 29th day that there may be.
const MONTHS_FROM_MARCH: [i64; 12] = [31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31, 29];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_795_255_200_123, "2026-11-21T10:00:00.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (4_107_456_000_000, "2100-02-28T00:00:00.000Z"),
        ] {
            assert_eq!(to_text(ms), text);
        }
        assert!(to_text(i64::MAX).ends_with('Z') && to_text(i64::MIN).ends_with('Z'));
    }
}
