//! What `reports` was told, resolved: every mistake at once, each at its argument.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::cli::ReportsArgs;
use crate::config::bytes;
use crate::diagnostic::{Diagnostic, Place};
use crate::geo::AddressSet;

use super::hosts::Hosts;

/// Bytes that a body may be limited to.
const BODIES: std::ops::RangeInclusive<u64> = 1 << 10..=1 << 20;
/// Bytes that the log may be limited to: a body's lines fit into the smallest several times.
const LOGS: std::ops::RangeInclusive<u64> = 64 << 10..=1 << 40;

/// What the collector does and does not take.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) log: PathBuf,
    pub(super) listen: Vec<SocketAddr>,
    pub(super) web_config: Option<PathBuf>,
    pub(super) hosts: Hosts,
    /// Peers whose `X-Forwarded-For` is believed; may be empty.
    pub(super) proxies: AddressSet,
    pub(super) keep_query: bool,
    pub(super) body_bytes: usize,
    /// Reports a second of one network.
    pub(super) rate: u32,
    /// Reports a second of all.
    pub(super) total_rate: u32,
    pub(super) log_bytes: u64,
    /// Renamed logs.
    pub(super) keep: u32,
}

impl Options {
    /// Reads the arguments.
    ///
    /// # Errors
    /// Sizes, hosts and networks that are none.
    pub(super) fn new(args: &ReportsArgs) -> Result<Options, Vec<Diagnostic>> {
        let mut mistakes = Vec::new();
        let mut size = |flag, text: &str, range| {
            size(flag, text, range)
                .map_err(|mistake| mistakes.push(mistake))
                .unwrap_or_default()
        };
        let body_bytes = size("--max-body", &args.max_body, BODIES);
        let log_bytes = size("--max-bytes", &args.max_bytes, LOGS);
        let hosts = Hosts::new(&args.allow_origin_host, &mut mistakes);
        let proxies = proxies(&args.trusted_proxies, &mut mistakes);
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Options {
            log: args.log.clone(),
            listen: args.listen.clone(),
            web_config: args.web_config.clone(),
            hosts,
            proxies,
            keep_query: args.keep_query,
            body_bytes: usize::try_from(body_bytes).expect("a mebibyte fits"),
            rate: args.max_rate,
            total_rate: args.max_total_rate,
            log_bytes,
            keep: args.keep,
        })
    }
}

fn size(
    flag: &'static str,
    text: &str,
    range: std::ops::RangeInclusive<u64>,
) -> Result<u64, Diagnostic> {
    let found = bytes(text).filter(|found| range.contains(found));
    found.ok_or_else(|| {
        let (least, most) = (range.start(), range.end());
        Place::argument(flag, text)
            .error(
                format!("expected a size from {least} to {most} bytes"),
                "not one",
            )
            .help(format!(
                "`{flag} 64KiB`; units are B, kB, KiB, MB, MiB, GB, GiB"
            ))
    })
}

fn proxies(entries: &[String], mistakes: &mut Vec<Diagnostic>) -> AddressSet {
    let mut set = AddressSet::default();
    for entry in entries.iter().filter(|entry| !entry.is_empty()) {
        match AddressSet::parse([entry.as_str()]) {
            Ok(more) => set.extend(&more),
            Err(_) => {
                let place = Place::argument("--trusted-proxies", entry);
                let mistake = place.error(
                    format!("`{}` is no address and no network", entry.escape_debug()),
                    "not understood",
                );
                mistakes.push(mistake.help("write 203.0.113.7, 203.0.113.0/24 or `private`"));
            }
        }
    }
    set
}
