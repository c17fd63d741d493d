//! Times on the command line, steps of time, and times for people, all in `--timezone`.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Unit, Zoned, ZonedRound};

use crate::cli::Step;
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
    let range = TimeRange {
        since: read("--since", since, i64::MIN),
        until: read("--until", until, i64::MAX),
    };
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
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp.as_second() + i64::from(timestamp.subsec_nanosecond() > 0));
    }
    let local = text
        .parse::<DateTime>()
        .ok()
        .and_then(|local| local.to_zoned(zone.clone()).ok());
    local
        .map(|local| local.timestamp().as_second())
        .ok_or_else(|| {
            let error = Place::argument(flag, text)
                .error(format!("`{text}` is not a time"), "not understood");
            error.help("write 2013-10-31T07:06:00Z, or 2013-10-31T07:06 for a time in --timezone")
        })
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
