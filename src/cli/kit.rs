//! `kit`, as clap reads it.

use std::path::PathBuf;

use clap::Args;

/// `kit`
#[derive(Debug, Args)]
pub struct KitArgs {
    /// Folder to write to; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}
