//! An overview for tests.

use super::{Counted, Overview, Sample, SamplesAnswer, wanted};
use crate::store::{
    FileStatus, LogStatus, Mark, MetricStatus, OutputStatus, SeriesAnswer, SeriesPoint,
    SeriesValues, StepState, StoreStatus,
};

/// What is hostile in it.
pub(in crate::http) const EVIL: &str = "\"><img src=x onerror=alert(1)>\u{202e}\u{1b}[2J<script>";

/// Label values, and what was counted how many minutes ago.
pub(in crate::http) type Made<'a> = (&'a [&'a str], &'a [(i64, u64)]);

/// 2025-11-24 16:05:07 UTC.
pub(in crate::http) const NOW: i64 = 1_764_000_307;
const RUNNING: i64 = NOW / 60 * 60;

/// An hour with data, without the minutes from 30 to 21 before the running one; everything is
/// counted up to the running minute.
pub(in crate::http) fn answer(metric: &str, by: &[&str], series: &[Made<'_>]) -> SeriesAnswer {
    let ago = |minutes: i64| RUNNING - minutes * 60;
    let steps = (0..=60)
        .rev()
        .filter(|minutes| !(21..=30).contains(minutes));
    SeriesAnswer {
        metric: metric.to_owned(),
        kind: "counter".to_owned(),
        by: by.iter().map(|label| (*label).to_owned()).collect(),
        from: ago(60),
        to: RUNNING + 60,
        step: 60,
        complete_from: 0,
        watermark: Some(RUNNING + 5),
        steps: steps
            .map(|minutes| StepState {
                at: ago(minutes),
                lines: 100,
                unparsed: 0,
                incomplete: false,
            })
            .collect(),
        series: series
            .iter()
            .map(|(labels, points)| SeriesValues {
                labels: labels.iter().map(|label| (*label).to_owned()).collect(),
                points: points
                    .iter()
                    .map(|(minutes, n)| SeriesPoint {
                        at: ago(*minutes),
                        n: *n,
                        sum: None,
                    })
                    .collect(),
            })
            .collect(),
    }
}

fn status() -> StoreStatus {
    let metric = |name: &str, labels: &[&str]| MetricStatus {
        name: name.to_owned(),
        kind: "counter".to_owned(),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        logs: vec!["access".to_owned()],
    };
    StoreStatus {
        committed_ms: NOW * 1000,
        started_ms: (NOW - 90_000) * 1000,
        held: true,
        bytes: 3 << 20,
        logs: vec![LogStatus {
            name: "access".to_owned(),
            watermark: Some(RUNNING + 5),
            complete_from: 0,
            lag_bytes: 0,
            lines: [6000, 1, 0],
            files: vec![FileStatus {
                path: format!("/var/log/{EVIL}"),
                state: "live".to_owned(),
                offset: 1000,
                size: 1000,
            }],
        }],
        outputs: vec![OutputStatus {
            name: "graphite".to_owned(),
            queue_minutes: 0,
            queue_windows: 0,
            oldest: None,
            suspect: 0,
        }],
        metrics: vec![
            metric("cdn_failure_beacons_total", &["provider"]),
            metric("cdn_failure_beacons_by_pop_total", &["provider", "pop"]),
            metric("cdn_origin_requests_total", &["provider", "code"]),
            metric("cdn_failure_beacon_near_misses_total", &["reason"]),
        ],
        marks: vec![Mark {
            at_ms: (NOW - 600) * 1000,
            text: EVIL.to_owned(),
            tags: vec!["deploy".to_owned()],
        }],
    }
}

/// A quiet hour with hostile names in it.
pub(in crate::http) fn overview() -> Overview {
    let status = status();
    let parts: Vec<_> = wanted(&status.metrics, NOW)
        .iter()
        .map(|one| one.part)
        .collect();
    let answers = [
        answer(
            "cdn_failure_beacons_total",
            &["provider"],
            &[(&["akamai"], &[]), (&["fastly"], &[])],
        ),
        answer(
            "cdn_origin_requests_total",
            &["provider", "code"],
            &[
                (&["fastly", "2xx"], &[(2, 100), (1, 100)]),
                (&["fastly", "503"], &[(1, 1)]),
            ],
        ),
        answer(
            "cdn_failure_beacons_by_pop_total",
            &["provider", "pop"],
            &[
                (&["fastly", EVIL], &[(40, 3)]),
                (&["akamai", "NYC"], &[(40, 1)]),
            ],
        ),
        answer(
            "cdn_failure_beacon_near_misses_total",
            &["reason"],
            &[(&["beacon_source!=\"\""], &[(3, 4)])],
        ),
    ];
    let sample = Sample {
        at: NOW - 60,
        log: "access".to_owned(),
        kind: "near_miss".to_owned(),
        reason: "beacon_source!=\"\"".to_owned(),
        line: EVIL.to_owned(),
    };
    Overview {
        now: NOW,
        host: "web1.example.com".to_owned(),
        started: NOW - 90_000,
        not_ready: None,
        broken: None,
        lateness: 60,
        unparsed_share: 0.05,
        max_bytes: 1 << 30,
        store: Ok(Counted {
            status,
            answers: parts.into_iter().zip(answers).collect(),
        }),
        samples: SamplesAnswer {
            near_misses: vec![sample],
            others: Vec::new(),
        },
    }
}
