//! What a counter counted in each minute, from its samples.
//!
//! Prometheus' `increase` extrapolates, and a threshold of 10 should not be passed by 9 beacons. Here a
//! minute counts the difference of the samples at its ends, series by series, before anything is added up:
//! the sum of several counters goes down when one of them leaves, which would look like a reset.
//!
//! * A value below the one before is a counter that began again at 0: the value itself counts.
//! * A first sample counts as from 0 when its instance was scraped a minute earlier: the agent's counters
//!   begin at 0. If the series was there before, long ago, it goes on from what it was then.
//! * What was counted while nobody looked (the instance was down, or it caught up with lines of earlier
//!   times) belongs to no minute that is known: it is left out, and whoever asks says that something is
//!   missing.

use std::collections::BTreeSet;

use crate::commands::check::evidence::Minutes;

/// When an instance was seen, by ends of minutes.
#[derive(Clone, Debug, Default)]
pub(super) struct Instance {
    /// It was scraped in the minute that ends there.
    pub(super) seen: BTreeSet<i64>,
    /// What it counted then may be of earlier minutes.
    pub(super) late: BTreeSet<i64>,
}

impl Instance {
    /// Whether all that it counted in the minute that ends there is known to be of that minute.
    pub(super) fn is_whole(&self, end: i64) -> bool {
        self.seen.contains(&end) && self.seen.contains(&(end - 60)) && !self.late.contains(&end)
    }
}

/// Whether a series begins where its instance was seen before, so that its value of long ago matters.
pub(super) fn begins_late(samples: &Minutes, instance: &Instance) -> bool {
    samples
        .first_key_value()
        .is_some_and(|(end, value)| *value > 0.0 && instance.seen.contains(&(end - 60)))
}

/// By start of minute, from samples by end of minute; `before` is what the series was long ago.
pub(super) fn increases(samples: &Minutes, instance: &Instance, before: Option<f64>) -> Minutes {
    let mut minutes = Minutes::new();
    let mut last = before.unwrap_or(0.0);
    for (&end, &value) in samples {
        let increase = if value >= last { value - last } else { value };
        if instance.is_whole(end) {
            minutes.insert(end - 60, increase);
        }
        last = value;
    }
    minutes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[(i64, f64)]) -> Minutes {
        values.iter().map(|(n, value)| (n * 60, *value)).collect()
    }

    fn seen(ends: impl IntoIterator<Item = i64>) -> Instance {
        Instance {
            seen: ends.into_iter().map(|n| n * 60).collect(),
            late: BTreeSet::new(),
        }
    }

    fn counted(values: &[(i64, f64)], instance: &Instance, before: Option<f64>) -> Vec<(i64, f64)> {
        let minutes = increases(&samples(values), instance, before);
        minutes.iter().map(|(at, n)| (at / 60, *n)).collect()
    }

    #[test]
    fn a_minute_counts_the_difference_of_its_ends() {
        let found = counted(&[(1, 5.0), (2, 7.0), (3, 7.0)], &seen(1..4), None);
        assert_eq!(found, [(1, 2.0), (2, 0.0)]);
    }

    #[test]
    fn a_smaller_value_is_a_counter_that_began_again() {
        let found = counted(&[(1, 5.0), (2, 3.0), (3, 4.0)], &seen(1..4), None);
        assert_eq!(found, [(1, 3.0), (2, 1.0)]);
    }

    #[test]
    fn a_new_series_of_a_known_instance_counts_from_zero_and_of_a_new_one_not_at_all() {
        assert_eq!(counted(&[(2, 9.0)], &seen(1..4), None), [(1, 9.0)]);
        assert_eq!(counted(&[(2, 9.0)], &seen(2..4), None), []);
        assert_eq!(
            counted(&[(2, 900.0), (3, 905.0)], &seen(2..4), None),
            [(2, 5.0)]
        );
    }

    #[test]
    fn a_series_that_returns_goes_on_from_what_it_was() {
        assert_eq!(
            counted(&[(2, 5003.0)], &seen(1..4), Some(5000.0)),
            [(1, 3.0)]
        );
        assert_eq!(
            counted(&[(1, 5.0), (4, 9.0)], &seen(1..5), None),
            [(3, 4.0)]
        );
    }

    #[test]
    fn what_was_counted_while_nobody_looked_is_in_no_minute() {
        let mut instance = seen([1, 2, 5, 6, 7]);
        let values = [(1, 1.0), (2, 2.0), (5, 400.0), (6, 401.0), (7, 901.0)];
        assert_eq!(
            counted(&values, &instance, None),
            [(1, 1.0), (5, 1.0), (6, 500.0)]
        );
        instance.late.insert(7 * 60);
        assert_eq!(counted(&values, &instance, None), [(1, 1.0), (5, 1.0)]);
    }
}
