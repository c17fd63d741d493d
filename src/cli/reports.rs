//! `reports`, as clap reads it.

use std::path::PathBuf;

use clap::Args;

/// `reports`
#[derive(Debug, Args)]
pub struct ReportsArgs {
    /// Log that reports are appended to
    #[arg(long, value_name = "FILE")]
    pub log: PathBuf,
}
