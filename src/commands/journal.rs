//! One line for each change of state, for the terminal or the journal.
//!
//! Nothing is said per log line, and nothing twice while it lasts. File names and error texts are
//! escaped; bytes of logs are never said.
//!
//! The text says all there is, because that is what people see in both places. In the journal the
//! same facts are fields as well (`BEACONTAIL_LOG`, `BEACONTAIL_REASON`), for programs and filters.

use std::fmt;
use std::path::Path;

use tracing::field::Field;
use tracing::{error, info, warn};
use tracing_subscriber::fmt::format::{Writer, debug_fn};

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
        Event::Appeared { path } => {
            let path = shown(path);
            info!(log, path, "{log}: {path}: following");
        }
        Event::Resumed { path, offset } => {
            let path = shown(path);
            info!(
                log,
                path,
                offset,
                "{log}: {path}: following from byte {offset}, where the last run stopped"
            );
        }
        Event::Rotated { path } => {
            let path = shown(path);
            info!(log, path, "{log}: {path}: rotated");
        }
        Event::Truncated { path } => {
            let path = shown(path);
            info!(log, path, "{log}: {path}: truncated");
        }
        Event::Gap {
            path,
            reason,
            from,
            bytes,
        } => gap(log, &shown(path), reason, *from, *bytes),
        Event::Failing { path, error } => {
            let (path, error) = (shown(path), Untrusted(error.as_bytes()).to_string());
            warn!(
                log,
                path, error, "{log}: {path}: cannot be read, trying on: {error}"
            );
        }
        Event::Healed { path } => {
            let path = shown(path);
            info!(log, path, "{log}: {path}: can be read again");
        }
    }
}

fn gap(log: &str, path: &str, reason: &str, from: u64, bytes: Option<u64>) {
    match bytes {
        Some(bytes) => warn!(
            log,
            path,
            reason,
            from,
            bytes,
            "{log}: {path}: lines lost unread ({reason}): {bytes} bytes from byte {from} on"
        ),
        None => warn!(
            log,
            path,
            reason,
            from,
            "{log}: {path}: lines may be lost unread ({reason}) from byte {from} on"
        ),
    }
}

/// The store does not take commits.
pub(super) fn store_lost(error: &StoreError) {
    let error = chain(error);
    error!(
        error,
        "the store fails: reading stops, committed numbers stay, trying on: {error}"
    );
}

/// The store takes commits again.
pub(super) fn store_found() {
    info!("the store works again: reading goes on");
}

/// An output was lost or found again.
pub(super) fn output(output: &str, result: Result<(), &DeliveryError>) {
    match result {
        Ok(()) => info!(output, "{output}: takes values again"),
        Err(failure) => {
            let error = Untrusted(failure.to_string().as_bytes()).to_string();
            warn!(
                output,
                phase = failure.phase(),
                error,
                "{output}: takes nothing; minutes are kept and sent later: {error}"
            );
        }
    }
}

/// A metric's counts begin anew, or it left.
pub(super) fn definition_changed(change: &str) {
    info!("{change}");
}

/// An error with its causes, printable.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
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
pub(super) fn install() {
    use tracing_subscriber::layer::SubscriberExt as _;
    let registry = tracing_subscriber::registry().with(OwnOnly);
    let journal = leads_to_journal()
        .then(tracing_journald::layer)
        .and_then(Result::ok);
    let set = match journal {
        Some(layer) => {
            let layer = layer
                .with_syslog_identifier("beacontail".to_owned())
                .with_field_prefix(Some("BEACONTAIL".to_owned()));
            tracing::subscriber::set_global_default(registry.with(layer))
        }
        None => {
            let lines = tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .fmt_fields(debug_fn(text_alone))
                .with_ansi(false)
                .with_target(false)
                .without_time();
            tracing::subscriber::set_global_default(registry.with(lines))
        }
    };
    // Somebody who uses the library has a subscriber already, and that one is as good.
    drop(set);
}

/// The text of a message without its fields.
fn text_alone(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    match field.name() {
        "message" => write!(writer, "{value:?}"),
        _ => Ok(()),
    }
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
