//! Threshold ranges: `[@][START:][END]`, as the Monitoring Plugins Development Guidelines define them.
//!
//! An alarm is raised for values outside of the range, its ends excluded; with `@` for values inside,
//! its ends included. `START:` may be left out for 0, `~` is minus infinity, a missing `END` infinity.
//!
//! Stricter than some plugins: what is no number, infinities and exponents included, is an error
//! and never 0, because a threshold that was misread is an alarm that never comes.

use std::fmt;
use std::str::FromStr;

/// A threshold range: an alarm is raised for values outside it, or inside with `@`.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// `None` is minus infinity (`~`).
    pub start: Option<f64>,
    /// `None` is infinity.
    pub end: Option<f64>,
    /// With `@`: alarm inside, ends included.
    pub inside: bool,
    /// As written.
    pub text: String,
}

/// Why a text is no range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}; a range is `10` (alarm below 0 or above 10), `10:` (below 10), `~:10` (above 10), \
     `10:20` (below 10 or above 20) or `@10:20` (from 10 to 20)"
)]
pub struct RangeError(pub String);

impl Range {
    /// Whether the value raises the alarm.
    pub fn is_breached(&self, value: f64) -> bool {
        self.is_breached_between(value, value)
    }

    /// Whether every value of the interval raises the alarm: it is known no better than `low` to
    /// `high`.
    pub fn is_breached_between(&self, low: f64, high: f64) -> bool {
        let start = self.start.unwrap_or(f64::NEG_INFINITY);
        let end = self.end.unwrap_or(f64::INFINITY);
        if self.inside {
            low >= start && high <= end
        } else {
            high < start || low > end
        }
    }

    /// Whether the value raises the alarm, and so would every larger one.
    pub fn is_breached_from(&self, value: f64) -> bool {
        self.is_breached_between(value, f64::INFINITY)
    }
}

impl FromStr for Range {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Range, RangeError> {
        let (inside, bounds) = match text.strip_prefix('@') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if bounds.is_empty() || bounds == ":" {
            return Err(RangeError(format!(
                "`{}` has no number",
                text.escape_debug()
            )));
        }
        let (start, end) = bounds.split_once(':').unwrap_or(("0", bounds));
        let start = match start {
            "~" => None,
            "" => Some(0.0),
            _ => Some(number(start)?),
        };
        let end = match end {
            "" => None,
            _ => Some(number(end)?),
        };
        if let (Some(start), Some(end)) = (start, end)
            && start > end
        {
            return Err(RangeError(format!(
                "`{text}` starts at {start}, above its end {end}"
            )));
        }
        Ok(Range {
            start,
            end,
            inside,
            text: text.to_owned(),
        })
    }
}

/// Digits with at most one point, and a minus if wanted.
fn number(text: &str) -> Result<f64, RangeError> {
    let wrong = || RangeError(format!("`{}` is no number", text.escape_debug()));
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(wrong());
    }
    let number: f64 = text.parse().map_err(|_| wrong())?;
    if !number.is_finite() {
        return Err(wrong());
    }
    Ok(number)
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Range;

    fn range(text: &str) -> Range {
        text.parse().expect("a range")
    }

    /// The table "Example ranges" of the guidelines, and the values at and beside each end.
    #[test]
    fn the_table_of_the_guidelines() {
        let table: [(&str, &[f64], &[f64]); 8] = [
            ("10", &[-0.1, 10.1, 1e12], &[0.0, 5.0, 10.0]),
            ("10:", &[9.9, 0.0, -5.0], &[10.0, 10.1, 1e12]),
            ("~:10", &[10.1, 1e12], &[10.0, 0.0, -1e12]),
            ("10:20", &[9.9, 20.1, -1.0], &[10.0, 15.0, 20.0]),
            ("@10:20", &[10.0, 15.0, 20.0], &[9.9, 20.1]),
            ("@10", &[0.0, 5.0, 10.0], &[-0.1, 10.1]),
            ("-6:6", &[-6.1, 6.1], &[-6.0, 0.0, 6.0]),
            ("0", &[0.1, -0.1], &[0.0]),
        ];
        for (text, alarms, fine) in table {
            for value in alarms {
                assert!(range(text).is_breached(*value), "{text} {value}");
            }
            for value in fine {
                assert!(!range(text).is_breached(*value), "{text} {value}");
            }
        }
        assert!(!range("~:").is_breached(-1e12));
        assert!(range("@~:").is_breached(1e12));
        assert_eq!(range(":10").start, Some(0.0));
    }

    #[test]
    fn what_is_no_range_is_an_error_that_shows_some() {
        for text in [
            "",
            "@",
            ":",
            "@:",
            "20:10",
            "nan",
            "inf",
            "1e3",
            "10:nan",
            "-inf:10",
            "10:20:30",
            "ten",
            "~",
            "10:~",
            " 10",
            "1,5",
            "+5",
            "1.2.3",
            "-",
            ".",
            "--1",
            "\u{202e}1",
        ] {
            let error = text.parse::<Range>().expect_err(text).to_string();
            assert!(error.contains("`~:10` (above 10)"), "{error}");
            assert!(!error.contains('\u{202e}'), "{error}");
        }
        assert_eq!(
            "20:10".parse::<Range>().expect_err("backwards").0,
            "`20:10` starts at 20, above its end 10"
        );
    }

    #[test]
    fn more_only_proves_a_breach_from_above() {
        for (text, value, from_above) in [
            ("10", 11.0, true),
            ("10", 10.0, false),
            ("10:20", 21.0, true),
            ("10:20", 5.0, false),
            ("10:", 5.0, false),
            ("@10:20", 15.0, false),
            ("@10:", 15.0, true),
        ] {
            assert_eq!(
                range(text).is_breached_from(value),
                from_above,
                "{text} {value}"
            );
        }
    }

    proptest! {
        #[test]
        fn ranges_agree_with_their_naive_twin(
            inside: bool,
            start in proptest::option::of(-50i32..50),
            length in proptest::option::of(0i32..50),
            value in -120i32..120,
        ) {
            let end = length.map(|length| start.unwrap_or(-20) + length);
            let text = format!(
                "{}{}:{}",
                if inside { "@" } else { "" },
                start.map_or("~".to_owned(), |n| n.to_string()),
                end.map_or(String::new(), |n| n.to_string()),
            );
            let mut within = true;
            for n in [start].into_iter().flatten() {
                within = within && value >= n;
            }
            for n in [end].into_iter().flatten() {
                within = within && value <= n;
            }
            let range = range(&text);
            prop_assert_eq!(range.is_breached(value.into()), within == inside);
            if range.is_breached_from(value.into()) {
                for more in value..130 {
                    prop_assert!(range.is_breached(more.into()));
                }
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,30}") {
            drop(text.parse::<Range>());
        }
    }
}
