//! The agent: what is read becomes one transaction, and only then is seen by anybody.
//!
//! A round polls all logs, reads what is new, and commits positions together with counts. When a commit
//! fails its fate is unknown, so everything in memory is given up for what the store says once it
//! can be opened again; until then nothing is read, and the totals shown are the last committed
//! ones. The logs are the buffer.
//!
//! Nothing here waits, starts a thread or talks to the network: `commands::run` and `once` call
//! [`Agent::round`] when it is time, and carry jobs to outputs and back.

mod adopt;
#[cfg(test)]
mod model;
mod outputs;
mod upkeep;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::{AgentConfig, LogConfig, Start};
use crate::pipeline::Rejection;
use crate::source::follow::{Disk, Event};
use crate::source::stream::StreamError;
use crate::source::wake::Wake;
use crate::store::{Batch, Delta, FileRow, Registry, Store, StoreError};

use super::clock::{Clock, Clocks, Now};
use super::health::Health;
use super::journal;
use super::log::{LogReader, Source, Taken};
use super::minutes::minute_of;
use super::outbox::Outbox;
use super::own::{Own, OwnCounts, flag_cell};
use super::prepare::Prepared;
use super::rows::row;
use super::samples::Samples;

pub(in crate::commands) use adopt::options;

/// What waits for outputs is counted for at most one part in so many of the time.
const QUEUE_SHARE: u32 = 50;

/// The store says at least so often how far the logs were read, also when nothing is written to them.
const TELL: Duration = Duration::from_secs(60);

/// The committed totals as others see them.
pub(in crate::commands) type Shared = Arc<Mutex<Registry>>;

/// What does not change while the process lives.
pub(in crate::commands) struct Surroundings<D, C> {
    /// The file system as a log sees it.
    pub(in crate::commands) disk: fn(&LogConfig) -> D,
    pub(in crate::commands) clock: C,
    /// Minutes from before the store began may be sent.
    pub(in crate::commands) backfill: bool,
    /// Where new logs begin, whatever the configuration says.
    pub(in crate::commands) from: Option<Start>,
    /// Calls the agent when a stream has lines.
    pub(in crate::commands) wake: Wake,
    pub(in crate::commands) health: Health,
}

/// What a round did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) struct Round {
    /// There is more to read.
    pub(in crate::commands) more: bool,
    /// The store takes commits.
    pub(in crate::commands) committed: bool,
}

/// Why an agent cannot be made, or cannot change.
#[derive(Debug, thiserror::Error)]
pub(in crate::commands) enum AgentError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the store does not work at present")]
    Busy,
    #[error("log `{log}`")]
    Stream {
        log: String,
        #[source]
        source: StreamError,
    },
}

/// Followers, counts and the store, on one thread.
pub(in crate::commands) struct Agent<D: Disk, C: Clock> {
    prepared: Arc<Prepared>,
    disk: fn(&LogConfig) -> D,
    clocks: Clocks<C>,
    backfill: bool,
    from: Option<Start>,
    wake: Wake,
    health: Health,
    store: Store,
    registry: Shared,
    samples: Samples,
    logs: Vec<LogReader<D>>,
    outboxes: Vec<Outbox>,
    own: OwnCounts,
    /// Incomplete flags that are published with the next commit.
    flags: Vec<(Vec<u8>, i64, Vec<u64>)>,
    buffer: Vec<u8>,
    /// The log that is read first in the next round.
    turn: usize,
    /// When the store is tried again; `None` while it is well.
    retry: Option<Duration>,
    /// When the store was last tidied; `None` when this process did not, so that `once` does.
    tidied: Option<Duration>,
    /// When what waits for outputs is counted again.
    queues_due: Duration,
    /// What the last commit told readers of time; `None` before the first.
    told: Option<Told>,
}

/// Where time stood when the store was last committed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    at: Duration,
    /// Minutes of the logs' watermarks.
    minutes: Vec<i64>,
}

impl<D: Disk, C: Clock> Agent<D, C> {
    /// Takes over from what the store says.
    ///
    /// # Errors
    /// Those of the store, and streams that cannot be opened.
    pub(in crate::commands) fn new(
        prepared: Arc<Prepared>,
        store: Store,
        surroundings: Surroundings<D, C>,
    ) -> Result<Agent<D, C>, AgentError> {
        let mut agent = Agent {
            own: OwnCounts::new(prepared.ruled),
            prepared: Arc::clone(&prepared),
            disk: surroundings.disk,
            clocks: Clocks::new(surroundings.clock),
            backfill: surroundings.backfill,
            from: surroundings.from,
            wake: surroundings.wake,
            health: surroundings.health,
            store,
            registry: Shared::default(),
            samples: Samples::default(),
            logs: Vec::new(),
            outboxes: Vec::new(),
            flags: Vec::new(),
            buffer: Vec::new(),
            turn: 0,
            retry: None,
            tidied: None,
            queues_due: Duration::ZERO,
            told: None,
        };
        agent.adopt(prepared)?;
        Ok(agent)
    }

    /// The totals that others may show.
    pub(in crate::commands) fn registry(&self) -> Shared {
        Arc::clone(&self.registry)
    }

    /// Lines that did not count, of those that were committed.
    pub(in crate::commands) fn samples(&self) -> Samples {
        self.samples.clone()
    }

    /// How often to do what.
    pub(in crate::commands) fn pace(&self) -> &AgentConfig {
        &self.prepared.config.agent
    }

    /// Both clocks.
    pub(in crate::commands) fn now(&self) -> Now {
        self.clocks.now()
    }

    /// Directories whose changes should wake the agent.
    pub(in crate::commands) fn directories(&self) -> Vec<std::path::PathBuf> {
        let files = self.logs.iter().filter_map(|log| match &log.source {
            Source::Files(followers) => Some(followers),
            Source::Stream(_) => None,
        });
        let mut all: Vec<_> = files
            .flat_map(|followers| followers.directories())
            .map(std::path::Path::to_path_buf)
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Replaces what others see.
    fn publish(&mut self, registry: Registry) {
        for change in &registry.changes {
            journal::definition_changed(change);
        }
        for outbox in &mut self.outboxes {
            outbox.learn(&registry);
        }
        *lock(&self.registry) = registry;
    }

    /// Changes what others see after a commit.
    fn apply(&mut self, delta: Delta) {
        let mut registry = lock(&self.registry);
        let grew = !delta.new.is_empty();
        registry.apply(delta);
        if grew {
            for outbox in &mut self.outboxes {
                outbox.learn(&registry);
            }
        }
    }

    /// Looks at the logs if it is time for that, reads what is new for at most `budget`, commits.
    pub(in crate::commands) fn round(&mut self, budget: Duration, look: bool) -> Round {
        let now = self.now();
        if self.retry.is_some() && !self.heal(now) {
            return Round {
                more: false,
                committed: false,
            };
        }
        if look {
            self.poll(now);
        }
        let more = self.read(now, budget);
        let now = self.now();
        let committed = self.commit(now, false);
        if committed {
            self.tidy(now);
        }
        self.report(now);
        Round { more, committed }
    }

    fn poll(&mut self, now: Now) {
        for log in &mut self.logs {
            if let Source::Files(followers) = &mut log.source {
                followers.poll(now.monotonic);
            }
        }
    }

    /// Reads all logs in turn; true when the budget ended before they did.
    fn read(&mut self, now: Now, budget: Duration) -> bool {
        let clocks = &self.clocks;
        let mut enough = || clocks.now().monotonic.saturating_sub(now.monotonic) >= budget;
        let count = self.logs.len();
        for step in 0..count {
            let number = (self.turn + step) % count;
            let Some(log) = self.logs.get_mut(number) else {
                continue;
            };
            if log.read(now, &mut self.buffer, &mut enough) {
                self.turn = (number + 1) % count;
                return true;
            }
        }
        false
    }

    /// Commits what was read. With `close`, every minute that has lines is published, whatever the
    /// time. False when the store did not take it.
    pub(in crate::commands) fn commit(&mut self, now: Now, close: bool) -> bool {
        if self.retry.is_some() {
            return false;
        }
        let mut runs = Vec::new();
        let mut minutes = Vec::new();
        let mut aside = Vec::new();
        for number in 0..self.logs.len() {
            let Some(log) = self.logs.get_mut(number) else {
                continue;
            };
            let mut taken = log.take();
            runs.append(&mut taken.runs);
            aside.extend(taken.samples.drain(..).map(|one| (log.name.clone(), one)));
            minutes.extend(taken.minutes.keys().map(|minute| (number, *minute)));
            self.count(number, &taken, now);
            self.events(number);
            self.advance(number, now, close);
        }
        let files = self.changed_files();
        let nothing =
            runs.is_empty() && files.is_empty() && self.own.is_empty() && self.flags.is_empty();
        let told = self.to_tell(now);
        if nothing && !self.is_news(&told) {
            self.health.store_works();
            return true;
        }
        runs.extend(Some(self.own.run()).filter(|run| !run.is_empty()));
        let marks = self.logs.iter().map(|log| log.time.watermark);
        let marks: Vec<(usize, i64)> = marks.enumerate().filter(|(_, at)| *at > i64::MIN).collect();
        let batch = Batch {
            runs: &runs,
            totals: &self.own.totals(),
            windows_set: &self.flags,
            files: &files,
            minutes: &minutes,
            watermarks: &marks,
            now_ms: now.wall_ms,
        };
        let result = self.store.commit(&batch);
        let took = self.now().monotonic.saturating_sub(now.monotonic);
        match result {
            Ok(committed) => {
                self.apply(committed.delta);
                self.samples.publish(aside, now.wall_ms);
                self.settled(took);
                self.told = Some(told);
                true
            }
            Err(error) => {
                self.lost(&error, now);
                false
            }
        }
    }

    fn to_tell(&self, now: Now) -> Told {
        let marks = self.logs.iter().map(|log| minute_of(log.time.watermark));
        Told {
            at: now.monotonic,
            minutes: marks.collect(),
        }
    }

    /// True when who reads the store would believe too little: a log came into another minute without a
    /// line, or the last commit is so old that the agent could be dead.
    fn is_news(&self, told: &Told) -> bool {
        self.told.as_ref().is_none_or(|before| {
            before.minutes != told.minutes || told.at.saturating_sub(before.at) >= TELL
        })
    }

    /// The agent's own counts of what one log had.
    fn count(&mut self, number: usize, taken: &Taken, now: Now) {
        let Some(log) = self.logs.get_mut(number) else {
            return;
        };
        let (own, name) = (&mut self.own, log.name.as_str());
        for (&minute, &lines) in &taken.minutes {
            own.add_at(Own::Lines, &[name, "parsed"], minute, lines);
            log.time.lines(minute, lines, 0);
        }
        let without = log.time.minute_without_time(now);
        let counts = &taken.counts;
        own.add_at(Own::Lines, &[name, "unparsed"], without, counts.unparsed);
        own.add_at(Own::Lines, &[name, "skipped"], without, counts.skipped);
        log.time.lines(without, 0, counts.unparsed);
        for (reason, &lines) in Rejection::ALL.iter().zip(&counts.rejected) {
            own.add_at(Own::Lines, &[name, "rejected"], without, lines);
            own.add(Own::Rejected, &[name, reason.name()], lines);
        }
        own.add(Own::Partial, &[name], counts.partial);
        own.add(Own::Ambiguous, &[name], counts.ambiguous);
        own.add(Own::Late, &[name], taken.late);
        own.add(Own::Bytes, &[name], taken.bytes);
        own.add(Own::Gaps, &[name, "dropped"], taken.dropped);
        for (metric, errors) in &taken.value_errors {
            if let Some(plan) = self.prepared.metrics.get(*metric) {
                own.add(Own::ValueErrors, &[&plan.metric.name], *errors);
            }
        }
    }

    /// What happened to the files of one log: counted, and said once.
    fn events(&mut self, number: usize) {
        let Some(log) = self.logs.get_mut(number) else {
            return;
        };
        let Source::Files(followers) = &mut log.source else {
            return;
        };
        for event in followers.events() {
            if let Event::Gap { reason, bytes, .. } = &event {
                self.own.add(Own::Gaps, &[&log.name, reason], 1);
                self.own
                    .add(Own::GapBytes, &[&log.name, reason], bytes.unwrap_or(0));
            }
            self.health.event(&log.name, &event);
            journal::event(&log.name, &event);
        }
    }

    /// Brings a log's time forward and publishes what it closes.
    fn advance(&mut self, number: usize, now: Now, close: bool) {
        let Some(log) = self.logs.get_mut(number) else {
            return;
        };
        log.time.advance(now, &log.standings());
        let published = if close {
            log.time.close_all()
        } else {
            log.time.close(now)
        };
        let key = self.own.key(Own::Incomplete, &[&log.name]);
        let flags = published
            .into_iter()
            .map(|(minute, incomplete)| (key.clone(), minute, flag_cell(incomplete, minute)));
        self.flags.extend(flags);
    }

    fn changed_files(&mut self) -> Vec<FileRow> {
        let mut rows = Vec::new();
        for (number, log) in self.logs.iter_mut().enumerate() {
            if let Source::Files(followers) = &mut log.source {
                rows.extend(
                    followers
                        .changed()
                        .into_iter()
                        .map(|saved| row(number, saved)),
                );
            }
        }
        rows
    }

    /// A commit succeeded.
    fn settled(&mut self, took: Duration) {
        self.logs.iter_mut().for_each(LogReader::committed);
        self.own.clear();
        self.flags.clear();
        self.health.committed(took);
    }

    /// Commits what streams have taken from their senders, who will not send it again. Files keep what is
    /// not committed.
    pub(in crate::commands) fn hand_in(&mut self, budget: Duration) {
        let streams = |log: &LogReader<D>| matches!(log.source, Source::Stream(_));
        if self.logs.iter().any(streams) {
            self.round(budget, false);
        }
    }

    /// True while the store takes commits.
    pub(in crate::commands) fn is_well(&self) -> bool {
        self.retry.is_none()
    }

    /// True when streams, if there are any, have come to their ends.
    pub(in crate::commands) fn is_settled(&self) -> bool {
        self.logs.iter().all(|log| match &log.source {
            Source::Files(_) => true,
            Source::Stream(_) => log.is_over(),
        })
    }

    /// True when all streams have ended and there are no files to follow.
    pub(in crate::commands) fn is_over(&self) -> bool {
        self.logs.iter().all(LogReader::is_over)
    }

    /// Tells the health of everything.
    fn report(&mut self, now: Now) {
        for log in &self.logs {
            let (files, lag) = match &log.source {
                Source::Files(followers) => (followers.len(), followers.lag_bytes()),
                Source::Stream(_) => (0, 0),
            };
            self.health.log(&log.name, files, lag, log.time.lag(now));
        }
        self.health.geo(&self.prepared.geo, now);
        self.health.store_bytes(self.store.bytes());
        if self.retry.is_none() && self.now().monotonic >= self.queues_due {
            self.report_queues();
        }
    }

    /// Counting what waits goes through all of it: after a long outage that must not cost more than
    /// a small share of the time.
    fn report_queues(&mut self) {
        let began = self.now().monotonic;
        for (number, outbox) in self.outboxes.iter().enumerate() {
            if let Ok(queue) = self.store.queue(number) {
                self.health.queue(outbox.name(), &queue);
            }
        }
        let now = self.now().monotonic;
        let took = now.saturating_sub(began);
        self.queues_due = now.saturating_add(took.saturating_mul(QUEUE_SHARE));
    }
}

/// A panic elsewhere leaves the totals as they were: each change is one assignment.
pub(in crate::commands) fn lock(registry: &Shared) -> MutexGuard<'_, Registry> {
    registry.lock().unwrap_or_else(PoisonError::into_inner)
}
