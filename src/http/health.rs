//! The text of metrics-exporter-prometheus, brought into the order and the formats of ours.
//!
//! That crate writes families in the order of a hash table, in the text format alone. Its lines are
//! read into families, sorted and written again. A line that is no sample is left out: the
//! crate writes none, and one wrong line would make the whole scrape invalid.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Exposition;
use crate::metrics::text::{canonical, family_name};
use crate::metrics::{Decimal, MetricType};

/// One family as read.
#[derive(Debug, Default)]
struct Read<'t> {
    kind: &'t str,
    help: Option<String>,
    samples: Vec<Line<'t>>,
}

/// One sample as read. Label values keep their escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line<'t> {
    name: &'t str,
    labels: Vec<(&'t str, &'t str)>,
    value: &'t str,
}

/// The families of `text`: the name to sort by, and the lines.
pub(super) fn blocks(text: &str, format: Exposition) -> Vec<(String, String)> {
    let families = read(text).into_iter();
    families
        .filter(|(_, family)| !family.samples.is_empty())
        .map(|(name, family)| block(name, family, format))
        .collect()
}

fn read(text: &str) -> BTreeMap<&str, Read<'_>> {
    let mut families: BTreeMap<&str, Read> = BTreeMap::new();
    let mut current = "";
    for line in text.lines() {
        if let Some((name, help)) = comment(line, "# HELP ") {
            families.entry(name).or_default().help = Some(unescaped(help));
        } else if let Some((name, kind)) = comment(line, "# TYPE ") {
            current = name;
            families.entry(name).or_default().kind = kind;
        } else if let (Some(family), Some(sample)) = (families.get_mut(current), sample(line)) {
            family.samples.push(sample);
        }
    }
    families
}

fn comment<'t>(line: &'t str, start: &str) -> Option<(&'t str, &'t str)> {
    let rest = line.strip_prefix(start)?;
    Some(rest.split_once(' ').unwrap_or((rest, "")))
}

/// Reads `name{label="value",…} number`.
fn sample(line: &str) -> Option<Line<'_>> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at_checked(end)?;
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = after.split_at_checked(closing(after)?)?;
            labels.push((label, value));
            let after = after.strip_prefix('"')?;
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = rest.strip_prefix('}')?;
    }
    let value = rest.strip_prefix(' ')?;
    let valid = !name.is_empty() && value.parse::<f64>().is_ok();
    valid.then_some(Line {
        name,
        labels,
        value,
    })
}

/// Where the quote stands that ends a label value.
fn closing(text: &str) -> Option<usize> {
    let mut escape = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escape;
        escape = byte == b'\\' && !escape;
        closes
    })
}

/// Undoes the escapes of a HELP text.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => plain.push('\n'),
                Some(other) => plain.push(other),
                None => plain.push('\\'),
            },
            c => plain.push(c),
        }
    }
    plain
}

fn block(name: &str, family: Read<'_>, format: Exposition) -> (String, String) {
    let counter = family.kind == "counter";
    let base = if counter {
        family_name(name, MetricType::Counter)
    } else {
        name
    };
    // A counter that another crate named without `_total` gets it: OpenMetrics has no other
    // counters, and the name must not depend on the format.
    let shown = if counter {
        format!("{base}_total")
    } else {
        name.to_owned()
    };
    let mut text = format.head(&shown, family.kind, family.help.as_deref());
    let mut samples = family.samples;
    // Stable: buckets and quantiles of one series keep their order.
    samples.sort_by(|a, b| series(a).cmp(series(b)));
    for sample in samples {
        let name = if counter { &shown } else { sample.name };
        let (labels, value) = (labels(&sample), number(sample.value));
        writeln!(text, "{name}{labels} {value}").expect("writing to a string cannot fail");
    }
    (base.to_owned(), text)
}

/// The labels that name a series, without the place in it.
fn series<'l, 't>(line: &'l Line<'t>) -> impl Iterator<Item = (&'t str, &'t str)> + 'l {
    let labels = line.labels.iter().copied();
    labels.filter(|(name, _)| !matches!(*name, "le" | "quantile"))
}

fn labels(line: &Line<'_>) -> String {
    if line.labels.is_empty() {
        return String::new();
    }
    let pairs = line.labels.iter().map(|(name, value)| match *name {
        "le" | "quantile" => format!("{name}=\"{}\"", bound(value)),
        name => format!("{name}=\"{value}\""),
    });
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

/// A bound as OpenMetrics wants it; `+Inf` stays.
fn bound(text: &str) -> String {
    Decimal::parse(text.as_bytes(), 0).map_or_else(|| text.to_owned(), canonical)
}

/// A number as both formats know it.
fn number(text: &str) -> &str {
    match text {
        "inf" => "+Inf",
        "-inf" => "-Inf",
        text => text,
    }
}
