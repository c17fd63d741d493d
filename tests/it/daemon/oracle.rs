//! Judges a daemon's whole history, not only its end.
//!
//! * No value that carbon ever took is above the truth: a duplicate cannot hide behind a later
//!   correction.
//! * No counter ever goes down, and none vanishes, over all scrapes and restarts.
//! * No point stands in a minute without lines.
//! * In every scrape, lines are parsed, unparsed, skipped or rejected, and rejected has reasons.
//! * At the end every value is exact.

use std::collections::BTreeMap;

use super::agent::Seen;
use super::scrape::{Scrape, name_of};
use super::truth::{PREFIX, Truth, knows_family, knows_path};
use crate::carbon::Stored;

/// Families of the store: they go on after a restart. The others tell about a process.
const STORED: [&str; 11] = [
    "beacontail_lines_total",
    "beacontail_rejected_total",
    "beacontail_partial_lines_total",
    "beacontail_ambiguous_lines_total",
    "beacontail_late_lines_total",
    "beacontail_log_bytes_total",
    "beacontail_gaps_total",
    "beacontail_gap_bytes_total",
    "beacontail_overflow_total",
    "beacontail_value_errors_total",
    "beacontail_unsent_expired_total",
];

/// Differences shown when a comparison fails.
const SHOWN: usize = 8;

fn is_stored(series: &str) -> bool {
    let name = name_of(series);
    name.starts_with("cdn_") || STORED.contains(&name)
}

#[expect(clippy::cast_precision_loss, reason = "the tests count far below 2^53")]
fn float(n: u64) -> f64 {
    n as f64
}

/// Fails with the first few of these, if there is any.
#[track_caller]
fn none(what: &str, wrong: &[String]) {
    let shown = wrong.iter().take(SHOWN).cloned().collect::<Vec<_>>();
    assert!(
        wrong.is_empty(),
        "{what} ({} times):\n  {}",
        wrong.len(),
        shown.join("\n  ")
    );
}

/// The path on which the agent tells how many lines a minute of the tests' log had.
fn is_own(path: &str) -> bool {
    path.strip_prefix(PREFIX)
        .is_some_and(|path| path.starts_with(".beacontail."))
}

/// What carbon took, in order, never exceeded the truth nor named a minute without lines.
#[track_caller]
pub(crate) fn points_are_sound(history: &[Stored], truth: &Truth) {
    let mut above = Vec::new();
    let mut ghosts = Vec::new();
    for (path, minute, value) in history {
        let shown = || format!("{path} {value} {minute}");
        let lines = truth.minutes.get(minute).copied().unwrap_or_default();
        if is_own(path) {
            if path.ends_with(".lines") && *value > float(lines + truth.others) {
                above.push(format!("{}, lines {lines}", shown()));
            }
            continue;
        }
        if lines == 0 {
            ghosts.push(shown());
        }
        if knows_path(path) {
            let true_value = truth.points.get(&(path.clone(), *minute));
            let true_value = true_value.copied().unwrap_or_default();
            if *value > float(true_value) {
                above.push(format!("{}, truth {true_value}", shown()));
            }
        }
    }
    none("values above the truth reached carbon", &above);
    none("points of minutes without lines reached carbon", &ghosts);
}

/// Counters only grew, over every scrape; none was above the truth; identities held.
#[track_caller]
pub(crate) fn scrapes_are_sound(seen: &[Seen], truth: &Truth) {
    let mut wrong = Vec::new();
    let mut highest: BTreeMap<&str, (usize, f64)> = BTreeMap::new();
    for (at, Seen { start, scrape }) in seen.iter().enumerate() {
        identities(scrape, at, &mut wrong);
        for (series, value) in &scrape.samples {
            if knows_family(name_of(series)) {
                let true_value = truth.series.get(series).copied().unwrap_or_default();
                if *value > float(true_value) {
                    wrong.push(format!("scrape {at}: {series} {value}, truth {true_value}"));
                }
            }
            if !scrape.only_grows(series) {
                continue;
            }
            let before = highest.insert(series, (*start, *value));
            let bound = before.filter(|(before, _)| before == start || is_stored(series));
            if let Some((_, before)) = bound.filter(|(_, before)| before > value) {
                wrong.push(format!("scrape {at}: {series} {value} after {before}"));
            }
        }
        for series in highest.keys().filter(|series| is_stored(series)) {
            if !scrape.samples.contains_key(*series) {
                wrong.push(format!("scrape {at}: {series} has gone"));
            }
        }
    }
    none("scrapes were wrong", &wrong);
}

/// Rejected lines have reasons, log by log.
fn identities(scrape: &Scrape, at: usize, wrong: &mut Vec<String>) {
    for (series, value) in scrape.of("beacontail_lines_total") {
        let Some(log) = series
            .split(['{', ',', '}'])
            .find(|label| label.starts_with("log="))
        else {
            wrong.push(format!("scrape {at}: {series} has no log"));
            continue;
        };
        if series.contains("result=\"rejected\"") {
            let reasons = scrape.sum("beacontail_rejected_total", &[log]);
            if (reasons - value).abs() > 0.0 {
                wrong.push(format!("scrape {at}: {series} {value}, reasons {reasons}"));
            }
        }
    }
}

/// Everything in this scrape that differs from the truth.
pub(crate) fn differences(scrape: &Scrape, truth: &Truth) -> Vec<String> {
    let mut wrong = Vec::new();
    for (series, true_value) in &truth.series {
        let value = scrape.value(series).unwrap_or_default();
        if value < float(*true_value) || value > float(*true_value) {
            wrong.push(format!("{series} {value}, truth {true_value}"));
        }
    }
    for (series, value) in &scrape.samples {
        let known = knows_family(name_of(series));
        if known && *value > 0.0 && !truth.series.contains_key(series) {
            wrong.push(format!("{series} {value}, truth 0"));
        }
    }
    let lines = scrape.sum("beacontail_lines_total", &[]);
    if lines < float(truth.lines) || lines > float(truth.lines) {
        wrong.push(format!("lines {lines}, truth {}", truth.lines));
    }
    wrong
}

/// Everything that stands in carbon and differs from the truth.
pub(crate) fn point_differences(
    points: &BTreeMap<(String, i64), f64>,
    truth: &Truth,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (point, true_value) in &truth.points {
        let value = points.get(point).copied();
        if value.is_none_or(|value| value < float(*true_value) || value > float(*true_value)) {
            wrong.push(format!(
                "{} {}: {value:?}, truth {true_value}",
                point.0, point.1
            ));
        }
    }
    if truth.others == 0 {
        let lines = format!("{PREFIX}.beacontail.access.lines");
        for (minute, n) in &truth.minutes {
            let value = points.get(&(lines.clone(), *minute)).copied();
            if value.is_none_or(|value| value < float(*n) || value > float(*n)) {
                wrong.push(format!("{lines} {minute}: {value:?}, truth {n}"));
            }
        }
    }
    wrong
}

/// The first few differences as text, `Ok` when there is none.
pub(crate) fn verdict(wrong: &[String]) -> Result<(), String> {
    if wrong.is_empty() {
        return Ok(());
    }
    let shown = wrong.iter().take(SHOWN).cloned().collect::<Vec<_>>();
    Err(format!(
        "{} differences:\n  {}",
        wrong.len(),
        shown.join("\n  ")
    ))
}

#[cfg(test)]
mod tests {
    use super::super::writer::Line;
    use super::*;

    fn truth() -> Truth {
        let mut truth = Truth::default();
        (0..6).for_each(|n| truth.add(&Line::of(n, 1_383_203_160)));
        truth
    }

    fn point(path: &str, minute: i64, value: f64) -> Stored {
        (path.to_owned(), minute, value)
    }

    fn seen(start: usize, text: &str) -> Seen {
        let scrape = Scrape::parse(text).unwrap();
        Seen { start, scrape }
    }

    #[test]
    fn growing_values_up_to_the_truth_are_sound() {
        let path = "t.beacons.akamai.count";
        points_are_sound(
            &[
                point(path, 1_383_203_160, 0.0),
                point(path, 1_383_203_160, 1.0),
            ],
            &truth(),
        );
    }

    #[test]
    #[should_panic(expected = "above the truth")]
    fn a_duplicate_is_seen_even_if_it_is_mended_later() {
        let path = "t.beacons.akamai.count";
        points_are_sound(
            &[
                point(path, 1_383_203_160, 2.0),
                point(path, 1_383_203_160, 1.0),
            ],
            &truth(),
        );
    }

    #[test]
    #[should_panic(expected = "without lines")]
    fn a_zero_in_a_minute_without_lines_is_a_ghost() {
        points_are_sound(&[point("t.beacons.x.count", 1_383_203_220, 0.0)], &truth());
    }

    #[test]
    #[should_panic(expected = "after 3")]
    fn a_stored_counter_may_not_go_down_over_a_restart() {
        let text = |n: u32| format!("# TYPE cdn_x_total counter\ncdn_x_total {n}\n");
        scrapes_are_sound(&[seen(1, &text(3)), seen(2, &text(2))], &truth());
    }

    #[test]
    #[should_panic(expected = "has gone")]
    fn a_stored_counter_may_not_vanish() {
        let text = "# TYPE cdn_x_total counter\ncdn_x_total 1\n";
        scrapes_are_sound(&[seen(1, text), seen(2, "")], &truth());
    }

    #[test]
    fn a_process_counter_begins_again_with_its_process() {
        let text = |n: u32| format!("# TYPE beacontail_x_total counter\nbeacontail_x_total {n}\n");
        scrapes_are_sound(&[seen(1, &text(3)), seen(2, &text(2))], &truth());
    }

    #[test]
    #[should_panic(expected = "reasons 1")]
    fn rejected_lines_need_as_many_reasons() {
        let text = "beacontail_lines_total{log=\"a\",result=\"rejected\"} 2\n\
                    beacontail_rejected_total{log=\"a\",reason=\"blank\"} 1\n";
        scrapes_are_sound(&[seen(1, text)], &truth());
    }

    #[test]
    fn missing_and_surplus_counts_are_differences() {
        let truth = truth();
        let mut text: String = truth
            .series
            .iter()
            .map(|(series, n)| format!("{series} {n}\n"))
            .collect();
        text.push_str("beacontail_lines_total{log=\"access\",result=\"parsed\"} 6\n");
        assert_eq!(
            differences(&Scrape::parse(&text).unwrap(), &truth),
            Vec::<String>::new()
        );
        let surplus = text.clone() + "cdn_failure_beacons_total{provider=\"x\"} 1\n";
        assert_eq!(
            differences(&Scrape::parse(&surplus).unwrap(), &truth).len(),
            1
        );
        assert!(!differences(&Scrape::parse("").unwrap(), &truth).is_empty());
        assert!(!point_differences(&BTreeMap::new(), &truth).is_empty());
    }
}
