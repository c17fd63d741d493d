//! What the rules make of one record, told to people: which of them take it, and why the others do
//! not; the series it feeds; the walk to its client.
//!
//! Invariant: what is told is what [`Evaluator::count`] counts. Both ask the same matchers and add the
//! same amounts; here nothing is remembered from line to line, so that any number of lines can be told
//! in the same memory.

use std::net::IpAddr;

use super::evaluate::or_unknown;
use super::value::{Line, Moment, State, Value, plain};
use super::variables::Variable;
use super::{Evaluator, Group, Label, Near, Rules};
use crate::metrics::{Decimal, Kind};
use crate::record::Span;

/// What became of a record in one group of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict<'v> {
    /// The group's number, as in [`Rules::groups`].
    pub group: usize,
    /// The first matcher that failed and the value it saw; `None` when the record counts.
    pub failed: Option<(&'v str, &'v [u8])>,
    /// The record is a near miss.
    pub near: bool,
}

/// Hears what becomes of a record.
pub trait Listener {
    /// A group of rules took the record, or did not.
    fn verdict(&mut self, verdict: Verdict<'_>);

    /// The record adds an amount to the series of a metric (by number) with these label values. A
    /// series may be named more than once; a gauge then has the last amount.
    fn fed(&mut self, metric: usize, labels: &mut dyn Iterator<Item = &[u8]>, amount: Decimal);
}

/// A client walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// What each list of hops held, the peer last; `None` when absent.
    pub sources: Vec<Option<Vec<u8>>>,
    /// The field of the header that named the client, when one was believed.
    pub told_by: Option<&'static str>,
    /// The client; `None` when it is not known.
    pub answer: Option<IpAddr>,
}

impl Rules {
    /// The groups of rules that take the same records: the rule set's name, and the numbers of the
    /// metrics.
    pub fn groups(&self) -> impl Iterator<Item = (&str, Vec<usize>)> {
        self.groups.iter().map(|group| {
            let metrics = group.tallies.iter().map(|tally| tally.metric);
            (group.rules.as_str(), metrics.collect())
        })
    }
}

impl Evaluator {
    /// Tells what each group of rules makes of a record, and what it feeds.
    pub fn account(
        &mut self,
        bytes: &[u8],
        spans: &[Span],
        moment: Moment,
        listener: &mut impl Listener,
    ) {
        let state = &mut self.state;
        let line = state.begin(bytes, spans, &self.rules);
        let mut cell = Vec::new();
        for (number, group) in line.rules.groups.iter().enumerate() {
            let mut verdict = Verdict {
                group: number,
                failed: None,
                near: false,
            };
            let Some(failed) = state.first_failing(line, &group.matchers) else {
                state.tell_amounts(line, group, moment, &mut cell, listener);
                listener.verdict(verdict);
                continue;
            };
            for near in &group.near {
                if state.first_failing(line, &near.matchers).is_none() {
                    verdict.near = true;
                    tell_near(line, near, &failed.text, listener);
                }
            }
            let value = state.value(line, failed.variable);
            verdict.failed = Some((failed.text.as_str(), state.text(line, value)));
            listener.verdict(verdict);
        }
    }

    /// Visits the values of the fields that [`Rules::fields`] was asked for, by number; absent ones are
    /// left out.
    pub fn each_field(
        &mut self,
        bytes: &[u8],
        spans: &[Span],
        mut visit: impl FnMut(usize, &[u8]),
    ) {
        let state = &mut self.state;
        let line = state.begin(bytes, spans, &self.rules);
        for (number, labelling) in line.rules.labelling.iter().enumerate() {
            let value = state.value(line, labelling.variable);
            let text = state.text(line, value);
            if !text.is_empty() {
                visit(number, text);
            }
        }
    }

    /// The sources of each client walk and its answer.
    pub fn clients(&mut self, bytes: &[u8], spans: &[Span]) -> Vec<Walk> {
        let state = &mut self.state;
        let line = state.begin(bytes, spans, &self.rules);
        let mut found = Vec::new();
        for (id, variable) in line.rules.variables.iter().enumerate() {
            let Variable::Client(sources) = variable else {
                continue;
            };
            let mut hops = Vec::new();
            for source in &sources.lists {
                let value = state.value(line, *source);
                let text = state.text(line, value).to_vec();
                hops.push((!text.is_empty()).then_some(text));
            }
            let told = state.told(line, sources);
            let answer = match state.value(line, id) {
                Value::Address(id) => state.addresses.get(id as usize).copied(),
                _ => None,
            };
            found.push(Walk {
                sources: hops,
                told_by: told.map(|(header, _)| header.field()),
                answer,
            });
        }
        found
    }
}

impl State {
    fn tell_amounts(
        &mut self,
        line: Line<'_>,
        group: &Group,
        moment: Moment,
        cell: &mut Vec<u64>,
        listener: &mut impl Listener,
    ) {
        for tally in &group.tallies {
            let Some(metric) = line.rules.layout.metrics.get(tally.metric) else {
                continue;
            };
            cell.clear();
            cell.resize(metric.kind.width(), 0);
            // A value that is no number adds nothing; neither does an absent one to most kinds.
            let added = self.add(line, &tally.amount, moment, cell);
            if added.is_none() || cell.iter().all(|&word| word == 0) {
                continue;
            }
            let amount = match &metric.kind {
                Kind::Buckets(_) => metric.kind.observed_sum(cell),
                kind => kind.amount(cell),
            };
            self.tell_series(line, tally.set, tally.metric, amount, listener);
        }
    }

    fn tell_series(
        &mut self,
        line: Line<'_>,
        set: usize,
        metric: usize,
        amount: Decimal,
        listener: &mut impl Listener,
    ) {
        let labels = line.rules.sets.get(set).map_or(&[][..], Vec::as_slice);
        let mut values = [Value::Absent; crate::metrics::MAX_LABELS * 2];
        for (value, label) in values.iter_mut().zip(labels) {
            if let Label::Field(number) = label
                && let Some(labelling) = line.rules.labelling.get(*number)
            {
                let found = self.value(line, labelling.variable);
                *value = self.buffered(found);
            }
        }
        let values = values.iter().take(labels.len());
        let mut texts =
            values.map(|value| or_unknown(plain(line, &self.scratch, *value).unwrap_or_default()));
        listener.fed(metric, &mut texts, amount);
    }
}

/// A near miss has the reason for its label, or none at all.
fn tell_near(line: Line<'_>, near: &Near, reason: &str, listener: &mut impl Listener) {
    let uses = line.rules.layout.sets.get(near.set).map(|set| &set.uses);
    let metric = uses.and_then(|uses| uses.iter().find(|known| known.offset == near.offset));
    let labels = line.rules.sets.get(near.set).map_or(0, Vec::len);
    if let Some(metric) = metric {
        let mut labels = [reason.as_bytes()].into_iter().take(labels);
        listener.fed(metric.metric, &mut labels, Decimal::whole(1));
    }
}
