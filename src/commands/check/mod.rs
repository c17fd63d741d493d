//! `check`: a question, the evidence for its answer, a verdict, and one line for Nagios.
//!
//! Invariant: never a lie. Zero, no data and incomplete are told apart; what is stale or incomplete is
//! never OK; whatever goes wrong, a usage error and a panic included, is UNKNOWN.
//!
//! The work runs on a thread of its own, and this one waits for it no longer than `--timeout`: a name
//! server, a server or a disk that hangs cannot hold up the answer. What then still runs ends with
//! the process.

mod anomaly;
mod ask;
mod context;
mod evidence;
mod judge;
mod question;
mod ratio;
mod report;
mod source;
mod verdict;
mod words;

use std::io::{self, Write as _};
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::cli::CheckArgs;
use crate::nagios::{Output, State};

/// Where and why a panic happened, for the one line that is said about it.
static PANIC: Mutex<String> = Mutex::new(String::new());

/// Answers, prints, and gives the state's exit code.
pub(super) fn run(args: &CheckArgs) -> u8 {
    let asked = || match ask::timeout(args) {
        Ok(timeout) => {
            let args = args.clone();
            within(timeout, move || answer(&args, timeout, now()))
        }
        Err(misuse) => unknown(misuse.to_string()),
    };
    // Also what goes wrong while it is said is UNKNOWN.
    panic::catch_unwind(|| said(asked())).unwrap_or(State::Unknown.code())
}

/// A command line that clap refused; its help and version end with UNKNOWN too, since a service
/// that is configured with them checks nothing.
pub fn refuse(error: &clap::Error) -> u8 {
    if !error.use_stderr() {
        drop(error.print());
        return State::Unknown.code();
    }
    let text = error.to_string();
    let said_of_it = text.split("\n\nUsage").next().unwrap_or_default();
    let words: Vec<&str> = said_of_it
        .trim_start_matches("error: ")
        .split_whitespace()
        .collect();
    let output = unknown(format!(
        "{} (see `beacontail check --help`)",
        words.join(" ")
    ));
    said(output)
}

/// Prints. Messages quote with backticks, which a shell behind a notification command would take for
/// its own, and part their clauses with semicolons, which Nagios makes colons.
fn said(mut output: Output) -> u8 {
    let plain = |text: &str| text.replace('`', "'").replace("; ", ", ");
    output.summary = plain(&output.summary);
    for line in &mut output.long {
        *line = plain(line);
    }
    // Whoever went away before reading it does not see the exit code either.
    drop(io::stdout().lock().write_all(output.render().as_bytes()));
    output.state.code()
}

fn unknown(summary: String) -> Output {
    Output {
        state: State::Unknown,
        summary,
        long: Vec::new(),
        perfdata: Vec::new(),
    }
}

/// The whole of it: what is asked, what is found, what that means, and how it is said.
fn answer(args: &CheckArgs, timeout: Duration, now: i64) -> Output {
    let question = match ask::question(args) {
        Ok(question) => question,
        Err(misuse) => return unknown(misuse.to_string()),
    };
    let mut source = match source::open(args, timeout) {
        Ok(source) => source,
        Err(trouble) => return unknown(trouble.to_string()),
    };
    let evidence = match source.evidence(&question, now) {
        Ok(evidence) => evidence,
        Err(trouble) => return unknown(trouble.to_string()),
    };
    let verdict = judge::judge(&question, &evidence, now);
    let context = context::gather(source.as_mut(), &question, &evidence, &verdict, now);
    let log = args.log.as_deref();
    report::report(&report::Found {
        question: &question,
        evidence: &evidence,
        verdict: &verdict,
        context: &context,
        now,
        log,
    })
}

/// Unix seconds.
fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// What `work` says, unless it takes longer than `timeout` or panics.
fn within(timeout: Duration, work: impl FnOnce() -> Output + Send + 'static) -> Output {
    panic::set_hook(Box::new(|info| {
        let mut panic = PANIC.lock().unwrap_or_else(PoisonError::into_inner);
        *panic = info
            .to_string()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
    }));
    let (sender, receiver) = mpsc::channel();
    let worker = thread::Builder::new()
        .name("check".to_owned())
        .spawn(move || {
            let output = panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
                let panic = PANIC.lock().unwrap_or_else(PoisonError::into_inner);
                unknown(format!(
                    "a mistake in beacontail {} itself, please report it: {panic}",
                    env!("CARGO_PKG_VERSION")
                ))
            });
            // Too late is as good as not at all.
            drop(sender.send(output));
        });
    if let Err(error) = worker {
        return unknown(format!("no thread could be started: {error}"));
    }
    receiver.recv_timeout(timeout).unwrap_or_else(|_| {
        unknown(format!(
            "no answer within {} s (--timeout): what is asked hangs, or is too slow",
            timeout.as_secs()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_unknown_and_says_where() {
        let output = within(Duration::from_secs(60), || panic!("no such\nthing"));
        assert_eq!(output.state, State::Unknown);
        assert!(
            output.summary.contains("no such thing"),
            "{}",
            output.summary
        );
        assert!(
            output.summary.contains("src/commands/check/mod.rs"),
            "{}",
            output.summary
        );
    }

    #[test]
    fn work_that_hangs_is_unknown() {
        let (hold, held) = mpsc::channel::<()>();
        let output = within(Duration::from_millis(1), move || {
            held.recv().unwrap_err();
            unknown("late".to_owned())
        });
        drop(hold);
        assert!(
            output.summary.contains("no answer within"),
            "{}",
            output.summary
        );
    }
}
