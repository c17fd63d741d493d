//! What checks would have said of ten days, minute by minute, as Nagios asks: every minute, and an
//! alarm is one that two checks in a row agree on (HARD).
//!
//! A series that is HARD during one of its incidents, or until what the incident counted left the window,
//! found it; any other is a false alarm. Each series that turns HARD counts, so an episode of three
//! providers is three false alarms, and so is one that comes and goes three times.

use std::collections::BTreeMap;

use super::super::evidence::{Evidence, Lines, Minutes, Series};
use super::super::judge::judge;
use super::super::question::Question;
use super::traffic::{Incident, MINUTES, PROVIDERS, Traffic};
use crate::nagios::State;

/// Minutes after an incident's end in which its alarm may still come up: its counts are in the window.
const AFTER: usize = 15;
/// Minutes from an incident's begin in which it must be found.
pub(super) const IN_TIME: usize = 15;
/// A Monday, as Unix seconds.
const BEGIN: i64 = 1_790_553_600;

/// What a check looks at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Requests,
    Errors,
    Beacons,
}

/// A check of Nagios, for all providers.
pub(super) struct Service {
    pub(super) subject: Subject,
    pub(super) question: Question,
}

/// What became of the ten days.
#[derive(Default)]
pub(super) struct Outcome {
    /// Minutes until each incident was found, in the order of the traffic's.
    pub(super) delays: Vec<Option<usize>>,
    pub(super) false_alarms: usize,
    /// Of these, the critical ones.
    pub(super) false_criticals: usize,
}

/// Asks `services` at every minute that is `wanted`.
pub(super) fn run(
    traffic: &Traffic,
    services: &[Service],
    wanted: &dyn Fn(usize) -> bool,
) -> Outcome {
    let mut outcome = Outcome {
        delays: vec![None; traffic.incidents.len()],
        ..Outcome::default()
    };
    for service in services {
        watch(traffic, service, wanted, &mut outcome);
    }
    outcome
}

fn watch(
    traffic: &Traffic,
    service: &Service,
    wanted: &dyn Fn(usize) -> bool,
    outcome: &mut Outcome,
) {
    let mut evidence = empty();
    let mut before = [State::Ok; PROVIDERS.len()];
    let mut hard = [State::Ok; PROVIDERS.len()];
    for minute in 0..MINUTES {
        let now = at(minute) + 30;
        fill(&mut evidence, traffic, service.subject, minute);
        if !wanted(minute) {
            continue;
        }
        let mut states = [State::Ok; PROVIDERS.len()];
        for judged in judge(&service.question, &evidence, now).judged {
            let label = judged.labels.first().map(String::as_str);
            let provider = PROVIDERS.iter().position(|(name, ..)| Some(*name) == label);
            states[provider.expect("one of ours")] = alarm(judged.state);
        }
        for provider in 0..PROVIDERS.len() {
            let both = milder(states[provider], before[provider]);
            if both.severity() > hard[provider].severity() {
                outcome.alarm(&traffic.incidents, provider, minute, both, hard[provider]);
            }
            hard[provider] = both;
        }
        before = states;
    }
}

/// A minute passes: the one before is closed, the next one is half over.
fn fill(evidence: &mut Evidence, traffic: &Traffic, subject: Subject, minute: usize) {
    let (counts, base) = match subject {
        Subject::Requests => (&traffic.requests, None),
        Subject::Errors => (&traffic.errors, Some(&traffic.requests)),
        Subject::Beacons => (&traffic.beacons, None),
    };
    let lines = Lines {
        read: 1000,
        ..Lines::default()
    };
    let mut set = |minute: usize, part: f64| {
        for (provider, series) in evidence.series.iter_mut().enumerate() {
            put(&mut series.minutes, minute, counts[provider][minute], part);
            if let Some(base) = base {
                put(&mut series.base, minute, base[provider][minute], part);
            }
        }
        let all = evidence.lines.get_or_insert_default();
        all.insert(at(minute), lines);
    };
    set(minute, 0.5);
    if minute > 0 {
        set(minute - 1, 1.0);
        for (provider, series) in evidence.series.iter_mut().enumerate() {
            let hour = at((minute - 1) / 60 * 60);
            *series.hours.entry(hour).or_default() += counts[provider][minute - 1];
        }
    }
    evidence.closed = Some(at(minute));
}

fn put(minutes: &mut Minutes, minute: usize, count: f64, part: f64) {
    if count > 0.0 {
        minutes.insert(at(minute), (count * part).floor());
    }
}

fn empty() -> Evidence {
    Evidence {
        series: PROVIDERS
            .iter()
            .map(|(name, ..)| Series {
                labels: vec![(*name).to_owned()],
                ..Series::default()
            })
            .collect(),
        lines: Some(BTreeMap::new()),
        complete_from: BEGIN,
        ..Evidence::default()
    }
}

fn at(minute: usize) -> i64 {
    BEGIN + i64::try_from(minute).expect("few") * 60
}

/// What is not known raises no alarm here.
fn alarm(state: State) -> State {
    match state {
        State::Unknown => State::Ok,
        state => state,
    }
}

fn milder(a: State, b: State) -> State {
    if a.severity() < b.severity() { a } else { b }
}

impl Outcome {
    fn alarm(
        &mut self,
        incidents: &[Incident],
        provider: usize,
        minute: usize,
        state: State,
        was: State,
    ) {
        let mut of_an_incident = false;
        for (incident, delay) in incidents.iter().zip(&mut self.delays) {
            let begin = incident.minutes.0;
            if incident.holds(provider, minute)
                || (begin..incident.minutes.1 + AFTER).contains(&minute)
                    && incident.holds(provider, begin)
            {
                of_an_incident = true;
                let found = minute - begin;
                *delay = Some(delay.map_or(found, |delay| delay.min(found)));
            }
        }
        if !of_an_incident {
            self.false_alarms += usize::from(was == State::Ok);
            self.false_criticals += usize::from(state == State::Critical);
        }
    }

    /// Incidents found in time.
    pub(super) fn found(&self) -> usize {
        let in_time = |delay: &&Option<usize>| delay.is_some_and(|delay| delay <= IN_TIME);
        self.delays.iter().filter(in_time).count()
    }
}
