//! What HTTP shows of the agent: committed totals, the process' health, and whether both are to be
//! relied upon.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::http::{Exposition, NotReady, Pages, render};
use crate::metrics::{Family, Sample};
use crate::store::Registry;
use crate::telemetry::Telemetry;

use super::agent::{Shared, lock};
use super::clock::{Clock, SystemClock};
use super::health::Flags;

/// The pages of a daemon.
pub(in crate::commands) struct AgentPages {
    pub(in crate::commands) registry: Shared,
    pub(in crate::commands) telemetry: Telemetry,
    pub(in crate::commands) flags: Arc<Flags>,
    pub(in crate::commands) clock: SystemClock,
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
