//! One JSON document: what was read, and every series with its windows.
//!
//! Written as it is read, one series a line, so that `total` follows `minutes`. Numbers are exact
//! decimals as JSON knows them; a histogram's sum is a string, because readers turn long decimals
//! into floats. Keys may be added in later versions, none changes its meaning while `version` is 1.
//! The keys of `minutes` are starts of windows, whatever `step` is.

use std::fmt::{self, Display, Formatter};
use std::io::{self, Write};

use super::text::rfc3339;
use super::{Current, InputSummary, Sample, SeriesStream, Summary, type_name};
use crate::metrics::Kind;

/// Writes the document and a newline.
///
/// # Errors
/// Those of `out` and of the stream.
pub fn write(
    out: &mut impl Write,
    summary: &Summary,
    stream: &mut dyn SeriesStream,
) -> io::Result<()> {
    write_summary(out, summary)?;
    out.write_all(b",\n\"series\":[")?;
    let mut current = None;
    let mut separator = "\n";
    while let Some(series) = Current::next(stream, current.take())? {
        out.write_all(separator.as_bytes())?;
        write_series(out, &series, stream)?;
        separator = ",\n";
        current = Some(series);
    }
    out.write_all(b"]}\n")
}

fn write_summary(out: &mut impl Write, summary: &Summary) -> io::Result<()> {
    let inputs = summary.inputs.iter().map(input);
    let notices = summary.notices.iter().map(|notice| Quoted(notice));
    let errors = summary
        .value_errors
        .iter()
        .map(|(metric, n)| format!("{}:{n}", Quoted(metric)));
    let time = |time: Option<i64>| or_null(time.map(rfc3339).as_deref());
    write!(
        out,
        "{{\"version\":1,\"step\":{},\"partial\":{}",
        summary.step, summary.partial
    )?;
    write!(out, ",\n\"notices\":[{}]", list(notices))?;
    write!(out, ",\n\"inputs\":[{}]", list(inputs))?;
    write!(out, ",\n\"value_errors\":{{{}}}", list(errors))?;
    write!(out, ",\"ambiguous_times\":{}", summary.ambiguous_times)?;
    write!(out, ",\"zone\":{}", Quoted(&summary.zone))?;
    write!(
        out,
        ",\"from\":{},\"to\":{}",
        time(summary.from),
        time(summary.to)
    )
}

fn input(input: &InputSummary) -> String {
    let rejected = input
        .rejected
        .iter()
        .map(|(reason, n)| format!("{}:{n}", Quoted(reason)));
    let detected = input.detected.map_or_else(
        || "null".to_owned(),
        |d| {
            format!(
                "{{\"share_permille\":{},\"lines\":{}}}",
                d.share_permille, d.lines
            )
        },
    );
    [
        format!("\n{{\"path\":{}", Quoted(&input.path)),
        format!("\"parser\":{}", or_null(input.parser.as_deref())),
        format!("\"detected\":{detected}"),
        format!("\"compression\":{}", Quoted(&input.compression)),
        format!("\"bytes\":{},\"lines\":{}", input.bytes, input.lines),
        format!(
            "\"parsed\":{},\"unparsed\":{}",
            input.parsed, input.unparsed
        ),
        format!("\"skipped\":{}", input.skipped),
        format!("\"rejected\":{{{}}}", list(rejected)),
        format!("\"partial_lines\":{}", input.partial_lines),
        format!(
            "\"duplicate_of\":{}",
            or_null(input.duplicate_of.as_deref())
        ),
        format!("\"error\":{}", or_null(input.error.as_deref())),
        format!("\"samples\":[{}]}}", list(input.samples.iter().map(sample))),
    ]
    .join(",")
}

fn sample(sample: &Sample) -> String {
    format!(
        "{{\"offset\":{},\"at\":{},\"reason\":{},\"line_start\":{}}}",
        sample.offset,
        sample.at,
        Quoted(&sample.reason),
        Quoted(&String::from_utf8_lossy(&sample.line_start)),
    )
}

fn write_series(
    out: &mut impl Write,
    series: &Current,
    stream: &mut dyn SeriesStream,
) -> io::Result<()> {
    let kind = &series.metric.kind;
    let labels = series
        .pairs()
        .map(|(name, value)| format!("{}:{}", Quoted(name), Quoted(value)));
    write!(out, "{{\"metric\":{},", Quoted(&series.metric.name))?;
    write!(
        out,
        "\"type\":\"{}\",\"labels\":{{{}}}",
        type_name(kind),
        list(labels)
    )?;
    out.write_all(b",\"minutes\":{")?;
    let (mut total, mut cell) = (series.empty_cell(), Vec::new());
    let mut separator = "";
    while let Some(start) = series.point(stream, &mut cell)? {
        kind.add(&mut total, &cell);
        write!(out, "{separator}\"{}\":", rfc3339(start))?;
        write_value(out, kind, &cell)?;
        separator = ",";
    }
    out.write_all(b"},\"total\":")?;
    write_value(out, kind, &total)?;
    out.write_all(b"}")
}

fn write_value(out: &mut impl Write, kind: &Kind, cell: &[u64]) -> io::Result<()> {
    if !matches!(kind, Kind::Buckets(_)) {
        return write!(out, "{}", kind.amount(cell));
    }
    let buckets = kind
        .cumulative(cell)
        .map(|(le, n)| format!("{}:{n}", Quoted(&le)));
    write!(out, "{{\"buckets\":{{{}}}", list(buckets))?;
    write!(out, ",\"sum\":\"{}\"", kind.observed_sum(cell))?;
    write!(out, ",\"count\":{}}}", kind.observations(cell))
}

/// A string as JSON writes it.
struct Quoted<'t>(&'t str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self.0).map_err(|_| fmt::Error)?)
    }
}

fn or_null(text: Option<&str>) -> String {
    text.map_or_else(|| "null".to_owned(), |text| Quoted(text).to_string())
}

fn list(items: impl Iterator<Item = impl Display>) -> String {
    items
        .map(|item| item.to_string())
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::Detected;
    use crate::sinks::made::{HOSTILE, Made, SEVEN, buckets, metric, newest, observed, summed};
    use proptest::prelude::*;
    use serde_json::Value;

    fn written(summary: &Summary, mut stream: Made) -> String {
        let mut out = Vec::new();
        write(&mut out, summary, &mut stream).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn hour() -> Summary {
        let (from, to) = (Some(SEVEN), Some(SEVEN + 3600));
        Summary {
            from,
            to,
            step: 60,
            zone: "UTC".to_owned(),
            ..Summary::default()
        }
    }

    #[test]
    fn nothing_counted_is_a_whole_document() {
        let document: Value =
            serde_json::from_str(&written(&Summary::default(), Made::default())).unwrap();
        assert_eq!(document["version"], 1);
        assert_eq!(document["from"], Value::Null);
        assert_eq!(document["to"], Value::Null);
        assert_eq!(document["series"], serde_json::json!([]));
        assert_eq!(document["inputs"], serde_json::json!([]));
    }

    #[test]
    fn series_of_every_type_have_minutes_and_a_total() {
        let requests = metric("requests_total", &["provider"], Kind::Count);
        let bytes = metric("bytes_total", &[], Kind::Sum);
        let load = metric("load", &[], Kind::Last);
        let seconds = metric("seconds", &[], buckets(&["0.005", "1"]));
        let stream = Made::default()
            .counts(&requests, &["fastly"], &[(6, 2), (7, 3)])
            .with(
                &bytes,
                &[],
                &[(6, summed(2, "1.5")), (7, summed(1, "0.25"))],
            )
            .with(&load, &[], &[(6, newest(9, "0.7")), (7, newest(12, "0.3"))])
            .with(
                &seconds,
                &[],
                &[
                    (6, observed(&[1, 2, 0], "1.1")),
                    (7, observed(&[0, 0, 1], "9")),
                ],
            );
        let text = written(&hour(), stream);
        let series = text.split_once("\"series\":[\n").unwrap().1;
        assert_eq!(
            series,
            r#"{"metric":"requests_total","type":"counter","labels":{"provider":"fastly"},"minutes":{"2013-10-31T07:06:00Z":2,"2013-10-31T07:07:00Z":3},"total":5},
{"metric":"bytes_total","type":"counter","labels":{},"minutes":{"2013-10-31T07:06:00Z":1.5,"2013-10-31T07:07:00Z":0.25},"total":1.75},
{"metric":"load","type":"gauge","labels":{},"minutes":{"2013-10-31T07:06:00Z":0.7,"2013-10-31T07:07:00Z":0.3},"total":0.3},
{"metric":"seconds","type":"histogram","labels":{},"minutes":{"2013-10-31T07:06:00Z":{"buckets":{"0.005":1,"1":3,"+Inf":3},"sum":"1.1","count":3},"2013-10-31T07:07:00Z":{"buckets":{"0.005":0,"1":0,"+Inf":1},"sum":"9","count":1}},"total":{"buckets":{"0.005":1,"1":3,"+Inf":4},"sum":"10.1","count":4}}]}
"#
        );
    }

    #[test]
    fn hostile_text_comes_back_unchanged() {
        let odd = metric("odd_total", &["label"], Kind::Count);
        let sample = Sample {
            offset: 7,
            line_start: b"\xff\x1b[2J".to_vec(),
            ..Sample::default()
        };
        let input = InputSummary {
            path: HOSTILE.to_owned(),
            detected: Some(Detected {
                share_permille: 998,
                lines: 1000,
            }),
            rejected: vec![("blank", 3)],
            samples: vec![sample],
            ..InputSummary::default()
        };
        let summary = Summary {
            inputs: vec![input],
            ..hour()
        };
        let text = written(
            &summary,
            Made::default().counts(&odd, &[HOSTILE], &[(0, 1)]),
        );
        assert!(!text.contains('\u{1b}') && !text.contains('\0'));
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["series"][0]["labels"]["label"], HOSTILE);
        assert_eq!(document["inputs"][0]["path"], HOSTILE);
        assert_eq!(document["inputs"][0]["rejected"]["blank"], 3);
        assert_eq!(document["inputs"][0]["parser"], Value::Null);
        assert_eq!(
            document["inputs"][0]["samples"][0]["line_start"],
            "\u{fffd}\u{1b}[2J"
        );
    }

    proptest! {
        #[test]
        fn readers_find_every_count_and_the_total(
            series in prop::collection::vec((".*", prop::collection::btree_map(0i64..60, 1u64..1 << 40, 0..5)), 0..5),
        ) {
            let counter = metric("n_total", &["label"], Kind::Count);
            let mut stream = Made::default();
            for (label, points) in &series {
                let points: Vec<_> = points.iter().map(|(&minute, &n)| (minute, n)).collect();
                stream = stream.counts(&counter, &[label], &points);
            }
            let document: Value = serde_json::from_str(&written(&hour(), stream)).unwrap();
            prop_assert_eq!(document["series"].as_array().unwrap().len(), series.len());
            for (found, (label, points)) in document["series"].as_array().unwrap().iter().zip(&series) {
                prop_assert_eq!(found["labels"]["label"].as_str().unwrap(), label);
                prop_assert_eq!(found["total"].as_u64().unwrap(), points.values().sum::<u64>());
                for (minute, n) in points {
                    prop_assert_eq!(found["minutes"][rfc3339(SEVEN + minute * 60)].as_u64().unwrap(), *n);
                }
            }
        }
    }
}
