//! OpenMetrics 1.0 text with timestamps, for `promtool tsdb create-blocks-from openmetrics`.
//!
//! Counters and histograms are cumulative, stamped with the end of their window. Each begins with
//! a zero at the start of the first window, and after a pause the old value is repeated at the
//! start of the next window: an increase without a sample just before it is invisible to `rate` and
//! `increase`. Gauges stand at the end of their window.
//!
//! Invariant: families and series are contiguous, times rise within a series, no label set occurs
//! twice in a family; promtool refuses a file otherwise. A label value longer than 256 bytes is
//! cut, and two series that become the same that way are told apart by `~2`, `~3` and so on.

use std::collections::HashSet;
use std::io::{self, Write};

use super::{Current, SeriesStream, Summary, type_name};
use crate::metrics::text::{self, LABEL_BYTES, canonical, escaped};
use crate::metrics::{Decimal, Kind};

/// Writes all families and `# EOF`.
///
/// # Errors
/// Those of `out` and of the stream.
pub fn write(
    out: &mut impl Write,
    summary: &Summary,
    stream: &mut dyn SeriesStream,
) -> io::Result<()> {
    let mut current = None;
    let mut seen = HashSet::new();
    while let Some(series) = Current::next(stream, current.take())? {
        if series.first {
            write_head(out, &series)?;
            seen.clear();
        }
        let mut samples = Samples {
            out,
            kind: &series.metric.kind,
            names: names(&series, &mut seen),
        };
        samples.write(summary, &series, stream)?;
        current = Some(series);
    }
    out.write_all(b"# EOF\n")
}

fn write_head(out: &mut impl Write, series: &Current) -> io::Result<()> {
    let metric = &series.metric;
    let family = family(series);
    writeln!(out, "# HELP {family} {}", escaped(&metric.help))?;
    writeln!(out, "# TYPE {family} {}", type_name(&metric.kind))
}

/// The name in HELP and TYPE: a counter's without `_total`.
fn family(series: &Current) -> &str {
    let metric = &series.metric;
    text::family_name(&metric.name, metric.kind.metric_type())
}

/// Name and labels of each sample that a point of the series takes.
fn names(series: &Current, seen: &mut HashSet<String>) -> Vec<String> {
    let family = family(series);
    let labels = labels(series, seen);
    let braced = if labels.is_empty() {
        String::new()
    } else {
        format!("{{{labels}}}")
    };
    match &series.metric.kind {
        Kind::Count | Kind::Sum => vec![format!("{family}_total{braced}")],
        Kind::Last => vec![format!("{family}{braced}")],
        Kind::Buckets(bounds) => {
            let comma = if labels.is_empty() { "" } else { "," };
            let bounds = bounds.iter().map(|bound| canonical(*bound));
            bounds
                .chain(["+Inf".to_owned()])
                .map(|le| format!("{family}_bucket{{{labels}{comma}le=\"{le}\"}}"))
                .chain([
                    format!("{family}_sum{braced}"),
                    format!("{family}_count{braced}"),
                ])
                .collect()
        }
    }
}

/// Labels as text, different from all in `seen`.
fn labels(series: &Current, seen: &mut HashSet<String>) -> String {
    let with = |mark: &str| {
        let last = series.metric.labels.len().saturating_sub(1);
        let pairs = series.pairs().enumerate().map(|(at, (name, value))| {
            let mark = if at == last { mark } else { "" };
            format!("{name}=\"{}{mark}\"", escaped(cut(value)))
        });
        pairs.collect::<Vec<_>>().join(",")
    };
    let mut text = with("");
    let mut number = 1u64;
    while !text.is_empty() && !seen.insert(text.clone()) {
        number += 1;
        text = with(&format!("~{number}"));
    }
    text
}

/// At most [`LABEL_BYTES`], whole characters.
fn cut(value: &str) -> &str {
    value
        .get(..value.floor_char_boundary(LABEL_BYTES))
        .unwrap_or(value)
}

/// Writes the samples of one series.
struct Samples<'s, W> {
    out: &'s mut W,
    kind: &'s Kind,
    names: Vec<String>,
}

impl<W: Write> Samples<'_, W> {
    fn write(
        &mut self,
        summary: &Summary,
        series: &Current,
        stream: &mut dyn SeriesStream,
    ) -> io::Result<()> {
        let (mut total, mut cell) = (series.empty_cell(), Vec::new());
        let cumulative = !matches!(self.kind, Kind::Last);
        let mut written = None;
        while let Some(start) = series.point(stream, &mut cell)? {
            let end = start.saturating_add(summary.step);
            if cumulative {
                self.lead_in(&total, written, summary.from, start)?;
                self.kind.add(&mut total, &cell);
            } else {
                total.clone_from(&cell);
            }
            self.point(&total, end)?;
            written = Some(end);
        }
        Ok(())
    }

    /// The total before a window, at its start, unless it stands there; before the first window
    /// also at `from`.
    fn lead_in(
        &mut self,
        total: &[u64],
        written: Option<i64>,
        from: Option<i64>,
        start: i64,
    ) -> io::Result<()> {
        let written = match (written, from) {
            (None, Some(from)) if from < start => {
                self.point(total, from)?;
                Some(from)
            }
            (written, _) => written,
        };
        if written.is_none_or(|written| written < start) {
            self.point(total, start)
        } else {
            Ok(())
        }
    }

    /// All samples of one time.
    fn point(&mut self, cell: &[u64], seconds: i64) -> io::Result<()> {
        let rest = match self.kind {
            Kind::Buckets(_) => {
                let count = Decimal::whole(self.kind.observations(cell));
                vec![self.kind.observed_sum(cell), count]
            }
            kind => vec![kind.amount(cell)],
        };
        let buckets = match self.kind {
            Kind::Buckets(_) => Some(self.kind.cumulative(cell)),
            _ => None,
        };
        let buckets = buckets
            .into_iter()
            .flatten()
            .map(|(_, n)| Decimal::whole(n));
        for (name, value) in self.names.iter().zip(buckets.chain(rest)) {
            writeln!(self.out, "{name} {value} {seconds}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::made::{HOSTILE, Made, SEVEN, buckets, metric, newest, observed, summed};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn written(mut stream: Made) -> String {
        let (from, to) = (Some(SEVEN), Some(SEVEN + 3600));
        let summary = Summary {
            from,
            to,
            step: 60,
            ..Summary::default()
        };
        let mut out = Vec::new();
        write(&mut out, &summary, &mut stream).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn mixed() -> Made {
        let beacons = metric("beacons_total", &["provider"], Kind::Count);
        let bytes = metric("bytes_total", &[], Kind::Sum);
        let load = metric("load", &[], Kind::Last);
        let seconds = metric("seconds", &["x"], buckets(&["0.005", "1"]));
        Made::default()
            .counts(&beacons, &["akamai"], &[(0, 1)])
            .counts(&beacons, &["fastly"], &[(6, 2), (7, 3), (20, 1)])
            .with(
                &bytes,
                &[],
                &[(0, summed(1, "1.5")), (1, summed(1, "0.25"))],
            )
            .with(
                &load,
                &[],
                &[(6, newest(9, "0.7")), (7, newest(12, "-0.3"))],
            )
            .with(&seconds, &["y"], &[(0, observed(&[1, 2, 0], "1.1"))])
    }

    #[test]
    fn counts_become_increases_stamped_at_window_ends() {
        assert_eq!(
            written(mixed()),
            r#"# HELP beacons About beacons_total.
# TYPE beacons counter
beacons_total{provider="akamai"} 0 1383202800
beacons_total{provider="akamai"} 1 1383202860
beacons_total{provider="fastly"} 0 1383202800
beacons_total{provider="fastly"} 0 1383203160
beacons_total{provider="fastly"} 2 1383203220
beacons_total{provider="fastly"} 5 1383203280
beacons_total{provider="fastly"} 5 1383204000
beacons_total{provider="fastly"} 6 1383204060
# HELP bytes About bytes_total.
# TYPE bytes counter
bytes_total 0 1383202800
bytes_total 1.5 1383202860
bytes_total 1.75 1383202920
# HELP load About load.
# TYPE load gauge
load 0.7 1383203220
load -0.3 1383203280
# HELP seconds About seconds.
# TYPE seconds histogram
seconds_bucket{x="y",le="0.005"} 0 1383202800
seconds_bucket{x="y",le="1.0"} 0 1383202800
seconds_bucket{x="y",le="+Inf"} 0 1383202800
seconds_sum{x="y"} 0 1383202800
seconds_count{x="y"} 0 1383202800
seconds_bucket{x="y",le="0.005"} 1 1383202860
seconds_bucket{x="y",le="1.0"} 3 1383202860
seconds_bucket{x="y",le="+Inf"} 3 1383202860
seconds_sum{x="y"} 1.1 1383202860
seconds_count{x="y"} 3 1383202860
# EOF
"#
        );
    }

    #[test]
    fn nothing_counted_is_a_valid_file() {
        assert_eq!(written(Made::default()), "# EOF\n");
    }

    #[test]
    fn long_labels_are_cut_and_still_told_apart() {
        let counter = metric("n_total", &["x"], Kind::Count);
        let long = "é".repeat(200);
        let stream = Made::default()
            .counts(&counter, &[&(long.clone() + "1")], &[(0, 1)])
            .counts(&counter, &[&(long + "2")], &[(0, 2)]);
        let text = written(stream);
        let cut = "é".repeat(128);
        assert!(text.contains(&format!("n_total{{x=\"{cut}\"}} 1 1383202860\n")));
        assert!(text.contains(&format!("n_total{{x=\"{cut}~2\"}} 2 1383202860\n")));
    }

    /// Undoes the escapes of a label value or HELP text.
    fn unescaped(text: &str) -> String {
        let mut chars = text.chars();
        let mut plain = String::new();
        while let Some(c) = chars.next() {
            match (c, chars.clone().next()) {
                ('\\', Some('n')) => plain.push('\n'),
                ('\\', Some(escaped)) => plain.push(escaped),
                (c, _) => {
                    plain.push(c);
                    continue;
                }
            }
            chars.next();
        }
        plain
    }

    proptest! {
        #[test]
        fn a_reader_finds_rising_times_and_the_same_totals(
            series in prop::collection::btree_map("(?s).{1,40}", prop::collection::btree_map(0i64..60, 1u64..1 << 40, 1..6), 0..6),
        ) {
            let counter = metric("n_total", &["x"], Kind::Count);
            let mut stream = Made::default();
            for (label, points) in &series {
                let points: Vec<_> = points.iter().map(|(&minute, &n)| (minute, n)).collect();
                stream = stream.counts(&counter, &[label], &points);
            }
            let text = written(stream);
            let mut found: BTreeMap<String, (i64, u64)> = BTreeMap::new();
            for line in text.split('\n').filter(|line| line.starts_with("n_total{x=\"")) {
                let (label, rest) = line["n_total{x=\"".len()..].rsplit_once("\"} ").unwrap();
                let (value, time) = rest.split_once(' ').unwrap();
                let point = (time.parse().unwrap(), value.parse().unwrap());
                if let Some(before) = found.insert(unescaped(label), point) {
                    prop_assert!(before.0 < point.0 && before.1 <= point.1);
                }
            }
            let totals: BTreeMap<_, _> = found.into_iter().map(|(label, (_, total))| (label, total)).collect();
            let expected: BTreeMap<_, _> = series.into_iter().map(|(label, points)| (label, points.values().sum::<u64>())).collect();
            prop_assert_eq!(totals, expected);
        }
    }

    /// Runs promtool; `None` where it is not installed.
    #[expect(
        clippy::disallowed_methods,
        reason = "asks the program that users will feed"
    )]
    fn promtool(arguments: &[&std::ffi::OsStr]) -> Option<String> {
        let output = std::process::Command::new("promtool")
            .args(arguments)
            .output()
            .ok()?;
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    #[test]
    fn promtool_makes_blocks_of_it_and_finds_the_values() {
        let odd = metric("odd_total", &["x", "y"], Kind::Count);
        let mut help = metric("help_total", &[], Kind::Count);
        help.help = HOSTILE.to_owned();
        let long = "é".repeat(200);
        let stream = mixed()
            .counts(&odd, &[HOSTILE, ""], &[(0, 7), (50, 1)])
            .counts(&odd, &["\0", "\0\0"], &[(0, 7)])
            .counts(&odd, &["a", &(long.clone() + "1")], &[(0, 1)])
            .counts(&odd, &["a", &(long + "2")], &[(0, 2)])
            .counts(&help, &[], &[(9, 3)]);
        let directory = tempfile::tempdir().unwrap();
        let (file, blocks) = (
            directory.path().join("in.om"),
            directory.path().join("blocks"),
        );
        std::fs::write(&file, written(stream)).unwrap();
        let create = ["tsdb", "create-blocks-from", "openmetrics"].map(AsRef::as_ref);
        let Some(_) = promtool(&[&create[..], &[file.as_ref(), blocks.as_ref()]].concat()) else {
            println!("promtool is not installed: nothing was checked");
            return;
        };
        // A directory of blocks is a database to `dump` only with a write-ahead log beside them.
        std::fs::create_dir_all(blocks.join("wal")).unwrap();
        let dump = promtool(&["tsdb".as_ref(), "dump".as_ref(), blocks.as_ref()]).unwrap();
        for expected in [
            r#"{__name__="beacons_total", provider="fastly"} 5 1383203280000"#,
            r#"{__name__="beacons_total", provider="fastly"} 6 1383204060000"#,
            r#"{__name__="seconds_bucket", le="1.0", x="y"} 3 1383202860000"#,
            r#"{__name__="seconds_sum", x="y"} 1.1 1383202860000"#,
            r#"{__name__="load"} -0.3 1383203280000"#,
            r#"{__name__="help_total"} 3 1383203400000"#,
            r#"{__name__="odd_total", x="\x00", y="\x00\x00"} 7 1383202860000"#,
            r#""} 8 1383205860000"#,
        ] {
            assert!(
                dump.lines().any(|line| line.ends_with(expected)),
                "{expected} in\n{dump}"
            );
        }
    }
}
