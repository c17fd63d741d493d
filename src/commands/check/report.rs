//! What is said of a verdict: a line that a pager shows, values for graphs, and below it what somebody
//! who was woken needs first.
//!
//! Pure. Invariant: the text never claims more than the evidence: what is a lower bound is said to be
//! "at least", what the origin sees is said only where requests of it were counted, and times are UTC.
//! Whatever comes from a log is cleaned here or in [`Output::render`].

mod lines;

use super::context::{self, Context};
use super::evidence::Evidence;
use super::question::{Measure, Question};
use super::verdict::{DoubtKind, Judged, Verdict};
use super::words::{exact, length, name, noun_of, number, sentence, things, time};
use crate::cli::NoData;
use crate::nagios::{Output, Perfdata, Range, State};

/// Series of the summary beside the worst.
const OTHERS: usize = 3;

/// Everything there is to say something of.
pub(super) struct Found<'a> {
    pub(super) question: &'a Question,
    pub(super) evidence: &'a Evidence,
    pub(super) verdict: &'a Verdict,
    pub(super) context: &'a Context,
    /// Unix seconds.
    pub(super) now: i64,
    /// The log that the command for its lines should name.
    pub(super) log: Option<&'a str>,
}

/// The plugin's text.
pub(super) fn report(found: &Found<'_>) -> Output {
    Output {
        state: found.verdict.state,
        summary: summary(found),
        long: lines::lines(found),
        perfdata: perfdata(found),
    }
}

impl Found<'_> {
    /// What is counted, for people.
    fn noun(&self) -> String {
        noun_of(&self.question.subject)
    }

    /// A series' name: its labels, or what it counts.
    fn name(&self, judged: &Judged) -> String {
        match judged.labels.is_empty() {
            true => self.noun(),
            false => name(&judged.labels),
        }
    }

    /// `in 5 min`.
    fn during(&self) -> String {
        format!("in {}", length(i64::from(self.question.window) * 60))
    }

    /// Until when the data goes.
    fn until(&self) -> String {
        let until = self
            .verdict
            .window
            .map(|(_, last)| time(last + 60, self.now));
        until.map_or(String::new(), |until| format!(" until {until}"))
    }
}

fn summary(found: &Found<'_>) -> String {
    let verdict = found.verdict;
    let Some(worst) = context::worst(verdict) else {
        return match verdict.doubts.first() {
            Some(doubt) => doubtful(found, &doubt.text),
            None => unremarkable(found),
        };
    };
    let mut text = breach(found, worst);
    let others = verdict
        .judged
        .iter()
        .skip(1)
        .filter(|judged| judged.count > 0.0);
    let others: Vec<String> = others
        .take(OTHERS)
        .map(|judged| format!("{} {}", found.name(judged), short(found, judged)))
        .collect();
    if !others.is_empty() {
        text.push_str(&format!(". Also {}", others.join(", ")));
    }
    if let Some(doubt) = verdict.doubts.first() {
        text.push_str(&format!(". {}", sentence(&doubt.text)));
    }
    text
}

/// The worst series: `fastly: 213 failure beacons in 5 min (limit 50), since 14:02Z`.
fn breach(found: &Found<'_>, judged: &Judged) -> String {
    // A ratio says by itself what it is at least.
    let ratio = matches!(found.question.measure, Measure::Ratio { .. });
    let least = if judged.at_least && !ratio {
        "at least "
    } else {
        ""
    };
    let limit = limit(judged).map_or(String::new(), |limit| format!(" ({limit})"));
    let since = judged.since.map_or(String::new(), |since| {
        let before = if judged.since_or_before {
            " or before"
        } else {
            ""
        };
        format!(", since {}{before}", time(since, found.now))
    });
    let said = said(found, judged);
    match judged.labels.is_empty() {
        true => format!("{least}{said}{limit}{since}"),
        false => format!("{}: {least}{said}{limit}{since}", found.name(judged)),
    }
}

/// A value with its unit and all that it is made of.
fn said(found: &Found<'_>, judged: &Judged) -> String {
    let during = found.during();
    let counted = things(judged.count, &found.noun());
    match found.question.measure {
        Measure::Count => format!("{counted} {during}"),
        Measure::Rate => format!(
            "{} {} a second, {} {during}",
            number(judged.value),
            found.noun(),
            number(judged.count)
        ),
        Measure::Ratio { .. } => {
            let base = of_base(found, judged.base.unwrap_or(0.0));
            if judged.spared.is_some() {
                return format!("too few to judge, {counted}{base} {during}");
            }
            format!(
                "{} {} %, {counted}{base} {during}",
                bound(judged),
                number(judged.value)
            )
        }
        Measure::Anomaly => {
            let usual = judged.expected.map_or(String::new(), |usual| {
                let usual = usual.round();
                let is = if usual == 1.0 { "is" } else { "are" };
                format!(
                    ", {} {is} usual, {} deviations",
                    number(usual),
                    number(judged.value)
                )
            });
            format!("{counted} {during}{usual}")
        }
    }
}

/// What a ratio is a share of.
fn of_base(found: &Found<'_>, count: f64) -> String {
    let base = found.question.base.as_ref();
    base.map_or(String::new(), |base| {
        let part = base.metric == found.question.subject.metric;
        let of = if part { "of" } else { "for" };
        format!(" {of} {}", things(count, &noun_of(base)))
    })
}

/// Which end of what a ratio may be is shown. Where something is missing it may be missing from what the
/// ratio is a share of, and the share is neither.
fn bound(judged: &Judged) -> &'static str {
    match judged.at_least {
        true => "about",
        false if breaches_below(judged) => "at most",
        false => "at least",
    }
}

/// A value in a list.
fn short(found: &Found<'_>, judged: &Judged) -> String {
    match found.question.measure {
        Measure::Ratio { .. } if judged.spared.is_some() => {
            format!("{}, too few to judge", number(judged.count))
        }
        Measure::Ratio { .. } => format!("{} {} %", bound(judged), number(judged.value)),
        _ => number(judged.count),
    }
}

fn breaches_below(judged: &Judged) -> bool {
    let ranges = [&judged.critical, &judged.warning];
    let mut ranges = ranges.into_iter().flatten();
    ranges.any(|range| !range.inside && range.start.is_some_and(|start| judged.value < start))
}

/// The range that was left, as far as it was: `limit 50`, `at least 10 expected`.
fn limit(judged: &Judged) -> Option<String> {
    let range = match judged.state {
        State::Critical => judged.critical.as_ref(),
        _ => judged.warning.as_ref(),
    }?;
    Some(limit_of(range, judged.value))
}

fn limit_of(range: &Range, value: f64) -> String {
    match (range.inside, range.start, range.end) {
        (false, Some(start), _) if value < start => format!("at least {} expected", exact(start)),
        (false, _, Some(end)) => format!("limit {}", exact(end)),
        _ => format!("alarm range {}", range.text),
    }
}

fn doubtful(found: &Found<'_>, doubt: &str) -> String {
    let verdict = found.verdict;
    let dead = found.evidence.remarks.first();
    match dead.filter(|_| is_stale(verdict) || verdict.window.is_none()) {
        Some(remark) => format!("{doubt}. {}", sentence(remark)),
        None if verdict.window.is_some() && !is_stale(verdict) && !verdict.no_data => {
            format!("{doubt}. {}", sentence(&counted(found, "at least ")))
        }
        None => doubt.to_owned(),
    }
}

fn is_stale(verdict: &Verdict) -> bool {
    verdict
        .doubts
        .iter()
        .any(|doubt| doubt.kind == DoubtKind::Stale)
}

/// Nothing is wrong, or nothing can be judged.
fn unremarkable(found: &Found<'_>) -> String {
    let verdict = found.verdict;
    let spared = verdict.judged.iter().find(|j| j.state == State::Unknown);
    if let Some(spared) =
        spared.and_then(|j| Some(format!("{}: {}", found.name(j), j.spared.as_ref()?)))
    {
        return spared;
    }
    if verdict.no_data {
        return format!(
            "no data {}{}, taken for zero: not a line",
            found.during(),
            found.until()
        );
    }
    let text = counted(found, "");
    format!("{text}{}", found.until())
}

/// What the window counted, by series.
fn counted(found: &Found<'_>, least: &str) -> String {
    let (noun, during) = (found.noun(), found.during());
    let with: Vec<&Judged> = found
        .verdict
        .judged
        .iter()
        .filter(|j| j.count > 0.0)
        .collect();
    let base = found.verdict.judged.iter().filter_map(|judged| judged.base);
    let base = match found.question.base {
        Some(_) => of_base(found, base.sum()),
        None => String::new(),
    };
    let Some(first) = with.first() else {
        let counted = if least.is_empty() { "" } else { "counted " };
        return format!("{counted}no {noun}{base} {during}");
    };
    if first.labels.is_empty() {
        return format!("{least}{}", said(found, first));
    }
    let total: f64 = with.iter().map(|judged| judged.count).sum();
    let parts = with.iter().take(OTHERS + 1);
    let parts: Vec<String> = parts
        .map(|judged| format!("{} {}", found.name(judged), short(found, judged)))
        .collect();
    let more = match with.len().saturating_sub(OTHERS + 1) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "{least}{}{base} {during} ({}{more})",
        things(total, &noun),
        parts.join(", ")
    )
}

/// One value for each series; what is not known of this window is `U`.
fn perfdata(found: &Found<'_>) -> Vec<Perfdata> {
    let is_zero = found.question.limits.no_data == NoData::Ok;
    let unknown = found.verdict.window.is_none()
        || is_stale(found.verdict)
        || found.verdict.no_data && !is_zero;
    let (unit, min) = match found.question.measure {
        Measure::Ratio { .. } => ("%", Some(0.0)),
        Measure::Anomaly => ("", None),
        Measure::Count | Measure::Rate => ("", Some(0.0)),
    };
    let judged = found.verdict.judged.iter();
    let values = judged.map(|judged| Perfdata {
        label: match judged.labels.is_empty() {
            true => found.question.subject.metric.clone(),
            false => judged.labels.join(","),
        },
        value: (!unknown || judged.by_open_minute).then_some(judged.value),
        unit,
        warning: judged.warning.clone(),
        critical: judged.critical.clone(),
        min,
        max: None,
    });
    values.collect()
}
