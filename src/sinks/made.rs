//! Streams made by hand, for the tests of all sinks.
//!
//! Does not check that series and points are in order: a test may want them otherwise.

use std::io;

use super::{Series, SeriesStream};
use crate::metrics::{Decimal, Kind, Metric};

/// 2013-10-31T07:00:00Z.
pub(super) const SEVEN: i64 = 1_383_202_800;

type MadeSeries = (Metric, Vec<String>, Vec<(i64, Vec<u64>)>);

/// A stream over a list.
#[derive(Clone, Debug, Default)]
pub(super) struct Made {
    series: Vec<MadeSeries>,
    next: usize,
    point: usize,
}

impl Made {
    /// Appends a series; points as (minute after seven, cell).
    pub(super) fn with(
        mut self,
        metric: &Metric,
        labels: &[&str],
        points: &[(i64, Vec<u64>)],
    ) -> Made {
        let labels = labels.iter().map(ToString::to_string).collect();
        let points = points
            .iter()
            .map(|(minute, cell)| (SEVEN + minute * 60, cell.clone()));
        self.series.push((metric.clone(), labels, points.collect()));
        self
    }

    /// Appends a series of a counter of records; points as (minute after seven, count).
    pub(super) fn counts(self, metric: &Metric, labels: &[&str], points: &[(i64, u64)]) -> Made {
        let points: Vec<_> = points
            .iter()
            .map(|&(minute, n)| (minute, vec![n]))
            .collect();
        self.with(metric, labels, &points)
    }
}

impl SeriesStream for Made {
    fn next_series(&mut self) -> io::Result<Option<Series<'_>>> {
        self.next += 1;
        self.point = 0;
        let series = self.series.get(self.next - 1);
        Ok(series.map(|(metric, labels, _)| Series {
            metric,
            labels: labels.clone(),
        }))
    }

    fn next_point(&mut self, cell: &mut Vec<u64>) -> io::Result<Option<i64>> {
        let (_, _, points) = &self.series[self.next - 1];
        let Some((start, point)) = points.get(self.point) else {
            return Ok(None);
        };
        self.point += 1;
        cell.clone_from(point);
        Ok(Some(*start))
    }
}

/// A metric without limits or declared values.
pub(super) fn metric(name: &str, labels: &[&str], kind: Kind) -> Metric {
    Metric {
        name: name.to_owned(),
        help: format!("About {name}."),
        kind,
        labels: labels.iter().map(ToString::to_string).collect(),
        declared: vec![None; labels.len()],
        graphite: Vec::new(),
        limit: 1000,
        label_limits: Vec::new(),
    }
}

pub(super) fn decimal(text: &str) -> Decimal {
    Decimal::parse(text.as_bytes(), 0).unwrap()
}

/// A histogram's kind.
pub(super) fn buckets(bounds: &[&str]) -> Kind {
    Kind::Buckets(bounds.iter().map(|bound| decimal(bound)).collect())
}

/// A histogram's cell.
pub(super) fn observed(counts: &[u64], sum: &str) -> Vec<u64> {
    [counts, &decimal(sum).words()].concat()
}

/// A cell of a sum.
pub(super) fn summed(records: u64, sum: &str) -> Vec<u64> {
    [&[records], decimal(sum).words().as_slice()].concat()
}

/// A gauge's cell.
pub(super) fn newest(time: u64, value: &str) -> Vec<u64> {
    [&[time, 0], decimal(value).words().as_slice()].concat()
}

/// Everything that has broken an output once: quotes, newlines, escapes, bidi, separators, NUL.
pub(super) const HOSTILE: &str = "=a\"b\\c\nd\r,\u{1b}[31m\u{202e};e\0.{x} é";
