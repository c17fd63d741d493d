//! What a report shows beside a verdict: where the worst series comes from, whether the origin sees it,
//! and what was deployed before.
//!
//! None of it changes the state, and what cannot be had is left out: an alarm never fails for want of
//! its explanation.

use super::evidence::{Evidence, Minutes, Series};
use super::question::{Question, Selection};
use super::source::{Source, Span};
use super::verdict::{Judged, Verdict};
use crate::metrics::OTHER;
use crate::nagios::State;
use crate::store::Mark;

/// What the origin answers.
const REQUESTS: &str = "cdn_origin_requests_total";
/// Labels by which metrics are counted a second time, and what people call their values.
const BREAKDOWNS: [(&str, &str); 2] = [("pop", "POP"), ("country", "countries")];
/// Minutes before an incident that it is compared with.
const BEFORE: i64 = 60;
/// A deploy longer ago than this explains nothing.
const MARK_AGE: i64 = 24 * 3600;
/// Matchers that are longer are not asked for.
const MAX_VALUE: usize = 256;

/// What was found beside the evidence, for the worst series that is out of its range.
#[derive(Clone, Debug, Default)]
pub(super) struct Context {
    /// First minute of the incident, and the end of the window.
    pub(super) span: Span,
    /// What the series counted in the whole incident.
    pub(super) total: f64,
    /// By label, its word for people, and values with counts, largest first.
    pub(super) breakdowns: Vec<Breakdown>,
    pub(super) origin: Option<Origin>,
    /// The newest event before the incident.
    pub(super) mark: Option<Mark>,
    /// Paths of the logs that were counted.
    pub(super) logs: Vec<String>,
    /// Of the source: a secret that others can read.
    pub(super) warnings: Vec<String>,
}

/// Where the counts of an incident come from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Breakdown {
    pub(super) word: &'static str,
    /// Largest first.
    pub(super) parts: Vec<(String, f64)>,
}

/// Requests at the origin during the window, and in a window's time before the incident.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Origin {
    pub(super) requests: f64,
    pub(super) errors: f64,
    pub(super) requests_before: f64,
    pub(super) errors_before: f64,
    /// Minutes without any request until now.
    pub(super) silent: i64,
}

/// Asks for it.
pub(super) fn gather(
    source: &mut dyn Source,
    question: &Question,
    evidence: &Evidence,
    verdict: &Verdict,
    now: i64,
) -> Context {
    let mut context = Context {
        logs: source.logs(&question.subject.metric),
        warnings: source.warnings().to_vec(),
        ..Context::default()
    };
    let Some((first, last)) = verdict.window else {
        return context;
    };
    let Some(worst) = worst(verdict) else {
        return context;
    };
    let end = if worst.by_open_minute {
        last + 120
    } else {
        last + 60
    };
    context.span = (worst.since.unwrap_or(first), end);
    let series = evidence
        .series
        .iter()
        .find(|series| series.labels == worst.labels);
    context.total = series.map_or(worst.count, |series| sum(&series.minutes, context.span));
    context.mark = newest_before(source.marks(now).unwrap_or_default(), context.span);
    let Some(selection) = of_series(question, worst) else {
        return context;
    };
    context.breakdowns = breakdowns(source, &selection, context.span);
    if question.subject.metric != REQUESTS && question.by.iter().any(|label| label == "provider") {
        context.origin = origin(source, question, worst, (first, last + 60), context.span.0);
    }
    context
}

/// The worst series that raises an alarm.
pub(super) fn worst(verdict: &Verdict) -> Option<&Judged> {
    let first = verdict.judged.first();
    first.filter(|judged| matches!(judged.state, State::Warning | State::Critical))
}

/// What selects one series; `None` when its values cannot be written as they are.
fn of_series(question: &Question, judged: &Judged) -> Option<Selection> {
    let (matchers, whole) = matchers(question, judged);
    whole.then(|| Selection {
        metric: question.subject.metric.clone(),
        matchers,
    })
}

/// Matchers of one series, without those of values that cannot be written as they are, and whether that
/// was none.
pub(super) fn matchers(question: &Question, judged: &Judged) -> (String, bool) {
    let labels = question.by.iter().zip(&judged.labels);
    let of_values: Vec<Option<String>> =
        labels.map(|(label, value)| matcher(label, value)).collect();
    let whole = of_values.iter().all(Option::is_some);
    let mut matchers = vec![question.subject.matchers.clone()];
    matchers.retain(|matchers| !matchers.is_empty());
    matchers.extend(of_values.into_iter().flatten());
    (matchers.join(","), whole)
}

/// A matcher for one value, without anything that has to be escaped: values of labels come from logs.
fn matcher(label: &str, value: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_graphic() && !"\"\\$`".contains(c) || c == ' ';
    // What was folded into this value has others in its lines.
    let is_value = value != OTHER && value.len() <= MAX_VALUE;
    (is_value && value.chars().all(is_plain)).then(|| format!("{label}=\"{value}\""))
}

fn sum(minutes: &Minutes, span: Span) -> f64 {
    minutes
        .range(span.0..span.1.max(span.0))
        .map(|(_, n)| n)
        .sum()
}

fn newest_before(marks: Vec<Mark>, span: Span) -> Option<Mark> {
    // A deploy within the first minute may well be what began it.
    let until = (span.0 + 60).saturating_mul(1000);
    let since = (span.0 - MARK_AGE).saturating_mul(1000);
    let before = marks
        .into_iter()
        .filter(|mark| (since..until).contains(&mark.at_ms));
    before.max_by_key(|mark| mark.at_ms)
}

fn breakdowns(source: &mut dyn Source, selection: &Selection, span: Span) -> Vec<Breakdown> {
    let base = &selection.metric;
    let base = base.strip_suffix("_total").unwrap_or(base);
    let mut found = Vec::new();
    for (label, word) in BREAKDOWNS {
        let sibling = Selection {
            metric: format!("{base}_by_{label}_total"),
            matchers: selection.matchers.clone(),
        };
        let Ok(Some(series)) = source.counts(&sibling, &[label.to_owned()], span) else {
            continue;
        };
        let mut parts: Vec<(String, f64)> = series
            .into_iter()
            .map(|series| (series.labels.concat(), sum(&series.minutes, span)))
            .filter(|(_, n)| *n > 0.0)
            .collect();
        parts.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        if !parts.is_empty() {
            found.push(Breakdown { word, parts });
        }
    }
    found
}

fn origin(
    source: &mut dyn Source,
    question: &Question,
    worst: &Judged,
    window: Span,
    since: i64,
) -> Option<Origin> {
    let at = question.by.iter().position(|label| label == "provider")?;
    let provider = matcher("provider", worst.labels.get(at)?)?;
    let selection = Selection {
        metric: REQUESTS.to_owned(),
        matchers: provider,
    };
    let before = (since.min(window.0) - BEFORE * 60, since.min(window.0));
    let series = source
        .counts(&selection, &["code".to_owned()], (before.0, window.1))
        .ok()??;
    Some(seen_by_origin(&series, window, before))
}

/// From requests by code.
fn seen_by_origin(series: &[Series], window: Span, before: Span) -> Origin {
    let mut origin = Origin::default();
    #[expect(clippy::cast_precision_loss, reason = "minutes of a day")]
    let scale = (window.1 - window.0) as f64 / (before.1 - before.0).max(1) as f64;
    let mut last = before.0;
    for series in series {
        let (now, then) = (
            sum(&series.minutes, window),
            scale * sum(&series.minutes, before),
        );
        origin.requests += now;
        origin.requests_before += then;
        if series
            .labels
            .first()
            .is_some_and(|code| code.starts_with('5'))
        {
            origin.errors += now;
            origin.errors_before += then;
        }
        let counted = series.minutes.range(..window.1).filter(|(_, n)| **n > 0.0);
        last = last.max(counted.map(|(at, _)| at + 60).next_back().unwrap_or(last));
    }
    origin.silent = (window.1 - last).max(0) / 60;
    origin
}
