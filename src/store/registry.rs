//! The committed totals, for whoever shows them.
//!
//! The store keeps a registry of its own and works on it while a transaction is open. What others
//! see is a copy that changes only by [`Registry::apply`], which the caller calls after the commit
//! succeeded: nothing that could be taken back is ever shown.

use std::collections::BTreeMap;

use crate::metrics::Metric;

/// The number of a series in [`Registry::series`]; stays the same until the next `register`.
pub type SeriesRef = usize;

/// A metric of the plan.
#[derive(Clone, Debug)]
pub struct RegisteredMetric {
    /// As planned.
    pub metric: Metric,
    /// When this definition was registered first, Unix milliseconds.
    pub created_ms: i64,
    /// Keeps minute windows.
    pub windows: bool,
    /// Its series, sorted by label values.
    pub(super) order: BTreeMap<Vec<String>, SeriesRef>,
}

/// One series and its total.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredSeries {
    /// Number of the metric in the plan.
    pub metric: usize,
    /// Label values in the order of the metric's labels.
    pub labels: Vec<String>,
    /// The total, a cell of the metric's kind.
    pub cell: Vec<u64>,
    /// When the series was counted first, Unix milliseconds.
    pub created_ms: i64,
    /// When it last changed, Unix milliseconds.
    pub changed_ms: i64,
    /// All its label values are declared: it never leaves.
    pub declared: bool,
}

impl RegisteredSeries {
    /// True when nothing was counted for longer than `retention_ms`, and it is not a declared one.
    pub(super) fn is_silent(&self, now_ms: i64, retention_ms: i64) -> bool {
        !self.declared && now_ms.saturating_sub(self.changed_ms) > retention_ms
    }
}

/// All metrics of the plan and their series.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    /// By number in the plan.
    pub metrics: Vec<RegisteredMetric>,
    /// By [`SeriesRef`].
    pub series: Vec<RegisteredSeries>,
    /// What registering changed, one sentence each.
    pub changes: Vec<String>,
    pub(super) retention_ms: i64,
}

/// What one commit changed.
#[derive(Clone, Debug, Default)]
pub struct Delta {
    /// Series that did not exist; their numbers follow those there are.
    pub new: Vec<RegisteredSeries>,
    /// New totals, with the time of the change.
    pub changed: Vec<(SeriesRef, Vec<u64>, i64)>,
}

impl Registry {
    /// Takes over what a commit changed. Deltas must come in the order of their commits, and
    /// belong to the registration that made this registry.
    pub fn apply(&mut self, delta: Delta) {
        for series in delta.new {
            self.push(series);
        }
        for (series, cell, changed_ms) in delta.changed {
            if let Some(known) = self.series.get_mut(series) {
                known.cell = cell;
                known.changed_ms = changed_ms;
            }
        }
    }

    /// Appends a series and gives its number.
    pub(super) fn push(&mut self, series: RegisteredSeries) -> SeriesRef {
        let number = self.series.len();
        if let Some(metric) = self.metrics.get_mut(series.metric) {
            metric.order.insert(series.labels.clone(), number);
        }
        self.series.push(series);
        number
    }

    /// Metrics by name, each with those of its series that are shown at `now_ms`, by label values.
    /// Silent series are left out.
    pub fn families(&self, now_ms: i64) -> Vec<(&RegisteredMetric, Vec<&RegisteredSeries>)> {
        let mut families: Vec<_> = self
            .metrics
            .iter()
            .map(|metric| (metric, self.shown(metric, now_ms).collect()))
            .collect();
        families.sort_by(|(a, _), (b, _)| a.metric.name.cmp(&b.metric.name));
        families
    }

    /// The series of one metric that are shown at `now_ms`, by label values.
    pub fn shown<'r>(
        &'r self,
        metric: &'r RegisteredMetric,
        now_ms: i64,
    ) -> impl Iterator<Item = &'r RegisteredSeries> {
        metric
            .order
            .values()
            .filter_map(|&series| self.series.get(series))
            .filter(move |series| !series.is_silent(now_ms, self.retention_ms))
    }

    /// The number of a series; `None` when it does not exist.
    pub fn find(&self, metric: usize, labels: &[String]) -> Option<SeriesRef> {
        self.metrics.get(metric)?.order.get(labels).copied()
    }
}
