//! A short name for a configuration: two files that mean the same have the same.
//!
//! Invariant: every value is in it, no place and no comment is, and of texts with a variable only
//! the way they were written. Structs are taken apart whole, so that a new field cannot be
//! forgotten.

use std::fmt::Debug;

use sha2::{Digest, Sha256};

use super::{
    AgentConfig, Config, GeoConfig, GraphiteConfig, HttpConfig, LimitsConfig, LogConfig, LogInput,
    MarksConfig, OutputConfig, OutputKind, StatusConfig, StoreConfig, Text,
};
use crate::definition::At;

/// Hexadecimal digits of a digest.
const DIGITS: usize = 12;

impl Config {
    /// Twelve hexadecimal digits that change when a value changes. A value that comes from the
    /// environment does not take part in texts; it does in paths, durations and numbers.
    pub fn digest(&self) -> String {
        let hash = Sha256::digest(self.canonical().as_bytes());
        let digits = hash.iter().map(|byte| format!("{byte:02x}"));
        digits.collect::<String>().chars().take(DIGITS).collect()
    }

    /// One line for each value.
    pub(super) fn canonical(&self) -> String {
        let Config {
            path: _,
            parsers,
            agent,
            store,
            http,
            status,
            geoip,
            providers,
            limits,
            vars,
            logs,
            outputs,
            marks,
            warnings: _,
        } = self;
        let mut lines = Lines::default();
        lines.put("parsers", values(parsers));
        agent_lines(agent, &mut lines);
        let StoreConfig {
            path,
            retention,
            rollups,
            max_bytes,
        } = store;
        lines.put("store", (&path.value, retention, rollups, max_bytes));
        let HttpConfig { listen, web_config } = http;
        let web_config = web_config.as_ref().map(|path| &path.value);
        lines.put("http", (values(listen), web_config));
        let StatusConfig { listen, hosts } = status;
        lines.put("status", (values(listen), values(hosts)));
        let GeoConfig {
            databases,
            trusted_proxies,
        } = geoip;
        lines.put("geoip", (values(databases), values(trusted_proxies)));
        let mut files: Vec<_> = providers
            .iter()
            .map(|(name, files)| (&name.value, values(files)))
            .collect();
        files.sort();
        lines.put("providers", files);
        let LimitsConfig {
            series_per_metric,
            line_bytes,
        } = limits;
        lines.put("limits", (series_per_metric, line_bytes));
        lines.put("vars", pairs(vars));
        logs.iter().for_each(|log| log_lines(log, &mut lines));
        for output in outputs {
            output_lines(output, &mut lines);
        }
        let MarksConfig {
            graphite,
            grafana,
            grafana_token_file,
        } = marks;
        let text = |at: &Option<At<Text>>| at.as_ref().map(|at| at.value.clone());
        let token = grafana_token_file.as_ref().map(|at| &at.value);
        lines.put("marks", (text(graphite), text(grafana), token));
        lines.text
    }
}

#[derive(Default)]
struct Lines {
    text: String,
}

impl Lines {
    /// `Debug` of text has no line feed in it, and shows variables as they were written.
    fn put(&mut self, key: &str, value: impl Debug) {
        self.text += &format!("{key} = {value:?}\n");
    }
}

fn values<T>(list: &[At<T>]) -> Vec<&T> {
    list.iter().map(|one| &one.value).collect()
}

/// In the order of names: that of the file means nothing.
fn pairs<T>(list: &[(At<String>, At<T>)]) -> Vec<(&str, &T)> {
    let pairs = list.iter();
    let mut pairs: Vec<(&str, &T)> = pairs
        .map(|(name, value)| (name.value.as_str(), &value.value))
        .collect();
    pairs.sort_by_key(|(name, _)| *name);
    pairs
}

fn agent_lines(agent: &AgentConfig, lines: &mut Lines) {
    let AgentConfig {
        flush,
        allowed_lateness,
        max_lateness,
        max_future,
        timezone,
        poll,
        idle,
        exclude_lag,
        rotate_wait,
        unparsed_share,
    } = agent;
    lines.put("lateness", (allowed_lateness, max_lateness, max_future));
    lines.put("timezone", timezone.value.iana_name());
    lines.put("rhythm", (flush, poll, idle, rotate_wait));
    lines.put("doubt", (exclude_lag, unparsed_share));
}

fn log_lines(log: &LogConfig, lines: &mut Lines) {
    let LogConfig {
        name,
        input,
        parsers,
        rules,
        labels,
        from,
        follow_symlinks,
    } = log;
    lines.put("log", &name.value);
    match input {
        LogInput::Files { paths, rotated } => {
            lines.put("files", (values(paths), values(rotated)));
        }
        LogInput::StandardInput(_) => lines.put("files", "-"),
        LogInput::Syslog(address) => lines.put("syslog", &address.value),
    }
    lines.put("parsers", (values(parsers), values(rules)));
    lines.put("labels", pairs(labels));
    lines.put("follow", (from, follow_symlinks));
}

fn output_lines(output: &OutputConfig, lines: &mut Lines) {
    let OutputConfig {
        name,
        kind,
        retry,
        settle,
        resend_horizon,
    } = output;
    lines.put("output", (&name.value, retry, settle, resend_horizon));
    let OutputKind::Graphite(GraphiteConfig {
        address,
        prefix,
        paths,
        protocol,
        tags,
        connect_timeout,
        write_timeout,
        ack_timeout,
    }) = kind;
    lines.put("graphite", (&address.value, &prefix.value, protocol, tags));
    let mut paths: Vec<_> = paths
        .iter()
        .map(|(metric, templates)| (&metric.value, values(templates)))
        .collect();
    paths.sort_by_key(|(metric, _)| *metric);
    lines.put("paths", paths);
    lines.put("timeouts", (connect_timeout, write_timeout, ack_timeout));
}
