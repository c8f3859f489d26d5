//! Which card scheme a number belongs to, and whether its check digit is right.
//!
//! Sources of the ranges: the public table "Payment card number" of Wikipedia (revision of
//! November 2025, itself citing ISO/IEC 7812 and the schemes' bulletins), the Mastercard rules for
//! 2221-2720, the Discover Network IIN bulletin (Discover, Diners Club, JCB, UnionPay), and for
//! Elo, Hipercard, Mir and Verve the ranges the large payment providers publish. Ranges overlap
//! where schemes share cards; the longest prefix names the brand, then the order of the table.

/// A card scheme. Co-branded numbers carry the name of one of their schemes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Brand {
    /// American Express.
    AmericanExpress,
    /// BORICA of Bulgaria; `PayPak` of Pakistan shares the prefix 2205.
    Borica,
    /// Dankort of Denmark.
    Dankort,
    /// Diners Club International.
    DinersClub,
    /// Discover.
    Discover,
    /// Elo of Brazil.
    Elo,
    /// Hipercard of Brazil.
    Hipercard,
    /// Humo of Uzbekistan.
    Humo,
    /// `InstaPayment`, and Hiper of Brazil.
    InstaPayment,
    /// `InterPayment`.
    InterPayment,
    /// JCB.
    Jcb,
    /// `LankaPay` of Sri Lanka, co-branded with JCB.
    LankaPay,
    /// Maestro, and the national debit schemes that share its prefixes.
    Maestro,
    /// Mastercard.
    Mastercard,
    /// Mir of Russia.
    Mir,
    /// Napas of Vietnam.
    Napas,
    /// `RuPay` of India, and the smaller schemes under the prefix 60.
    RuPay,
    /// Troy of Turkey.
    Troy,
    /// Universal Air Travel Plan.
    Uatp,
    /// `UkrCard` of Ukraine.
    UkrCard,
    /// `UnionPay` of China.
    UnionPay,
    /// Uzcard of Uzbekistan.
    UzCard,
    /// Verve of Nigeria.
    Verve,
    /// Visa.
    Visa,
}

/// The brand of a number whose length, issuer prefix and check digit all fit.
///
/// The check digit is demanded of every brand. Some old `UnionPay` numbers carry none; to accept
/// them would call each long number that begins with 62 a card.
pub(crate) fn identify(digits: &[u8]) -> Option<Brand> {
    if !(DIGITS_MIN..=DIGITS_MAX).contains(&digits.len()) || !has_luhn_check_digit(digits) {
        return None;
    }
    let prefix = digits.iter().take(PREFIX_DIGITS).fold(0u32, |sum, d| sum * 10 + u32::from(*d));
    let mut best: Option<&Range> = None;
    for range in RANGES {
        let fits = (range.first..=range.last).contains(&prefix)
            && (range.shortest..=range.longest).contains(&digits.len());
        if fits && best.is_none_or(|best| range.width() < best.width()) {
            best = Some(range);
        }
    }
    best.map(|range| range.brand)
}

/// The check of ISO/IEC 7812-1 annex B: from the right, every second digit doubled, the digits of
/// all results summed, divisible by ten.
fn has_luhn_check_digit(digits: &[u8]) -> bool {
    let mut sum = 0u32;
    for (place, digit) in digits.iter().rev().enumerate() {
        let digit = u32::from(*digit);
        sum += match (place % 2, digit) {
            (0, _) => digit,
            (_, 0..=4) => digit * 2,
            (_, _) => digit * 2 - 9,
        };
    }
    sum.is_multiple_of(10)
}

/// An interval of issuer prefixes, widened to eight digits, and the lengths its numbers have.
struct Range {
    brand: Brand,
    first: u32,
    last: u32,
    shortest: usize,
    longest: usize,
}

impl Range {
    /// A narrower range knows its brand better.
    fn width(&self) -> u32 {
        self.last - self.first
    }
}

/// `prefix_digits` tells how many digits `first` and `last` are written with.
const fn range(
    brand: Brand,
    prefix_digits: u32,
    first: u32,
    last: u32,
    sizes: [usize; 2],
) -> Range {
    let scale = 10u32.pow(PREFIX_DIGITS as u32 - prefix_digits);
    let [shortest, longest] = sizes;
    Range { brand, first: first * scale, last: (last + 1) * scale - 1, shortest, longest }
}

/// Fewest and most digits of a card number: Maestro's shortest, the limit of ISO/IEC 7812.
pub(crate) const DIGITS_MIN: usize = 12;
pub(crate) const DIGITS_MAX: usize = 19;

/// Issuer prefixes have at most eight digits since ISO/IEC 7812-1:2017.
const PREFIX_DIGITS: usize = 8;

const RANGES: &[Range] = &[
    range(Brand::Visa, 1, 4, 4, [13, 13]),
    range(Brand::Visa, 1, 4, 4, [16, 16]),
    range(Brand::Visa, 1, 4, 4, [19, 19]),
    range(Brand::Mastercard, 2, 51, 55, [16, 16]),
    range(Brand::Mastercard, 4, 2221, 2720, [16, 16]),
    range(Brand::AmericanExpress, 2, 34, 34, [15, 15]),
    range(Brand::AmericanExpress, 2, 37, 37, [15, 15]),
    range(Brand::Discover, 4, 6011, 6011, [16, 19]),
    range(Brand::Discover, 3, 644, 649, [16, 19]),
    range(Brand::Discover, 2, 65, 65, [16, 19]),
    range(Brand::DinersClub, 3, 300, 305, [14, 19]),
    range(Brand::DinersClub, 4, 3095, 3095, [14, 19]),
    range(Brand::DinersClub, 2, 36, 36, [14, 19]),
    range(Brand::DinersClub, 2, 38, 39, [14, 19]),
    range(Brand::Jcb, 4, 3528, 3589, [16, 19]),
    // JCB numbers of the Discover Network bulletin.
    range(Brand::Jcb, 4, 3088, 3094, [16, 16]),
    range(Brand::Jcb, 4, 3096, 3102, [16, 16]),
    range(Brand::Jcb, 4, 3112, 3120, [16, 16]),
    range(Brand::Jcb, 4, 3158, 3159, [16, 16]),
    range(Brand::Jcb, 4, 3337, 3349, [16, 16]),
    range(Brand::LankaPay, 6, 357_111, 357_111, [16, 16]),
    // The co-branded 622126-622925 of UnionPay and Discover lies inside.
    range(Brand::UnionPay, 2, 62, 62, [16, 19]),
    range(Brand::UnionPay, 2, 81, 81, [16, 19]),
    range(Brand::Maestro, 2, 50, 50, [12, 19]),
    range(Brand::Maestro, 2, 56, 58, [12, 19]),
    range(Brand::Maestro, 4, 6304, 6304, [12, 19]),
    // All of 67: Maestro of the United Kingdom and of the continent, Bancontact, old Laser.
    range(Brand::Maestro, 2, 67, 67, [12, 19]),
    range(Brand::Maestro, 2, 60, 60, [19, 19]),
    range(Brand::Mir, 4, 2200, 2204, [16, 19]),
    range(Brand::Borica, 4, 2205, 2205, [16, 16]),
    range(Brand::RuPay, 2, 60, 60, [16, 16]),
    range(Brand::RuPay, 2, 82, 82, [16, 16]),
    range(Brand::RuPay, 3, 508, 508, [16, 16]),
    // RuPay's 353 and 356 are co-branded and lie inside the range of JCB.
    range(Brand::UkrCard, 8, 60_400_100, 60_420_099, [16, 19]),
    range(Brand::Troy, 4, 9792, 9792, [16, 16]),
    range(Brand::Verve, 6, 506_099, 506_198, [16, 19]),
    range(Brand::Verve, 6, 507_865, 507_964, [16, 19]),
    range(Brand::Verve, 6, 650_002, 650_027, [16, 19]),
    range(Brand::Elo, 6, 401_178, 401_179, [16, 16]),
    range(Brand::Elo, 6, 431_274, 431_274, [16, 16]),
    range(Brand::Elo, 6, 438_935, 438_935, [16, 16]),
    range(Brand::Elo, 6, 451_416, 451_416, [16, 16]),
    range(Brand::Elo, 6, 457_393, 457_393, [16, 16]),
    range(Brand::Elo, 6, 457_631, 457_632, [16, 16]),
    range(Brand::Elo, 6, 504_175, 504_175, [16, 16]),
    range(Brand::Elo, 6, 506_699, 506_778, [16, 16]),
    range(Brand::Elo, 6, 509_000, 509_999, [16, 16]),
    range(Brand::Elo, 6, 627_780, 627_780, [16, 16]),
    range(Brand::Elo, 6, 636_297, 636_297, [16, 16]),
    range(Brand::Elo, 6, 636_368, 636_368, [16, 16]),
    range(Brand::Elo, 6, 650_031, 650_598, [16, 16]),
    range(Brand::Elo, 6, 650_700, 650_727, [16, 16]),
    range(Brand::Elo, 6, 650_901, 650_978, [16, 16]),
    range(Brand::Elo, 6, 651_652, 651_679, [16, 16]),
    range(Brand::Elo, 6, 655_000, 655_058, [16, 16]),
    range(Brand::Hipercard, 6, 606_282, 606_282, [13, 19]),
    range(Brand::InterPayment, 3, 636, 636, [16, 19]),
    range(Brand::InstaPayment, 3, 637, 639, [16, 16]),
    range(Brand::Dankort, 4, 5019, 5019, [16, 16]),
    range(Brand::Dankort, 4, 4571, 4571, [16, 16]),
    range(Brand::UzCard, 4, 8600, 8600, [16, 16]),
    range(Brand::UzCard, 4, 5614, 5614, [16, 16]),
    range(Brand::Humo, 4, 9860, 9860, [16, 16]),
    range(Brand::Napas, 4, 9704, 9704, [16, 19]),
    range(Brand::Uatp, 1, 1, 1, [15, 15]),
];
