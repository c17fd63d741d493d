//! What was written, what may be asked for of it, and a carbon that keeps the last write.

use std::collections::{BTreeMap, BTreeSet};

use super::super::super::minutes::minute_of;

/// A path and a minute.
pub(super) type Place = (String, i64);

/// A line with its LF.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) log: usize,
    pub(super) seconds: i64,
    pub(super) kind: &'static str,
    pub(super) who: &'static str,
    pub(super) n: u64,
    pub(super) serial: u64,
}

impl Line {
    pub(super) fn text(&self) -> String {
        let Line {
            seconds,
            kind,
            who,
            n,
            serial,
            ..
        } = self;
        format!("{seconds} {kind} {who} {n} {serial}\n")
    }

    pub(super) fn minute(&self) -> i64 {
        minute_of(self.seconds)
    }

    /// What the line adds: Graphite paths without their prefix.
    pub(super) fn adds(&self) -> Vec<(String, u64)> {
        let sort = if self.kind == "a" { "a" } else { "b" };
        let at_most = |bound| u64::from(self.n <= bound);
        vec![
            (format!("kinds.{sort}"), 1),
            (format!("names.{}", self.who), 1),
            (format!("amount.{sort}"), self.n),
            ("sizes.le_1".to_owned(), at_most(1)),
            ("sizes.le_5".to_owned(), at_most(5)),
            ("sizes.le_inf".to_owned(), 1),
            ("sizes.sum_us".to_owned(), self.n * 1_000_000),
            ("sizes.count".to_owned(), 1),
        ]
    }
}

/// Paths that are 0 where a minute has lines and none of theirs.
pub(super) const DECLARED: [&str; 9] = [
    "kinds.a",
    "kinds.b",
    "amount.a",
    "amount.b",
    "sizes.le_1",
    "sizes.le_5",
    "sizes.le_inf",
    "sizes.sum_us",
    "sizes.count",
];

/// Every line that was complete at some time.
#[derive(Debug, Default)]
pub(super) struct Truth {
    pub(super) lines: Vec<Line>,
    /// Numbers of lines that perhaps nobody could read.
    pub(super) unsure: BTreeSet<u64>,
    /// Lines that no parser reads, by log; and those that perhaps nobody could read.
    pub(super) garbage: [u64; 2],
    pub(super) garbage_unsure: [u64; 2],
    most: BTreeMap<Place, u64>,
    minutes: BTreeSet<i64>,
}

impl Truth {
    pub(super) fn add(&mut self, line: Line) {
        for (path, n) in line.adds() {
            *self.most.entry((path, line.minute())).or_default() += n;
        }
        self.minutes.insert(line.minute());
        self.lines.push(line);
    }

    /// The most that a path may have in a minute; `None` when the minute has no lines.
    pub(super) fn most(&self, path: &str, minute: i64) -> Option<u64> {
        let known = self.minutes.contains(&minute);
        known.then(|| {
            let found = self.most.get(&(path.to_owned(), minute));
            found.copied().unwrap_or_default()
        })
    }

    /// Values by path and minute of the lines that pass, zeros included.
    pub(super) fn values(&self, passes: impl Fn(&Line) -> bool) -> BTreeMap<Place, u64> {
        let mut values = BTreeMap::new();
        for line in self.lines.iter().filter(|line| passes(line)) {
            for path in DECLARED {
                values.entry((path.to_owned(), line.minute())).or_default();
            }
            for (path, n) in line.adds().into_iter().filter(|(_, n)| *n > 0) {
                *values.entry((path, line.minute())).or_default() += n;
            }
        }
        values
    }

    pub(super) fn is_sure(&self, line: &Line) -> bool {
        !self.unsure.contains(&line.serial)
    }

    /// Lines of a log: at least and at most.
    pub(super) fn count(&self, log: usize) -> (u64, u64) {
        let here = || self.lines.iter().filter(|line| line.log == log);
        let sure = here().filter(|line| self.is_sure(line)).count() as u64;
        let garbage = self.garbage[log];
        let least = sure + garbage - self.garbage_unsure[log];
        (least, here().count() as u64 + garbage)
    }
}

/// The other end of the output.
#[derive(Debug, Default)]
pub(super) struct Carbon {
    pub(super) values: BTreeMap<Place, u64>,
    /// Bytes that it reads later, and until when at the latest (monotonic milliseconds).
    pub(super) late: Vec<(Vec<u8>, u64)>,
}

impl Carbon {
    pub(super) fn take(&mut self, bytes: &[u8]) {
        for (path, minute, value) in points(bytes) {
            self.values.insert((path, minute), value);
        }
    }

    /// Reads what has waited and must be read before a time.
    pub(super) fn read_late(&mut self, before: u64) {
        let (due, later) = std::mem::take(&mut self.late)
            .into_iter()
            .partition(|(_, until)| *until <= before);
        self.late = later;
        let due: Vec<(Vec<u8>, u64)> = due;
        for (bytes, _) in due {
            self.take(&bytes);
        }
    }
}

/// Points of a delivery: path without prefix, minute, value.
pub(super) fn points(bytes: &[u8]) -> Vec<(String, i64, u64)> {
    let lines = std::str::from_utf8(bytes).unwrap().lines();
    let point = |line: &str| {
        let mut parts = line.split(' ');
        let path = parts.next()?.strip_prefix("p.")?.to_owned();
        let value = parts.next()?.parse().ok()?;
        Some((path, parts.next()?.parse().ok()?, value))
    };
    lines
        .map(|line| point(line).unwrap_or_else(|| panic!("no point: {line}")))
        .collect()
}
