//! What is kept within bounds: series by limits, windows by age and size.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[test]
fn beyond_the_limit_only_undeclared_labels_become_other() {
    let mut limited = metric("n_total", Kind::Count, &[Some(&["a", "b"]), None]);
    limited.limit = 2;
    let mut overflow = metric("beacontail_overflow_total", Kind::Count, &[None]);
    overflow.labels = vec!["metric".to_owned()];
    let mut fixture = Fixture::new(vec![plan(limited, 1), plan(overflow, 1)]);
    fixture.count(
        &[
            (0, vec!["a", "1"], T, vec![1]),
            (0, vec!["a", "2"], T, vec![1]),
        ],
        MS,
    );
    let committed = fixture.count(
        &[
            (0, vec!["a", "1"], T, vec![1]),
            (0, vec!["a", "3"], T, vec![2]),
            (0, vec!["a", "4"], T, vec![3]),
            (0, vec!["b", "5"], T, vec![4]),
        ],
        MS,
    );
    assert_eq!(committed.overflow, [(0, 9)]);
    assert_eq!(fixture.total(0, &["a", "_other"]), Some(vec![5]));
    assert_eq!(fixture.total(0, &["b", "_other"]), Some(vec![4]));
    assert_eq!(fixture.total(0, &["a", "1"]), Some(vec![2]));
    assert_eq!(fixture.total(1, &["n_total"]), Some(vec![9]));
    assert_eq!(fixture.rows("SELECT sum(n) FROM window"), [12]);
}

#[test]
fn a_label_has_a_limit_of_its_own() {
    let mut limited = metric("n_total", Kind::Count, &[None, None]);
    limited.label_limits = vec![(1, 1)];
    let mut fixture = Fixture::new(vec![plan(limited, 1)]);
    fixture.count(
        &[
            (0, vec!["a", "1"], T, vec![1]),
            (0, vec!["a", "2"], T, vec![1]),
            (0, vec!["b", "1"], T, vec![1]),
            (0, vec!["b", "3"], T, vec![1]),
        ],
        MS,
    );
    assert_eq!(fixture.shown(0, MS), ["a,1", "a,_other", "b,1", "b,_other"]);
}

#[test]
fn a_silent_series_frees_its_slot_and_returns_at_its_total() {
    let mut limited = metric("n_total", Kind::Count, &[None]);
    limited.limit = 1;
    let mut fixture = Fixture::new(vec![plan(limited, 1)]);
    fixture.count(&[(0, vec!["a"], T, vec![5])], MS);
    fixture.count(&[(0, vec!["b"], T, vec![1])], MS);
    assert_eq!(fixture.shown(0, MS), ["_other", "a"]);
    let later = MS + (options().retention + 1) * 1000;
    assert_eq!(fixture.shown(0, later), Vec::<String>::new());
    fixture.count(&[(0, vec!["c"], T + 700_000, vec![1])], later);
    fixture.count(&[(0, vec!["a"], T + 700_000, vec![1])], later);
    assert_eq!(fixture.shown(0, later), ["_other", "c"]);
    let last = later + (options().retention + 1) * 1000;
    fixture.count(&[(0, vec!["a"], T + 1_400_000, vec![1])], last);
    assert_eq!(fixture.shown(0, last), ["a"]);
    assert_eq!(fixture.total(0, &["a"]), Some(vec![6]));
}

#[test]
fn expired_windows_become_hours_and_later_ones_add_to_them() {
    let mut fixture = Fixture::new(vec![beacons()]);
    let point = |minute: i64| (0, vec!["x"], T + minute * 60, vec![1]);
    fixture.count(&[point(0), point(59), point(60), point(61)], MS);
    let later = (T + 61 * 60 + options().retention) * 1000;
    let tidied = fixture.store().tidy(later).unwrap();
    assert_eq!(
        (tidied.windows, tidied.unsent, tidied.more),
        (3, vec![(0, 3)], false)
    );
    assert_eq!(fixture.rows("SELECT n FROM hour ORDER BY hour"), [2, 1]);
    assert_eq!(fixture.rows("SELECT n FROM window"), [1]);
    fixture.count(&[point(0), point(61)], later);
    assert_eq!(fixture.rows("SELECT n FROM hours ORDER BY time"), [3, 1]);
    assert_eq!(fixture.rows("SELECT n FROM window"), [2]);
    assert_eq!(fixture.rows("SELECT minute FROM pending"), [T + 61 * 60]);
    fixture
        .store()
        .tidy((T + 3600 + options().rollups) * 1000)
        .unwrap();
    assert_eq!(fixture.rows("SELECT hour FROM hour"), [T + 3600]);
}

#[test]
fn the_oldest_windows_give_way_to_the_size() {
    let mut fixture = Fixture::new(vec![beacons()]);
    let names: Vec<String> = (0..200).map(|n| format!("node{n}")).collect();
    for minute in 0..60 {
        let points: Vec<_> = names
            .iter()
            .map(|n| (0, vec![n.as_str()], T + minute * 60, vec![1]))
            .collect();
        fixture.count(&points, MS);
    }
    let mut small = options();
    small.max_bytes = 400_000;
    fixture.store().set_options(small);
    while fixture.store().tidy(MS).unwrap().more {}
    let left = fixture.rows("SELECT DISTINCT minute FROM window");
    assert!(!left.is_empty() && left.len() < 60);
    assert_eq!(*left.last().unwrap(), T + 59 * 60);
    let all = "SELECT (SELECT sum(n) FROM window) + (SELECT sum(n) FROM hour)";
    assert_eq!(fixture.rows(all), [12_000]);
    let pages = fixture.rows("PRAGMA page_count")[0];
    assert!(pages * 4096 <= 500_000, "{pages} pages");
}

#[test]
fn the_newest_windows_stay_however_small_the_store() {
    let mut fixture = Fixture::new(vec![beacons()]);
    let points: Vec<_> = (0..60)
        .map(|minute| (0, vec!["x"], T + minute * 60, vec![1]))
        .collect();
    fixture.count(&points, MS);
    let mut small = options();
    small.max_bytes = 1;
    fixture.store().set_options(small);
    let tidied = fixture.store().tidy(MS).unwrap();
    assert_eq!((tidied.windows, tidied.more), (44, false));
    assert_eq!(fixture.rows("SELECT count(*) FROM window"), [16]);
    assert_eq!(fixture.total(0, &["x"]), Some(vec![60]));
}

#[test]
fn unsent_windows_are_counted_in_the_agents_own_metric() {
    let mut unsent = metric("beacontail_unsent_expired_total", Kind::Count, &[None]);
    unsent.labels = vec!["output".to_owned()];
    let mut own = plan(unsent, 1);
    own.windows = false;
    let mut fixture = Fixture::new(vec![beacons(), own]);
    fixture.count(
        &[(0, vec!["x"], T, vec![1]), (0, vec!["y"], T, vec![1])],
        MS,
    );
    let later = MS + (options().retention + 60) * 1000;
    let tidied = fixture.store().tidy(later).unwrap();
    assert_eq!(tidied.unsent, [(0, 2)]);
    fixture.registry.apply(tidied.delta);
    assert_eq!(fixture.total(1, &["graphite"]), Some(vec![2]));
    fixture.restart();
    assert_eq!(fixture.total(1, &["graphite"]), Some(vec![2]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn limits_never_move_a_count_to_another_declared_value(
        counts in prop::collection::vec((0usize..3, 0u8..12, 0i64..3), 1..60),
        limit in 0usize..5,
        pops in 0usize..4,
    ) {
        let mut limited = metric("n_total", Kind::Count, &[Some(&["a", "b"]), None]);
        limited.limit = limit;
        limited.label_limits = vec![(1, pops)];
        let mut fixture = Fixture::new(vec![plan(limited, 1)]);
        let mut truth: BTreeMap<&str, u64> = BTreeMap::new();
        for (round, (provider, pop, minute)) in counts.iter().enumerate() {
            let provider = ["a", "b", "c"][*provider];
            let pop = format!("p{pop}");
            *truth.entry(provider).or_default() += 1;
            fixture.count(&[(0, vec![provider, &pop], T + minute * 60, vec![1])], MS);
            if round == counts.len() / 2 {
                fixture.restart();
            }
        }
        let series = &fixture.registry.series;
        for declared in ["a", "b"] {
            let own = series.iter().filter(|series| series.labels[0] == declared);
            let sum: u64 = own.map(|series| series.cell[0]).sum();
            prop_assert_eq!(sum, truth.get(declared).copied().unwrap_or_default());
        }
        let sum: u64 = series.iter().map(|series| series.cell[0]).sum();
        prop_assert_eq!(sum, counts.len() as u64);
        let plain = || series.iter().filter(|series| series.labels[1] != "_other");
        prop_assert!(plain().count() <= limit);
        let names: BTreeSet<_> = plain().map(|series| &series.labels[1]).collect();
        prop_assert!(names.len() <= pops);
    }
}
