//! From arguments to a [`Job`]: inputs found, duplicates told, parsers detected, rules compiled,
//! work cut into tasks.

use std::io;
use std::sync::{Arc, Mutex};

use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use regex::bytes::Regex;

use super::job::{Job, ReplayInput, Task};
use super::runs::Runs;
use crate::cli::ReplayArgs;
use crate::commands::Failure;
use crate::commands::engine::{Engine, Selection};
use crate::commands::inputs::{Choice, Wanted, choose, expanded};
use crate::commands::times::{self, Steps};
use crate::diagnostic::{Diagnostic, Place};
use crate::metrics::MAX_LABELS;
use crate::pipeline::TimeRange;
use crate::source::{Input, InputKind, Limits, duplicates};

/// A plain file below this size is not split.
const SPLIT_FROM: u64 = 8 << 20;

/// Bytes of a plain file in one task, at least.
const RANGE: u64 = 4 << 20;

/// A job, and what to say before its result.
pub(super) struct Prepared {
    pub(super) job: Job,
    pub(super) threads: usize,
    pub(super) notices: Vec<String>,
}

/// Prepares a replay.
///
/// # Errors
/// Mistakes of the user, and inputs that cannot be read.
pub(super) fn prepare(args: &ReplayArgs) -> Result<Prepared, Failure> {
    let Arguments {
        mut engine,
        zone,
        range,
        labels,
        named,
    } = arguments(args)?;
    let limits = Limits {
        ratio: args.max_ratio,
        ..Limits::default()
    };
    let found = expanded(&args.paths)?;
    let same = if args.keep_duplicates {
        vec![None; found.len()]
    } else {
        duplicates(&found, limits)
    };
    let mut stdin = None;
    let wanted = Wanted {
        named: &named,
        paths: &args.paths,
        limits,
        partial: args.partial,
    };
    let chosen = choose(&engine, &wanted, &found, &same, &mut stdin)?;
    let selection = selection(args, &labels);
    let (compiled, metrics) = engine.compile(&chosen.parsers, &selection)?;
    let threads = threads(args);
    let inputs = replay_inputs(&found, same, chosen.inputs);
    let stateful: Vec<bool> = compiled
        .iter()
        .map(|compiled| compiled.format.is_stateful())
        .collect();
    let tasks = tasks(&inputs, &stateful, threads);
    let overlap = archives(&inputs) < threads;
    let asks_places = compiled.iter().any(|compiled| compiled.rules.asks_places());
    let mut notices = if asks_places {
        std::mem::take(&mut engine.notices)
    } else {
        Vec::new()
    };
    notices.extend(duplicate_notices(&inputs));
    notices.extend(
        chosen
            .left_out
            .iter()
            .map(|reason| format!("left out: {reason}")),
    );
    let job = Job {
        labels: found
            .iter()
            .map(|input| label_values(input, &labels))
            .collect(),
        progress: progress(&inputs),
        inputs,
        tasks,
        compiled,
        metrics,
        geo: Arc::clone(&engine.geo),
        trusted: Arc::clone(&engine.trusted),
        zone: engine.zone.clone(),
        range,
        steps: Steps::new(args.step, zone),
        may_skip: !args.metric.is_empty(),
        limits,
        line_bytes: usize::try_from(args.line_bytes).unwrap_or(1 << 20),
        memory_per_worker: usize::try_from(args.memory)
            .unwrap_or(24)
            .saturating_mul(1 << 20)
            / threads,
        overlap,
        runs: Runs::default(),
        stdin: Mutex::new(stdin),
        value_errors: Mutex::default(),
    };
    Ok(Prepared {
        job,
        threads,
        notices,
    })
}

/// What the command line says, checked as far as that needs no input.
struct Arguments {
    engine: Engine,
    zone: TimeZone,
    range: TimeRange,
    labels: Vec<(String, Regex)>,
    named: Vec<String>,
}

/// All mistakes of the command line and of parser files come together.
fn arguments(args: &ReplayArgs) -> Result<Arguments, Vec<Diagnostic>> {
    let zone = times::zone(&args.parsers.timezone);
    let mut mistakes = Vec::new();
    let mut engine = Engine::open(&args.parsers).map_err(|more| mistakes.extend(more));
    let named = match &mut engine {
        Ok(engine) => engine
            .parsers(&args.parser)
            .map_err(|more| mistakes.extend(more)),
        Err(()) => Err(()),
    };
    let range = times::range(args.since.as_deref(), args.until.as_deref(), &zone);
    let range = range.map_err(|more| mistakes.extend(more));
    let labels = path_labels(&args.label).map_err(|more| mistakes.extend(more));
    match (engine, named, range, labels) {
        (Ok(engine), Ok(named), Ok(range), Ok(labels)) => Ok(Arguments {
            engine,
            zone,
            range,
            labels,
            named,
        }),
        _ => Err(mistakes),
    }
}

fn selection(args: &ReplayArgs, labels: &[(String, Regex)]) -> Selection {
    let kept = |by: &Vec<String>| {
        by.iter()
            .filter(|label| !label.is_empty())
            .cloned()
            .collect()
    };
    Selection {
        metrics: args.metric.clone(),
        by: args.by.as_ref().map(kept),
        file_labels: labels.iter().map(|(name, _)| name.clone()).collect(),
    }
}

fn archives(inputs: &[ReplayInput]) -> usize {
    let read = inputs.iter().filter(|input| input.is_read());
    read.filter(|input| !input.plain).count()
}

fn replay_inputs(
    found: &[Input],
    same: Vec<Option<usize>>,
    choices: Vec<Choice>,
) -> Vec<ReplayInput> {
    let chosen = found.iter().zip(same).zip(choices);
    chosen
        .map(|((input, same), choice)| ReplayInput {
            path: input.path.clone(),
            kind: input.kind,
            size: input.size,
            parsers: choice.parsers,
            detected: choice.fit,
            duplicate_of: same,
            plain: choice.plain,
            in_pieces: choice.in_pieces,
            left_out: choice.left_out,
        })
        .collect()
}

fn threads(args: &ReplayArgs) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    args.threads.map_or_else(cores, usize::from)
}

/// `--label NAME=@REGEX`.
fn path_labels(texts: &[String]) -> Result<Vec<(String, Regex)>, Vec<Diagnostic>> {
    let (mut labels, mut mistakes) = (Vec::new(), Vec::new());
    for text in texts {
        let place = Place::argument("--label", text);
        let Some((name, pattern)) = text.split_once("=@") else {
            mistakes.push(
                place
                    .error("expected NAME=@REGEX", "no `=@`")
                    .help(r"--label 'host=@/([^/]+)/access\.log'"),
            );
            continue;
        };
        let again = labels.iter().any(|(known, _)| known == name);
        if again || labels.len() == MAX_LABELS {
            let message = if again {
                format!("label `{name}` is given twice")
            } else {
                format!("more than {MAX_LABELS} labels from paths")
            };
            mistakes.push(place.inside(0..name.len()).error(message, "one too many"));
        }
        let name_ok = !name.is_empty()
            && name != "le"
            && !name.starts_with("__")
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !name.starts_with(|c: char| c.is_ascii_digit());
        if !name_ok {
            mistakes.push(
                place
                    .inside(0..name.len())
                    .error(format!("`{name}` cannot be a label"), "not a label name"),
            );
        }
        match Regex::new(pattern) {
            Ok(regex) => labels.push((name.to_owned(), regex)),
            Err(_) => mistakes.push(
                place
                    .inside(name.len() + 2..text.len())
                    .error("this is not a regular expression", "in this pattern"),
            ),
        }
    }
    if mistakes.is_empty() {
        Ok(labels)
    } else {
        Err(mistakes)
    }
}

fn label_values(input: &Input, labels: &[(String, Regex)]) -> Vec<Vec<u8>> {
    let path = std::os::unix::ffi::OsStrExt::as_bytes(input.path.as_os_str());
    let value = |(_, regex): &(String, Regex)| {
        let groups = regex.captures(path)?;
        Some(groups.get(1).or(groups.get(0))?.as_bytes().to_vec())
    };
    labels
        .iter()
        .map(|label| value(label).unwrap_or_default())
        .collect()
}

/// One task for each input, several for a large plain file when there are threads for them.
fn tasks(inputs: &[ReplayInput], stateful: &[bool], threads: usize) -> Vec<Task> {
    let mut tasks = Vec::new();
    for (number, input) in inputs
        .iter()
        .enumerate()
        .filter(|(_, input)| input.is_read())
    {
        let whole = input
            .parsers
            .iter()
            .any(|&parser| stateful.get(parser) == Some(&true));
        if threads == 1
            || whole
            || input.in_pieces
            || !input.plain
            || input.kind == InputKind::Stdin
            || input.size < SPLIT_FROM
        {
            tasks.push(Task {
                input: number,
                range: None,
            });
            continue;
        }
        let parts = (input.size / RANGE).clamp(1, threads as u64 * 16);
        let length = input.size.div_ceil(parts);
        for start in (0..parts).map(|part| part * length) {
            let last = start + length >= input.size;
            let end = if last { u64::MAX } else { start + length };
            tasks.push(Task {
                input: number,
                range: Some(start..end),
            });
            if last {
                break;
            }
        }
    }
    tasks
}

fn duplicate_notices(inputs: &[ReplayInput]) -> Vec<String> {
    let shown = |input: &ReplayInput| {
        crate::diagnostic::Untrusted(input.path.as_os_str().as_encoded_bytes()).to_string()
    };
    let repeated = inputs
        .iter()
        .filter_map(|input| Some((input, inputs.get(input.duplicate_of?)?)));
    repeated
        .map(|(input, first)| {
            format!(
                "{} has the same content as {} and is counted once (--keep-duplicates counts both)",
                shown(input),
                shown(first)
            )
        })
        .collect()
}

/// Bytes, rate and time left on a terminal; nothing elsewhere.
fn progress(inputs: &[ReplayInput]) -> ProgressBar {
    use io::IsTerminal as _;
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let total = inputs
        .iter()
        .filter(|input| input.is_read())
        .map(|input| input.size)
        .sum();
    let bar = ProgressBar::new(total);
    let style =
        ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
