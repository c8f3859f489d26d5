//! What a thief can do with what was stolen, in figures: how fast values are guessed with an index key,
//! how fast passphrases are, and what stored lengths tell of e-mail addresses.

use std::collections::BTreeMap;
use std::hint::black_box;

use clap::Args;
use strongroom::ctx::{Clock, SystemClock};
use strongroom_crypto::{Binding, Cell, SecretKey, Stretch, SystemRandom, seal_record};

/// What a thief learns, measured on this machine
#[derive(Args)]
pub(crate) struct Thief {}

impl Thief {
    #[expect(clippy::unused_self, reason = "a command, like the others")]
    #[expect(clippy::print_stdout, reason = "what a command was asked for")]
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let key = SecretKey::from_bytes([7; 32]);
        // As the index hashes a telephone number: field, version of the normalisation, value.
        let guesses = a_second(|number| {
            let message = format!("\0\u{1}+4420794{number:05}");
            black_box(key.mac("strongroom/index/v1", message.as_bytes()));
        });
        println!("with database and index key: {guesses:.0} values a second and core are tried");
        let all_numbers = 1e9 / guesses / 60.0;
        println!("  a thousand million telephone numbers: {all_numbers:.0} minutes on one core");
        let stretch = Stretch::new(&SystemRandom)?;
        let words = a_second(|number| {
            black_box(stretch.key(format!("five words and {number}").as_bytes()).is_ok());
        });
        println!(
            "with a copy of keys.db: {words:.1} passphrases a second and core are tried, 64 MiB each"
        );
        let years = 7776_f64.powi(5) / 2.0 / (words * 1000.0) / 31_557_600.0;
        println!(
            "  half of all five-word passphrases of a list of 7,776, a thousand cores: {years:.0} years"
        );
        let mut classes: BTreeMap<usize, u32> = BTreeMap::new();
        for number in 0..10_000_usize {
            // Lengths from 8 to 110, as real addresses have them.
            let name = "x".repeat(number % 60);
            let host = "example".repeat(number % 7);
            let email = format!("{name}{}@{host}.example", number % 10);
            let cells = [Cell { field: 1, value: email.as_bytes() }];
            let at = Binding {
                installation: [1; 16],
                customer: [2; 16],
                compartment: [3; 16],
                dek: [4; 16],
                version: 1,
            };
            *classes.entry(seal_record(&key, &SystemRandom, &at, &cells)?.len()).or_default() += 1;
        }
        println!(
            "10,000 e-mail addresses of 10 to 118 bytes are stored in {} lengths: {classes:?}",
            classes.len()
        );
        Ok(())
    }
}

/// How often a second something is done: for two seconds, one after another.
fn a_second(mut act: impl FnMut(u64)) -> f64 {
    let clock = SystemClock::new();
    let (begun, mut count) = (clock.monotonic_ms(), 0);
    let mut ms = 0;
    while ms < 2_000 {
        for _ in 0..AT_A_TIME {
            act(count);
            count += 1;
        }
        ms = clock.monotonic_ms() - begun;
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let (count, seconds) = (count as f64, ms as f64 / 1000.0);
    count / seconds
}

/// So that looking at the clock costs nothing beside it.
const AT_A_TIME: u32 = 4;
