//! The command line: one type for each command, as clap reads it.
//!
//! Behaviour never reads these types directly below `commands`; there they become resolved values.

mod check;
mod generate;
mod init;
mod kit;
mod mark;
mod reports;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use check::{CheckArgs, NoData};
pub use generate::GenerateArgs;
pub use init::InitArgs;
pub use kit::KitArgs;
pub use mark::MarkArgs;
pub use reports::ReportsArgs;

/// Per-minute counts from web access logs: who was hurt, when, behind which CDN, in which country.
#[derive(Debug, Parser)]
#[command(
    name = "beacontail",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Follow live logs: count every line once, serve /metrics, feed outputs
    Run(RunArgs),
    /// Do what `run` does, up to the ends of the logs, and exit: for cron
    Once(OnceArgs),
    /// Check all that a start would need, and say how many series there will be
    CheckConfig(CheckConfigArgs),
    /// Count archived logs: files, folders, patterns or standard input, compressed or not
    Replay(Box<ReplayArgs>),
    /// Show what becomes of a line: fields, client, rules, series
    Explain(ExplainArgs),
    /// Print the log lines behind a series
    Grep(GrepArgs),
    /// List, show, propose, test and compare parsers
    #[command(subcommand)]
    Parsers(ParsersCommand),
    /// Compare a metric with thresholds, as a Nagios plugin: exit 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN
    Check(Box<CheckArgs>),
    /// Record an event, such as a deploy: in the store, and in Graphite and Grafana where configured
    Mark(MarkArgs),
    /// Write the error page with its beacon, and what servers and CDNs need for it
    Kit(KitArgs),
    /// Receive the Network Error Logging reports of browsers and append each to a log
    Reports(ReportsArgs),
    /// Look at the web server configuration of this host and write beacontail.toml
    Init(InitArgs),
    /// Write man pages and shell completions
    #[command(hide = true)]
    Generate(GenerateArgs),
}

/// Where parsers and their settings come from.
#[derive(Debug, Default, Clone, Args)]
pub struct ParserArgs {
    /// Folder with parser files that add to the shipped ones or replace them
    #[arg(long, value_name = "DIR")]
    pub parsers: Vec<PathBuf>,
    /// Set a variable of the rule files; several values with commas make a list
    #[arg(long, value_name = "NAME=VALUE")]
    pub var: Vec<String>,
    /// Rule sets to apply in place of the formats' own
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub rules: Vec<String>,
    /// MaxMind database with countries, cities or networks (may be repeated); those in the standard
    /// places when not given
    #[arg(long, value_name = "FILE")]
    pub geoip: Vec<PathBuf>,
    /// Proxies whose X-Forwarded-For is believed: CIDRs, addresses, `private`, `providers`, or files
    /// of CIDRs
    #[arg(
        long,
        value_name = "CIDR|private|providers|FILE,…",
        value_delimiter = ','
    )]
    pub trusted_proxies: Vec<String>,
    /// Ranges of a provider, to tell it by its addresses: a file with CIDRs, or the JSON that it
    /// publishes (may be repeated)
    #[arg(long, value_name = "NAME=FILE")]
    pub provider_ranges: Vec<String>,
    /// Zone of times without one, and of the times shown
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub timezone: String,
}

/// `replay`
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Files, folders, patterns, or - for standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<OsString>,
    /// Parsers to try on each line, in order; without it each file's parser is detected
    #[arg(short, long, value_name = "NAME,…", value_delimiter = ',')]
    pub parser: Vec<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it")]
    pub parsers: ParserArgs,
    /// Count only this metric
    #[arg(long, value_name = "NAME")]
    pub metric: Vec<String>,
    /// Keep only these labels, adding up the rest; '' keeps none
    #[arg(long, value_name = "LABEL,…", value_delimiter = ',')]
    pub by: Option<Vec<String>>,
    /// Length of the steps counted
    #[arg(long, value_enum, default_value = "1m")]
    pub step: Step,
    /// From this time on: RFC 3339, or local time in --timezone
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Up to, not including, this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// A label taken from each file's path: the regex's first group
    #[arg(long, value_name = "NAME=@REGEX")]
    pub label: Vec<String>,
    /// Counting threads; all cores when not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
    /// Count files with the same content as often as they are given
    #[arg(long)]
    pub keep_duplicates: bool,
    /// Show what could be read of damaged archives, marked; the exit code stays 1
    #[arg(long)]
    pub partial: bool,
    /// What to print
    #[arg(short, long, value_enum, default_value = "table")]
    pub output: Output,
    /// First nodes of Graphite paths; `{host}` stands for this host's name
    #[arg(long, value_name = "PATH", required_if_eq("output", "graphite"))]
    pub prefix: Option<String>,
    /// Largest ratio of text to archive bytes, asked once there is 1 GiB of text
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub max_ratio: u64,
    /// Longest line in bytes; longer ones are rejected
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20, value_parser = clap::value_parser!(u32).range(64..=1 << 28))]
    pub line_bytes: u32,
    /// Memory for counts in MiB; beyond it they are written to the temporary folder
    #[arg(long, value_name = "MIB", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    pub memory: u32,
}

/// Length of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Step {
    /// A minute
    #[value(name = "1m")]
    Minute,
    /// An hour of --timezone
    #[value(name = "1h")]
    Hour,
    /// A day of --timezone
    #[value(name = "1d")]
    Day,
}

/// What `replay` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Table,
    /// One JSON object
    Json,
    /// time,metric,labels,value
    Csv,
    /// Plaintext lines with the original minutes
    Graphite,
    /// For `promtool tsdb create-blocks-from openmetrics`
    Openmetrics,
}

/// What is followed, and how.
#[derive(Debug, Default, Clone, Args)]
pub struct FollowArgs {
    /// Configuration file; without it the paths given are followed
    #[arg(short, long, value_name = "FILE", conflicts_with = "paths")]
    pub config: Option<PathBuf>,
    /// Logs or patterns to follow, each under the name of its file; - for standard input
    #[arg(value_name = "PATH", required_unless_present = "config")]
    pub paths: Vec<String>,
    /// Parsers to try on each line of the paths, in order; without it they are chosen by what is there
    #[arg(
        short,
        long,
        value_name = "NAME,…",
        value_delimiter = ',',
        conflicts_with = "config"
    )]
    pub parser: Vec<String>,
    /// Where a log that was never followed begins, whatever the configuration says
    #[arg(long, value_enum)]
    pub from: Option<From>,
    /// Send minutes from before the store began, too
    #[arg(long)]
    pub backfill: bool,
}

/// Where a log begins that was never followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum From {
    /// With lines written from now on
    End,
    /// With everything that is there
    Start,
}

/// `run`
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it")]
    pub follow: FollowArgs,
}

/// `once`
#[derive(Debug, Args)]
pub struct OnceArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it")]
    pub follow: FollowArgs,
    /// Send the newest minute too, though it may not be over
    #[arg(long)]
    pub close: bool,
    /// How long to wait for a run that holds the store
    #[arg(long, value_name = "SECS", default_value_t = 0)]
    pub wait: u64,
    /// Write the metrics to this file, for node_exporter's textfile collector
    #[arg(long, value_name = "FILE")]
    pub textfile: Option<PathBuf>,
}

/// `check-config`
#[derive(Debug, Args)]
pub struct CheckConfigArgs {
    /// The configuration file
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// Check whether this user may read the logs and write the store
    #[arg(long = "as", value_name = "USER")]
    pub user: Option<String>,
    /// Only what the files themselves say: no logs, no store, no addresses
    #[arg(long)]
    pub offline: bool,
}

/// `explain`
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The line, or - to read lines from standard input
    #[arg(value_name = "LINE|-", default_value = "-", allow_hyphen_values = true)]
    pub line: OsString,
    /// Parsers to try on each line, in order; without it the one that reads the line best
    #[arg(short, long, value_name = "NAME,…", value_delimiter = ',')]
    pub parser: Vec<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it")]
    pub parsers: ParserArgs,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Show client addresses whole
    #[arg(long)]
    pub raw: bool,
}

/// `grep`
#[derive(Debug, Args)]
pub struct GrepArgs {
    /// Matchers over labels and fields, such as `provider="fastly",pop="IAD"`, or a whole series
    pub matchers: String,
    /// Files, folders, patterns, or - for standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<OsString>,
    /// Parsers to try on each line, in order; without it each file's parser is detected
    #[arg(short, long, value_name = "NAME,…", value_delimiter = ',')]
    pub parser: Vec<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it")]
    pub parsers: ParserArgs,
    /// From this time on: RFC 3339, or local time in --timezone
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Up to, not including, this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Stop after this many lines
    #[arg(long, value_name = "N")]
    pub max: Option<u64>,
    /// Print lines as they are, addresses and control bytes included
    #[arg(long)]
    pub raw: bool,
}

/// `parsers`
#[derive(Debug, Subcommand)]
pub enum ParsersCommand {
    /// Formats and rule sets with their descriptions
    List(ParsersArgs),
    /// A format or rule set as it is written
    Show {
        /// Its name
        name: String,
        /// With everything it inherits
        #[arg(long)]
        flat: bool,
        #[command(flatten)]
        #[expect(missing_docs, reason = "clap would show it")]
        parsers: ParsersArgs,
    },
    /// Run the examples of parser files, and show what differs
    Test {
        /// Names or files; all when not given
        names: Vec<String>,
        #[command(flatten)]
        #[expect(missing_docs, reason = "clap would show it")]
        parsers: ParsersArgs,
    },
    /// Propose a parser file for a log
    New(NewArgs),
    /// Find lines that a format should read and does not, and labels without a bound
    Lint {
        /// Names or files; all when not given
        names: Vec<String>,
        #[command(flatten)]
        #[expect(missing_docs, reason = "clap would show it")]
        parsers: ParsersArgs,
    },
    /// Count the series that a parser makes of a log
    Cost(CostArgs),
    /// Compare what two parsers or rule sets make of a log
    Diff(Box<DiffArgs>),
}

/// `parsers new`
#[derive(Debug, Args)]
pub struct NewArgs {
    /// A log, compressed or not, or - for standard input
    pub log: OsString,
    /// Write the file here; it must not exist. Standard output when not given
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Name of the parser; that of the output or of the log when not given
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Take the `log_format` of this file that reads the log best
    #[arg(long, value_name = "FILE")]
    pub nginx_conf: Option<PathBuf>,
    /// Lines to look at
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub lines: u32,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it")]
    pub parsers: ParsersArgs,
}

/// `parsers cost`
#[derive(Debug, Args)]
pub struct CostArgs {
    /// A parser's name or file, a rule set's name, or `auto` for the parser that reads each log best
    pub parser: String,
    /// Files, folders, patterns, or - for standard input
    #[arg(required = true, value_name = "LOG")]
    pub logs: Vec<OsString>,
    /// Lines to read at most, of all logs together
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub lines: u64,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it")]
    pub parsers: ParserArgs,
}

/// `parsers diff`
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// A parser's name or file, a rule set's name, or `auto` for the parser that reads each log best
    pub old: String,
    /// The same for what is to take its place
    pub new: String,
    /// Files, folders, patterns, or - for standard input
    #[arg(required = true, value_name = "LOG")]
    pub logs: Vec<OsString>,
    /// Rule sets of the old side, in place of the format's own
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub rules_old: Vec<String>,
    /// Rule sets of the new side
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub rules_new: Vec<String>,
    /// Folder with parser files of the old side alone
    #[arg(long, value_name = "DIR")]
    pub parsers_old: Vec<PathBuf>,
    /// Folder with parser files of the new side alone
    #[arg(long, value_name = "DIR")]
    pub parsers_new: Vec<PathBuf>,
    /// Lines to read at most, of all logs together
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub lines: u64,
    /// Show addresses in lines whole
    #[arg(long)]
    pub raw: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it")]
    pub parsers: ParserArgs,
}

/// Where `parsers` looks.
#[derive(Debug, Default, Clone, Args)]
pub struct ParsersArgs {
    /// Folder with parser files that add to the shipped ones or replace them
    #[arg(long, value_name = "DIR")]
    pub parsers: Vec<PathBuf>,
}
