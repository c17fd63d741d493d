//! The beginning of logs, counted: what `cost` and `diff` compare.
//!
//! All lines fall into one window, so that a series is its labels and its total.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::sync::Arc;

use super::sample::Sample;
use crate::commands::Failure;
use crate::commands::detect;
use crate::commands::engine::{Compiled, Engine, Selection};
use crate::commands::inputs::expanded;
use crate::commands::replay::merge::Survey;
use crate::commands::replay::runs::Runs;
use crate::definition::{At, Catalog, RuleSetDefinition};
use crate::diagnostic::{Place, Untrusted};
use crate::metrics::run::Merge;
use crate::metrics::{Decimal, Metric};
use crate::parse::Format;
use crate::pipeline::{Counter, Pipeline, TimeRange, Windows};

/// Any second, all in one window.
#[derive(Clone, Copy, Debug)]
struct OneWindow;

impl Windows for OneWindow {
    fn start(&mut self, _: i64) -> i64 {
        0
    }
}

/// Every time.
const ALWAYS: TimeRange = TimeRange::asked(i64::MIN, i64::MAX);

/// A pipeline of one format.
fn single(engine: &Engine, compiled: &Compiled) -> Pipeline<OneWindow> {
    let evaluator = compiled.evaluator(&engine.trusted, &engine.geo);
    let reader = compiled.format.reader(&compiled.rules.wanted, &engine.zone);
    let counter = Counter::new(reader, evaluator);
    Pipeline::new(vec![counter], ALWAYS, OneWindow, None)
}

/// A log's name and its first lines.
pub(super) struct Log {
    pub(super) name: String,
    pub(super) sample: Sample,
}

/// Reads the first lines of all logs together.
///
/// # Errors
/// Logs that are not there.
pub(super) fn logs(paths: &[OsString], lines: u64) -> Result<Vec<Log>, Failure> {
    let (mut left, mut logs) = (lines, Vec::new());
    for input in expanded(paths)? {
        let sample = Sample::of(&input, left)?;
        left -= left.min(memchr::memchr_iter(b'\n', &sample.text).count() as u64);
        let name = Untrusted(input.path.as_os_str().as_encoded_bytes()).to_string();
        logs.push(Log { name, sample });
    }
    Ok(logs)
}

/// What one log gave.
pub(super) struct Read {
    /// The parser, when one was found.
    pub(super) parser: Option<String>,
    /// Whether each line that is not blank was read.
    pub(super) lines: Vec<bool>,
}

/// All logs, counted by one side's parser and rules.
pub(super) struct Counted {
    pub(super) logs: Vec<Read>,
    pub(super) metrics: Arc<Vec<Metric>>,
    /// Bytes that the counts took in memory.
    pub(super) bytes: usize,
    runs: Runs,
}

/// What is to count: a format, or the rules for whatever format a log has.
pub(super) struct Side {
    format: Option<String>,
    rules: Vec<At<String>>,
}

impl Side {
    /// A parser's name or file, a rule set's name, or `auto`; `rules` win over what that implies.
    ///
    /// # Errors
    /// Unknown names and mistakes in files.
    pub(super) fn of(engine: &mut Engine, name: &str, rules: &[String]) -> Result<Side, Failure> {
        let at = |flag: &str, name: &String| At {
            value: name.clone(),
            place: Place::argument(flag, name),
        };
        let mut rules: Vec<At<String>> = rules.iter().map(|name| at("--rules", name)).collect();
        if rules.is_empty() {
            rules.clone_from(&engine.rules);
        }
        let named = name.to_owned();
        if name == "auto" {
            return Ok(Side {
                format: None,
                rules,
            });
        }
        let catalog: &Catalog = &engine.catalog;
        if catalog.format(name).is_err() && catalog.rule_set(name).is_ok() {
            let rules = vec![at("", &named)];
            return Ok(Side {
                format: None,
                rules,
            });
        }
        let found = engine.parsers_at(&[at("", &named)])?;
        Ok(Side {
            format: found.into_iter().next(),
            rules,
        })
    }

    /// The parser of a log: that of the side, or the one that reads its beginning best.
    fn parser(&self, candidates: &[Format], log: &Log) -> Option<String> {
        if self.format.is_some() {
            return self.format.clone();
        }
        let best = detect::rank(candidates, &log.sample.text)
            .into_iter()
            .next()?;
        let best = Some(best).filter(|fit| fit.read > 0)?;
        Some(candidates.get(best.candidate)?.name.clone())
    }

    /// The rule sets that count a format's records.
    pub(super) fn sets<'e>(
        &self,
        engine: &'e Engine,
        format: &str,
    ) -> Result<Vec<&'e RuleSetDefinition>, Failure> {
        Ok(engine.rule_sets_named(format, &self.rules)?)
    }
}

/// Counts all logs.
///
/// # Errors
/// Mistakes in formats and rules.
pub(super) fn count(engine: &Engine, side: &Side, logs: &[Log]) -> Result<Counted, Failure> {
    let candidates = engine.candidates()?;
    let parsers: Vec<Option<String>> = logs
        .iter()
        .map(|log| side.parser(&candidates, log))
        .collect();
    let mut names: Vec<String> = parsers.iter().flatten().cloned().collect();
    names.sort();
    names.dedup();
    let mut sets = Vec::new();
    for name in &names {
        sets.push(side.sets(engine, name)?);
    }
    let (compiled, metrics) = engine.compile_with(&names, &sets, &Selection::default())?;
    let mut counted = Counted {
        logs: Vec::new(),
        metrics,
        bytes: 0,
        runs: Runs::default(),
    };
    for (log, parser) in logs.iter().zip(parsers) {
        let number = names.iter().position(|name| Some(name) == parser.as_ref());
        let compiled = number.and_then(|number| compiled.get(number));
        let lines = match compiled {
            Some(compiled) => counted.add(engine, compiled, log).map_err(io_failure)?,
            None => vec![false; log.sample.lines().count()],
        };
        counted.logs.push(Read { parser, lines });
    }
    Ok(counted)
}

pub(super) fn io_failure(error: io::Error) -> Failure {
    Failure::Other(anyhow::Error::from(error).context("cannot add up counts"))
}

impl Counted {
    fn add(&mut self, engine: &Engine, compiled: &Compiled, log: &Log) -> io::Result<Vec<bool>> {
        let mut pipeline = single(engine, compiled);
        let mut lines = Vec::new();
        for line in log.sample.lines() {
            let before = pipeline.counts.unparsed;
            pipeline.block(line, 0, &mut |_, _, _, _| {});
            lines.push(pipeline.counts.unparsed == before);
        }
        self.bytes += pipeline.bytes();
        for counter in pipeline.counters() {
            self.runs.keep(&mut counter.table)?;
        }
        Ok(lines)
    }

    /// What the limits on series leave out.
    pub(super) fn survey(&self) -> io::Result<Survey> {
        Survey::of(&self.runs, &self.metrics)
    }

    /// Every series with its key and its total, limits aside.
    pub(super) fn series(&self, mut seen: impl FnMut(&[u8], &Metric, Decimal)) -> io::Result<()> {
        let mut merge = Merge::new(self.runs.open()?, &self.metrics)?;
        let mut cell = Vec::new();
        while let Some((key, metric)) = merge.next_series()? {
            let key = key.to_vec();
            let mut total = Decimal::ZERO;
            while merge.next_point(&mut cell)?.is_some() {
                total = total.plus(metric.kind.amount(&cell));
            }
            seen(&key, metric, total);
        }
        Ok(())
    }

    /// Each parser with the lines it read and those there were, in the order of the logs.
    pub(super) fn accounts(&self, logs: &[Log]) -> String {
        let mut text = String::new();
        for (log, read) in logs.iter().zip(&self.logs) {
            let parser = read.parser.as_deref().unwrap_or("no parser");
            let count = read.lines.iter().filter(|read| **read).count();
            let more = if log.sample.more {
                "; the log goes on"
            } else {
                ""
            };
            let (name, all) = (&log.name, read.lines.len());
            text.push_str(&format!(
                "{name}: {parser} reads {count} of {all} lines{more}\n"
            ));
        }
        text
    }
}

/// Totals by the name of the series.
pub(super) fn totals(counted: &Counted) -> io::Result<BTreeMap<String, Decimal>> {
    let mut totals = BTreeMap::new();
    counted.series(|key, metric, total| {
        let labels = crate::metrics::series::labels_of(key);
        totals.insert(
            crate::commands::examples::series_name(metric, &labels),
            total,
        );
    })?;
    Ok(totals)
}
