//! The agent's own counts: what became of every line, kept in the store like everything else.
//!
//! They are ordinary metrics behind those of the rules, so they are committed with the positions they
//! belong to, restored, shown and sent by the same code, and the identity *lines = parsed +
//! unparsed + skipped + rejected* holds at any scrape.

use std::collections::BTreeMap;

use crate::metrics::run::{Point, put_cell, write_series};
use crate::metrics::series::KeyBuilder;
use crate::metrics::{Decimal, Kind, Metric};
use crate::pipeline::Rejection;
use crate::store::MetricPlan;

/// One of the agent's own metrics; the value is its place behind those of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) enum Own {
    Lines,
    Incomplete,
    Rejected,
    Partial,
    Ambiguous,
    Late,
    Bytes,
    Gaps,
    GapBytes,
    Overflow,
    ValueErrors,
    Unsent,
}

impl Own {
    const ALL: [Own; 12] = [
        Own::Lines,
        Own::Incomplete,
        Own::Rejected,
        Own::Partial,
        Own::Ambiguous,
        Own::Late,
        Own::Bytes,
        Own::Gaps,
        Own::GapBytes,
        Own::Overflow,
        Own::ValueErrors,
        Own::Unsent,
    ];

    /// Under which name it is shown and stored.
    pub(in crate::commands) fn name(self) -> &'static str {
        match self {
            Own::Lines => "beacontail_lines_total",
            Own::Incomplete => "beacontail_incomplete",
            Own::Rejected => "beacontail_rejected_total",
            Own::Partial => "beacontail_partial_lines_total",
            Own::Ambiguous => "beacontail_ambiguous_lines_total",
            Own::Late => "beacontail_late_lines_total",
            Own::Bytes => "beacontail_log_bytes_total",
            Own::Gaps => "beacontail_gaps_total",
            Own::GapBytes => "beacontail_gap_bytes_total",
            Own::Overflow => "beacontail_overflow_total",
            Own::ValueErrors => "beacontail_value_errors_total",
            Own::Unsent => "beacontail_unsent_expired_total",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Own::Lines => "Lines by what became of them.",
            Own::Incomplete => "1 while the newest published minute of the log is incomplete.",
            Own::Rejected => "Lines that were read and not counted, by reason.",
            Own::Partial => "Parsed lines that only the lenient reading took.",
            Own::Ambiguous => "Parsed lines whose local time a clock change made ambiguous.",
            Own::Late => {
                "Lines of minutes that were already published; their values are corrected."
            }
            Own::Bytes => "Bytes of the lines read.",
            Own::Gaps => "Places where lines may have been lost unread, by reason.",
            Own::GapBytes => "Bytes known to have been lost unread, by reason.",
            Own::Overflow => "Records counted under `_other` because the metric is at its limit.",
            Own::ValueErrors => "Records whose value was no usable number.",
            Own::Unsent => "Windows that left the store before the output had taken them.",
        }
    }

    fn labels(self) -> &'static [&'static str] {
        match self {
            Own::Lines => &["log", "result"],
            Own::Rejected | Own::Gaps | Own::GapBytes => &["log", "reason"],
            Own::Overflow | Own::ValueErrors => &["metric"],
            Own::Unsent => &["output"],
            _ => &["log"],
        }
    }

    fn graphite(self) -> &'static [&'static str] {
        match self {
            // One path for all results: values that share a path are added.
            Own::Lines => &["beacontail.{log}.lines"],
            Own::Incomplete => &["beacontail.{log}.incomplete"],
            _ => &[],
        }
    }

    fn kind(self) -> Kind {
        match self {
            Own::Incomplete => Kind::Last,
            _ => Kind::Count,
        }
    }
}

/// Reasons why lines may have been lost; series of each exist from the start.
const GAP_REASONS: [&str; 7] = [
    "missing",
    "truncated",
    "log_shrunk",
    "torn",
    "damaged",
    "dropped",
    "unreadable",
];

/// Names that label values are declared from.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::commands) struct Names<'n> {
    pub(in crate::commands) logs: &'n [String],
    pub(in crate::commands) metrics: &'n [String],
    pub(in crate::commands) outputs: &'n [String],
}

/// Plans of the agent's own metrics, in the order of their numbers.
pub(in crate::commands) fn plans(names: &Names<'_>) -> Vec<MetricPlan> {
    Own::ALL.iter().map(|own| plan(*own, names)).collect()
}

fn plan(own: Own, names: &Names<'_>) -> MetricPlan {
    let declared = own.labels().iter().map(|label| {
        let fixed = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        Some(match (*label, own) {
            ("log", _) => names.logs.to_vec(),
            ("metric", _) => names.metrics.to_vec(),
            ("output", _) => names.outputs.to_vec(),
            ("result", _) => fixed(&["parsed", "unparsed", "skipped", "rejected"]),
            (_, Own::Rejected) => fixed(&Rejection::ALL.map(Rejection::name)),
            _ => fixed(&GAP_REASONS),
        })
    });
    let windows = !own.graphite().is_empty();
    let mut digest = [0; 32];
    // What these count is fixed with their names.
    digest
        .iter_mut()
        .zip(own.name().bytes())
        .for_each(|(to, from)| *to = from);
    MetricPlan {
        metric: Metric {
            name: own.name().to_owned(),
            help: own.help().to_owned(),
            kind: own.kind(),
            labels: own
                .labels()
                .iter()
                .map(|label| (*label).to_owned())
                .collect(),
            declared: declared.collect(),
            graphite: own
                .graphite()
                .iter()
                .map(|path| (*path).to_owned())
                .collect(),
            limit: 1000,
            label_limits: Vec::new(),
        },
        digest,
        windows,
        // `lines` is what tells a minute without lines from one without counts: no zeros for it.
        logs: Vec::new(),
    }
}

/// Increments of the agent's own metrics since the last commit.
#[derive(Debug, Default)]
pub(in crate::commands) struct OwnCounts {
    /// Number of the first own metric.
    first: usize,
    totals: BTreeMap<Vec<u8>, u64>,
    windows: BTreeMap<Vec<u8>, BTreeMap<i64, u64>>,
    key: KeyBuilder,
}

impl OwnCounts {
    /// Nothing counted; the rules have `first` metrics.
    pub(in crate::commands) fn new(first: usize) -> OwnCounts {
        OwnCounts {
            first,
            ..OwnCounts::default()
        }
    }

    /// The key of a series.
    pub(in crate::commands) fn key(&mut self, own: Own, labels: &[&str]) -> Vec<u8> {
        self.key.start(self.first + own as usize);
        for label in labels {
            self.key.label(label.as_bytes());
        }
        self.key.key().to_vec()
    }

    /// Adds to a total.
    pub(in crate::commands) fn add(&mut self, own: Own, labels: &[&str], n: u64) {
        if n > 0 {
            let key = self.key(own, labels);
            *self.totals.entry(key).or_default() += n;
        }
    }

    /// Adds to a minute, and with it to the total.
    pub(in crate::commands) fn add_at(&mut self, own: Own, labels: &[&str], minute: i64, n: u64) {
        if n > 0 {
            let key = self.key(own, labels);
            *self
                .windows
                .entry(key)
                .or_default()
                .entry(minute)
                .or_default() += n;
        }
    }

    /// True when nothing was counted.
    pub(in crate::commands) fn is_empty(&self) -> bool {
        self.totals.is_empty() && self.windows.is_empty()
    }

    /// Totals without minutes.
    pub(in crate::commands) fn totals(&self) -> Vec<(Vec<u8>, Vec<u64>)> {
        let totals = self.totals.iter();
        totals.map(|(key, n)| (key.clone(), vec![*n])).collect()
    }

    /// Counts by minute as a sorted run.
    pub(in crate::commands) fn run(&self) -> Vec<u8> {
        let mut run = Vec::new();
        for (key, minutes) in &self.windows {
            let cells: Vec<(i64, Vec<u8>)> = minutes
                .iter()
                .map(|(minute, n)| {
                    let mut cell = Vec::new();
                    put_cell(&mut cell, &[*n]);
                    (*minute, cell)
                })
                .collect();
            let mut points: Vec<Point<'_>> = cells
                .iter()
                .map(|(start, cell)| Point {
                    start: *start,
                    cell,
                })
                .collect();
            write_series(&mut run, key, &mut points, &Kind::Count)
                .expect("writing to memory does not fail");
        }
        run
    }

    /// Forgets all counts.
    pub(in crate::commands) fn clear(&mut self) {
        self.totals.clear();
        self.windows.clear();
    }
}

/// The cell of a gauge that is 0 or 1 for a minute. The newest minute makes the total, not the newest
/// publication: wall clocks jump.
pub(in crate::commands) fn flag_cell(on: bool, minute: i64) -> Vec<u64> {
    let [low, high] = Decimal::whole(u64::from(on)).words();
    vec![minute.cast_unsigned(), 0, low, high]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_metrics_are_numbered_as_they_are_planned() {
        let logs = ["access".to_owned()];
        let names = Names {
            logs: &logs,
            metrics: &[],
            outputs: &[],
        };
        let plans = plans(&names);
        for (number, own) in Own::ALL.iter().enumerate() {
            assert_eq!(*own as usize, number);
            assert_eq!(plans[number].metric.name, own.name());
            assert_eq!(plans[number].metric.declared.len(), own.labels().len());
        }
    }
}
