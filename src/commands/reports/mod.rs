//! `reports`: what browsers report becomes lines of a log, which the agent counts like any other.
//!
//! A process of its own, so that the one thing here that strangers can post to has neither the store
//! nor the logs of the host: it holds a socket and one file. It counts nothing itself. What it wrote
//! is a line, and the promise on lines is the agent's.

mod book;
mod collector;
mod hosts;
mod options;
mod rate;
mod report;
mod tally;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cli::ReportsArgs;
use crate::http::{Inbox, Server, WebConfig};

use super::clock::SystemClock;
use super::{Done, Failure, journal};

use book::{Book, BookError};
use collector::Collector;
use options::Options;

/// How long connections may take to end.
const STOP: Duration = Duration::from_secs(3);
/// How often it is looked for what is over.
const UPKEEP: Duration = Duration::from_secs(10);

/// Takes reports until a signal ends it.
pub(super) fn run(args: &ReportsArgs) -> Result<Done, Failure> {
    journal::install();
    let options = Options::new(args)?;
    let web = options.web_config.as_deref().map(WebConfig::open);
    let web = web.transpose().map_err(|error| refused(&error, None))?;
    if web.as_ref().is_some_and(WebConfig::asks_for_passwords) {
        return Err(with_users());
    }
    let book = Book::open(&options.log, options.log_bytes, options.keep);
    let book = book.map_err(|error| no_book(&options.log, &error))?;
    let server = Server::bind(&options.listen).map_err(|error| refused(&error, None))?;
    for address in server.addresses() {
        tracing::info!("listening on {address}");
        if web.is_none() && !address.ip().is_loopback() {
            tracing::warn!(
                "{address} takes plain HTTP from other hosts: browsers report to HTTPS only, so name \
                 a certificate with --web-config or put a TLS server in front"
            );
        }
    }
    let collector = Arc::new(Collector::new(options, book, SystemClock::start()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        // Bodies are handled one at a time; more threads would only wait.
        .max_blocking_threads(4)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let served = runtime.block_on(serve(server, web, collector));
    runtime.shutdown_timeout(Duration::from_millis(100));
    served.map(|()| Done::Complete)
}

async fn serve(
    server: Server,
    web: Option<WebConfig>,
    collector: Arc<Collector>,
) -> Result<(), Failure> {
    let listen = |kind| signal(kind).context("cannot listen to signals");
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut hang_up = listen(SignalKind::hangup())?;
    let (stop, stopped) = watch::channel(false);
    let inbox: Arc<dyn Inbox> = Arc::<Collector>::clone(&collector);
    let mut http = tokio::spawn(server.receive(inbox, web, stopped));
    notify(&[sd_notify::NotifyState::Ready]);
    let mut upkeep = tokio::time::interval(UPKEEP);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => collector.reopen(),
            _ = upkeep.tick() => collector.upkeep(false),
            ended = &mut http => {
                let ended = ended.context("the listener ended by a fault of its own")?;
                return Err(Failure::Other(ended.err().map_or_else(
                    || anyhow::anyhow!("the listener ended"),
                    anyhow::Error::from,
                )));
            }
        }
    }
    notify(&[sd_notify::NotifyState::Stopping]);
    tracing::info!("stopping");
    drop(stop);
    drop(tokio::time::timeout(STOP, http).await);
    collector.upkeep(true);
    Ok(())
}

/// Without a service manager nobody is told.
fn notify(states: &[sd_notify::NotifyState<'_>]) {
    drop(sd_notify::notify(states));
}

fn refused(error: &dyn std::error::Error, help: Option<String>) -> Failure {
    Failure::Refused {
        code: 2,
        message: journal::chain(error),
        help,
    }
}

fn with_users() -> Failure {
    Failure::Refused {
        code: 2,
        message: "the file of --web-config asks for passwords, and no browser sends one".to_owned(),
        help: Some(
            "take `basic_auth_users` out of it; --allow-origin-host and --max-rate are what \
                    holds strangers back here"
                .to_owned(),
        ),
    }
}

fn no_book(path: &Path, error: &BookError) -> Failure {
    let name = path.display();
    let (code, help) = match error {
        BookError::Open(_) => {
            let user = rustix::process::geteuid().as_raw();
            let help = format!(
                "the folder must be there and belong to user {user}; nothing else is needed"
            );
            (2, Some(help))
        }
        BookError::NoFile => (
            2,
            Some("name a file, such as /var/log/beacontail/nel.log".to_owned()),
        ),
        BookError::Held => (
            3,
            Some("one log has one collector; end the other, or name another log".to_owned()),
        ),
    };
    Failure::Refused {
        code,
        message: format!(
            "`{}`: {}",
            name.to_string().escape_debug(),
            journal::chain(error)
        ),
        help,
    }
}
