//! From a question and the evidence to a verdict: pure, and the only place where a state is decided.
//!
//! Invariant: never a lie. Stale data is UNKNOWN, whatever it counted. Incomplete data is a lower bound:
//! what is too much already stays too much, said as "at least", and everything else is UNKNOWN. No
//! doubt ever makes OK out of anything. The open minute may prove too much, and nothing else.

mod doubts;
mod since;
pub(super) mod window;

#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use self::since::Side;
use self::window::{Window, float};
use super::anomaly::{self, Past, Usual};
use super::evidence::{Evidence, Series};
use super::question::{Measure, Question, Thresholds};
use super::ratio;
use super::verdict::{Doubt, DoubtKind, Judged, Verdict};
use super::words;
use crate::cli::NoData;
use crate::nagios::{Range, State};

/// Share of the window's largest minute that another must have to bear it out.
const TELLING: f64 = 0.25;
/// Minutes before the window, for finding out since when.
const SINCE_BACK: i64 = 6 * 60;

/// How many minutes of evidence are wanted before the window.
pub(super) fn minutes_back(question: &Question) -> i64 {
    match question.measure {
        Measure::Anomaly => anomaly::minutes_back(question.window).max(SINCE_BACK),
        _ => SINCE_BACK,
    }
}

/// How many hours of roll-ups are wanted before the window: whole hours, of minutes that are still
/// kept as well as of those that expired. 0: none.
pub(super) fn hours_back(question: &Question) -> i64 {
    match question.measure {
        Measure::Anomaly => anomaly::HOURS_BACK,
        _ => 0,
    }
}

/// Judges; `now` in Unix seconds.
pub(super) fn judge(question: &Question, evidence: &Evidence, now: i64) -> Verdict {
    let closed = evidence.closed.unwrap_or(now).div_euclid(60) * 60;
    let window = Window::ending(closed, question.window);
    let mut doubts = doubts::doubts(question, evidence, window, now);
    let no_data = doubts.iter().any(|doubt| doubt.kind == DoubtKind::NoData);
    if question.limits.no_data == NoData::Ok {
        doubts.retain(|doubt| doubt.kind != DoubtKind::NoData);
    }
    let defaults;
    let (mut warning, mut critical) = (&question.warning, &question.critical);
    if question.measure == Measure::Anomaly && warning.is_empty() && critical.is_empty() {
        defaults = anomaly::default_thresholds();
        (warning, critical) = (&defaults.0, &defaults.1);
    }
    let case = Case {
        question,
        evidence,
        warning,
        critical,
        window,
        past: (question.measure == Measure::Anomaly).then(|| Past::of(evidence, window)),
        trust: Trust::of(&doubts),
    };
    let mut judged: Vec<Judged> = evidence.series.iter().map(|s| case.judge(s)).collect();
    judged.extend(case.absent().iter().map(|s| case.judge(s)));
    judged.sort_by(by_urgency);
    doubts.extend(case.nothing(&judged));
    Verdict {
        state: overall(&judged, &doubts, question.limits.no_data),
        window: evidence.closed.map(|_| (window.from, window.to - 60)),
        doubts,
        no_data,
        judged,
    }
}

/// The state of all.
fn overall(judged: &[Judged], doubts: &[Doubt], no_data: NoData) -> State {
    let none = match doubts.first().map(|doubt| doubt.kind) {
        None => State::Ok,
        Some(DoubtKind::Stale) => return State::Unknown,
        // Only when nothing else is wrong: an agent that is down has no lines either.
        Some(DoubtKind::NoData) if no_data == NoData::Critical => return State::Critical,
        Some(DoubtKind::Incomplete | DoubtKind::NoData) => State::Unknown,
    };
    judged
        .iter()
        .fold(none, |worst, judged| worst.worst(judged.state))
}

/// Severity, then size, then labels.
fn by_urgency(a: &Judged, b: &Judged) -> Ordering {
    let urgency = |judged: &Judged| judged.state.severity();
    let size = |judged: &Judged| match judged.expected {
        Some(_) => judged.value.abs(),
        None => judged.count,
    };
    urgency(b)
        .cmp(&urgency(a))
        .then_with(|| size(b).total_cmp(&size(a)))
        .then_with(|| a.labels.cmp(&b.labels))
}

/// What the values may be taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// The truth.
    Whole,
    /// Not more than the truth.
    LowerBound,
    /// Nothing.
    Nothing,
}

impl Trust {
    fn of(doubts: &[Doubt]) -> Trust {
        match doubts.first().map(|doubt| doubt.kind) {
            None => Trust::Whole,
            Some(DoubtKind::Stale) => Trust::Nothing,
            Some(DoubtKind::Incomplete | DoubtKind::NoData) => Trust::LowerBound,
        }
    }
}

/// The question and all that is the same for each series.
struct Case<'a> {
    question: &'a Question,
    evidence: &'a Evidence,
    warning: &'a Thresholds,
    critical: &'a Thresholds,
    window: Window,
    past: Option<Past>,
    trust: Trust,
}

/// One series in one window.
#[derive(Clone, Debug)]
struct Measured {
    window: Window,
    count: f64,
    base: Option<f64>,
    /// The value is known to be between these; the same but for ratios.
    low: f64,
    high: f64,
    expected: Option<f64>,
    /// Minutes with counts.
    minutes: u32,
    /// Why there is nothing to compare, and what that makes of the series.
    spared: Option<(State, String)>,
}

/// Ranges that hold for one series.
struct Ranges<'a> {
    warning: Option<&'a Range>,
    critical: Option<&'a Range>,
}

impl Case<'_> {
    /// Series that a threshold names and nobody counted, and the sum of nothing.
    fn absent(&self) -> Vec<Series> {
        let series = &self.evidence.series;
        let by = self.question.by.len();
        let mut absent: Vec<Series> = Vec::new();
        let thresholds = self.warning.some.iter().chain(&self.critical.some);
        let named = thresholds.map(|(values, _)| labels_of(values, by));
        for labels in named.chain((by == 0).then(Vec::new)) {
            if labels.len() == by && !series.iter().chain(&absent).any(|s| s.labels == labels) {
                absent.push(Series {
                    labels,
                    ..Series::default()
                });
            }
        }
        absent
    }

    /// Nothing was there to be judged, and of nothing the ranges would say that it is too little.
    fn nothing(&self, judged: &[Judged]) -> Option<Doubt> {
        let ranges = [&self.warning.all, &self.critical.all];
        let too_little = ranges
            .into_iter()
            .flatten()
            .any(|range| range.is_breached(0.0));
        (judged.is_empty() && too_little).then(|| Doubt {
            kind: DoubtKind::NoData,
            text: format!(
                "no data: no value of {} was counted, so that nobody can say which is missing (name them: -c VALUE=RANGE)",
                self.question.by.join(",")
            ),
        })
    }

    fn judge(&self, series: &Series) -> Judged {
        let ranges = Ranges {
            warning: self.warning.of(&series.labels),
            critical: self.critical.of(&series.labels),
        };
        let pasts = self.past.as_ref();
        let usual = pasts.map_or_else(Vec::new, |p| p.usual(&series.minutes, &series.hours));
        let closed = self.measure(series, &usual, self.window);
        let (mut state, mut spared) = self.state(&closed, &ranges, self.trust == Trust::Whole);
        let mut measured = closed;
        let mut by_open_minute = false;
        if let Some(open) = self.open_window() {
            let open = self.measure(series, &usual, open);
            let (with_open, open_spared) = self.state(&open, &ranges, false);
            if with_open != State::Unknown && with_open.severity() > state.severity() {
                (state, spared, measured) = (with_open, open_spared, open);
                by_open_minute = true;
            }
        }
        let breached = matches!(state, State::Warning | State::Critical);
        let (state, at_least) = match self.trust {
            Trust::Whole => (state, false),
            Trust::LowerBound if breached => (state, true),
            Trust::LowerBound | Trust::Nothing => (State::Unknown, false),
        };
        let value = value(&measured, &ranges);
        let since = matches!(state, State::Warning | State::Critical)
            .then(|| self.since(series, &measured, &ranges));
        Judged {
            labels: series.labels.clone(),
            state,
            value,
            count: measured.count,
            base: measured.base,
            expected: measured.expected,
            by_open_minute,
            at_least,
            since: since.map(|(since, _)| since),
            since_or_before: since.is_some_and(|(_, or_before)| or_before),
            warning: ranges.warning.cloned(),
            critical: ranges.critical.cloned(),
            spared,
        }
    }

    /// The newest closed minutes but one, and the open one. Ratios have none: the two logs of a
    /// minute under way are read at different times.
    fn open_window(&self) -> Option<Window> {
        let ratio = matches!(self.question.measure, Measure::Ratio { .. });
        (!ratio && self.evidence.closed.is_some()).then(|| self.window.later(60))
    }

    fn measure(&self, series: &Series, usual: &[Usual], window: Window) -> Measured {
        let count = window.sum(&series.minutes);
        let mut measured = Measured {
            window,
            count,
            base: None,
            low: count,
            high: count,
            expected: None,
            minutes: 0,
            spared: None,
        };
        match self.question.measure {
            Measure::Count => {}
            Measure::Rate => {
                measured.low = count / float(window.seconds());
                measured.high = measured.low;
            }
            Measure::Ratio { min_sample } => measured.compare(series, min_sample),
            Measure::Anomaly => measured.deviate(usual),
        }
        measured.minutes = measured.minutes_with_counts(series);
        measured
    }

    /// The state and why it is not worse, if something was spared. Unless `both_sides`, only what is
    /// above a range counts, and would if there were more.
    fn state(
        &self,
        measured: &Measured,
        ranges: &Ranges<'_>,
        both_sides: bool,
    ) -> (State, Option<String>) {
        if let Some((state, text)) = &measured.spared {
            return (*state, Some(text.clone()));
        }
        let enough = measured.minutes >= self.question.min_minutes;
        let mut spared = false;
        for (range, state) in [
            (ranges.critical, State::Critical),
            (ranges.warning, State::Warning),
        ] {
            let Some(range) = range else { continue };
            if range.is_breached_from(measured.low) {
                if enough {
                    return (state, None);
                }
                spared = true;
            } else if both_sides && range.is_breached_between(measured.low, measured.high) {
                return (state, None);
            }
        }
        let spared = spared.then(|| {
            let (is, least) = (measured.minutes, self.question.min_minutes);
            format!("only {is} min with counts, {least} are wanted")
        });
        (State::Ok, spared)
    }

    fn since(&self, series: &Series, measured: &Measured, ranges: &Ranges<'_>) -> (i64, bool) {
        let side = if ranges.breached_below(measured) {
            Side::Below
        } else {
            Side::Above
        };
        let (minutes, window) = (&series.minutes, measured.window);
        since::since(self.evidence, minutes, window, side, measured.expected)
    }
}

impl Measured {
    fn compare(&mut self, series: &Series, min_sample: u64) {
        let base = self.window.sum(&series.base);
        let share = ratio::share(self.count, base);
        self.base = Some(base);
        (self.low, self.high) = (share.low, share.high);
        #[expect(clippy::cast_precision_loss, reason = "a number that a person chose")]
        let least = (min_sample as f64).max(1.0);
        if share.sample < least {
            let events = words::things(share.sample, "events");
            let text = format!("only {events}, {least} are wanted");
            self.spared = Some((State::Ok, text));
        }
    }

    fn deviate(&mut self, usual: &[Usual]) {
        let Some(deviation) = anomaly::deviation(usual, self.count) else {
            (self.low, self.high) = (0.0, 0.0);
            let text = "its past is too short to tell what is usual".to_owned();
            self.spared = Some((State::Unknown, text));
            return;
        };
        (self.low, self.high) = (deviation.value, deviation.value);
        self.expected = Some(deviation.expected);
    }

    /// Minutes that counted something. Where a past says what is usual, the few that any minute may
    /// have are nothing, and so is what is negligible beside the largest: a scanner's two minutes do
    /// not become three by a visitor.
    fn minutes_with_counts(&self, series: &Series) -> u32 {
        let counts = || series.minutes.range(self.window.from..self.window.to);
        let level = self.expected.map_or(0.0, |expected| {
            let usual = expected * 60.0 / float(self.window.seconds());
            let largest = counts().fold(0.0, |largest: f64, (_, n)| largest.max(*n));
            since::above(usual).max(largest * TELLING)
        });
        let with = counts().filter(|(_, n)| **n > 0.0 && **n >= level).count();
        u32::try_from(with).unwrap_or(u32::MAX)
    }
}

impl Ranges<'_> {
    /// Whether the value is beyond the start of a range.
    fn breached_below(&self, measured: &Measured) -> bool {
        [self.critical, self.warning]
            .into_iter()
            .flatten()
            .any(|range| !range.inside && range.start.is_some_and(|start| measured.high < start))
    }
}

impl Thresholds {
    fn is_empty(&self) -> bool {
        self.all.is_none() && self.some.is_empty()
    }

    /// The range for these label values.
    fn of(&self, labels: &[String]) -> Option<&Range> {
        let own = self
            .some
            .iter()
            .find(|(values, _)| labels_of(values, labels.len()) == labels);
        own.map(|(_, range)| range).or(self.all.as_ref())
    }
}

/// What is shown as compared: the bound that decided.
fn value(measured: &Measured, ranges: &Ranges<'_>) -> f64 {
    if ranges.breached_below(measured) {
        measured.high
    } else {
        measured.low
    }
}

/// Values of so many labels; those of one may hold commas.
fn labels_of(values: &str, by: usize) -> Vec<String> {
    match by {
        0 | 1 => vec![values.to_owned()],
        _ => values.split(',').map(str::to_owned).collect(),
    }
}
