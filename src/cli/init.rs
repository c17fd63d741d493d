//! `init`, as clap reads it.

use std::path::PathBuf;

use clap::Args;

/// `init`
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Folder that stands for `/`, to look at the files of another host
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
}
