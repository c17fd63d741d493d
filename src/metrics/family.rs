//! Totals handed to an exposition: plain references, so that who keeps them need not know who shows
//! them.

use super::Metric;

/// A metric and the series of it that are to be shown.
#[derive(Clone, Debug)]
pub struct Family<'a> {
    /// Name, help, kind and label names.
    pub metric: &'a Metric,
    /// In any order; no two with the same labels.
    pub series: Vec<Sample<'a>>,
}

/// The total of one series.
#[derive(Clone, Debug)]
pub struct Sample<'a> {
    /// Values in the order of the metric's label names.
    pub labels: Vec<&'a str>,
    /// As the metric's [`Kind`](super::Kind) reads it. A gauge that never had a value is left out.
    pub cell: &'a [u64],
    /// When the series began to count, in Unix milliseconds.
    pub created_ms: i64,
}
