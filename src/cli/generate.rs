//! `generate`, as clap reads it.

use std::path::PathBuf;

use clap::Args;

/// `generate`
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// Folder to write `man/` and `completions/` to; made if it is not there
    pub out: PathBuf,
}
