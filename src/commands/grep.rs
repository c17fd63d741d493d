//! `beacontail grep`: the raw lines behind a series.
//!
//! Matchers may name labels and fields. With a label among them, the metrics that have all labels
//! named are asked, and a line is printed when one of them counts it with these values; with none,
//! the fields alone decide.

use std::io::{self, BufWriter, Write};

use super::engine::{Compiled, Engine, Selection};
use super::inputs::{Wanted, choose, expanded, resumed};
use super::{Done, Failure, say, times};
use crate::cli::GrepArgs;
use crate::definition::{At, MetricDefinition, MetricType, RuleSetDefinition};
use crate::diagnostic::{Diagnostic, Place, Untrusted};
use crate::geo::mask_addresses;
use crate::parse::{Envelopes, Line, Reader};
use crate::pipeline::TimeRange;
use crate::record::Span;
use crate::rule::matcher::{self, Matcher};
use crate::rule::{Evaluator, Vars};
use crate::source::{Archive, ArchiveError, Block, Blocks, Input, InputKind, Limits, MAX_LINE};

/// Runs the command.
///
/// # Errors
/// The user's mistakes, unreadable inputs and I/O errors.
pub(crate) fn run(args: &GrepArgs) -> Result<Done, Failure> {
    let mut engine = Engine::open(&args.parsers)?;
    let zone = times::zone(&args.parsers.timezone);
    let range = times::range(args.since.as_deref(), args.until.as_deref(), &zone)?;
    let named = engine.parsers(&args.parser)?;
    let limits = Limits::default();
    let found = expanded(&args.paths)?;
    let mut stdin = None;
    let wanted = Wanted {
        named: &named,
        paths: &args.paths,
        limits,
        partial: false,
    };
    let chosen = choose(
        &engine,
        &wanted,
        &found,
        &vec![None; found.len()],
        &mut stdin,
    )?;
    for reason in &chosen.left_out {
        say(&format!("note: left out: {reason}"));
    }
    let sets = question_sets(&engine, &chosen.parsers, &args.matchers)?;
    let sets_of: Vec<Vec<&RuleSetDefinition>> = chosen
        .parsers
        .iter()
        .map(|_| sets.iter().collect())
        .collect();
    let compiled = engine.compile_with(&chosen.parsers, &sets_of, &Selection::default());
    let (compiled, _) = compiled.map_err(said_once)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut search = Search {
        args,
        range,
        left: args.max.unwrap_or(u64::MAX),
        masked: Vec::new(),
        envelopes: None,
    };
    let mut errors = Vec::new();
    for (input, choice) in found.iter().zip(&chosen.inputs) {
        let mut parsers: Vec<Asked> = choice
            .parsers
            .iter()
            .filter_map(|&n| Some(Asked::new(&engine, compiled.get(n)?)))
            .collect();
        search.envelopes = choice.in_pieces.then(|| Envelopes::new(MAX_LINE));
        match search.input(
            input,
            stdin.take_if(|_| input.kind == InputKind::Stdin),
            limits,
            &mut parsers,
            &mut out,
        ) {
            Ok(()) => {}
            Err(Stop::Reading(error)) => errors.push(error.to_string()),
            Err(Stop::Writing(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                return Ok(Done::Complete);
            }
            Err(Stop::Writing(error)) => return Err(Failure::Other(error.into())),
        }
    }
    out.flush().map_err(|error| Failure::Other(error.into()))?;
    for error in &errors {
        say(&format!("error: {error}"));
    }
    Ok(if errors.is_empty() {
        Done::Complete
    } else {
        Done::Incomplete
    })
}

/// One question is asked of several rule sets; what is wrong with it is wrong once.
fn said_once(mut mistakes: Vec<Diagnostic>) -> Vec<Diagnostic> {
    mistakes.dedup_by(|a, b| a.message == b.message);
    mistakes
}

/// A series or matchers as rule sets of the metrics that are asked.
fn question_sets(
    engine: &Engine,
    formats: &[String],
    text: &str,
) -> Result<Vec<RuleSetDefinition>, Vec<Diagnostic>> {
    let (metric, matchers) = match text.split_once('{') {
        Some((name, rest)) if !name.is_empty() && !name.contains(['=', '"']) => {
            (Some(name.trim()), format!("{{{rest}"))
        }
        _ => (None, text.to_owned()),
    };
    let mut sets: Vec<&RuleSetDefinition> = Vec::new();
    for name in formats {
        let wanted: Vec<String> = metric.iter().map(ToString::to_string).collect();
        for set in engine.rule_sets(name, &wanted)? {
            if !sets.iter().any(|known| known.name == set.name) {
                sets.push(set);
            }
        }
    }
    let written = At {
        value: matchers.clone(),
        place: Place::argument("grep", &matchers),
    };
    let mut questions = Vec::new();
    let is_label = |name: &str| {
        sets.iter()
            .flat_map(|set| &set.metrics)
            .any(|metric| metric.labels.iter().any(|(label, _)| label.value == name))
    };
    for set in &sets {
        let vars = Vars::of(set, &engine.vars);
        let parsed = matcher::parse(&written, &vars).map_err(|mistake| vec![mistake])?;
        let labels: Vec<&str> = parsed
            .iter()
            .map(|matcher| matcher.field.as_str())
            .filter(|name| is_label(name))
            .collect();
        let mut question = (*set).clone();
        question.metrics = set
            .metrics
            .iter()
            .filter(|definition| {
                let named = metric.is_none_or(|name| definition.name.value == name);
                named
                    && labels.iter().all(|name| {
                        definition
                            .labels
                            .iter()
                            .any(|(label, _)| label.value == **name)
                    })
            })
            .map(|definition| asked(definition, &parsed, labels.is_empty() && metric.is_none()))
            .collect();
        question.metrics.dedup_by(|a, b| {
            a.matchers.as_ref().map(|m| &m.value) == b.matchers.as_ref().map(|m| &m.value)
        });
        questions.push(question);
    }
    if questions.iter().all(|question| question.metrics.is_empty()) {
        let place = Place::argument("grep", text);
        let help = "labels come from the metrics of the rule sets: `beacontail parsers list`, or name a set with --rules";
        return Err(vec![
            place
                .error("no metric has these labels", "nothing can match")
                .help(help),
        ]);
    }
    Ok(questions)
}

/// The metric's own matchers and those asked, labels replaced by the fields that give them.
fn asked(
    definition: &MetricDefinition,
    matchers: &[Matcher],
    fields_only: bool,
) -> MetricDefinition {
    let own = definition
        .matchers
        .as_ref()
        .filter(|_| !fields_only)
        .map(|own| bare(&own.value).to_owned());
    let given = matchers.iter().map(|matcher| {
        let field = definition
            .labels
            .iter()
            .find(|(label, _)| label.value == matcher.field);
        let name = field.map_or(matcher.field.as_str(), |(_, field)| field.value.as_str());
        format!(
            "{name}{}",
            matcher.text.get(matcher.field.len()..).unwrap_or_default()
        )
    });
    let own = own.into_iter().filter(|own| !own.is_empty());
    let text = own.chain(given).collect::<Vec<_>>().join(", ");
    MetricDefinition {
        kind: MetricType::Counter,
        matchers: Some(At {
            place: Place::argument("grep", &text),
            value: text,
        }),
        labels: Vec::new(),
        value: None,
        buckets: Vec::new(),
        weight: None,
        near: None,
        graphite: Vec::new(),
        label_limits: Vec::new(),
        name: At {
            value: format!("{}_total", definition.name.value),
            place: definition.name.place.clone(),
        },
        ..definition.clone()
    }
}

/// Matchers without braces around them and without a comma at their end, so that more can follow.
fn bare(matchers: &str) -> &str {
    let text = matchers.trim();
    let inside = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'));
    inside.unwrap_or(text).trim().trim_end_matches(',')
}

/// A parser whose rules are the question.
struct Asked {
    reader: Reader,
    evaluator: Evaluator,
    spans: Vec<Span>,
}

impl Asked {
    fn new(engine: &Engine, compiled: &Compiled) -> Asked {
        let reader = compiled.format.reader(&compiled.rules.wanted, &engine.zone);
        Asked {
            spans: vec![Span::ABSENT; reader.spans()],
            evaluator: compiled.evaluator(&engine.trusted, &engine.geo),
            reader,
        }
    }

    /// Whether the line is read, and whether it answers the question.
    fn answers(&mut self, line: &[u8], range: TimeRange) -> Option<bool> {
        let Ok(Line::Record(_)) = self.reader.read(line, &mut self.spans) else {
            return None;
        };
        let (time, _) = self.reader.time(line, &self.spans).ok()?;
        let inside = time.seconds >= range.since && time.seconds < range.until;
        Some(inside && self.evaluator.matches(line, &self.spans))
    }
}

enum Stop {
    Reading(ArchiveError),
    Writing(io::Error),
}

struct Search<'a> {
    args: &'a GrepArgs,
    range: TimeRange,
    left: u64,
    masked: Vec<u8>,
    /// Of the input at hand, when its lines are cut or escaped.
    envelopes: Option<Envelopes>,
}

impl Search<'_> {
    fn input(
        &mut self,
        input: &Input,
        opened: Option<(Archive, Vec<u8>)>,
        limits: Limits,
        parsers: &mut [Asked],
        out: &mut impl Write,
    ) -> Result<(), Stop> {
        let opened = opened.map_or_else(
            || Archive::open(&input.path, limits).map(|archive| (archive, Vec::new())),
            Ok,
        );
        let (archive, head) = opened.map_err(Stop::Reading)?;
        let mut blocks = Blocks::new(resumed(head, archive), MAX_LINE);
        while let Some(block) = blocks.next_block().map_err(Stop::Reading)? {
            let Block::Lines { bytes, .. } = block else {
                continue;
            };
            for line in bytes.split(|&byte| byte == b'\n') {
                if self.left == 0 {
                    return Ok(());
                }
                self.line(line, parsers, out).map_err(Stop::Writing)?;
            }
        }
        Ok(())
    }

    /// Prints a line that answers the question, out of its envelope where that escapes or cuts it;
    /// raw, with an envelope that does not cut it.
    fn line(&mut self, line: &[u8], parsers: &mut [Asked], out: &mut impl Write) -> io::Result<()> {
        let trimmed = line.strip_suffix(b"\r").unwrap_or(line);
        let mut envelopes = self.envelopes.take();
        let is_bare = envelopes.is_none();
        let opened = envelopes
            .as_mut()
            .map_or(Some((trimmed, None)), |envelopes| {
                envelopes.open(trimmed).record(trimmed)
            });
        let written = match opened {
            None => Ok(()),
            Some((record, whole)) => {
                let mut ask = |line: &[u8]| {
                    let mut answers = parsers.iter_mut();
                    answers.find_map(|parser| parser.answers(line, self.range))
                };
                match ask(record).or_else(|| ask(whole?)) {
                    Some(true) if is_bare => self.print(line, out),
                    // Escapes would hide an address from the mask.
                    Some(true) if self.args.raw => self.print(whole.unwrap_or(record), out),
                    Some(true) => self.print(record, out),
                    _ => Ok(()),
                }
            }
        };
        self.envelopes = envelopes;
        written
    }

    fn print(&mut self, line: &[u8], out: &mut impl Write) -> io::Result<()> {
        self.left -= 1;
        if self.args.raw {
            out.write_all(line)?;
            return out.write_all(b"\n");
        }
        self.masked.clear();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        mask_addresses(line, &mut self.masked);
        writeln!(out, "{}", Untrusted(&self.masked))
    }
}
