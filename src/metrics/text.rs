//! Pieces of Prometheus' text formats that archives and live metrics share, names, escapes, numbers; and
//! how numbers are shown to people.
//!
//! Pure functions from values to text. What a file or a scrape looks like as a whole stands with its
//! writer: `sinks::openmetrics` and `http::exposition`.

use std::borrow::Cow;
use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::{Decimal, MetricType};

/// Longest label value in bytes.
pub const LABEL_BYTES: usize = 256;

/// Hexadecimal digits that stand for the rest of a long label value: 96 bits of SHA-256, out of
/// reach of somebody who looks for two values with the same ones.
const MARK_DIGITS: usize = 24;

/// The name of a family in OpenMetrics: a counter's without `_total`.
pub fn family_name(name: &str, kind: MetricType) -> &str {
    match kind {
        MetricType::Counter => name.strip_suffix("_total").unwrap_or(name),
        MetricType::Gauge | MetricType::Histogram => name,
    }
}

/// The unit at the end of a family's name, as OpenMetrics' `# UNIT` line wants it.
pub fn unit(family: &str) -> Option<&'static str> {
    ["seconds", "bytes"].into_iter().find(|unit| {
        let rest = family.strip_suffix(unit);
        rest.is_some_and(|rest| rest.ends_with('_'))
    })
}

/// A label value, or a HELP text of OpenMetrics, with backslash, quote and line feed escaped.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '"' => escaped.push_str("\\\""),
            '\n' => escaped.push_str("\\n"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A HELP text of the text format 0.0.4, where a quote stands for itself.
pub fn escaped_help(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n")
}

/// A label value of at most [`LABEL_BYTES`]. A longer one is cut and marked with a digest of all of
/// it, so that two values never become one, and a series keeps its name whatever other series come
/// and go. A value that ends in such a mark by itself is marked again.
pub fn label_value(value: &str) -> Cow<'_, str> {
    if value.len() <= LABEL_BYTES && !looks_marked(value) {
        return Cow::Borrowed(value);
    }
    let end = value.floor_char_boundary(LABEL_BYTES - MARK_DIGITS - 1);
    let mut marked = value.get(..end).unwrap_or_default().to_owned();
    marked.push('~');
    for byte in Sha256::digest(value).iter().take(MARK_DIGITS / 2) {
        write!(marked, "{byte:02x}").expect("writing to a string cannot fail");
    }
    Cow::Owned(marked)
}

/// True for what [`label_value`] makes of long values, and for what was written to look like it.
fn looks_marked(value: &str) -> bool {
    let Some((text, mark)) = value.rsplit_once('~') else {
        return false;
    };
    // A character has at most four bytes, so a cut loses at most three.
    text.len() + MARK_DIGITS + 4 >= LABEL_BYTES
        && mark.len() == MARK_DIGITS
        && mark.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// A number as OpenMetrics' section "Considerations: Canonical Numbers" wants `le`: `0.005`,
/// `1.0`, `1e+06`.
pub fn canonical(value: Decimal) -> String {
    let text = value.to_string();
    let (sign, digits) = text
        .strip_prefix('-')
        .map_or(("", text.as_str()), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let zeros = all.len() - all.trim_start_matches('0').len();
    let exponent =
        i128::try_from(whole.len()).unwrap_or(0) - 1 - i128::try_from(zeros).unwrap_or(0);
    let significant = all.trim_matches('0');
    match exponent {
        _ if significant.is_empty() => "0.0".to_owned(),
        -4..6 if fraction.is_empty() => format!("{sign}{whole}.0"),
        -4..6 => text,
        _ => {
            let (first, rest) = significant.split_at_checked(1).unwrap_or((significant, ""));
            let point = if rest.is_empty() { "" } else { "." };
            let minus = if exponent < 0 { '-' } else { '+' };
            format!(
                "{sign}{first}{point}{rest}e{minus}{:02}",
                exponent.unsigned_abs()
            )
        }
    }
}

/// A number as text with commas between its thousands: `-1234567.5` as `-1,234,567.5`.
pub fn thousands(number: &str) -> String {
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", number),
    };
    let (whole, rest) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut shown = sign.to_owned();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn canonical_numbers_follow_the_standard() {
        for (value, shown) in [
            ("0", "0.0"),
            ("1", "1.0"),
            ("-2.5", "-2.5"),
            ("0.005", "0.005"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("0.000000125", "1.25e-07"),
            ("100000", "100000.0"),
            ("1000000", "1e+06"),
            ("1048576", "1.048576e+06"),
            ("10000000000", "1e+10"),
            ("123456.5", "123456.5"),
        ] {
            assert_eq!(
                canonical(Decimal::parse(value.as_bytes(), 0).unwrap()),
                shown
            );
        }
    }

    #[test]
    fn units_are_whole_words_at_the_end_of_the_family() {
        assert_eq!(unit("beacontail_lag_seconds"), Some("seconds"));
        assert_eq!(
            unit(family_name("sent_bytes_total", MetricType::Counter)),
            Some("bytes")
        );
        assert_eq!(unit("milliseconds"), None);
        assert_eq!(unit("seconds_since"), None);
    }

    proptest! {
        #[test]
        fn long_values_stay_apart_and_short_ones_stay_themselves(
            value in "(?s).{0,400}", other in "(?s).{0,4}",
        ) {
            let shown = label_value(&value);
            prop_assert!(shown.len() <= LABEL_BYTES);
            prop_assert_eq!(shown == value, value.len() <= LABEL_BYTES);
            let longer = format!("{value}{other}");
            prop_assert_eq!(label_value(&longer) == shown, other.is_empty());
            // Whoever sends the text of a marked value is not taken for it.
            if value.len() > LABEL_BYTES {
                prop_assert_ne!(label_value(&shown), shown.clone());
            }
        }
    }
}
