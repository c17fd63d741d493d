//! Minutes of event time, as the lines of one log go through them.
//!
//! Counts, while cutting times into minutes, how many lines each minute had, which ones came after
//! their minute was published, and what the newest time was.

use std::collections::BTreeMap;

use crate::pipeline::Windows;

/// Seconds of a window.
pub(in crate::commands) const MINUTE: i64 = 60;

/// The minute that holds a time.
pub(in crate::commands) fn minute_of(seconds: i64) -> i64 {
    seconds.saturating_sub(seconds.rem_euclid(MINUTE))
}

/// The windows of a daemon.
#[derive(Debug)]
pub(in crate::commands) struct Minutes {
    /// Minutes before this one are published.
    pub(in crate::commands) closed: i64,
    /// The newest time since it was last reset, `i64::MIN` when there was none.
    pub(in crate::commands) newest: i64,
    /// Lines of published minutes.
    pub(in crate::commands) late: u64,
    /// Lines of each minute, those of the current one not yet added.
    lines: BTreeMap<i64, u64>,
    current: i64,
    count: u64,
}

impl Minutes {
    /// Nothing seen yet; minutes before `closed` are published.
    pub(in crate::commands) fn new(closed: i64) -> Minutes {
        Minutes {
            closed,
            newest: i64::MIN,
            late: 0,
            lines: BTreeMap::new(),
            current: i64::MIN,
            count: 0,
        }
    }

    /// Lines by minute since they were last taken.
    pub(in crate::commands) fn take(&mut self) -> BTreeMap<i64, u64> {
        self.settle();
        std::mem::take(&mut self.lines)
    }

    fn settle(&mut self) {
        if self.count > 0 {
            *self.lines.entry(self.current).or_default() += self.count;
            self.count = 0;
        }
    }
}

impl Windows for Minutes {
    #[inline]
    fn start(&mut self, seconds: i64) -> i64 {
        let minute = minute_of(seconds);
        if minute != self.current {
            self.settle();
            self.current = minute;
        }
        self.count += 1;
        self.late += u64::from(minute < self.closed);
        self.newest = self.newest.max(seconds);
        minute
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_in_their_minutes() {
        let mut minutes = Minutes::new(120);
        let starts = [130, 61, 59, 179, -1].map(|seconds| minutes.start(seconds));
        assert_eq!(starts, [120, 60, 0, 120, -60]);
        assert_eq!((minutes.late, minutes.newest), (3, 179));
        let lines: Vec<_> = minutes.take().into_iter().collect();
        assert_eq!(lines, [(-60, 1), (0, 1), (60, 1), (120, 2)]);
        assert!(minutes.take().is_empty());
        assert_eq!(minutes.start(125), 120);
        assert_eq!(minutes.take(), BTreeMap::from([(120, 1)]));
    }
}
