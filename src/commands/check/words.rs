//! Times, numbers and names as a report says them.
//!
//! Invariant: times are UTC and say so; a number is never shown more exact than it is, nor rounded so
//! that it looks like another.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::question::Selection;
use crate::metrics::text::thousands;
use crate::nagios::clean;

/// Most characters of a label's value in a sentence.
const MAX_NAME: usize = 48;

/// `14:02Z`, with the date when it is not the day of `now`.
pub(super) fn time(at: i64, now: i64) -> String {
    let day = |at: i64| at.div_euclid(86_400);
    let format = match day(at) == day(now) {
        true => "%H:%MZ",
        false => "%Y-%m-%d %H:%MZ",
    };
    formatted(at, format)
}

/// `2026-11-22 14:02`, for where UTC is said beside it.
pub(super) fn date_time(at: i64) -> String {
    formatted(at, "%Y-%m-%d %H:%M")
}

/// RFC 3339, for other programs.
pub(super) fn rfc3339(at: i64) -> String {
    formatted(at, "%Y-%m-%dT%H:%M:%SZ")
}

fn formatted(at: i64, format: &str) -> String {
    match Timestamp::from_second(at) {
        Ok(time) => time.to_zoned(TimeZone::UTC).strftime(format).to_string(),
        Err(_) => "?".to_owned(),
    }
}

/// `7 min`, `3 h 20 min`, `2 d 4 h`.
pub(super) fn length(seconds: i64) -> String {
    let minutes = seconds.max(0) / 60;
    let pair = |large: i64, name: &str, small: i64, other: &str| match small {
        0 => format!("{large} {name}"),
        _ => format!("{large} {name} {small} {other}"),
    };
    match minutes {
        0 => format!("{} s", seconds.max(0)),
        1..120 => format!("{minutes} min"),
        120..2880 => pair(minutes / 60, "h", minutes % 60, "min"),
        _ => pair(minutes / 1440, "d", minutes % 1440 / 60, "h"),
    }
}

/// A count with commas, other numbers with as many digits as say something.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "?".to_owned();
    }
    // The sum of nothing is -0.
    let value = value + 0.0;
    let digits = match value.abs() {
        _ if value.fract() == 0.0 => 0,
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    thousands(&format!("{value:.digits$}"))
}

/// A number as somebody wrote it, with commas.
pub(super) fn exact(value: f64) -> String {
    thousands(&value.to_string())
}

/// Percent of a part, `0.2 %`; what is little is not shown as nothing, nor nearly all as all.
pub(super) fn share(part: f64, whole: f64) -> String {
    if whole <= 0.0 {
        return "no share".to_owned();
    }
    let percent = 100.0 * part / whole;
    match percent {
        _ if part <= 0.0 => "0 %".to_owned(),
        _ if part >= whole => "100 %".to_owned(),
        ..0.1 => "under 0.1 %".to_owned(),
        ..9.95 => format!("{percent:.1} %"),
        ..99.0 => format!("{percent:.0} %"),
        _ => "over 99 %".to_owned(),
    }
}

/// What a metric counts, for people: `cdn_failure_beacons_total` counts failure beacons, and
/// `request_duration_seconds` observations.
pub(super) fn noun(metric: &str) -> String {
    let ends = ["_total", "_count"];
    let mut without = ends.iter().filter_map(|end| metric.strip_suffix(end));
    let name = without.next().unwrap_or(metric);
    let own = ["cdn_", "beacontail_"];
    let mut without = own.iter().filter_map(|prefix| name.strip_prefix(prefix));
    let name = without.next().unwrap_or(name).replace('_', " ");
    let observed = ["_seconds", "_bytes", "_count"];
    match observed.iter().any(|end| metric.ends_with(end)) {
        true => format!("observations of {name}"),
        false => name,
    }
}

/// What some of a metric's series count: `origin requests with code=~5..`.
pub(super) fn noun_of(selection: &Selection) -> String {
    let noun = noun(&selection.metric);
    match selection.matchers.replace('"', "") {
        none if none.is_empty() => noun,
        matchers => format!("{noun} with {}", shortened(&clean(&matchers))),
    }
}

/// So many of a noun: `1 failure beacon`, `2 failure beacons by pop`.
pub(super) fn things(count: f64, noun: &str) -> String {
    let number = number(count);
    if number != "1" {
        return format!("{number} {noun}");
    }
    let end = [" with ", " by ", " of "]
        .iter()
        .find_map(|word| noun.find(word));
    let (what, of) = noun.split_at(end.unwrap_or(noun.len()));
    let one = match what.strip_suffix('s') {
        Some(one) if !one.ends_with(['s', 'u', 'i']) => one,
        _ => what,
    };
    format!("1 {one}{of}")
}

/// The first letter large.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => format!("{}{}", first.to_ascii_uppercase(), letters.as_str()),
        None => String::new(),
    }
}

/// A label's value, or several, in a sentence.
pub(super) fn name(labels: &[String]) -> String {
    let shown = labels.iter().map(|value| match value.as_str() {
        "" => "(none)".to_owned(),
        value => shortened(&clean(value)),
    });
    shown.collect::<Vec<_>>().join(",")
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_NAME) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
    }
}

/// Text as one word of a shell.
pub(super) fn shell(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=+,@%".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_not_more_exact_than_they_are() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (213.0, "213"),
            (1204.0, "1,204"),
            (1_234_567.0, "1,234,567"),
            (-1204.0, "-1,204"),
            (0.7123, "0.712"),
            (12.345, "12.3"),
            (f64::NAN, "?"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn one_is_singular_and_what_is_counted_has_a_name() {
        assert_eq!(noun("cdn_failure_beacons_total"), "failure beacons");
        assert_eq!(noun("beacontail_lines_total"), "lines");
        assert_eq!(
            noun("cdn_origin_request_duration_seconds"),
            "observations of origin request duration seconds"
        );
        assert_eq!(things(1.0, "failure beacons"), "1 failure beacon");
        assert_eq!(
            things(1.0, "failure beacons by pop"),
            "1 failure beacon by pop"
        );
        assert_eq!(things(1.0, "observations of a_s"), "1 observation of a_s");
        assert_eq!(things(1.0, "hits by class"), "1 hit by class");
        assert_eq!(things(1.0, "access"), "1 access");
        assert_eq!(things(0.0, "lines"), "0 lines");
    }

    #[test]
    fn shares_neither_hide_a_little_nor_what_is_missing() {
        for (part, text) in [
            (0.0, "0 %"),
            (0.5, "under 0.1 %"),
            (2.0, "0.2 %"),
            (999.0, "over 99 %"),
            (1000.0, "100 %"),
            (550.0, "55 %"),
        ] {
            assert_eq!(share(part, 1000.0), text);
        }
    }

    #[test]
    fn times_are_utc_and_have_a_date_when_it_is_another() {
        assert_eq!(time(1_795_356_120, 1_795_356_300), "14:02Z");
        assert_eq!(
            time(1_795_356_120, 1_795_356_120 + 86_400),
            "2026-11-22 14:02Z"
        );
        assert_eq!(rfc3339(1_795_356_120), "2026-11-22T14:02:00Z");
        assert_eq!(length(420), "7 min");
        assert_eq!(length(12_000), "3 h 20 min");
        assert_eq!(length(187_200), "2 d 4 h");
        assert_eq!(length(12), "12 s");
    }

    #[test]
    fn words_for_a_shell_stay_one_word() {
        assert_eq!(shell("/var/log/a.log"), "/var/log/a.log");
        assert_eq!(shell("a'b; rm"), r"'a'\''b; rm'");
        assert_eq!(shell(""), "''");
    }
}
