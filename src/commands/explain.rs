//! `beacontail explain`: what becomes of a line.

use std::io::{self, BufRead as _, BufWriter, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::engine::{Compiled, Engine, Selection};
use super::examples::{OneWindow, counted, reason_text, single};
use super::fields::{FieldReader, LineFields, NoFields};
use super::{Done, Failure, mask_line};
use crate::cli::ExplainArgs;
use crate::diagnostic::Untrusted;
use crate::geo::{GeoCache, Place, mask, walk_steps};
use crate::metrics::Metric;
use crate::parse::{Envelopes, Opened, Reader};
use crate::pipeline::Pipeline;
use crate::record::{Reading, Span};
use crate::rule::{Evaluator, Verdict};
use crate::source::MAX_LINE;

/// Runs the command.
///
/// # Errors
/// The user's mistakes and I/O errors.
pub(crate) fn run(args: &ExplainArgs) -> Result<Done, Failure> {
    let mut engine = Engine::open(&args.parsers)?;
    let named: Vec<String> = args.parser.iter().cloned().collect();
    let mut names = engine.parsers(&named)?;
    if names.is_empty() {
        names = engine
            .catalog
            .detection_order()
            .iter()
            .map(|entry| entry.definition.name.clone())
            .collect();
    }
    let (compiled, metrics) = engine.compile(&names, &Selection::default())?;
    let mut parsers: Vec<Explainer<'_>> = compiled
        .iter()
        .map(|compiled| Explainer::new(&engine, compiled, &metrics))
        .collect();
    let mut out = BufWriter::new(io::stdout().lock());
    let result = if args.line.as_bytes() == b"-" {
        lines(&mut out, &mut parsers, args)
    } else {
        let mut envelopes = Envelopes::new(MAX_LINE);
        let text = args.line.as_bytes();
        line(&mut out, &mut parsers, &mut envelopes, text, args)
    };
    match result.and_then(|read| out.flush().map(|()| read)) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Done::Complete),
        Err(error) => Err(Failure::Other(error.into())),
        Ok(read) => Ok(if read {
            Done::Complete
        } else {
            Done::Incomplete
        }),
    }
}

/// All lines of standard input; true when every one was read.
fn lines(
    out: &mut impl Write,
    parsers: &mut [Explainer<'_>],
    args: &ExplainArgs,
) -> io::Result<bool> {
    let mut input = io::stdin().lock();
    let (mut buffer, mut all) = (Vec::new(), true);
    let mut envelopes = Envelopes::new(MAX_LINE);
    loop {
        buffer.clear();
        if input.read_until(b'\n', &mut buffer)? == 0 {
            return Ok(all);
        }
        let text = buffer.strip_suffix(b"\n").unwrap_or(&buffer);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        all &= line(out, parsers, &mut envelopes, text, args)?;
    }
}

/// One line out of its envelope; false when no parser reads it.
fn line(
    out: &mut impl Write,
    parsers: &mut [Explainer<'_>],
    envelopes: &mut Envelopes,
    line: &[u8],
    args: &ExplainArgs,
) -> io::Result<bool> {
    let opened = envelopes.open(line);
    let Some((text, whole)) = opened.record(line) else {
        let what = match opened {
            Opened::Piece => "a piece of a line: what it is shows with the last piece",
            Opened::TooLong => "the last piece of a line that is too long",
            _ => "a line of the envelope itself",
        };
        if args.json {
            writeln!(out, "{}", without_parser(what))?;
        } else {
            writeln!(out, "{what}")?;
        }
        return Ok(true);
    };
    let mut read = |line: &[u8]| -> Vec<Result<LineFields, NoFields>> {
        let parsers = parsers.iter_mut();
        parsers.map(|parser| parser.fields.read(line)).collect()
    };
    let attempts = read(text);
    if let Some(whole) = whole.filter(|_| attempts.iter().all(Result::is_err)) {
        let others = read(whole);
        if others.iter().any(Result::is_ok) {
            return record(out, parsers, whole, &others, args);
        }
    }
    record(out, parsers, text, &attempts, args)
}

fn without_parser(why: &str) -> Value {
    json!({"parser": null, "ok": false, "error": why, "time": null, "fields": {}, "counts": {}})
}

/// What all parsers made of one record; false when none reads it.
fn record(
    out: &mut impl Write,
    parsers: &mut [Explainer<'_>],
    line: &[u8],
    attempts: &[Result<LineFields, NoFields>],
    args: &ExplainArgs,
) -> io::Result<bool> {
    let best = best(attempts);
    if args.json {
        let object =
            match best.and_then(|number| Some((parsers.get_mut(number)?, attempts.get(number)?))) {
                Some((parser, Ok(fields))) => parser.json(line, fields),
                Some((parser, Err(reason))) => parser.json_of_failure(reason),
                None => without_parser("no parser"),
            };
        writeln!(out, "{object}")?;
    } else {
        for (parser, attempt) in parsers.iter().zip(attempts) {
            if let Err(reason) = attempt {
                parser.show_failure(out, line, reason, args.raw)?;
            }
        }
        if let Some((parser, Ok(fields))) =
            best.and_then(|number| Some((parsers.get_mut(number)?, attempts.get(number)?)))
        {
            parser.show(out, line, fields, args.raw)?;
        }
    }
    Ok(best
        .and_then(|number| attempts.get(number))
        .is_some_and(Result::is_ok))
}

/// The attempt that reads the line best; when none does, the one that got furthest.
fn best(attempts: &[Result<LineFields, NoFields>]) -> Option<usize> {
    let rank = |attempt: &Result<LineFields, NoFields>| match attempt {
        Ok(LineFields {
            reading: Reading::Exact,
            ..
        }) => u64::MAX,
        Ok(LineFields {
            reading: Reading::Extra,
            ..
        }) => u64::MAX - 1,
        Ok(LineFields {
            reading: Reading::Partial,
            ..
        }) => u64::MAX - 2,
        Err(NoFields::BadTime | NoFields::Directive) => u64::MAX - 3,
        Err(NoFields::Mismatch(mismatch)) => u64::from(mismatch.at),
    };
    (0..attempts.len())
        .rev()
        .max_by_key(|&number| attempts.get(number).map(rank))
}

/// One parser with everything that explains its lines.
struct Explainer<'e> {
    compiled: &'e Compiled,
    engine: &'e Engine,
    metrics: Arc<Vec<Metric>>,
    fields: FieldReader<'e>,
    pipeline: Pipeline<OneWindow>,
    reader: Reader,
    evaluator: Evaluator,
    spans: Vec<Span>,
}

impl<'e> Explainer<'e> {
    fn new(
        engine: &'e Engine,
        compiled: &'e Compiled,
        metrics: &Arc<Vec<Metric>>,
    ) -> Explainer<'e> {
        let reader = compiled.format.reader(&compiled.rules.wanted, &engine.zone);
        Explainer {
            compiled,
            engine,
            metrics: Arc::clone(metrics),
            fields: FieldReader::new(&compiled.format, &engine.zone, &[]),
            pipeline: single(engine, compiled),
            spans: vec![Span::ABSENT; reader.spans()],
            reader,
            evaluator: compiled.evaluator(&engine.trusted, &engine.geo),
        }
    }

    /// Series and amounts that the line feeds.
    fn counts(&mut self, line: &[u8]) -> std::collections::BTreeMap<String, String> {
        self.pipeline.block(line, 0, &mut |_, _, _, _| {});
        let metrics = Arc::clone(&self.metrics);
        let mut all = std::collections::BTreeMap::new();
        for counter in self.pipeline.counters() {
            all.extend(counted(&mut counter.table, &metrics));
            counter.evaluator().forget();
        }
        all
    }

    fn json(&mut self, line: &[u8], read: &LineFields) -> Value {
        let counts: Map<String, Value> = self
            .counts(line)
            .into_iter()
            .map(|(series, amount)| (series, number(&amount)))
            .collect();
        json!({
            "parser": self.compiled.format.name, "ok": true, "error": null, "time": read.time.to_string(),
            "fields": read.fields, "counts": counts,
        })
    }

    fn json_of_failure(&self, reason: &NoFields) -> Value {
        json!({
            "parser": self.compiled.format.name, "ok": false, "error": reason_text(reason, &self.compiled.format),
            "time": null, "fields": {}, "counts": {},
        })
    }

    fn show_failure(
        &self,
        out: &mut impl Write,
        line: &[u8],
        reason: &NoFields,
        raw: bool,
    ) -> io::Result<()> {
        writeln!(
            out,
            "{}: not read, {}",
            self.compiled.format.name,
            reason_text(reason, &self.compiled.format)
        )?;
        if let NoFields::Mismatch(mismatch) = reason {
            let at = (mismatch.at as usize).min(line.len());
            let (line, at) = if raw {
                (line.to_vec(), at)
            } else {
                mask_line(line, at)
            };
            let at = at.min(line.len());
            let (read, rest) = line.split_at(at);
            let from = read.len().saturating_sub(60);
            let read = Untrusted(read.get(from..).unwrap_or_default()).to_string();
            writeln!(out, "    {read}{}", Untrusted(rest).shortened(60))?;
            writeln!(out, "    {}^", " ".repeat(read.chars().count()))?;
        }
        Ok(())
    }

    fn show(
        &mut self,
        out: &mut impl Write,
        line: &[u8],
        read: &LineFields,
        raw: bool,
    ) -> io::Result<()> {
        let how = match read.reading {
            Reading::Exact => "",
            Reading::Extra => ", with more text behind its fields",
            Reading::Partial => ", leniently: some fields are missing or cut",
        };
        writeln!(
            out,
            "{}: read{how}\n  time  {}",
            self.compiled.format.name, read.time
        )?;
        writeln!(out, "\nfields")?;
        let width = read
            .fields
            .keys()
            .map(String::len)
            .max()
            .unwrap_or_default();
        for (name, value) in &read.fields {
            writeln!(
                out,
                "  {name:width$}  {}",
                Untrusted(&shown(value, raw)).shortened(300)
            )?;
        }
        if self.reader.read(line, &mut self.spans).is_ok() {
            self.show_clients(out, line, raw)?;
            self.show_rules(out, line)?;
        }
        writeln!(out, "\ncounts")?;
        let counts = self.counts(line);
        for (series, amount) in &counts {
            writeln!(out, "  {} {amount}", Untrusted(series.as_bytes()))?;
        }
        if counts.is_empty() {
            writeln!(out, "  nothing")?;
        }
        Ok(())
    }

    fn show_clients(&mut self, out: &mut impl Write, line: &[u8], raw: bool) -> io::Result<()> {
        for walk in self.evaluator.clients(line, &self.spans) {
            writeln!(out, "\nclient, from the right")?;
            let sources: Vec<Option<&[u8]>> = walk.sources.iter().map(Option::as_deref).collect();
            for step in walk_steps(&sources, &self.engine.trusted.proxies) {
                let text = shown(&String::from_utf8_lossy(step.text), raw);
                writeln!(out, "  {}  {}", Untrusted(&text), step.verdict)?;
            }
            if let Some(header) = walk.told_by {
                writeln!(out, "  {header}  believed")?;
            }
            let Some(address) = walk.answer else {
                writeln!(out, "  the client is not known")?;
                continue;
            };
            let mut geo = GeoCache::new(Arc::clone(&self.engine.geo));
            let mut places = Vec::new();
            for place in Place::ALL {
                if let Some(text) = geo.answer(address, place) {
                    places.push(format!("{} {}", place.name(), Untrusted(text)));
                }
            }
            let address = if raw {
                address.to_string()
            } else {
                mask(address).to_string()
            };
            let places = if places.is_empty() {
                "place unknown".to_owned()
            } else {
                places.join(", ")
            };
            writeln!(out, "  client {address}: {places}")?;
        }
        Ok(())
    }

    fn show_rules(&mut self, out: &mut impl Write, line: &[u8]) -> io::Result<()> {
        writeln!(out, "\nrules")?;
        for Verdict {
            rules,
            metrics,
            failed,
            near,
        } in self.evaluator.verdicts(line, &self.spans)
        {
            let names: Vec<&str> = metrics
                .iter()
                .filter_map(|&number| self.metrics.get(number))
                .map(|metric| metric.name.as_str())
                .collect();
            let verdict = match failed {
                None => "counts".to_owned(),
                Some((matcher, value)) => format!(
                    "{}: {matcher} fails on `{}`",
                    if near { "a near miss" } else { "no" },
                    Untrusted(&value).shortened(80)
                ),
            };
            writeln!(out, "  {rules} ({}): {verdict}", names.join(", "))?;
        }
        Ok(())
    }
}

/// A value with addresses masked unless they are wanted.
fn shown(value: &str, raw: bool) -> Vec<u8> {
    if raw {
        return value.as_bytes().to_vec();
    }
    let mut masked = Vec::new();
    crate::geo::mask_addresses(value.as_bytes(), &mut masked);
    masked
}

/// An exact number where JSON has one.
fn number(amount: &str) -> Value {
    serde_json::from_str(amount).unwrap_or_else(|_| Value::from(amount))
}
