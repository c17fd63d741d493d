//! `check`, as clap reads it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `check`
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// Metric to look at, with matchers if wanted: `name{provider="fastly"}`
    #[arg(long, value_name = "NAME[{MATCHERS}]")]
    pub metric: Option<String>,
    /// Labels whose values are judged one by one
    #[arg(long, value_name = "LABEL,…", value_delimiter = ',')]
    pub by: Vec<String>,
    /// Length of the window, whole minutes: the newest closed ones
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    pub window: String,
    /// WARNING outside this range; `VALUE=RANGE` for one label value (may be repeated)
    #[arg(short, long, value_name = "[VALUE=]RANGE", allow_hyphen_values = true)]
    pub warning: Vec<String>,
    /// CRITICAL outside this range; `VALUE=RANGE` for one label value (may be repeated)
    #[arg(short, long, value_name = "[VALUE=]RANGE", allow_hyphen_values = true)]
    pub critical: Vec<String>,
    /// Judge events a second, not events
    #[arg(long, conflicts_with_all = ["ratio", "anomaly"])]
    pub rate: bool,
    /// Judge A as a percentage of B, as high as it is at least (Wilson lower bound)
    #[arg(long, value_name = "A/B", conflicts_with = "metric")]
    pub ratio: Option<String>,
    /// Least number of events for a ratio to be judged
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub min_sample: u64,
    /// Judge how far the window is from the metric's own past, in deviations
    #[arg(long)]
    pub anomaly: bool,
    /// Least number of minutes of the window that must have counts for an alarm
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub min_minutes: u32,
    /// The agent's address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9577")]
    pub agent: String,
    /// Read this store file, whether or not an agent runs
    #[arg(long, value_name = "FILE", conflicts_with_all = ["agent", "prometheus", "graphite"])]
    pub store: Option<PathBuf>,
    /// Ask this Prometheus, for a whole site
    #[arg(long, value_name = "URL", conflicts_with_all = ["agent", "graphite"])]
    pub prometheus: Option<String>,
    /// Ask this Graphite, for a whole site
    #[arg(
        long,
        value_name = "URL",
        requires = "target",
        conflicts_with = "agent"
    )]
    pub graphite: Option<String>,
    /// Graphite target, one series for each value (may be repeated)
    #[arg(long, value_name = "TARGET", requires = "graphite")]
    pub target: Vec<String>,
    /// Graphite target of the agents' `….incomplete` paths: minutes in which one is not 0 are incomplete
    #[arg(long, value_name = "TARGET", requires = "graphite")]
    pub incomplete_target: Vec<String>,
    /// Data that ends longer ago is stale: UNKNOWN
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    pub max_lag: String,
    /// Share of unparsed lines, percent, above which the window is incomplete
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0)]
    pub max_unparsed: f64,
    /// Near misses in the window, percent of the counts, above which it is incomplete
    #[arg(long, value_name = "PERCENT", default_value_t = 50.0)]
    pub max_near_misses: f64,
    /// Minutes waiting for an output above which it is incomplete; 0: not looked at
    #[arg(long, value_name = "MINUTES", default_value_t = 15)]
    pub max_queue: u64,
    /// What a window without any line is
    #[arg(long, value_enum, value_name = "STATE", default_value = "unknown")]
    pub no_data: NoData,
    /// UNKNOWN after so long without an answer
    #[arg(short, long, value_name = "DURATION", default_value = "10s")]
    pub timeout: String,
    /// File with `user:password` for the server that is asked
    #[arg(long, value_name = "FILE", conflicts_with = "token_file")]
    pub auth_file: Option<PathBuf>,
    /// File with a token for the server that is asked
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Certificates to believe in place of the system's, PEM
    #[arg(long, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// Log to name in the command that shows the lines [default: what the agent follows]
    #[arg(long, value_name = "PATH")]
    pub log: Option<String>,
}

/// What a window without any line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NoData {
    /// Zero: for a log that only has lines when something is wrong
    Ok,
    /// UNKNOWN
    Unknown,
    /// CRITICAL: for a log that always has lines
    Critical,
}
