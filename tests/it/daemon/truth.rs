//! What must be counted: exact values of each series and of each Graphite path and minute.
//!
//! Only families are kept whose value follows from a line alone; countries depend on a database
//! and are left to the tests that have one.

use std::collections::BTreeMap;

use super::writer::Line;

/// Prefix of every Graphite path in these tests.
pub(crate) const PREFIX: &str = "t";

/// Families whose series are known exactly.
const FAMILIES: [&str; 5] = [
    "cdn_failure_beacons_total",
    "cdn_failure_beacons_by_pop_total",
    "cdn_origin_requests_total",
    "cdn_origin_response_bytes_total",
    "cdn_origin_request_duration_seconds_count",
];

/// Counts of lines that were written whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Truth {
    /// (path, minute) to value.
    pub(crate) points: BTreeMap<(String, i64), u64>,
    /// Series, labels sorted, to value.
    pub(crate) series: BTreeMap<String, u64>,
    /// Minute to lines that name it.
    pub(crate) minutes: BTreeMap<i64, u64>,
    /// Lines with an LF, readable or not.
    pub(crate) lines: u64,
    /// Those among them that no parser reads, or that are rejected.
    pub(crate) others: u64,
}

impl Truth {
    /// One more line.
    pub(crate) fn add(&mut self, line: &Line) {
        self.lines += 1;
        *self.minutes.entry(line.minute()).or_default() += 1;
        for (series, path, value) in line.counts() {
            *self.series.entry(series).or_default() += value;
            *self.points.entry((path, line.minute())).or_default() += value;
        }
    }

    /// A line that nobody could read after all.
    pub(crate) fn remove(&mut self, line: &Line) {
        self.lines -= 1;
        take(&mut self.minutes, &line.minute(), 1);
        for (series, path, value) in line.counts() {
            take(&mut self.series, &series, value);
            take(&mut self.points, &(path, line.minute()), value);
        }
    }

    /// A line that counts only as read.
    pub(crate) fn add_other(&mut self) {
        self.lines += 1;
        self.others += 1;
    }

    /// Adds what another writer wrote.
    pub(crate) fn merge(&mut self, other: &Truth) {
        self.lines += other.lines;
        self.others += other.others;
        for (minute, n) in &other.minutes {
            *self.minutes.entry(*minute).or_default() += n;
        }
        for (series, n) in &other.series {
            *self.series.entry(series.clone()).or_default() += n;
        }
        for (point, n) in &other.points {
            *self.points.entry(point.clone()).or_default() += n;
        }
    }
}

fn take<K: Ord>(from: &mut BTreeMap<K, u64>, key: &K, value: u64) {
    let left = from.get(key).copied().unwrap_or_default();
    match left.checked_sub(value).expect("only what was added") {
        0 => drop(from.remove(key)),
        left => *from.get_mut(key).expect("it was just there") = left,
    }
}

/// Whether the truth knows every series of this family.
pub(crate) fn knows_family(family: &str) -> bool {
    FAMILIES.contains(&family)
}

/// Whether the truth knows every value of this path.
pub(crate) fn knows_path(path: &str) -> bool {
    let Some(path) = path
        .strip_prefix(PREFIX)
        .and_then(|path| path.strip_prefix('.'))
    else {
        return false;
    };
    let nodes: Vec<&str> = path.split('.').collect();
    matches!(
        nodes.as_slice(),
        ["beacons", _, "count"]
            | ["beacons", _, "pop", _, "count"]
            | ["origin", _, "requests", _, "count"]
            | ["origin", _, "response_bytes"]
            | ["origin", _, "duration", "count"]
    )
}

#[test]
fn what_is_added_and_removed_leaves_nothing() {
    let lines: Vec<Line> = (0..50)
        .map(|n| Line::of(n, 1_383_203_160 + i64::try_from(n).unwrap()))
        .collect();
    let mut truth = Truth::default();
    lines.iter().for_each(|line| truth.add(line));
    assert_eq!(truth.lines, 50);
    assert!(truth.points.keys().all(|(path, _)| knows_path(path)));
    lines.iter().for_each(|line| truth.remove(line));
    assert_eq!(truth, Truth::default());
}
