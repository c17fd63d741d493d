//! Starting and reloading: the agent takes a configuration, and keeps of the old one what is
//! unchanged.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::super::clock::{Clock, Now};
use super::super::log::{LogReader, Source, StreamSource};
use super::super::outbox::{Outbox, millis};
use super::super::own::{Own, OwnCounts};
use super::super::prepare::{Prepared, PreparedLog};
use super::super::rows::saved;
use super::super::time::{LogTime, Stored, TimeRules, closed_by};
use super::{Agent, AgentError};
use crate::config::{LogConfig, LogInput, Start, SyslogAddress};
use crate::definition::At;
use crate::source::Limits;
use crate::source::follow::{Disk, FollowOptions, Followers};
use crate::source::stream::{Stream, SyslogAddress as Address};
use crate::store::{FileRow, LogPlan, OutputPlan, Registry, StoreError, StoreOptions};

/// Files that are no logs: sockets, the store, what the libraries open.
const OTHER_FILES: u64 = 48;

impl<D: Disk, C: Clock> Agent<D, C> {
    /// Commits what was read and goes on with another configuration.
    ///
    /// # Errors
    /// Those of [`Agent::adopt`]; the store does not work.
    pub(in crate::commands) fn change(
        &mut self,
        prepared: Arc<Prepared>,
    ) -> Result<(), AgentError> {
        let now = self.now();
        if !self.commit(now, false) {
            return Err(AgentError::Busy);
        }
        let adopted = self.adopt(prepared);
        if let Err(AgentError::Store(error)) = &adopted {
            self.lost(error, now);
        }
        adopted
    }

    /// Goes on with another configuration: what is unchanged goes on where it is. Counts that are not
    /// committed must have been, or are read again.
    ///
    /// # Errors
    /// Those of the store, and streams that cannot be opened; the agent is then as it was.
    pub(in crate::commands) fn adopt(&mut self, prepared: Arc<Prepared>) -> Result<(), AgentError> {
        let now = self.now();
        let mut streams = self.new_streams(&prepared)?;
        self.store.set_options(options(&prepared));
        let registry = self.register(&prepared, now)?;
        let mut saved = Vec::new();
        for number in 0..prepared.logs.len() {
            saved.push((self.store.files(number)?, self.stored(&prepared, number)?));
        }
        let mut before = std::mem::take(&mut self.logs);
        for (number, (files, stored)) in saved.into_iter().enumerate() {
            let Some(log) = prepared.logs.get(number) else {
                continue;
            };
            let known = before
                .iter()
                .position(|known| known.name == log.config.name.value);
            let known = known.map(|at| before.swap_remove(at));
            let (source, mut time) = match known {
                Some(known) if same_input(&self.prepared, log) => (Some(known.source), known.time),
                Some(known) => (None, known.time),
                None => {
                    let mut time = LogTime::new(rules(&prepared));
                    time.restore(stored, now);
                    (None, time)
                }
            };
            time.set_rules(rules(&prepared));
            let stream = streams.get_mut(number).and_then(Option::take);
            let source = source.unwrap_or_else(|| match stream {
                Some(stream) => Source::Stream(StreamSource::new(stream)),
                None => self.files(&prepared, &log.config, files),
            });
            self.logs
                .extend(LogReader::new(&prepared, number, source, time));
        }
        self.outboxes = self.new_outboxes(&prepared);
        self.own = OwnCounts::new(prepared.ruled);
        self.flags.clear();
        self.health.configure(&prepared);
        self.publish(registry);
        self.prepared = prepared;
        Ok(())
    }

    pub(super) fn register(
        &mut self,
        prepared: &Prepared,
        now: Now,
    ) -> Result<Registry, StoreError> {
        let logs: Vec<LogPlan> = prepared
            .logs
            .iter()
            .map(|log| LogPlan {
                name: log.config.name.value.clone(),
                backfill: self.backfill,
            })
            .collect();
        let outputs: Vec<OutputPlan> = prepared
            .config
            .outputs
            .iter()
            .map(|output| OutputPlan {
                name: output.name.value.clone(),
                backfill: self.backfill,
            })
            .collect();
        self.store
            .register(&prepared.metrics, &logs, &outputs, now.wall_ms)
    }

    /// What the store says of the time of a log.
    pub(super) fn stored(&self, prepared: &Prepared, log: usize) -> Result<Stored, StoreError> {
        let watermark = self.store.watermark(log)?.unwrap_or(i64::MIN);
        let since = closed_by(watermark, prepared.config.agent.allowed_lateness);
        let name = prepared.logs.get(log).map(|log| &log.config.name.value);
        let name = name.map_or("", String::as_str);
        let lines = Own::Lines.name();
        let mut minutes: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
        for (minute, n) in self.store.counts_since(lines, &[name, "parsed"], since)? {
            minutes.entry(minute).or_default().0 = n;
        }
        for (minute, n) in self.store.counts_since(lines, &[name, "unparsed"], since)? {
            minutes.entry(minute).or_default().1 = n;
        }
        Ok(Stored {
            watermark,
            whole_from: self.store.whole_from(log)?,
            lines: minutes.into_iter().map(|(at, (p, u))| (at, p, u)).collect(),
        })
    }

    /// Streams of logs that had none, or another one.
    fn new_streams(&self, prepared: &Prepared) -> Result<Vec<Option<Stream>>, AgentError> {
        let mut streams = Vec::new();
        for log in &prepared.logs {
            let running = self
                .logs
                .iter()
                .any(|known| known.name == log.config.name.value);
            let open = !(running && same_input(&self.prepared, log));
            let bytes = prepared.config.limits.line_bytes;
            let wake = Arc::clone(&self.wake);
            let stream = match &log.config.input {
                LogInput::StandardInput(_) if open => Some(Ok(Stream::stdin(bytes, wake))),
                LogInput::Syslog(address) if open => {
                    Some(Stream::syslog(&listener(&address.value), bytes, wake))
                }
                _ => None,
            };
            let stream = stream.transpose().map_err(|source| AgentError::Stream {
                log: log.config.name.value.clone(),
                source,
            })?;
            streams.push(stream);
        }
        Ok(streams)
    }

    fn files(&self, prepared: &Prepared, log: &LogConfig, rows: Vec<FileRow>) -> Source<D> {
        let (paths, rotated) = match &log.input {
            LogInput::Files { paths, rotated } => (paths.as_slice(), rotated.as_slice()),
            // Streams are open before files are thought of.
            LogInput::StandardInput(_) | LogInput::Syslog(_) => (&[][..], &[][..]),
        };
        let texts = |paths: &[At<PathBuf>]| {
            paths
                .iter()
                .map(|path| path.value.to_string_lossy().into_owned())
                .collect()
        };
        let rotated = (!rotated.is_empty()).then(|| texts(rotated));
        let options = self.follow_options(prepared, log, texts(paths), rotated);
        let saved = rows.into_iter().map(saved).collect();
        Source::Files(Box::new(Followers::new((self.disk)(log), options, saved)))
    }

    fn follow_options(
        &self,
        prepared: &Prepared,
        log: &LogConfig,
        patterns: Vec<String>,
        rotated: Option<Vec<String>>,
    ) -> FollowOptions {
        let files = u64::try_from(prepared.logs.len()).unwrap_or(1).max(1);
        let share = open_files().saturating_sub(OTHER_FILES) / files;
        FollowOptions {
            patterns,
            rotated,
            line_bytes: prepared.config.limits.line_bytes,
            whole: crate::parse::without_open_record,
            from_start: self.from.unwrap_or(log.from) == Start::Start,
            rotate_wait: prepared.config.agent.rotate_wait,
            max_open: usize::try_from(share.max(1)).unwrap_or(usize::MAX),
            limits: Limits::default(),
        }
    }

    pub(super) fn new_outboxes(&mut self, prepared: &Prepared) -> Vec<Outbox> {
        let mut before = std::mem::take(&mut self.outboxes);
        let outputs = prepared.config.outputs.iter();
        outputs
            .map(|config| {
                let mut outbox = Outbox::new(config, &prepared.metrics);
                let known = before
                    .iter_mut()
                    .find(|known| known.name() == outbox.name());
                if let Some(known) = known {
                    outbox.waiting = known.waiting.take();
                    outbox.failing = known.failing;
                    outbox.claimed = known.claimed;
                }
                outbox
            })
            .collect()
    }
}

fn rules(prepared: &Prepared) -> TimeRules {
    let agent = &prepared.config.agent;
    TimeRules {
        allowed_lateness: agent.allowed_lateness,
        idle: agent.idle,
        exclude_lag: agent.exclude_lag,
        unparsed_share: agent.unparsed_share,
    }
}

/// Settings of the store, from the configuration.
pub(in crate::commands) fn options(prepared: &Prepared) -> StoreOptions {
    let store = &prepared.config.store;
    StoreOptions {
        retention: millis(store.retention) / 1000,
        rollups: millis(store.rollups) / 1000,
        max_bytes: store.max_bytes,
        busy: Duration::from_secs(2),
    }
}

/// Whether a log of the same name read the same input before.
fn same_input(before: &Prepared, log: &PreparedLog) -> bool {
    before.logs.iter().any(|known| {
        known.config.name.value == log.config.name.value
            && known.config.follow_symlinks == log.config.follow_symlinks
            && written(&known.config.input) == written(&log.config.input)
    })
}

/// An input without the places where it was written.
fn written(input: &LogInput) -> String {
    match input {
        LogInput::Files { paths, rotated } => {
            let values = |paths: &[At<PathBuf>]| {
                paths
                    .iter()
                    .map(|path| path.value.clone())
                    .collect::<Vec<_>>()
            };
            format!("{:?} {:?}", values(paths), values(rotated))
        }
        LogInput::StandardInput(_) => "-".to_owned(),
        LogInput::Syslog(address) => format!("{:?}", address.value),
    }
}

fn listener(address: &SyslogAddress) -> Address {
    match address {
        SyslogAddress::Udp(address) => Address::Udp(*address),
        SyslogAddress::Tcp(address) => Address::Tcp(*address),
        SyslogAddress::Unix(path) => Address::Unix(path.clone()),
    }
}

/// Files that this process may have open.
fn open_files() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile)
        .current
        .unwrap_or(1 << 20)
}
