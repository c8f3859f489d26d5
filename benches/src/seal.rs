//! Sealing a record of ten fields, in this process, on one core.
//!
//! Its baseline, ten bare AES-256-GCM calls, lies behind the crypto wall: `strongroom-crypto` gives
//! no bare cipher away, and nobody else may use the library. So this is a figure without a ratio.

use anyhow::Context;
use strongroom_crypto::{Binding, Cell, SecretKey, SystemRandom, seal_record};
use tokio::time::Instant;

use crate::measured::Spread;
use crate::plan::Span;

/// Microseconds a record.
pub(crate) fn measure(runs: usize, span: Span) -> anyhow::Result<Spread> {
    let key = SecretKey::generate(&SystemRandom)?;
    let values: Vec<Vec<u8>> = (0..FIELDS).map(|field| vec![field; VALUE_SIZE_BYTES]).collect();
    let cells: Vec<Cell<'_>> =
        (0..FIELDS).zip(&values).map(|(field, value)| Cell { field, value }).collect();
    let mut binding = Binding {
        installation: [1; 16],
        customer: [2; 16],
        compartment: [3; 16],
        dek: [4; 16],
        version: 0,
    };
    let mut times_us = Vec::new();
    for _ in 0..runs {
        let begun = Instant::now();
        let mut records = 0_u32;
        while begun.elapsed() < span.run() / RUN_PART {
            for _ in 0..RECORDS_A_LOOK {
                binding.version += 1;
                std::hint::black_box(seal_record(&key, &SystemRandom, &binding, &cells)?);
            }
            records += RECORDS_A_LOOK;
        }
        times_us.push(begun.elapsed().as_secs_f64() * 1e6 / f64::from(records.max(1)));
    }
    Spread::of(times_us).context("no runs")
}

const FIELDS: u8 = 10;

/// A name, an e-mail address, a telephone number.
const VALUE_SIZE_BYTES: usize = 20;

/// Nothing varies from second to second here, so a quarter of a run is enough.
const RUN_PART: u32 = 4;

/// The clock is read seldom enough not to be measured.
const RECORDS_A_LOOK: u32 = 100;
