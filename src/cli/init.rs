//! `init`, as clap reads it.

use std::path::PathBuf;

use clap::Args;

/// `init`
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Folder that stands for `/`, to look at the files of another host; nothing outside it is read
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// Write the configuration here, and its parser files to `parsers` beside it; when not given,
    /// /etc/beacontail/beacontail.toml as root for this host, else beacontail.toml in the current folder
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print the configuration and write nothing
    #[arg(long)]
    pub print: bool,
    /// Write over a configuration that is there
    #[arg(long)]
    pub force: bool,
    /// Send the counts to this carbon
    #[arg(long, value_name = "HOST:PORT", requires = "prefix")]
    pub graphite: Option<String>,
    /// First nodes of Graphite paths; `{host}` stands for this host's name
    #[arg(long, value_name = "PATH", requires = "graphite")]
    pub prefix: Option<String>,
}
