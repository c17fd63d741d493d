//! The verdict on a question: a state for each series and for the whole, and the reasons.

use crate::nagios::{Range, State};

/// What was decided.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    /// The worst of all, UNKNOWN where the data is not good enough.
    pub(super) state: State,
    /// First and last minute of the window; `None` where there is none.
    pub(super) window: Option<(i64, i64)>,
    /// Why the data is not good enough, a sentence each, worst first; empty when it is.
    pub(super) doubts: Vec<String>,
    /// Worst first.
    pub(super) judged: Vec<Judged>,
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
    /// What was to be expected by the past, for an anomaly.
    pub(super) expected: Option<f64>,
    /// The newest minute, still open, was what raised the state.
    pub(super) by_open_minute: bool,
    /// Since when minutes have had counts without a longer pause: the incident's first minute.
    pub(super) since: Option<i64>,
    pub(super) warning: Option<Range>,
    pub(super) critical: Option<Range>,
    /// Why it is not judged though it has a value: too small a sample, too few minutes, too short
    /// a past.
    pub(super) spared: Option<String>,
}
