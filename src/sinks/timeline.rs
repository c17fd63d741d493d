//! A series over time in a bounded number of equal buckets, and its sparkline.
//!
//! Invariant: the number of buckets is fixed at the start from the whole range, so that a year
//! takes no more memory than an hour. A bucket spans whole windows; only the last one may reach
//! beyond the range.

use crate::metrics::Decimal;

const BLOCKS: &[char] = &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII: &[char] = &['.', ':', '-', '=', '+', '*', '#'];

/// Values by time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Timeline {
    from: i64,
    /// Seconds that a bucket spans.
    span: i64,
    buckets: Vec<Decimal>,
    join: Join,
}

/// How two values of one bucket become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    /// Counts.
    Sum,
    /// Gauges: what was high for a moment stays visible.
    Greatest,
}

impl Join {
    fn join(self, a: Decimal, b: Decimal) -> Decimal {
        match self {
            Join::Sum => a.plus(b),
            Join::Greatest => a.max(b),
        }
    }
}

impl Timeline {
    /// Zeros from `from` to `to` (Unix seconds) in at most `most` buckets of one or more windows
    /// of `step` seconds.
    pub(super) fn new(from: i64, to: i64, step: i64, most: usize, join: Join) -> Timeline {
        let step = step.max(1);
        let seconds = u64::try_from(to.saturating_sub(from)).unwrap_or(0);
        let windows = seconds.div_ceil(step.unsigned_abs()).max(1);
        let each = windows.div_ceil(u64::try_from(most).unwrap_or(1).max(1));
        let buckets = usize::try_from(windows.div_ceil(each)).unwrap_or(1);
        let span = step.saturating_mul(i64::try_from(each).unwrap_or(i64::MAX));
        Timeline {
            from,
            span,
            buckets: vec![Decimal::ZERO; buckets],
            join,
        }
    }

    /// Adds the value of the window that begins at `start`; what lies outside the range goes to
    /// its end.
    pub(super) fn add(&mut self, start: i64, value: Decimal) {
        let at = usize::try_from(start.saturating_sub(self.from) / self.span).unwrap_or(0);
        let at = at.min(self.buckets.len().saturating_sub(1));
        if let Some(bucket) = self.buckets.get_mut(at) {
            *bucket = self.join.join(*bucket, value);
        }
    }

    /// Adds another timeline over the same range.
    pub(super) fn merge(&mut self, other: &Timeline) {
        for (bucket, value) in self.buckets.iter_mut().zip(&other.buckets) {
            *bucket = self.join.join(*bucket, *value);
        }
    }

    /// The values, oldest first.
    pub(super) fn buckets(&self) -> &[Decimal] {
        &self.buckets
    }

    /// Seconds that a bucket spans.
    pub(super) fn span(&self) -> i64 {
        self.span
    }

    /// When bucket number `at` begins, in Unix seconds.
    pub(super) fn start(&self, at: usize) -> i64 {
        let at = i64::try_from(at).unwrap_or(i64::MAX);
        self.from.saturating_add(at.saturating_mul(self.span))
    }

    /// The same in at most `most` buckets.
    pub(super) fn coarser(&self, most: usize) -> Timeline {
        let each = self.buckets.len().div_ceil(most.max(1)).max(1);
        let join = |some: &[Decimal]| {
            some.iter()
                .copied()
                .reduce(|a, b| self.join.join(a, b))
                .unwrap_or_default()
        };
        let span = self
            .span
            .saturating_mul(i64::try_from(each).unwrap_or(i64::MAX));
        let buckets = self.buckets.chunks(each).map(join).collect();
        Timeline {
            from: self.from,
            span,
            buckets,
            join: self.join,
        }
    }

    /// At most `columns` characters, as high as the share of the series' own greatest value; blank
    /// for zero and below.
    pub(super) fn sparkline(&self, columns: usize, unicode: bool) -> String {
        let levels = if unicode { BLOCKS } else { ASCII };
        let coarse = self.coarser(columns);
        let greatest = coarse.buckets.iter().copied().max().unwrap_or_default();
        let level = |value: &Decimal| {
            if value.0 <= 0 {
                return ' ';
            }
            let steps = i128::try_from(levels.len()).unwrap_or(1);
            let height = value.0.saturating_mul(steps).saturating_sub(1) / greatest.0;
            usize::try_from(height)
                .ok()
                .and_then(|at| levels.get(at))
                .copied()
                .unwrap_or(' ')
        };
        coarse.buckets.iter().map(level).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(values: &[u64], most: usize) -> Timeline {
        let minutes = i64::try_from(values.len()).unwrap();
        let mut line = Timeline::new(600, 600 + minutes * 60, 60, most, Join::Sum);
        for (minute, value) in (0..).zip(values) {
            line.add(600 + minute * 60, Decimal::whole(*value));
        }
        line
    }

    #[test]
    fn heights_follow_the_greatest_value_and_zero_is_blank() {
        let line = line(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1000], 40);
        assert_eq!(line.sparkline(40, true), " ▁▁▁▁▁▁▁▁ █");
        let line = self::line(&[0, 1, 2, 3, 4, 5, 6, 7, 8], 40);
        assert_eq!(line.sparkline(40, true), " ▁▂▃▄▅▆▇█");
        assert_eq!(line.sparkline(40, false), " .:-=+*##");
    }

    #[test]
    fn long_ranges_share_buckets() {
        let line = line(&[1; 100], 40);
        assert_eq!(line.span(), 180);
        assert_eq!(line.buckets().len(), 34);
        assert_eq!(line.start(33), 600 + 33 * 180);
        assert_eq!(line.sparkline(10, false).len(), 9);
    }

    #[test]
    fn gauges_keep_their_greatest_value() {
        let mut line = Timeline::new(0, 120, 60, 1, Join::Greatest);
        line.add(0, Decimal::whole(3));
        line.add(60, Decimal::whole(2));
        assert_eq!(line.buckets(), [Decimal::whole(3)]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_whatever_the_range(
            values in prop::collection::vec(0u64..1000, 1..200),
            most in 0usize..50,
            columns in 0usize..50,
        ) {
            let sum = |line: &Timeline| line.buckets().iter().fold(Decimal::ZERO, |a, b| a.plus(*b));
            let line = line(&values, most);
            prop_assert_eq!(sum(&line), Decimal::whole(values.iter().sum()));
            prop_assert_eq!(sum(&line.coarser(columns)), sum(&line));
            prop_assert!(line.buckets().len() <= most.max(1));
            prop_assert!(line.sparkline(columns, true).chars().count() <= columns.max(1));
        }

        #[test]
        fn odd_ranges_do_not_panic(from: i64, to: i64, step: i64, start: i64, value: i128) {
            let mut line = Timeline::new(from, to, step, 40, Join::Sum);
            line.add(start, Decimal(value));
            line.sparkline(10, true);
            line.start(39);
        }
    }
}
