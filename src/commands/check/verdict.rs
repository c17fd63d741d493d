//! The verdict on a question: a state for each series and for the whole, and the reasons.

use crate::nagios::{Range, State};

/// What was decided.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    /// The worst of all, UNKNOWN where the data is not good enough.
    pub(super) state: State,
    /// Starts of the first and the last minute of the window; `None` where there is none.
    pub(super) window: Option<(i64, i64)>,
    /// Why the data is not good enough, worst first; empty when it is.
    pub(super) doubts: Vec<Doubt>,
    /// The window has not a line, whatever `--no-data` makes of it.
    pub(super) no_data: bool,
    /// Worst first; of equal states the larger count, then the labels.
    pub(super) judged: Vec<Judged>,
}

/// A reason not to rely upon the values, as a clause without a full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    pub(super) kind: DoubtKind,
    pub(super) text: String,
}

/// What is wrong with the data; worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DoubtKind {
    /// It ends too long ago to say anything of the present.
    Stale,
    /// Something is missing: counts are at least what they are.
    Incomplete,
    /// No line at all, which is not the same as lines that counted nothing.
    NoData,
}

/// One series judged.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judged {
    /// Values of `by`; empty for the sum.
    pub(super) labels: Vec<String>,
    pub(super) state: State,
    /// What was compared with the ranges: a count, a rate, percent, deviations.
    pub(super) value: f64,
    /// What the window counted.
    pub(super) count: f64,
    /// What the base of a ratio counted.
    pub(super) base: Option<f64>,
    /// What was to be expected by the past, for an anomaly: the past that differs least.
    pub(super) expected: Option<f64>,
    /// The newest minute, still open, was what raised the state; count and value are those of the
    /// window that ends with it.
    pub(super) by_open_minute: bool,
    /// The data is incomplete, and what was counted of it is already too much.
    pub(super) at_least: bool,
    /// Of a series that breaches: the first minute of the incident.
    pub(super) since: Option<i64>,
    /// The incident may be older than `since`: it reaches back to where the evidence begins.
    pub(super) since_or_before: bool,
    pub(super) warning: Option<Range>,
    pub(super) critical: Option<Range>,
    /// Why it is not judged though it has a value: too small a sample, too few minutes, too short
    /// a past.
    pub(super) spared: Option<String>,
}
