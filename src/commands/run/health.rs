//! The process' health, said in the agent's words: gauges and counters of [`Telemetry`], and the few
//! flags that the pages ask for.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::geo::GeoDatabases;
use crate::source::follow::Event;
use crate::store::Queue;
use crate::telemetry::{LogHealth, OutputHealth, Telemetry};

use super::clock::Now;
use super::prepare::Prepared;

/// Handles of everything that is reported each round.
pub(in crate::commands) struct Health {
    telemetry: Telemetry,
    logs: HashMap<String, LogHealth>,
    outputs: HashMap<String, OutputHealth>,
    flags: Arc<Flags>,
}

/// What pages ask for.
#[derive(Debug)]
pub(in crate::commands) struct Flags {
    /// The store took the last commit.
    pub(in crate::commands) store_ok: AtomicBool,
    /// The backlog of the start was read.
    pub(in crate::commands) caught_up: AtomicBool,
}

impl Default for Flags {
    fn default() -> Flags {
        Flags {
            store_ok: AtomicBool::new(true),
            caught_up: AtomicBool::new(false),
        }
    }
}

impl Health {
    pub(in crate::commands) fn new(telemetry: Telemetry) -> Health {
        telemetry.store.ok.set(1.0);
        telemetry.catching_up.set(1.0);
        telemetry.config_reload_success.set(1.0);
        Health {
            telemetry,
            logs: HashMap::new(),
            outputs: HashMap::new(),
            flags: Arc::default(),
        }
    }

    pub(in crate::commands) fn flags(&self) -> Arc<Flags> {
        Arc::clone(&self.flags)
    }

    /// Shows what this configuration has, and nothing else.
    pub(in crate::commands) fn configure(&mut self, prepared: &Prepared) {
        let config = &prepared.config;
        let logs: Vec<&str> = config
            .logs
            .iter()
            .map(|log| log.name.value.as_str())
            .collect();
        let outputs: Vec<&str> = config
            .outputs
            .iter()
            .map(|o| o.name.value.as_str())
            .collect();
        let databases: Vec<String> = prepared
            .geo
            .iter()
            .map(|database| shown(database.path()))
            .collect();
        let databases: Vec<&str> = databases.iter().map(String::as_str).collect();
        self.telemetry
            .configure(&logs, &outputs, &databases, &config.digest());
        let log = |name: &&str| ((*name).to_owned(), self.telemetry.log(name));
        self.logs = logs.iter().map(log).collect();
        let output = |name: &&str| ((*name).to_owned(), self.telemetry.output(name));
        self.outputs = outputs.iter().map(output).collect();
        for database in prepared.geo.iter() {
            let stale = prepared
                .stale
                .iter()
                .any(|(path, _)| path == database.path());
            let name = shown(database.path());
            let ok = if stale { 0.0 } else { 1.0 };
            self.telemetry.geo(&name).ok.set(ok);
        }
    }

    pub(in crate::commands) fn event(&self, log: &str, event: &Event) {
        let Some(health) = self.logs.get(log) else {
            return;
        };
        match event {
            Event::Rotated { .. } => health.rotations.increment(1),
            Event::Truncated { .. } => health.truncations.increment(1),
            _ => {}
        }
    }

    pub(in crate::commands) fn committed(&self, took: Duration) {
        self.telemetry
            .store
            .commit_seconds
            .record(took.as_secs_f64());
        self.store_works();
    }

    /// The store takes commits, or would if there were something to commit.
    pub(in crate::commands) fn store_works(&self) {
        self.telemetry.store.ok.set(1.0);
        if !self.flags.store_ok.swap(true, Ordering::Relaxed) {
            super::journal::store_found();
        }
    }

    /// True when the store was well before.
    pub(in crate::commands) fn store_failed(&self) -> bool {
        self.telemetry.store.failures.increment(1);
        self.telemetry.store.ok.set(0.0);
        self.flags.store_ok.swap(false, Ordering::Relaxed)
    }

    /// How old the databases are.
    pub(in crate::commands) fn geo(&self, databases: &GeoDatabases, now: Now) {
        for database in databases.iter() {
            let built = i64::try_from(database.build_epoch()).unwrap_or(i64::MAX);
            let age = now.wall().saturating_sub(built).max(0).unsigned_abs();
            let name = shown(database.path());
            self.telemetry.geo(&name).age_seconds.set(number(age));
        }
    }

    pub(in crate::commands) fn store_bytes(&self, bytes: u64) {
        self.telemetry.store.bytes.set(number(bytes));
    }

    /// How a log stands; lags in bytes and seconds.
    pub(in crate::commands) fn log(&self, name: &str, files: usize, bytes: u64, seconds: i64) {
        if let Some(health) = self.logs.get(name) {
            health.files.set(number(files as u64));
            health.lag_bytes.set(number(bytes));
            let seconds = number(seconds.unsigned_abs());
            health.watermark_lag.set(seconds);
            health
                .lag_seconds
                .set(if bytes > 0 { seconds } else { 0.0 });
        }
    }

    pub(in crate::commands) fn delivered(&self, output: &str, points: u64, well: bool, now: Now) {
        let Some(health) = self.outputs.get(output) else {
            return;
        };
        if well {
            health.sends.increment(1);
            health.points.increment(points);
            health.last_success.set(number(now.wall().unsigned_abs()));
        } else {
            health.failures.increment(1);
        }
    }

    pub(in crate::commands) fn queue(&self, output: &str, queue: &Queue) {
        if let Some(health) = self.outputs.get(output) {
            health.queue_minutes.set(number(queue.minutes));
            health.suspect_windows.set(number(queue.suspect));
        }
    }
}

/// The name of a database: its file's.
pub(in crate::commands) fn shown(path: &std::path::Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "gauges are doubles; nothing counted per line passes here"
)]
pub(in crate::commands) fn number(value: u64) -> f64 {
    value as f64
}
