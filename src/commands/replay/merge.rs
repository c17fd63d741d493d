//! All runs as one stream of series, within the limits on series and label values.
//!
//! Limits apply after the merge, largest totals first, so that the output does not depend on the
//! number of threads or on what was spilled. Labels with a limit of their own come first, then what
//! they leave is held to the metric's limit. Passes over the runs add up totals; series
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
pub(in crate::commands) struct Survey {
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
    /// Reads all runs: once for the values of labels that have a limit, once for series.
    pub(in crate::commands) fn of(runs: &Runs, metrics: &[Metric]) -> io::Result<Survey> {
        let mut survey = Survey::default();
        if metrics.iter().any(|metric| !metric.label_limits.is_empty()) {
            survey.keep_values(runs, metrics)?;
        }
        survey.keep_series(runs, metrics)?;
        Ok(survey)
    }

    fn keep_values(&mut self, runs: &Runs, metrics: &[Metric]) -> io::Result<()> {
        let mut values: HashMap<(usize, usize), HashMap<Vec<u8>, Decimal>> = HashMap::new();
        self.each_series(runs, metrics, |_, key, metric, total| {
            let labels = labels_of(&key);
            for &(label, _) in &metric.label_limits {
                let value = labels.get(label).filter(|value| {
                    value.as_slice() != OTHER.as_bytes() && !is_declared(metric, label, value)
                });
                if let Some(value) = value {
                    let known = values.entry((metric_of(&key), label)).or_default();
                    let known = known.entry(value.clone()).or_default();
                    *known = known.plus(total);
                }
            }
        })?;
        for ((number, label), totals) in values {
            let limits = metrics.get(number).map(|metric| &metric.label_limits);
            let limit = limits
                .and_then(|limits| limits.iter().find(|(at, _)| *at == label))
                .map(|(_, limit)| *limit);
            if let Some(limit) = limit.filter(|&limit| totals.len() > limit) {
                self.kept_values
                    .insert((number, label), largest(totals, limit));
            }
        }
        Ok(())
    }

    fn keep_series(&mut self, runs: &Runs, metrics: &[Metric]) -> io::Result<()> {
        let mut kept: HashMap<usize, (Largest, usize)> = HashMap::new();
        // Series that a label's limit made one are not neighbours in key order.
        let mut joined: HashMap<Vec<u8>, Decimal> = HashMap::new();
        self.each_series(runs, metrics, |survey, key, metric, total| {
            let limited = survey.within_labels(&key, metric).unwrap_or(key);
            let labels = labels_of(&limited);
            if labels
                .iter()
                .any(|value| value.as_slice() == OTHER.as_bytes())
            {
                let known = joined.entry(limited).or_default();
                *known = known.plus(total);
            } else if has_undeclared(metric, &labels) {
                keep_one(&mut kept, metric, limited, total);
            }
        })?;
        for (key, total) in joined {
            let metric = metrics.get(metric_of(&key));
            if let Some(metric) = metric.filter(|metric| has_undeclared(metric, &labels_of(&key))) {
                keep_one(&mut kept, metric, key, total);
            }
        }
        for (number, (heap, seen)) in kept {
            if seen > heap.len() {
                let keys = heap.into_iter().map(|Reverse((_, Reverse(key)))| key);
                self.kept.insert(number, keys.collect());
            }
        }
        Ok(())
    }

    /// Shows every series with its total, and notes the first and last window.
    fn each_series(
        &mut self,
        runs: &Runs,
        metrics: &[Metric],
        mut seen: impl FnMut(&Survey, Vec<u8>, &Metric, Decimal),
    ) -> io::Result<()> {
        let mut merge = Merge::new(runs.open()?, metrics)?;
        let mut cell = Vec::new();
        while let Some((key, metric)) = merge.next_series()? {
            let key = key.to_vec();
            let mut total = Decimal::ZERO;
            while let Some(start) = merge.next_point(&mut cell)? {
                total = total.plus(metric.kind.amount(&cell));
                self.from = Some(self.from.map_or(start, |from| from.min(start)));
                self.last = Some(self.last.map_or(start, |last| last.max(start)));
            }
            seen(self, key, metric, total);
        }
        Ok(())
    }

    /// True when some series are beyond a limit.
    pub(super) fn overflows(&self) -> bool {
        !self.kept.is_empty() || !self.kept_values.is_empty()
    }

    /// The key under which a series is shown; `None` for its own. What it is shown as is always
    /// shown as itself.
    pub(in crate::commands) fn shown_as(&self, key: &[u8], metric: &Metric) -> Option<Vec<u8>> {
        let limited = self.within_labels(key, metric);
        let candidate = limited.as_deref().unwrap_or(key);
        let kept = self.kept.get(&metric_of(key));
        if kept.is_none_or(|kept| kept.contains(candidate)) {
            return limited;
        }
        collapsed(key, metric, |_, _| true).or(limited)
    }

    /// The key with the values beyond a label's limit replaced; `None` when there are none.
    fn within_labels(&self, key: &[u8], metric: &Metric) -> Option<Vec<u8>> {
        if self.kept_values.is_empty() {
            return None;
        }
        let number = metric_of(key);
        collapsed(key, metric, |label, value| {
            let kept = self.kept_values.get(&(number, label));
            kept.is_some_and(|kept| !kept.contains(value))
        })
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

/// The key with undeclared values that `goes` names replaced; `None` when it stays as it is.
fn collapsed(key: &[u8], metric: &Metric, goes: impl Fn(usize, &[u8]) -> bool) -> Option<Vec<u8>> {
    let mut builder = KeyBuilder::default();
    builder.start(metric_of(key));
    for (label, value) in labels_of(key).iter().enumerate() {
        let collapse = !is_declared(metric, label, value) && goes(label, value);
        builder.label(if collapse { OTHER.as_bytes() } else { value });
    }
    (builder.key() != key).then(|| builder.key().to_vec())
}

/// The values with the largest totals; of equal ones those that sort first.
fn largest(totals: HashMap<Vec<u8>, Decimal>, limit: usize) -> HashSet<Vec<u8>> {
    let mut sorted: Vec<(Vec<u8>, Decimal)> = totals.into_iter().collect();
    sorted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    sorted.truncate(limit);
    sorted.into_iter().map(|(value, _)| value).collect()
}

fn keep_one(
    kept: &mut HashMap<usize, (Largest, usize)>,
    metric: &Metric,
    key: Vec<u8>,
    total: Decimal,
) {
    let (heap, seen) = kept.entry(metric_of(&key)).or_default();
    *seen += 1;
    heap.push(Reverse((total, Reverse(key))));
    if heap.len() > metric.limit {
        heap.pop();
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

pub(in crate::commands) fn has_undeclared(metric: &Metric, labels: &[Vec<u8>]) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Kind;
    use proptest::prelude::*;

    /// `n_total{provider, pop, node}`; two providers are declared, pop has a limit of its own.
    fn metric(limit: usize, pops: Option<usize>) -> Metric {
        let declared = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect();
        Metric {
            name: "n_total".to_owned(),
            help: String::new(),
            kind: Kind::Count,
            labels: ["provider", "pop", "node"].map(str::to_owned).to_vec(),
            declared: vec![Some(declared(&["x", "y"])), None, None],
            graphite: Vec::new(),
            limit,
            label_limits: pops.map(|pops| (1, pops)).into_iter().collect(),
        }
    }

    type Series = BTreeMap<Vec<String>, BTreeMap<i64, u64>>;
    type Added = ([u8; 3], i64, u64);

    fn labels([provider, pop, node]: [u8; 3]) -> Vec<String> {
        let provider = ["x", "y", "z"][usize::from(provider) % 3];
        let pop = if pop == 0 {
            OTHER.to_owned()
        } else {
            format!("p{pop}")
        };
        vec![provider.to_owned(), pop, format!("n{node}")]
    }

    /// The additions as `parts` runs.
    fn runs(all: &[Added], parts: usize, metric: &Metric) -> Runs {
        let runs = Runs::default();
        for part in 0..parts {
            let mut points: BTreeMap<Vec<u8>, BTreeMap<i64, Vec<u64>>> = BTreeMap::new();
            for (which, start, n) in all.iter().skip(part).step_by(parts) {
                let mut key = KeyBuilder::default();
                key.start(0);
                for label in labels(*which) {
                    key.label(label.as_bytes());
                }
                let windows = points.entry(key.key().to_vec()).or_default();
                windows.entry(*start).or_insert_with(|| vec![0])[0] += n;
            }
            write_points(&points, std::slice::from_ref(metric), &runs).unwrap();
        }
        runs
    }

    fn shown(runs: &Runs, metric: &Metric) -> Series {
        let metrics = std::slice::from_ref(metric);
        let survey = Survey::of(runs, metrics).unwrap();
        let overflow = Runs::default();
        if survey.overflows() {
            survey.collapse(runs, metrics, &overflow).unwrap();
        }
        let mut stream = Stream::open(runs, &overflow, &survey, metrics).unwrap();
        let (mut all, mut cell) = (Series::new(), Vec::new());
        while let Some(series) = stream.next_series().unwrap() {
            let labels = series.labels;
            let mut points = BTreeMap::new();
            while let Some(start) = stream.next_point(&mut cell).unwrap() {
                points.insert(start, cell[0]);
            }
            assert!(
                all.insert(labels, points).is_none(),
                "a series is shown once"
            );
        }
        all
    }

    /// What the limits mean, written down without any thought of memory.
    fn naive(all: &[Added], metric: &Metric) -> Series {
        let mut series = Series::new();
        for (which, start, n) in all {
            *series
                .entry(labels(*which))
                .or_default()
                .entry(*start)
                .or_default() += n;
        }
        if let Some((_, limit)) = metric.label_limits.first() {
            let mut totals: BTreeMap<String, u64> = BTreeMap::new();
            for (labels, points) in &series {
                if labels[1] != OTHER {
                    *totals.entry(labels[1].clone()).or_default() += points.values().sum::<u64>();
                }
            }
            let kept = top(totals, *limit);
            series = rename(series, |labels| {
                if !kept.contains(&labels[1]) {
                    labels[1] = OTHER.to_owned();
                }
            });
        }
        let undeclared = series.iter();
        let totals = undeclared.map(|(labels, points)| (labels.clone(), points.values().sum()));
        let kept = top(totals.collect(), metric.limit);
        rename(series, |labels| {
            if !kept.contains(labels) {
                for (label, value) in labels.iter_mut().enumerate() {
                    if !is_declared(metric, label, value.as_bytes()) {
                        *value = OTHER.to_owned();
                    }
                }
            }
        })
    }

    fn top<K: Ord + Clone>(totals: BTreeMap<K, u64>, limit: usize) -> Vec<K> {
        let mut sorted: Vec<(K, u64)> = totals.into_iter().collect();
        sorted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        sorted.into_iter().take(limit).map(|(key, _)| key).collect()
    }

    fn rename(series: Series, change: impl Fn(&mut Vec<String>)) -> Series {
        let mut renamed = Series::new();
        for (mut labels, points) in series {
            change(&mut labels);
            let into = renamed.entry(labels).or_default();
            for (start, n) in points {
                *into.entry(start).or_default() += n;
            }
        }
        renamed
    }

    proptest! {
        #[test]
        fn limits_are_those_of_the_naive_model_however_counts_were_split(
            all in prop::collection::vec(
                ([0u8..3, 0u8..5, 0u8..3], (0i64..4).prop_map(|n| n * 60), 1u64..6),
                0..60,
            ),
            limit in 0usize..12,
            pops in prop::option::of(0usize..5),
            parts in 1usize..4,
        ) {
            let metric = metric(limit, pops);
            let found = shown(&runs(&all, parts, &metric), &metric);
            prop_assert_eq!(&found, &naive(&all, &metric));
            let provider = |series: &Series, name: &str| -> u64 {
                let of = series.iter().filter(|(labels, _)| labels[0] == name);
                of.flat_map(|(_, points)| points.values()).sum()
            };
            for name in ["x", "y"] {
                let exact: u64 = all.iter().filter(|(which, ..)| labels(*which)[0] == name).map(|(.., n)| n).sum();
                prop_assert_eq!(provider(&found, name), exact, "declared labels keep their sums");
            }
        }
    }

    #[test]
    fn a_metric_without_labels_is_never_limited() {
        let mut metric = metric(0, None);
        metric.labels.clear();
        metric.declared.clear();
        let runs = Runs::default();
        let mut key = KeyBuilder::default();
        key.start(0);
        let points = BTreeMap::from([(key.key().to_vec(), BTreeMap::from([(0, vec![7])]))]);
        write_points(&points, std::slice::from_ref(&metric), &runs).unwrap();
        assert_eq!(
            shown(&runs, &metric),
            Series::from([(Vec::new(), BTreeMap::from([(0, 7)]))])
        );
    }
}
