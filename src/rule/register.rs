//! The metrics that rule sets define, under one numbering, whatever formats they are counted from.

use std::collections::BTreeMap;

use crate::definition::{At, MetricDefinition, MetricType, RuleSetDefinition, Var};
use crate::diagnostic::Diagnostic;
use crate::metrics::{Decimal, Kind, MAX_LABELS, Metric};

/// Most buckets of a histogram: a cell's mask has one bit for each word.
const MAX_BUCKETS: usize = 60;

/// Series that a metric may have beside its declared ones unless it says otherwise.
pub const SERIES_LIMIT: usize = 1000;

/// What the rules of one run are made from.
pub struct RuleSource<'s> {
    /// Rule sets in the order they are applied.
    pub sets: Vec<&'s RuleSetDefinition>,
    /// The operator's variables.
    pub overrides: &'s BTreeMap<String, Var>,
    /// Only these metrics; all when empty.
    pub only: &'s [String],
    /// Keep only these labels.
    pub by: Option<&'s [String]>,
    /// Labels taken from the file's path, put on every metric.
    pub file_labels: &'s [String],
}

/// The metrics of all rule sets under one numbering, so that tables of different formats can be
/// merged.
///
/// # Errors
/// A name with two types, label lists, bucket lists or help texts; too many labels or buckets;
/// buckets that do not rise.
pub fn register(source: &RuleSource<'_>) -> Result<Vec<Metric>, Vec<Diagnostic>> {
    let mut metrics: Vec<(Metric, &At<String>)> = Vec::new();
    let mut mistakes = Vec::new();
    for definition in source.sets.iter().flat_map(|set| &set.metrics) {
        match describe(definition, source) {
            Err(found) => mistakes.extend(found),
            Ok(described) => {
                for metric in described {
                    match metrics
                        .iter_mut()
                        .find(|(known, _)| known.name == metric.name)
                    {
                        None => metrics.push((metric, &definition.name)),
                        Some((known, first)) => {
                            mistakes.extend(clash(known, &metric, first, definition))
                        }
                    }
                }
            }
        }
    }
    if mistakes.is_empty() {
        Ok(metrics.into_iter().map(|(metric, _)| metric).collect())
    } else {
        Err(mistakes)
    }
}

fn clash(
    known: &Metric,
    metric: &Metric,
    first: &At<String>,
    again: &MetricDefinition,
) -> Option<Diagnostic> {
    let what = if known.kind != metric.kind {
        "type, value or buckets"
    } else if known.labels != metric.labels {
        "labels"
    } else if known.help != metric.help {
        "help text"
    } else if known.graphite != metric.graphite {
        "Graphite paths"
    } else if (known.limit, &known.label_limits) != (metric.limit, &metric.label_limits) {
        "limits"
    } else {
        return None;
    };
    let message = format!(
        "metric `{}` is defined twice with different {what}",
        metric.name
    );
    let error = again.name.place.error(message, "here again");
    Some(
        error
            .note(&first.place, "first defined here")
            .help("make both the same, or give one another name"),
    )
}

/// The metrics a definition makes: itself, its weighted twin, its near misses.
fn describe(
    definition: &MetricDefinition,
    source: &RuleSource<'_>,
) -> Result<Vec<Metric>, Vec<Diagnostic>> {
    let mut mistakes = checks(definition);
    mistakes.extend(taken_from_path(definition, source));
    let kind = kind(definition)
        .map_err(|mistake| mistakes.push(mistake))
        .ok();
    let Some(kind) = kind.filter(|_| mistakes.is_empty()) else {
        return Err(mistakes);
    };
    let kept = |label: &str| {
        source
            .by
            .is_none_or(|by| by.iter().any(|name| name == label))
    };
    let mut labels: Vec<String> = Vec::new();
    labels.extend(
        source
            .file_labels
            .iter()
            .filter(|label| kept(label))
            .cloned(),
    );
    labels.extend(
        definition
            .labels
            .iter()
            .map(|(label, _)| label.value.clone())
            .filter(|l| kept(l)),
    );
    let limits = definition.label_limits.iter().filter_map(|(label, limit)| {
        labels
            .iter()
            .position(|name| *name == label.value)
            .map(|index| (index, limit.value))
    });
    let metric = Metric {
        name: definition.name.value.clone(),
        help: definition.help.value.clone(),
        kind,
        declared: vec![None; labels.len()],
        graphite: definition
            .graphite
            .iter()
            .map(|path| path.value.clone())
            .collect(),
        limit: definition
            .series
            .as_ref()
            .map_or(SERIES_LIMIT, |limit| limit.value),
        label_limits: limits.collect(),
        labels,
    };
    let mut all = vec![metric];
    if definition.weight.is_some() {
        all.push(weighted(all.first().expect("just made")));
    }
    if definition.near.is_some() {
        all.push(near_misses(definition, source));
    }
    all.retain(|metric| source.only.is_empty() || source.only.contains(&metric.name));
    Ok(all)
}

/// `x_total` sampled becomes `x_estimated_total`: exact counts stay exact under their own name.
fn weighted(metric: &Metric) -> Metric {
    Metric {
        name: estimated_name(&metric.name),
        help: format!("{} Scaled by the log's sampling weight.", metric.help),
        kind: Kind::Sum,
        graphite: Vec::new(),
        ..metric.clone()
    }
}

/// `beacons_total` has `beacon_near_misses_total{reason}`.
fn near_misses(definition: &MetricDefinition, source: &RuleSource<'_>) -> Metric {
    let reasons = source
        .by
        .is_none_or(|by| by.iter().any(|label| label == "reason"));
    Metric {
        name: near_name(&definition.name.value),
        help: format!(
            "Records that nearly count as {}, by the matcher that failed.",
            definition.name.value
        ),
        kind: Kind::Count,
        labels: if reasons {
            vec!["reason".to_owned()]
        } else {
            Vec::new()
        },
        declared: if reasons { vec![None] } else { Vec::new() },
        graphite: Vec::new(),
        limit: SERIES_LIMIT,
        label_limits: Vec::new(),
    }
}

/// The name of a metric's weighted twin.
pub(super) fn estimated_name(name: &str) -> String {
    let base = name.strip_suffix("_total").unwrap_or(name);
    format!("{base}_estimated_total")
}

/// The name of the metric that counts near misses of `name`.
pub(crate) fn near_name(name: &str) -> String {
    let base = name.strip_suffix("_total").unwrap_or(name);
    format!(
        "{}_near_misses_total",
        base.strip_suffix('s').unwrap_or(base)
    )
}

fn checks(definition: &MetricDefinition) -> Vec<Diagnostic> {
    let mut mistakes = Vec::new();
    let name = &definition.name;
    if !is_metric_name(&name.value) {
        let message = format!("`{}` is not a metric name", name.value);
        mistakes.push(
            name.place
                .error(message, "letters, digits and `_`, not a digit first"),
        );
    } else if definition.kind == MetricType::Counter && !name.value.ends_with("_total") {
        let error = name
            .place
            .error("a counter's name must end in `_total`", "a counter");
        mistakes.push(error.help(format!("call it `{}_total`", name.value)));
    }
    let labels = definition.labels.iter().enumerate();
    for (number, (label, _)) in labels {
        let before = definition.labels.iter().take(number);
        if before
            .into_iter()
            .any(|(name, _)| name.value == label.value)
        {
            let message = format!("label `{}` is written twice", label.value);
            mistakes.push(label.place.error(message, "here again"));
        }
        if !is_metric_name(&label.value)
            || label.value.contains(':')
            || label.value.starts_with("__")
            || label.value == "le"
        {
            let message = format!("`{}` cannot be a label", label.value);
            mistakes.push(label.place.error(message, "not a label name"));
        }
    }
    if let Some((label, _)) = definition.labels.get(MAX_LABELS) {
        mistakes.push(
            label
                .place
                .error(format!("more than {MAX_LABELS} labels"), "one too many"),
        );
    }
    for (label, _) in &definition.label_limits {
        if !definition
            .labels
            .iter()
            .any(|(name, _)| name.value == label.value)
        {
            mistakes.push(label.place.error(
                format!("`{}` is not a label of this metric", label.value),
                "unknown",
            ));
        }
    }
    mistakes.extend(
        definition
            .graphite
            .iter()
            .filter_map(|path| check_path(path, definition)),
    );
    mistakes
}

/// A label that `--label` gives every metric cannot also be one of the metric's own.
fn taken_from_path(definition: &MetricDefinition, source: &RuleSource<'_>) -> Option<Diagnostic> {
    let mut labels = definition.labels.iter().map(|(label, _)| label);
    let label = labels.find(|label| source.file_labels.contains(&label.value))?;
    let message = format!(
        "label `{}` is taken from the path of each file too",
        label.value
    );
    let error = label.place.error(message, "also given by `--label`");
    Some(error.help("give the label of `--label` another name"))
}

/// Each `{node}` of a Graphite path must be a label.
fn check_path(path: &At<String>, definition: &MetricDefinition) -> Option<Diagnostic> {
    let mut at = 0;
    while let Some(open) = path.value.get(at..)?.find('{') {
        let start = at + open + 1;
        let Some(length) = path.value.get(start..)?.find('}') else {
            let place = path.place.inside(start - 1..start);
            return Some(place.error("`{` without `}` in a Graphite path", "opened here"));
        };
        let label = path.value.get(start..start + length)?;
        if !definition
            .labels
            .iter()
            .any(|(name, _)| name.value == label)
        {
            let place = path.place.inside(start..start + length);
            return Some(place.error(
                format!("`{label}` is not a label of this metric"),
                "unknown label",
            ));
        }
        at = start + length + 1;
    }
    None
}

fn is_metric_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
}

fn kind(definition: &MetricDefinition) -> Result<Kind, Diagnostic> {
    let name = &definition.name;
    match (definition.kind, &definition.value) {
        (MetricType::Counter, None) => Ok(Kind::Count),
        (MetricType::Counter, Some(_)) => Ok(Kind::Sum),
        (MetricType::Gauge, Some(_)) => Ok(Kind::Last),
        (MetricType::Histogram, Some(_)) => buckets(definition).map(Kind::Buckets),
        (MetricType::Gauge | MetricType::Histogram, None) => Err(name.place.error(
            "a gauge or histogram needs `value`",
            "add `value = \"FIELD\"`",
        )),
    }
}

fn buckets(definition: &MetricDefinition) -> Result<Vec<Decimal>, Diagnostic> {
    let mut bounds: Vec<Decimal> = Vec::new();
    for written in &definition.buckets {
        let bound = Decimal::parse(written.value.as_bytes(), 0).ok_or_else(|| {
            written
                .place
                .error("not a number", "a bucket's upper bound")
        })?;
        if bound < Decimal::ZERO {
            return Err(written
                .place
                .error("a bucket below 0 never holds anything", "below 0"));
        }
        if bounds.last().is_some_and(|last| *last >= bound) {
            return Err(written
                .place
                .error("bucket bounds must rise", "not above the one before"));
        }
        bounds.push(bound);
    }
    let name = &definition.name.place;
    match bounds.len() {
        0 => Err(name
            .error("a histogram needs `buckets`", "no bounds")
            .help("buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]")),
        1..=MAX_BUCKETS => Ok(bounds),
        _ => Err(name.error(
            format!("more than {MAX_BUCKETS} buckets"),
            "too many bounds",
        )),
    }
}
