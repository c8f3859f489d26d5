//! The card search against published test numbers, look-alikes and random numbers.

use proptest::prelude::*;
use strongroom_detect::card::{Brand, CardHit, contains_card_number, find_card_numbers};

/// Test numbers that payment providers publish: Adyen, Authorize.Net, Braintree, Cybersource,
/// Flutterwave, Interswitch, iyzico, Mastercard Gateway, Payme, Paystack, `PayU`, Prodamus, Stripe, `VNPay`.
const PUBLISHED: &[(Brand, &str)] = &[
    (Brand::AmericanExpress, "378282246310005"),
    (Brand::AmericanExpress, "371449635398431"),
    (Brand::AmericanExpress, "341111111111111"),
    (Brand::Borica, "2205430000003002"),
    (Brand::Dankort, "5019717010103742"),
    (Brand::Dankort, "4571000000000001"),
    (Brand::DinersClub, "30569309025904"),
    (Brand::DinersClub, "38520000023237"),
    (Brand::DinersClub, "36227206271667"),
    (Brand::DinersClub, "3056930009020004"),
    (Brand::Discover, "6011111111111117"),
    (Brand::Discover, "6011000990139424"),
    (Brand::Discover, "6445644564456445"),
    (Brand::Elo, "4514160000000003"),
    (Brand::Elo, "5066991111111118"),
    (Brand::Elo, "6505050000001091"),
    (Brand::Hipercard, "6062826786276634"),
    (Brand::Hipercard, "6062828888666688"),
    (Brand::InstaPayment, "6370950000000005"),
    (Brand::Jcb, "3530111333300000"),
    (Brand::Jcb, "3566002020360505"),
    (Brand::Jcb, "3088000000000017"),
    (Brand::Maestro, "50339619890917"),
    (Brand::Maestro, "586824160825533338"),
    (Brand::Maestro, "6304000000000000"),
    (Brand::Maestro, "6759649826438453"),
    (Brand::Maestro, "6759560045005727054"),
    (Brand::Maestro, "6771798021000008"),
    (Brand::Maestro, "6799990100000000019"),
    (Brand::Maestro, "6703444444444449"),
    (Brand::Maestro, "5062210000000009"),
    // Sold as Verve, outside the ranges Verve publishes.
    (Brand::Maestro, "507850785078507812"),
    (Brand::Maestro, "5060666666666666666"),
    (Brand::Maestro, "6000070736169237003"),
    (Brand::Mastercard, "5555555555554444"),
    (Brand::Mastercard, "5105105105105100"),
    (Brand::Mastercard, "2223003122003222"),
    (Brand::Mastercard, "2222420000001113"),
    (Brand::Mir, "2200000000000053"),
    (Brand::Napas, "9704198526191432198"),
    (Brand::RuPay, "6082015309577308"),
    (Brand::Maestro, "5078083000000002"),
    (Brand::Troy, "9792072000017956"),
    (Brand::Troy, "9792030000000000"),
    (Brand::Uatp, "135412345678911"),
    (Brand::UnionPay, "6200000000000005"),
    (Brand::UnionPay, "6243030000000001"),
    (Brand::UnionPay, "6205500000000000004"),
    (Brand::UnionPay, "8171999927660000"),
    (Brand::UzCard, "8600060921090842"),
    (Brand::Verve, "5060990580000217499"),
    (Brand::Verve, "5061050254756707864"),
    (Brand::Verve, "5061460410120223210"),
    (Brand::Visa, "4111111111111111"),
    (Brand::Visa, "4012888888881881"),
    (Brand::Visa, "4242424242424242"),
    (Brand::Visa, "4222222222222"),
    (Brand::Visa, "4012888818888"),
    (Brand::Visa, "4000000000000000006"),
];

fn grouped(number: &str, size: usize, separator: &str) -> String {
    let digits: Vec<char> = number.chars().collect();
    let groups: Vec<String> = digits.chunks(size).map(|group| group.iter().collect()).collect();
    groups.join(separator)
}

/// The form of the number and what may stand around it.
fn written(number: &str) -> Vec<String> {
    let mut forms = vec![number.to_owned()];
    for separator in [
        " ",
        "-",
        ".",
        "/",
        "_",
        "\u{A0}",
        "\u{2009}",
        "\t",
        "\n",
        "\r\n",
        "–",
        "—",
        "−",
        "‑",
        " - ",
        "\u{200B}",
        "\u{AD}",
        "\u{2060}",
        "\u{FEFF}",
        "\u{200D}",
        "\u{202E}",
        "\u{3000}",
        "\u{2800}",
        "·",
        "／",
        "＿",
        "\u{FE0F}\u{20E3}",
    ] {
        for size in [1, 2, 3, 4, 5, 8] {
            forms.push(grouped(number, size, separator));
        }
    }
    for zero in ['０', '٠', '۰', '०', '𝟎', '߀'] {
        let shift = |c: char| {
            c.to_digit(10).and_then(|digit| char::from_u32(u32::from(zero) + digit)).unwrap_or(c)
        };
        forms.push(number.chars().map(shift).collect());
        forms.push(grouped(number, 4, " ").chars().map(shift).collect());
    }
    forms
}

#[test]
fn every_published_test_number_is_found_however_written() {
    for (brand, number) in PUBLISHED {
        for form in written(number) {
            for (before, after) in [
                ("", ""),
                ("card", "exp"),
                ("Please charge my card: ", ", valid until 12/28, thank you. Anna"),
                ("№ (", ")"),
                ("{\"pan\":\"", "\"}"),
                ("karta=", "&cvv=123"),
            ] {
                let text = format!("{before}{form}{after}");
                let hits = find_card_numbers(&text);
                let start = before.len();
                let end = start + form.trim_end_matches(['\u{FE0F}', '\u{20E3}']).len();
                let [hit] = hits[..] else { panic!("{} hits in {text:?}", hits.len()) };
                assert_eq!((hit.offset_bytes, hit.brand), (start, *brand), "{text:?}");
                assert_eq!(hit.offset_bytes + hit.size_bytes, end, "{text:?}");
                assert!(contains_card_number(&text));
            }
        }
    }
}

#[test]
fn other_numbers_beside_a_card_number_do_not_hide_it() {
    for text in [
        "4111 1111 1111 1111 12/28 123",
        "2 4111-1111-1111-1111",
        "2 4-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1",
        "4111111 111 111 111/12",
        "4-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1/12/28",
        "5 9704 1985 2619 1432 198 12 28",
        "5 4111 1111 1111 1111",
        "12 4111111111111111 34",
        "4111111111111111 1228 123",
        "2026-11-21 4111 1111 1111 1111",
        "1 2 3 4 5 6 7 8 9 10 4111111111111111 11 12 13 14 15 16 17 18 19 20 21",
        "378282 246310 3782 822463 10005 12 28",
        "4111\t1111\t1111\t1111\t12\t28",
        "4111111111111111=28121010000000000000",
        "%B4111111111111111^BERG/ANNA^2812101?",
    ] {
        assert_eq!(find_card_numbers(text).len(), 1, "{text}");
    }
    for text in [
        "4111 1111 1111 1111 5555 5555 5555 4444",
        "4111111111111111 5555555555554444",
        "4111 1111 1111 1111\n5555 5555 5555 4444",
        "4111-1111-1111-1111 / 5555-5555-5555-4444",
        "4111111111111111,5555555555554444",
    ] {
        assert_eq!(find_card_numbers(text).len(), 2, "{text}");
    }
}

#[test]
fn look_alikes_are_left_alone() {
    for text in [
        "",
        "no digits at all",
        "12345678901",
        "4111111111111112",
        "9111111111111117",
        "0000000000000000",
        // Longer than a card number, and glued to further digits.
        "41111111111111111111",
        "123441111111111111114",
        // Four separators part, other characters part.
        "4111    1111    1111    1111",
        "4111, 1111, 1111, 1111",
        // IBANs, of which several hold a hit.
        "DE89370400440532013000",
        "IBAN DE89 3704 0044 0532 0130 00",
        "PL61 1090 1014 0000 0712 1981 2874",
        "FR14 2004 1010 0505 0001 3M02 606",
        "gb29nwbk60161331926819",
        "DK5000400440116243",
        "Please pay to ES91 2100 0418 4502 0005 1332 by Friday",
        // Telephone numbers.
        "+44 20 7946 0958",
        "+573001234568",
        "+49 151 2345 6789",
        "020 7946 0958\n020 7946 0959",
        "(415) 555-2671, (415) 555-2672",
        "New York, NY 10001 212-555-1238",
        // Books, orders, identifiers, times.
        "978-3-16-148410-0",
        "9783161484100",
        "2026-000123",
        "2026-000123 2026-000124 2026-000125",
        "550e8400-e29b-41d4-a716-446655440000",
        "2026-11-21T19:07:26.123456789Z",
        "20261121190726",
        "1795288046123",
        "1795288046123456",
        "21.11.2026 19.07.26",
        "192.168.100.200 10.20.30.40",
        "-0.1277583 51.5073509",
    ] {
        assert_eq!(find_card_numbers(text), [], "{text}");
        assert!(!contains_card_number(text), "{text}");
    }
}

/// Two IBANs that would be hits, were they not IBANs; without this the case above proves little.
#[test]
fn an_iban_is_left_alone_because_it_is_one() {
    let iban = "PL47 4111 1111 1111 1111 0000 0000";
    let valid: Vec<String> =
        (0..100).map(|check| iban.replacen("47", &format!("{check:02}"), 1)).collect();
    let found = valid.iter().filter(|text| contains_card_number(text)).count();
    // One or two of the hundred check digits are right.
    assert!((98..=99).contains(&found), "{found}");
    assert!(valid.iter().all(|text| contains_card_number(&format!("x{text}"))));
    // A German IBAN is longer.
    assert!(contains_card_number("DE4111111111111111"));
}

#[test]
fn a_plus_sign_excuses_telephone_numbers_only() {
    assert!(contains_card_number("573001234562"));
    assert!(!contains_card_number("+573001234562"));
    assert!(!contains_card_number("+57 300 123 4562"));
    assert!(!contains_card_number("＋573001234562"));
    assert!(!contains_card_number("+\u{202A}573001234562"));
    assert!(contains_card_number("+4111111111111111"));
    assert!(contains_card_number("+378282246310005"));
    assert!(contains_card_number("+ 4222222222222"));
}

/// How many of 10,000 random texts of a kind are taken for cards. The rates stand in the
/// documentation of the module; a new brand or shape that raises them shows here.
#[test]
fn false_positives_stay_at_the_stated_rate() {
    let kinds: [(&str, std::ops::RangeInclusive<usize>, Make); 19] = [
        ("10 digits", 0..=0, |random| random.digits(10)),
        ("12 digits", 40..=70, |random| random.digits(12)),
        ("13 digits", 120..=175, |random| random.digits(13)),
        ("14 digits", 70..=110, |random| random.digits(14)),
        ("15 digits", 180..=240, |random| random.digits(15)),
        ("16 digits", 310..=395, |random| random.digits(16)),
        ("17 digits", 105..=155, |random| random.digits(17)),
        ("18 digits", 105..=155, |random| random.digits(18)),
        ("19 digits", 205..=265, |random| random.digits(19)),
        ("20 digits", 0..=0, |random| random.digits(20)),
        ("order number", 0..=0, |random| format!("2026-{}", random.digits(6))),
        ("article number", 900..=1100, |random| random.ean("4")),
        ("book number", 0..=0, |random| random.ean("978")),
        ("time in milliseconds", 0..=0, |random| format!("17{}", random.digits(11))),
        ("uuid", 0..=12, SplitMix::uuid),
        ("sha-256", 0..=20, |random| random.hex(64)),
        ("telephone number", 0..=0, |random| format!("+{}", random.digits(12))),
        ("prices", 0..=0, |random| random.list(6, "\t", |random| random.grouped(&[2, 2], "."))),
        ("two telephone numbers", 0..=0, |random| {
            random.list(2, " ", |random| random.grouped(&[3, 3, 4], "-"))
        }),
    ];
    let mut random = SplitMix(7);
    for (kind, expected, make) in kinds {
        let found = (0..10_000).filter(|_| contains_card_number(&make(&mut random))).count();
        assert!(expected.contains(&found), "{kind}: {found} in 10,000");
    }
}

type Make = fn(&mut SplitMix) -> String;

/// A small generator with a fixed seed (Steele, Lea, Flood 2014), so that the rates are exact.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }

    fn digits(&mut self, size: usize) -> String {
        (0..size).map(|_| self.below(10).to_string()).collect()
    }

    fn grouped(&mut self, sizes: &[usize], separator: &str) -> String {
        sizes.iter().map(|size| self.digits(*size)).collect::<Vec<_>>().join(separator)
    }

    fn list(&mut self, size: usize, separator: &str, make: Make) -> String {
        (0..size).map(|_| make(self)).collect::<Vec<_>>().join(separator)
    }

    fn hex(&mut self, size: usize) -> String {
        (0..size).map(|_| format!("{:x}", self.below(16))).collect()
    }

    fn uuid(&mut self) -> String {
        [8, 4, 4, 4, 12].map(|size| self.hex(size)).join("-")
    }

    /// An article number with its check digit (GS1: weights 1 and 3).
    fn ean(&mut self, prefix: &str) -> String {
        let body = format!("{prefix}{}", self.digits(12 - prefix.len()));
        let weighted = body.bytes().zip([1u32, 3].into_iter().cycle());
        let sum: u32 = weighted.map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
        format!("{body}{}", (10 - sum % 10) % 10)
    }
}

/// One issuer prefix per brand, range end and length.
const ISSUED: &[(&str, &[usize])] = &[
    ("34", &[15]),
    ("37", &[15]),
    ("2205", &[16]),
    ("5019", &[16]),
    ("4571", &[16]),
    ("300", &[14, 16, 19]),
    ("305", &[14, 16, 19]),
    ("3095", &[14, 16, 19]),
    ("36", &[14, 16, 19]),
    ("38", &[14, 16, 19]),
    ("39", &[14, 16, 19]),
    ("6011", &[16, 19]),
    ("644", &[16, 19]),
    ("649", &[16, 19]),
    ("65", &[16, 19]),
    ("622126", &[16, 17, 18, 19]),
    ("622925", &[16, 17, 18, 19]),
    ("509", &[16]),
    ("606282", &[16, 19]),
    ("9860", &[16]),
    ("637", &[16]),
    ("639", &[16]),
    ("636", &[16, 17, 18, 19]),
    ("3528", &[16, 17, 18, 19]),
    ("3589", &[16, 17, 18, 19]),
    ("357111", &[16]),
    ("50", &[12, 13, 14, 15, 16, 17, 18, 19]),
    ("56", &[12, 13, 14, 15, 16, 17, 18, 19]),
    ("58", &[12, 13, 14, 15, 16, 17, 18, 19]),
    ("6304", &[12, 13, 14, 15, 16, 17, 18, 19]),
    ("6759", &[12, 13, 14, 15, 16, 17, 18, 19]),
    ("676770", &[12, 13, 14, 15, 16, 17, 18, 19]),
    ("51", &[16]),
    ("55", &[16]),
    ("2221", &[16]),
    ("2720", &[16]),
    ("2200", &[16, 17, 18, 19]),
    ("2204", &[16, 17, 18, 19]),
    ("9704", &[16, 19]),
    ("60", &[16]),
    ("81", &[16, 17, 18, 19]),
    ("82", &[16]),
    ("508", &[16]),
    ("353", &[16]),
    ("356", &[16]),
    ("9792", &[16]),
    ("60400100", &[16, 19]),
    ("60420099", &[16, 19]),
    ("62", &[16, 17, 18, 19]),
    ("8600", &[16]),
    ("506099", &[16, 18, 19]),
    ("506198", &[16, 18, 19]),
    ("507865", &[16, 18, 19]),
    ("507964", &[16, 18, 19]),
    ("650002", &[16, 18, 19]),
    ("650027", &[16, 18, 19]),
    ("4", &[13, 16, 19]),
];

const SEPARATORS: &[&str] = &[
    " ", "-", ".", "/", "_", "\t", "\n", "\u{A0}", "\u{2009}", "\u{200B}", "–", " - ", "\r\n", "",
];

fn with_check_digit(body: &str) -> String {
    let digits: Vec<u32> = body.chars().filter_map(|c| c.to_digit(10)).collect();
    let doubled = digits.iter().rev().enumerate().map(|(place, digit)| match place % 2 {
        0 => digit * 2 / 10 + digit * 2 % 10,
        _ => *digit,
    });
    format!("{body}{}", (10 - doubled.sum::<u32>() % 10) % 10)
}

prop_compose! {
    fn card_number()(
        (prefix, sizes) in prop::sample::select(ISSUED),
        size in any::<prop::sample::Index>(),
        tail in "[0-9]{18}",
    ) -> String {
        let body: String = prefix.chars().chain(tail.chars()).take(size.get(sizes) - 1).collect();
        with_check_digit(&body)
    }
}

proptest! {
    #[test]
    fn any_card_number_is_found_whatever_parts_its_digits(
        number in card_number(),
        gaps in prop::collection::vec(prop::sample::select(SEPARATORS), 19),
        before in "[a-zA-Z,:;(ä世 ]{0,12}",
        after in "[a-zA-Z,:;)ä世 ]{0,12}",
    ) {
        let body: String =
            number.chars().zip(gaps).flat_map(|(c, gap)| [c.to_string(), gap.to_owned()]).collect();
        let text = format!("{before}{}{after}", body.trim());
        let hits = find_card_numbers(&text);
        prop_assert_eq!(hits.len(), 1);
        prop_assert_eq!(hits[0].offset_bytes, before.len());
        prop_assert!(contains_card_number(&text));
    }

    #[test]
    fn a_wrong_digit_is_no_card_number(number in card_number(), at in 0usize..12, by in 1u8..10) {
        let wrong: String = number.bytes().enumerate()
            .map(|(place, b)| char::from(if place == at { (b - b'0' + by) % 10 + b'0' } else { b }))
            .collect();
        prop_assert!(!contains_card_number(&wrong));
    }

    #[test]
    fn both_searches_agree_and_hits_are_in_order_and_in_the_text(
        text in "[0-9 .\\-\n\u{200B}٤+a]{0,80}|\\PC{0,80}",
    ) {
        let hits: Vec<CardHit> = find_card_numbers(&text);
        prop_assert_eq!(contains_card_number(&text), !hits.is_empty());
        let mut end = 0;
        for hit in hits {
            prop_assert!(hit.offset_bytes >= end);
            end = hit.offset_bytes + hit.size_bytes;
            let found = text.get(hit.offset_bytes..end);
            prop_assert!(found.is_some_and(contains_card_number));
        }
    }
}
