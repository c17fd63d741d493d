//! What Prometheus is asked in, and what it answers with.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::commands::check::evidence::Minutes;
use crate::commands::check::question::Selection;

pub(super) type Labels = BTreeMap<String, String>;
/// `job` and `instance`.
pub(super) type Id = (String, String);

#[derive(Deserialize)]
pub(super) struct Answer {
    pub(super) data: Option<Data>,
    /// A part of what was asked could not be read: a remote store, a peer of Thanos.
    #[serde(default)]
    pub(super) warnings: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Data {
    pub(super) result: Vec<Found>,
}

#[derive(Deserialize)]
pub(super) struct Found {
    #[serde(default)]
    pub(super) metric: Labels,
    #[serde(default)]
    pub(super) value: Option<(f64, String)>,
    #[serde(default)]
    pub(super) values: Vec<(f64, String)>,
}

impl Found {
    pub(super) fn id(&self) -> Id {
        let label = |name: &str| self.metric.get(name).cloned().unwrap_or_default();
        (label("job"), label("instance"))
    }

    pub(super) fn number(&self) -> Option<f64> {
        self.value.as_ref().and_then(|(_, value)| finite(value))
    }

    pub(super) fn samples(&self) -> Minutes {
        let samples = self.values.iter();
        samples
            .filter_map(|(at, value)| Some((seconds(*at), finite(value)?)))
            .collect()
    }
}

pub(super) fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "Unix seconds; what is out of range is clamped and found nowhere"
)]
pub(super) fn seconds(time: f64) -> i64 {
    time.round() as i64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts, which are not negative"
)]
pub(super) fn whole(count: f64) -> u64 {
    count.round() as u64
}

#[expect(clippy::cast_precision_loss, reason = "Unix seconds are exact")]
pub(super) fn float(at: i64) -> f64 {
    at as f64
}

/// A selection as PromQL.
pub(super) fn shown(selection: &Selection) -> String {
    match selection.matchers.is_empty() {
        true => selection.metric.clone(),
        false => format!("{}{{{}}}", selection.metric, selection.matchers),
    }
}

/// A text as a string of PromQL.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

pub(super) fn without_name(labels: &Labels) -> Labels {
    let mut labels = labels.clone();
    labels.remove("__name__");
    labels
}

pub(super) fn values_of(labels: &Labels, by: &[String]) -> Vec<String> {
    by.iter()
        .map(|name| labels.get(name).cloned().unwrap_or_default())
        .collect()
}
