//! Times, sizes, counts and spans of time as people read them. Times are UTC, and say so where they
//! stand alone.

use jiff::Timestamp;

use crate::metrics::text::thousands;

/// `13:05`
pub(super) fn clock(at: i64) -> String {
    let minutes = at.div_euclid(60).rem_euclid(24 * 60);
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// `13:05:07`
pub(super) fn clock_seconds(at: i64) -> String {
    format!("{}:{:02}", clock(at), at.rem_euclid(60))
}

/// `2026-11-22 13:05`
pub(super) fn day_and_clock(at: i64) -> String {
    format(at, "%Y-%m-%d %H:%M")
}

/// `2026-11-22T13:05:07Z`
pub(super) fn rfc3339(at: i64) -> String {
    format(at, "%Y-%m-%dT%H:%M:%SZ")
}

fn format(at: i64, pattern: &str) -> String {
    let time = Timestamp::from_second(at);
    time.map_or_else(
        |_| "an impossible time".to_owned(),
        |time| time.strftime(pattern).to_string(),
    )
}

/// Seconds in words, the two largest units.
pub(super) fn span(seconds: i64) -> String {
    let units = [
        ("day", 86_400),
        ("hour", 3600),
        ("minute", 60),
        ("second", 1),
    ];
    let seconds = seconds.max(0);
    let first = units.iter().position(|(_, length)| seconds >= *length);
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (name, length) in units.iter().skip(first.unwrap_or(3)).take(2) {
        let n = rest / length;
        rest %= length;
        if n > 0 || parts.is_empty() {
            parts.push(many(n, name));
        }
    }
    parts.join(" ")
}

/// `1 minute`, `2 minutes`, `1,234 lines`.
pub(super) fn many(n: i64, what: &str) -> String {
    let ending = if n == 1 { "" } else { "s" };
    format!("{} {what}{ending}", grouped(n.unsigned_abs()))
}

/// `1,234,567`
pub(super) fn grouped(n: u64) -> String {
    thousands(&n.to_string())
}

/// A value of a metric: whole ones grouped, others with two decimals.
pub(super) fn amount(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        // The sum of nothing is -0.
        return thousands(&format!("{:.0}", value + 0.0));
    }
    format!("{value:.2}")
}

/// A part of a whole as percent; nothing of nothing is no share.
pub(super) fn share(part: f64, whole: f64) -> String {
    if whole <= 0.0 {
        return "–".to_owned();
    }
    format!("{:.1} %", 100.0 * part / whole)
}

/// `3.4 MiB`
#[expect(clippy::cast_precision_loss, reason = "for people, with one decimal")]
pub(super) fn bytes(n: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", units.get(unit).unwrap_or(&"TiB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_spans_read_well() {
        assert_eq!(clock(1_764_000_307), "16:05");
        assert_eq!(clock_seconds(1_764_000_307), "16:05:07");
        assert_eq!(rfc3339(1_764_000_307), "2025-11-24T16:05:07Z");
        assert_eq!(span(0), "0 seconds");
        assert_eq!(span(61), "1 minute 1 second");
        assert_eq!(span(7200), "2 hours");
        assert_eq!(span(90_000), "1 day 1 hour");
        assert_eq!(span(-5), "0 seconds");
    }

    #[test]
    fn amounts_and_sizes_read_well() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(amount(999.0), "999");
        assert_eq!(amount(-1000.0), "-1,000");
        assert_eq!(amount(0.125), "0.12");
        assert_eq!(share(1.0, 3.0), "33.3 %");
        assert_eq!(share(0.0, 0.0), "–");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1 << 30), "1.0 GiB");
        assert_eq!(many(1, "line"), "1 line");
    }
}
