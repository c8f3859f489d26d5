//! Comparisons inside this process: wrong in the first byte against wrong in the last.

use std::hint::black_box;

use strongroom_crypto::{
    Binding, Plain, Random, SecretKey, SystemRandom, Wanted, constant_time_eq, open_record,
    random_array, seal_record, unwrap_key, wrap,
};
use tokio::time::Instant;

use super::welch::{Sample, judge};
use super::{Case, Expected};

pub(super) fn measure(samples: usize) -> anyhow::Result<Vec<Case>> {
    let secret: [u8; 32] = random_array(&SystemRandom)?;
    let key = SecretKey::generate(&SystemRandom)?;
    let tag = *key.mac("timing", MESSAGE).as_bytes();
    // A record without cells ends with its commitment, a wrapped key with its tag.
    let record = seal_record(&key, &SystemRandom, &PLACE, &[])?;
    let wrapped = wrap(&key, &SystemRandom, b"place", &Plain::new(vec![3; 32]))?;
    let compare = |name, expected, samples, (good, last), op: &dyn Fn(&[u8]) -> bool| {
        compare(name, expected, samples, good, last, op)
    };
    // What seals takes longer than a comparison, so it is asked less often.
    let fewer = samples / 4;
    Ok(vec![
        compare(
            "planted: a comparison that stops early",
            Expected::Found,
            samples,
            (&secret, 32),
            &|it| equal_early(&secret, it),
        )?,
        compare("constant_time_eq", Expected::Same, samples, (&secret, 32), &|it| {
            constant_time_eq(&secret, it)
        })?,
        compare("SecretKey::verify", Expected::Same, samples, (&tag, 32), &|it| {
            key.verify("timing", MESSAGE, it).is_ok()
        })?,
        compare("commitment of a record", Expected::Same, fewer, (&record, 32), &|it| {
            open_record(&key, &PLACE, it, Wanted::All).is_ok()
        })?,
        compare("tag of a wrapped key", Expected::Same, fewer, (&wrapped, 16), &|it| {
            unwrap_key(&key, b"place", it).is_ok()
        })?,
    ])
}

/// Flips a bit of the first or of the last of the `last` bytes that end `good`, and times what says no.
fn compare(
    name: &'static str,
    expected: Expected,
    samples: usize,
    good: &[u8],
    last: usize,
    op: &dyn Fn(&[u8]) -> bool,
) -> anyhow::Result<Case> {
    anyhow::ensure!(op(good), "{name}: the right one is refused, so a wrong one says nothing");
    let places = [good.len().saturating_sub(last), good.len().saturating_sub(1)];
    let mut classes = vec![0; samples + WARM_UP];
    SystemRandom.fill(&mut classes)?;
    let mut seen = Vec::with_capacity(samples);
    let mut bytes = good.to_vec();
    for (number, class) in classes.iter().enumerate() {
        let is_second = class & 1 == 1;
        // The same memory for both, written as often: only where the wrong byte stands differs.
        bytes.copy_from_slice(good);
        for (place, is_wrong) in places.iter().zip([!is_second, is_second]) {
            if let Some(byte) = bytes.get_mut(*place) {
                *byte ^= u8::from(is_wrong);
            }
        }
        let begun = Instant::now();
        let mut taken = 0;
        for _ in 0..REPEATS {
            taken += u32::from(op(black_box(&bytes)));
        }
        let ns = begun.elapsed().as_nanos() as f64 / f64::from(REPEATS);
        anyhow::ensure!(taken == 0, "{name}: a wrong one is taken");
        if number >= WARM_UP {
            seen.push(Sample { is_second, ns });
        }
    }
    Ok(Case { name, first: "first byte", second: "last byte", expected, verdict: judge(&seen) })
}

/// What nobody should write: it returns where the first byte differs.
#[inline(never)]
fn equal_early(a: &[u8], b: &[u8]) -> bool {
    for (a, b) in a.iter().zip(b) {
        if black_box(*a) != black_box(*b) {
            return false;
        }
    }
    a.len() == b.len()
}

/// Longer than the clock is coarse.
const REPEATS: u32 = 16;

const WARM_UP: usize = 10_000;

const MESSAGE: &[u8] =
    b"a message of about the length of a row of rights in the database, or a little more";

const PLACE: Binding = Binding {
    installation: [1; 16],
    customer: [2; 16],
    compartment: [3; 16],
    dek: [4; 16],
    version: 5,
};
