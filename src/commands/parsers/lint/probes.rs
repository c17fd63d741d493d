//! Lines that a format must read because it reads their likes: its examples, changed one way each.
//!
//! Which changes matter was learnt from patterns that counted nothing for years: each of them is what some
//! server writes on a quiet day.

use regex::bytes::Regex;

use super::finding;
use crate::commands::engine::Engine;
use crate::definition::{Dialect, FormatDefinition, LayoutDefinition, NginxEscape};
use crate::diagnostic::Diagnostic;
use crate::parse::{Format, Line};
use crate::record::{Fields as _, Span, compile_pattern};

/// A change that leaves a line one that its server could have written.
struct Probe {
    /// What the line then has.
    what: &'static str,
    /// Only patterns are asked: a server's own format string says what stands in a line.
    only_patterns: bool,
    change: fn(&Subject<'_>) -> Option<Vec<u8>>,
}

const PROBES: [Probe; 13] = [
    probe("an HTTP/2 request", |s| {
        s.replaced(r#" HTTP/1\.[01]""#, " HTTP/2.0\"")
    }),
    probe("an IPv6 client", |s| {
        s.with(&["remote_addr", "client_ip", "client"], b"2001:db8::1")
    }),
    probe("a user's name in place of `-`", |s| {
        s.replaced(r" - - \[", " - alice [")
    }),
    probe("a quote inside the agent", |s| s.quote_in_agent()),
    probe("an empty referrer", |s| {
        s.with_quoted(&["http_referer", "referrer", "referer"], b"")
    }),
    probe("a HEAD request", |s| s.replaced(r#""GET "#, "\"HEAD ")),
    probe("another parameter first", |s| {
        s.replaced(r#"("[A-Z]+ [^ "?]+\?)"#, "${1}t=1&")
    }),
    probe("an absolute URL", |s| {
        s.replaced(r#""GET /"#, "\"GET http://www.example.com/")
    }),
    probe("`-` for no bytes", |s| {
        s.replaced(r#"" (\d{3}) \d+ ""#, "\" ${1} - \"")
    }),
    pattern("`unknown` among the forwarded addresses", |s| {
        s.replaced(r" ([0-9.]+), [0-9.]+ - - \[", " ${1}, unknown - - [")
    }),
    pattern("no forwarded addresses", |s| {
        s.replaced(r"^(\S+) [0-9.]+, [0-9.]+ - - \[", "${1} - - - [")
    }),
    pattern("nothing behind the agent", |s| {
        s.replaced(r#"^(.*" ".*?") .*$"#, "${1}")
    }),
    pattern("no host in front, as in `combined`", |s| {
        s.replaced(
            r#"^[a-z]\S* ([0-9.]+)(?:, [0-9.]+)* - - (\[[^\]]+\] "[^"]*" \d+ [\d-]+ "[^"]*" "[^"]*").*$"#,
            "${1} - - ${2}",
        )
    }),
];

const fn probe(what: &'static str, change: fn(&Subject<'_>) -> Option<Vec<u8>>) -> Probe {
    Probe {
        what,
        only_patterns: false,
        change,
    }
}

const fn pattern(what: &'static str, change: fn(&Subject<'_>) -> Option<Vec<u8>>) -> Probe {
    Probe {
        what,
        only_patterns: true,
        change,
    }
}

/// An example's line and what its format knows of it.
struct Subject<'s> {
    engine: &'s Engine,
    format: &'s Format,
    header: Option<&'s str>,
    line: &'s [u8],
    /// How a quote inside a value is written.
    quote: &'static [u8],
}

/// What the format does not read of changed examples, one finding for each change.
pub(super) fn findings(
    engine: &Engine,
    definition: &FormatDefinition,
    format: &Format,
) -> Vec<Diagnostic> {
    let is_pattern = matches!(definition.layout.value, LayoutDefinition::Regex { .. });
    let quote: &[u8] = match &definition.layout.value {
        LayoutDefinition::Server {
            dialect: Dialect::Nginx(NginxEscape::Default),
            ..
        } => b"\\x22",
        LayoutDefinition::W3c { .. } => b"%22",
        _ => b"\\\"",
    };
    let mut findings = Vec::new();
    for probe in PROBES
        .iter()
        .filter(|probe| is_pattern || !probe.only_patterns)
    {
        let unread = definition.examples.iter().find_map(|example| {
            let text = example.line.value.trim_end_matches('\n');
            let (header, line) = match text.rsplit_once('\n') {
                Some((header, line)) => (Some(header), line),
                None => (None, text),
            };
            let line = line.as_bytes();
            let subject = Subject {
                engine,
                format,
                header,
                line,
                quote,
            };
            let changed = (probe.change)(&subject).filter(|changed| changed != line)?;
            let lost =
                is_read(engine, format, header, line) && !is_read(engine, format, header, &changed);
            lost.then_some(changed)
        });
        if let Some(changed) = unread {
            let shown = crate::diagnostic::Untrusted(&changed)
                .shortened(300)
                .to_string();
            let what = format!("a line with {} is not read", probe.what);
            findings.push(
                finding(&definition.layout.place, &definition.name, what)
                    .help(format!("its example, changed so, is {shown}")),
            );
        }
    }
    findings
}

/// Whether the line is read with its time.
pub(super) fn is_read(engine: &Engine, format: &Format, header: Option<&str>, line: &[u8]) -> bool {
    spans(engine, format, &[], header, line).is_some()
}

fn spans(
    engine: &Engine,
    format: &Format,
    wanted: &[String],
    header: Option<&str>,
    line: &[u8],
) -> Option<Vec<Span>> {
    let mut reader = format.reader(wanted, &engine.zone);
    let mut spans = vec![Span::ABSENT; reader.spans()];
    for directive in header.into_iter().flat_map(str::lines) {
        reader.read(directive.as_bytes(), &mut spans).ok()?;
    }
    matches!(reader.read(line, &mut spans), Ok(Line::Record(_))).then_some(())?;
    reader.time(line, &spans).ok()?;
    Some(spans)
}

impl Subject<'_> {
    /// The line with the first match of a pattern replaced; `None` without one.
    fn replaced(&self, pattern: &str, with: &str) -> Option<Vec<u8>> {
        let pattern: Regex = compile_pattern(pattern, 1).ok()?;
        pattern
            .is_match(self.line)
            .then(|| pattern.replace(self.line, with.as_bytes()).into_owned())
    }

    /// Where the first of these fields that the format has stands in the line.
    fn span(&self, names: &[&str]) -> Option<Span> {
        let name = names
            .iter()
            .find(|name| self.format.field(name).is_some())?;
        let wanted = [(*name).to_owned()];
        let spans = spans(self.engine, self.format, &wanted, self.header, self.line)?;
        spans
            .first()
            .copied()
            .filter(|span| span.of(self.line).is_some())
    }

    /// The line with another value in one of these fields.
    fn with(&self, names: &[&str], value: &[u8]) -> Option<Vec<u8>> {
        let span = self.span(names)?;
        let (before, after) = (self.line.get(..span.start())?, self.line.get(span.end()..)?);
        Some([before, value, after].concat())
    }

    /// The same for a field in quotes.
    fn with_quoted(&self, names: &[&str], value: &[u8]) -> Option<Vec<u8>> {
        let span = self.span(names)?;
        let quoted = self.line.get(span.end()) == Some(&b'"');
        quoted.then(|| self.with(names, value))?
    }

    fn quote_in_agent(&self) -> Option<Vec<u8>> {
        let names = ["http_user_agent", "user_agent", "agent"];
        let value = [b"U".as_slice(), self.quote, b"A"].concat();
        self.with_quoted(&names, &value)
    }
}
