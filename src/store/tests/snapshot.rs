//! What a store says to those who read it, against what was counted into it.

use super::*;
use crate::metrics::{Decimal, Kind};

fn ask(metric: &str, by: &[&str]) -> SeriesQuestion {
    SeriesQuestion {
        metric: metric.to_owned(),
        by: by.iter().map(|&label| label.to_owned()).collect(),
        from: T,
        to: T + 3600,
        step: 60,
        ..SeriesQuestion::default()
    }
}

fn all(_: &str, _: &str) -> bool {
    true
}

fn lines() -> MetricPlan {
    let mut metric = metric("beacontail_lines_total", Kind::Count, &[None, None]);
    metric.labels = vec!["log".to_owned(), "result".to_owned()];
    MetricPlan {
        logs: Vec::new(),
        ..plan(metric, 9)
    }
}

fn incomplete() -> MetricPlan {
    let mut metric = metric("beacontail_incomplete", Kind::Last, &[None]);
    metric.labels = vec!["log".to_owned()];
    MetricPlan {
        logs: Vec::new(),
        ..plan(metric, 8)
    }
}

fn points(answer: &SeriesAnswer) -> Vec<(String, Vec<(i64, u64)>)> {
    let series = answer.series.iter();
    series
        .map(|series| {
            let points = series.points.iter();
            let points = points.map(|point| ((point.at - T) / 60, point.n));
            (series.labels.join(","), points.collect())
        })
        .collect()
}

impl Fixture {
    fn snapshot(&self) -> Snapshot {
        Snapshot::within(self.path()).unwrap()
    }

    fn series(&self, question: &SeriesQuestion) -> SeriesAnswer {
        self.snapshot().series(question, &all).unwrap()
    }
}

/// Providers are declared, POPs are not.
fn by_pop() -> MetricPlan {
    let declared: [Option<&[&str]>; 2] = [Some(&["akamai", "fastly"]), None];
    plan(metric("by_pop_total", Kind::Count, &declared), 4)
}

#[test]
fn labels_that_are_not_kept_add_up() {
    let mut fixture = Fixture::new(vec![by_pop()]);
    fixture.count(
        &[
            (0, vec!["fastly", "LHR"], T, vec![2]),
            (0, vec!["fastly", "CDG"], T, vec![3]),
            (0, vec!["fastly", "CDG"], T + 120, vec![5]),
            (0, vec!["other", "CDG"], T + 60, vec![7]),
        ],
        MS,
    );
    let answer = fixture.series(&ask("by_pop_total", &["provider"]));
    let expected = [
        ("akamai".to_owned(), vec![]),
        ("fastly".to_owned(), vec![(0, 5), (2, 5)]),
        ("other".to_owned(), vec![(1, 7)]),
    ];
    assert_eq!(points(&answer), expected);
    let answer = fixture.series(&ask("by_pop_total", &[]));
    assert_eq!(
        points(&answer),
        [(String::new(), vec![(0, 5), (1, 7), (2, 5)])]
    );
    let steps = SeriesQuestion {
        step: 180,
        ..ask("by_pop_total", &["pop"])
    };
    let answer = fixture.series(&steps);
    assert_eq!((answer.from, answer.to, answer.step), (T, T + 3600, 180));
    let expected = [
        ("CDG".to_owned(), vec![(0, 15)]),
        ("LHR".to_owned(), vec![(0, 2)]),
    ];
    assert_eq!(points(&answer), expected);
}

#[test]
fn matchers_decide_of_series_and_leave_declared_ones() {
    let mut fixture = Fixture::new(vec![by_pop()]);
    fixture.count(
        &[
            (0, vec!["fastly", "LHR"], T, vec![2]),
            (0, vec!["fastly", "CDG"], T, vec![3]),
        ],
        MS,
    );
    let mut question = ask("by_pop_total", &["provider"]);
    question.matched = vec!["pop".to_owned()];
    let lhr = |_: &str, value: &str| value == "LHR";
    let answer = fixture.snapshot().series(&question, &lhr).unwrap();
    let expected = [
        ("akamai".to_owned(), vec![]),
        ("fastly".to_owned(), vec![(0, 2)]),
    ];
    assert_eq!(points(&answer), expected);
    question.matched = vec!["provider".to_owned()];
    let akamai = |_: &str, value: &str| value == "akamai";
    let answer = fixture.snapshot().series(&question, &akamai).unwrap();
    assert_eq!(points(&answer), [("akamai".to_owned(), vec![])]);
}

#[test]
fn sums_observations_and_newest_values_are_told_as_such() {
    let bytes = plan(metric("bytes_total", Kind::Sum, &[None]), 2);
    let bounds = Kind::Buckets(vec![Decimal::whole(1)]);
    let seconds = plan(metric("seconds", bounds, &[None]), 3);
    let gauge = plan(metric("gauge", Kind::Last, &[None]), 5);
    let mut fixture = Fixture::new(vec![bytes, seconds, gauge]);
    let words = |value: u64| Decimal::whole(value).words();
    let [low, high] = words(1 << 40);
    let observed = words(7);
    fixture.count(
        &[
            (0, vec!["x"], T, vec![2, low, high]),
            (0, vec!["y"], T, vec![1, low, high]),
            (1, vec!["x"], T, vec![1, 2, observed[0], observed[1]]),
        ],
        MS,
    );
    let set: Vec<_> = [("x", T, 1), ("x", T + 60, 4), ("y", T, 2)]
        .map(|(label, minute, value)| {
            let [low, high] = words(value);
            (key(2, &[label]), minute, vec![minute as u64, 0, low, high])
        })
        .to_vec();
    let batch = Batch {
        windows_set: &set,
        now_ms: MS,
        ..Batch::default()
    };
    fixture.commit(&batch).unwrap();
    let first = |metric: &str, step: i64| {
        let answer = fixture.series(&SeriesQuestion {
            step,
            ..ask(metric, &[])
        });
        let point = answer.series[0].points[0];
        (answer.kind, point.n, point.sum)
    };
    let tera = 2.0 * (1u64 << 40) as f64;
    assert_eq!(
        first("bytes_total", 60),
        ("counter".to_owned(), 3, Some(tera))
    );
    assert_eq!(first("seconds", 60), ("histogram".to_owned(), 3, Some(7.0)));
    assert_eq!(first("gauge", 60), ("gauge".to_owned(), 2, Some(3.0)));
    assert_eq!(first("gauge", 120), ("gauge".to_owned(), 2, Some(6.0)));
}

#[test]
fn a_changed_definition_leaves_its_minutes_to_the_name() {
    let mut fixture = Fixture::new(vec![beacons()]);
    fixture.count(&[(0, vec!["x"], T, vec![2])], MS);
    fixture.metrics[0].digest = [7; 32];
    fixture.register(MS);
    fixture.count(&[(0, vec!["x"], T, vec![3])], MS);
    let answer = fixture.series(&ask("beacons_total", &["provider"]));
    assert_eq!(points(&answer), [("x".to_owned(), vec![(0, 5)])]);
    fixture.metrics[0] = plan(metric("beacons_total", Kind::Count, &[None, None]), 8);
    fixture.register(MS);
    let answer = fixture.series(&ask("beacons_total", &["provider"]));
    assert_eq!(points(&answer), [], "other labels are another family");
}

#[test]
fn hours_hold_what_expired_and_what_did_not() {
    let mut fixture = Fixture::new(vec![beacons()]);
    fixture.options.retention = 1800;
    let options = fixture.options;
    fixture.store().set_options(options);
    let counts = [(0, 1), (1, 2), (59, 4), (61, 8)];
    for (minute, n) in counts {
        fixture.count(&[(0, vec!["x"], T + 60 * minute, vec![n])], MS);
    }
    fixture.store().tidy((T + 3600 + 120) * 1000).unwrap();
    assert_eq!(fixture.rows("SELECT count(*) FROM hour"), [1]);
    let hours = SeriesQuestion {
        from: T + 60,
        to: T + 3660,
        step: 3600,
        ..ask("beacons_total", &["provider"])
    };
    let answer = fixture.series(&hours);
    assert_eq!((answer.from, answer.to), (T, T + 7200));
    assert_eq!(points(&answer), [("x".to_owned(), vec![(0, 7), (60, 8)])]);
    let minutes = fixture.series(&SeriesQuestion {
        to: T + 7200,
        ..ask("beacons_total", &["provider"])
    });
    assert_eq!(points(&minutes), [("x".to_owned(), vec![(59, 4), (61, 8)])]);
}

#[test]
fn steps_say_which_lines_there_were_and_how_good() {
    let mut fixture = Fixture::new(vec![beacons(), lines(), incomplete()]);
    fixture.count(
        &[
            (1, vec!["access", "parsed"], T, vec![9]),
            (1, vec!["access", "unparsed"], T + 60, vec![1]),
            (1, vec!["access", "parsed"], T + 120, vec![3]),
            (1, vec!["foreign", "parsed"], T + 180, vec![3]),
        ],
        MS,
    );
    let [low, high] = Decimal::whole(1).words();
    let minute = T + 120;
    let set = [(
        key(2, &["access"]),
        minute,
        vec![minute as u64, 0, low, high],
    )];
    let batch = Batch {
        windows_set: &set,
        watermarks: &[(0, T + 200)],
        now_ms: MS + 5,
        ..Batch::default()
    };
    fixture.commit(&batch).unwrap();
    let answer = fixture.series(&ask("beacons_total", &[]));
    let state = |at, lines, unparsed, incomplete| StepState {
        at,
        lines,
        unparsed,
        incomplete,
    };
    let expected = [
        state(T, 9, 0, false),
        state(T + 60, 1, 1, false),
        state(T + 120, 3, 0, true),
    ];
    assert_eq!(answer.steps, expected);
    assert_eq!((answer.watermark, answer.complete_from), (Some(T + 200), 0));
    let status = fixture.snapshot().status((T + 240) * 1000).unwrap();
    assert_eq!((status.committed_ms, status.started_ms), (MS + 5, MS));
    assert!(status.held && status.bytes > 0);
    assert_eq!(status.logs[0].lines, [12, 1, 0]);
    assert_eq!(status.outputs[0].queue_windows, 5);
    let names: Vec<_> = status.metrics.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "beacons_total",
            "beacontail_incomplete",
            "beacontail_lines_total"
        ]
    );
    assert_eq!(status.metrics[0].logs, ["access"]);
}

#[test]
fn unknown_names_are_told_with_those_there_are() {
    let mut silent = plan(metric("gaps_total", Kind::Count, &[None]), 6);
    silent.windows = false;
    let fixture = Fixture::new(vec![by_pop(), beacons(), silent]);
    let refusal = |question: &SeriesQuestion| {
        let refused = fixture.snapshot().series(question, &all).unwrap_err();
        refused.to_string()
    };
    assert_eq!(
        refusal(&ask("beacon_total\u{1b}", &[])),
        "no metric `beacon_total\\u{1b}`; there are `beacons_total`, `by_pop_total`"
    );
    assert_eq!(
        refusal(&ask("by_pop_total", &["country"])),
        "no label `country` of `by_pop_total`; there are `pop`, `provider`"
    );
    assert_eq!(
        refusal(&ask("gaps_total", &[])),
        "`gaps_total` keeps no minutes; its total is on /metrics"
    );
    for (step, to) in [
        (0, T + 60),
        (90, T + 60),
        (5400, T + 60),
        (60, T),
        (-60, T + 60),
    ] {
        let question = SeriesQuestion {
            step,
            to,
            ..ask("beacons_total", &[])
        };
        let refused = fixture.snapshot().series(&question, &all);
        assert!(
            matches!(refused, Err(StoreError::Question(_))),
            "{step} {to}"
        );
    }
}

#[test]
fn too_many_points_are_refused_and_not_cut() {
    let mut fixture = Fixture::new(vec![beacons()]);
    for minute in 0..5 {
        fixture.count(&[(0, vec!["x"], T + minute * 60, vec![1])], MS);
    }
    let mut question = ask("beacons_total", &["provider"]);
    question.most = Some(5);
    assert_eq!(fixture.series(&question).series[0].points.len(), 5);
    question.most = Some(4);
    let refused = fixture.snapshot().series(&question, &all).unwrap_err();
    assert!(
        refused.to_string().starts_with("more than 4 points"),
        "{refused}"
    );
}

#[test]
fn a_store_of_the_first_schema_is_brought_up_to_date_and_not_read_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(include_str!("../schema.sql")).unwrap();
    old.execute_batch(&format!(
        "PRAGMA application_id = {}; PRAGMA user_version = 1; PRAGMA journal_mode = WAL; \
         INSERT INTO log VALUES (1, 'access', 0, {T});",
        0x6263_6e74
    ))
    .unwrap();
    old.close().unwrap();
    let refused = Snapshot::open(&path).unwrap_err();
    assert!(
        matches!(refused, StoreError::Older { found: 1, .. }),
        "{refused}"
    );
    let mut store = Store::open(&path, options()).unwrap();
    let logs = [LogPlan {
        name: "access".to_owned(),
        backfill: false,
    }];
    store.register(&[beacons()], &logs, &[], MS).unwrap();
    let status = Snapshot::within(&path).unwrap().status(MS).unwrap();
    assert_eq!(status.logs[0].watermark, Some(T));
}

#[test]
fn clusters_hold_all_ids_and_little_else() {
    use super::super::snapshot::clusters;
    assert_eq!(clusters(&[]), []);
    assert_eq!(clusters(&[4]), [(4, 4)]);
    assert_eq!(clusters(&[1, 2, 3, 9, 10, 30]), [(1, 3), (9, 10), (30, 30)]);
    let spread: Vec<i64> = (0..100).map(|at| at * at).collect();
    let found = clusters(&spread);
    assert_eq!(found.len(), 16);
    assert!(
        spread
            .iter()
            .all(|id| found.iter().any(|(low, high)| low <= id && id <= high))
    );
}

#[test]
fn who_looks_at_the_lock_keeps_no_agent_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/store.db");
    assert!(!place::is_held(&path).unwrap());
    let store = Store::open(&path, options()).unwrap();
    assert!(place::is_held(&path).unwrap());
    drop(store);
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                place::is_held(&path).unwrap();
            }
        });
        for _ in 0..200 {
            drop(place::prepare(&path).unwrap());
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn what_may_be_read_for_an_answer_is_limited_by_what_it_may_hold() {
    let mut fixture = Fixture::new(vec![by_pop()]);
    let pops: Vec<String> = (0..60).map(|n| format!("P{n}")).collect();
    let counts: Vec<_> = pops
        .iter()
        .map(|pop| (0, vec!["fastly", pop.as_str()], T, vec![1]))
        .collect();
    fixture.count(&counts, MS);
    let mut question = ask("by_pop_total", &[]);
    question.most = Some(3);
    let answer = fixture.series(&question);
    assert_eq!(points(&answer), [(String::new(), vec![(0, 60)])]);
    question.most = Some(2);
    let error = fixture.snapshot().series(&question, &all).unwrap_err();
    assert!(error.to_string().contains("a shorter time"), "{error}");
}
