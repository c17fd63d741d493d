//! Finding a byte that is probably near.
//!
//! Most fields of an access log are a few bytes long, where calling a vectorised search costs more
//! than searching. The first sixteen bytes are looked at as two numbers, in place; only then is
//! memchr asked.

use memchr::memchr;

const ONES: u64 = u64::MAX / 255;
const HIGHS: u64 = ONES << 7;

/// Position of the first `byte`.
#[inline]
pub fn find_near(byte: u8, bytes: &[u8]) -> Option<usize> {
    let Some(start) = bytes.first_chunk::<16>() else {
        return memchr_short(byte, bytes);
    };
    let (low, high) = halves(*start);
    let wanted = u64::from(byte) * ONES;
    match zero_byte(low ^ wanted) {
        Some(at) => Some(at),
        None => match zero_byte(high ^ wanted) {
            Some(at) => Some(8 + at),
            None => memchr(byte, bytes.get(16..)?).map(|at| 16 + at),
        },
    }
}

#[inline]
fn memchr_short(byte: u8, bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&b| b == byte)
}

#[inline]
fn halves(bytes: [u8; 16]) -> (u64, u64) {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
    (
        u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        u64::from_le_bytes([i, j, k, l, m, n, o, p]),
    )
}

/// Position of the lowest byte that is 0 (Mycroft's test; exact for the lowest one).
#[inline]
fn zero_byte(word: u64) -> Option<usize> {
    let zeros = word.wrapping_sub(ONES) & !word & HIGHS;
    (zeros != 0).then_some((zeros.trailing_zeros() / 8) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_memchr(byte in any::<u8>(), bytes in prop::collection::vec(any::<u8>(), 0..64), few in prop::collection::vec(0u8..3, 0..40)) {
            prop_assert_eq!(find_near(byte, &bytes), memchr(byte, &bytes));
            prop_assert_eq!(find_near(byte % 3, &few), memchr(byte % 3, &few));
        }
    }
}
