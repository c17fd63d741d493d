//! `run`: everything is opened and checked first, then served until a signal ends it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::cli::{FollowArgs, RunArgs};
use crate::commands::host::environment;
use crate::commands::{Done, Failure};
use crate::config::{Config, OutputConfig, OutputKind};
use crate::definition::At;
use crate::diagnostic::Diagnostic;
use crate::http::{Server, ServerError, WebConfig};
use crate::sinks::carbon::{self, Target};
use crate::source::wake::{Wake, Waker};
use crate::telemetry::Telemetry;

use super::agent::Agent;
use super::clock::SystemClock;
use super::outbox::protocol;
use super::overview::About;
use super::pages::AgentPages;
use super::prepare::{Prepared, watched_files};
use super::queue::{RemoteQueue, Request};
use super::worker::Worker;
use super::{journal, load, open_store, refused_agent, say_notices, surroundings, telemetry};

/// How long the outputs, the agent and HTTP may take to stop, one after another.
const STOP: Duration = Duration::from_secs(3);
/// How often databases and address lists are looked at.
const LOOK: Duration = Duration::from_secs(10);
/// How often observations are put into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);

/// Follows logs until a signal ends it.
pub(in crate::commands) fn run(args: &RunArgs) -> Result<Done, Failure> {
    journal::install();
    let prepared = Arc::new(Prepared::new(load(&args.follow)?)?);
    say_notices(&prepared, &[]);
    let telemetry = telemetry()?;
    let store = open_store(&prepared)?;
    let (server, web) = listening(&prepared.config)?;
    let (requests, received) = channel();
    let wake = requests.clone();
    let wake: Wake = Arc::new(move || drop(wake.send(Request::Wake)));
    let surroundings = surroundings(&args.follow, &telemetry, Arc::clone(&wake));
    let flags = surroundings.health.flags();
    let agent = Agent::new(Arc::clone(&prepared), store, surroundings)
        .map_err(|error| refused_agent(&error))?;
    let clock = SystemClock::start();
    let pages = AgentPages {
        registry: agent.registry(),
        telemetry: telemetry.clone(),
        flags: Arc::clone(&flags),
        about: About::new(&prepared.config, environment().host, &clock),
        clock,
        store: prepared.config.store.path.value.clone(),
        marks: std::sync::Mutex::default(),
        samples: agent.samples(),
    };
    let worker = Worker {
        agent,
        requests: received,
        waker: Waker::new(wake),
        flags,
        telemetry: telemetry.clone(),
        watchdog: watchdog(),
    };
    let worker = std::thread::Builder::new()
        .name("agent".to_owned())
        .spawn(move || worker.run())
        .context("cannot start the agent's thread")?;
    let daemon = Daemon {
        args: args.follow.clone(),
        requests,
        telemetry,
        outputs: HashMap::new(),
        seen: stamps(&prepared.config),
        refused: false,
        begun: prepared.config.clone(),
        prepared: Arc::clone(&prepared),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let served = runtime.block_on(daemon.serve(server, web, pages, worker));
    // A look-up of a name that never ends must not keep the process.
    runtime.shutdown_timeout(Duration::from_millis(100));
    served.map(|()| Done::Complete)
}

/// Takes the addresses, so that a taken one is known before anything is read.
fn listening(config: &Config) -> Result<(Option<Server>, Option<WebConfig>), Failure> {
    let refused = |message: String, help: Option<String>| Failure::Refused {
        code: 2,
        message,
        help,
    };
    let (addresses, page) = (plain(&config.http.listen), plain(&config.status.listen));
    if addresses.is_empty() && page.is_empty() {
        return Ok((None, None));
    }
    let web = config.http.web_config.as_ref();
    let web = web.map(|at| WebConfig::open(&at.value)).transpose();
    let web = web.map_err(|error| refused(journal::chain(&error), None))?;
    let no_address = |table: &str, what: &str| {
        let help = format!(
            "`listen` of `[{table}]` in the configuration file gives {what} another address; \"\" turns it off"
        );
        move |error: ServerError| refused(journal::chain(&error), Some(help))
    };
    let server = Server::bind(&addresses)
        .map_err(no_address("http", "/metrics"))?
        .with_status(&page, plain(&config.status.hosts))
        .map_err(no_address("status", "the status page"))?;
    for address in server.addresses() {
        tracing::info!("listening on {address}");
    }
    for url in server.pages_at(web.as_ref()) {
        tracing::info!("the status page is at {url}");
    }
    Ok((Some(server), web))
}

/// A third of the time after which the service manager loses patience.
fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|patience| patience / 3)
}

/// An output's task.
struct Running {
    config: String,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// The I/O side.
struct Daemon {
    args: FollowArgs,
    requests: Sender<Request>,
    telemetry: Telemetry,
    outputs: HashMap<String, Running>,
    /// Files whose change calls for preparing anew.
    seen: Stamps,
    /// The operator's newest configuration has mistakes.
    refused: bool,
    /// What is in use.
    prepared: Arc<Prepared>,
    /// The configuration of the start.
    begun: Config,
}

/// When each file was last changed, its length and its inode.
type Stamps = HashMap<PathBuf, Option<(SystemTime, u64, u64)>>;

struct Signals {
    ends: Ends,
    hang_up: Signal,
}

/// Signals that want the process to end.
struct Ends {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            ends: Ends {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
            },
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

impl Ends {
    /// Waits for one of them.
    async fn one(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

impl Daemon {
    async fn serve(
        mut self,
        server: Option<Server>,
        web: Option<WebConfig>,
        pages: AgentPages,
        worker: std::thread::JoinHandle<()>,
    ) -> Result<(), Failure> {
        let signals = Signals::new().context("cannot listen to signals")?;
        let (stop, stopped) = watch::channel(false);
        let http = server.map(|server| tokio::spawn(server.serve(Arc::new(pages), web, stopped)));
        let prepared = Arc::clone(&self.prepared);
        self.start_outputs(&prepared.config);
        let (ended, mut worker_ended) = oneshot::channel();
        std::thread::spawn(move || {
            let result = worker.join();
            // Nobody listens when the process ends first.
            ended.send(result.is_ok()).ok();
        });
        notify(&[sd_notify::NotifyState::Ready]);
        let well = self.until_told(signals, &mut worker_ended).await;
        notify(&[sd_notify::NotifyState::Stopping]);
        tracing::info!("stopping");
        self.stop_outputs().await;
        drop(self.requests.send(Request::Stop));
        if well.is_none() {
            drop(tokio::time::timeout(STOP, &mut worker_ended).await);
        }
        drop(stop);
        if let Some(http) = http {
            drop(tokio::time::timeout(STOP, http).await);
        }
        match well {
            Some(false) => Err(Failure::Other(anyhow::anyhow!(
                "the agent's thread ended by a fault of its own; nothing committed is lost"
            ))),
            _ => Ok(()),
        }
    }

    /// Serves until a signal, or until the agent's thread has ended: then whether it ended well.
    async fn until_told(
        &mut self,
        mut signals: Signals,
        worker_ended: &mut oneshot::Receiver<bool>,
    ) -> Option<bool> {
        let mut look = tokio::time::interval(LOOK);
        let mut upkeep = tokio::time::interval(UPKEEP);
        loop {
            let asked = tokio::select! {
                () = signals.ends.one() => return None,
                _ = signals.hang_up.recv() => true,
                _ = look.tick() => {
                    if stamps(&self.prepared.config) == self.seen {
                        continue;
                    }
                    false
                }
                _ = upkeep.tick() => {
                    self.telemetry.upkeep();
                    continue;
                }
                ended = &mut *worker_ended => return Some(ended.unwrap_or(false)),
            };
            // Whoever wants the end does not wait for an agent that is busy.
            tokio::select! {
                () = signals.ends.one() => return None,
                () = self.reload(asked) => {}
            }
        }
    }

    /// Prepares everything anew and takes it over, from the file when the operator `asked` for it,
    /// else because a file that it names has changed. Whatever has mistakes is told, and the old one
    /// stays.
    async fn reload(&mut self, asked: bool) {
        if asked {
            notify(&[sd_notify::NotifyState::Reloading]);
        }
        let taken = self.prepare_and_adopt(asked).await;
        match &taken {
            Ok(()) => tracing::info!("configuration loaded"),
            Err(error) => tracing::error!(
                error,
                "the new configuration is not used, the old one stays: {error}"
            ),
        }
        // A file that was repaired says nothing about a configuration that was refused.
        if asked {
            self.refused = taken.is_err();
        }
        let newest = taken.is_ok() && !self.refused;
        self.telemetry
            .config_reload_success
            .set(f64::from(u8::from(newest)));
        if asked {
            notify(&[sd_notify::NotifyState::Ready]);
        }
    }

    async fn prepare_and_adopt(&mut self, asked: bool) -> Result<(), String> {
        let (args, before) = (self.args.clone(), Arc::clone(&self.prepared));
        let prepare = move || {
            let config = match asked && args.config.is_some() {
                true => load(&args)?,
                false => before.config.clone(),
            };
            // Before anything is read: what changes meanwhile is read again.
            let seen = stamps(&config);
            Ok::<_, Vec<Diagnostic>>((Prepared::beside(config, &before.geo)?, seen))
        };
        match tokio::task::spawn_blocking(prepare).await {
            Ok(Ok((prepared, seen))) => {
                self.seen = seen;
                say_notices(&prepared, &self.prepared.notices);
                self.adopt(Arc::new(prepared)).await
            }
            Ok(Err(mistakes)) => {
                self.seen = stamps(&self.prepared.config);
                super::super::say_all(&mistakes);
                Err(first_of(&mistakes))
            }
            Err(panic) => Err(panic.to_string()),
        }
    }

    async fn adopt(&mut self, prepared: Arc<Prepared>) -> Result<(), String> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Adopt {
            prepared: Arc::clone(&prepared),
            reply,
        };
        let gone = || "the agent's thread has ended".to_owned();
        self.requests.send(request).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())??;
        self.start_outputs(&prepared.config);
        for key in needs_start(&self.begun, &prepared.config) {
            tracing::warn!(
                setting = key,
                "`{key}` has changed and is used from the next start on"
            );
        }
        self.prepared = prepared;
        Ok(())
    }

    /// Starts outputs that are new or changed, stops those that left.
    fn start_outputs(&mut self, config: &Config) {
        let mut before = std::mem::take(&mut self.outputs);
        for output in &config.outputs {
            let name = output.name.value.clone();
            let written = format!("{:?} {:?}", target(output), output.retry);
            let known = before.remove(&name);
            let running = match known {
                Some(running) if running.config == written => running,
                known => {
                    if let Some(old) = known {
                        stop_output(&old);
                    }
                    self.start_output(output, written)
                }
            };
            self.outputs.insert(name, running);
        }
        before.values().for_each(stop_output);
    }

    fn start_output(&self, output: &OutputConfig, config: String) -> Running {
        let (stop, stopped) = watch::channel(false);
        let queue = RemoteQueue {
            output: output.name.value.clone(),
            requests: self.requests.clone(),
            points: 0,
        };
        let task = carbon::run(target(output), output.retry, queue, stopped);
        Running {
            config,
            stop,
            task: tokio::spawn(task),
        }
    }

    async fn stop_outputs(&mut self) {
        for running in self.outputs.values() {
            stop_output(running);
        }
        let all = async {
            for (_, running) in self.outputs.drain() {
                // Only a task that panicked has an error.
                drop(running.task.await);
            }
        };
        drop(tokio::time::timeout(STOP, all).await);
    }
}

/// The task ends by itself, and says that what it had in hand was not delivered.
fn stop_output(running: &Running) {
    // A task that has ended does not listen.
    running.stop.send(true).ok();
}

/// Where an output delivers.
pub(super) fn target(output: &OutputConfig) -> Target {
    let OutputKind::Graphite(graphite) = &output.kind;
    Target {
        address: graphite.address.value.to_string(),
        protocol: protocol(graphite.protocol),
        connect_timeout: graphite.connect_timeout,
        write_timeout: graphite.write_timeout,
        ack_timeout: graphite.ack_timeout,
    }
}

fn first_of(mistakes: &[Diagnostic]) -> String {
    let first = mistakes.first().map(|mistake| mistake.message.clone());
    first.unwrap_or_default()
}

/// The watched files as they are.
fn stamps(config: &Config) -> Stamps {
    let stamp = |path: &PathBuf| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.modified().ok()?, found.len(), found.ino()))
    };
    let files = watched_files(config).into_iter();
    files.map(|path| (path.clone(), stamp(&path))).collect()
}

/// Keys that a running process cannot follow, of those that have changed since it began.
fn needs_start(before: &Config, now: &Config) -> Vec<&'static str> {
    let page = |config: &Config| -> (Vec<SocketAddr>, Vec<String>) {
        let (listen, hosts) = (&config.status.listen, &config.status.hosts);
        (plain(listen), plain(hosts))
    };
    let web = |config: &Config| config.http.web_config.as_ref().map(|at| at.value.clone());
    [
        (
            "http.listen",
            plain(&before.http.listen) != plain(&now.http.listen),
        ),
        ("status", page(before) != page(now)),
        ("http.web_config", web(before) != web(now)),
        (
            "store.path",
            before.store.path.value != now.store.path.value,
        ),
        (
            "limits.line_bytes",
            before.limits.line_bytes != now.limits.line_bytes,
        ),
        (
            "agent.rotate_wait",
            before.agent.rotate_wait != now.agent.rotate_wait,
        ),
    ]
    .into_iter()
    .filter_map(|(key, changed)| changed.then_some(key))
    .collect()
}

/// Values without their places.
fn plain<T: Clone>(list: &[At<T>]) -> Vec<T> {
    list.iter().map(|at| at.value.clone()).collect()
}

/// Without a service manager nobody is told.
fn notify(states: &[sd_notify::NotifyState<'_>]) {
    drop(sd_notify::notify(states));
}
