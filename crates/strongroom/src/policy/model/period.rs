//! Lengths of time as people write them: `3 years`, `18 months`, `90 days`. They stay in calendar
//! units because "3 years" is not a number of days; the caller adds them in the business's zone.

use std::fmt;

/// How long a relation lives after it last happened; more than nothing, at most 100 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionPeriod {
    years: u16,
    months: u16,
    days: u32,
}

impl RetentionPeriod {
    /// Reads `2 years 6 months`: each unit at most once, the longest first. None for anything
    /// else, for nothing at all and for more than 100 years.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ').filter(|word| !word.is_empty());
        let mut counts = [0_u32; UNITS.len()];
        let mut next_unit = 0;
        while let Some(count) = words.next() {
            let count = parse_count(count)?;
            let word = words.next()?;
            let unit = UNITS.iter().position(|names| names.contains(&word))?;
            if unit < next_unit {
                return None;
            }
            *counts.get_mut(unit)? = count;
            next_unit = unit + 1;
        }
        let [years, months, days] = counts;
        let period = Self { years: years.try_into().ok()?, months: months.try_into().ok()?, days };
        let (shortest, longest) = period.days_between();
        (shortest > 0 && longest <= RETENTION_DAYS_MAX).then_some(period)
    }

    /// Calendar years, to be added before months and days.
    pub fn years(self) -> u16 {
        self.years
    }

    /// Calendar months beyond the years; may exceed 12 when the policy says `18 months`.
    pub fn months(self) -> u16 {
        self.months
    }

    /// Days beyond years and months.
    pub fn days(self) -> u32 {
        self.days
    }

    /// Whether some relation could end earlier under this period than under `before`. When the
    /// calendar decides (`90 days` after `3 months`) the answer is yes, to be on the safe side.
    pub fn may_end_before(self, before: Self) -> bool {
        let months = |period: Self| u32::from(period.years) * 12 + u32::from(period.months);
        if months(self) >= months(before) && self.days >= before.days {
            return false;
        }
        self.days_between().0 < before.days_between().1
    }

    /// The fewest and the most days the period can span, by the lengths of Gregorian months.
    fn days_between(self) -> (u32, u32) {
        let months = u32::from(self.years) * 12 + u32::from(self.months);
        let (years, months) = (months / 12, months % 12);
        // Any eight years in a row contain at least one leap day (1896 to 1904), four at most one.
        // Months in a row lack at most the two days of a short February against 30 each.
        let shortest = years * 365 + years / 8 + months * 30 - 2 * months.min(1) + self.days;
        let longest = years * 365 + years.div_ceil(4) + months * 31 + self.days;
        (shortest, longest)
    }
}

impl fmt::Display for RetentionPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [u32::from(self.years), u32::from(self.months), self.days];
        let mut space = "";
        for (count, [one, many]) in counts.into_iter().zip(UNITS) {
            if count > 0 {
                write!(f, "{space}{count} {}", if count == 1 { one } else { many })?;
                space = " ";
            }
        }
        Ok(())
    }
}

/// How many days an asked erasure can still be cancelled, 0 to 30.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GracePeriod {
    days: u8,
}

impl GracePeriod {
    /// A week: long enough to notice a stolen key that tries to erase everyone.
    pub const DEFAULT: Self = Self { days: 7 };

    /// Reads `7 days`; None for other units and for more than 30 days.
    pub fn parse(text: &str) -> Option<Self> {
        let (count, unit) = text.split_once(' ')?;
        let days = u8::try_from(parse_count(count)?).ok()?;
        (["day", "days"].contains(&unit) && days <= GRACE_DAYS_MAX).then_some(Self { days })
    }

    /// Whole days; 0 means at once.
    pub fn days(self) -> u8 {
        self.days
    }
}

impl fmt::Display for GracePeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.days, if self.days == 1 { "day" } else { "days" })
    }
}

fn parse_count(word: &str) -> Option<u32> {
    // `u32::from_str` alone would take `+3`.
    if word.len() > COUNT_DIGITS_MAX || !word.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    word.parse().ok()
}

/// The longest unit first, each as one and as many.
const UNITS: [[&str; 2]; 3] = [["year", "years"], ["month", "months"], ["day", "days"]];

/// 100 years, with their leap days: nobody owes anyone a record for longer than a life.
const RETENTION_DAYS_MAX: u32 = 100 * 365 + 25;

/// 36,500 days is the longest count that can be right.
const COUNT_DIGITS_MAX: usize = 5;

/// The law asks for erasure without undue delay, within a month (GDPR art. 12 (3)).
const GRACE_DAYS_MAX: u8 = 30;
