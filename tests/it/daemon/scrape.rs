//! `/metrics` asked for and read, strictly: a line that is no sample fails the test.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// `GET path`. `None` when nobody answers, or not in full.
pub(crate) fn get(address: &str, path: &str) -> Option<Answer> {
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    ask(address, request.as_bytes())
}

/// Sends these bytes and reads what comes back until the other side closes.
pub(crate) fn ask(address: &str, request: &[u8]) -> Option<Answer> {
    let wait = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&address.parse().ok()?, wait).ok()?;
    stream.set_read_timeout(Some(wait)).ok()?;
    stream.set_write_timeout(Some(wait)).ok()?;
    stream.write_all(request).ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

/// One exposition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scrape {
    /// `name{labels}`, labels sorted by name, to value.
    pub(crate) samples: BTreeMap<String, f64>,
    /// Family to its type.
    pub(crate) types: BTreeMap<String, String>,
}

impl Scrape {
    /// Reads text 0.0.4.
    pub(crate) fn parse(text: &str) -> Result<Scrape, String> {
        let mut scrape = Scrape::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(comment) = line.strip_prefix('#') {
                let mut parts = comment.split_whitespace();
                if parts.next() == Some("TYPE") {
                    let family = parts.next().ok_or(line)?.to_owned();
                    let kind = parts.next().ok_or(line)?.to_owned();
                    if scrape.types.insert(family, kind).is_some() {
                        return Err(format!("a second type: {line}"));
                    }
                }
                continue;
            }
            let (series, value) = sample(line).ok_or_else(|| format!("no sample: {line}"))?;
            if scrape.samples.insert(series, value).is_some() {
                return Err(format!("a second sample: {line}"));
            }
        }
        Ok(scrape)
    }

    /// The sample of a series written as `name{a="x",b="y"}`, labels sorted.
    pub(crate) fn value(&self, series: &str) -> Option<f64> {
        self.samples.get(series).copied()
    }

    /// The sum over the series of a name whose labels hold all of `having` (`label="value"`).
    pub(crate) fn sum(&self, name: &str, having: &[&str]) -> f64 {
        self.of(name)
            .filter(|(series, _)| having.iter().all(|label| series.contains(label)))
            .map(|(_, value)| value)
            .sum()
    }

    /// Series and values of one name.
    pub(crate) fn of<'s>(&'s self, name: &'s str) -> impl Iterator<Item = (&'s str, f64)> {
        self.samples
            .iter()
            .filter(move |(series, _)| name_of(series) == name)
            .map(|(series, value)| (series.as_str(), *value))
    }

    /// Whether a sample belongs to a counter or counts within a histogram.
    pub(crate) fn only_grows(&self, series: &str) -> bool {
        let name = name_of(series);
        let kind = |family: &str| self.types.get(family).map(String::as_str);
        kind(name) == Some("counter")
            || ["_bucket", "_sum", "_count"].iter().any(|ending| {
                name.strip_suffix(ending)
                    .is_some_and(|family| kind(family) == Some("histogram"))
            })
    }
}

/// The name before the labels.
pub(crate) fn name_of(series: &str) -> &str {
    series.split('{').next().unwrap_or(series)
}

/// `name{labels} value` or `name{labels} value timestamp`.
fn sample(line: &str) -> Option<(String, f64)> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let first = name.chars().next()?;
    let is_name = !first.is_ascii_digit()
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "_:".contains(letter));
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    let mut parts = rest.split_whitespace();
    let value = match parts.next()? {
        "+Inf" => f64::INFINITY,
        value => value.parse().ok()?,
    };
    if !is_name || parts.nth(1).is_some() {
        return None;
    }
    let labels: Vec<String> = labels
        .into_iter()
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    let series = match labels.as_slice() {
        [] => name.to_owned(),
        labels => format!("{name}{{{}}}", labels.join(",")),
    };
    Some((series, value))
}

/// Labels up to the brace, sorted, values as they were written; and what follows.
fn labels(mut text: &str) -> Option<(Vec<(&str, &str)>, &str)> {
    let mut labels = Vec::new();
    loop {
        if let Some(rest) = text.strip_prefix('}') {
            labels.sort_unstable();
            return Some((labels, rest));
        }
        let (name, rest) = text.split_once("=\"")?;
        let mut escaped = false;
        let end = rest.bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })?;
        labels.push((name, &rest[..end]));
        text = &rest[end + 1..];
        text = text.strip_prefix(',').unwrap_or(text);
    }
}

#[test]
fn samples_are_read_with_their_labels_sorted() {
    let scrape = Scrape::parse(
        "# HELP a_total x\n# TYPE a_total counter\na_total{z=\"1\",b=\"x\\\"},\"} 3\nb 1.5 123\n",
    )
    .unwrap();
    assert_eq!(scrape.value("a_total{b=\"x\\\"},\",z=\"1\"}"), Some(3.0));
    assert_eq!(scrape.value("b"), Some(1.5));
    assert!(scrape.only_grows("a_total{b=\"x\\\"},\",z=\"1\"}") && !scrape.only_grows("b"));
    assert_eq!(scrape.sum("a_total", &["z=\"1\""]), 3.0);
}

#[test]
fn what_is_no_sample_is_refused() {
    for text in [
        "a",
        "a{b=\"c} 1",
        "1a 1",
        "a 1 2 3",
        "a x",
        "a 1\na 2",
        "a-b 1",
    ] {
        assert!(Scrape::parse(text).is_err(), "{text}");
    }
}
