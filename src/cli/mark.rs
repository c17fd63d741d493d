//! `mark`, as clap reads it.

use std::path::PathBuf;

use clap::Args;

/// `mark`
#[derive(Debug, Args)]
pub struct MarkArgs {
    /// What happened: `deploy 1234`; at most 500 bytes
    pub text: String,
    /// Word to find it by: `deploy`; may be given several times
    #[arg(short, long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// When it happened: 2026-11-22T07:06:00Z, Unix seconds, or -10m; now without it
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub at: Option<String>,
    /// Configuration file that names the store and where else to write
    /// [default: /etc/beacontail/beacontail.toml]
    #[arg(short, long, value_name = "FILE", conflicts_with = "store")]
    pub config: Option<PathBuf>,
    /// Store to write to, and nowhere else
    #[arg(long, value_name = "FILE")]
    pub store: Option<PathBuf>,
}
