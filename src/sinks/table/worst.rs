//! Who is worst, and since when.
//!
//! For each metric that counts failures (its name says `beacon` or `errors`) one sentence names the
//! worst value of its last label: a provider, a POP, a country. Series are added up over the other
//! labels, whose values follow in brackets; values that name nobody (`unknown`, `_other`) are passed
//! over.
//!
//! Since when: a bucket (a minute, in ranges up to a day) stands out when it is above a twentieth of
//! the peak and above twice the lower quartile of all buckets. The answer is the run of such
//! buckets around the peak; up to two that do not stand out are bridged, because small counts
//! flicker. The quartile instead of the median: an incident may fill half of the log one looks at.
//! When not even the peak is twice the quartile, nothing stands out, and the sentence says so.

use std::collections::BTreeMap;

use super::blocks::{Block, Row, Rows};
use super::grid::GAP;
use super::{Style, TableOptions, faults, safe};
use crate::metrics::{Decimal, Kind, Metric, OTHER};
use crate::sinks::Summary;
use crate::sinks::text::{percent, short, thousands};
use crate::sinks::timeline::Timeline;

/// Buckets without an excess that do not end a run.
const BRIDGED: usize = 2;

/// Other labels' values named in brackets.
const NAMED: usize = 2;

/// The worst value of a metric's last label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// Name of the last label; empty for a metric without labels.
    label: String,
    value: String,
    total: Decimal,
    /// Of all values.
    whole: Decimal,
    /// Values of the other labels, largest first.
    among: Vec<(String, Decimal)>,
    run: Run,
    /// Greatest value, its start, and the seconds it spans.
    peak: (Decimal, i64, i64),
}

/// When something stood out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// Start in Unix seconds; `None` when the run begins with the range, so perhaps before it.
    from: Option<i64>,
    /// End; `None` when the run reaches the end of the range.
    to: Option<i64>,
    /// The run has higher buckets than the rest.
    stands_out: bool,
}

/// True for counters of failures.
pub(super) fn is_failure(metric: &Metric) -> bool {
    let named = ["beacon", "errors"]
        .iter()
        .any(|word| metric.name.contains(word));
    let counts = matches!(metric.kind, Kind::Count | Kind::Sum);
    named && counts && !faults::is_near_misses(metric)
}

/// The rows of one value of the last label.
struct Group<'r> {
    value: &'r str,
    rows: Vec<&'r Row>,
    total: Decimal,
}

impl Finding {
    /// The worst of all series; `None` for a metric that does not count failures, or none that
    /// has a name.
    pub(super) fn of(all: &Rows) -> Option<Finding> {
        if !is_failure(&all.metric) {
            return None;
        }
        let worst = groups(&all.rows).into_iter().reduce(|worst, other| {
            if other.total > worst.total {
                other
            } else {
                worst
            }
        })?;
        let timeline = worst.timeline()?;
        Some(Finding {
            label: all.metric.labels.last().cloned().unwrap_or_default(),
            value: worst.value.to_owned(),
            total: worst.total,
            whole: all
                .rows
                .iter()
                .fold(Decimal::ZERO, |sum, row| sum.plus(row.total)),
            among: worst.among(),
            run: Run::of(&timeline),
            peak: worst.peak(&timeline),
        })
    }

    fn sentence(&self, metric: &Metric, summary: &Summary, options: &TableOptions<'_>) -> String {
        let noun = noun(metric);
        let subject = options.paint(Style::Bad, &self.subject());
        let share = percent(self.total, self.whole);
        let (total, whole) = (thousands(self.total), thousands(self.whole));
        let numbers = match self.label.as_str() {
            "" => format!("{total} {noun}"),
            _ => format!("{total} of {whole} {noun} ({share})"),
        };
        let begin = summary.from.unwrap_or(0);
        let when = self.run.spelt(begin, options);
        format!(
            "{GAP}{subject}: {numbers}, {when}, {}",
            self.spelt_peak(summary.step, options)
        )
    }

    /// `pop IAD (fastly)`.
    fn subject(&self) -> String {
        if self.label.is_empty() {
            return "all".to_owned();
        }
        let shown = self
            .among
            .iter()
            .take(NAMED)
            .map(|(name, part)| match self.among.len() {
                1 => safe(name),
                _ => format!("{} {}", safe(name), percent(*part, self.total)),
            });
        let among = shown.collect::<Vec<_>>().join(", ");
        let brackets = if among.is_empty() {
            String::new()
        } else {
            format!(" ({among})")
        };
        format!("{} {}{brackets}", self.label, safe(&self.value))
    }

    /// `worst minute 07:12 (131)`.
    fn spelt_peak(&self, step: i64, options: &TableOptions<'_>) -> String {
        let (value, start, span) = self.peak;
        let unit = match step {
            60 => "minute",
            3600 => "hour",
            86400 => "day",
            _ => "window",
        };
        let span = match span / step.max(1) {
            0 | 1 => unit.to_owned(),
            several => format!("{several} {unit}s from"),
        };
        format!("worst {span} {} ({})", options.time(start), short(value.0))
    }
}

/// Rows by the last label's value, without those that name nobody.
fn groups(rows: &[Row]) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<&str, Group<'_>> = BTreeMap::new();
    for row in rows {
        let value = row.labels.last().map_or("", String::as_str);
        if !row.labels.is_empty() && ["", "unknown", OTHER].contains(&value) {
            continue;
        }
        let empty = || Group {
            value,
            rows: Vec::new(),
            total: Decimal::ZERO,
        };
        let group = groups.entry(value).or_insert_with(empty);
        group.total = group.total.plus(row.total);
        group.rows.push(row);
    }
    groups.into_values().collect()
}

impl Group<'_> {
    fn timeline(&self) -> Option<Timeline> {
        let (first, others) = self.rows.split_first()?;
        let mut timeline = first.timeline.clone();
        others.iter().for_each(|row| timeline.merge(&row.timeline));
        Some(timeline)
    }

    /// Totals by the other labels, largest first.
    fn among(&self) -> Vec<(String, Decimal)> {
        let named = self.rows.iter().filter_map(|row| {
            let (_, others) = row.labels.split_last()?;
            (!others.is_empty()).then(|| (others.join(" "), row.total))
        });
        let mut among: Vec<_> = named.collect();
        among.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        among
    }

    /// Greatest value, start and seconds. One series knows its worst window, several together only
    /// their worst bucket.
    fn peak(&self, timeline: &Timeline) -> (Decimal, i64, i64) {
        if let [row] = self.rows.as_slice() {
            return (row.peak.0, row.peak.1, 0);
        }
        let at = highest(timeline.buckets());
        let value = timeline.buckets().get(at).copied().unwrap_or_default();
        (value, timeline.start(at), timeline.span())
    }
}

/// The first of the greatest.
fn highest(buckets: &[Decimal]) -> usize {
    let greatest = buckets.iter().max();
    buckets
        .iter()
        .position(|bucket| Some(bucket) == greatest)
        .unwrap_or(0)
}

impl Run {
    fn of(timeline: &Timeline) -> Run {
        let buckets = timeline.buckets();
        let mut sorted = buckets.to_vec();
        sorted.sort_unstable();
        let quartile = sorted.get(sorted.len() / 4).copied().unwrap_or_default();
        let greatest = sorted.last().copied().unwrap_or_default();
        let threshold = quartile.plus(quartile).max(Decimal(greatest.0 / 20));
        if greatest <= threshold {
            return Run {
                from: None,
                to: None,
                stands_out: false,
            };
        }
        let peak = highest(buckets);
        let (before, after) = buckets.split_at_checked(peak + 1).unwrap_or((buckets, &[]));
        let first = peak - extent(before.iter().rev().skip(1), threshold);
        let last = peak + extent(after.iter(), threshold);
        Run {
            from: (first > 0).then(|| timeline.start(first)),
            to: (last + 1 + BRIDGED < buckets.len()).then(|| timeline.start(last + 1)),
            stands_out: true,
        }
    }

    /// `since 07:06`; `begin` is the start of the range.
    fn spelt(self, begin: i64, options: &TableOptions<'_>) -> String {
        let or_before = || format!("{} or before", options.time(begin));
        let from = self.from.map_or_else(or_before, |from| options.time(from));
        match self.to {
            _ if !self.stands_out => "all the time".to_owned(),
            None => format!("since {from}"),
            Some(to) => format!("from {from} to {}", options.time(to)),
        }
    }
}

/// How many buckets the run goes on, bridging short dips.
fn extent<'b>(buckets: impl Iterator<Item = &'b Decimal>, threshold: Decimal) -> usize {
    let mut reached = 0;
    for (distance, bucket) in (1..).zip(buckets) {
        if *bucket > threshold {
            reached = distance;
        } else if distance - reached > BRIDGED {
            break;
        }
    }
    reached
}

/// `failure beacons` for `cdn_failure_beacons_by_pop_total`.
fn noun(metric: &Metric) -> String {
    let name = metric.name.strip_suffix("_total").unwrap_or(&metric.name);
    let name = name.split_once("_by_").map_or(name, |(name, _)| name);
    name.strip_prefix("cdn_").unwrap_or(name).replace('_', " ")
}

/// A title and a sentence for each metric that counts failures.
pub(super) fn lines(
    blocks: &[Block],
    summary: &Summary,
    options: &TableOptions<'_>,
) -> Vec<String> {
    let sentences = blocks.iter().filter_map(|block| {
        Some(
            block
                .finding
                .as_ref()?
                .sentence(&block.metric, summary, options),
        )
    });
    let mut lines: Vec<String> = sentences.collect();
    if !lines.is_empty() {
        lines.insert(0, options.paint(Style::Title, "Worst"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::timeline::Join;
    use proptest::prelude::*;

    fn run(values: &[u64]) -> Run {
        let minutes = i64::try_from(values.len()).unwrap();
        let mut line = Timeline::new(0, minutes * 60, 60, 1440, Join::Sum);
        for (minute, value) in (0..).zip(values) {
            line.add(minute * 60, Decimal::whole(*value));
        }
        Run::of(&line)
    }

    fn minutes(from: Option<i64>, to: Option<i64>) -> Run {
        let seconds = |minute: i64| minute * 60;
        Run {
            from: from.map(seconds),
            to: to.map(seconds),
            stands_out: true,
        }
    }

    #[test]
    fn a_run_begins_where_values_leave_the_background() {
        assert_eq!(
            run(&[1, 0, 2, 1, 30, 90, 100, 80, 95]),
            minutes(Some(4), None)
        );
        assert_eq!(run(&[0, 0, 0, 5, 9, 0, 0, 0, 0]), minutes(Some(3), Some(5)));
        assert_eq!(run(&[0, 0, 0, 1]), minutes(Some(3), None));
    }

    #[test]
    fn short_dips_are_bridged_and_long_ones_are_not() {
        assert_eq!(run(&[0, 0, 0, 5, 0, 0, 9, 0, 5]), minutes(Some(3), None));
        assert_eq!(
            run(&[0, 5, 0, 0, 0, 9, 0, 0, 0, 5]),
            minutes(Some(5), Some(6))
        );
    }

    #[test]
    fn an_incident_older_than_the_log_begins_before_it() {
        assert_eq!(run(&[90, 100, 80, 0, 0, 0, 0, 0]), minutes(None, Some(3)));
    }

    #[test]
    fn a_steady_rate_does_not_stand_out() {
        assert!(!run(&[10, 12, 9, 11, 10]).stands_out);
        assert!(!run(&[]).stands_out);
    }

    proptest! {
        #[test]
        fn the_peak_lies_in_its_run(values in prop::collection::vec(0u64..50, 0..80)) {
            let run = run(&values);
            let peak = values.iter().max().and_then(|max| values.iter().position(|v| v == max));
            let peak = i64::try_from(peak.unwrap_or(0)).unwrap() * 60;
            prop_assert!(run.from.is_none_or(|from| from <= peak));
            prop_assert!(run.to.is_none_or(|to| peak < to));
        }
    }
}
