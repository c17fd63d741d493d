//! `reports`, as clap reads it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

/// `reports`
#[derive(Debug, Args)]
pub struct ReportsArgs {
    /// Log that reports are appended to, one a line; `run` follows it like any log
    #[arg(long, value_name = "FILE")]
    pub log: PathBuf,
    /// Address to take reports at (may be repeated)
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9579")]
    pub listen: Vec<SocketAddr>,
    /// File with certificate and key, in the form of Prometheus' exporters; browsers post to HTTPS only,
    /// so without it a TLS server stands in front
    #[arg(long, value_name = "FILE")]
    pub web_config: Option<PathBuf>,
    /// Take reports about this host only, `*.example.com` for all below it (may be repeated); about
    /// any when not given
    #[arg(long, value_name = "HOST")]
    pub allow_origin_host: Vec<String>,
    /// Servers in front whose X-Forwarded-For is believed: addresses, CIDRs, `private`
    #[arg(
        long,
        value_name = "CIDR|private,…",
        value_delimiter = ',',
        default_value = "127.0.0.0/8,::1"
    )]
    pub trusted_proxies: Vec<String>,
    /// Log query strings, too; they often hold secrets
    #[arg(long)]
    pub keep_query: bool,
    /// Largest body taken, 1 KiB to 1 MiB
    #[arg(long, value_name = "SIZE", default_value = "64KiB")]
    pub max_body: String,
    /// Reports a second taken of one network of clients (IPv4 /24, IPv6 /48)
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_rate: u32,
    /// Reports a second taken of all together
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_total_rate: u32,
    /// Size at which the log is renamed to FILE.1 and begun anew, from 64 KiB on
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    pub max_bytes: String,
    /// Renamed logs that are kept
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub keep: u32,
}
