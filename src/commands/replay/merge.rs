//! All runs as one stream of series, within the limits on series and label values.
//!
//! Limits apply after the merge, largest totals first, so that the output does not depend on the
//! number of threads or on what was spilled. A first pass over the runs adds up totals; series
//! beyond a limit keep their declared labels and get `_other` for the rest; their points go through
//! one more run. Declared values are never touched, and no count moves to another declared series.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::io::{self, BufRead};

use super::runs::Runs;
use crate::metrics::run::{self, Merge, Point};
use crate::metrics::series::{KeyBuilder, labels_of, metric_of};
use crate::metrics::{Decimal, Metric, OTHER};
use crate::sinks::{Series, SeriesStream};

/// Memory for the points of series beyond a limit before they are written out.
const OVERFLOW_BYTES: usize = 8 << 20;

/// What the first pass over all runs found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// First window's start.
    pub(super) from: Option<i64>,
    /// Last window's start.
    pub(super) last: Option<i64>,
    /// Series that stay as they are, for metrics that have too many.
    kept: HashMap<usize, HashSet<Vec<u8>>>,
    /// Label values that stay as they are, by metric and label.
    kept_values: HashMap<(usize, usize), HashSet<Vec<u8>>>,
}

/// Totals of the largest undeclared series of one metric, smallest on top.
type Largest = BinaryHeap<Reverse<(Decimal, Reverse<Vec<u8>>)>>;

impl Survey {
    /// Reads all runs once.
    pub(super) fn of(runs: &Runs, metrics: &[Metric]) -> io::Result<Survey> {
        let mut survey = Survey::default();
        let mut largest: HashMap<usize, (Largest, usize)> = HashMap::new();
        let mut values: HashMap<(usize, usize), HashMap<Vec<u8>, Decimal>> = HashMap::new();
        let mut merge = Merge::new(runs.open()?, metrics)?;
        let mut cell = Vec::new();
        while let Some((key, metric)) = merge.next_series()? {
            let (key, number) = (key.to_vec(), metric_of(key));
            let mut total = Decimal::ZERO;
            while let Some(start) = merge.next_point(&mut cell)? {
                total = total.plus(metric.kind.amount(&cell));
                survey.from = Some(survey.from.map_or(start, |from| from.min(start)));
                survey.last = Some(survey.last.map_or(start, |last| last.max(start)));
            }
            let labels = labels_of(&key);
            for &(label, _) in &metric.label_limits {
                let value = labels
                    .get(label)
                    .filter(|value| !is_declared(metric, label, value));
                if let Some(value) = value {
                    let known = values
                        .entry((number, label))
                        .or_default()
                        .entry(value.clone())
                        .or_default();
                    *known = known.plus(total);
                }
            }
            if has_undeclared(metric, &labels) {
                let (heap, seen) = largest.entry(number).or_default();
                *seen += 1;
                heap.push(Reverse((total, Reverse(key))));
                if heap.len() > metric.limit {
                    heap.pop();
                }
            }
        }
        survey.keep(metrics, largest, values);
        Ok(survey)
    }

    fn keep(
        &mut self,
        metrics: &[Metric],
        largest: HashMap<usize, (Largest, usize)>,
        values: HashMap<(usize, usize), HashMap<Vec<u8>, Decimal>>,
    ) {
        for (number, (heap, seen)) in largest {
            if seen > heap.len() {
                let keys = heap.into_iter().map(|Reverse((_, Reverse(key)))| key);
                self.kept.insert(number, keys.collect());
            }
        }
        for ((number, label), totals) in values {
            let limits = metrics.get(number).map(|metric| &metric.label_limits);
            let limit = limits
                .and_then(|limits| limits.iter().find(|(at, _)| *at == label))
                .map(|(_, limit)| *limit);
            let Some(limit) = limit.filter(|&limit| totals.len() > limit) else {
                continue;
            };
            let mut sorted: Vec<(Vec<u8>, Decimal)> = totals.into_iter().collect();
            sorted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            sorted.truncate(limit);
            self.kept_values.insert(
                (number, label),
                sorted.into_iter().map(|(value, _)| value).collect(),
            );
        }
    }

    /// True when some series are beyond a limit.
    pub(super) fn overflows(&self) -> bool {
        !self.kept.is_empty() || !self.kept_values.is_empty()
    }

    /// The key under which a series is shown; `None` for its own.
    fn shown_as(&self, key: &[u8], metric: &Metric) -> Option<Vec<u8>> {
        let number = metric_of(key);
        let labels = labels_of(key);
        let beyond = has_undeclared(metric, &labels)
            && self
                .kept
                .get(&number)
                .is_some_and(|kept| !kept.contains(key));
        let mut builder = KeyBuilder::default();
        builder.start(number);
        let mut changed = false;
        for (label, value) in labels.iter().enumerate() {
            let dropped = self
                .kept_values
                .get(&(number, label))
                .is_some_and(|kept| !kept.contains(value));
            let collapse = (beyond || dropped) && !is_declared(metric, label, value);
            changed |= collapse;
            builder.label(if collapse { OTHER.as_bytes() } else { value });
        }
        (changed && builder.key() != key).then(|| builder.key().to_vec())
    }

    /// Writes the series beyond the limits as further runs, under the keys they are shown as.
    pub(super) fn collapse(&self, runs: &Runs, metrics: &[Metric], into: &Runs) -> io::Result<()> {
        let mut merge = Merge::new(runs.open()?, metrics)?;
        let mut points: BTreeMap<Vec<u8>, BTreeMap<i64, Vec<u64>>> = BTreeMap::new();
        let (mut cell, mut bytes) = (Vec::new(), 0);
        while let Some((key, metric)) = merge.next_series()? {
            let Some(shown) = self.shown_as(key, metric) else {
                continue;
            };
            let series = points.entry(shown).or_default();
            while let Some(start) = merge.next_point(&mut cell)? {
                let known = series.entry(start).or_insert_with(|| {
                    bytes += 64 + cell.len() * 8;
                    vec![0; cell.len()]
                });
                metric.kind.add(known, &cell);
            }
            if bytes > OVERFLOW_BYTES {
                write_points(&std::mem::take(&mut points), metrics, into)?;
                bytes = 0;
            }
        }
        write_points(&points, metrics, into)
    }
}

fn write_points(
    points: &BTreeMap<Vec<u8>, BTreeMap<i64, Vec<u64>>>,
    metrics: &[Metric],
    into: &Runs,
) -> io::Result<()> {
    into.spill_with(|out| {
        for (key, series) in points {
            let Some(metric) = metrics.get(metric_of(key)) else {
                continue;
            };
            let cells: Vec<(i64, Vec<u8>)> = series
                .iter()
                .map(|(&start, cell)| {
                    let mut encoded = Vec::new();
                    run::put_cell(&mut encoded, cell);
                    (start, encoded)
                })
                .collect();
            let mut encoded: Vec<Point<'_>> = cells
                .iter()
                .map(|(start, cell)| Point {
                    start: *start,
                    cell,
                })
                .collect();
            run::write_series(out, key, &mut encoded, &metric.kind)?;
        }
        Ok(())
    })
}

fn is_declared(metric: &Metric, label: usize, value: &[u8]) -> bool {
    let declared = metric.declared.get(label).and_then(Option::as_ref);
    declared.is_some_and(|declared| declared.iter().any(|known| known.as_bytes() == value))
}

fn has_undeclared(metric: &Metric, labels: &[Vec<u8>]) -> bool {
    labels
        .iter()
        .enumerate()
        .any(|(label, value)| !is_declared(metric, label, value))
}

/// The merged runs for an output.
pub(super) struct Stream<'s> {
    merge: Merge<'s, Box<dyn BufRead>>,
    survey: &'s Survey,
}

impl<'s> Stream<'s> {
    /// All runs from the start; `overflow` holds those that [`Survey::collapse`] wrote.
    pub(super) fn open(
        runs: &Runs,
        overflow: &Runs,
        survey: &'s Survey,
        metrics: &'s [Metric],
    ) -> io::Result<Stream<'s>> {
        let mut all = runs.open()?;
        all.extend(overflow.open()?);
        Ok(Stream {
            merge: Merge::new(all, metrics)?,
            survey,
        })
    }
}

impl SeriesStream for Stream<'_> {
    fn next_series(&mut self) -> io::Result<Option<Series<'_>>> {
        loop {
            let Some((key, metric)) = self.merge.next_series()? else {
                return Ok(None);
            };
            if self.survey.overflows() && self.survey.shown_as(key, metric).is_some() {
                continue;
            }
            let labels = labels_of(key);
            let labels = labels
                .iter()
                .map(|value| String::from_utf8_lossy(value).into_owned())
                .collect();
            return Ok(Some(Series { metric, labels }));
        }
    }

    fn next_point(&mut self, cell: &mut Vec<u64>) -> io::Result<Option<i64>> {
        self.merge.next_point(cell)
    }
}
