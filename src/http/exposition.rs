//! Totals and the process' health as one exposition: the text format 0.0.4, or OpenMetrics 1.0.
//!
//! Pure: values in, text out. Families stand in the order of their names and series in the order of
//! their labels, so that two renderings of the same values are the same bytes. A series has the
//! same name and labels in both formats; bounds of buckets are written as OpenMetrics wants them in
//! both, for Prometheus takes `le="1"` and `le="1.0"` for different series.
//!
//! OpenMetrics tells more: `# UNIT`, and `_created` with the time from which a series counts.

use std::collections::HashMap;
use std::fmt::Write;

use super::health;
use crate::metrics::text::{canonical, escaped, escaped_help, family_name, label_value, unit};
use crate::metrics::{Decimal, Family, Kind, MetricType, Sample};

#[cfg(test)]
mod tests;

/// The two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    /// Prometheus' text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Exposition {
    /// The value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Exposition::Text => "text/plain; version=0.0.4; charset=utf-8",
            Exposition::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// HELP, TYPE and UNIT of a family. `name` is that of its counter or family in the text format.
    pub(super) fn head(self, name: &str, kind: &str, help: Option<&str>) -> String {
        let mut text = String::new();
        let (name, help) = match self {
            Exposition::Text => (name, help.map(escaped_help)),
            Exposition::OpenMetrics if kind == "counter" => {
                let family = family_name(name, MetricType::Counter);
                (family, help.map(escaped))
            }
            Exposition::OpenMetrics => (name, help.map(escaped)),
        };
        if let Some(help) = help {
            line(&mut text, format_args!("# HELP {name} {help}"));
        }
        line(&mut text, format_args!("# TYPE {name} {kind}"));
        if let (Exposition::OpenMetrics, Some(unit)) = (self, unit(name)) {
            line(&mut text, format_args!("# UNIT {name} {unit}"));
        }
        text
    }
}

/// Writes all families and the process' health, `health` being the text of
/// `Telemetry::render`, in the order of their names.
pub fn render(families: &[Family<'_>], health: &str, format: Exposition) -> String {
    let mut blocks = health::blocks(health, format);
    blocks.extend(families.iter().map(|family| block(family, format)));
    blocks.sort();
    let mut text = String::with_capacity(blocks.iter().map(|(_, text)| text.len()).sum());
    for (_, block) in blocks {
        text.push_str(&block);
    }
    if format == Exposition::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

/// Names that two families would share in one of the formats, told as sentences. Nothing is exposed
/// while there is one: a second `# TYPE` of a name makes the whole scrape invalid.
pub fn clashes<'n>(names: impl IntoIterator<Item = (&'n str, MetricType)>) -> Vec<String> {
    let mut taken: HashMap<String, &str> = HashMap::new();
    let mut found = Vec::new();
    for (name, kind) in names {
        let claimed = claims(name, kind);
        let other = claimed
            .iter()
            .find_map(|claim| Some((claim, *taken.get(claim)?)));
        match other {
            Some((_, other)) if other == name => {
                found.push(format!("two metrics have the name `{name}`"));
            }
            Some((claim, other)) => found.push(format!(
                "metrics `{other}` and `{name}` cannot stand beside each other: both are exposed as `{claim}`"
            )),
            None => taken.extend(claimed.into_iter().map(|claim| (claim, name))),
        }
    }
    found
}

/// All names under which a metric appears, of its family and of its samples.
fn claims(name: &str, kind: MetricType) -> Vec<String> {
    let family = family_name(name, kind);
    let suffixes: &[&str] = match kind {
        MetricType::Counter => &["", "_total", "_created"],
        MetricType::Gauge => &[""],
        MetricType::Histogram => &["", "_bucket", "_sum", "_count", "_created"],
    };
    let claims = suffixes.iter().map(|suffix| format!("{family}{suffix}"));
    claims.collect()
}

/// A family's name, to sort by, and its text.
fn block(family: &Family<'_>, format: Exposition) -> (String, String) {
    let kind = family.metric.kind.metric_type();
    let base = family_name(&family.metric.name, kind);
    let (name, word) = match kind {
        MetricType::Counter => (format!("{base}_total"), "counter"),
        MetricType::Gauge => (base.to_owned(), "gauge"),
        MetricType::Histogram => (base.to_owned(), "histogram"),
    };
    let mut text = format.head(&name, word, Some(&family.metric.help));
    let mut series: Vec<&Sample> = family.series.iter().collect();
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    for sample in series {
        let labels = labels(&family.metric.labels, &sample.labels);
        let kind = &family.metric.kind;
        samples(&mut text, base, kind, &labels, sample.cell);
        if format == Exposition::OpenMetrics && kind.metric_type() != MetricType::Gauge {
            let (braced, created) = (braced(&labels), seconds(sample.created_ms));
            line(&mut text, format_args!("{base}_created{braced} {created}"));
        }
    }
    (base.to_owned(), text)
}

/// `name="value",…` without braces.
fn labels(names: &[String], values: &[&str]) -> String {
    let mut text = String::new();
    for (name, value) in names.iter().zip(values) {
        let comma = if text.is_empty() { "" } else { "," };
        let value = escaped(&label_value(value));
        write!(text, "{comma}{name}=\"{value}\"").expect("writing to a string cannot fail");
    }
    text
}

fn braced(labels: &str) -> String {
    match labels {
        "" => String::new(),
        labels => format!("{{{labels}}}"),
    }
}

/// The values of one series.
fn samples(text: &mut String, base: &str, kind: &Kind, labels: &str, cell: &[u64]) {
    let whole = braced(labels);
    match kind {
        Kind::Count | Kind::Sum => {
            let value = kind.amount(cell);
            line(text, format_args!("{base}_total{whole} {value}"));
        }
        Kind::Last if !kind.touched(cell) => {}
        Kind::Last => line(text, format_args!("{base}{whole} {}", kind.amount(cell))),
        Kind::Buckets(bounds) => {
            let comma = if labels.is_empty() { "" } else { "," };
            let bounds = bounds.iter().map(|bound| canonical(*bound));
            let counts = kind.cumulative(cell).map(|(_, count)| count);
            for (le, count) in bounds.chain(["+Inf".to_owned()]).zip(counts) {
                let bucket = format_args!("{base}_bucket{{{labels}{comma}le=\"{le}\"}} {count}");
                line(text, bucket);
            }
            let (sum, count) = (kind.observed_sum(cell), kind.observations(cell));
            line(text, format_args!("{base}_sum{whole} {sum}"));
            line(text, format_args!("{base}_count{whole} {count}"));
        }
    }
}

/// Unix milliseconds as seconds with three decimals at most.
fn seconds(milliseconds: i64) -> Decimal {
    Decimal(i128::from(milliseconds) * 1_000_000)
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    writeln!(text, "{arguments}").expect("writing to a string cannot fail");
}
