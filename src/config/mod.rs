//! The daemon's configuration: `beacontail.toml` as resolved values.
//!
//! Durations are durations, sizes are bytes, addresses are addresses; relative paths of the file
//! are relative to the folder of the file; `{host}` and `${NAME}` are replaced in every string.
//! All mistakes of a file are reported together, each at its place.
//!
//! Invariants: a file with a mistake gives nothing; a `Config` holds no contradiction that can be
//! seen without looking outside the file; what the environment gave is printed neither by a
//! mistake nor by `Debug` nor kept in the digest (see [`Text`]).
//!
//! Not known here: which parsers, rules, metrics and variables exist, whether files can be opened
//! and addresses be reached. What a later stage may find fault with is an [`At`], so that it can
//! point into the file.

mod digest;
mod environment;
mod load;
mod logs;
mod marks;
mod outputs;
mod reading;
mod text;
mod values;
mod without_file;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::definition::{At, Var};
use crate::diagnostic::{Diagnostic, Place};

pub use environment::Environment;
pub use text::Text;
pub use values::{HostPort, bytes, duration};

/// Everything that `beacontail run` was told.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from, absolute; `None` without a file.
    pub path: Option<PathBuf>,
    /// `parsers`: folders with parser files beside the shipped ones, absolute.
    pub parsers: Vec<At<PathBuf>>,
    /// `[agent]`
    pub agent: AgentConfig,
    /// `[store]`
    pub store: StoreConfig,
    /// `[http]`
    pub http: HttpConfig,
    /// `[status]`
    pub status: StatusConfig,
    /// `[geoip]`
    pub geoip: GeoConfig,
    /// `[providers]`: ranges that tell a provider by its addresses; may be empty.
    pub providers: Vec<ProviderFiles>,
    /// `[limits]`
    pub limits: LimitsConfig,
    /// `[vars]`: values for the variables of rule sets, in file order.
    pub vars: Vec<(At<String>, At<VarText>)>,
    /// `[[log]]`: at least one, each name once.
    pub logs: Vec<LogConfig>,
    /// `[[output]]`: each name once; may be empty.
    pub outputs: Vec<OutputConfig>,
    /// `[marks]`
    pub marks: MarksConfig,
    /// What is allowed but probably not meant.
    pub warnings: Vec<Diagnostic>,
}

/// `[agent]`: the rhythm of reading and counting.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// How often what was read is committed. Never zero.
    pub flush: Duration,
    /// How far lines may be out of order before they count as late.
    pub allowed_lateness: Duration,
    /// Lines older than this are rejected. At most `store.retention`, at least `allowed_lateness`.
    pub max_lateness: Duration,
    /// Lines further ahead of the clock are rejected.
    pub max_future: Duration,
    /// Zone of times without one.
    pub timezone: At<TimeZone>,
    /// How often files are looked at without a wake-up. Never zero.
    pub poll: Duration,
    /// After so long at the end of a log, the clock is its watermark.
    pub idle: Duration,
    /// A follower further behind is left out of watermarks. Never zero.
    pub exclude_lag: Duration,
    /// How long the writer of a rotated file may be silent before the file is let go.
    pub rotate_wait: Duration,
    /// Share of lines, 0 to 1, above which unparsed ones make a minute incomplete.
    pub unparsed_share: f64,
}

/// `[store]`: the SQLite file.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The file, absolute.
    pub path: At<PathBuf>,
    /// How long minute windows are kept. Never zero.
    pub retention: Duration,
    /// How long hourly roll-ups are kept. Never zero.
    pub rollups: Duration,
    /// Most bytes of the file, at least 1 MiB.
    pub max_bytes: u64,
}

/// `[http]`: metrics, health and the API.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Addresses to listen on; empty: HTTP is off.
    pub listen: Vec<At<SocketAddr>>,
    /// Prometheus' web-config file with TLS and passwords, absolute.
    pub web_config: Option<At<PathBuf>>,
}

/// `[status]`: the page for people.
#[derive(Clone, Debug)]
pub struct StatusConfig {
    /// Addresses to listen on; empty: no page. One that is also in `http.listen` serves both.
    pub listen: Vec<At<SocketAddr>>,
    /// Names by which the page may be asked for, beside addresses and `localhost`; lower case.
    pub hosts: Vec<At<String>>,
}

/// `[geoip]`: where an address is.
#[derive(Clone, Debug)]
pub struct GeoConfig {
    /// MaxMind databases, absolute; empty: those in the standard places.
    pub databases: Vec<At<PathBuf>>,
    /// Proxies whose forwarded addresses are believed; empty: none.
    pub trusted_proxies: Vec<At<ProxyEntry>>,
}

/// A key of `[providers]`: files with the ranges of a provider, absolute.
pub type ProviderFiles = (At<String>, Vec<At<PathBuf>>);

/// One entry of `trusted_proxies`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyEntry {
    /// An address, a network, or one of the words `private` and `providers`.
    Network(Text),
    /// A file with such entries, absolute.
    File(PathBuf),
}

/// `[limits]`: bounds that keep memory bounded.
#[derive(Clone, Debug)]
pub struct LimitsConfig {
    /// Most series of a metric beside declared ones, unless its rule says otherwise. Never zero.
    pub series_per_metric: usize,
    /// Longest line in bytes, 64 to 256 MiB; longer ones are rejected.
    pub line_bytes: usize,
}

/// A value in `[vars]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VarText {
    /// `beacon_path = "/x"`
    One(Text),
    /// `providers = ["a", "b"]`
    List(Vec<Text>),
}

/// `[[log]]`: one log, which may be many files.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// The value of the label `log`; `[A-Za-z0-9_.-]{1,64}`.
    pub name: At<String>,
    /// Where its lines come from.
    pub input: LogInput,
    /// Formats to try on each line, in order: names, or absolute paths of files
    /// (`Catalog::is_path` tells). Empty: the format is detected.
    pub parsers: Vec<At<Text>>,
    /// Rule sets instead of the parsers' own; empty: the parsers' own.
    pub rules: Vec<At<Text>>,
    /// Labels added to every series of this log: Prometheus names, none of them `log` or `le`.
    pub labels: Vec<(At<String>, At<Text>)>,
    /// Where the first start begins.
    pub from: Start,
    /// Whether a path that is a symbolic link is followed.
    pub follow_symlinks: bool,
}

/// Where the lines of a log come from.
#[derive(Clone, Debug)]
pub enum LogInput {
    /// Files that are followed.
    Files {
        /// Absolute `glob` patterns, at least one; a path without `*?[` is a pattern for itself.
        paths: Vec<At<PathBuf>>,
        /// Patterns of rotated files; empty: the usual names beside each path.
        rotated: Vec<At<PathBuf>>,
    },
    /// `path = "-"`
    StandardInput(Place),
    /// `listen = …`
    Syslog(At<SyslogAddress>),
}

/// Where syslog messages arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogAddress {
    /// `udp://127.0.0.1:5140`
    Udp(SocketAddr),
    /// `tcp://127.0.0.1:5140`
    Tcp(SocketAddr),
    /// `unix:///run/x.sock`: a datagram socket, absolute.
    Unix(PathBuf),
}

/// Where the first start of a log begins. Later starts begin where the last one committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// `from = "start"`: with everything that is there.
    Start,
    /// `from = "end"`: with lines written from now on.
    End,
}

/// `[marks]`: where `beacontail mark` writes beside the store.
#[derive(Clone, Debug, Default)]
pub struct MarksConfig {
    /// Address of graphite-web, whose `/events/` takes marks.
    pub graphite: Option<At<Text>>,
    /// Address of Grafana, whose `/api/annotations` takes marks.
    pub grafana: Option<At<Text>>,
    /// A file with the token of a service account of Grafana, absolute.
    pub grafana_token_file: Option<At<PathBuf>>,
}

/// `[[output]]`: somewhere that minutes are sent to.
#[derive(Clone, Debug)]
pub struct OutputConfig {
    /// The value of the label `output`; the type and the address unless given.
    pub name: At<String>,
    /// What is sent where.
    pub kind: OutputKind,
    /// Pause after a failure. Never zero.
    pub retry: Duration,
    /// Ages at which windows that were ever in doubt are sent again, rising; may be empty.
    pub settle: Vec<Duration>,
    /// After an outage, windows of so long before it are sent again. At most `store.retention`.
    pub resend_horizon: Duration,
}

/// `type` of an output and what belongs to it.
#[derive(Clone, Debug)]
pub enum OutputKind {
    /// `type = "graphite"`
    Graphite(GraphiteConfig),
}

/// What belongs to `type = "graphite"`.
#[derive(Clone, Debug)]
pub struct GraphiteConfig {
    /// Where carbon listens.
    pub address: At<HostPort>,
    /// First nodes of every path; neither empty nor with empty nodes.
    pub prefix: At<Text>,
    /// Metric name and the path templates that stand for the rule's own. `{label}` is left in
    /// them, `{host}` is replaced.
    pub paths: Vec<(At<String>, Vec<At<Text>>)>,
    /// How points are written.
    pub protocol: GraphiteProtocol,
    /// `name;label=value` instead of paths.
    pub tags: bool,
    /// Longest time to connect. Never zero.
    pub connect_timeout: Duration,
    /// Longest time without progress in a write. Never zero.
    pub write_timeout: Duration,
    /// Longest time until carbon has taken everything. Never zero.
    pub ack_timeout: Duration,
}

/// How points travel to carbon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphiteProtocol {
    /// Plaintext lines over TCP.
    Tcp,
    /// Plaintext lines in UDP datagrams: never acknowledged.
    Udp,
    /// Pickled lists over TCP.
    Pickle,
}

impl Config {
    /// The values for rule sets' variables, as `rule` takes them.
    pub fn variables(&self) -> BTreeMap<String, Var> {
        let vars = self.vars.iter().map(|(name, var)| {
            let value = match &var.value {
                VarText::One(text) => Var::Text(text.as_str().to_owned()),
                VarText::List(list) => {
                    Var::List(list.iter().map(|text| text.as_str().to_owned()).collect())
                }
            };
            (name.value.clone(), value)
        });
        vars.collect()
    }
}
