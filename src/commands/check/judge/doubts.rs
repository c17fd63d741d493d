//! Whether the data is good enough: stale, incomplete, or no data, which are three things.

use super::super::evidence::{Evidence, Lines, Series};
use super::super::question::{Measure, Question};
use super::super::verdict::{Doubt, DoubtKind};
use super::super::words;
use super::window::{Window, float};
use crate::metrics::OTHER;
use crate::nagios::clean;

/// Fewer unparsed lines or near misses than these are an accident and not a share.
const FEW: f64 = 5.0;
/// Seconds by which clocks may be apart.
const MAX_AHEAD: i64 = 60;

/// What there is to say against the evidence, worst first. A window without a line is among it also
/// where `--no-data` takes it for zero.
pub(super) fn doubts(
    question: &Question,
    evidence: &Evidence,
    window: Window,
    now: i64,
) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    if let Some(closed) = evidence.closed {
        let lag = now - closed;
        if u64::try_from(lag).is_ok_and(|lag| lag > question.limits.lag.as_secs()) {
            doubts.push((
                DoubtKind::Stale,
                format!(
                    "stale: the data ends {} ago (limit {})",
                    span(lag),
                    span(i64::try_from(question.limits.lag.as_secs()).unwrap_or(i64::MAX))
                ),
            ));
        }
        doubts.extend(ahead(evidence, now).map(|text| (DoubtKind::Stale, text)));
        if window.from < evidence.complete_from {
            let seen = (window.to - evidence.complete_from).max(0);
            doubts.push((
                DoubtKind::Incomplete,
                format!(
                    "incomplete: of the window of {} {} wholly seen",
                    words::length(window.seconds()),
                    match seen {
                        0 => "nothing was".to_owned(),
                        seen => format!("only the newest {} were", words::length(seen)),
                    }
                ),
            ));
        }
    }
    let incomplete = incomplete(question, evidence, window);
    doubts.extend(
        incomplete
            .into_iter()
            .map(|text| (DoubtKind::Incomplete, text)),
    );
    if let Some(text) = no_data(evidence, window) {
        doubts.push((DoubtKind::NoData, text));
    }
    doubts.sort_by_key(|(kind, _)| *kind);
    doubts
        .into_iter()
        .map(|(kind, text)| Doubt { kind, text })
        .collect()
}

/// A sentence for each way in which something is missing.
fn incomplete(question: &Question, evidence: &Evidence, window: Window) -> Vec<String> {
    let mut texts: Vec<String> = evidence
        .problems
        .iter()
        .map(|problem| format!("incomplete: {problem}"))
        .collect();
    texts.extend(unparsed(question.limits.unparsed, evidence, window));
    texts.extend(marked(evidence, window));
    texts.extend(near_misses(question, evidence, window));
    texts.extend(folded(question, evidence, window));
    let limit = question.limits.queue;
    for (name, minutes) in &evidence.queues {
        if limit > 0 && *minutes > limit {
            texts.push(format!(
                "incomplete: {minutes} minutes wait for {name} (limit {limit})"
            ));
        }
    }
    texts
}

/// Minutes of which the source itself says that something is missing.
fn marked(evidence: &Evidence, window: Window) -> Option<String> {
    let minutes = lines_of(evidence, window)
        .filter(|lines| lines.incomplete)
        .count();
    (minutes > 0).then(|| {
        let of = window.seconds() / 60;
        let were = if minutes == 1 { "was" } else { "were" };
        format!("incomplete: {minutes} of {of} min {were} not wholly counted")
    })
}

fn unparsed(limit: f64, evidence: &Evidence, window: Window) -> Option<String> {
    let (mut read, mut unparsed) = (0, 0);
    for lines in lines_of(evidence, window) {
        read += lines.read;
        unparsed += lines.unparsed;
    }
    let percent = share(count(unparsed), count(read))?;
    let few = count(unparsed) < FEW && percent < 50.0;
    (percent > limit && !few).then(|| {
        format!(
            "incomplete: {unparsed} of {read} lines were not understood, {} (limit {limit} %)",
            words::share(count(unparsed), count(read))
        )
    })
}

fn near_misses(question: &Question, evidence: &Evidence, window: Window) -> Option<String> {
    if matches!(question.measure, Measure::Ratio { .. }) && evidence.near_misses.is_empty() {
        return None;
    }
    let missed = window.sum(&evidence.near_misses);
    let counted: f64 = evidence
        .series
        .iter()
        .map(|series| window.sum(&series.minutes))
        .sum();
    let percent = share(missed, missed + counted)?;
    let limit = question.limits.near_misses;
    (percent > limit && missed >= FEW).then(|| {
        format!(
            "incomplete: {missed} near misses beside {counted} counted, {} (limit {limit} %)",
            words::share(missed, missed + counted)
        )
    })
}

/// A value that a threshold names and nobody counted, while others were folded into `_other`, may be among
/// these.
fn folded(question: &Question, evidence: &Evidence, window: Window) -> Option<String> {
    let counted = |series: &&Series| window.sum(&series.minutes) > 0.0;
    let others = |series: &Series| series.labels.iter().any(|value| value == OTHER);
    if !evidence.series.iter().filter(counted).any(others) {
        return None;
    }
    let named = question.warning.some.iter().chain(&question.critical.some);
    let mut names = named.map(|(values, _)| values);
    let absent = names.find(|values| {
        let labels = super::labels_of(values, question.by.len());
        let mut series = evidence
            .series
            .iter()
            .filter(|series| !series.minutes.is_empty());
        !series.any(|series| series.labels == labels)
    })?;
    Some(format!(
        "incomplete: `{}` may have been counted as `{OTHER}`, beyond the limit on series",
        clean(absent)
    ))
}

/// Data of a time that has not come: one of the clocks is wrong, and nobody can say how old it is.
fn ahead(evidence: &Evidence, now: i64) -> Option<String> {
    let ahead = evidence.closed? - now;
    (ahead > MAX_AHEAD).then(|| {
        format!(
            "stale or not, nobody can tell: the data is {} ahead of the clock here",
            span(ahead)
        )
    })
}

/// Why there is no data, if there is none.
fn no_data(evidence: &Evidence, window: Window) -> Option<String> {
    if evidence.closed.is_none() {
        return Some("no data: there never was a line".to_owned());
    }
    let seen = match &evidence.lines {
        Some(_) => lines_of(evidence, window).any(|lines| lines.read > 0 || lines.incomplete),
        None => evidence.series.iter().any(|series| {
            [&series.minutes, &series.base]
                .iter()
                .any(|minutes| minutes.range(window.from..window.to).next().is_some())
        }),
    };
    (!seen).then(|| format!("no data: not a line in {}", span(window.seconds())))
}

fn lines_of(evidence: &Evidence, window: Window) -> impl Iterator<Item = &Lines> {
    evidence
        .lines
        .iter()
        .flat_map(move |lines| lines.range(window.from..window.to).map(|(_, lines)| lines))
}

/// Percent; `None` of nothing.
fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| 100.0 * part / whole)
}

#[expect(clippy::cast_precision_loss, reason = "for a share in percent")]
fn count(n: u64) -> f64 {
    n as f64
}

/// `45 s`, `12 min`, `26 h`: two digits say enough.
fn span(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7200 => format!("{:.0} min", float(seconds / 6).round() / 10.0),
        _ => format!("{:.0} h", float(seconds) / 3600.0),
    }
}
