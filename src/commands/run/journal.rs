//! One line for each change of state, for the terminal or the journal.
//!
//! Nothing is said per log line, and nothing twice while it lasts. File names and error texts are
//! escaped; bytes of logs are never said.

use std::path::Path;

use tracing::{error, info, warn};

use crate::diagnostic::Untrusted;
use crate::sinks::carbon::DeliveryError;
use crate::source::follow::Event;
use crate::store::StoreError;

fn shown(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    Untrusted(path.as_os_str().as_bytes()).to_string()
}

/// What happened to a followed path.
pub(super) fn event(log: &str, event: &Event) {
    match event {
        Event::Appeared { path } => info!(log, path = shown(path), "following"),
        Event::Resumed { path, offset } => {
            info!(
                log,
                path = shown(path),
                offset,
                "following from where the last run stopped"
            );
        }
        Event::Rotated { path } => info!(log, path = shown(path), "rotated"),
        Event::Truncated { path } => info!(log, path = shown(path), "truncated"),
        Event::Gap {
            path,
            reason,
            from,
            bytes: Some(bytes),
        } => warn!(
            log,
            path = shown(path),
            reason,
            from,
            bytes,
            "lines lost unread"
        ),
        Event::Gap {
            path, reason, from, ..
        } => warn!(
            log,
            path = shown(path),
            reason,
            from,
            "lines may be lost unread"
        ),
        Event::Failing { path, error } => {
            let error = Untrusted(error.as_bytes()).to_string();
            warn!(log, path = shown(path), error, "cannot be read; trying on");
        }
        Event::Healed { path } => info!(log, path = shown(path), "can be read again"),
    }
}

/// The store does not take commits.
pub(super) fn store_lost(error: &StoreError) {
    error!(
        error = chain(error),
        "the store fails: reading stops, committed numbers stay, trying on"
    );
}

/// The store takes commits again.
pub(super) fn store_found() {
    info!("the store works again: reading goes on");
}

/// An output was lost or found again.
pub(super) fn output(output: &str, result: Result<(), &DeliveryError>) {
    match result {
        Ok(()) => info!(output, "takes values again"),
        Err(error) => warn!(
            output,
            phase = error.phase(),
            error = Untrusted(error.to_string().as_bytes()).to_string(),
            "takes nothing; minutes are kept and sent later"
        ),
    }
}

/// A metric's counts begin anew, or it left.
pub(super) fn definition_changed(change: &str) {
    info!("{change}");
}

/// An error with its causes, printable.
pub(in crate::commands) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    Untrusted(text.as_bytes()).to_string()
}

/// Messages go to the journal with their fields when standard error leads there, else as lines.
pub(in crate::commands) fn install() {
    use tracing_subscriber::layer::SubscriberExt as _;
    let registry = tracing_subscriber::registry().with(OwnOnly);
    let journal = leads_to_journal()
        .then(tracing_journald::layer)
        .and_then(Result::ok);
    let set = match journal {
        Some(layer) => {
            let layer = layer.with_syslog_identifier("beacontail".to_owned());
            tracing::subscriber::set_global_default(registry.with(layer))
        }
        None => {
            let lines = tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .with_ansi(false)
                .with_target(false)
                .without_time();
            tracing::subscriber::set_global_default(registry.with(lines))
        }
    };
    // Somebody who uses the library has a subscriber already, and that one is as good.
    drop(set);
}

/// What libraries say for their developers is left out.
struct OwnOnly;

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for OwnOnly {
    fn enabled(
        &self,
        metadata: &tracing::Metadata<'_>,
        _: tracing_subscriber::layer::Context<'_, S>,
    ) -> bool {
        metadata.target().starts_with("beacontail") && *metadata.level() <= tracing::Level::INFO
    }
}

/// `JOURNAL_STREAM` names the device and inode of the stream that systemd gave.
fn leads_to_journal() -> bool {
    let Some(named) = std::env::var("JOURNAL_STREAM").ok() else {
        return false;
    };
    let stat = rustix::fs::fstat(std::io::stderr()).ok();
    stat.is_some_and(|stat| named == format!("{}:{}", stat.st_dev, stat.st_ino))
}
