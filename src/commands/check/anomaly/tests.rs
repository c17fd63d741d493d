//! Rules of the pasts, one by one.

use proptest::prelude::*;

use super::super::evidence::{Evidence, Minutes, Series};
use super::super::judge::window::{Window, float};
use super::{DAY, Deviation, HOUR, Past, Usual, deviation, median, scaled};

/// A midnight.
const END: i64 = 1_790_553_600;

/// So many in each minute, by a function of the minutes before `END`, of so many hours.
fn series(hours: i64, count: impl Fn(i64) -> f64) -> Series {
    let mut series = Series::default();
    for back in 1..=hours * 60 {
        let (minute, n) = (END - back * 60, count(back));
        if n > 0.0 {
            series.minutes.insert(minute, n);
            let hour = minute.div_euclid(HOUR) * HOUR;
            *series.hours.entry(hour).or_default() += n;
        }
    }
    series
}

fn of(series: &Series, hours: i64, count: f64) -> Option<Deviation> {
    let evidence = Evidence {
        complete_from: END - hours * HOUR,
        ..Evidence::default()
    };
    let past = Past::of(&evidence, Window::ending(END, 5));
    deviation(&past.usual(&series.minutes, &series.hours), count)
}

#[test]
fn three_beacons_after_silence_are_three_deviations() {
    let silence = Series::default();
    assert_eq!(of(&silence, 80, 3.0).map(|d| d.value), Some(3.0));
    assert_eq!(of(&silence, 80, 12.0).map(|d| d.value), Some(12.0));
}

#[test]
fn a_past_that_is_too_short_says_nothing() {
    assert_eq!(of(&Series::default(), 1, 100.0), None);
    assert!(of(&Series::default(), 2, 100.0).is_some());
}

#[test]
fn a_morning_like_those_before_is_no_deviation() {
    // From 50 a minute to 150 between eleven and one at night, and 50 again an hour later.
    let curve = |back: i64| match (END - back * 60).rem_euclid(DAY) / 60 {
        minute @ 1380..1440 => 50.0 + float(minute - 1380) * 50.0 / 60.0,
        minute @ 0..60 => 100.0 + float(minute) * 50.0 / 60.0,
        minute @ 60..120 => 150.0 - float(minute - 60) * 100.0 / 60.0,
        _ => 50.0,
    };
    let steep = series(100, curve);
    let usual = of(&steep, 100, 490.0).expect("a past");
    assert!(usual.value.abs() < 3.0, "{usual:?}");
    let first_day = of(&steep, 20, 490.0).expect("a past");
    assert!(first_day.value.abs() < 6.0, "{first_day:?}");
    let third = of(&steep, 100, 160.0).expect("a past");
    assert!(third.value < -6.0, "{third:?}");
}

#[test]
fn only_what_all_pasts_call_unusual_is() {
    // Today has twice of what the days before had: its own hours say that this is usual.
    let today = series(100, |back| if back < 600 { 100.0 } else { 50.0 });
    assert!(of(&today, 100, 500.0).expect("a past").value.abs() < 1.0);
    // Quiet hours, and each of the days before had so many now: the days say so.
    let each_day = series(100, |back| if back % 1440 < 60 { 100.0 } else { 0.0 });
    let deviation = of(&each_day, 100, 300.0).expect("a past");
    assert!(deviation.value.abs() < 6.0, "{deviation:?}");
}

#[test]
fn an_incident_does_not_vouch_for_itself() {
    let plateau = series(100, |back| if back <= 60 { 10.0 } else { 0.0 });
    assert!(of(&plateau, 100, 50.0).expect("a past").value > 10.0);
}

#[test]
fn five_weeks_are_a_past_as_well() {
    let evidence = Evidence {
        complete_from: END - 22 * DAY,
        ..Evidence::default()
    };
    let past = Past::of(&evidence, Window::ending(END, 5));
    assert_eq!((past.days.len(), past.weeks.len()), (7, 3));
}

#[test]
fn incomplete_hours_and_minutes_are_no_past() {
    let mut evidence = Evidence {
        complete_from: END - 22 * DAY,
        ..Evidence::default()
    };
    evidence.incomplete_hours.insert(END - DAY - HOUR);
    assert_eq!(Past::of(&evidence, Window::ending(END, 5)).days.len(), 6);
}

#[test]
fn shorter_windows_lie_between_the_middles_of_hours() {
    let hours: Minutes = [(0, 60.0), (HOUR, 120.0)].into();
    let at = |minute: i64| scaled(&hours, Window::ending(minute * 60, 2));
    assert_eq!((at(31), at(61), at(91)), (2.0, 3.0, 4.0));
    let long = Window {
        from: HOUR / 2,
        to: 2 * HOUR,
    };
    assert_eq!(scaled(&hours, long), 150.0);
}

proptest! {
    #[test]
    fn the_median_agrees_with_sorting(counts in proptest::collection::vec(0u32..50, 1..40)) {
        let mut counts: Vec<f64> = counts.into_iter().map(f64::from).collect();
        let mut sorted = counts.clone();
        sorted.sort_by(f64::total_cmp);
        let half = sorted.len() / 2;
        let expected = match sorted.len() % 2 {
            0 => (sorted[half - 1] + sorted[half]) / 2.0,
            _ => sorted[half],
        };
        prop_assert!((median(&mut counts) - expected).abs() < 1e-9);
    }

    #[test]
    fn more_deviates_more(counts in proptest::collection::vec(0u32..500, 8..40), n in 0u32..900) {
        let usual = Usual::of(counts.into_iter().map(f64::from).collect(), 0.08);
        let of = |n: u32| usual.deviation(f64::from(n)).value;
        prop_assert!(of(n) <= of(n + 1));
    }
}
