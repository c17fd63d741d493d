//! Times on the command line, steps of time, and times for people, all in `--timezone`.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Unit, Zoned, ZonedRound};

use crate::cli::Step;
use crate::config::duration;
use crate::diagnostic::{Diagnostic, Place};
use crate::pipeline::{TimeRange, Windows};

/// `UTC`, an IANA name, or an offset such as `+02:00`.
pub(super) fn zone(text: &str) -> TimeZone {
    let offset = || {
        let sample: Zoned = format!("2000-01-01T00:00:00{text}[{text}]").parse().ok()?;
        Some(sample.time_zone().clone())
    };
    TimeZone::get(text)
        .ok()
        .or_else(offset)
        .unwrap_or(TimeZone::UTC)
}

/// `--since` and `--until`: RFC 3339 with a zone, or a local date or time.
///
/// # Errors
/// What is not a time, and a range that holds nothing.
pub(super) fn range(
    since: Option<&str>,
    until: Option<&str>,
    zone: &TimeZone,
) -> Result<TimeRange, Vec<Diagnostic>> {
    let mut mistakes = Vec::new();
    let mut read = |flag: &str, text: Option<&str>, otherwise: i64| {
        text.map_or(Ok(otherwise), |text| moment(flag, text, zone))
            .unwrap_or_else(|mistake| {
                mistakes.push(mistake);
                otherwise
            })
    };
    let since = read("--since", since, i64::MIN);
    let until_seconds = read("--until", until, i64::MAX);
    let range = TimeRange::asked(since, until_seconds);
    if let (true, true, Some(until)) = (mistakes.is_empty(), range.until <= range.since, until) {
        let place = Place::argument("--until", until);
        mistakes.push(place.error("--until is not after --since", "nothing lies between"));
    }
    if mistakes.is_empty() {
        Ok(range)
    } else {
        Err(mistakes)
    }
}

fn moment(flag: &str, text: &str, zone: &TimeZone) -> Result<i64, Diagnostic> {
    let local = || {
        let local = text.parse::<DateTime>().ok()?;
        Some(local.to_zoned(zone.clone()).ok()?.timestamp())
    };
    let time = text.parse::<Timestamp>().ok().or_else(local);
    // Lines are compared by whole seconds: the first one that is not before the time.
    time.map(|time| time.as_second() + i64::from(time.subsec_nanosecond() > 0))
        .ok_or_else(|| {
            let error = Place::argument(flag, text)
                .error(format!("`{text}` is not a time"), "not understood");
            error.help("write 2013-10-31T07:06:00Z, or 2013-10-31T07:06 for a time in --timezone")
        })
}

/// A time as questions and marks take it: RFC 3339 with a zone, Unix seconds, or how long before `now`
/// it was, such as `-10m`.
pub(super) fn at_or_before(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Some(ago) = text.strip_prefix('-') {
        return now.checked_sub(duration(ago)?).ok();
    }
    let seconds = || Timestamp::from_second(text.parse().ok()?).ok();
    text.parse().ok().or_else(seconds)
}

/// Steps of a minute, or of an hour or a day of a zone.
#[derive(Clone, Debug)]
pub(super) struct Steps {
    step: Step,
    zone: TimeZone,
    /// Start and end of the step asked for last.
    last: (i64, i64),
}

impl Steps {
    pub(super) fn new(step: Step, zone: TimeZone) -> Steps {
        Steps {
            step,
            zone,
            last: (0, 0),
        }
    }

    /// Length of an ordinary step in seconds.
    pub(super) fn seconds(&self) -> i64 {
        match self.step {
            Step::Minute => 60,
            Step::Hour => 3600,
            Step::Day => 86400,
        }
    }

    /// End of the step that starts at `start`: a day has 23 to 25 hours.
    pub(super) fn end(&mut self, start: i64) -> i64 {
        self.start(start);
        self.last.1
    }

    fn find(&self, seconds: i64) -> (i64, i64) {
        let length = self.seconds();
        let plain = seconds.div_euclid(length) * length;
        if self.step == Step::Minute {
            return (plain, plain + length);
        }
        self.local(seconds).unwrap_or((plain, plain + length))
    }

    fn local(&self, seconds: i64) -> Option<(i64, i64)> {
        let time = Timestamp::from_second(seconds)
            .ok()?
            .to_zoned(self.zone.clone());
        if self.step == Step::Day {
            let start = time.start_of_day().ok()?;
            let next = start.checked_add(1.day()).ok()?.start_of_day().ok()?;
            return Some((start.timestamp().as_second(), next.timestamp().as_second()));
        }
        let start = hour_of(&time)?;
        // Where clocks change by half an hour, an hour has 30 to 90 minutes.
        let mut ends = (1..=3).filter_map(|hours| {
            let later = Timestamp::from_second(start + hours * 3600).ok()?;
            hour_of(&later.to_zoned(self.zone.clone()))
        });
        let end = ends.find(|&end| end > start).unwrap_or(start + 3600);
        Some((start, end))
    }
}

/// Start of the hour that the clock shows.
fn hour_of(time: &Zoned) -> Option<i64> {
    let hour = ZonedRound::new()
        .smallest(Unit::Hour)
        .mode(jiff::RoundMode::Floor);
    Some(time.round(hour).ok()?.timestamp().as_second())
}

impl Windows for Steps {
    #[inline]
    fn start(&mut self, seconds: i64) -> i64 {
        if seconds < self.last.0 || seconds >= self.last.1 {
            self.last = self.find(seconds);
        }
        self.last.0
    }
}

/// A time as short as the range shown allows.
pub(super) fn shown(seconds: i64, from: i64, to: i64, zone: &TimeZone) -> String {
    let Ok(timestamp) = Timestamp::from_second(seconds) else {
        return seconds.to_string();
    };
    let time = timestamp.to_zoned(zone.clone());
    let format = match to - from {
        0..=86_400 => "%H:%M",
        86_401..=31_536_000 => "%m-%d %H:%M",
        _ => "%Y-%m-%d %H:%M",
    };
    time.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::render;
    use proptest::prelude::*;

    fn seconds(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    fn start(step: Step, name: &str, at: &str) -> String {
        let mut steps = Steps::new(step, zone(name));
        Timestamp::from_second(steps.start(seconds(at)))
            .unwrap()
            .to_string()
    }

    fn day_length(name: &str, at: &str) -> i64 {
        let mut steps = Steps::new(Step::Day, zone(name));
        let start = steps.start(seconds(at));
        (steps.end(start) - start) / 3600
    }

    #[test]
    fn days_follow_the_clock_of_the_zone() {
        let berlin = "Europe/Berlin";
        assert_eq!(
            start(Step::Day, berlin, "2024-03-31T21:59:59Z"),
            "2024-03-30T23:00:00Z"
        );
        assert_eq!(
            start(Step::Day, berlin, "2024-03-31T22:00:00Z"),
            "2024-03-31T22:00:00Z"
        );
        assert_eq!(day_length(berlin, "2024-03-31T12:00:00Z"), 23);
        assert_eq!(day_length(berlin, "2024-10-27T12:00:00Z"), 25);
        assert_eq!(day_length(berlin, "2024-10-28T12:00:00Z"), 24);
        assert_eq!(day_length("UTC", "2024-03-31T12:00:00Z"), 24);
        assert_eq!(
            start(Step::Day, "UTC", "1969-12-31T23:59:59Z"),
            "1969-12-31T00:00:00Z"
        );
    }

    #[test]
    fn hours_begin_where_the_clock_shows_them() {
        assert_eq!(
            start(Step::Hour, "Asia/Kolkata", "2024-01-01T10:29:59Z"),
            "2024-01-01T09:30:00Z"
        );
        assert_eq!(
            start(Step::Hour, "Asia/Kolkata", "2024-01-01T10:30:00Z"),
            "2024-01-01T10:30:00Z"
        );
        assert_eq!(
            start(Step::Hour, "Asia/Kathmandu", "2024-01-01T10:20:00Z"),
            "2024-01-01T10:15:00Z"
        );
        assert_eq!(
            start(Step::Hour, "-03:30", "2024-01-01T10:20:00Z"),
            "2024-01-01T09:30:00Z"
        );
        assert_eq!(
            start(Step::Minute, "Asia/Kolkata", "2024-01-01T10:20:59Z"),
            "2024-01-01T10:20:00Z"
        );
        // The hour that is shown twice is two hours.
        assert_eq!(
            start(Step::Hour, "Europe/Berlin", "2024-10-27T00:30:00Z"),
            "2024-10-27T00:00:00Z"
        );
        assert_eq!(
            start(Step::Hour, "Europe/Berlin", "2024-10-27T01:30:00Z"),
            "2024-10-27T01:00:00Z"
        );
    }

    proptest! {
        #[test]
        fn a_step_does_not_depend_on_the_time_before(
            name in prop::sample::select(vec!["UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia", "America/St_Johns"]),
            step in prop::sample::select(vec![Step::Minute, Step::Hour, Step::Day]),
            around in prop::sample::select(vec!["2024-04-06T15:00:00Z", "2024-10-05T15:30:00Z", "2024-10-27T01:00:00Z", "2011-12-30T10:00:00Z"]),
            offsets in prop::collection::vec(-100_000i64..100_000, 1..20),
        ) {
            let zone = zone(name);
            let mut one = Steps::new(step, zone.clone());
            for offset in offsets {
                let at = seconds(around) + offset;
                let mut fresh = Steps::new(step, zone.clone());
                let start = one.start(at);
                prop_assert_eq!(start, fresh.start(at));
                prop_assert!(start <= at && at < one.end(start), "{start} {at}");
                prop_assert_eq!(fresh.start(start), start, "a step begins its own step");
            }
        }
    }

    #[test]
    fn times_are_read_with_a_zone_or_in_the_one_given() {
        let berlin = zone("Europe/Berlin");
        for (text, expected) in [
            ("2013-10-31T07:06:00Z", "2013-10-31T07:06:00Z"),
            ("2013-10-31T07:06:00+01:00", "2013-10-31T06:06:00Z"),
            ("2013-10-31T07:06", "2013-10-31T06:06:00Z"),
            ("2013-10-31 07:06:05", "2013-10-31T06:06:05Z"),
            ("2013-10-31", "2013-10-30T23:00:00Z"),
            ("2013-10-27T02:30", "2013-10-27T00:30:00Z"),
            ("2013-10-31T07:06:00.5Z", "2013-10-31T07:06:01Z"),
            ("2013-10-31T07:06:00.5", "2013-10-31T06:06:01Z"),
        ] {
            assert_eq!(
                moment("--since", text, &berlin).ok(),
                Some(seconds(expected)),
                "{text}"
            );
        }
        for text in [
            "",
            "now",
            "07:06",
            "2013-13-01",
            "1383203160",
            "31/Oct/2013",
        ] {
            let mistake = moment("--since", text, &berlin).unwrap_err();
            assert!(
                render(&[mistake], false).contains("is not a time"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_range_that_holds_nothing_is_refused() {
        let utc = zone("UTC");
        let one = "2013-10-31T07:06:00Z";
        assert!(range(Some(one), Some(one), &utc).is_err());
        assert!(
            range(Some("x"), Some("y"), &utc).unwrap_err().len() == 2,
            "both are shown"
        );
        let open = range(Some(one), None, &utc).unwrap();
        assert_eq!((open.since, open.until), (seconds(one), i64::MAX));
    }

    #[test]
    fn a_zone_is_the_same_for_lines_and_for_people() {
        for name in [
            "UTC",
            "Z",
            "+02:00",
            "+0200",
            "-03:30",
            "-0330",
            "Europe/Berlin",
        ] {
            let lines = crate::parse::Zone::named(name);
            assert!(lines.is_ok(), "{name}");
            let format = crate::parse::TimeFormat::compile("rfc3339").unwrap();
            let (local, _) = format
                .parse(b"2024-01-01T00:00:00", &lines.unwrap())
                .unwrap();
            let people = moment("--since", "2024-01-01T00:00:00", &zone(name)).ok();
            assert_eq!(Some(local.seconds), people, "{name}");
        }
    }
}
