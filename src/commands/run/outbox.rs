//! One output on the agent's side: which paths its series have, and the claim that is under way.
//!
//! The store says what is due, the paths say under which names; both become the bytes of one
//! delivery. Who delivers them runs elsewhere and only says how it ended.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::config::{GraphiteConfig, GraphiteProtocol, OutputConfig, OutputKind};
use crate::sinks::carbon::{Counted, Encoder, Job, Payload, Protocol, collect};
use crate::sinks::paths::{Leaf, Paths};
use crate::store::{Claim, MetricPlan, Registry, SeriesRef};

/// An output as the agent sees it.
pub(super) struct Outbox {
    pub(super) config: OutputConfig,
    pub(super) settle_ms: Vec<i64>,
    /// Somebody waits for the next job.
    pub(super) waiting: Option<oneshot::Sender<Option<Job>>>,
    /// The claim of the job that is under way.
    pub(super) claimed: Option<u64>,
    /// The last delivery failed.
    pub(super) failing: bool,
    paths: Vec<Paths>,
    series: Vec<Known>,
    /// The first series of each path.
    first: HashMap<String, SeriesRef>,
    /// The group of each series that shares a path with another one.
    group: HashMap<SeriesRef, usize>,
    groups: Vec<Vec<SeriesRef>>,
}

/// What is known of a series.
struct Known {
    metric: usize,
    leaves: Vec<Leaf>,
}

impl Outbox {
    pub(super) fn new(config: &OutputConfig, metrics: &[MetricPlan]) -> Outbox {
        let OutputKind::Graphite(graphite) = &config.kind;
        Outbox {
            config: config.clone(),
            settle_ms: config.settle.iter().map(|age| millis(*age)).collect(),
            waiting: None,
            claimed: None,
            failing: false,
            paths: metrics.iter().map(|plan| paths(graphite, plan)).collect(),
            series: Vec::new(),
            first: HashMap::new(),
            group: HashMap::new(),
            groups: Vec::new(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.config.name.value
    }

    /// Learns the paths of series that are new in the registry.
    pub(super) fn learn(&mut self, registry: &Registry) {
        for number in self.series.len()..registry.series.len() {
            let Some(series) = registry.series.get(number) else {
                return;
            };
            let labels: Vec<&str> = series.labels.iter().map(String::as_str).collect();
            let leaves = self
                .paths
                .get(series.metric)
                .map_or_else(Vec::new, |paths| paths.leaves(&labels));
            // The first value of each path stands for all of them.
            for leaf in leaves.iter().filter(|leaf| leaf.value == 0) {
                match self.first.get(&leaf.path) {
                    None => drop(self.first.insert(leaf.path.clone(), number)),
                    Some(&first) => self.join(first, number),
                }
            }
            self.series.push(Known {
                metric: series.metric,
                leaves,
            });
        }
    }

    /// Makes one group of two series that share a path, and of all that share paths with them.
    fn join(&mut self, one: SeriesRef, other: SeriesRef) {
        let (group, leaving) = (self.group_of(one), self.group_of(other));
        if group == leaving {
            return;
        }
        let moving = self
            .groups
            .get_mut(leaving)
            .map(std::mem::take)
            .unwrap_or_default();
        for series in &moving {
            self.group.insert(*series, group);
        }
        if let Some(members) = self.groups.get_mut(group) {
            members.extend(moving);
        }
    }

    fn group_of(&mut self, series: SeriesRef) -> usize {
        *self.group.entry(series).or_insert_with(|| {
            self.groups.push(vec![series]);
            self.groups.len() - 1
        })
    }

    /// Series that share a path with this one, itself included; empty when none does.
    pub(super) fn together(&self, series: SeriesRef) -> &[SeriesRef] {
        let group = self
            .group
            .get(&series)
            .and_then(|&group| self.groups.get(group));
        group.map_or(&[], Vec::as_slice)
    }

    /// The bytes of a claim.
    pub(super) fn job(&self, claim: &Claim, metrics: &[MetricPlan]) -> Job {
        let counted = claim.points.iter().filter_map(|point| {
            let known = self.series.get(point.series)?;
            Some(Counted {
                leaves: &known.leaves,
                cell: &point.cell,
                kind: &metrics.get(known.metric)?.metric.kind,
                minute: point.minute,
            })
        });
        let points = collect(counted);
        let OutputKind::Graphite(graphite) = &self.config.kind;
        let encoder = Encoder {
            protocol: protocol(graphite.protocol),
        };
        Job {
            id: claim.id,
            payload: Payload(encoder.encode(&points)),
            points: points.len() as u64,
        }
    }
}

pub(super) fn protocol(protocol: GraphiteProtocol) -> Protocol {
    match protocol {
        GraphiteProtocol::Tcp => Protocol::Tcp,
        GraphiteProtocol::Udp => Protocol::Udp,
        GraphiteProtocol::Pickle => Protocol::Pickle,
    }
}

fn paths(graphite: &GraphiteConfig, plan: &MetricPlan) -> Paths {
    let own = graphite
        .paths
        .iter()
        .find(|(name, _)| name.value == plan.metric.name);
    let own: Option<Vec<String>> = own.map(|(_, paths)| {
        paths
            .iter()
            .map(|path| path.value.as_str().to_owned())
            .collect()
    });
    Paths::new(
        &graphite.prefix.value,
        &plan.metric,
        own.as_deref(),
        graphite.tags,
    )
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
