//! `mark`, as clap reads it.

use std::path::PathBuf;

use clap::Args;

/// `mark`
#[derive(Debug, Args)]
pub struct MarkArgs {
    /// What happened: `deploy 1234`
    pub text: String,
    /// Configuration file that names the store and where else to write
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}
