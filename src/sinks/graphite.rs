//! Graphite's plaintext lines, `path value seconds`, stamped with the start of the window.
//!
//! [`Paths`] says what a path is, for these lines and for what is sent to a carbon.
//!
//! Invariant: a path has one value for each time, whatever the labels hold. Carbon keeps the last
//! value it is sent, so label values that become one path must be added up here. The stream is read
//! twice for it: first for the paths alone, to learn which are shared, then for the points. Points
//! of shared paths wait until the last series that feeds them has passed; all others pass through.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use super::paths::{Leaf, Paths, rounded, values};
use super::{Current, SeriesStream};
use crate::metrics::Decimal;

/// Begins the same stream once more.
pub type Open<'o> = dyn FnMut() -> io::Result<Box<dyn SeriesStream + 'o>> + 'o;

/// Writes the lines of all series. `prefix` is written as it is, without a dot at its end; when it
/// is empty, paths begin with the metric's own first node.
///
/// # Errors
/// Those of `out`, of `open` and of the streams it gives.
pub fn write(out: &mut impl Write, prefix: &str, open: &mut Open<'_>) -> io::Result<()> {
    let mut shared = shared_paths(prefix, open()?.as_mut())?;
    let mut stream = open()?;
    let (mut current, mut paths) = (None, None);
    while let Some(series) = Current::next(stream.as_mut(), current.take())? {
        let leaves = leaves(prefix, &series, &mut paths);
        write_series(out, &series, &leaves, stream.as_mut(), &mut shared)?;
        leaves
            .iter()
            .try_for_each(|leaf| finish(out, leaf, &mut shared))?;
        current = Some(series);
    }
    Ok(())
}

/// What waits for the other series of its path.
#[derive(Default)]
struct Shared {
    /// Series that feed the path and have not been read.
    left: usize,
    points: BTreeMap<i64, Decimal>,
}

/// Paths that more than one series feeds.
fn shared_paths(
    prefix: &str,
    stream: &mut dyn SeriesStream,
) -> io::Result<HashMap<String, Shared>> {
    let mut feeding: HashMap<String, Shared> = HashMap::new();
    let (mut current, mut paths) = (None, None);
    while let Some(series) = Current::next(stream, current.take())? {
        for leaf in leaves(prefix, &series, &mut paths) {
            feeding.entry(leaf.path).or_default().left += 1;
        }
        current = Some(series);
    }
    feeding.retain(|_, shared| shared.left > 1);
    Ok(feeding)
}

/// The paths that a series feeds. `paths` are those of its metric, made with the first series.
fn leaves(prefix: &str, series: &Current, paths: &mut Option<Paths>) -> Vec<Leaf> {
    if series.first {
        *paths = None;
    }
    let paths = paths.get_or_insert_with(|| Paths::new(prefix, &series.metric, None, false));
    let labels: Vec<&str> = series.labels.iter().map(String::as_str).collect();
    paths.leaves(&labels)
}

/// Writes the points of paths that are the series' own and adds the others to what waits.
fn write_series(
    out: &mut impl Write,
    series: &Current,
    leaves: &[Leaf],
    stream: &mut dyn SeriesStream,
    shared: &mut HashMap<String, Shared>,
) -> io::Result<()> {
    let any_shared = leaves.iter().any(|leaf| shared.contains_key(&leaf.path));
    let mut cell = Vec::new();
    while let Some(start) = series.point(stream, &mut cell)? {
        let values = values(&series.metric.kind, &cell);
        for leaf in leaves {
            let value = values.get(leaf.value).copied().unwrap_or_default();
            let waiting = if any_shared {
                shared.get_mut(&leaf.path)
            } else {
                None
            };
            match waiting {
                Some(waiting) => {
                    let sum = waiting.points.entry(start).or_default();
                    *sum = sum.plus(value);
                }
                None => write_line(out, leaf, value, start)?,
            }
        }
    }
    Ok(())
}

/// Writes what waited at the path when this was the last series that feeds it.
fn finish(
    out: &mut impl Write,
    leaf: &Leaf,
    shared: &mut HashMap<String, Shared>,
) -> io::Result<()> {
    let Some(waiting) = shared.get_mut(&leaf.path) else {
        return Ok(());
    };
    waiting.left = waiting.left.saturating_sub(1);
    if waiting.left > 0 {
        return Ok(());
    }
    let points = std::mem::take(&mut waiting.points);
    points
        .into_iter()
        .try_for_each(|(start, value)| write_line(out, leaf, value, start))
}

fn write_line(out: &mut impl Write, leaf: &Leaf, value: Decimal, start: i64) -> io::Result<()> {
    let value = if leaf.whole { rounded(value) } else { value };
    writeln!(out, "{} {value} {start}", leaf.path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Kind, Metric};
    use crate::sinks::made::{HOSTILE, Made, SEVEN, buckets, metric, newest, observed, summed};
    use crate::sinks::paths::{NODE_BYTES, node};
    use proptest::prelude::*;

    fn written(stream: &Made) -> String {
        let mut out = Vec::new();
        let mut open = || Ok(Box::new(stream.clone()) as Box<dyn SeriesStream>);
        write(&mut out, "replay.", &mut open).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn with_paths(mut metric: Metric, paths: &[&str]) -> Metric {
        metric.graphite = paths.iter().map(ToString::to_string).collect();
        metric
    }

    #[test]
    fn lines_carry_the_start_of_their_window() {
        let beacons = metric("beacons_total", &["provider"], Kind::Count);
        let beacons = with_paths(beacons, &["beacons.{provider}.count"]);
        let bytes = metric("bytes_total", &["provider", "cache"], Kind::Sum);
        let load = metric("load", &[], Kind::Last);
        let stream = Made::default()
            .counts(&beacons, &["fastly"], &[(6, 2), (7, 3)])
            .with(&bytes, &["cloud.front", ""], &[(0, summed(2, "1.5"))])
            .with(&load, &[], &[(1, newest(1, "0.25"))]);
        assert_eq!(
            written(&stream),
            "replay.beacons.fastly.count 2 1383203160\n\
             replay.beacons.fastly.count 3 1383203220\n\
             replay.bytes.cloud_front._ 1.5 1383202800\n\
             replay.load 0.25 1383202860\n"
        );
    }

    #[test]
    fn histograms_are_cumulative_with_whole_microseconds() {
        let seconds = with_paths(metric("s", &[], buckets(&["0.005", "1"])), &["time"]);
        let cell = observed(&[1, 2, 1], "0.0000015");
        assert_eq!(
            written(&Made::default().with(&seconds, &[], &[(0, cell)])),
            "replay.time.le_0_005 1 1383202800\n\
             replay.time.le_1 3 1383202800\n\
             replay.time.le_inf 4 1383202800\n\
             replay.time.sum_us 2 1383202800\n\
             replay.time.count 4 1383202800\n"
        );
    }

    #[test]
    fn labels_that_become_one_path_are_added_up() {
        let counter = metric("n_total", &["x"], Kind::Count);
        let stream = Made::default()
            .counts(&counter, &["a b"], &[(0, 1), (2, 4)])
            .counts(&counter, &["a.b"], &[(1, 2), (2, 8)])
            .counts(&counter, &["ab"], &[(2, 100)]);
        assert_eq!(
            written(&stream),
            "replay.n.a_b 1 1383202800\n\
             replay.n.a_b 2 1383202860\n\
             replay.n.a_b 12 1383202920\n\
             replay.n.ab 100 1383202920\n"
        );
    }

    #[test]
    fn paths_without_a_label_hold_the_sum_and_repeated_paths_count_once() {
        let counter = metric("n_total", &["x"], Kind::Count);
        let counter = with_paths(counter, &["n.{x}", "n.all", "n.all"]);
        let stream =
            Made::default()
                .counts(&counter, &["a"], &[(0, 1)])
                .counts(&counter, &["b"], &[(0, 2)]);
        assert_eq!(
            written(&stream),
            "replay.n.a 1 1383202800\nreplay.n.b 2 1383202800\nreplay.n.all 3 1383202800\n"
        );
    }

    #[test]
    fn hostile_labels_stay_one_short_node() {
        let counter = metric("n_total", &["x"], Kind::Count);
        let counter = with_paths(counter, &["n.pre-{x}.count"]);
        let long = "é".repeat(500);
        let stream = Made::default()
            .counts(&counter, &[HOSTILE], &[(0, 1)])
            .counts(&counter, &["{x}"], &[(0, 2)])
            .counts(&counter, &[&long], &[(0, 3)]);
        let text = written(&stream);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "replay.n.pre-_a_b_c_d____31m__e___x___.count 1 1383202800"
        );
        assert_eq!(lines[1], "replay.n.pre-_x_.count 2 1383202800");
        let node = lines[2].split('.').nth(2).unwrap();
        assert_eq!(node.len(), NODE_BYTES);
    }

    proptest! {
        #[test]
        fn each_path_and_time_has_one_line_and_nothing_is_lost(
            series in prop::collection::btree_map("[ab. _]{0,3}", prop::collection::btree_map(0i64..4, 1u64..9, 1..4), 0..12),
        ) {
            let counter = metric("n_total", &["x"], Kind::Count);
            let mut stream = Made::default();
            let mut expected: BTreeMap<(String, i64), u64> = BTreeMap::new();
            for (label, points) in &series {
                let points: Vec<_> = points.iter().map(|(&minute, &n)| (minute, n)).collect();
                for (minute, n) in &points {
                    let path = format!("replay.n.{}", node(label));
                    *expected.entry((path, SEVEN + minute * 60)).or_default() += n;
                }
                stream = stream.counts(&counter, &[label], &points);
            }
            let mut found = BTreeMap::new();
            for line in written(&stream).lines() {
                let parts: Vec<&str> = line.split(' ').collect();
                let key = (parts[0].to_owned(), parts[2].parse().unwrap());
                prop_assert!(found.insert(key, parts[1].parse().unwrap()).is_none());
            }
            prop_assert_eq!(found, expected);
        }
    }
}
