//! `run`, `once` and `check-config`: the daemon and what belongs to it.
//!
//! One thread owns followers, counts and the store ([`worker`]); tokio serves HTTP, outputs and
//! signals ([`daemon`]). They meet at a channel of requests and at the committed totals.

mod agent;
mod asked;
mod check;
mod daemon;
mod health;
mod log;
mod minutes;
mod once;
mod outbox;
mod overview;
mod own;
mod pages;
mod permissions;
mod prepare;
mod queue;
mod rows;
mod samples;
mod time;
mod worker;

use std::time::{SystemTime, UNIX_EPOCH};

pub(super) use check::check_config;
pub(super) use daemon::run;
pub(super) use once::once;

use crate::cli::{self, FollowArgs};
use crate::config::{Config, Start, Text};
use crate::definition::At;
use crate::diagnostic::{Diagnostic, Place};
use crate::source::follow::RealDisk;
use crate::source::wake::Wake;
use crate::store::Store;
use crate::telemetry::Telemetry;

use super::host::environment;
use super::{Failure, clock, journal};
use agent::{AgentError, Surroundings};
use clock::SystemClock;
use health::Health;
use prepare::Prepared;

/// The configuration that the arguments name or stand for.
fn load(args: &FollowArgs) -> Result<Config, Vec<Diagnostic>> {
    let environment = environment();
    let Some(path) = &args.config else {
        let mut config = Config::for_paths(&args.paths, &environment);
        for log in &mut config.logs {
            log.parsers = args.parser.iter().map(|name| named_parser(name)).collect();
        }
        return Ok(config);
    };
    Config::load(path, &environment)
}

fn named_parser(name: &str) -> At<Text> {
    At {
        value: Text::plain(name),
        place: Place::argument("--parser", name),
    }
}

/// What agents get from this machine.
fn surroundings(
    args: &FollowArgs,
    telemetry: &Telemetry,
    wake: Wake,
) -> Surroundings<RealDisk, SystemClock> {
    Surroundings {
        wake,
        disk: |log| RealDisk {
            follow_symlinks: log.follow_symlinks,
        },
        clock: SystemClock::start(),
        backfill: args.backfill,
        from: args.from.map(|from| match from {
            cli::From::End => Start::End,
            cli::From::Start => Start::Start,
        }),
        health: Health::new(telemetry.clone()),
    }
}

/// The process' telemetry.
fn telemetry() -> Result<Telemetry, Failure> {
    let started = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Telemetry::install(env!("CARGO_PKG_VERSION"), started.as_secs_f64())
        .map_err(|error| Failure::Other(error.into()))
}

/// Opens the store that the configuration names.
fn open_store(prepared: &Prepared) -> Result<Store, Failure> {
    let path = &prepared.config.store.path.value;
    Store::open(path, agent::options(prepared)).map_err(|error| Failure::of_store(&error))
}

fn refused_agent(error: &AgentError) -> Failure {
    match error {
        AgentError::Store(error) => Failure::of_store(error),
        AgentError::Busy | AgentError::Stream { .. } => Failure::Refused {
            code: 2,
            message: journal::chain(error),
            help: None,
        },
    }
}

/// Says what is allowed but probably not meant, and what a person should know and was not told
/// `before`.
fn say_notices(prepared: &Prepared, before: &[String]) {
    if !prepared.config.warnings.is_empty() {
        super::say_all(&prepared.config.warnings);
    }
    for notice in prepared.notices.iter().filter(|new| !before.contains(new)) {
        tracing::info!("{notice}");
    }
    for (_, error) in &prepared.stale {
        tracing::warn!("{error}; what was read from it before stays in use");
    }
}
