//! Each rule of judging, and the laws: more never looks better, doubts never give OK.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::judge;
use crate::cli::NoData;
use crate::commands::check::evidence::{Evidence, Lines, Minutes, Series};
use crate::commands::check::question::{Measure, Question, made};
use crate::commands::check::verdict::{DoubtKind, Judged, Verdict};
use crate::nagios::State;

/// The end of the newest closed minute: minute 0 begins an hour before.
const CLOSED: i64 = 1_790_553_600;
const NOW: i64 = CLOSED + 30;

/// Five minutes by provider.
fn question(measure: Measure, warning: &str, critical: &str) -> Question {
    made(measure, 5, (warning, critical))
}

/// The newest closed minutes and the open one, as `(minutes before CLOSED, count)`; -1 is open.
fn minutes(counts: &[(i64, f64)]) -> Minutes {
    let at = |(back, n): &(i64, f64)| (CLOSED - back * 60, *n);
    counts.iter().map(at).collect()
}

fn evidence(series: &[(&str, &[(i64, f64)])]) -> Evidence {
    let lines = Lines {
        read: 100,
        ..Lines::default()
    };
    Evidence {
        closed: Some(CLOSED),
        series: series
            .iter()
            .map(|(label, counts)| Series {
                labels: vec![(*label).to_owned()],
                minutes: minutes(counts),
                ..Series::default()
            })
            .collect(),
        lines: Some((0..400).map(|back| (CLOSED - back * 60, lines)).collect()),
        complete_from: CLOSED - 400 * 60,
        ..Evidence::default()
    }
}

fn count(evidence: &Evidence) -> Verdict {
    judge(&question(Measure::Count, "5", "10"), evidence, NOW)
}

fn first(verdict: &Verdict) -> &Judged {
    verdict.judged.first().expect("a series")
}

#[test]
fn the_window_is_the_newest_closed_minutes() {
    let verdict = count(&evidence(&[("fastly", &[(1, 3.0), (5, 2.0), (6, 50.0)])]));
    assert_eq!(first(&verdict).count, 5.0);
    assert_eq!(verdict.state, State::Ok);
    assert_eq!(verdict.window, Some((CLOSED - 300, CLOSED - 60)));
}

#[test]
fn the_open_minute_raises_and_never_lowers() {
    let verdict = count(&evidence(&[("fastly", &[(0, 20.0), (5, 3.0)])]));
    assert_eq!(
        (verdict.state, first(&verdict).by_open_minute),
        (State::Critical, true)
    );
    assert_eq!(first(&verdict).count, 20.0);
    let verdict = count(&evidence(&[("fastly", &[(5, 20.0)])]));
    assert_eq!(
        (verdict.state, first(&verdict).by_open_minute),
        (State::Critical, false)
    );
    // Too few, and fewer still in a window whose last minute is not over.
    let too_few = question(Measure::Count, "0:", "10:");
    let verdict = judge(&too_few, &evidence(&[("fastly", &[(5, 12.0)])]), NOW);
    assert_eq!(verdict.state, State::Ok);
}

#[test]
fn a_value_has_its_own_range_and_the_absent_are_zero() {
    let mut question = question(Measure::Count, "5", "10");
    let own = |label: &str, text: &str| (label.to_owned(), text.parse().expect("a range"));
    question.critical.some = vec![own("fastly", "100"), own("keycdn", "1:")];
    question.warning.some = vec![own("fastly", "50")];
    let verdict = judge(&question, &evidence(&[("fastly", &[(1, 20.0)])]), NOW);
    let states: Vec<_> = verdict
        .judged
        .iter()
        .map(|judged| (judged.labels.join(","), judged.state, judged.count))
        .collect();
    assert_eq!(
        states,
        [
            ("keycdn".to_owned(), State::Critical, 0.0),
            ("fastly".to_owned(), State::Ok, 20.0)
        ]
    );
}

#[test]
fn zero_no_data_and_incomplete_are_three_things() {
    let zero = count(&evidence(&[("fastly", &[])]));
    assert_eq!(
        (zero.state, zero.no_data, zero.doubts.len()),
        (State::Ok, false, 0)
    );

    let mut silent = evidence(&[("fastly", &[])]);
    silent.lines = Some(BTreeMap::new());
    for (no_data, state) in [
        (NoData::Unknown, State::Unknown),
        (NoData::Ok, State::Ok),
        (NoData::Critical, State::Critical),
    ] {
        let mut question = question(Measure::Count, "5", "10");
        question.limits.no_data = no_data;
        let verdict = judge(&question, &silent, NOW);
        assert_eq!((verdict.state, verdict.no_data), (state, true));
    }

    let mut incomplete = evidence(&[("fastly", &[])]);
    incomplete.problems = vec!["agent b is down".to_owned()];
    let verdict = count(&incomplete);
    assert_eq!((verdict.state, verdict.no_data), (State::Unknown, false));
    assert_eq!(verdict.doubts[0].text, "incomplete: agent b is down");
}

#[test]
fn stale_data_is_unknown_whatever_it_counted() {
    let evidence = evidence(&[("fastly", &[(1, 1000.0)])]);
    let question = question(Measure::Count, "5", "10");
    let verdict = judge(&question, &evidence, CLOSED + 301);
    assert_eq!(verdict.state, State::Unknown);
    assert_eq!(
        verdict.doubts[0].text,
        "stale: the data ends 5 min ago (limit 5 min)"
    );
    assert_eq!(
        judge(&question, &evidence, CLOSED + 300).state,
        State::Critical
    );
}

#[test]
fn each_lack_makes_the_window_incomplete() {
    type Lack = fn(&mut Evidence);
    let lacks: [(&str, Lack); 6] = [
        ("not wholly counted", |e| line(e).incomplete = true),
        ("not understood", |e| line(e).unparsed = 60),
        ("near misses", |e| e.near_misses = minutes(&[(2, 7.0)])),
        ("wait for graphite", |e| {
            e.queues = vec![("graphite".to_owned(), 16)]
        }),
        ("wholly seen", |e| e.complete_from = CLOSED - 120),
        ("is down", |e| e.problems = vec!["b is down".to_owned()]),
    ];
    for (word, lack) in lacks {
        for (counted, state) in [(4.0, State::Unknown), (11.0, State::Critical)] {
            let mut evidence = evidence(&[("fastly", &[(1, counted)])]);
            lack(&mut evidence);
            if counted > 7.0 && word == "near misses" {
                evidence.near_misses = minutes(&[(2, 17.0)]);
            }
            let verdict = count(&evidence);
            assert_eq!(verdict.state, state, "{word}");
            assert_eq!(first(&verdict).at_least, state == State::Critical, "{word}");
            assert_eq!(verdict.doubts[0].kind, DoubtKind::Incomplete);
            assert!(
                verdict.doubts[0].text.contains(word),
                "{:?}",
                verdict.doubts
            );
        }
    }
}

fn line(evidence: &mut Evidence) -> &mut Lines {
    let lines = evidence.lines.as_mut().expect("lines");
    lines.get_mut(&(CLOSED - 120)).expect("a minute")
}

#[test]
fn too_few_of_incomplete_data_is_not_known_to_be_too_few() {
    let mut evidence = evidence(&[("fastly", &[(1, 3.0)])]);
    evidence.problems = vec!["b is down".to_owned()];
    let question = question(Measure::Count, "5:", "1:");
    assert_eq!(judge(&question, &evidence, NOW).state, State::Unknown);
}

#[test]
fn a_rate_is_per_second() {
    let question = question(Measure::Rate, "0.1", "1");
    let verdict = judge(&question, &evidence(&[("fastly", &[(1, 60.0)])]), NOW);
    assert_eq!(
        (verdict.state, first(&verdict).value),
        (State::Warning, 0.2)
    );
}

#[test]
fn a_ratio_is_judged_by_what_it_is_at_least() {
    let question = question(Measure::Ratio { min_sample: 50 }, "5", "20");
    let judged = |a: f64, b: f64| {
        let mut evidence = evidence(&[("fastly", &[(1, a)])]);
        evidence.series[0].base = minutes(&[(1, b)]);
        first(&judge(&question, &evidence, NOW)).clone()
    };
    assert_eq!(judged(10.0, 100.0).state, State::Warning);
    // 6 % of 100 may well be 3 %.
    assert_eq!(judged(6.0, 100.0).state, State::Ok);
    assert_eq!(judged(60.0, 1000.0).state, State::Ok);
    assert_eq!(judged(90.0, 1000.0).state, State::Warning);
    let small = judged(20.0, 20.0);
    assert_eq!((small.state, small.spared.is_some()), (State::Ok, true));
    let outage = judged(200.0, 0.0);
    assert_eq!((outage.state, outage.value > 98.0), (State::Critical, true));
}

#[test]
fn an_alarm_needs_its_minutes() {
    let mut question = question(Measure::Count, "5", "10");
    question.min_minutes = 2;
    let burst = judge(&question, &evidence(&[("fastly", &[(2, 40.0)])]), NOW);
    assert_eq!(burst.state, State::Ok);
    assert_eq!(
        first(&burst).spared.as_deref(),
        Some("only 1 min with counts, 2 are wanted")
    );
    let two = judge(
        &question,
        &evidence(&[("fastly", &[(2, 40.0), (1, 1.0)])]),
        NOW,
    );
    assert_eq!(two.state, State::Critical);
}

#[test]
fn since_is_the_first_minute_of_the_incident() {
    let incident: Vec<(i64, f64)> = (1..13)
        .filter(|back| ![4, 5, 6].contains(back))
        .map(|back| (back, 20.0))
        // Background, long before and just before.
        .chain([(14, 1.0), (60, 1.0)])
        .collect();
    let verdict = count(&evidence(&[("fastly", &incident)]));
    assert_eq!(first(&verdict).since, Some(CLOSED - 12 * 60));
    assert!(!first(&verdict).since_or_before);
    let always: Vec<(i64, f64)> = (1..400).map(|back| (back, 20.0)).collect();
    let mut evidence = evidence(&[("fastly", &always)]);
    evidence.complete_from = CLOSED - 20 * 60;
    assert_eq!(count(&evidence).state, State::Critical);
}

#[test]
fn the_worst_series_comes_first_and_makes_the_state() {
    let verdict = count(&evidence(&[
        ("akamai", &[(1, 7.0)]),
        ("fastly", &[(1, 70.0)]),
        ("keycdn", &[]),
    ]));
    let labels: Vec<_> = verdict.judged.iter().map(|j| j.labels.join(",")).collect();
    assert_eq!(labels, ["fastly", "akamai", "keycdn"]);
    assert_eq!(verdict.state, State::Critical);
}

proptest! {
    #[test]
    fn more_lines_never_lower_the_severity(
        counts in proptest::collection::vec(0u32..8, 6),
        at in 0usize..6,
        more in 1u32..20,
        min_minutes in 1u32..4,
        doubted: bool,
        rate: bool,
    ) {
        let measure = if rate { Measure::Rate } else { Measure::Count };
        let (warning, critical) = if rate { ("0.03", "0.06") } else { ("10", "20") };
        let mut question = question(measure, warning, critical);
        question.min_minutes = min_minutes;
        let state = |counts: &[u32]| {
            let at = |(i, n): (usize, &u32)| (i64::try_from(i).expect("few"), f64::from(*n));
            let counts: Vec<(i64, f64)> = counts.iter().enumerate().map(at).collect();
            let mut evidence = evidence(&[("fastly", &counts)]);
            if doubted {
                evidence.problems.push("b is down".to_owned());
            }
            judge(&question, &evidence, NOW).state
        };
        let before = state(&counts);
        let mut counts = counts;
        counts[at] += more;
        let after = state(&counts);
        prop_assert!(after.severity() >= before.severity(), "{before:?} {after:?}");
    }

    #[test]
    fn doubts_never_give_ok_and_order_changes_nothing(
        counts in proptest::collection::vec(0u32..30, 1..5),
        doubt in 0usize..4,
        ranges in proptest::sample::select(vec![("5", "10"), ("5:", "2:"), ("@3:9", "@5:7")]),
        measure in proptest::sample::select(vec![
            Measure::Count,
            Measure::Rate,
            Measure::Ratio { min_sample: 10 },
            Measure::Anomaly,
        ]),
    ) {
        let names = ["a", "b", "c", "d", "e"];
        let counts: Vec<[(i64, f64); 1]> = counts.iter().map(|n| [(1, f64::from(*n))]).collect();
        let series: Vec<(&str, &[(i64, f64)])> =
            names.iter().zip(&counts).map(|(name, n)| (*name, n.as_slice())).collect();
        let mut evidence = evidence(&series);
        match doubt {
            0 => evidence.problems.push("b is down".to_owned()),
            1 => line(&mut evidence).incomplete = true,
            2 => evidence.lines = Some(BTreeMap::new()),
            _ => evidence.closed = Some(CLOSED - 3600),
        }
        let question = question(measure, ranges.0, ranges.1);
        let verdict = judge(&question, &evidence, NOW);
        prop_assert!(verdict.state != State::Ok);
        prop_assert!(verdict.judged.iter().all(|judged| judged.state != State::Ok));
        prop_assert!(!verdict.doubts.is_empty());
        evidence.series.reverse();
        prop_assert_eq!(judge(&question, &evidence, NOW), verdict);
    }
}

#[test]
fn data_of_a_time_that_has_not_come_is_not_known() {
    let ahead = evidence(&[("fastly", &[(1, 3.0)])]);
    let question = question(Measure::Count, "5", "10");
    assert_eq!(judge(&question, &ahead, CLOSED - 50).state, State::Ok);
    let verdict = judge(&question, &ahead, CLOSED - 70);
    assert_eq!(verdict.state, State::Unknown);
    let said = &verdict.doubts.first().expect("a doubt").text;
    assert!(said.contains("70 s ahead of the clock here"), "{said}");
}

#[test]
fn of_no_series_nobody_can_say_that_one_is_missing() {
    let none = evidence(&[]);
    let state = |critical| judge(&question(Measure::Count, "~:5", critical), &none, NOW).state;
    assert_eq!(state("10"), State::Ok);
    assert_eq!(state("10:"), State::Unknown);
    assert_eq!(state("@0:1"), State::Unknown);
}

#[test]
fn what_may_have_been_folded_into_others_is_not_zero() {
    let mut question = question(Measure::Count, "500", "1000");
    question.critical.some = vec![("keycdn".to_owned(), "5".parse().expect("a range"))];
    let folded = evidence(&[("_other", &[(1, 20.0)])]);
    let verdict = judge(&question, &folded, NOW);
    assert_eq!(verdict.state, State::Unknown);
    let said = &verdict.doubts.first().expect("a doubt").text;
    assert!(said.contains("`keycdn` may have been counted"), "{said}");
    let known = evidence(&[("_other", &[(1, 20.0)]), ("keycdn", &[(9, 1.0)])]);
    assert_eq!(judge(&question, &known, NOW).state, State::Ok);
    let earlier = evidence(&[("_other", &[(50, 20.0)])]);
    assert_eq!(judge(&question, &earlier, NOW).state, State::Ok);
}
