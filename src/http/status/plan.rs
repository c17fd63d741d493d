//! Which series the page asks for: those of the shipped rule sets that this agent has.

use crate::store::{MetricStatus, SeriesQuestion};

/// Minutes on the page, beside the one that is running.
pub(super) const MINUTES: i64 = 60;

/// A part of the page that shows a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Failures by who failed: beacons, network errors. Any count is news.
    Failures(Words),
    /// Requests by provider and status.
    Requests(Words),
    /// The places with the largest counts.
    Top(Words),
    /// Near misses by reason.
    NearMisses,
}

/// What a part is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// As a heading.
    pub heading: &'static str,
    /// As the id of its elements.
    pub id: &'static str,
    /// What is counted, as in "beacons from fastly".
    pub noun: &'static str,
}

/// A question with the part that its answer is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Where it is shown.
    pub part: Part,
    /// What is asked.
    pub question: SeriesQuestion,
}

const fn words(heading: &'static str, id: &'static str, noun: &'static str) -> Words {
    Words { heading, id, noun }
}

/// Metric, part, labels that are kept.
const PARTS: [(&str, Part, &[&str]); 11] = [
    (
        "cdn_failure_beacons_total",
        Part::Failures(words("Beacons by provider", "beacons", "beacons")),
        &["provider"],
    ),
    (
        "etsy_failure_beacons_total",
        Part::Failures(words("Beacons by source", "sources", "beacons")),
        &["source"],
    ),
    (
        "cdn_network_errors_total",
        Part::Failures(words(
            "Network errors by provider",
            "errors",
            "network errors",
        )),
        &["provider"],
    ),
    (
        "cdn_origin_requests_total",
        Part::Requests(words("Requests at the origin", "origin", "origin")),
        &["provider", "code"],
    ),
    (
        "cdn_edge_requests_total",
        Part::Requests(words("Requests at the edge", "edge", "edge")),
        &["provider", "code"],
    ),
    (
        "cdn_failure_beacons_by_pop_total",
        Part::Top(words("Beacons by POP", "beacon-pops", "beacons")),
        &["provider", "pop"],
    ),
    (
        "cdn_failure_beacons_by_country_total",
        Part::Top(words("Beacons by country", "beacon-countries", "beacons")),
        &["provider", "country"],
    ),
    (
        "cdn_network_errors_by_pop_total",
        Part::Top(words("Network errors by POP", "error-pops", "errors")),
        &["provider", "pop"],
    ),
    (
        "cdn_network_errors_by_country_total",
        Part::Top(words(
            "Network errors by country",
            "error-countries",
            "errors",
        )),
        &["provider", "country"],
    ),
    (
        "cdn_edge_errors_by_pop_total",
        Part::Top(words("Edge errors by POP", "edge-pops", "errors")),
        &["provider", "pop"],
    ),
    (
        "cdn_origin_requests_by_country_total",
        Part::Top(words("Origin requests by country", "countries", "requests")),
        &["provider", "country"],
    ),
];

/// What to ask for, in the order of the page: the last 60 minutes and the running one.
pub fn wanted(metrics: &[MetricStatus], now: i64) -> Vec<Wanted> {
    let running = now.div_euclid(60) * 60;
    let ask = |metric: &str, part: Part, by: &[&str]| Wanted {
        part,
        question: SeriesQuestion {
            metric: metric.to_owned(),
            by: by.iter().map(|label| (*label).to_owned()).collect(),
            from: running - MINUTES * 60,
            to: running + 60,
            step: 60,
            ..SeriesQuestion::default()
        },
    };
    let known = |name: &str, by: &[&str]| {
        let metric = metrics.iter().find(|metric| metric.name == name);
        metric.is_some_and(|metric| {
            let has = |label: &&str| metric.labels.iter().any(|known| known == label);
            by.iter().all(has)
        })
    };
    let parts = PARTS.iter().filter(|(name, _, by)| known(name, by));
    let mut all: Vec<Wanted> = parts.map(|(name, part, by)| ask(name, *part, by)).collect();
    let near = metrics.iter().filter(|metric| {
        metric.name.ends_with("_near_misses_total") && known(&metric.name, &["reason"])
    });
    all.extend(near.map(|metric| ask(&metric.name, Part::NearMisses, &["reason"])));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_agent_has_is_asked_for() {
        let metric = |name: &str, labels: &[&str]| MetricStatus {
            name: name.to_owned(),
            kind: "counter".to_owned(),
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            logs: Vec::new(),
        };
        let metrics = [
            metric("x_near_misses_total", &["reason"]),
            metric("cdn_failure_beacons_total", &["site", "provider"]),
            metric("cdn_origin_requests_total", &["code"]),
        ];
        let asked = wanted(&metrics, 7261);
        let names: Vec<&str> = asked
            .iter()
            .map(|one| one.question.metric.as_str())
            .collect();
        assert_eq!(names, ["cdn_failure_beacons_total", "x_near_misses_total"]);
        let question = &asked[0].question;
        assert_eq!((question.from, question.to), (3660, 7320));
    }
}
