//! Whole tables, as they appear on the terminal.

use super::*;
use crate::metrics::Kind;
use crate::sinks::made::{HOSTILE, Made, SEVEN, buckets, metric, newest, observed, summed};
use crate::sinks::{Detected, InputSummary, Sample};
use proptest::prelude::*;

fn clock(seconds: i64) -> String {
    let minutes = seconds.div_euclid(60).rem_euclid(24 * 60);
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

fn plain(width: usize) -> TableOptions<'static> {
    TableOptions {
        width,
        color: false,
        unicode: true,
        format_time: &clock,
    }
}

fn written(summary: &Summary, mut stream: Made, options: &TableOptions<'_>) -> String {
    let mut out = Vec::new();
    write(&mut out, summary, &mut stream, options).unwrap();
    String::from_utf8(out).unwrap()
}

fn summary(minutes: i64) -> Summary {
    Summary {
        from: Some(SEVEN),
        to: Some(SEVEN + minutes * 60),
        step: 60,
        zone: "UTC".to_owned(),
        ..Summary::default()
    }
}

fn access_log() -> InputSummary {
    InputSummary {
        path: "access.log".to_owned(),
        parser: Some("nginx-cdn".to_owned()),
        detected: Some(Detected {
            share_permille: 998,
            lines: 1000,
        }),
        compression: "plain".to_owned(),
        bytes: 300_000,
        lines: 1900,
        parsed: 1873,
        unparsed: 12,
        rejected: vec![("blank", 10), ("directive", 5)],
        samples: vec![Sample {
            offset: 1234,
            line_start: b"203.0.113.9 - - \"GET /\x1b[2J\" abc 43".to_vec(),
            reason: "expected a status".to_owned(),
            at: 28,
        }],
        ..InputSummary::default()
    }
}

fn incident() -> (Summary, Made) {
    let beacons = metric("cdn_failure_beacons_total", &["provider"], Kind::Count);
    let pops = metric(
        "cdn_failure_beacons_by_pop_total",
        &["provider", "pop"],
        Kind::Count,
    );
    let misses = metric(
        "cdn_failure_beacon_near_misses_total",
        &["reason"],
        Kind::Count,
    );
    let bytes = metric("cdn_origin_response_bytes_total", &["provider"], Kind::Sum);
    let seconds = metric(
        "cdn_origin_request_duration_seconds",
        &["provider"],
        buckets(&["0.05", "0.25", "1"]),
    );
    let load = metric("load", &[], Kind::Last);
    let stream = Made::default()
        .counts(&beacons, &["akamai"], &[(0, 3), (9, 2)])
        .counts(
            &beacons,
            &["fastly"],
            &[(6, 120), (7, 253), (8, 531), (9, 300)],
        )
        .counts(&pops, &["akamai", "LHR"], &[(0, 5)])
        .counts(&pops, &["fastly", "LHR"], &[(6, 200), (7, 11)])
        .counts(&pops, &["fastly", "unknown"], &[(6, 1000)])
        .counts(&misses, &["beacon_source is absent"], &[(3, 4)])
        .with(&bytes, &["fastly"], &[(6, summed(2, "1234567890"))])
        .with(
            &seconds,
            &["fastly"],
            &[(6, observed(&[50, 40, 9, 1], "12.5"))],
        )
        .with(&load, &[], &[(0, newest(1, "2.5")), (1, newest(2, "0.75"))]);
    let archive = InputSummary {
        path: "access.log.1.gz".to_owned(),
        compression: "gzip".to_owned(),
        duplicate_of: Some("access.log".to_owned()),
        ..InputSummary::default()
    };
    let notice = "countries are unknown: no geo database\nsee `beacontail help geo`".to_owned();
    let summary = Summary {
        inputs: vec![access_log(), archive],
        notices: vec![notice],
        value_errors: vec![("cdn_origin_response_bytes_total".to_owned(), 3)],
        ambiguous_times: 1,
        ..summary(10)
    };
    (summary, stream)
}

#[test]
fn an_incident_is_told_from_the_top() {
    let (summary, stream) = incident();
    let text = written(&summary, stream, &plain(100));
    assert_eq!(text, include_str!("incident.txt"), "\n{text}");
}

#[test]
fn nothing_counted_is_said() {
    let text = written(&Summary::default(), Made::default(), &plain(80));
    assert_eq!(
        text,
        "0 lines = 0 parsed + 0 unparsed + 0 skipped + 0 rejected\nNothing was counted.\n"
    );
}

#[test]
fn ascii_terminals_get_ascii() {
    let (summary, stream) = incident();
    let text = written(
        &summary,
        stream,
        &TableOptions {
            unicode: false,
            ..plain(80)
        },
    );
    assert!(text.is_ascii(), "{text}");
}

#[test]
fn color_changes_nothing_but_color() {
    let (summary, stream) = incident();
    let colored = written(
        &summary,
        stream.clone(),
        &TableOptions {
            color: true,
            ..plain(90)
        },
    );
    let mut stripped = String::new();
    for (number, part) in colored.split('\x1b').enumerate() {
        stripped.push_str(if number == 0 {
            part
        } else {
            part.split_once('m').unwrap().1
        });
    }
    let trimmed: Vec<&str> = stripped.lines().map(str::trim_end).collect();
    let expected = written(&summary, stream, &plain(90));
    assert_eq!(trimmed, expected.lines().collect::<Vec<_>>());
}

#[test]
fn narrow_terminals_lose_columns_not_sparklines() {
    let (summary, stream) = incident();
    let text = written(&summary, stream, &plain(50));
    let row = text
        .lines()
        .find(|line| line.starts_with("  fastly    1,204"))
        .unwrap();
    assert_eq!(row, "  fastly    1,204  >99 %        ▂▄█▅");
}

#[test]
fn many_series_and_many_files_are_summed_up() {
    let counter = metric("n_total", &["x"], Kind::Count);
    let mut stream = Made::default();
    for number in 0..25 {
        stream = stream.counts(&counter, &[&format!("x{number:02}")], &[(0, 100 - number)]);
    }
    let file = |number: u64| InputSummary {
        path: format!("{number}.log"),
        lines: 2,
        parsed: 2,
        error: (number == 29).then(|| "unexpected end of gzip".to_owned()),
        ..InputSummary::default()
    };
    let summary = Summary {
        inputs: (0..30).map(file).collect(),
        partial: true,
        ..summary(1)
    };
    let text = written(&summary, stream, &plain(80));
    assert!(text.contains("  … 5 more series: 390 (18 %)\n"), "{text}");
    assert!(text.contains("… and 10 more files: 20 lines\n"), "{text}");
    assert!(
        text.contains("29.log"),
        "the one with an error is listed: {text}"
    );
    assert!(
        text.contains("not read to its end: unexpected end of gzip"),
        "{text}"
    );
}

#[test]
fn countries_are_added_up_over_providers() {
    let counter = metric(
        "cdn_failure_beacons_by_country_total",
        &["provider", "country"],
        Kind::Count,
    );
    let stream = Made::default()
        .counts(&counter, &["akamai", "GB"], &[(3, 4), (5, 2)])
        .counts(&counter, &["fastly", "GB"], &[(3, 3), (4, 9)])
        .counts(&counter, &["fastly", "US"], &[(3, 10)])
        .counts(&counter, &["fastly", "unknown"], &[(3, 100)]);
    let text = written(&summary(10), stream, &plain(100));
    let sentence = "  country GB (fastly 67 %, akamai 33 %): 18 of 128 failure beacons (14 %), \
                    from 07:03 to 07:06, worst minute 07:04 (9)\n";
    assert!(text.contains(sentence), "{text}");
}

#[test]
fn hostile_labels_paths_and_lines_do_nothing_to_the_terminal() {
    let odd = metric("odd_errors_total", &["a", "b"], Kind::Count);
    let stream = Made::default().counts(&odd, &[HOSTILE, HOSTILE], &[(0, 1)]);
    let sample = Sample {
        line_start: HOSTILE.as_bytes().to_vec(),
        reason: HOSTILE.to_owned(),
        at: 4000,
        ..Sample::default()
    };
    let input = InputSummary {
        path: HOSTILE.to_owned(),
        duplicate_of: Some(HOSTILE.to_owned()),
        error: Some(HOSTILE.to_owned()),
        samples: vec![sample],
        ..InputSummary::default()
    };
    let summary = Summary {
        inputs: vec![input],
        ..summary(1)
    };
    let text = written(&summary, stream, &plain(200));
    assert!(
        !text.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'),
        "{text}"
    );
}

proptest! {
    #[test]
    fn no_sample_and_no_width_panics(
        line_start in prop::collection::vec(any::<u8>(), 0..60),
        at in 0usize..80,
        width in 0usize..120,
        label in ".*",
    ) {
        let sample = Sample { line_start, at, ..Sample::default() };
        let input = InputSummary { samples: vec![sample], ..InputSummary::default() };
        let (mut summary, stream) = incident();
        summary.inputs.push(input);
        let errors = metric("some_errors_total", &["x"], Kind::Count);
        written(&summary, stream.counts(&errors, &[&label], &[(0, 1)]), &plain(width));
    }
}
