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
        if bounds.is_empty() {
            return Err(RangeError(format!("`{text}` has no number")));
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
        if bounds == ":" {
            return Err(RangeError(format!("`{text}` has no number")));
        }
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

/// Digits with at most one point, and a sign if wanted.
fn number(text: &str) -> Result<f64, RangeError> {
    let wrong = || RangeError(format!("`{}` is no number", text.escape_debug()));
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
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
