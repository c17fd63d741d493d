//! The process' health, through the `metrics` crate: how far behind, what failed, which version.
//!
//! What was counted in logs lives in the store and survives the process; what stands here begins
//! at zero with it. Every series exists from the start, at 0, so that an alert never meets
//! an absent one.
//!
//! A reload may take logs, outputs and databases away, and their gauges must go with them, while
//! the counters of those that stay go on. The `metrics` crate cannot forget a series, and a
//! recorder for each configuration would split counters between handles of the old one and of the
//! new. So there is one recorder for the life of the process, and [`Telemetry::configure`] says
//! which label values are live; [`Telemetry::render`] leaves lines of others out. A handle that
//! outlives its log writes where nobody looks. A log that comes back finds its counters where they
//! were, which is what a counter is for, and its gauges at 0.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{BuildError, PrometheusRecorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::metrics::MetricType::{self, Counter as C, Gauge as G, Histogram as H};

/// Every name of this file, with its type and help text. `http::clashes` holds metrics of rules
/// against them.
pub const NAMES: &[(&str, MetricType, &str)] = &[
    (
        "beacontail_lag_bytes",
        G,
        "Bytes of the log that are written but not yet read.",
    ),
    (
        "beacontail_lag_seconds",
        G,
        "Age of the oldest line that is written but not yet counted, as far as it is known.",
    ),
    (
        "beacontail_watermark_lag_seconds",
        G,
        "Time between the clock and the log's watermark, before which its minutes are closed.",
    ),
    (
        "beacontail_followed_files",
        G,
        "Files of the log that are open for reading.",
    ),
    (
        "beacontail_rotations_total",
        C,
        "Times a file of the log was found rotated.",
    ),
    (
        "beacontail_truncations_total",
        C,
        "Times a file of the log was found truncated.",
    ),
    (
        "beacontail_store_ok",
        G,
        "1 while transactions of the store succeed.",
    ),
    (
        "beacontail_store_commit_seconds",
        H,
        "Duration of the store's transactions.",
    ),
    (
        "beacontail_store_failures_total",
        C,
        "Transactions of the store that failed.",
    ),
    (
        "beacontail_store_bytes",
        G,
        "Size of the store with its write-ahead log.",
    ),
    (
        "beacontail_output_sends_total",
        C,
        "Batches that the output acknowledged.",
    ),
    (
        "beacontail_output_failures_total",
        C,
        "Batches that the output did not acknowledge.",
    ),
    (
        "beacontail_output_points_total",
        C,
        "Points in acknowledged batches.",
    ),
    (
        "beacontail_output_queue_minutes",
        G,
        "Minutes with points that wait for the output.",
    ),
    (
        "beacontail_output_suspect_windows",
        G,
        "Windows once sent without an acknowledgement, to be sent again.",
    ),
    (
        "beacontail_output_last_success_timestamp_seconds",
        G,
        "When the output acknowledged a batch for the last time; 0 when it never did.",
    ),
    (
        "beacontail_geo_database_age_seconds",
        G,
        "Time since the database in use was built.",
    ),
    (
        "beacontail_geo_database_ok",
        G,
        "1 while the newest file of the database is the one in use.",
    ),
    (
        "beacontail_inotify",
        G,
        "1 while the kernel wakes us when logs grow; 0 while they are only polled.",
    ),
    (
        "beacontail_build_info",
        G,
        "Always 1; the label names the version.",
    ),
    (
        "beacontail_config_info",
        G,
        "Always 1; the label is a hash of the configuration in use.",
    ),
    (
        "beacontail_config_reload_success",
        G,
        "1 when the newest configuration is the one in use.",
    ),
    (
        "beacontail_catching_up",
        G,
        "1 while lines that were there at the start are being read.",
    ),
    (
        "process_start_time_seconds",
        G,
        "When the process started, in Unix seconds.",
    ),
];

/// Upper bounds of `beacontail_store_commit_seconds`.
const COMMIT_SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// What the recorder wants to know about the caller of each registration.
const METADATA: Metadata<'static> = Metadata::new("beacontail", Level::INFO, None);

/// Why there is no telemetry.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter refused its settings.
    #[error("cannot set up the process' own metrics")]
    Build(#[source] BuildError),
    /// Something else in this process records metrics already.
    #[error("the process' own metrics are set up already")]
    Installed,
}

/// Handles to the health of this process. Clones are the same.
#[derive(Clone)]
pub struct Telemetry {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    live: Arc<Mutex<Live>>,
    /// The store's health.
    pub store: StoreHealth,
    /// 1 while the kernel wakes us.
    pub inotify: Gauge,
    /// 1 while the backlog of the start is read.
    pub catching_up: Gauge,
    /// 1 when the newest configuration is in use.
    pub config_reload_success: Gauge,
}

/// Label values that are shown, by label name. Labels that are not here are always shown.
type Live = BTreeMap<&'static str, BTreeSet<String>>;

/// The labels that come and go with the configuration.
const PASSING: [&str; 4] = ["log", "output", "database", "hash"];

/// Health of one log.
#[derive(Clone)]
pub struct LogHealth {
    /// Bytes written, not yet read.
    pub lag_bytes: Gauge,
    /// Age of the oldest line not yet counted.
    pub lag_seconds: Gauge,
    /// Clock less watermark, in seconds.
    pub watermark_lag: Gauge,
    /// Files open.
    pub files: Gauge,
    /// Rotations seen.
    pub rotations: Counter,
    /// Truncations seen.
    pub truncations: Counter,
}

/// Health of one output.
#[derive(Clone)]
pub struct OutputHealth {
    /// Acknowledged batches.
    pub sends: Counter,
    /// Batches without an acknowledgement.
    pub failures: Counter,
    /// Points in acknowledged batches.
    pub points: Counter,
    /// Minutes that wait.
    pub queue_minutes: Gauge,
    /// Windows in doubt.
    pub suspect_windows: Gauge,
    /// Unix seconds of the newest acknowledgement.
    pub last_success: Gauge,
}

/// Health of the store.
#[derive(Clone)]
pub struct StoreHealth {
    /// 1 while commits succeed.
    pub ok: Gauge,
    /// Seconds each commit took.
    pub commit_seconds: Histogram,
    /// Commits that failed.
    pub failures: Counter,
    /// Size on disk.
    pub bytes: Gauge,
}

/// Health of one geo database.
#[derive(Clone)]
pub struct GeoHealth {
    /// Seconds since it was built.
    pub age_seconds: Gauge,
    /// 1 while the newest file is in use.
    pub ok: Gauge,
}

impl Telemetry {
    /// A recorder of its own, for a process started at `started` Unix seconds.
    ///
    /// # Errors
    /// When the exporter refuses the buckets.
    pub fn new(version: &str, started: f64) -> Result<Telemetry, TelemetryError> {
        let commit = Matcher::Full("beacontail_store_commit_seconds".to_owned());
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(commit, &COMMIT_SECONDS)
            .map_err(TelemetryError::Build)?
            .build_recorder();
        for &(name, kind, help) in NAMES {
            match kind {
                C => recorder.describe_counter(name.into(), None, help.into()),
                G => recorder.describe_gauge(name.into(), None, help.into()),
                H => recorder.describe_histogram(name.into(), None, help.into()),
            }
        }
        let handle = recorder.handle();
        let store = StoreHealth {
            ok: gauge(&recorder, "beacontail_store_ok", &[]),
            commit_seconds: recorder
                .register_histogram(&key("beacontail_store_commit_seconds", &[]), &METADATA),
            failures: counter(&recorder, "beacontail_store_failures_total", &[]),
            bytes: gauge(&recorder, "beacontail_store_bytes", &[]),
        };
        gauge(&recorder, "beacontail_build_info", &[("version", version)]).set(1.0);
        gauge(&recorder, "process_start_time_seconds", &[]).set(started);
        Ok(Telemetry {
            store,
            inotify: gauge(&recorder, "beacontail_inotify", &[]),
            catching_up: gauge(&recorder, "beacontail_catching_up", &[]),
            config_reload_success: gauge(&recorder, "beacontail_config_reload_success", &[]),
            recorder: Arc::new(recorder),
            handle,
            live: Arc::new(Mutex::new(
                PASSING.map(|label| (label, BTreeSet::new())).into(),
            )),
        })
    }

    /// The same, and the process' recorder from here on, once in its life: what other crates
    /// record is shown as well.
    ///
    /// # Errors
    /// As [`Telemetry::new`], and when there is a recorder already.
    pub fn install(version: &str, started: f64) -> Result<Telemetry, TelemetryError> {
        let telemetry = Telemetry::new(version, started)?;
        metrics::set_global_recorder(Arc::clone(&telemetry.recorder))
            .map_err(|_| TelemetryError::Installed)?;
        Ok(telemetry)
    }

    /// Says which logs, outputs and databases there are, and the hash of the configuration. All
    /// series of those exist afterwards, and no others do.
    pub fn configure(&self, logs: &[&str], outputs: &[&str], databases: &[&str], hash: &str) {
        let names = [logs, outputs, databases, &[hash]];
        let wanted: Live = PASSING
            .into_iter()
            .zip(names)
            .map(|(label, names)| (label, names.iter().map(|&name| name.to_owned()).collect()))
            .collect();
        let before = std::mem::replace(&mut *self.live(), wanted);
        let is_new =
            |label: &str, name: &str| before.get(label).is_none_or(|names| !names.contains(name));
        for &name in logs.iter().filter(|name| is_new("log", name)) {
            self.log(name).reset();
        }
        for &name in outputs.iter().filter(|name| is_new("output", name)) {
            self.output(name).reset();
        }
        for &name in databases.iter().filter(|name| is_new("database", name)) {
            self.geo(name).reset();
        }
        gauge(&self.recorder, "beacontail_config_info", &[("hash", hash)]).set(1.0);
    }

    /// Handles for the log `name`. It is shown while [`Telemetry::configure`] names it.
    pub fn log(&self, name: &str) -> LogHealth {
        let (recorder, labels) = (&*self.recorder, [("log", name)]);
        LogHealth {
            lag_bytes: gauge(recorder, "beacontail_lag_bytes", &labels),
            lag_seconds: gauge(recorder, "beacontail_lag_seconds", &labels),
            watermark_lag: gauge(recorder, "beacontail_watermark_lag_seconds", &labels),
            files: gauge(recorder, "beacontail_followed_files", &labels),
            rotations: counter(recorder, "beacontail_rotations_total", &labels),
            truncations: counter(recorder, "beacontail_truncations_total", &labels),
        }
    }

    /// Handles for the output `name`. It is shown while [`Telemetry::configure`] names it.
    pub fn output(&self, name: &str) -> OutputHealth {
        let (recorder, labels) = (&*self.recorder, [("output", name)]);
        let success = "beacontail_output_last_success_timestamp_seconds";
        OutputHealth {
            sends: counter(recorder, "beacontail_output_sends_total", &labels),
            failures: counter(recorder, "beacontail_output_failures_total", &labels),
            points: counter(recorder, "beacontail_output_points_total", &labels),
            queue_minutes: gauge(recorder, "beacontail_output_queue_minutes", &labels),
            suspect_windows: gauge(recorder, "beacontail_output_suspect_windows", &labels),
            last_success: gauge(recorder, success, &labels),
        }
    }

    /// Handles for the geo database `name`. It is shown while [`Telemetry::configure`] names it.
    pub fn geo(&self, name: &str) -> GeoHealth {
        let (recorder, labels) = (&*self.recorder, [("database", name)]);
        GeoHealth {
            age_seconds: gauge(recorder, "beacontail_geo_database_age_seconds", &labels),
            ok: gauge(recorder, "beacontail_geo_database_ok", &labels),
        }
    }

    /// All live series in the text format, in no order; `http::render` brings them into one.
    pub fn render(&self) -> String {
        let text = self.handle.render();
        let live = self.live();
        let mut shown = String::with_capacity(text.len());
        for line in text.lines().filter(|line| is_live(line, &live)) {
            shown.push_str(line);
            shown.push('\n');
        }
        shown
    }

    /// Sorts observations into their buckets. Without it, or a scrape, they pile up in memory: to
    /// be called every few seconds.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        // The set is replaced as a whole: a panic elsewhere cannot leave half of it.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogHealth {
    fn reset(&self) {
        for gauge in [
            &self.lag_bytes,
            &self.lag_seconds,
            &self.watermark_lag,
            &self.files,
        ] {
            gauge.set(0.0);
        }
    }
}

impl OutputHealth {
    fn reset(&self) {
        for gauge in [
            &self.queue_minutes,
            &self.suspect_windows,
            &self.last_success,
        ] {
            gauge.set(0.0);
        }
    }
}

impl GeoHealth {
    fn reset(&self) {
        self.age_seconds.set(0.0);
        self.ok.set(0.0);
    }
}

/// True unless the line is a sample of ours whose only label is a passing one with a value that is
/// not live.
fn is_live(line: &str, live: &Live) -> bool {
    let Some((name, rest)) = line.split_once('{') else {
        return true;
    };
    if !NAMES.iter().any(|(ours, ..)| *ours == name) {
        return true;
    }
    let Some((label, rest)) = rest.split_once("=\"") else {
        return true;
    };
    let (Some(names), Some((value, _))) = (live.get(label), rest.rsplit_once("\"}")) else {
        return true;
    };
    names
        .iter()
        .any(|name| crate::metrics::text::escaped(name) == value)
}

fn key(name: &'static str, labels: &[(&'static str, &str)]) -> Key {
    let labels = labels
        .iter()
        .map(|(name, value)| Label::new(*name, (*value).to_owned()));
    Key::from_parts(name, labels.collect::<Vec<_>>())
}

fn counter(
    recorder: &dyn Recorder,
    name: &'static str,
    labels: &[(&'static str, &str)],
) -> Counter {
    recorder.register_counter(&key(name, labels), &METADATA)
}

fn gauge(recorder: &dyn Recorder, name: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
    recorder.register_gauge(&key(name, labels), &METADATA)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn telemetry() -> Telemetry {
        Telemetry::new("1.2.3", 1_700_000_000.5).unwrap()
    }

    fn has(telemetry: &Telemetry, line: &str) -> bool {
        telemetry.render().lines().any(|other| other == line)
    }

    #[test]
    fn every_name_exists_at_its_start_and_has_a_help_text() {
        let telemetry = telemetry();
        telemetry.configure(&["access"], &["graphite"], &["city"], "cafe");
        let text = telemetry.render();
        for (name, _, help) in NAMES {
            assert!(text.contains(&format!("# HELP {name} {help}\n")), "{name}");
            let starts = [
                format!("{name} "),
                format!("{name}{{"),
                format!("{name}_bucket{{"),
            ];
            let sample = text
                .lines()
                .any(|line| starts.iter().any(|start| line.starts_with(start)));
            assert!(sample, "{name} in\n{text}");
        }
        let described = text.lines().filter(|line| line.starts_with("# TYPE "));
        assert_eq!(
            described.count(),
            NAMES.len(),
            "nothing has a name that is not in the list"
        );
        assert!(has(
            &telemetry,
            "beacontail_rotations_total{log=\"access\"} 0"
        ));
        assert!(has(
            &telemetry,
            "beacontail_build_info{version=\"1.2.3\"} 1"
        ));
        assert!(has(&telemetry, "process_start_time_seconds 1700000000.5"));
        assert!(has(
            &telemetry,
            "beacontail_store_commit_seconds_bucket{le=\"+Inf\"} 0"
        ));
    }

    #[test]
    fn what_a_reload_takes_away_vanishes_and_what_stays_goes_on() {
        let telemetry = telemetry();
        telemetry.configure(&["a\"b\\", "stays"], &["x"], &["city"], "one");
        let (gone, stays) = (telemetry.log("a\"b\\"), telemetry.log("stays"));
        gone.rotations.increment(3);
        gone.lag_bytes.set(9.0);
        stays.rotations.increment(2);
        stays.lag_bytes.set(7.0);
        assert!(has(&telemetry, r#"beacontail_lag_bytes{log="a\"b\\"} 9"#));

        telemetry.configure(&["stays", "new"], &[], &[], "two");
        stays.rotations.increment(1);
        gone.rotations.increment(1);
        let text = telemetry.render();
        assert!(
            !text.contains("a\\\"b") && !text.contains("output=\"") && !text.contains("\"city\"")
        );
        assert!(!text.contains("hash=\"one\"") && text.contains("hash=\"two\"} 1"));
        assert!(has(
            &telemetry,
            "beacontail_rotations_total{log=\"stays\"} 3"
        ));
        assert!(has(&telemetry, "beacontail_lag_bytes{log=\"stays\"} 7"));
        assert!(has(&telemetry, "beacontail_lag_bytes{log=\"new\"} 0"));

        telemetry.configure(&["a\"b\\"], &[], &[], "one");
        assert!(has(
            &telemetry,
            r#"beacontail_rotations_total{log="a\"b\\"} 4"#
        ));
        assert!(has(&telemetry, r#"beacontail_lag_bytes{log="a\"b\\"} 0"#));
    }

    #[test]
    fn observations_are_sorted_into_fixed_buckets() {
        let telemetry = telemetry();
        telemetry.store.commit_seconds.record(0.004);
        telemetry.upkeep();
        telemetry.store.commit_seconds.record(40.0);
        assert!(has(
            &telemetry,
            "beacontail_store_commit_seconds_bucket{le=\"0.0025\"} 0"
        ));
        assert!(has(
            &telemetry,
            "beacontail_store_commit_seconds_bucket{le=\"0.005\"} 1"
        ));
        assert!(has(
            &telemetry,
            "beacontail_store_commit_seconds_bucket{le=\"30\"} 1"
        ));
        assert!(has(&telemetry, "beacontail_store_commit_seconds_count 2"));
    }

    #[test]
    fn what_other_crates_record_is_shown_once_installed_and_only_once() {
        let telemetry = Telemetry::install("1", 0.0).unwrap();
        metrics::counter!("other_total", "log" => "never configured").increment(2);
        assert!(has(&telemetry, "other_total{log=\"never configured\"} 2"));
        let again = Telemetry::install("1", 0.0);
        assert!(matches!(again, Err(TelemetryError::Installed)));
    }
}
