//! What a replay writes: the same counts as a table, JSON, CSV, Graphite lines or OpenMetrics.
//!
//! Each format is one file with one `write` function: values in, bytes out. A sink reads series from
//! a [`SeriesStream`] and writes as it reads; a year of minutes passes through without being held.
//! What is kept is bounded by the number of series, never by the number of points.
//!
//! Invariant: no sink changes a number. Values are exact decimals from the cell to the last digit
//! written; floating point is nowhere. Sinks open no file, read no clock and know nothing of log
//! formats or rules: everything they say comes from a [`Summary`] and a stream.
//!
//! [`carbon`] is the one that sends: it brings to a live Graphite, minute by minute, under the same
//! [`paths`], what the agent counts.

pub mod carbon;
pub mod csv;
pub mod graphite;
pub mod json;
pub mod openmetrics;
pub mod paths;
pub mod table;
mod text;
mod timeline;

#[cfg(test)]
mod made;

use std::io;

pub use table::TableOptions;

use crate::metrics::{Kind, Metric};

/// What there is to say about a replay beside its series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The inputs in the order in which they were named.
    pub inputs: Vec<InputSummary>,
    /// Start of the first window in Unix seconds; `None` when nothing was counted.
    pub from: Option<i64>,
    /// End of the last window in Unix seconds; `None` when nothing was counted.
    pub to: Option<i64>,
    /// Length of a window in seconds: 60, 3600 or 86400.
    pub step: i64,
    /// An input could not be read to its end and the counts were wanted nevertheless.
    pub partial: bool,
    /// Sentences for the user that belong to no input. The table shows them first; who calls
    /// another sink prints them elsewhere.
    pub notices: Vec<String>,
    /// Metric name, and how many of its records had an unusable value.
    pub value_errors: Vec<(String, u64)>,
    /// Lines in the repeated hour of a clock change, counted as its first occurrence.
    pub ambiguous_times: u64,
    /// Name of the zone in which people are shown times.
    pub zone: String,
}

/// How the reading of one input went.
///
/// `lines` = `parsed` + `unparsed` + `skipped` + the numbers of `rejected`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputSummary {
    /// As the user named it; bytes that are not UTF-8 replaced.
    pub path: String,
    /// Name of the parser; `None` when none was found or the input was not read.
    pub parser: Option<String>,
    /// How the parser was found; `None` when the user named it.
    pub detected: Option<Detected>,
    /// `plain`, `gzip`, …
    pub compression: String,
    /// Size in bytes, decompressed.
    pub bytes: u64,
    /// Lines in all.
    pub lines: u64,
    /// Lines that became records.
    pub parsed: u64,
    /// Lines that the format does not read.
    pub unparsed: u64,
    /// Lines passed over because no wanted rule could match them.
    pub skipped: u64,
    /// Lines of `parsed` that were read leniently.
    pub partial_lines: u64,
    /// Reason, and how many lines were rejected for it.
    pub rejected: Vec<(&'static str, u64)>,
    /// The input with the same content that was counted instead.
    pub duplicate_of: Option<String>,
    /// Why reading stopped before the end.
    pub error: Option<String>,
    /// A few unparsed lines.
    pub samples: Vec<Sample>,
}

/// How well the detected parser fits the first lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detected {
    /// Thousandths of the lines that it reads.
    pub share_permille: u32,
    /// Lines tried.
    pub lines: u64,
}

/// An unparsed line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Byte offset of the line in the decompressed input.
    pub offset: u64,
    /// The line, or its beginning when it is long; as it stands in the log but for masked addresses.
    pub line_start: Vec<u8>,
    /// What the format expected.
    pub reason: String,
    /// Where in the line, in bytes; may lie beyond `line_start`.
    pub at: usize,
}

/// One series of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series<'m> {
    /// What is counted.
    pub metric: &'m Metric,
    /// Label values in the order of [`Metric::labels`].
    pub labels: Vec<String>,
}

/// Series grouped by metric and sorted by labels, each with its points in time order.
pub trait SeriesStream {
    /// The next series; points of the one before that were not read are passed over. `None` at
    /// the end.
    ///
    /// # Errors
    /// Those of reading what was spilled to disk.
    fn next_series(&mut self) -> io::Result<Option<Series<'_>>>;

    /// Replaces `cell` by the cell of the next window in which something was counted and returns
    /// the window's start in Unix seconds. `None` after the last point of the series.
    ///
    /// # Errors
    /// Those of reading what was spilled to disk.
    fn next_point(&mut self, cell: &mut Vec<u64>) -> io::Result<Option<i64>>;
}

/// The series being written. Owned, because a stream lends a series only until its next call.
#[derive(Debug)]
struct Current {
    metric: Metric,
    labels: Vec<String>,
    /// No series of this metric came before.
    first: bool,
}

impl Current {
    /// Moves to the next series; the description of the metric is copied only when it changes.
    fn next(stream: &mut dyn SeriesStream, before: Option<Current>) -> io::Result<Option<Current>> {
        let Some(series) = stream.next_series()? else {
            return Ok(None);
        };
        let same = before.filter(|before| before.metric.name == series.metric.name);
        let first = same.is_none();
        let labels = series.labels;
        let metric = same.map_or_else(|| series.metric.clone(), |before| before.metric);
        Ok(Some(Current {
            metric,
            labels,
            first,
        }))
    }

    /// The next point, its cell as wide as the metric's kind says.
    fn point(&self, stream: &mut dyn SeriesStream, cell: &mut Vec<u64>) -> io::Result<Option<i64>> {
        cell.clear();
        let start = stream.next_point(cell)?;
        cell.resize(self.metric.kind.width(), 0);
        Ok(start)
    }

    fn empty_cell(&self) -> Vec<u64> {
        vec![0; self.metric.kind.width()]
    }

    /// Label names with their values.
    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let values = self.labels.iter().map(String::as_str);
        self.metric.labels.iter().map(String::as_str).zip(values)
    }
}

/// `counter`, `gauge` or `histogram`.
fn type_name(kind: &Kind) -> &'static str {
    use crate::metrics::MetricType;
    match kind.metric_type() {
        MetricType::Counter => "counter",
        MetricType::Gauge => "gauge",
        MetricType::Histogram => "histogram",
    }
}
