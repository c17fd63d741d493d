//! How far a window is from the metric's own past, in deviations.
//!
//! There are up to three pasts. *Recent*: windows of the same length in the hours before, less a gap, so
//! that a slow incident does not vouch for itself. *Days*: the same time of the seven days before.
//! *Weeks*: the same time of the same day in the five weeks before. Each gives a median and a spread
//! (MAD × 1.4826), and the window's distance from the one in units of the other. What counts is the
//! smallest of them, and nothing where they disagree about the side: a steep morning differs from the hours
//! before and not from yesterday's morning; a Saturday differs from Friday and not from its own
//! earlier hours. Either past alone would raise an alarm each day.
//!
//! Counts scatter like √n even where the past happened to be quiet, so the spread is at least 1 + √median: in
//! silence 1, so that three beacons are three deviations, six are six, and large counts follow √n.
//! (√n alone would make the second beacon after a silent night an incident; the Poisson tail of so
//! few is far longer than a normal one.) Days and weeks differ by more than chance; their spread is at
//! least 5 % of their median. Who has no days yet cannot know the day's curve: there it is half of the
//! median, which still finds what multiplies.

use super::evidence::{Evidence, Minutes};
use super::judge::window::{Window, float};
use super::question::Thresholds;

/// Hours before the window that it wants to see as roll-ups: five weeks.
pub(super) const HOURS_BACK: i64 = WEEKS * 7 * 24;

const WEEKS: i64 = 5;
const DAYS: i64 = 7;
const DAY: i64 = 24 * HOUR;
const HOUR: i64 = 3600;
/// Least minutes between the window and its recent past.
const GAP: i64 = 30;
/// Windows of the recent past: at least so many are needed to know a spread.
const LEAST_WINDOWS: usize = 8;
/// Days or weeks needed.
const LEAST_DAYS: usize = 2;
/// MAD of a normal distribution, as a standard deviation.
const MAD: f64 = 1.4826;
/// Least spread of days and weeks, as a share of their median.
const BETWEEN_DAYS: f64 = 0.05;
/// Least spread of a recent past that is all there is.
const WITHOUT_DAYS: f64 = 0.5;

/// Minutes before the window that `--anomaly` wants to see, by the window's length in minutes.
pub(super) fn minutes_back(window: u32) -> i64 {
    gap(window.into()) + recent(window.into())
}

/// Ranges for whoever gives none: both sides, since beacons have no other side to speak of, and
/// requests do.
pub(super) fn default_thresholds() -> (Thresholds, Thresholds) {
    let all = |text: &str| Thresholds {
        all: Some(text.parse().expect("a range as the guidelines have it")),
        some: Vec::new(),
    };
    (all("-6:6"), all("-10:10"))
}

fn gap(window: i64) -> i64 {
    GAP.max(window)
}

/// Six hours; twelve windows where they are longer, up to a day.
fn recent(window: i64) -> i64 {
    (window * 12).clamp(360, 1440)
}

/// The windows that a window is compared with, the same for all series.
pub(super) struct Past {
    /// Of the same length, newest first.
    recent: Vec<Window>,
    days: Vec<Window>,
    weeks: Vec<Window>,
}

/// How far a window is from what was to be expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Deviation {
    /// Deviations, negative where less was counted.
    pub(super) value: f64,
    /// The median of the past that differs least.
    pub(super) expected: f64,
}

impl Past {
    /// What of the past can be relied upon: wholly seen, not known to be incomplete.
    pub(super) fn of(evidence: &Evidence, window: Window) -> Past {
        let hours = |apart: i64, times: i64| {
            (1..=times)
                .map(|n| window.later(-n * apart))
                .filter(|past| hours_are_known(evidence, *past))
                .collect()
        };
        Past {
            recent: recent_windows(evidence, window),
            days: hours(DAY, DAYS),
            weeks: hours(7 * DAY, WEEKS),
        }
    }

    /// What of a series is usual by each past that is long enough to say.
    pub(super) fn usual(&self, minutes: &Minutes, hours: &Minutes) -> Vec<Usual> {
        let seasons = [&self.days, &self.weeks];
        let mut pasts: Vec<Usual> = seasons
            .iter()
            .filter_map(|windows| of_hours(windows, hours))
            .collect();
        if self.recent.len() >= LEAST_WINDOWS {
            let recent = Usual::of(sums(&self.recent, minutes));
            pasts.push(match pasts.is_empty() {
                true => recent.at_least(WITHOUT_DAYS),
                false => recent,
            });
        }
        pasts
    }
}

/// How far a count is from what is usual; `None` where nothing is.
pub(super) fn deviation(pasts: &[Usual], count: f64) -> Option<Deviation> {
    pasts
        .iter()
        .map(|usual| usual.deviation(count))
        .reduce(Deviation::milder)
}

/// Days or weeks; `None` if there are too few.
fn of_hours(windows: &[Window], hours: &Minutes) -> Option<Usual> {
    if windows.len() < LEAST_DAYS {
        return None;
    }
    let counts = windows.iter().map(|window| scaled(hours, *window));
    Some(Usual::of(counts.collect()).at_least(BETWEEN_DAYS))
}

/// A median and the spread around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usual {
    median: f64,
    spread: f64,
}

impl Usual {
    fn of(mut counts: Vec<f64>) -> Usual {
        let middle = median(&mut counts);
        for count in &mut counts {
            *count = (*count - middle).abs();
        }
        let spread = MAD * median(&mut counts);
        Usual {
            median: middle,
            spread: spread.max(1.0 + middle.max(0.0).sqrt()),
        }
    }

    /// The spread at least such a share of the median.
    fn at_least(self, share: f64) -> Usual {
        Usual {
            spread: self.spread.max(self.median * share),
            ..self
        }
    }

    fn deviation(self, count: f64) -> Deviation {
        Deviation {
            value: (count - self.median) / self.spread,
            expected: self.median,
        }
    }
}

impl Deviation {
    /// The smaller of both, and none when they are on different sides.
    fn milder(self, other: Deviation) -> Deviation {
        let less = if other.value.abs() < self.value.abs() {
            other
        } else {
            self
        };
        if self.value * other.value < 0.0 {
            Deviation { value: 0.0, ..less }
        } else {
            less
        }
    }
}

/// The middle one, or the mean of both; 0 of none.
fn median(counts: &mut [f64]) -> f64 {
    let half = counts.len() / 2;
    if counts.is_empty() {
        return 0.0;
    }
    let even = counts.len() % 2 == 0;
    let (below, middle, _) = counts.select_nth_unstable_by(half, f64::total_cmp);
    let middle = *middle;
    if even {
        let other = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        return f64::midpoint(other, middle);
    }
    middle
}

/// Windows before the gap, one beside the other, without those that were not wholly seen.
fn recent_windows(evidence: &Evidence, window: Window) -> Vec<Window> {
    let length = window.seconds();
    let newest = window.later(-length - gap(length / 60) * 60);
    let oldest = window.from - (gap(length / 60) + recent(length / 60)) * 60;
    let mut windows = Vec::new();
    let mut past = newest;
    while past.from >= oldest.max(evidence.complete_from) {
        windows.push(past);
        past = past.later(-length);
    }
    if let Some(lines) = &evidence.lines {
        let bad: Vec<i64> = lines
            .range(oldest..window.from)
            .filter(|(_, lines)| lines.incomplete)
            .map(|(minute, _)| *minute)
            .collect();
        windows.retain(|past| {
            !bad.iter()
                .any(|minute| (past.from..past.to).contains(minute))
        });
    }
    windows
}

/// What each window counted: one walk through the minutes, for windows that touch each other mostly.
fn sums(windows: &[Window], minutes: &Minutes) -> Vec<f64> {
    let (Some(newest), Some(oldest)) = (windows.first(), windows.last()) else {
        return Vec::new();
    };
    let mut sums = vec![0.0; windows.len()];
    let mut at = windows.len();
    for (minute, n) in minutes.range(oldest.from..newest.to) {
        while at > 0
            && windows
                .get(at - 1)
                .is_some_and(|window| window.from <= *minute)
        {
            at -= 1;
        }
        if let (Some(sum), Some(window)) = (sums.get_mut(at), windows.get(at))
            && *minute < window.to
        {
            *sum += n;
        }
    }
    sums
}

/// Whether all hours that a window touches were wholly seen, those between whose middles it lies
/// included.
fn hours_are_known(evidence: &Evidence, window: Window) -> bool {
    let (first, last) = around(window);
    if first < evidence.complete_from {
        return false;
    }
    evidence
        .incomplete_hours
        .range(first..=last)
        .next()
        .is_none()
}

/// The first and the last hour that say something of a window.
fn around(window: Window) -> (i64, i64) {
    if window.seconds() < HOUR {
        let hour = middle_before(window);
        return (hour, hour + HOUR);
    }
    (floor(window.from), floor(window.to - 1))
}

/// The hour whose middle is the last before the window's.
fn middle_before(window: Window) -> i64 {
    floor(i64::midpoint(window.from, window.to) - HOUR / 2)
}

fn floor(at: i64) -> i64 {
    at.div_euclid(HOUR) * HOUR
}

/// What a window is likely to have counted, from hours: those it covers, by the part that it
/// covers; a shorter one lies on the line between the middles of two hours, since within a morning
/// hour traffic may double.
fn scaled(hours: &Minutes, window: Window) -> f64 {
    let of = |hour: i64| hours.get(&hour).copied().unwrap_or(0.0);
    if window.seconds() < HOUR {
        let before = middle_before(window);
        let middle = i64::midpoint(window.from, window.to);
        let part = float(middle - before - HOUR / 2) / float(HOUR);
        let rate = of(before) * (1.0 - part) + of(before + HOUR) * part;
        return rate * float(window.seconds()) / float(HOUR);
    }
    let (first, last) = around(window);
    let mut sum = 0.0;
    let mut hour = first;
    while hour <= last {
        let covered = window.to.min(hour + HOUR) - window.from.max(hour);
        sum += of(hour) * float(covered) / float(HOUR);
        hour += HOUR;
    }
    sum
}
