//! `beacontail explain`: what becomes of a line.
//!
//! Each line is read once by the parser that explains it; without a named one, or with several, every
//! parser tries it first, as detection does. Of several that were named the first that reads it explains
//! it, as in `replay`. What is told is what `replay` would count, asked of the same rules; nothing
//! is kept from line to line but what the format itself says of the lines after.

mod client;
mod json;
mod text;
mod told;

use std::io::{self, BufRead as _, BufReader, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use client::Client;
use told::Told;

use super::detect::{Attempt, Candidate};
use super::engine::{Compiled, Engine, Selection};
use super::fields::{FieldReader, NoFields};
use super::{Done, Failure};
use crate::cli::ExplainArgs;
use crate::geo::GeoCache;
use crate::metrics::Metric;
use crate::parse::{Envelopes, EventTime, Opened};
use crate::pipeline::trimmed;
use crate::rule::{Evaluator, Moment};
use crate::source::MAX_LINE;

/// Text that is gathered before it is written.
const BUFFER: usize = 1 << 16;

/// Runs the command.
///
/// # Errors
/// The user's mistakes and I/O errors.
pub(crate) fn run(args: &ExplainArgs) -> Result<Done, Failure> {
    let mut engine = Engine::open(&args.parsers)?;
    let mut names = engine.parsers(&args.parser)?;
    if args.parser.is_empty() {
        let order = engine.catalog.detection_order();
        let order = order.iter().map(|entry| entry.definition.name.clone());
        names = order.collect();
    }
    let (compiled, metrics) = engine.compile(&names, &Selection::default())?;
    let mut parsers = Parsers::new(&engine, &compiled, &metrics);
    let result = if args.line.as_bytes() == b"-" {
        lines(&mut io::stdout().lock(), &mut parsers, args)
    } else {
        let mut out = Vec::new();
        let mut envelopes = Envelopes::new(MAX_LINE);
        let read = parsers.line(&mut out, &mut envelopes, args.line.as_bytes(), args);
        read.and_then(|read| io::stdout().lock().write_all(&out).map(|()| read))
    };
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Done::Complete),
        Err(error) => Err(Failure::Other(error.into())),
        Ok(true) => Ok(Done::Complete),
        Ok(false) => Ok(Done::Incomplete),
    }
}

/// All lines of standard input; true when every one was read.
fn lines(out: &mut impl Write, parsers: &mut Parsers<'_>, args: &ExplainArgs) -> io::Result<bool> {
    let mut input = BufReader::with_capacity(BUFFER, io::stdin().lock());
    let (mut line, mut text, mut all) = (Vec::new(), Vec::new(), true);
    let mut envelopes = Envelopes::new(MAX_LINE);
    loop {
        // Whoever writes the lines may wait for the answer: what is ready goes out before we wait.
        if text.len() >= BUFFER || memchr::memchr(b'\n', input.buffer()).is_none() {
            out.write_all(&text)?;
            out.flush()?;
            text.clear();
        }
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(all);
        }
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        all &= parsers.line(&mut text, &mut envelopes, line, args)?;
    }
}

/// The parsers that may explain a line.
struct Parsers<'e> {
    explainers: Vec<Explainer<'e>>,
    /// As many, when there is a choice.
    candidates: Vec<Candidate<'e>>,
}

impl<'e> Parsers<'e> {
    fn new(engine: &'e Engine, compiled: &'e [Compiled], metrics: &Arc<Vec<Metric>>) -> Self {
        let formats = compiled.iter().map(|compiled| &*compiled.format);
        let candidates: Vec<Candidate<'_>> = formats.map(Candidate::new).collect();
        Parsers {
            explainers: compiled
                .iter()
                .map(|compiled| Explainer::new(engine, compiled, metrics))
                .collect(),
            candidates: if candidates.len() > 1 {
                candidates
            } else {
                Vec::new()
            },
        }
    }

    /// Explains one line, out of its envelope; false when no parser reads it.
    fn line(
        &mut self,
        out: &mut Vec<u8>,
        envelopes: &mut Envelopes,
        line: &[u8],
        args: &ExplainArgs,
    ) -> io::Result<bool> {
        let line = trimmed(line).unwrap_or(line);
        let opened = envelopes.open(line);
        match (opened.record(line), &opened) {
            (Some((record, whole)), _) => self.record(out, record, whole, args),
            (None, opened) => {
                let what = match opened {
                    Opened::Piece => "a piece of a line: what it is shows with the last piece",
                    Opened::TooLong => "the last piece of a line that is too long",
                    _ => "a line of the envelope itself",
                };
                if args.json {
                    json::without_parser(out, what);
                } else {
                    writeln!(out, "{what}")?;
                }
                Ok(true)
            }
        }
    }

    fn attempts(&mut self, line: &[u8]) -> Vec<Attempt> {
        let candidates = self.candidates.iter_mut();
        candidates
            .map(|candidate| candidate.attempt(line))
            .collect()
    }

    /// Explains a record, or the whole line that it was taken out of when only that can be read.
    fn record<'l>(
        &mut self,
        out: &mut Vec<u8>,
        mut line: &'l [u8],
        mut whole: Option<&'l [u8]>,
        args: &ExplainArgs,
    ) -> io::Result<bool> {
        let is_read = |attempt: &Attempt| matches!(attempt, Attempt::Read(_));
        let mut attempts = self.attempts(line);
        if let Some(text) = whole.take_if(|_| !attempts.is_empty())
            && !attempts.iter().any(is_read)
        {
            let others = self.attempts(text);
            if others.iter().any(is_read) {
                (line, attempts) = (text, others);
            }
        }
        // Every parser hears what a file says of its columns.
        for (explainer, attempt) in self.explainers.iter_mut().zip(&attempts) {
            if matches!(attempt, Attempt::Directive) {
                let _heard = explainer.fields.next(line);
            }
        }
        // Who failed matters only where nobody read it.
        if !args.json && !attempts.iter().any(is_read) {
            let tried = self.explainers.iter().zip(&attempts);
            let failed = tried.filter_map(|(parser, attempt)| Some((parser, reason(attempt)?)));
            text::none_read(out, failed.collect(), line, args.raw)?;
        }
        // Of parsers that were named, the first that reads a line counts it.
        let first = attempts.iter().position(is_read);
        let chosen = first.filter(|_| !args.parser.is_empty());
        let chosen = chosen.unwrap_or_else(|| best(&attempts));
        let Some(explainer) = self.explainers.get_mut(chosen) else {
            json::without_parser(out, "no parser");
            return Ok(false);
        };
        let (line, read) = explainer.fields.next_of(line, whole);
        match read {
            Ok((_, time)) if args.json => json::read(out, explainer, line, time),
            Ok(read) => text::read(out, explainer, line, read, args.raw)?,
            Err(reason) => {
                if args.json {
                    json::not_read(out, explainer, reason);
                } else if attempts.is_empty() {
                    text::not_read(out, explainer, line, reason, args.raw)?;
                }
                return Ok(matches!(reason, NoFields::Directive));
            }
        }
        Ok(true)
    }
}

/// The attempt that reads the line best; when none does, the one that got furthest. The first of equals.
fn best(attempts: &[Attempt]) -> usize {
    let rank = |attempt: &Attempt| match attempt {
        Attempt::Read(score) => (2, *score),
        Attempt::Directive | Attempt::BadTime => (1, 0),
        Attempt::Failed(mismatch) => (0, u64::from(mismatch.at)),
    };
    let all = attempts.iter().map(rank).enumerate();
    let best = all.rev().max_by_key(|(_, rank)| *rank);
    best.map_or(0, |(number, _)| number)
}

fn reason(attempt: &Attempt) -> Option<NoFields> {
    match attempt {
        Attempt::Read(_) => None,
        Attempt::Directive => Some(NoFields::Directive),
        Attempt::BadTime => Some(NoFields::BadTime),
        Attempt::Failed(mismatch) => Some(NoFields::Mismatch(*mismatch)),
    }
}

/// One parser with everything that explains its lines.
struct Explainer<'e> {
    compiled: &'e Compiled,
    engine: &'e Engine,
    fields: FieldReader<'e>,
    evaluator: Evaluator,
    geo: GeoCache,
    groups: Vec<Group>,
    told: Told,
}

/// What is said of a group of rules, whatever the record.
struct Group {
    text: String,
    json: Vec<u8>,
}

impl<'e> Explainer<'e> {
    fn new(engine: &'e Engine, compiled: &'e Compiled, metrics: &Arc<Vec<Metric>>) -> Self {
        let groups = compiled.rules.groups().map(|(rules, numbers)| {
            let numbers = numbers.iter().filter_map(|&number| metrics.get(number));
            let names: Vec<&str> = numbers.map(|metric| metric.name.as_str()).collect();
            Group {
                text: format!("{rules} ({})", names.join(", ")),
                json: json::group(rules, names.into_iter()),
            }
        });
        let (format, wanted) = (&compiled.format, &compiled.rules.wanted);
        Explainer {
            compiled,
            engine,
            fields: FieldReader::new(format, &engine.zone, &[], wanted),
            evaluator: compiled.evaluator(&engine.trusted, &engine.geo),
            geo: GeoCache::new(Arc::clone(&engine.geo)),
            groups: groups.collect(),
            told: Told::new(metrics),
        }
    }

    /// Asks the rules about the line that was read last.
    fn tell(&mut self, line: &[u8], time: EventTime) {
        let moment = Moment {
            seconds: time.seconds,
            nanos: time.nanos,
            position: 0,
        };
        self.told.clear();
        self.evaluator
            .account(line, self.fields.spans(), moment, &mut self.told);
    }

    /// The client walks of the line that was read last.
    fn clients(&mut self, line: &[u8]) -> Vec<Client> {
        let walks = self.evaluator.clients(line, self.fields.spans());
        let walks = walks.iter();
        walks
            .map(|walk| Client::of(walk, &self.engine.trusted, &mut self.geo))
            .collect()
    }
}
