//! What HTTP shows of the agent: committed totals, the process' health, whether both are to be relied
//! upon, and what the store says over time.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::http::{Exposition, NotReady, Pages, Parameters, Refusal, render};
use crate::metrics::{Family, Sample};
use crate::store::{AgentStatus, Registry, SeriesAnswer, Snapshot, StoreError};
use crate::telemetry::Telemetry;

use super::agent::{Shared, lock};
use super::asked::Asked;
use super::clock::{Clock, SystemClock};
use super::health::Flags;
use super::journal::chain;

/// The pages of a daemon.
pub(in crate::commands) struct AgentPages {
    pub(in crate::commands) registry: Shared,
    pub(in crate::commands) telemetry: Telemetry,
    pub(in crate::commands) flags: Arc<Flags>,
    pub(in crate::commands) clock: SystemClock,
    /// Where the store lies.
    pub(in crate::commands) store: PathBuf,
}

impl AgentPages {
    /// The store as it was last committed. Opened anew each time: a reader that stays would keep the
    /// write-ahead log from being emptied when the agent stops.
    fn snapshot(&self) -> Result<Snapshot, Refusal> {
        Snapshot::within(&self.store).map_err(refusal)
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
        let asked = Asked::read(asked, self.clock.wall_ms().div_euclid(1000))?;
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
}

/// Everything there is to scrape. The totals are held for as long as it takes to write them down.
pub(in crate::commands) fn exposition(
    registry: &Shared,
    telemetry: &Telemetry,
    now_ms: i64,
    format: Exposition,
) -> String {
    let health = telemetry.render();
    let registry = lock(registry);
    render(&families(&registry, now_ms), &health, format)
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
