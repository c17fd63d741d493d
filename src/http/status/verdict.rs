//! What is wrong right now, in words: the first thing on the page, and in its title.
//!
//! Says nothing is wrong only when there was something to look at: without data it says that.

use super::plan::{Part, Words};
use super::state::{Cell, Minute, View, grouped, status_class};
use super::{Counted, Overview, words};
use crate::store::{LogStatus, OutputStatus, SeriesAnswer, SeriesValues};

/// Minutes that are looked at for what is happening right now.
const NOW: i64 = 5;
/// Failures in [`NOW`] minutes from which on they are an alarm, if they are also more than
/// [`USUAL`] times what the hour before had on average.
const MANY: f64 = 10.0;
const USUAL: f64 = 2.0;
/// A log further behind than this, beside what it may, is late. Two minutes close and are read.
const BEHIND: i64 = 180;
/// Minutes that may wait for an output.
const WAITING: u64 = 5;
/// Share of requests with 5xx, and of how many at least.
const SERVER_ERRORS: f64 = 0.05;
const SAMPLE: f64 = 20.0;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Look at it now.
    Alarm,
    /// Look at it.
    Warning,
    /// Good to know.
    Note,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) level: Level,
    pub(super) text: String,
}

/// Everything that is wrong, worst first.
pub(super) fn findings(overview: &Overview) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut add = |level, text| all.push(Finding { level, text });
    if let Some(broken) = &overview.broken {
        add(Level::Alarm, broken.clone());
    }
    if let Some(why) = &overview.not_ready {
        add(
            Level::Warning,
            format!("{why}: numbers are not complete yet"),
        );
    }
    match &overview.store {
        Err(error) => add(Level::Alarm, format!("the store cannot be read: {error}")),
        Ok(counted) => {
            failures(counted, &mut add);
            server_errors(counted, &mut add);
            if overview.not_ready.is_none() {
                logs(overview, counted, &mut add);
            }
            outputs(counted, &mut add);
        }
    }
    all.sort_by_key(|finding| finding.level);
    all
}

/// The worst level in words, for the heading and the title.
pub(super) fn headline(overview: &Overview, findings: &[Finding]) -> &'static str {
    match findings.first().map(|finding| finding.level) {
        Some(Level::Alarm) => "Something is wrong",
        Some(Level::Warning) => "Worth a look",
        Some(Level::Note) | None => match overview.store.as_ref().map(newest_lines) {
            Ok(Lines::Never) => "No line was read yet",
            Ok(Lines::Before(_)) => "No data",
            Ok(Lines::Now) | Err(_) => "Nothing is wrong",
        },
    }
}

/// When there was something to look at, in any log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lines {
    Never,
    /// None in the last minutes; the newest in this one, where that is known.
    Before(Option<i64>),
    /// In the last minutes, or in the one that is still counted.
    Now,
}

fn newest_lines(counted: &Counted) -> Lines {
    let logs = &counted.status.logs;
    if logs.iter().all(|log| log.watermark.is_none()) {
        return Lines::Never;
    }
    let newest = counted.answers.iter().filter_map(|(_, answer)| {
        let step = answer.steps.last()?;
        Some((step.at, View::new(answer).closed))
    });
    match newest.max() {
        Some((at, closed)) if at >= closed - NOW * 60 => Lines::Now,
        Some((at, _)) => Lines::Before(Some(at)),
        // Without a metric of the page there is no chart, but there may be lines.
        None if counted.answers.is_empty() && had_lines(counted) => Lines::Now,
        None => Lines::Before(None),
    }
}

fn had_lines(counted: &Counted) -> bool {
    let logs = counted.status.logs.iter();
    logs.flat_map(|log| log.lines).any(|lines| lines > 0)
}

fn failures(counted: &Counted, add: &mut impl FnMut(Level, String)) {
    for (part, answer) in &counted.answers {
        if let Part::Failures(words) = part {
            let view = View::new(answer);
            let failing = answer.series.iter();
            let mut failing: Vec<_> = failing
                .filter_map(|series| failing_now(*words, &view, series))
                .collect();
            failing.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
            for (_, level, text) in failing {
                add(level, text);
            }
        }
    }
}

/// How many there are, how bad that is, and in words.
fn failing_now(
    words: Words,
    view: &View<'_>,
    series: &SeriesValues,
) -> Option<(f64, Level, String)> {
    let (recent, running) = (view.last(series, NOW), view.counting(series));
    let sum = recent.and(running).value();
    if sum <= 0.0 {
        return None;
    }
    let before = (view.last(series, 60).value() - recent.value()).max(0.0);
    let usual = before / 55.0 * f64::from(i32::try_from(NOW).unwrap_or(5));
    let level = if sum >= MANY && sum > USUAL * usual {
        Level::Alarm
    } else {
        Level::Warning
    };
    let name = series.labels.join(", ");
    let sign = match recent {
        Cell::AtLeast(_) => "at least ",
        _ => "",
    };
    let (noun, amount) = (words.noun, words::amount(recent.value()));
    let what = if recent.value() > 0.0 {
        format!("{noun} from {name}: {sign}{amount} in {NOW} minutes")
    } else {
        let running = words::amount(running.value());
        format!("{noun} from {name}: {running} in the minute that is still counted")
    };
    let before = words::amount(before);
    let text = format!("{what}, {before} in the 55 minutes before");
    Some((sum, level, text))
}

fn server_errors(counted: &Counted, add: &mut impl FnMut(Level, String)) {
    for (part, answer) in &counted.answers {
        let Part::Requests(words) = part else {
            continue;
        };
        let class = |labels: &[String]| {
            let code = status_class(labels.get(1).map_or("", String::as_str));
            let errors = if code == "5xx" { "5xx" } else { "" };
            format!("{errors}\t{}", labels.first().map_or("", String::as_str))
        };
        let split = grouped(answer, class);
        for (name, errors, all) in shares(&split) {
            if all >= SAMPLE && errors >= SERVER_ERRORS * all {
                let share = words::share(errors, all);
                let of = words::amount(all);
                let place = words.noun;
                let text = format!(
                    "{name}, {place}: {share} of {of} requests in {NOW} minutes answered with 5xx"
                );
                add(Level::Warning, text);
            }
        }
    }
}

/// Provider, its 5xx and all its requests in the last minutes.
fn shares(split: &SeriesAnswer) -> Vec<(String, f64, f64)> {
    let view = View::new(split);
    let mut found: Vec<(String, f64, f64)> = Vec::new();
    for series in &split.series {
        let label = series.labels.first().map_or("", String::as_str);
        let (kind, name) = label.split_once('\t').unwrap_or(("", label));
        let value = view.last(series, NOW).value();
        let errors = if kind.is_empty() { 0.0 } else { value };
        match found.iter_mut().find(|(known, ..)| known == name) {
            Some((_, known, all)) => (*known, *all) = (*known + errors, *all + value),
            None => found.push((name.to_owned(), errors, value)),
        }
    }
    found
}

fn logs(overview: &Overview, counted: &Counted, add: &mut impl FnMut(Level, String)) {
    for log in &counted.status.logs {
        let name = &log.name;
        match behind(log, overview) {
            None => add(Level::Note, format!("log {name}: no line was read yet")),
            Some(behind) if behind > BEHIND + overview.lateness => {
                let span = words::span(behind / 60 * 60);
                add(Level::Alarm, format!("log {name} is {span} behind"));
            }
            Some(_) => {}
        }
        let [parsed, unparsed, rejected] = log.lines;
        let lines = parsed + unparsed + rejected;
        if unparsed > 0 && ratio(unparsed, lines) > overview.unparsed_share {
            let share = format!("{:.1} %", 100.0 * ratio(unparsed, lines));
            let text = format!("log {name}: {share} of the last hour's lines were not understood");
            add(Level::Warning, text);
        }
    }
    match newest_lines(counted) {
        Lines::Before(Some(at)) => {
            let at = words::clock(at);
            add(Level::Note, format!("no line in any log since {at} UTC"));
        }
        Lines::Before(None) => {
            add(
                Level::Note,
                "no line in any log in the last hour".to_owned(),
            );
        }
        Lines::Now | Lines::Never => {}
    }
    incomplete_minutes(counted, add);
}

fn incomplete_minutes(counted: &Counted, add: &mut impl FnMut(Level, String)) {
    let mut incomplete: Vec<i64> = Vec::new();
    for (_, answer) in &counted.answers {
        let view = View::new(answer);
        incomplete.extend(
            view.minutes()
                .filter(|at| view.minute(*at) == Minute::Incomplete),
        );
    }
    incomplete.sort_unstable();
    incomplete.dedup();
    if let (Some(first), Some(last)) = (incomplete.first(), incomplete.last()) {
        let count = i64::try_from(incomplete.len()).unwrap_or(i64::MAX);
        let minutes = words::many(count, "minute");
        let (first, last) = (words::clock(*first), words::clock(*last));
        add(
            Level::Note,
            format!("{minutes} of the last hour incomplete, from {first} to {last} UTC"),
        );
    }
}

/// Seconds from the log's watermark to now; `None` before its first line.
pub(super) fn behind(log: &LogStatus, overview: &Overview) -> Option<i64> {
    log.watermark.map(|at| (overview.now - at).max(0))
}

/// A part of a whole, 0 where there is none.
#[expect(clippy::cast_precision_loss, reason = "compared with a threshold")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn outputs(counted: &Counted, add: &mut impl FnMut(Level, String)) {
    for output in &counted.status.outputs {
        if output.queue_minutes > WAITING {
            add(Level::Warning, waiting(output));
        }
    }
}

fn waiting(output: &OutputStatus) -> String {
    let minutes = i64::try_from(output.queue_minutes).unwrap_or(i64::MAX);
    let minutes = words::many(minutes, "minute");
    let name = &output.name;
    match output.oldest {
        Some(at) => {
            let since = words::day_and_clock(at);
            format!("output {name} has {minutes} waiting, the oldest from {since} UTC")
        }
        None => format!("output {name} has {minutes} waiting"),
    }
}
