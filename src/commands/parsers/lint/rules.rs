//! Rule sets: labels that clients fill, and what was forgotten.

use crate::definition::{FieldSource, MetricDefinition, RuleSetDefinition};
use crate::diagnostic::Diagnostic;

/// Fields whose values the server or the CDN chooses, by their beginnings.
const SERVERS: [&str; 20] = [
    "status",
    "code",
    "method",
    "protocol",
    "server_",
    "scheme",
    "ssl_",
    "upstream_",
    "edge_",
    "x_edge_",
    "cdn",
    "cache_status",
    "internal",
    "is_edge",
    "provider",
    "country",
    "time_",
    "sent_http_",
    "error_",
    "syslog_",
];

/// What a label's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Values {
    /// As many as the file or the server's configuration says.
    Bounded,
    /// Whatever a client sends.
    Clients,
    /// Addresses.
    Addresses,
    /// Paths as they were asked for.
    Paths,
}

/// All findings of a rule set.
pub(super) fn findings(set: &RuleSetDefinition) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for metric in &set.metrics {
        findings.extend(labels(set, metric));
        if metric.near.is_some() && metric.matchers.is_none() {
            let what = format!(
                "`{}` has `near` and no `match`: nothing is near",
                metric.name.value
            );
            findings.push(metric.name.place.error(what, "").warning());
        }
    }
    if set.examples.is_empty()
        && let Some(metric) = set.metrics.first()
    {
        let what = format!("rule set `{}` has no example", set.name);
        let finding = metric.name.place.error(what, "").warning();
        findings.push(finding.help("add an [[example]] with `fields` and the `counts` they give"));
    }
    findings
}

fn labels(set: &RuleSetDefinition, metric: &MetricDefinition) -> Vec<Diagnostic> {
    let limited = |label: &str| {
        metric.series.is_some()
            || metric
                .label_limits
                .iter()
                .any(|(name, _)| name.value == label)
    };
    let mut findings = Vec::new();
    for (label, field) in &metric.labels {
        let what = match values(set, &field.value, 0) {
            Values::Bounded => continue,
            Values::Addresses => "is an address",
            Values::Paths => "is a path as it was asked for",
            Values::Clients if limited(&label.value) => continue,
            Values::Clients => "is what a client sends, without `values` or a limit",
        };
        let name = &label.value;
        let message = format!("label `{name}` of `{}` {what}", metric.name.value);
        findings.push(
            label
                .place
                .error(message, "as many series as there are values")
                .warning()
                .help(format!(
                    "label_limits = {{ {name} = 100 }}, or a field with `values` and `other`"
                )),
        );
    }
    findings
}

/// What the values of a field are, followed to where they come from.
fn values(set: &RuleSetDefinition, name: &str, depth: usize) -> Values {
    let own = set
        .fields
        .iter()
        .rev()
        .find(|field| field.name.value == name);
    let Some(field) = own.filter(|_| depth < 10) else {
        return given(name);
    };
    match &field.source {
        FieldSource::Client(_) => Values::Addresses,
        FieldSource::Geo { .. } | FieldSource::Provider { .. } => Values::Bounded,
        FieldSource::Derive(derivation) if derivation.values.is_some() => Values::Bounded,
        FieldSource::Derive(derivation) => {
            let from = derivation.from.iter().map(|from| {
                if from.value == name {
                    given(name)
                } else {
                    values(set, &from.value, depth + 1)
                }
            });
            let found = from.into_iter().find(|values| *values != Values::Bounded);
            match found.unwrap_or(Values::Bounded) {
                // A group of a path is no longer the path.
                Values::Paths | Values::Addresses if derivation.regex.is_some() => Values::Clients,
                values => values,
            }
        }
    }
}

/// What a format's field holds.
fn given(name: &str) -> Values {
    match name {
        "remote_addr" | "http_x_forwarded_for" | "upstream_addr" => Values::Addresses,
        "path" | "query" | "request" | "request_uri" => Values::Paths,
        name if SERVERS.iter().any(|server| name.starts_with(server)) => Values::Bounded,
        _ => Values::Clients,
    }
}
