//! `reports`: what browsers report becomes lines of a log.

use crate::cli::ReportsArgs;

use super::{Done, Failure};

/// Runs the command.
pub(super) fn run(_args: &ReportsArgs) -> Result<Done, Failure> {
    Err(Failure::Other(anyhow::anyhow!("not there yet")))
}
