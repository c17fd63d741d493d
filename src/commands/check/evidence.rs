//! What was found: values of the window, of the time before, and all that says how good they are.
//!
//! Every source (the agent, a store file, Prometheus, Graphite) gives the same evidence, so there is
//! one way to judge it. Times are Unix seconds; minutes are named by their starts.

use std::collections::{BTreeMap, BTreeSet};

/// Values by minute.
pub(super) type Minutes = BTreeMap<i64, f64>;

/// Everything there is to judge by.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    /// Minutes that start before it are closed: all their lines were read. `None`: there never was
    /// a line.
    pub(super) closed: Option<i64>,
    /// One for each value of `by` that is declared or was counted; one without labels when `by` is
    /// empty.
    pub(super) series: Vec<Series>,
    /// What the lines of each minute were like; minutes that are not in it had none. `None` where
    /// the source cannot tell: there a minute has data when a series has a point in it, 0 included.
    pub(super) lines: Option<BTreeMap<i64, Lines>>,
    /// Starts of hours that are known to be incomplete; empty where the source cannot tell.
    pub(super) incomplete_hours: BTreeSet<i64>,
    /// Minutes before were not wholly seen.
    pub(super) complete_from: i64,
    /// Near misses of the subject, by minute; empty where there is no such metric.
    pub(super) near_misses: Minutes,
    /// Outputs and the minutes that wait for each.
    pub(super) queues: Vec<(String, u64)>,
    /// What else makes the data incomplete, a sentence each: an agent that is down, a log left out.
    pub(super) problems: Vec<String>,
    /// What is worth knowing and changes nothing: "no agent is running".
    pub(super) remarks: Vec<String>,
}

/// Values of one label set.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    /// Values of `by`; empty for the sum.
    pub(super) labels: Vec<String>,
    /// Of the subject. Minutes without a value counted 0, if they had data.
    pub(super) minutes: Minutes,
    /// Of the base of a ratio.
    pub(super) base: Minutes,
    /// Of the subject, by start of hour: whole hours, as far back as `judge::hours_back`, of minutes
    /// that are still kept as well as of those that expired. Hours without a value counted 0, from
    /// `complete_from` on.
    pub(super) hours: Minutes,
}

/// What the lines of a minute were like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) read: u64,
    pub(super) unparsed: u64,
    /// The agent published the minute as incomplete.
    pub(super) incomplete: bool,
}
