//! `[[output]]`: where minutes are sent to.
//!
//! Invariant: every path that can come out of a prefix and a template has the form that carbon
//! takes; whether the metrics and labels in it exist is found when rules are compiled.

use std::time::Duration;

use super::load::check_names;
use super::logs::checked_name;
use super::reading::Reading;
use super::values::{
    HostPort, host_port, is_label_name, is_metric_name, name_from, shown_duration,
};
use super::{GraphiteConfig, GraphiteProtocol, OutputConfig, OutputKind, Text};
use crate::definition::At;
use crate::definition::toml_text::{Item, Table};

/// Types of outputs; one so far.
const TYPES: [(&str, ()); 1] = [("graphite", ())];
const PROTOCOLS: [(&str, GraphiteProtocol); 3] = [
    ("tcp", GraphiteProtocol::Tcp),
    ("udp", GraphiteProtocol::Udp),
    ("pickle", GraphiteProtocol::Pickle),
];
/// Minutes after which windows that were ever in doubt are sent again.
const SETTLE: [u64; 5] = [1, 2, 5, 15, 60];

/// All outputs.
pub(super) fn outputs(
    root: &mut Table<'_>,
    reading: &mut Reading<'_>,
    retention: Duration,
) -> Vec<OutputConfig> {
    let tables = root.tables(&mut reading.reader, "output", "in this output");
    let outputs: Vec<OutputConfig> = tables
        .into_iter()
        .filter_map(|table| output(table, reading, retention))
        .collect();
    check_names(outputs.iter().map(|output| &output.name), "output", reading);
    outputs
}

fn output(
    mut table: Table<'_>,
    reading: &mut Reading<'_>,
    retention: Duration,
) -> Option<OutputConfig> {
    let kind = reading
        .need_text(&mut table, "type", "type = \"graphite\"")
        .and_then(|text| reading.word(text, "type", &TYPES));
    let name = reading.text(&mut table, "name");
    let has_name = name.is_some();
    let name = name.and_then(|name| checked_name(name, "an output", reading));
    let graphite = graphite(&mut table, reading);
    let retry = reading.pause(&mut table, "retry", Duration::from_secs(5));
    let settle = table.take("settle");
    let settle = match settle {
        Some(item) => settle_times(&item, reading, retention),
        None => usual_settle(retention),
    };
    let resend_horizon = horizon(&mut table, reading, retention);
    table.finish(&mut reading.reader);
    let (_known, graphite) = (kind?, graphite?);
    let name = match name {
        Some(name) => name,
        None if has_name => return None,
        None => default_name(&graphite.address),
    };
    Some(OutputConfig {
        name,
        kind: OutputKind::Graphite(graphite),
        retry,
        settle,
        resend_horizon,
    })
}

/// What a store with a short memory has forgotten cannot be sent again.
fn usual_settle(retention: Duration) -> Vec<Duration> {
    let times = SETTLE.map(|minutes| Duration::from_secs(60 * minutes));
    let times = times.into_iter();
    times.filter(|time| *time <= retention).collect()
}

fn default_name(address: &At<HostPort>) -> At<String> {
    let HostPort { host, port } = &address.value;
    At {
        value: name_from(&format!("graphite-{host}-{port}")),
        place: address.place.clone(),
    }
}

fn graphite(table: &mut Table<'_>, reading: &mut Reading<'_>) -> Option<GraphiteConfig> {
    const EXPECTED: &str = "a host and a port such as `graphite.example.com:2003`";
    let address = reading
        .need_text(table, "address", "address = \"graphite.example.com:2003\"")
        .and_then(|text| reading.value(text, EXPECTED, host_port));
    let prefix = reading
        .need(table, "prefix", "prefix = \"web.{host}\"")
        .and_then(|item| reading.path_text_of(&item));
    if let Some(prefix) = &prefix {
        check_path(prefix, "prefix", reading);
    }
    let has_paths = table.has("path");
    let paths = paths(table, reading);
    let protocol = reading
        .text(table, "protocol")
        .and_then(|text| reading.word(text, "protocol", &PROTOCOLS))
        .unwrap_or(GraphiteProtocol::Tcp);
    let tags = reading.boolean_or(table, "tags", false);
    if let (true, true, Some((metric, _))) = (tags, has_paths, paths.first()) {
        let warning = metric
            .place
            .error("`path` is not used with `tags = true`", "");
        let help = "with tags, labels are sent beside the metric's name";
        reading.warnings.push(warning.warning().help(help));
    }
    let graphite = GraphiteConfig {
        connect_timeout: reading.pause(table, "connect_timeout", Duration::from_secs(5)),
        write_timeout: reading.pause(table, "write_timeout", Duration::from_secs(30)),
        ack_timeout: reading.pause(table, "ack_timeout", Duration::from_secs(60)),
        address: address?,
        prefix: prefix?,
        paths,
        protocol,
        tags,
    };
    Some(graphite)
}

fn paths(table: &mut Table<'_>, reading: &mut Reading<'_>) -> Vec<(At<String>, Vec<At<Text>>)> {
    let pairs = reading.path_templates(table, "path");
    for (metric, templates) in &pairs {
        if !is_metric_name(&metric.value) {
            let message = format!("`{}` is no name of a metric", metric.value);
            reading.report(metric.place.error(message, ""));
        }
        for template in &templates.value {
            check_path(template, "path", reading);
        }
    }
    let pairs = pairs.into_iter();
    pairs.map(|(metric, found)| (metric, found.value)).collect()
}

/// Reports what is wrong with a path; only templates may have labels.
fn check_path(path: &At<Text>, what: &str, reading: &mut Reading<'_>) {
    let Some((fault, help)) = path_fault(&path.value, what == "path") else {
        return;
    };
    let message = format!("{fault} in `{what}`");
    reading.report(path.place.error(message, "").help(help));
}

/// What carbon would not take, and the repair.
fn path_fault(path: &str, has_labels: bool) -> Option<(&'static str, &'static str)> {
    let mut outside = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((label, behind)) = after.split_once('}') else {
            return Some(("`{` without `}`", "`{label}` stands for a label's value"));
        };
        if !has_labels {
            return Some(("braces", "`{host}` alone is replaced here"));
        }
        if !is_label_name(label) {
            return Some((
                "braces around what is no label",
                "`{label}`, such as `{provider}`",
            ));
        }
        outside += before;
        // A value is never empty in a path.
        outside.push('x');
        rest = behind;
    }
    outside += rest;
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-:#%+=@~".contains(c);
    if !outside.chars().all(legal) {
        let help = "letters, digits and `_`, `-`; dots between nodes";
        return Some(("a character that Graphite does not take", help));
    }
    if outside.split('.').any(str::is_empty) {
        return Some((
            "an empty node",
            "one dot between two nodes, none at the ends",
        ));
    }
    None
}

/// Durations, rising, none of them beyond the store's memory.
fn settle_times(item: &Item<'_>, reading: &mut Reading<'_>, retention: Duration) -> Vec<Duration> {
    let elements = item.elements(&mut reading.reader, "a list of durations");
    let mut times: Vec<Duration> = Vec::new();
    for element in elements.unwrap_or_default() {
        let Some(text) = reading.text_of(&element) else {
            continue;
        };
        let expected = "a duration such as `90s` or `1h30m`";
        let Some(time) = reading.value(text, expected, super::values::duration) else {
            continue;
        };
        let last = times.last().copied().unwrap_or_default();
        if time.value <= last {
            let message = "`settle` does not rise";
            let help = format!("longer than `{}`", shown_duration(last));
            reading.report(time.place.error(message, "").help(help));
        }
        if time.value > retention {
            let message = "`settle` is longer than `store.retention`";
            let help = format!("at most `{}`", shown_duration(retention));
            reading.report(time.place.error(message, "").help(help));
        }
        times.push(time.value);
    }
    times
}

fn horizon(table: &mut Table<'_>, reading: &mut Reading<'_>, retention: Duration) -> Duration {
    let Some(horizon) = reading.duration(table, "resend_horizon") else {
        return Duration::ZERO;
    };
    if horizon.value > retention {
        let message = "`resend_horizon` is longer than `store.retention`";
        let help = format!("at most `{}`", shown_duration(retention));
        reading.report(horizon.place.error(message, "").help(help));
    }
    horizon.value
}
