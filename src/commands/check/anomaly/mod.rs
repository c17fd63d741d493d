//! How far a window is from the metric's own past, in deviations.
//!
//! There are up to three pasts. *Recent*: windows of the same length in the six hours before, less a
//! gap, so that a slow incident does not vouch for itself, and carried along the curve of the days before to
//! the window's time of day. *Days*: the same time of the seven days before. *Weeks*: the same time
//! of the same day in the five weeks before. Each gives a median and a spread (MAD × 1.4826), and the
//! window's distance from the one in units of the other. What counts is the smallest of them, and nothing
//! where they disagree about the side: a Saturday differs from the days before and not from its own earlier
//! hours; a morning the other way round. Either alone would raise an alarm every week. The price: what
//! lasts for hours becomes its own past, and its alarm ends after half of them and the gap.
//!
//! The spread has floors. Counts scatter like √n even where the past happened to be quiet, so it is at least
//! 1 + √median: in silence 1, so that three beacons are three deviations and no alarm, and seven are one. (√n
//! alone would make the second beacon of a quiet night an incident; the Poisson tail of so few is far
//! longer than a normal one.) Levels differ by 8 % for no reason, so it is at least that share of the
//! median: with six deviations, half more is the least that is unusual. Who has no days yet cannot know
//! the day's curve: there it is half of the median, which still finds what multiplies.
//!
//! Below the median distance is logarithmic, since nothing counts less than 0: a third is as far as
//! levels differ, not two thirds of the way to a silence that could not be far enough.
//!
//! Hours and days are those of UTC: for some days after the clocks change, the curve is an hour off.

#[cfg(test)]
mod measured;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod traffic;

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
/// Least spread, as a share of the median.
const LEVEL: f64 = 0.08;
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
    /// The one that is judged.
    window: Window,
    /// Of the same length, newest first.
    recent: Vec<Window>,
    /// Seconds back to the same time of earlier days.
    days: Vec<i64>,
    /// Seconds back to the same time of earlier weeks.
    weeks: Vec<i64>,
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
        let recent = recent_windows(evidence, window);
        // The days' curve is wanted for the recent windows, too.
        let all = Window {
            from: recent.last().map_or(window.from, |oldest| oldest.from),
            to: window.to,
        };
        let known = |back: i64, of: Window| hours_are_known(evidence, of.later(-back));
        let days = (1..=DAYS).map(|n| n * DAY).filter(|back| known(*back, all));
        let weeks = (1..=WEEKS)
            .map(|n| n * 7 * DAY)
            .filter(|back| known(*back, window));
        Past {
            window,
            days: days.collect(),
            weeks: weeks.collect(),
            recent,
        }
    }

    /// What of a series is usual by each past that is long enough to say.
    pub(super) fn usual(&self, minutes: &Minutes, hours: &Minutes) -> Vec<Usual> {
        let seasons = [&self.days, &self.weeks];
        let mut pasts: Vec<Usual> = seasons
            .iter()
            .filter(|backs| backs.len() >= LEAST_DAYS)
            .map(|backs| {
                let counts = backs
                    .iter()
                    .map(|back| scaled(hours, self.window.later(-back)));
                Usual::of(counts.collect(), LEVEL)
            })
            .collect();
        if self.recent.len() >= LEAST_WINDOWS {
            let mut counts = sums(&self.recent, minutes);
            let with_days = self.days.len() >= LEAST_DAYS;
            if with_days {
                self.carry(&mut counts, hours);
            }
            pasts.push(Usual::of(
                counts,
                if with_days { LEVEL } else { WITHOUT_DAYS },
            ));
        }
        pasts
    }

    /// Carries counts of the recent windows along the curve of the days before, to the time of day of
    /// the window that is judged: 100 at six, when at seven it is usually half more, are 150.
    fn carry(&self, counts: &mut [f64], hours: &Minutes) {
        let curve = self.curve(hours);
        let now = scaled(&curve, self.window);
        for (count, window) in counts.iter_mut().zip(&self.recent) {
            let then = scaled(&curve, *window);
            // Where next to nothing is usual the curve is noise, and changes nothing.
            let few = 1.0 + now.max(then).sqrt();
            *count = (*count + few) * (now + few) / (then + few) - few;
        }
    }

    /// The median of the days before, by hour of the recent windows and the one that is judged.
    fn curve(&self, hours: &Minutes) -> Minutes {
        let oldest = self.recent.last().unwrap_or(&self.window);
        let (mut hour, last) = (around(*oldest).0, around(self.window).1);
        let mut curve = Minutes::new();
        while hour <= last {
            let of = |back: &i64| hours.get(&(hour - back)).copied().unwrap_or(0.0);
            let mut counts: Vec<f64> = self.days.iter().map(of).collect();
            curve.insert(hour, median(&mut counts));
            hour += HOUR;
        }
        curve
    }
}

/// How far a count is from what is usual; `None` where nothing is.
pub(super) fn deviation(pasts: &[Usual], count: f64) -> Option<Deviation> {
    pasts
        .iter()
        .map(|usual| usual.deviation(count))
        .reduce(Deviation::milder)
}

/// A median and the spread around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usual {
    median: f64,
    spread: f64,
}

impl Usual {
    /// Of counts; the spread is at least such a share of the median.
    fn of(mut counts: Vec<f64>, share: f64) -> Usual {
        let middle = median(&mut counts).max(0.0);
        for count in &mut counts {
            *count = (*count - middle).abs();
        }
        let spread = MAD * median(&mut counts);
        Usual {
            median: middle,
            spread: spread.max(1.0 + middle.sqrt()).max(middle * share),
        }
    }

    fn deviation(self, count: f64) -> Deviation {
        let distance = if count < self.median {
            let few = 1.0 + self.median.sqrt();
            self.median * ((count + few) / (self.median + few)).ln()
        } else {
            count - self.median
        };
        Deviation {
            value: distance / self.spread,
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
    let even = counts.len().is_multiple_of(2);
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
