//! `init`: a configuration from what the web servers of this host say.

use crate::cli::InitArgs;

use super::{Done, Failure};

/// Runs the command.
pub(super) fn run(_args: &InitArgs) -> Result<Done, Failure> {
    Err(Failure::Other(anyhow::anyhow!("not there yet")))
}
