//! `once`: what a crontab runs each minute. The same store and the same promise as `run`, up to the
//! ends of the logs.
//!
//! At the end of a log its time is the clock's, so every minute that is over by the allowed
//! lateness is published; a younger one leaves with the next run, or now with `--close`.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use anyhow::Context as _;

use crate::cli::OnceArgs;
use crate::commands::{Done, Failure, print};
use crate::config::{Config, LogInput};
use crate::diagnostic::Diagnostic;
use crate::http::Exposition;
use crate::sinks::carbon;
use crate::source::follow::RealDisk;
use crate::source::wake::Wake;
use crate::store::Store;

use super::agent::{Agent, options};
use super::clock::SystemClock;
use super::daemon::target;
use super::pages::exposition;
use super::prepare::Prepared;
use super::{journal, load, refused_agent, say_notices, surroundings, telemetry};

/// How often a held store is tried.
const AGAIN: Duration = Duration::from_millis(200);
/// Longest reading between two commits.
const BUDGET: Duration = Duration::from_secs(5);

/// Reads what is new, commits, publishes what is due.
pub(in crate::commands) fn once(args: &OnceArgs) -> Result<Done, Failure> {
    journal::install();
    let mut config = load(&args.follow)?;
    // The end of a log is the end of what this run can know.
    config.agent.idle = Duration::ZERO;
    endless(&config)?;
    let prepared = Arc::new(Prepared::new(config)?);
    say_notices(&prepared, &[]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let Some(store) = runtime.block_on(free_store(&prepared, args.wait))? else {
        let path = prepared
            .config
            .store
            .path
            .value
            .to_string_lossy()
            .into_owned();
        print(
            format!(
                "{}: another run holds the store; nothing done\n",
                path.escape_debug()
            )
            .as_bytes(),
        )?;
        return Ok(Done::Complete);
    };
    let telemetry = telemetry()?;
    let (woken, wakes) = std::sync::mpsc::channel();
    // Nobody listens when all was read.
    let wake: Wake = Arc::new(move || woken.send(()).unwrap_or_default());
    let surroundings = surroundings(&args.follow, &telemetry, wake);
    let mut agent = Agent::new(Arc::clone(&prepared), store, surroundings)
        .map_err(|error| refused_agent(&error))?;
    let read = read_all(&mut agent, &wakes, args.close);
    let delivered = runtime.block_on(deliver_all(&mut agent, &prepared.config));
    runtime.shutdown_timeout(Duration::from_millis(100));
    if let Some(path) = &args.textfile {
        telemetry.catching_up.set(0.0);
        let now = agent.now().wall_ms;
        let text = exposition(&agent.registry(), &telemetry, &[], now, Exposition::Text);
        write_whole(path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    match read && delivered {
        true => Ok(Done::Complete),
        false => Ok(Done::Incomplete),
    }
}

/// A socket has no end that a run could come to.
fn endless(config: &Config) -> Result<(), Vec<Diagnostic>> {
    let sockets = config.logs.iter().filter_map(|log| match &log.input {
        LogInput::Syslog(address) => Some(&address.place),
        _ => None,
    });
    let mistakes = sockets.map(|place| {
        place
            .error("`once` reads to the end, and a socket has none", "no end")
            .help("`beacontail run` listens there")
    });
    let mistakes: Vec<Diagnostic> = mistakes.collect();
    match mistakes.is_empty() {
        true => Ok(()),
        false => Err(mistakes),
    }
}

/// The store, once nobody else holds it; `None` when somebody does after `patience` seconds.
async fn free_store(prepared: &Prepared, patience: u64) -> Result<Option<Store>, Failure> {
    let tries = patience.saturating_mul(1000) / u64::try_from(AGAIN.as_millis()).unwrap_or(200);
    for attempt in 0..=tries {
        match Store::open(&prepared.config.store.path.value, options(prepared)) {
            Ok(store) => return Ok(Some(store)),
            Err(crate::store::StoreError::Held { .. }) if attempt < tries => {
                tokio::time::sleep(AGAIN).await;
            }
            Err(crate::store::StoreError::Held { .. }) => return Ok(None),
            Err(error) => return Err(Failure::of_store(&error)),
        }
    }
    Ok(None)
}

/// Reads to the ends of all logs; false when the store failed.
fn read_all(agent: &mut Agent<RealDisk, SystemClock>, wakes: &Receiver<()>, close: bool) -> bool {
    loop {
        let round = agent.round(BUDGET, true);
        if !round.committed {
            return false;
        }
        if !round.more && agent.is_settled() {
            break;
        }
        if !round.more {
            // A stream that has not ended; one wake-up is as good as many.
            wakes.recv_timeout(AGAIN).ok();
            wakes.try_iter().for_each(drop);
        }
    }
    let now = agent.now();
    agent.commit(now, close)
}

/// Delivers everything that is due to all outputs; false when one did not take it.
async fn deliver_all(agent: &mut Agent<RealDisk, SystemClock>, config: &Config) -> bool {
    let mut well = true;
    for (number, output) in config.outputs.iter().enumerate() {
        while let Some(job) = agent.claim(number) {
            let result = carbon::deliver(&target(output), &job.payload).await;
            agent.delivered(number, job.id, job.points, result.as_ref().map(drop_value));
            if result.is_err() {
                well = false;
                break;
            }
        }
    }
    well && agent.is_well()
}

fn drop_value<T>(_: &T) {}

/// Readers see the old file or the new one, never a part.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::Builder::new()
        .prefix(".beacontail-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.persist(path).map(drop).map_err(|error| error.error)
}
