//! CSV for spreadsheets and databases: `time,metric,labels,value`, one row for each value of each
//! window (RFC 4180 with LF).
//!
//! Columns do not depend on the metrics, because those are not known before the stream ends: all
//! labels share one cell, in PromQL's form. Such a cell begins with a label name, so that no label
//! value can pose as a formula (`=`, `+`, `-`, `@`, tab), and control characters are escaped, so
//! that no cell holds a newline. A histogram takes a row for each bucket (cumulative), its sum and
//! its count, named as Prometheus names them. The rows of a series stand together; nothing is
//! summed up over time.

use std::io::{self, Write};

use super::text::{promql, rfc3339};
use super::{Current, SeriesStream};
use crate::metrics::Kind;

/// Writes the header and all rows.
///
/// # Errors
/// Those of `out` and of the stream.
pub fn write(out: &mut impl Write, stream: &mut dyn SeriesStream) -> io::Result<()> {
    out.write_all(b"time,metric,labels,value\n")?;
    let mut current = None;
    let mut cell = Vec::new();
    while let Some(series) = Current::next(stream, current.take())? {
        let columns = columns(&series);
        while let Some(start) = series.point(stream, &mut cell)? {
            let time = rfc3339(start);
            for (column, value) in columns.iter().zip(values(&series.metric.kind, &cell)) {
                writeln!(out, "{time},{column},{value}")?;
            }
        }
        current = Some(series);
    }
    Ok(())
}

/// `metric,labels` of each row that a window takes.
fn columns(series: &Current) -> Vec<String> {
    let name = &series.metric.name;
    let row =
        |suffix: &str, labels: &str| quoted(&format!("{name}{suffix}")) + "," + &quoted(labels);
    let labels = promql(series.pairs());
    let kind = &series.metric.kind;
    if !matches!(kind, Kind::Buckets(_)) {
        return vec![row("", &labels)];
    }
    let zeros = series.empty_cell();
    let bounds = kind.cumulative(&zeros).map(|(le, _)| {
        let le = ("le", le.as_str());
        row("_bucket", &promql(series.pairs().chain([le])))
    });
    bounds
        .chain([row("_sum", &labels), row("_count", &labels)])
        .collect()
}

/// The values of a cell in the order of [`columns`].
fn values(kind: &Kind, cell: &[u64]) -> Vec<String> {
    if !matches!(kind, Kind::Buckets(_)) {
        return vec![kind.amount(cell).to_string()];
    }
    let rest = [
        kind.observed_sum(cell).to_string(),
        kind.observations(cell).to_string(),
    ];
    kind.cumulative(cell)
        .map(|(_, n)| n.to_string())
        .chain(rest)
        .collect()
}

/// A cell, in quotes where RFC 4180 wants them.
fn quoted(text: &str) -> String {
    if !text.contains([',', '"', '\n', '\r']) {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::made::{HOSTILE, Made, buckets, metric, observed};

    fn written(mut stream: Made) -> String {
        let mut out = Vec::new();
        write(&mut out, &mut stream).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_value_has_a_row() {
        let plain = metric("plain_total", &[], Kind::Count);
        let pops = metric("pops_total", &["provider", "pop"], Kind::Count);
        let seconds = metric("seconds", &["provider"], buckets(&["0.5"]));
        let stream = Made::default()
            .counts(&plain, &[], &[(0, 1)])
            .counts(&pops, &["fastly", "IAD"], &[(0, 2), (9, 3)])
            .with(&seconds, &["fastly"], &[(1, observed(&[1, 2], "3.25"))]);
        assert_eq!(
            written(stream),
            r#"time,metric,labels,value
2013-10-31T07:00:00Z,plain_total,,1
2013-10-31T07:00:00Z,pops_total,"provider=""fastly"",pop=""IAD""",2
2013-10-31T07:09:00Z,pops_total,"provider=""fastly"",pop=""IAD""",3
2013-10-31T07:01:00Z,seconds_bucket,"provider=""fastly"",le=""0.5""",1
2013-10-31T07:01:00Z,seconds_bucket,"provider=""fastly"",le=""+Inf""",3
2013-10-31T07:01:00Z,seconds_sum,"provider=""fastly""",3.25
2013-10-31T07:01:00Z,seconds_count,"provider=""fastly""",3
"#
        );
    }

    #[test]
    fn hostile_labels_stay_in_their_cell_and_are_no_formula() {
        let odd = metric("odd_total", &["label"], Kind::Count);
        let text = written(Made::default().counts(&odd, &[HOSTILE], &[(0, 1)]));
        assert_eq!(text.lines().count(), 2);
        assert_eq!(
            text.lines().last().unwrap(),
            r#"2013-10-31T07:00:00Z,odd_total,"label=""=a\""b\\c\nd\u000d,\u001b[31m\u202e;e\u0000.{x} é""",1"#
        );
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"] {
            let text = written(Made::default().counts(&odd, &[formula], &[(0, 1)]));
            assert!(text.contains(",\"label="), "{text}");
        }
    }
}
