//! What HTTP shows of the agent: committed totals, the process' health, whether both are to be relied
//! upon, and what the store says over time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use crate::http::{
    Exposition, NotReady, Overview, Pages, Parameters, Refusal, SamplesAnswer, render,
};
use crate::metrics::{Decimal, Family, Kind, Metric, Sample};
use crate::store::{AgentStatus, Mark, Registry, SeriesAnswer, Snapshot, StoreError};
use crate::telemetry::Telemetry;

use super::agent::{Shared, lock};
use super::asked::{Asked, end_of_second};
use super::clock::{Clock, SystemClock};
use super::health::Flags;
use super::journal::chain;
use super::overview::{About, counted};
use super::samples::Samples;

/// Most marks on `/metrics`.
const MARKS: usize = 10;
/// Marks stay there for a week.
const MARKS_MS: i64 = 7 * 86_400_000;

/// The pages of a daemon.
pub(in crate::commands) struct AgentPages {
    pub(in crate::commands) registry: Shared,
    pub(in crate::commands) telemetry: Telemetry,
    pub(in crate::commands) flags: Arc<Flags>,
    pub(in crate::commands) clock: SystemClock,
    /// Where the store lies.
    pub(in crate::commands) store: PathBuf,
    /// Held while a scrape looks for marks. SQLite closes the file of a reader only when nobody in the
    /// process has it locked any more, and gives it to the next one: so many stay open as ever read at once.
    pub(in crate::commands) marks: Mutex<()>,
    pub(in crate::commands) samples: Samples,
    pub(in crate::commands) about: About,
}

impl AgentPages {
    /// The store as it was last committed. Opened anew each time: a reader that stays would keep the
    /// write-ahead log from being emptied when the agent stops.
    fn snapshot(&self) -> Result<Snapshot, Refusal> {
        Snapshot::within(&self.store).map_err(refusal)
    }

    /// Marks for dashboards; none while the store cannot be read, which the gauges of the store tell.
    fn newest_marks(&self) -> Vec<Mark> {
        let _one = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let since = self.clock.wall_ms().saturating_sub(MARKS_MS);
        let marks = self.snapshot().ok();
        marks
            .and_then(|store| store.marks(since, MARKS).ok())
            .unwrap_or_default()
    }
}

/// What the store does not answer, in the words of HTTP.
fn refusal(error: StoreError) -> Refusal {
    match error {
        StoreError::Unknown { .. } => Refusal::Unknown(error.to_string()),
        StoreError::Question(reason) => Refusal::Asked(reason),
        other => Refusal::Unavailable(chain(&other)),
    }
}

impl Pages for AgentPages {
    fn metrics(&self, format: Exposition) -> Result<String, NotReady> {
        self.ready()?;
        Ok(exposition(
            &self.registry,
            &self.telemetry,
            &self.newest_marks(),
            self.clock.wall_ms(),
            format,
        ))
    }

    fn ready(&self) -> Result<(), NotReady> {
        if self.flags.caught_up.load(Ordering::Relaxed) {
            Ok(())
        } else {
            let why = "reading what was written while the agent was down";
            Err(NotReady(why.to_owned()))
        }
    }

    fn healthy(&self) -> Result<(), String> {
        if self.flags.store_ok.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err("the store fails, reading has stopped".to_owned())
        }
    }

    fn series(&self, asked: &Parameters) -> Result<SeriesAnswer, Refusal> {
        let asked = Asked::read(asked, end_of_second(self.clock.wall_ms()))?;
        let keep = |label: &str, value: &str| asked.keeps(label, value);
        self.snapshot()?
            .series(&asked.question, &keep)
            .map_err(refusal)
    }

    fn status(&self) -> Result<AgentStatus, Refusal> {
        let now_ms = self.clock.wall_ms();
        let ready = self.ready();
        Ok(AgentStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            now_ms,
            ready: ready.map_or_else(|NotReady(why)| why, |()| "ready".to_owned()),
            store: self.snapshot()?.status(now_ms).map_err(refusal)?,
        })
    }

    fn overview(&self) -> Overview {
        let now_ms = self.clock.wall_ms();
        Overview {
            now: now_ms.div_euclid(1000),
            host: self.about.host.clone(),
            started: self.about.started,
            not_ready: self.ready().err().map(|NotReady(why)| why),
            broken: self.healthy().err(),
            lateness: self.about.lateness,
            unparsed_share: self.about.unparsed_share,
            max_bytes: self.about.max_bytes,
            store: counted(&self.store, now_ms).map_err(|error| chain(&error)),
            samples: self.samples.answer(),
        }
    }

    fn samples(&self) -> SamplesAnswer {
        self.samples.answer()
    }
}

/// Everything there is to scrape. The totals are held for as long as it takes to write them down.
pub(in crate::commands) fn exposition(
    registry: &Shared,
    telemetry: &Telemetry,
    marks: &[Mark],
    now_ms: i64,
    format: Exposition,
) -> String {
    let health = telemetry.render();
    let metric = mark_metric();
    let cells = mark_cells(marks);
    let registry = lock(registry);
    let mut families = families(&registry, now_ms);
    if !cells.is_empty() {
        families.push(mark_family(&metric, &cells));
        families.sort_by(|a, b| a.metric.name.cmp(&b.metric.name));
    }
    render(&families, &health, format)
}

/// When the newest marks were, by their text.
fn mark_metric() -> Metric {
    Metric {
        name: "beacontail_mark_timestamp_seconds".to_owned(),
        help: "When somebody recorded an event, the newest of each text.".to_owned(),
        kind: Kind::Last,
        labels: vec!["text".to_owned()],
        declared: vec![None],
        graphite: Vec::new(),
        limit: MARKS,
        label_limits: Vec::new(),
    }
}

/// Texts and their times; of several marks with one text the newest.
fn mark_cells(marks: &[Mark]) -> BTreeMap<&str, [u64; 4]> {
    let mut cells = BTreeMap::new();
    for mark in marks.iter().filter(|mark| mark.at_ms > 0) {
        let at = mark.at_ms.unsigned_abs();
        let [low, high] = Decimal(i128::from(at) * 1_000_000).words();
        cells
            .entry(mark.text.as_str())
            .or_insert([at, 0, low, high]);
    }
    cells
}

fn mark_family<'a>(metric: &'a Metric, cells: &'a BTreeMap<&'a str, [u64; 4]>) -> Family<'a> {
    let series = cells.iter().map(|(text, cell)| Sample {
        labels: vec![text],
        cell,
        created_ms: 0,
    });
    Family {
        metric,
        series: series.collect(),
    }
}

fn families(registry: &Registry, now_ms: i64) -> Vec<Family<'_>> {
    let families = registry.families(now_ms).into_iter();
    families
        .map(|(metric, series)| Family {
            metric: &metric.metric,
            series: series
                .into_iter()
                .map(|series| Sample {
                    labels: series.labels.iter().map(String::as_str).collect(),
                    cell: &series.cell,
                    created_ms: series.created_ms,
                })
                .collect(),
        })
        .collect()
}
