//! Where new customers will lie in both stores.
//!
//! At random places each row and each key would be another page to write: that is what an import costs. So
//! those of a chunk lie together, in an order that is not that of the file. The log says who came together;
//! where the lots of others lie, and which came first, is left to chance.

use strongroom_crypto::{Random, random_array};

use crate::access::Desk;
use crate::ctx::Ctx;
use crate::error::Error;
use crate::keys::KeyBlock;

/// Where one customer will lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lot {
    /// The key of the row.
    pub(super) key: i64,
    /// Where the data keys will be.
    pub(super) block: KeyBlock,
}

impl Lot {
    /// For one customer.
    pub(super) fn alone(desk: &Desk, ctx: &Ctx) -> Result<Self, Error> {
        Ok(Self { key: random_key(ctx)?, block: desk.keyring.new_block()? })
    }

    /// For so many, side by side.
    pub(super) fn together(desk: &Desk, ctx: &Ctx, count: usize) -> Result<Vec<Self>, Error> {
        let (first, block) = (random_key(ctx)? & !NUMBER_MASK, desk.keyring.new_block()?);
        let lot = |number: i64| Self { key: first | (number & NUMBER_MASK), block };
        Ok(shuffled(ctx.rng.as_ref(), count)?.into_iter().map(lot).collect())
    }
}

fn random_key(ctx: &Ctx) -> Result<i64, Error> {
    Ok(i64::from_be_bytes(random_array(ctx.rng.as_ref())?) & i64::MAX)
}

/// The numbers below `count`, as Fisher and Yates shuffle them.
fn shuffled(random: &dyn Random, count: usize) -> Result<Vec<i64>, Error> {
    let mut draws = vec![0; count * size_of::<u32>()];
    random.fill(&mut draws)?;
    let mut numbers: Vec<i64> = (0..).take(count).collect();
    for (place, draw) in draws.as_chunks().0.iter().enumerate().rev() {
        // Of a draw of 32 bits, which favours nobody by more than a millionth here.
        let other = (u64::from(u32::from_be_bytes(*draw)) * (place as u64 + 1)) >> u32::BITS;
        numbers.swap(place, usize::try_from(other).map_err(Error::internal)?);
    }
    Ok(numbers)
}

/// A million lots side by side; a chunk has four thousand.
const NUMBER_MASK: i64 = (1 << 20) - 1;

#[cfg(test)]
mod tests {
    use strongroom_crypto::SystemRandom;

    use super::*;

    #[test]
    fn lots_of_a_chunk_are_each_given_once_and_not_in_the_order_of_the_file() {
        let numbers = shuffled(&SystemRandom, 5_000).unwrap();
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..5_000).collect::<Vec<_>>());
        // By chance about one is where it was.
        let at_home = numbers.iter().zip(&sorted).filter(|(now, then)| now == then).count();
        assert!(at_home < 20, "{at_home} of 5,000 are where they were");
        // Neighbours in the file are a third of the chunk apart on average.
        let pairs = numbers.iter().zip(numbers.iter().skip(1));
        let apart: i64 = pairs.map(|(one, other)| (one - other).abs()).sum();
        assert!(apart / 5_000 > 1_000, "{apart}");
        assert!(shuffled(&SystemRandom, 0).unwrap().is_empty());
        assert_eq!(shuffled(&SystemRandom, 1).unwrap(), [0]);
    }
}
