//! GF(256) with the polynomial of AES (x^8 + x^4 + x^3 + x + 1), without a table or a branch that
//! depends on a value: neither cache nor duration tells anything of a key.

use zeroize::Zeroize;

/// `secret + x · slope`, for each byte.
pub(super) fn point(secret: &[u8; 32], slope: &[u8; 32], x: u8) -> [u8; 32] {
    let mut value = *secret;
    value.iter_mut().zip(slope).for_each(|(byte, slope)| *byte ^= multiply(*slope, x));
    value
}

/// Where the lines through two points meet zero, for each byte. The places must differ.
pub(super) fn at_zero(a: (u8, &[u8; 32]), b: (u8, &[u8; 32])) -> [u8; 32] {
    // Lagrange: a·x_b/(x_b - x_a) + b·x_a/(x_a - x_b); minus is plus here.
    let over = invert(a.0 ^ b.0);
    let (mut weight_a, mut weight_b) = (multiply(b.0, over), multiply(a.0, over));
    let mut secret = [0; 32];
    for ((byte, a), b) in secret.iter_mut().zip(a.1).zip(b.1) {
        *byte = multiply(*a, weight_a) ^ multiply(*b, weight_b);
    }
    weight_a.zeroize();
    weight_b.zeroize();
    secret
}

fn multiply(a: u8, b: u8) -> u8 {
    let (mut shifted, mut product) = (a, 0);
    for bit in 0..8 {
        product ^= shifted & all_or_none((b >> bit) & 1);
        shifted = (shifted << 1) ^ (REDUCTION & all_or_none(shifted >> 7));
    }
    product
}

/// `a` to the power of 254, which is its inverse; 0 for 0.
fn invert(a: u8) -> u8 {
    let mut power = a;
    let mut inverse = 1;
    // 254 is 0b1111_1110: the squares from the second to the eighth.
    for _ in 0..7 {
        power = multiply(power, power);
        inverse = multiply(inverse, power);
    }
    inverse
}

/// 0xff for 1 and 0 for 0.
fn all_or_none(bit: u8) -> u8 {
    0_u8.wrapping_sub(bit)
}

const REDUCTION: u8 = 0x1b;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiplication_is_that_of_aes() {
        // FIPS 197, section 4.2: {57} times {83} is {c1}; 4.2.1: {57} times {13} is {fe}.
        assert_eq!(multiply(0x57, 0x83), 0xc1);
        assert_eq!(multiply(0x57, 0x13), 0xfe);
        for a in 0..=255 {
            assert_eq!((multiply(a, 1), multiply(1, a), multiply(a, 0)), (a, a, 0));
        }
    }

    #[test]
    fn everything_but_zero_has_an_inverse() {
        assert_eq!(invert(0), 0);
        // FIPS 197, figure 7, by way of section 5.1.1: the inverse of {53} is {ca}.
        assert_eq!(invert(0x53), 0xca);
        for a in 1..=255 {
            assert_eq!(multiply(a, invert(a)), 1, "{a}");
        }
    }

    #[test]
    fn two_points_give_the_secret_for_every_byte_and_slope() {
        for secret in 0..=255 {
            for slope in 0..=255 {
                let at = |x| point(&[secret; 32], &[slope; 32], x);
                for (x, y) in [(1, 2), (1, 3), (3, 2)] {
                    assert_eq!(at_zero((x, &at(x)), (y, &at(y))), [secret; 32]);
                }
            }
        }
    }
}
