//! `generate`: man pages and completions.

use crate::cli::GenerateArgs;

use super::{Done, Failure};

/// Runs the command.
pub(super) fn run(_args: &GenerateArgs) -> Result<Done, Failure> {
    Err(Failure::Other(anyhow::anyhow!("not there yet")))
}
