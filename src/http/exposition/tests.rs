//! Expositions written down, and read back letter by letter.

use super::*;
use crate::metrics::Metric;
use crate::metrics::text::LABEL_BYTES;
use proptest::prelude::*;
use std::collections::BTreeMap;

const BOTH: [Exposition; 2] = [Exposition::Text, Exposition::OpenMetrics];

fn metric(name: &str, labels: &[&str], kind: Kind) -> Metric {
    Metric {
        name: name.to_owned(),
        help: format!("About \"{name}\"."),
        kind,
        labels: labels.iter().map(|&label| label.to_owned()).collect(),
        declared: vec![None; labels.len()],
        graphite: Vec::new(),
        limit: 10,
        label_limits: Vec::new(),
    }
}

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text.as_bytes(), 0).unwrap()
}

/// A sum's cell, or the end of a histogram's.
fn with_sum(counts: &[u64], sum: &str) -> Vec<u64> {
    [counts, &decimal(sum).words()].concat()
}

/// Name, labels and value of each sample; name and type of each family.
type Found = (
    Vec<(String, Vec<(String, String)>, String)>,
    Vec<(String, String)>,
);

/// Reads an exposition letter by letter, as the formats' grammars say.
fn parsed(text: &str) -> Found {
    let (mut samples, mut types) = (Vec::new(), Vec::new());
    assert!(text.is_empty() || text.ends_with('\n'));
    for line in text.split_terminator('\n') {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            types.push((name.to_owned(), kind.to_owned()));
        } else if !line.starts_with('#') {
            samples.push(sample(line));
        }
    }
    (samples, types)
}

fn sample(line: &str) -> (String, Vec<(String, String)>, String) {
    let mut chars = line.chars().peekable();
    let mut name = String::new();
    while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
        name.push(c);
    }
    let mut labels = Vec::new();
    if chars.next_if_eq(&'{').is_some() {
        while chars.next_if_eq(&'}').is_none() {
            let mut label = String::new();
            while let Some(c) = chars.next_if(|c| *c != '=') {
                label.push(c);
            }
            assert_eq!(
                (chars.next(), chars.next()),
                (Some('='), Some('"')),
                "{line}"
            );
            let mut value = String::new();
            loop {
                match chars.next().unwrap() {
                    '"' => break,
                    '\\' => value.push(match chars.next().unwrap() {
                        'n' => '\n',
                        c @ ('\\' | '"') => c,
                        c => panic!("\\{c} in {line}"),
                    }),
                    c => value.push(c),
                }
            }
            labels.push((label, value));
            chars.next_if_eq(&',');
        }
    }
    assert_eq!(chars.next(), Some(' '), "{line}");
    let value: String = chars.collect();
    value.parse::<f64>().unwrap();
    (name, labels, value)
}

struct Mixed {
    metrics: Vec<Metric>,
    cells: Vec<Vec<u64>>,
}

fn mixed() -> Mixed {
    let bounds = vec![decimal("0.005"), decimal("1"), decimal("1000000")];
    Mixed {
        metrics: vec![
            metric("latency_seconds", &["x"], Kind::Buckets(bounds)),
            metric("sent_bytes_total", &[], Kind::Sum),
            metric("beacons_total", &["provider", "pop"], Kind::Count),
            metric("load", &[], Kind::Last),
            metric("never_seen", &[], Kind::Last),
        ],
        cells: vec![
            with_sum(&[1, 2, 0, 4], "9.25"),
            with_sum(&[3], "1.5"),
            vec![7],
            [&[9, 1][..], &decimal("-0.7").words()].concat(),
            vec![0; 4],
        ],
    }
}

impl Mixed {
    fn families(&self) -> Vec<Family<'_>> {
        let labels: [&[&[&str]]; 5] = [
            &[&["y"]],
            &[&[]],
            &[&["fastly", "fra"], &["akamai", ""]],
            &[&[]],
            &[&[]],
        ];
        let all = self.metrics.iter().zip(&self.cells).zip(labels);
        all.map(|((metric, cell), series)| Family {
            metric,
            series: series
                .iter()
                .map(|labels| Sample {
                    labels: labels.to_vec(),
                    cell,
                    created_ms: 1_700_000_000_250,
                })
                .collect(),
        })
        .collect()
    }
}

const HEALTH: &str = "\
# HELP process_start_time_seconds When.
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1700000000.5

# HELP beacontail_rotations_total Files \"turned\" \\\\ twice.
# TYPE beacontail_rotations_total counter
beacontail_rotations_total{log=\"b\"} 1
beacontail_rotations_total{log=\"a,}\\\"\"} 2

# TYPE commit_seconds histogram
commit_seconds_bucket{le=\"0.5\"} 1
commit_seconds_bucket{le=\"10\"} 1
commit_seconds_bucket{le=\"+Inf\"} 2
commit_seconds_sum inf
commit_seconds_count 2

# TYPE bare counter
bare 4
# HELP promised Never there.
no sample at all
";

#[test]
fn text_has_families_in_order_with_health_among_them() {
    let text = render(&mixed().families(), HEALTH, Exposition::Text);
    assert_eq!(
        text,
        r#"# TYPE bare_total counter
bare_total 4
# HELP beacons_total About "beacons_total".
# TYPE beacons_total counter
beacons_total{provider="akamai",pop=""} 7
beacons_total{provider="fastly",pop="fra"} 7
# HELP beacontail_rotations_total Files "turned" \\ twice.
# TYPE beacontail_rotations_total counter
beacontail_rotations_total{log="a,}\""} 2
beacontail_rotations_total{log="b"} 1
# TYPE commit_seconds histogram
commit_seconds_bucket{le="0.5"} 1
commit_seconds_bucket{le="10.0"} 1
commit_seconds_bucket{le="+Inf"} 2
commit_seconds_sum +Inf
commit_seconds_count 2
# HELP latency_seconds About "latency_seconds".
# TYPE latency_seconds histogram
latency_seconds_bucket{x="y",le="0.005"} 1
latency_seconds_bucket{x="y",le="1.0"} 3
latency_seconds_bucket{x="y",le="1e+06"} 3
latency_seconds_bucket{x="y",le="+Inf"} 7
latency_seconds_sum{x="y"} 9.25
latency_seconds_count{x="y"} 7
# HELP load About "load".
# TYPE load gauge
load -0.7
# HELP never_seen About "never_seen".
# TYPE never_seen gauge
# HELP process_start_time_seconds When.
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1700000000.5
# HELP sent_bytes_total About "sent_bytes_total".
# TYPE sent_bytes_total counter
sent_bytes_total 1.5
"#
    );
}

#[test]
fn openmetrics_has_units_and_times_of_creation() {
    let text = render(&mixed().families(), HEALTH, Exposition::OpenMetrics);
    for expected in [
        "# HELP beacons About \\\"beacons_total\\\".\n# TYPE beacons counter\n",
        "beacons_total{provider=\"fastly\",pop=\"fra\"} 7\nbeacons_created{provider=\"fastly\",pop=\"fra\"} 1700000000.25\n",
        "# TYPE sent_bytes counter\n# UNIT sent_bytes bytes\nsent_bytes_total 1.5\n",
        "# UNIT latency_seconds seconds\n",
        "latency_seconds_count{x=\"y\"} 7\nlatency_seconds_created{x=\"y\"} 1700000000.25\n",
        "# HELP beacontail_rotations Files \\\"turned\\\" \\\\ twice.\n# TYPE beacontail_rotations counter\nbeacontail_rotations_total{",
        "# TYPE bare counter\nbare_total 4\n",
    ] {
        assert!(text.contains(expected), "{expected} in\n{text}");
    }
    assert!(text.ends_with("\n# EOF\n"));
    assert_eq!(text.matches("# EOF").count(), 1);
}

#[test]
fn both_formats_hold_the_same_series() {
    let mixed = mixed();
    let [text, open] = BOTH.map(|format| parsed(&render(&mixed.families(), HEALTH, format)).0);
    let open: Vec<_> = open
        .into_iter()
        .filter(|(name, ..)| !name.ends_with("_created"))
        .collect();
    assert_eq!(text, open);
}

#[test]
fn nothing_to_show_is_valid() {
    assert_eq!(render(&[], "", Exposition::Text), "");
    assert_eq!(render(&[], "", Exposition::OpenMetrics), "# EOF\n");
}

#[test]
fn names_that_meet_in_one_format_are_found() {
    use MetricType::{Counter, Gauge, Histogram};
    let none: [String; 0] = [];
    let apart = [
        ("a_total", Counter),
        ("b", Gauge),
        ("c", Histogram),
        ("d_total", Gauge),
    ];
    assert_eq!(clashes(apart), none);
    for (one, other, met) in [
        (("a_total", Counter), ("a", Gauge), "`a`"),
        (("a_total", Counter), ("a_created", Gauge), "`a_created`"),
        (("a", Histogram), ("a_count", Gauge), "`a_count`"),
        (("a_sum_total", Counter), ("a", Histogram), "`a_sum`"),
        (("a", Gauge), ("a", Gauge), "the name `a`"),
    ] {
        for pair in [[one, other], [other, one]] {
            let found = clashes(pair);
            assert!(found.len() == 1 && found[0].ends_with(met), "{found:?}");
        }
    }
}

proptest! {
    #[test]
    fn a_reader_finds_the_totals(
        series in prop::collection::btree_map(
            ("(?s).{0,8}", prop_oneof!["(?s).{0,8}", "[\\\\\"\n{},= ~]{0,9}", "x{250,270}"]), any::<u64>(), 0..8,
        ),
        shift in 0usize..8,
    ) {
        let metric = metric("n_total", &["x", "y"], Kind::Count);
        let mut given: Vec<Sample> = series.iter().map(|((x, y), n)| Sample {
            labels: vec![x, y],
            cell: std::slice::from_ref(n),
            created_ms: 1,
        }).collect();
        let by = shift % given.len().max(1);
        given.rotate_left(by);
        let families = [Family { metric: &metric, series: given }];
        for format in BOTH {
            let (samples, types) = parsed(&render(&families, "", format));
            prop_assert_eq!(types.len(), 1);
            let found: BTreeMap<_, _> = samples.iter().filter(|(name, ..)| name == "n_total")
                .map(|(_, labels, value)| {
                    assert!(labels.iter().all(|(_, value)| value.len() <= LABEL_BYTES));
                    ((labels[0].1.clone(), labels[1].1.clone()), value.parse::<u64>().unwrap())
                }).collect();
            let expected: BTreeMap<_, _> = series.iter().map(|((x, y), n)| {
                ((x.clone(), label_value(y).into_owned()), *n)
            }).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn no_health_text_panics_or_breaks_a_line(health in "(?s)(.|# TYPE |a\\{b=\"|\"\\} 1|\n){0,40}") {
        for format in BOTH {
            for line in render(&[], &health, format).lines().filter(|line| !line.starts_with('#')) {
                prop_assert!(line.rsplit_once(' ').unwrap().1.parse::<f64>().is_ok());
            }
        }
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "asks the program that users will feed"
)]
fn promtool_accepts_the_text() {
    use std::io::Write as _;
    let telemetry = crate::telemetry::Telemetry::new("1", 1.0).unwrap();
    telemetry.configure(&["a\"\\\n"], &["graphite"], &["city"], "cafe");
    let text = render(&mixed().families(), &telemetry.render(), Exposition::Text);
    let mut command = std::process::Command::new("promtool");
    let command = command
        .args(["check", "metrics"])
        .stdin(std::process::Stdio::piped());
    let spawned = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn();
    let Ok(mut child) = spawned else {
        println!("promtool is not installed: nothing was checked");
        return;
    };
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // 3 is for questions of style alone.
    assert!(
        matches!(output.status.code(), Some(0 | 3)),
        "{said}\n{text}"
    );
}

#[test]
fn health_and_its_names_do_not_clash() {
    let names = crate::telemetry::NAMES
        .iter()
        .map(|&(name, kind, _)| (name, kind));
    assert!(clashes(names).is_empty());
}
