//! The text of beacontail.toml.
//!
//! Invariant: whatever a server's configuration holds, the text is TOML that `check-config --offline` accepts, and has
//! nothing unprintable in it.

use std::fmt::Write as _;

use super::found::{AccessLog, Destination, Server};
use super::plan::{LogPlan, Plan};
use crate::definition::quoted::string;
use crate::diagnostic::Untrusted;

/// What the operator asked for beside what was found.
pub(super) struct Wishes<'w> {
    /// Host and port of carbon, and the first nodes of paths.
    pub(super) graphite: Option<(&'w str, &'w str)>,
    /// The file is for a service: its store is where services have theirs.
    pub(super) is_service: bool,
}

/// The whole file.
pub(super) fn text(plan: &Plan, wishes: &Wishes<'_>) -> String {
    let mut out = String::new();
    out.push_str(
        "# Which logs are counted, and where the counts go: written by `beacontail init` from what the web\n\
         # servers of this host are configured to log. It is yours: change what you like.\n\
         #\n\
         # Check a change before it is used: beacontail check-config -c FILE --as beacontail\n\
         # and apply it without a restart:   systemctl reload beacontail\n\n",
    );
    out.push_str("[store]\n");
    if wishes.is_service {
        out.push_str("path = \"/var/lib/beacontail/store.db\"\n\n");
    } else {
        out.push_str("path = \"beacontail.db\"    # beside this file; a service has /var/lib/beacontail/store.db\n\n");
    }
    out.push_str("[http]\nlisten = \"127.0.0.1:9577\"    # /metrics for Prometheus, and what `beacontail check` asks\n");
    out.push_str("\n[status]\nlisten = \"127.0.0.1:9578\"    # the page for people, http://127.0.0.1:9578/\n");
    if plan
        .chosen
        .iter()
        .flatten()
        .any(|chosen| chosen.facts.forwarded)
    {
        out.push_str(
            "\n# Whose X-Forwarded-For is believed; without a line the right-most address is the client's.\n\
             # [geoip]\n# trusted_proxies = [\"private\"]\n",
        );
    }
    for log in &plan.logs {
        out.push('\n');
        out.push_str(&log_table(plan, log));
    }
    left_out(&mut out, plan);
    errors(&mut out, plan);
    output(&mut out, wishes);
    out
}

/// The `[[log]]` of a plan, with comments that say why it is as it is.
pub(super) fn log_table(plan: &Plan, log: &LogPlan) -> String {
    let mut out = String::new();
    let sources = log
        .sources
        .iter()
        .filter_map(|source| plan.survey.logs.get(*source));
    for (number, source) in sources.take(20).enumerate() {
        writeln!(out, "# {}: {}", source.server.name(), source.spot).ok();
        for remark in source.remarks.iter().filter(|_| number < 5) {
            writeln!(out, "#   {}", shown(remark)).ok();
        }
    }
    if log.sources.len() > 20 {
        writeln!(out, "# and {} more places", log.sources.len() - 20).ok();
    }
    out.push_str("[[log]]\n");
    writeln!(out, "name = {}", string(&log.name)).ok();
    match &log.destination {
        Destination::Files(pattern) => writeln!(out, "path = {}", string(pattern)),
        Destination::Syslog(address) => writeln!(out, "listen = {}", string(address)),
        Destination::Away { .. } => Ok(()),
    }
    .ok();
    let parsers: Vec<String> = log
        .parsers
        .iter()
        .map(|parser| string(&parser_name(parser)))
        .collect();
    match parsers.as_slice() {
        [one] => writeln!(out, "parser = {one}"),
        more => writeln!(
            out,
            "parser = [{}]    # tried in order on each line",
            more.join(", ")
        ),
    }
    .ok();
    let rules: Vec<String> = log.rules.iter().map(|rule| string(rule)).collect();
    let why = if log.rules.contains(&"origin") {
        ""
    } else {
        "    # not \"origin\": without X-CDN-Provider nobody can tell which CDN forwarded a request"
    };
    writeln!(out, "rules = [{}]{why}", rules.join(", ")).ok();
    out
}

/// A parser as `parser =` names it.
pub(super) fn parser_name(parser: &super::choose::Chosen) -> String {
    if parser.is_shipped {
        parser.name.clone()
    } else {
        format!("parsers/{}.toml", parser.name)
    }
}

fn left_out(out: &mut String, plan: &Plan) {
    for left in plan.left.iter().take(50) {
        let Some(log) = plan.survey.logs.get(left.source) else {
            continue;
        };
        writeln!(
            out,
            "\n# Not counted: {} {}{}",
            log.server.name(),
            log.spot,
            path_of(log)
        )
        .ok();
        writeln!(out, "#   {}", shown(&left.why)).ok();
        if !left.repair.is_empty() {
            writeln!(out, "#   {}", shown(&left.repair)).ok();
        }
        for remark in &log.remarks {
            writeln!(out, "#   {}", shown(remark)).ok();
        }
    }
}

fn path_of(log: &AccessLog) -> String {
    match &log.destination {
        Destination::Files(path) => format!(", {}", shown(path)),
        Destination::Syslog(address) => format!(", {}", shown(address)),
        Destination::Away { .. } => String::new(),
    }
}

/// Error logs are offered, not followed: they count under other rules, and not everybody wants them.
fn errors(out: &mut String, plan: &Plan) {
    let offered: Vec<_> = plan
        .errors()
        .filter_map(|log| match log.server {
            Server::Nginx => Some((log, "nginx-error")),
            Server::Apache => Some((log, "apache-error")),
            Server::Haproxy | Server::Varnish => None,
        })
        .take(20)
        .collect();
    if !offered.is_empty() {
        out.push_str("\n# Errors of the servers by level, upstream and virtual host: take the `#` away to count them.\n");
    }
    let mut named: Vec<&str> = Vec::new();
    for (log, parser) in offered {
        named.push(parser);
        let behind = match named.iter().filter(|other| **other == parser).count() {
            1 => String::new(),
            number => format!("-{number}"),
        };
        let path = string(&log.path);
        writeln!(out, "#\n# {}", log.spot).ok();
        writeln!(
            out,
            "# [[log]]\n# name = \"{parser}{behind}\"\n# path = {path}\n# parser = \"{parser}\""
        )
        .ok();
    }
}

fn output(out: &mut String, wishes: &Wishes<'_>) {
    match wishes.graphite {
        Some((address, prefix)) => {
            out.push_str("\n[[output]]\ntype = \"graphite\"\n");
            writeln!(out, "address = {}\nprefix = {}", string(address), string(prefix)).ok();
        }
        None => out.push_str(
            "\n# Minutes for Graphite, sent to carbon's plaintext port:\n# [[output]]\n# type = \"graphite\"\n\
             # address = \"graphite.example.com:2003\"\n# prefix = \"web.{host}\"\n",
        ),
    }
}

fn shown(text: &str) -> Untrusted<'_> {
    Untrusted(text.as_bytes())
}
