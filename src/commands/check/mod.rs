//! `check`: a question, the evidence for its answer, a verdict, and one line for Nagios.
//!
//! Invariant: never a lie. Zero, no data and incomplete are told apart; what is stale or incomplete is
//! never OK; whatever goes wrong, a usage error and a panic included, is UNKNOWN.

mod anomaly;
mod evidence;
mod judge;
mod question;
mod ratio;
mod verdict;

use crate::cli::CheckArgs;

/// Answers, prints, and gives the state's exit code.
pub(super) fn run(_args: &CheckArgs) -> u8 {
    3
}

/// A command line that clap refused; its help and version end with UNKNOWN too, since a service
/// that is configured with them checks nothing.
pub fn refuse(error: &clap::Error) -> u8 {
    drop(error.print());
    3
}
