//! An explanation as one JSON object in a line, for programs.
//!
//! Written straight into the buffer that goes out: hundreds of thousands of lines a second come this
//! way. Amounts are exact decimals. Addresses are as they stand in the line. Keys may be added, none
//! changes its meaning.

use std::fmt::Display;
use std::io::Write as _;

use super::Explainer;
use super::client::Client;
use crate::commands::examples::reason_text;
use crate::commands::fields::NoFields;
use crate::parse::EventTime;
use crate::rule::Verdict;

/// A line that a parser read.
pub(super) fn read(out: &mut Vec<u8>, parser: &mut Explainer<'_>, line: &[u8], time: EventTime) {
    out.extend_from_slice(b"{\"parser\":");
    string(out, parser.compiled.format.name.as_bytes());
    out.extend_from_slice(b",\"ok\":true,\"error\":null,\"time\":\"");
    plain(out, time);
    out.extend_from_slice(b"\",\"fields\":{");
    let mut before = Separator::default();
    parser.fields.each(line, |name, value| {
        before.write(out);
        string(out, name.as_bytes());
        out.push(b':');
        string(out, value);
    });
    parser.tell(line, time);
    out.extend_from_slice(b"},\"counts\":{");
    let mut before = Separator::default();
    for (series, amount) in parser.told.series() {
        before.write(out);
        string(out, series);
        out.push(b':');
        plain(out, amount);
    }
    out.extend_from_slice(b"},\"rules\":[");
    let mut before = Separator::default();
    for verdict in parser.told.verdicts() {
        before.write(out);
        let group = parser.groups.get(verdict.group);
        out.extend_from_slice(group.map_or(b"{", |group| group.json.as_slice()));
        write_verdict(out, &verdict);
    }
    out.push(b']');
    write_client(out, parser.clients(line).first());
    out.extend_from_slice(b"}\n");
}

/// A line that a parser did not read.
pub(super) fn not_read(out: &mut Vec<u8>, parser: &Explainer<'_>, reason: NoFields) {
    let format = &parser.compiled.format;
    failed(out, Some(&format.name), &reason_text(&reason, format));
}

/// A line that is not for any parser.
pub(super) fn without_parser(out: &mut Vec<u8>, why: &str) {
    failed(out, None, why);
}

fn failed(out: &mut Vec<u8>, parser: Option<&str>, why: &str) {
    out.extend_from_slice(b"{\"parser\":");
    string_or_null(out, parser);
    out.extend_from_slice(b",\"ok\":false,\"error\":");
    string(out, why.as_bytes());
    out.extend_from_slice(
        b",\"time\":null,\"fields\":{},\"counts\":{},\"rules\":[],\"client\":null,\"geo\":null}\n",
    );
}

/// The part of a rule's object that is the same for all records: all but the verdict.
pub(super) fn group<'m>(rules: &str, metrics: impl Iterator<Item = &'m str>) -> Vec<u8> {
    let mut out = b"{\"rules\":".to_vec();
    string(&mut out, rules.as_bytes());
    out.extend_from_slice(b",\"metrics\":[");
    let mut before = Separator::default();
    for metric in metrics {
        before.write(&mut out);
        string(&mut out, metric.as_bytes());
    }
    out.extend_from_slice(b"],");
    out
}

fn write_verdict(out: &mut Vec<u8>, verdict: &Verdict<'_>) {
    let word: &[u8] = match (&verdict.failed, verdict.near) {
        (None, _) => b"\"verdict\":\"counts\",\"failed\":",
        (Some(_), true) => b"\"verdict\":\"near_miss\",\"failed\":",
        (Some(_), false) => b"\"verdict\":\"no\",\"failed\":",
    };
    out.extend_from_slice(word);
    match verdict.failed {
        None => out.extend_from_slice(b"null,\"value\":null}"),
        Some((matcher, value)) => {
            string(out, matcher.as_bytes());
            out.extend_from_slice(b",\"value\":");
            string(out, value);
            out.push(b'}');
        }
    }
}

fn write_client(out: &mut Vec<u8>, client: Option<&Client>) {
    let Some(client) = client else {
        out.extend_from_slice(b",\"client\":null,\"geo\":null");
        return;
    };
    out.extend_from_slice(b",\"client\":{\"answer\":");
    match client.answer {
        None => out.extend_from_slice(b"null"),
        Some(address) => {
            out.push(b'"');
            plain(out, address);
            out.push(b'"');
        }
    }
    out.extend_from_slice(b",\"steps\":[");
    let mut before = Separator::default();
    for (text, verdict) in &client.steps {
        before.write(out);
        out.extend_from_slice(b"{\"hop\":");
        string(out, text);
        out.extend_from_slice(b",\"verdict\":\"");
        plain(out, verdict);
        out.extend_from_slice(b"\"}");
    }
    out.extend_from_slice(b"],\"told_by\":");
    string_or_null(out, client.told_by);
    out.extend_from_slice(b",\"in_range_of\":");
    string_or_null(out, client.in_range_of.as_deref());
    out.extend_from_slice(b"},\"geo\":{");
    let mut before = Separator::default();
    for (place, text) in &client.places {
        before.write(out);
        string(out, place.name().as_bytes());
        out.push(b':');
        string(out, text);
    }
    out.push(b'}');
}

/// A comma before all but the first.
#[derive(Default)]
struct Separator(bool);

impl Separator {
    fn write(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.0, true) {
            out.push(b',');
        }
    }
}

/// A text as JSON writes it, bytes that are no UTF-8 replaced.
fn string(out: &mut Vec<u8>, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    serde_json::to_writer(out, &*text).expect("a text always has its JSON, and memory takes it");
}

fn string_or_null(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        None => out.extend_from_slice(b"null"),
        Some(text) => string(out, text.as_bytes()),
    }
}

/// What needs no escapes: numbers, times, addresses, words of ours.
fn plain(out: &mut Vec<u8>, value: impl Display) {
    write!(out, "{value}").expect("memory takes it");
}
