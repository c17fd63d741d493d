//! The sentences of the store, one test each; the model and the damage have files of their own.

mod bounds;
mod damage;
mod delivering;
mod model;
mod snapshot;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::metrics::run::{self, Point as RunPoint};
use crate::metrics::series::KeyBuilder;
use crate::metrics::{Decimal, Kind, Metric};

/// 2026-01-01T00:00:00Z, a full hour.
const T: i64 = 1_767_225_600;
const MS: i64 = T * 1000;

fn options() -> StoreOptions {
    StoreOptions {
        retention: 7 * 86_400,
        rollups: 400 * 86_400,
        max_bytes: 1 << 30,
        busy: Duration::from_millis(50),
    }
}

fn metric(name: &str, kind: Kind, declared: &[Option<&[&str]>]) -> Metric {
    let values = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect();
    Metric {
        name: name.to_owned(),
        help: String::new(),
        kind,
        labels: ["provider", "pop"]
            .iter()
            .take(declared.len())
            .map(|l| (*l).to_owned())
            .collect(),
        declared: declared.iter().map(|d| d.map(values)).collect(),
        graphite: Vec::new(),
        limit: 1000,
        label_limits: Vec::new(),
    }
}

fn plan(metric: Metric, digest: u8) -> MetricPlan {
    MetricPlan {
        metric,
        digest: [digest; 32],
        windows: true,
        logs: vec!["access".to_owned()],
    }
}

fn key(metric: usize, labels: &[&str]) -> Vec<u8> {
    let mut builder = KeyBuilder::default();
    builder.start(metric);
    for label in labels {
        builder.label(label.as_bytes());
    }
    builder.key().to_vec()
}

/// A store with one log and one output, and a registry that follows it.
struct Fixture {
    folder: tempfile::TempDir,
    store: Option<Store>,
    registry: Registry,
    metrics: Vec<MetricPlan>,
    backfill: bool,
    options: StoreOptions,
}

impl Fixture {
    fn new(metrics: Vec<MetricPlan>) -> Fixture {
        Fixture::with(metrics, true, options())
    }

    fn with(metrics: Vec<MetricPlan>, backfill: bool, options: StoreOptions) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let mut fixture = Fixture {
            folder,
            store: None,
            registry: Registry::default(),
            metrics,
            backfill,
            options,
        };
        fixture.restart();
        fixture
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("state/store.db")
    }

    fn store(&mut self) -> &mut Store {
        self.store.as_mut().unwrap()
    }

    fn restart(&mut self) {
        self.store = None;
        self.store = Some(Store::open(self.path(), self.options).unwrap());
        self.register(MS);
    }

    fn reopen(&mut self) {
        self.store().reopen().unwrap();
        self.register(MS);
    }

    fn register(&mut self, now_ms: i64) {
        let logs = [LogPlan {
            name: "access".to_owned(),
            backfill: self.backfill,
        }];
        let outputs = [OutputPlan {
            name: "graphite".to_owned(),
            backfill: self.backfill,
        }];
        let metrics = self.metrics.clone();
        self.registry = self
            .store()
            .register(&metrics, &logs, &outputs, now_ms)
            .unwrap();
    }

    /// A run of points: metric, labels, minute, cell.
    fn run(&self, points: &[(usize, Vec<&str>, i64, Vec<u64>)]) -> Vec<u8> {
        type Cells = Vec<(i64, Vec<u8>)>;
        let mut by_key: BTreeMap<Vec<u8>, Cells> = BTreeMap::new();
        for (metric, labels, minute, cell) in points {
            let mut encoded = Vec::new();
            run::put_cell(&mut encoded, cell);
            by_key
                .entry(key(*metric, labels))
                .or_default()
                .push((*minute, encoded));
        }
        let mut out = Vec::new();
        for (key, cells) in &by_key {
            let mut points: Vec<RunPoint<'_>> = cells
                .iter()
                .map(|(start, cell)| RunPoint {
                    start: *start,
                    cell,
                })
                .collect();
            let kind = &self.metrics[crate::metrics::series::metric_of(key)]
                .metric
                .kind;
            run::write_series(&mut out, key, &mut points, kind).unwrap();
        }
        out
    }

    fn count(&mut self, points: &[(usize, Vec<&str>, i64, Vec<u64>)], now_ms: i64) -> Committed {
        let runs = [self.run(points)];
        self.commit(&Batch {
            runs: &runs,
            now_ms,
            ..Batch::default()
        })
        .unwrap()
    }

    fn commit(&mut self, batch: &Batch<'_>) -> Result<Committed, StoreError> {
        let committed = self.store().commit(batch)?;
        self.registry.apply(committed.delta.clone());
        Ok(committed)
    }

    fn total(&self, metric: usize, labels: &[&str]) -> Option<Vec<u64>> {
        let labels: Vec<String> = labels.iter().map(|l| (*l).to_owned()).collect();
        let series = self.registry.find(metric, &labels)?;
        Some(self.registry.series[series].cell.clone())
    }

    /// The labels of the series shown, joined.
    fn shown(&self, metric: usize, now_ms: i64) -> Vec<String> {
        let metric = &self.registry.metrics[metric];
        self.registry
            .shown(metric, now_ms)
            .map(|series| series.labels.join(","))
            .collect()
    }

    fn rows(&self, sql: &str) -> Vec<i64> {
        let connection = rusqlite::Connection::open(self.path()).unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }
}

fn beacons() -> MetricPlan {
    plan(metric("beacons_total", Kind::Count, &[None]), 1)
}

#[test]
fn totals_and_windows_survive_a_restart() {
    let sum = plan(metric("bytes_total", Kind::Sum, &[None]), 2);
    let buckets = Kind::Buckets(vec![Decimal::whole(1)]);
    let seconds = plan(metric("seconds", buckets, &[None]), 3);
    let mut fixture = Fixture::new(vec![beacons(), sum, seconds]);
    for _ in 0..2 {
        fixture.count(
            &[
                (0, vec!["x"], T, vec![2]),
                (0, vec!["x"], T + 60, vec![1]),
                (1, vec!["x"], T, vec![1, u64::MAX, u64::MAX]),
                (2, vec!["x"], T, vec![1, 2, 5, 0]),
            ],
            MS,
        );
    }
    let before = fixture.registry.series.clone();
    fixture.restart();
    assert_eq!(fixture.registry.series, before);
    assert_eq!(fixture.total(0, &["x"]), Some(vec![6]));
    assert_eq!(
        fixture.total(1, &["x"]),
        Some(vec![2, u64::MAX - 1, u64::MAX])
    );
    assert_eq!(fixture.total(2, &["x"]), Some(vec![2, 4, 10, 0]));
    assert_eq!(
        fixture.rows("SELECT n FROM minutes WHERE metric = 'beacons_total' ORDER BY time"),
        [4, 2]
    );
}

#[test]
fn what_is_shown_changes_only_by_applying_a_commit() {
    let mut fixture = Fixture::new(vec![beacons()]);
    let runs = [fixture.run(&[(0, vec!["x"], T, vec![2])])];
    let batch = Batch {
        runs: &runs,
        now_ms: MS,
        ..Batch::default()
    };
    let committed = fixture.store().commit(&batch).unwrap();
    assert_eq!(fixture.total(0, &["x"]), None);
    fixture.registry.apply(committed.delta);
    assert_eq!(fixture.total(0, &["x"]), Some(vec![2]));
}

#[test]
fn another_definition_counts_from_0_and_the_first_comes_back_with_its_total() {
    let mut fixture = Fixture::new(vec![beacons()]);
    fixture.count(&[(0, vec!["x"], T, vec![2])], MS);
    fixture.metrics = vec![plan(beacons().metric, 9)];
    fixture.register(MS + 5);
    assert_eq!(
        fixture.registry.changes,
        ["metric `beacons_total` changed: it counts from 0"]
    );
    assert_eq!(fixture.total(0, &["x"]).unwrap_or(vec![0]), vec![0]);
    assert_eq!(fixture.registry.metrics[0].created_ms, MS + 5);
    fixture.metrics = vec![];
    fixture.register(MS + 6);
    assert_eq!(
        fixture.registry.changes,
        ["metric `beacons_total` is dropped"]
    );
    fixture.metrics = vec![beacons()];
    fixture.register(MS + 7);
    assert_eq!(
        fixture.registry.changes,
        ["metric `beacons_total` is back: its total goes on"]
    );
    assert_eq!(fixture.total(0, &["x"]), Some(vec![2]));
    assert_eq!(fixture.registry.metrics[0].created_ms, MS);
}

#[test]
fn declared_series_exist_at_0_and_never_leave() {
    let declared = metric("n_total", Kind::Count, &[Some(&["a", "b"]), Some(&["c"])]);
    let none = metric("lines_total", Kind::Count, &[]);
    let open = metric("open_total", Kind::Count, &[Some(&["a"]), None]);
    let fixture = Fixture::new(vec![plan(declared, 1), plan(none, 1), plan(open, 1)]);
    let later = MS + 1_000_000_000_000;
    assert_eq!(fixture.shown(0, later), ["a,c", "b,c"]);
    assert_eq!(fixture.shown(1, later), [""]);
    assert_eq!(fixture.shown(2, later), Vec::<String>::new());
}

#[test]
fn positions_come_back_as_they_were_given() {
    let mut fixture = Fixture::new(vec![beacons()]);
    let generation = |id, state| GenerationRow {
        id,
        dev: u64::MAX,
        ino: 1 << 63,
        btime_ns: -1,
        head_len: 1024,
        head: vec![0, 255],
        tail_len: 3,
        tail: vec![],
        offset: u64::MAX,
        skipping: 4096,
        state,
        size: 7,
        trail: vec![0, 1, 255],
        note: b"#Fields: \xff".to_vec(),
    };
    let row = |path: &[u8], generations| FileRow {
        gone: false,
        log: 0,
        path: path.to_vec(),
        generations,
    };
    let states = [
        GenerationState::Done,
        GenerationState::Draining,
        GenerationState::Live,
    ];
    let all: Vec<_> = states
        .iter()
        .zip([3, 1, 2])
        .map(|(&s, id)| generation(id, s))
        .collect();
    let files = [row(b"/a\xff", all.clone()), row(b"/b", all.clone())];
    let batch = Batch {
        files: &files,
        watermarks: &[(0, T)],
        ..Batch::default()
    };
    fixture.commit(&batch).unwrap();
    let files = [row(b"/b", vec![])];
    let batch = Batch {
        files: &files,
        watermarks: &[(0, T - 60)],
        ..Batch::default()
    };
    fixture.commit(&batch).unwrap();
    fixture.restart();
    let looked_at = [row(b"/a\xff", all.clone()), row(b"/b", vec![])];
    assert_eq!(fixture.store().files(0).unwrap(), looked_at);
    assert_eq!(fixture.store().watermark(0).unwrap(), Some(T));
    let gone = FileRow {
        gone: true,
        ..row(b"/b", vec![])
    };
    let batch = Batch {
        files: &[gone],
        ..Batch::default()
    };
    fixture.commit(&batch).unwrap();
    assert_eq!(fixture.store().files(0).unwrap(), [row(b"/a\xff", all)]);
}

#[test]
fn set_windows_replace_and_totals_follow_the_newest() {
    let mut fixture = Fixture::new(vec![plan(metric("gap", Kind::Last, &[None]), 1)]);
    let last = |minute: i64, value| vec![minute.cast_unsigned(), 0, value, 0];
    let set = |minute, value| (key(0, &["x"]), minute, last(minute, value));
    for windows in [[set(T, 1), set(T + 60, 1)], [set(T + 60, 0), set(T, 7)]] {
        fixture
            .commit(&Batch {
                windows_set: &windows,
                now_ms: MS,
                ..Batch::default()
            })
            .unwrap();
    }
    assert_eq!(fixture.total(0, &["x"]), Some(last(T + 60, 0)));
}

#[test]
fn increments_without_a_minute_make_no_window() {
    let mut fixture = Fixture::new(vec![beacons()]);
    let totals = [(key(0, &["x"]), vec![4])];
    fixture
        .commit(&Batch {
            totals: &totals,
            now_ms: MS,
            ..Batch::default()
        })
        .unwrap();
    assert_eq!(fixture.total(0, &["x"]), Some(vec![4]));
    assert!(fixture.rows("SELECT n FROM window").is_empty());
}

/// Windows of minutes later than all before are inserted without a look.
#[test]
fn windows_of_new_minutes_add_up_within_a_batch_and_after_the_store_was_reopened() {
    let mut few = beacons();
    few.metric.limit = 1;
    let mut fixture = Fixture::new(vec![few]);
    let point = |name, minute: i64, n| (0, vec![name], T + minute * 60, vec![n]);
    // "b" and "c" share the series of what is beyond the limit.
    fixture.count(&[point("a", 0, 1), point("b", 0, 2), point("c", 0, 4)], MS);
    fixture.reopen();
    fixture.count(
        &[point("a", 0, 8), point("c", 0, 16), point("a", 1, 32)],
        MS,
    );
    fixture.count(&[point("a", 1, 64), point("b", 0, 128)], MS);
    let windows = fixture.rows("SELECT n FROM window ORDER BY minute, series");
    assert_eq!(windows, [9, 150, 96]);
    assert_eq!(fixture.total(0, &["a"]), Some(vec![105]));
    assert_eq!(fixture.total(0, &["_other"]), Some(vec![150]));
}

#[test]
fn a_store_that_was_taken_away_takes_no_more_and_goes_on_when_it_is_back() {
    let mut fixture = Fixture::new(vec![beacons()]);
    fixture.count(&[(0, vec!["fastly"], 60, vec![2])], 1000);
    let (path, aside) = (fixture.path(), fixture.path().with_extension("aside"));
    std::fs::rename(&path, &aside).unwrap();
    let run = fixture.run(&[(0, vec!["fastly"], 60, vec![1])]);
    let batch = Batch {
        runs: &[run],
        now_ms: 2000,
        ..Batch::default()
    };
    let refused = fixture.store().commit(&batch).unwrap_err();
    assert!(matches!(refused, StoreError::Gone { .. }), "{refused}");
    assert!(fixture.store().reopen().is_err());
    std::fs::rename(&aside, &path).unwrap();
    fixture.reopen();
    fixture.register(3000);
    assert_eq!(fixture.total(0, &["fastly"]), Some(vec![2]));
    fixture.count(&[(0, vec!["fastly"], 60, vec![1])], 4000);
    assert_eq!(fixture.total(0, &["fastly"]), Some(vec![3]));
}

#[test]
fn equal_names_in_a_plan_are_refused() {
    let mut fixture = Fixture::new(vec![]);
    let twice = [beacons(), beacons()];
    let refused = fixture.store().register(&twice, &[], &[], MS);
    assert!(matches!(refused, Err(StoreError::Twice { .. })));
}
