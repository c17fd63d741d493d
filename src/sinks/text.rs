//! How values are spelt, for more than one sink.
//!
//! Invariant: nothing here rounds except where the name says that a person reads it.

use crate::metrics::{Decimal, text};

/// Billionths in one.
const ONE: i128 = 1_000_000_000;

/// RFC 3339 in UTC; plain seconds for a time that has no such spelling (beyond the year 9999).
pub(super) fn rfc3339(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |t| t.to_string())
}

/// Label pairs as PromQL writes them: `a="x",b="y"`. Control characters and those that turn the
/// direction of writing become `\u` escapes, which PromQL reads back.
pub(super) fn promql<'l>(pairs: impl Iterator<Item = (&'l str, &'l str)>) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        let comma = if text.is_empty() { "" } else { "," };
        text.push_str(&format!("{comma}{name}=\""));
        value.chars().for_each(|c| push_promql(&mut text, c));
        text.push('"');
    }
    text
}

fn push_promql(text: &mut String, c: char) {
    match c {
        '"' | '\\' => text.extend(['\\', c]),
        '\n' => text.push_str("\\n"),
        c if c.is_control() || is_direction(c) => {
            text.push_str(&format!("\\u{:04x}", u32::from(c)))
        }
        c => text.push(c),
    }
}

/// Characters that reorder what stands beside them (Unicode UAX 9, explicit formatting).
fn is_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `1234567.5` as `1,234,567.5`.
pub(super) fn thousands(value: Decimal) -> String {
    text::thousands(&value.to_string())
}

/// `1234` as `1,234`.
pub(super) fn count(value: u64) -> String {
    thousands(Decimal::whole(value))
}

/// `1 line`, `1,234 lines`.
pub(super) fn counted(value: u64, noun: &str) -> String {
    let plural = if value == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(value))
}

/// A share for people: `64 %`, and never `0 %` or `100 %` unless it is exactly that.
pub(super) fn percent(part: Decimal, whole: Decimal) -> String {
    if part.0 <= 0 || whole.0 <= 0 {
        return "0 %".to_owned();
    }
    // Halves are added before the division, so that 0.5 % shows as 1 %.
    let share = part.0.saturating_mul(200).saturating_add(whole.0) / whole.0.saturating_mul(2);
    match share {
        0 => "<1 %".to_owned(),
        100.. if part.0 < whole.0 => ">99 %".to_owned(),
        share => format!("{share} %"),
    }
}

/// A size for people: `43 B`, `1.1 GiB`.
pub(super) fn size(bytes: Decimal) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let bytes = (bytes.0 / ONE).max(0);
    let mut shown = format!("{bytes} B");
    let mut tenths = bytes.saturating_mul(10);
    for unit in units {
        if tenths < 10_240 {
            break;
        }
        tenths = (tenths + 512) / 1024;
        shown = format!("{}.{} {unit}", tenths / 10, tenths % 10);
    }
    shown
}

/// A duration for people: `250 ms`, `1.25 s`.
pub(super) fn duration(seconds: Decimal) -> String {
    let nanos = seconds.0.max(0);
    match nanos {
        0 => "0 s".to_owned(),
        1..1_000_000 => format!("{} us", short(nanos.saturating_mul(1_000_000))),
        1_000_000..ONE => format!("{} ms", short(nanos.saturating_mul(1_000))),
        _ => format!("{} s", short(nanos)),
    }
}

/// A number for people: at most two decimals, at most three digits when there are decimals.
pub(super) fn short(billionths: i128) -> String {
    let decimals = match billionths.saturating_abs() / ONE {
        0..10 => 2,
        10..100 => 1,
        _ => 0,
    };
    let unit = ONE / 10i128.pow(decimals);
    thousands(Decimal(
        billionths
            .saturating_add(unit / 2)
            .div_euclid(unit)
            .saturating_mul(unit),
    ))
}

/// Columns that the text takes on a terminal, one for each character.
pub(super) fn width(text: &str) -> usize {
    text.chars().count()
}

/// The text with blanks up to `columns`, before it when `right`.
pub(super) fn padded(text: &str, columns: usize, right: bool) -> String {
    let blanks = " ".repeat(columns.saturating_sub(width(text)));
    if right {
        blanks + text
    } else {
        text.to_owned() + &blanks
    }
}

/// The beginning of the text, with `mark` at its end when something is missing.
pub(super) fn clipped(text: &str, columns: usize, mark: &str) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut shown: String = text
        .chars()
        .take(columns.saturating_sub(width(mark)))
        .collect();
    shown.push_str(mark);
    shown
}

/// The end of the text, with `mark` before it when something is missing.
pub(super) fn clipped_left(text: &str, columns: usize, mark: &str) -> String {
    let missing = width(text).saturating_sub(columns);
    if missing == 0 {
        return text.to_owned();
    }
    let mut shown = mark.to_owned();
    shown.extend(text.chars().skip(missing + width(mark)));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::made::decimal;

    #[test]
    fn thousands_are_separated_and_decimals_kept() {
        for (value, shown) in [
            ("0", "0"),
            ("999", "999"),
            ("1000", "1,000"),
            ("1234567.5", "1,234,567.5"),
            ("-123456", "-123,456"),
        ] {
            assert_eq!(thousands(decimal(value)), shown);
        }
    }

    #[test]
    fn shares_reach_the_ends_only_when_exact() {
        let share = |a, b| percent(Decimal::whole(a), Decimal::whole(b));
        assert_eq!(share(1204, 1873), "64 %");
        assert_eq!(share(0, 5), "0 %");
        assert_eq!(share(1, 1_000_000), "<1 %");
        assert_eq!(share(999_999, 1_000_000), ">99 %");
        assert_eq!(share(5, 5), "100 %");
        assert_eq!(share(1, 0), "0 %");
        assert!(
            percent(Decimal(i128::MAX), Decimal(i128::MAX)).ends_with('%'),
            "saturates"
        );
    }

    #[test]
    fn sizes_and_durations_are_short() {
        for (bytes, shown) in [
            (43, "43 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_234_567_890, "1.1 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(Decimal::whole(bytes)), shown);
        }
        for (seconds, shown) in [
            ("0", "0 s"),
            ("0.00025", "250 us"),
            ("0.0025", "2.5 ms"),
            ("0.25", "250 ms"),
            ("1.2549", "1.25 s"),
            ("75.25", "75.3 s"),
            ("3600", "3,600 s"),
        ] {
            assert_eq!(duration(decimal(seconds)), shown);
        }
    }

    #[test]
    fn clipped_text_keeps_its_width() {
        assert_eq!(clipped("München-Süd", 7, "…"), "Münche…");
        assert_eq!(
            clipped_left("/var/log/access.log", 12, "..."),
            "...ccess.log"
        );
        assert_eq!(clipped("abc", 3, "…"), "abc");
        assert_eq!(padded("é", 3, true), "  é");
    }

    #[test]
    fn promql_labels_hold_no_control_characters() {
        let text = promql([("a", "x\"\\\n\u{1b}\0\u{202e}é"), ("b", "")].into_iter());
        assert_eq!(text, r#"a="x\"\\\n\u001b\u0000\u202eé",b="""#);
    }

    #[test]
    fn times_beyond_the_calendar_stay_seconds() {
        assert_eq!(rfc3339(1_383_203_160), "2013-10-31T07:06:00Z");
        assert_eq!(rfc3339(i64::MAX), i64::MAX.to_string());
    }
}
