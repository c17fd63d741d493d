//! Decimal numbers as whole billionths, so that sums do not depend on their order.
//!
//! Invariant: no floating point. A value read from text is exact up to nine decimals; a tenth and
//! further decimal rounds half up. The range is that of `i128`: a sum of 10^18-sized values over
//! 10^11 lines still fits.

use std::fmt;

/// A count of billionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(pub i128);

/// Decimals kept after the point.
const DIGITS: i32 = 9;

impl Decimal {
    /// Zero.
    pub const ZERO: Decimal = Decimal(0);

    /// Reads `12`, `-1.5`, `.5`, `1e-3`. `shift` moves the point: 0 for seconds or plain numbers,
    /// -3 for a text that counts milliseconds. `None` for anything else and for more than 18
    /// digits before the point.
    #[inline]
    pub fn parse(text: &[u8], shift: i32) -> Option<Decimal> {
        let short = Decimal::billionths(text, shift).map(|short| Decimal(i128::from(short)));
        short.or_else(|| Decimal::parse_any(text, shift))
    }

    /// What nearly every log holds: at most 18 digits and a point, no more decimals than are kept,
    /// and a value that fits a word. `None` says nothing.
    #[inline]
    pub fn billionths(text: &[u8], shift: i32) -> Option<u64> {
        if text.len() > 18 {
            return None;
        }
        let (mut value, mut point) = (0u64, text.len());
        for (at, byte) in text.iter().enumerate() {
            match byte.wrapping_sub(b'0') {
                digit @ 0..=9 => value = value * 10 + u64::from(digit),
                _ if *byte == b'.' && point == text.len() => point = at,
                _ => return None,
            }
        }
        let dot = usize::from(point < text.len());
        let decimals = i32::try_from(text.len() - point - dot).ok()?;
        let power = POWERS.get(usize::try_from(DIGITS + shift - decimals).ok()?)?;
        value.checked_mul(*power).filter(|_| text.len() > dot)
    }

    fn parse_any(text: &[u8], shift: i32) -> Option<Decimal> {
        let (negative, digits) = match text {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        let (mantissa, fraction, exponent) = mantissa(digits)?;
        let scale = DIGITS + shift + exponent - fraction;
        let value = scaled(mantissa, scale)?;
        Some(Decimal(if negative { -value } else { value }))
    }

    /// A whole number.
    pub fn whole(value: u64) -> Decimal {
        Decimal(i128::from(value) * 1_000_000_000)
    }

    /// The two words that keep this value in a cell.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "splits the bits"
    )]
    pub(crate) fn words(self) -> [u64; 2] {
        [self.0 as u64, (self.0 >> 64) as u64]
    }

    /// The value kept in two words.
    #[inline]
    #[expect(clippy::cast_possible_wrap, reason = "joins the bits")]
    pub(crate) fn from_words(low: u64, high: u64) -> Decimal {
        Decimal(((u128::from(high) << 64) | u128::from(low)) as i128)
    }

    /// The sum; stays at the end of the range instead of wrapping.
    #[inline]
    pub fn plus(self, other: Decimal) -> Decimal {
        Decimal(self.0.saturating_add(other.0))
    }
}

/// Powers of ten up to what [`Decimal::billionths`] needs.
const POWERS: [u64; 10] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
];

/// Digits without their point, how many of them stood behind it, and the exponent.
#[inline]
fn mantissa(text: &[u8]) -> Option<(u128, i32, i32)> {
    let (mut value, mut fraction, mut seen, mut point) = (0u128, 0, 0, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                value = value * 10 + u128::from(byte - b'0');
                fraction += i32::from(point);
                seen += i32::from(value > 0);
                if seen > 30 {
                    return None;
                }
            }
            b'.' if !point => point = true,
            b'e' | b'E' if at > 0 => {
                return Some((value, fraction, exponent(text.get(at + 1..)?)?));
            }
            _ => return None,
        }
    }
    let digits = text.len() - usize::from(point);
    (digits > 0).then_some((value, fraction, 0))
}

fn exponent(text: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse().ok().filter(|e: &i32| e.abs() <= 40)
}

/// `mantissa` times ten to the power of `scale`, rounded half up.
#[inline]
fn scaled(mantissa: u128, scale: i32) -> Option<i128> {
    const LIMIT: u128 = 10u128.pow(27);
    let power = 10u128.checked_pow(scale.unsigned_abs());
    let value = match power {
        Some(power) if scale >= 0 => mantissa.checked_mul(power)?,
        Some(power) => mantissa / power + u128::from(power > 1 && mantissa % power >= power / 2),
        None if scale < 0 || mantissa == 0 => 0,
        None => return None,
    };
    (value < LIMIT).then_some(())?;
    i128::try_from(value).ok()
}

impl fmt::Display for Decimal {
    /// As few digits as the value needs: `12`, `0.5`, `-1.25`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let whole = self.0.unsigned_abs() / 1_000_000_000;
        let rest = self.0.unsigned_abs() % 1_000_000_000;
        if rest == 0 {
            return write!(f, "{sign}{whole}");
        }
        let digits = format!("{rest:09}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, shift: i32) -> Option<String> {
        Decimal::parse(text.as_bytes(), shift).map(|d| d.to_string())
    }

    #[test]
    fn text_and_display_agree() {
        for (text, shift, expected) in [
            ("0", 0, "0"),
            ("0.000", 0, "0"),
            ("12.340", 0, "12.34"),
            (".5", 0, "0.5"),
            ("5.", 0, "5"),
            ("-1.25", 0, "-1.25"),
            ("1e-3", 0, "0.001"),
            ("2.5E2", 0, "250"),
            ("1500", -3, "1.5"),
            ("1012355", -9, "0.001012355"),
            ("0.0000000005", 0, "0.000000001"),
            ("0.00000000049", 0, "0"),
            ("999999999999999999", 0, "999999999999999999"),
        ] {
            assert_eq!(shown(text, shift).as_deref(), Some(expected), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn short_numbers_are_read_like_any(text in "[0-9]{0,12}[.]?[0-9]{0,9}[-.e]?", shift in -9i32..1) {
            if let Some(short) = Decimal::billionths(text.as_bytes(), shift) {
                let short = Decimal(i128::from(short));
                proptest::prop_assert_eq!(Some(short), Decimal::parse_any(text.as_bytes(), shift));
            }
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "", "-", ".", "1.2.3", "1,5", "NaN", "inf", "0x10", "1e", "1e99", " 1", "e5",
        ] {
            assert_eq!(shown(text, 0), None, "{text}");
        }
        assert_eq!(shown("1000000000000000000", 0), None, "19 digits");
        assert_eq!(shown(&"9".repeat(400), 0), None);
    }

    #[test]
    fn words_keep_every_value() {
        for value in [0, 1, -1, i128::MAX, i128::MIN, 1 << 64, -(1 << 64) - 5] {
            let [low, high] = Decimal(value).words();
            assert_eq!(Decimal::from_words(low, high), Decimal(value));
        }
    }
}
