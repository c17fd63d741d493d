//! `beacontail replay`: archived logs to per-minute counts.
//!
//! [`run`] is the table of contents: prepare a job, let workers count, merge what they counted,
//! write it once. Nothing is written before every input was read to its end, unless `--partial`
//! asks for what there is.

mod job;
pub(super) mod merge;
mod prepare;
pub(super) mod runs;
mod tally;
mod worker;

use std::collections::HashMap;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::sync::PoisonError;
use std::sync::atomic::AtomicUsize;

use anyhow::Context as _;

use self::job::Job;
use self::merge::{Stream, Survey};
use self::runs::Runs;
use self::tally::FileTally;
use super::times;
use super::{Done, Failure, mask_line, say};
use crate::cli::{Output, ReplayArgs};
use crate::diagnostic::{Place, Untrusted};
use crate::pipeline::Rejection;
use crate::sinks::{self, Detected, InputSummary, Sample, SeriesStream, Summary, TableOptions};

/// Runs the command.
///
/// # Errors
/// The user's mistakes, unreadable inputs, and I/O errors of the output.
pub(crate) fn run(args: &ReplayArgs) -> Result<Done, Failure> {
    if args.partial && !matches!(args.output, Output::Table | Output::Json) {
        let error = Place::argument("--partial", "").error(
            "only a table and JSON can be marked as partial",
            "not with this --output",
        );
        return Err(vec![error].into());
    }
    let prepared = prepare::prepare(args)?;
    let (job, notices) = (prepared.job, prepared.notices);
    let tallies = count(&job, prepared.threads)?;
    job.progress.finish_and_clear();
    let errors: Vec<String> = tallies
        .values()
        .filter_map(|tally| tally.error.clone())
        .collect();
    if !errors.is_empty() && !args.partial {
        return Err(Failure::Inputs(errors));
    }
    let survey = Survey::of(&job.runs, &job.metrics).context("cannot read the counts back")?;
    let overflow = Runs::default();
    if survey.overflows() {
        survey
            .collapse(&job.runs, &job.metrics, &overflow)
            .context("cannot write counts to the temporary folder")?;
    }
    let partial = !errors.is_empty();
    let summary = summary(&job, tallies, &survey, notices, partial, args);
    write(&job, &overflow, &survey, &summary, args)?;
    for error in &errors {
        say(&format!("error: {error}"));
    }
    Ok(if partial {
        Done::Incomplete
    } else {
        Done::Complete
    })
}

/// Lets the workers count; what became of the lines of each input.
fn count(job: &Job, threads: usize) -> Result<HashMap<usize, FileTally>, Failure> {
    let next = AtomicUsize::new(0);
    let results: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (1..threads.min(job.tasks.len().max(1)))
            .map(|_| scope.spawn(|| worker::work(job, &next)))
            .collect();
        let own = worker::work(job, &next);
        let others = workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker does not panic"));
        std::iter::once(own).chain(others).collect()
    });
    let mut tallies: HashMap<usize, FileTally> = HashMap::new();
    for result in results {
        for (input, tally) in result.map_err(anyhow::Error::from)? {
            tallies.entry(input).or_default().add(tally);
        }
    }
    Ok(tallies)
}

fn summary(
    job: &Job,
    mut tallies: HashMap<usize, FileTally>,
    survey: &Survey,
    notices: Vec<String>,
    partial: bool,
    args: &ReplayArgs,
) -> Summary {
    let mut steps = job.steps.clone();
    let mut ambiguous = 0;
    let inputs = (0..job.inputs.len()).map(|number| {
        let tally = tallies.remove(&number).unwrap_or_default();
        ambiguous += tally.counts.ambiguous;
        input_summary(job, number, tally)
    });
    let inputs = inputs.collect();
    let errors = job
        .value_errors
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let value_errors = job
        .metrics
        .iter()
        .zip(errors.iter())
        .filter(|(_, n)| **n > 0);
    Summary {
        inputs,
        from: survey.from,
        to: survey.last.map(|last| steps.end(last)),
        step: steps.seconds(),
        partial,
        notices,
        value_errors: value_errors
            .map(|(metric, &n)| (metric.name.clone(), n))
            .collect(),
        ambiguous_times: ambiguous,
        zone: args.parsers.timezone.clone(),
    }
}

fn input_summary(job: &Job, number: usize, tally: FileTally) -> InputSummary {
    let input = job.inputs.get(number).expect("numbers of the job's inputs");
    let name = |number: &usize| {
        job.compiled
            .get(*number)
            .map(|compiled| compiled.format.name.clone())
    };
    let parsers: Vec<String> = input.parsers.iter().filter_map(name).collect();
    let rejected = Rejection::ALL
        .iter()
        .zip(tally.counts.rejected)
        .filter(|(_, n)| *n > 0);
    let samples = tally.sampler.samples.into_iter().map(|unread| {
        let (line_start, at) = mask_line(&unread.start, unread.at);
        Sample {
            offset: unread.offset,
            line_start,
            reason: unread.reason,
            at,
        }
    });
    let path = |number: usize| {
        job.inputs
            .get(number)
            .map(|input| input.path.to_string_lossy().into_owned())
    };
    InputSummary {
        path: path(number).unwrap_or_default(),
        parser: (!parsers.is_empty()).then(|| parsers.join(",")),
        detected: input.detected.as_ref().map(|fit| Detected {
            share_permille: u32::try_from(fit.read * 1000 / fit.lines.max(1)).unwrap_or(1000),
            lines: fit.lines,
        }),
        compression: if !input.is_read() {
            "not read".to_owned()
        } else if tally.compression.is_empty() {
            "plain".to_owned()
        } else {
            tally.compression
        },
        bytes: tally.bytes,
        lines: tally.counts.lines(),
        parsed: tally.counts.parsed,
        unparsed: tally.counts.unparsed,
        skipped: tally.counts.skipped,
        partial_lines: tally.counts.partial,
        rejected: rejected.map(|(reason, n)| (reason.name(), n)).collect(),
        duplicate_of: input.duplicate_of.and_then(path),
        error: tally.error,
        samples: samples.collect(),
    }
}

fn write(
    job: &Job,
    overflow: &Runs,
    survey: &Survey,
    summary: &Summary,
    args: &ReplayArgs,
) -> Result<(), Failure> {
    if args.output != Output::Table {
        for notice in &summary.notices {
            for line in notice.lines() {
                say(&format!("note: {}", Untrusted(line.as_bytes())));
            }
        }
    }
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let open = || Stream::open(&job.runs, overflow, survey, &job.metrics);
    let written = match args.output {
        Output::Json => {
            open().and_then(|mut stream| sinks::json::write(&mut out, summary, &mut stream))
        }
        Output::Csv => open().and_then(|mut stream| sinks::csv::write(&mut out, &mut stream)),
        Output::Openmetrics => {
            open().and_then(|mut stream| sinks::openmetrics::write(&mut out, summary, &mut stream))
        }
        Output::Graphite => {
            let prefix = prefix(args.prefix.as_deref().unwrap_or_default());
            let mut reopen = || -> io::Result<Box<dyn SeriesStream + '_>> { Ok(Box::new(open()?)) };
            sinks::graphite::write(&mut out, &prefix, &mut reopen)
        }
        Output::Table => open().and_then(|mut stream| {
            let zone = times::zone(&args.parsers.timezone);
            let (from, to) = (
                summary.from.unwrap_or_default(),
                summary.to.unwrap_or_default(),
            );
            let format_time = |seconds| times::shown(seconds, from, to, &zone);
            let options = TableOptions {
                width: width(),
                color: color(),
                unicode: unicode(),
                format_time: &format_time,
            };
            sinks::table::write(&mut out, summary, &mut stream, &options)
        }),
    };
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result.context("cannot write the result")?),
    }
}

/// `{host}` stands for this host's name.
fn prefix(text: &str) -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name
        .trim()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect();
    text.replace("{host}", if name.is_empty() { "localhost" } else { &name })
}

fn width() -> usize {
    let columns = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    columns.unwrap_or(100).clamp(60, 200)
}

fn color() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// A UTF-8 locale, or none named.
fn unicode() -> bool {
    let named = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    named.is_none_or(|locale| {
        locale
            .to_ascii_lowercase()
            .replace('-', "")
            .contains("utf8")
    })
}
