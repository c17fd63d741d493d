//! A body of reports becomes lines of a log: no I/O, no clock.
//!
//! Read is the Reporting API's list of reports, or one report alone, as far as it is a
//! `network-error` of the W3C's Network Error Logging, section 6. Everything in it was written by
//! somebody who may be anybody, so each value is kept only in the form and length that it should
//! have, and what has another form is left out; a report without a host or a type is no report.
//!
//! Invariant: a line is printable ASCII, one JSON object, and shorter than [`LINE_BYTES`]. Whatever
//! else the log is shown with, nothing in it steers a terminal or a page.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::Value;

use crate::http::NotTaken;

use super::hosts::{Hosts, host_of};

/// Most reports of one body. Browsers send at most as many.
const REPORTS: usize = 100;
/// Browsers drop reports after a quarter of an hour; one that claims more is made up, and would change
/// minutes that are long over.
const OLDEST_MS: f64 = 3_600_000.0;
/// Most characters of a path, of a user agent and of short words.
const PATH: usize = 256;
const AGENT: usize = 256;
const WORD: usize = 64;
/// A character takes at most twelve bytes, as `😀` in two escapes does.
#[cfg(test)]
const LINE_BYTES: usize = 12 * (PATH + AGENT) + 12 * WORD + 2 * 256 + 6 * 512 + 1024;
/// Kinds of reports that are told apart when they are ignored.
const KINDS: usize = 8;

/// What is known of the request that brought a body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    /// Milliseconds since 1970.
    pub(super) at_ms: i64,
    /// The other end of the connection.
    pub(super) peer: IpAddr,
    /// `X-Forwarded-For`, from peers that are believed only.
    pub(super) forwarded_for: Option<&'a str>,
    /// Query of the collector's address.
    pub(super) query: Option<&'a str>,
}

/// What is taken of a report.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// Hosts that reports may be about.
    pub(super) hosts: &'a Hosts,
    /// Whether a URL keeps what follows its `?`.
    pub(super) keep_query: bool,
}

/// A body, read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Read {
    /// One for each report that is taken, without a line feed.
    pub(super) lines: Vec<String>,
    /// Reports of other kinds, such as `csp-violation`.
    pub(super) ignored: BTreeMap<String, u32>,
    /// Reports about hosts that are not ours.
    pub(super) foreign: u32,
    /// Reports that lack what makes one, or are too old to be true.
    pub(super) malformed: u32,
}

impl Read {
    /// All reports of the body.
    pub(super) fn reports(&self) -> u32 {
        let lines = u32::try_from(self.lines.len()).unwrap_or(u32::MAX);
        let others = self.foreign + self.malformed;
        lines + others + self.ignored.values().sum::<u32>()
    }

    /// One sentence for the sender, without a word of theirs.
    pub(super) fn shown(&self) -> String {
        let ignored: u32 = self.ignored.values().sum();
        format!(
            "{} taken, {ignored} of another type, {} about other hosts, {} malformed\n",
            self.lines.len(),
            self.foreign,
            self.malformed
        )
    }
}

/// Reads a body.
///
/// # Errors
/// One that is no JSON, or has more reports than are taken.
pub(super) fn read(
    body: &[u8],
    arrival: Arrival<'_>,
    wanted: Wanted<'_>,
) -> Result<Read, NotTaken> {
    // Nesting is limited by the library, at 128.
    let document: Value = serde_json::from_slice(body)
        .map_err(|_| NotTaken::Wrong("the body is no JSON, or nested too deeply"))?;
    let reports = match &document {
        Value::Array(reports) => reports.as_slice(),
        one @ Value::Object(_) => std::slice::from_ref(one),
        _ => return Err(NotTaken::Wrong("neither a report nor a list of reports")),
    };
    if reports.len() > REPORTS {
        return Err(NotTaken::TooMuch("a body has at most 100 reports"));
    }
    let mut read = Read::default();
    for report in reports {
        sort(report, arrival, wanted, &mut read);
    }
    Ok(read)
}

/// Puts one report where it belongs.
fn sort(report: &Value, arrival: Arrival<'_>, wanted: Wanted<'_>, read: &mut Read) {
    let kind = text(report, "type");
    if kind != Some("network-error") {
        let kind = kind.and_then(|kind| word(kind, b"-")).unwrap_or("other");
        let kind = match read.ignored.contains_key(kind) || read.ignored.len() < KINDS {
            true => kind,
            false => "other",
        };
        *read.ignored.entry(kind.to_owned()).or_default() += 1;
        return;
    }
    let Some(parts) = Parts::new(report) else {
        read.malformed += 1;
        return;
    };
    if !wanted.hosts.take(&parts.host) {
        read.foreign += 1;
        return;
    }
    match parts.line(arrival, wanted.keep_query) {
        Some(line) => read.lines.push(line),
        None => read.malformed += 1,
    }
}

/// A report that has what makes one.
struct Parts<'r> {
    report: &'r Value,
    body: &'r Value,
    host: String,
    /// Path, query and fragment.
    path: &'r str,
    /// Such as `tcp.refused`.
    error: &'r str,
    /// Milliseconds between the failure and the post.
    age: f64,
}

impl<'r> Parts<'r> {
    fn new(report: &'r Value) -> Option<Parts<'r>> {
        let body = report.get("body").filter(|body| body.is_object())?;
        let (host, path) = host_of(text(report, "url")?)?;
        let age = report.get("age").map_or(Some(0.0), Value::as_f64)?;
        (0.0..=OLDEST_MS).contains(&age).then_some(())?;
        Some(Parts {
            report,
            body,
            host,
            path,
            error: word(text(body, "type")?, b"._-")?,
            age,
        })
    }

    /// `None` when the time is beyond the calendar.
    fn line(&self, arrival: Arrival<'_>, keep_query: bool) -> Option<String> {
        #[expect(clippy::cast_possible_truncation, reason = "at most an hour")]
        let age = self.age as i64;
        let mut line = Line::new();
        line.text("time", &time(arrival.at_ms.checked_sub(age)?)?, WORD);
        line.text("received", &time(arrival.at_ms)?, WORD);
        line.text(
            "remote_addr",
            &arrival.peer.to_canonical().to_string(),
            WORD,
        );
        line.some("http_x_forwarded_for", arrival.forwarded_for, 512);
        line.some("source", arrival.query.and_then(source), WORD);
        line.text("host", &self.host, 256);
        line.text("url", shown_path(self.path, keep_query), PATH);
        line.text("type", self.error, WORD);
        line.some("phase", self.word("phase"), WORD);
        let server = text(self.body, "server_ip").map(|ip| ip.trim_matches(['[', ']']));
        let server = server.and_then(|ip| ip.parse::<IpAddr>().ok());
        line.some(
            "server_ip",
            server.map(|ip| ip.to_string()).as_deref(),
            WORD,
        );
        line.some("protocol", self.word("protocol"), WORD);
        line.some("method", self.word("method"), WORD);
        line.number("status_code", self.number("status_code", 0.0..=999.0));
        line.number("elapsed_ms", self.number("elapsed_time", 0.0..=OLDEST_MS));
        let fraction = self.body.get("sampling_fraction").and_then(Value::as_f64);
        let fraction = fraction.filter(|fraction| (0.0..=1.0).contains(fraction));
        line.raw("sampling_fraction", fraction);
        let referrer = text(self.body, "referrer").and_then(host_of);
        line.some("referrer", referrer.map(|(host, _)| host).as_deref(), 256);
        line.some("user_agent", text(self.report, "user_agent"), AGENT);
        Some(line.ended())
    }

    /// A short word of the body, such as a method.
    fn word(&self, name: &str) -> Option<&'r str> {
        word(text(self.body, name)?, b"./-_")
    }

    /// A number of the body, whole.
    fn number(&self, name: &str, range: std::ops::RangeInclusive<f64>) -> Option<u32> {
        let number = self.body.get(name)?.as_f64()?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the ranges lie within"
        )]
        range.contains(&number).then_some(number as u32)
    }
}

/// A line in the making: members in the order in which they come.
struct Line(String);

impl Line {
    fn new() -> Line {
        Line("{".to_owned())
    }

    fn name(&mut self, name: &str) {
        let comma = if self.0.len() > 1 { "," } else { "" };
        self.0.extend([comma, "\"", name, "\":"]);
    }

    /// At most `longest` characters of a text, everything but printable ASCII escaped.
    fn text(&mut self, name: &str, text: &str, longest: usize) {
        self.name(name);
        self.0.push('"');
        for letter in text.chars().take(longest) {
            match letter {
                '"' | '\\' => self.0.extend(['\\', letter]),
                ' '..='~' => self.0.push(letter),
                _ => {
                    for unit in letter.encode_utf16(&mut [0; 2]) {
                        // Writing to a text cannot fail.
                        write!(self.0, "\\u{unit:04x}").ok();
                    }
                }
            }
        }
        self.0.push('"');
    }

    fn some(&mut self, name: &str, text: Option<&str>, longest: usize) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.text(name, text, longest);
        }
    }

    fn raw(&mut self, name: &str, value: Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            self.name(name);
            write!(self.0, "{value}").ok();
        }
    }

    fn number(&mut self, name: &str, value: Option<u32>) {
        self.raw(name, value);
    }

    fn ended(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name)?.as_str()
}

/// A short text of letters, digits and `also`; another one is none.
fn word<'t>(text: &'t str, also: &[u8]) -> Option<&'t str> {
    let good = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || also.contains(&byte));
    (good && (1..=WORD).contains(&text.len())).then_some(text)
}

/// The value of `source` in the collector's own query: which CDN handed the policy out.
fn source(query: &str) -> Option<&str> {
    let mut pairs = query.split('&');
    word(pairs.find_map(|pair| pair.strip_prefix("source="))?, b"_-")
}

/// Path and, if wanted, query; never the fragment.
fn shown_path(path: &str, keep_query: bool) -> &str {
    let end = match keep_query {
        true => path.find('#'),
        false => path.find(['?', '#']),
    };
    match path.get(..end.unwrap_or(path.len())).unwrap_or_default() {
        "" => "/",
        path => path,
    }
}

/// RFC 3339 in UTC with milliseconds.
fn time(ms: i64) -> Option<String> {
    Some(format!("{:.3}", Timestamp::from_millisecond(ms).ok()?))
}

#[cfg(test)]
mod tests;
