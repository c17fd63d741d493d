//! Graphite's plaintext lines, `path value seconds`, stamped with the start of the window.
//!
//! A path is the prefix, then the metric's own paths with `{label}` replaced; without any, the
//! metric's name (less `_total`) and its label values. Each node is made safe on its own, before
//! nodes are joined: a dot in a label value can not become a level of the tree.
//!
//! Invariant: a path has one value for each time, whatever the labels hold. Carbon keeps the last
//! value it is sent, so label values that become one path must be added up here. The stream is read
//! twice for it: first for the paths alone, to learn which are shared, then for the points. Points
//! of shared paths wait until the last series that feeds them has passed; all others pass through.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Write};

use super::{Current, SeriesStream};
use crate::metrics::{Decimal, Kind};

/// Longest node in bytes; file names of carbon end at 255 with their suffix.
const NODE_BYTES: usize = 128;

/// Begins the same stream once more.
pub type Open<'o> = dyn FnMut() -> io::Result<Box<dyn SeriesStream + 'o>> + 'o;

/// Writes the lines of all series. `prefix` is written as it is, without a dot at its end; when it
/// is empty, paths begin with the metric's own first node.
///
/// # Errors
/// Those of `out`, of `open` and of the streams it gives.
pub fn write(out: &mut impl Write, prefix: &str, open: &mut Open<'_>) -> io::Result<()> {
    let prefix = prefix.trim_end_matches('.');
    let mut shared = shared_paths(prefix, open()?.as_mut())?;
    let mut stream = open()?;
    let mut current = None;
    while let Some(series) = Current::next(stream.as_mut(), current.take())? {
        let leaves = leaves(prefix, &series);
        write_series(out, &series, &leaves, stream.as_mut(), &mut shared)?;
        leaves
            .iter()
            .try_for_each(|leaf| finish(out, leaf, &mut shared))?;
        current = Some(series);
    }
    Ok(())
}

/// A path, and which value of a cell it takes.
struct Leaf {
    path: String,
    /// Position in [`values`].
    value: usize,
    /// Microseconds: written whole.
    whole: bool,
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
    let mut paths: HashMap<String, Shared> = HashMap::new();
    let mut current = None;
    while let Some(series) = Current::next(stream, current.take())? {
        for leaf in leaves(prefix, &series) {
            paths.entry(leaf.path).or_default().left += 1;
        }
        current = Some(series);
    }
    paths.retain(|_, shared| shared.left > 1);
    Ok(paths)
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

/// Half up.
fn rounded(value: Decimal) -> Decimal {
    const ONE: i128 = 1_000_000_000;
    Decimal(
        value
            .0
            .saturating_add(ONE / 2)
            .div_euclid(ONE)
            .saturating_mul(ONE),
    )
}

/// The paths that a series feeds, each once.
fn leaves(prefix: &str, series: &Current) -> Vec<Leaf> {
    let mut seen = HashSet::new();
    let mut leaves = Vec::new();
    let endings = endings(series);
    for base in bases(prefix, series) {
        for (value, ending) in endings.iter().enumerate() {
            let path = format!("{base}{ending}");
            if seen.insert(path.clone()) {
                leaves.push(Leaf {
                    path,
                    value,
                    whole: ending == ".sum_us",
                });
            }
        }
    }
    leaves
}

/// What follows the path for each of [`values`].
fn endings(series: &Current) -> Vec<String> {
    let kind = &series.metric.kind;
    if !matches!(kind, Kind::Buckets(_)) {
        return vec![String::new()];
    }
    let zeros = series.empty_cell();
    let bounds = kind
        .cumulative(&zeros)
        .map(|(le, _)| format!(".le_{}", node(&bound_name(&le))));
    bounds
        .chain([".sum_us".to_owned(), ".count".to_owned()])
        .collect()
}

fn bound_name(le: &str) -> String {
    le.replace("+Inf", "inf")
}

/// The numbers of a cell: one, or a histogram's cumulative buckets, its sum in microseconds and its
/// count.
fn values(kind: &Kind, cell: &[u64]) -> Vec<Decimal> {
    if !matches!(kind, Kind::Buckets(_)) {
        return vec![kind.amount(cell)];
    }
    let micros = Decimal(kind.observed_sum(cell).0.saturating_mul(1_000_000));
    let count = Decimal::whole(kind.observations(cell));
    let bounds = kind.cumulative(cell).map(|(_, n)| Decimal::whole(n));
    bounds.chain([micros, count]).collect()
}

/// Prefix and path, without a histogram's endings.
fn bases(prefix: &str, series: &Current) -> Vec<String> {
    let metric = &series.metric;
    let paths: Vec<String> = if metric.graphite.is_empty() {
        let name = metric.name.strip_suffix("_total").unwrap_or(&metric.name);
        let nodes = [name]
            .into_iter()
            .chain(series.labels.iter().map(String::as_str));
        vec![nodes.map(node).collect::<Vec<_>>().join(".")]
    } else {
        metric
            .graphite
            .iter()
            .map(|path| filled(path, series))
            .collect()
    };
    let dot = if prefix.is_empty() { "" } else { "." };
    paths
        .into_iter()
        .map(|path| format!("{prefix}{dot}{path}"))
        .collect()
}

/// A path of the metric with its labels in place.
fn filled(path: &str, series: &Current) -> String {
    let fill = |part: &str| {
        let name_after = part.split_once('}');
        let (name, after) = name_after.unwrap_or((part, ""));
        let value = series
            .pairs()
            .find(|(label, _)| *label == name)
            .map_or("", |(_, v)| v);
        node(value) + after
    };
    let nodes = path.split('.').map(|text| {
        let mut parts = text.split('{');
        let start = parts.next().unwrap_or_default().to_owned();
        node(&parts.fold(start, |text, part| text + &fill(part)))
    });
    nodes.collect::<Vec<_>>().join(".")
}

/// A node that no carbon, shell or URL takes for something else.
fn node(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let node: String = text
        .chars()
        .take(NODE_BYTES)
        .map(|c| if safe(c) { c } else { '_' })
        .collect();
    if node.is_empty() {
        "_".to_owned()
    } else {
        node
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metric;
    use crate::sinks::made::{HOSTILE, Made, SEVEN, buckets, metric, newest, observed, summed};
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
