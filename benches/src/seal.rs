//! Sealing a record of ten fields, beside ten bare calls of the cipher, in this process, on one core.

use strongroom_crypto::bench::BareCipher;
use strongroom_crypto::{Binding, Cell, CryptoError, SecretKey, SystemRandom, seal_record};
use tokio::time::Instant;

use crate::measured::Measured;
use crate::plan::Span;

/// Records.
pub(crate) fn ours(span: Span) -> anyhow::Result<Measured> {
    let (key, values) = (SecretKey::generate(&SystemRandom)?, values());
    let cells: Vec<Cell<'_>> =
        (0..FIELDS).zip(&values).map(|(field, value)| Cell { field, value }).collect();
    let mut binding = Binding {
        installation: [1; 16],
        customer: [2; 16],
        compartment: [3; 16],
        dek: [4; 16],
        version: 0,
    };
    repeat(span, || {
        binding.version += 1;
        seal_record(&key, &SystemRandom, &binding, &cells)
    })
}

/// Ten values, each with a random nonce, bound to nothing.
pub(crate) fn theirs(span: Span) -> anyhow::Result<Measured> {
    let values = values();
    let cipher = BareCipher::new(&SecretKey::generate(&SystemRandom)?)?;
    repeat(span, || cipher.seal_each(&SystemRandom, &values))
}

fn repeat<T>(
    span: Span,
    mut seal: impl FnMut() -> Result<T, CryptoError>,
) -> anyhow::Result<Measured> {
    let (begun, mut operations) = (Instant::now(), 0);
    while begun.elapsed() < span.run() / RUN_PART {
        for _ in 0..A_LOOK {
            std::hint::black_box(seal()?);
        }
        operations += A_LOOK;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let each_us = seconds * 1e6 / operations as f64;
    Ok(Measured {
        operations,
        per_second: operations as f64 / seconds,
        server_cpu_us: Some(each_us),
        generator_cpu_us: None,
        written_bytes: None,
        commits: None,
        p50_us: each_us,
        p99_us: 0.0,
        max_us: 0.0,
    })
}

fn values() -> Vec<Vec<u8>> {
    (0..FIELDS).map(|field| vec![field; VALUE_SIZE_BYTES]).collect()
}

const FIELDS: u8 = 10;

/// A name, an e-mail address, a telephone number.
const VALUE_SIZE_BYTES: usize = 20;

/// Nothing varies from second to second here, so a quarter of a run is enough.
const RUN_PART: u32 = 4;

/// The clock is read seldom enough not to be measured.
const A_LOOK: u64 = 100;
