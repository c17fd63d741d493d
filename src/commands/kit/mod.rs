//! `kit`: the error page with its beacon, and what servers and CDNs need for it.

use crate::cli::KitArgs;

use super::{Done, Failure};

/// Runs the command.
pub(super) fn run(_args: &KitArgs) -> Result<Done, Failure> {
    Err(Failure::Other(anyhow::anyhow!("not there yet")))
}
