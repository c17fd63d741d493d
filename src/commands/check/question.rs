//! What is asked: which metric, over which minutes, and what is too much.

use std::time::Duration;

use crate::cli::NoData;
use crate::nagios::Range;

/// A question, resolved from the command line.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// What is counted; A of a ratio.
    pub(super) subject: Selection,
    /// B of a ratio.
    pub(super) base: Option<Selection>,
    /// Labels whose values are judged one by one; none judges the sum.
    pub(super) by: Vec<String>,
    /// Minutes of the window.
    pub(super) window: u32,
    pub(super) measure: Measure,
    pub(super) warning: Thresholds,
    pub(super) critical: Thresholds,
    /// Least number of minutes with counts for an alarm.
    pub(super) min_minutes: u32,
    pub(super) limits: Limits,
}

/// A metric, or some of its series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) metric: String,
    /// Matchers as written, without braces; empty: all series.
    pub(super) matchers: String,
}

/// What is compared with the thresholds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Measure {
    /// What the window counted.
    Count,
    /// The same, a second.
    Rate,
    /// Percent of the base, Wilson's lower bound, from so many events on.
    Ratio { min_sample: u64 },
    /// Deviations from the metric's own past.
    Anomaly,
}

/// Ranges: one for all values, others for some.
#[derive(Clone, Debug, Default)]
pub(super) struct Thresholds {
    pub(super) all: Option<Range>,
    /// By the values of `by`, joined with commas.
    pub(super) some: Vec<(String, Range)>,
}

/// From where on data is not good enough.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Data that ends longer ago is stale.
    pub(super) lag: Duration,
    /// Percent of lines that no parser understood.
    pub(super) unparsed: f64,
    /// Near misses as percent of counts and near misses.
    pub(super) near_misses: f64,
    /// Minutes that wait for an output; 0: not looked at.
    pub(super) queue: u64,
    pub(super) no_data: NoData,
}

/// A question about all providers, with everything else as it is by default; an empty threshold is none.
#[cfg(test)]
pub(super) fn made(measure: Measure, window: u32, thresholds: (&str, &str)) -> Question {
    let range = |text: &str| Thresholds {
        all: (!text.is_empty()).then(|| text.parse().expect("a range")),
        some: Vec::new(),
    };
    Question {
        subject: Selection {
            metric: "beacons".to_owned(),
            matchers: String::new(),
        },
        base: None,
        by: vec!["provider".to_owned()],
        window,
        measure,
        warning: range(thresholds.0),
        critical: range(thresholds.1),
        min_minutes: 1,
        limits: Limits {
            lag: Duration::from_secs(300),
            unparsed: 5.0,
            near_misses: 50.0,
            queue: 15,
            no_data: NoData::Unknown,
        },
    }
}
