//! Evidence from a store: asked of the agent that holds it, or read from its file.
//!
//! The status is asked first, and the values after it, so that they are at least as new as the time
//! up to which they are taken for whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::{Source, Span, Trouble, labelled, minute};
use crate::cli::NoData;
use crate::commands::check::ask;
use crate::commands::check::evidence::{Evidence, Lines, Minutes, Series};
use crate::commands::check::judge;
use crate::commands::check::question::{Question, Selection};
use crate::commands::check::words;
use crate::commands::client::Client;
use crate::diagnostic::{Untrusted, similar};
use crate::metrics::OTHER;
use crate::rule::near_name;
use crate::store::{
    AgentStatus, LogStatus, Mark, MetricStatus, SeriesAnswer, SeriesQuestion, SeriesValues,
    Snapshot, StoreStatus,
};

/// Minutes behind the closed ones that are looked at, for what the newest of them proves already.
const AHEAD: i64 = 3600;
/// Seconds that two clocks may be apart.
const MAX_SKEW: i64 = 60;
/// Fewer lines are an accident.
const FEW: u64 = 5;
const MINUTE: i64 = 60;
const HOUR: i64 = 3600;

/// Who answers questions about a store.
trait Answers {
    fn status(&mut self, now: i64) -> Result<Status, Trouble>;

    /// `matchers` are those of a selection, as written.
    fn series(
        &mut self,
        question: &SeriesQuestion,
        selection: &Selection,
    ) -> Result<SeriesAnswer, Trouble>;

    fn warnings(&self) -> &[String];
}

/// The store's status, and what only a running agent can say.
struct Status {
    store: StoreStatus,
    /// Why its values may be less than the truth.
    problems: Vec<String>,
    /// It was read from the file.
    is_file: bool,
}

/// An agent at an address.
struct Agent {
    client: Client,
}

impl Answers for Agent {
    fn status(&mut self, now: i64) -> Result<Status, Trouble> {
        let body = self.client.get("/api/v1/status", &[])?;
        let status: AgentStatus = read(&body, "/api/v1/status")?;
        let mut problems = Vec::new();
        if status.ready != "ready" {
            let said = Untrusted(status.ready.as_bytes());
            problems.push(format!("the agent is not ready: {said}"));
        }
        let ahead = status.now_ms.div_euclid(1000) - now;
        if ahead.abs() > MAX_SKEW {
            problems.push(format!(
                "the agent's clock and the one here are {} apart, so that nobody can say how old its data is",
                words::length(ahead.abs())
            ));
        }
        Ok(Status {
            store: status.store,
            problems,
            is_file: false,
        })
    }

    fn series(
        &mut self,
        question: &SeriesQuestion,
        selection: &Selection,
    ) -> Result<SeriesAnswer, Trouble> {
        let by = question.by.join(",");
        let (from, to) = (question.from.to_string(), question.to.to_string());
        let step = question.step.to_string();
        let mut query = vec![
            ("metric", question.metric.as_str()),
            ("from", &from),
            ("to", &to),
            ("step", &step),
        ];
        if !by.is_empty() {
            query.push(("by", &by));
        }
        if !selection.matchers.is_empty() {
            query.push(("match", &selection.matchers));
        }
        let body = self.client.get("/api/v1/series", &query)?;
        read(&body, "/api/v1/series")
    }

    fn warnings(&self) -> &[String] {
        &self.client.warnings
    }
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8], path: &str) -> Result<T, Trouble> {
    serde_json::from_slice(body).map_err(|error| {
        Trouble::Answer(format!(
            "what {path} answered is not what an agent of this version says ({}): is --agent its address?",
            Untrusted(error.to_string().as_bytes())
        ))
    })
}

/// A store's file.
struct File {
    snapshot: Snapshot,
}

impl Answers for File {
    fn status(&mut self, now: i64) -> Result<Status, Trouble> {
        Ok(Status {
            store: self.snapshot.status(now.saturating_mul(1000))?,
            problems: Vec::new(),
            is_file: true,
        })
    }

    fn series(
        &mut self,
        question: &SeriesQuestion,
        selection: &Selection,
    ) -> Result<SeriesAnswer, Trouble> {
        let selected = ask::matchers(selection)?;
        let keep = |label: &str, value: &str| selected.keeps(label, value);
        let mut question = question.clone();
        question.matched = selected.labels();
        question.matched.sort_unstable();
        Ok(self.snapshot.series(&question, &keep)?)
    }

    fn warnings(&self) -> &[String] {
        &[]
    }
}

/// Asks the agent.
pub(super) fn agent(client: Client) -> impl Source {
    Stored::new(Agent { client })
}

/// Opens a store's file.
///
/// # Errors
/// When it is not there, may not be read, or is no store of this version.
pub(super) fn store(path: &Path) -> Result<impl Source + use<>, Trouble> {
    let snapshot = Snapshot::open(path)?;
    Ok(Stored::new(File { snapshot }))
}

/// Evidence from whoever answers.
struct Stored<A> {
    answers: A,
    /// As it was asked for the evidence.
    status: Option<StoreStatus>,
}

impl<A: Answers> Stored<A> {
    fn new(answers: A) -> Stored<A> {
        let status = None;
        Stored { answers, status }
    }

    fn metric(&self, name: &str) -> Option<&MetricStatus> {
        let metrics = self.status.as_ref().map(|status| &status.metrics);
        metrics?.iter().find(|metric| metric.name == name)
    }

    fn series(
        &mut self,
        selection: &Selection,
        by: &[String],
        span: Span,
        step: i64,
    ) -> Result<SeriesAnswer, Trouble> {
        let question = SeriesQuestion {
            metric: selection.metric.clone(),
            by: by.to_vec(),
            from: span.0,
            to: span.1,
            step,
            ..SeriesQuestion::default()
        };
        self.answers.series(&question, selection)
    }

    /// The time before which every line of the metrics' logs was read, as a start of a minute.
    fn closed(&self, status: &StoreStatus, question: &Question) -> Result<Option<i64>, Trouble> {
        let mut closed: Option<i64> = None;
        let selections = [Some(&question.subject), question.base.as_ref()];
        for selection in selections.into_iter().flatten() {
            let metric = known(status, &selection.metric)?;
            for log in status.logs.iter().filter(|l| metric.logs.contains(&l.name)) {
                if let Some(watermark) = log.watermark {
                    closed = Some(closed.map_or(watermark, |least| least.min(watermark)));
                }
            }
        }
        Ok(closed.map(minute))
    }

    /// What the question selects or names by its value, and may have been counted as `_other`, beyond the
    /// limit on series: a sentence for each such label.
    fn folded(&mut self, question: &Question, end: i64) -> Result<Vec<String>, Trouble> {
        let span = (end - i64::from(question.window) * MINUTE, end);
        let mut problems = Vec::new();
        let selections = [Some(&question.subject), question.base.as_ref()];
        for selection in selections.into_iter().flatten() {
            let selected = ask::matchers(selection)?;
            let mut labels = selected.labels();
            labels.sort_unstable();
            for label in labels
                .into_iter()
                .filter(|label| !selected.keeps(label, OTHER))
            {
                let others = Selection {
                    metric: selection.metric.clone(),
                    matchers: format!("{label}=\"{OTHER}\""),
                };
                let answer = self.series(&others, &[], span, MINUTE)?;
                if answer.series.iter().any(|series| !series.points.is_empty()) {
                    problems.push(format!(
                        "`{}` has more series than it may have, and what was counted as {label} `{OTHER}` may be what is asked for",
                        selection.metric
                    ));
                }
            }
        }
        Ok(problems)
    }

    fn near_misses(&mut self, question: &Question, span: Span) -> Result<Minutes, Trouble> {
        let name = near_name(&question.subject.metric);
        if self.metric(&name).is_none() {
            return Ok(Minutes::new());
        }
        let selection = Selection {
            metric: name,
            matchers: String::new(),
        };
        let answer = self.series(&selection, &[], span, MINUTE)?;
        let mut minutes = Minutes::new();
        for series in &answer.series {
            minutes.extend(points(series, &answer.kind));
        }
        Ok(minutes)
    }
}

/// A metric of the configuration, or what there is instead.
fn known<'s>(status: &'s StoreStatus, name: &str) -> Result<&'s MetricStatus, Trouble> {
    if let Some(metric) = status.metrics.iter().find(|metric| metric.name == name) {
        return Ok(metric);
    }
    let names = || status.metrics.iter().map(|metric| metric.name.as_str());
    let instead = match similar(name, names()) {
        Some(near) => format!("expected perhaps `{near}`"),
        None => format!("expected one of {}", names().collect::<Vec<_>>().join(", ")),
    };
    Err(Trouble::Answer(format!(
        "no metric `{name}` in the agent's configuration; {instead}"
    )))
}

/// Metrics of the question, each one that can be counted.
fn metrics<'s>(
    status: &'s StoreStatus,
    question: &Question,
) -> Result<Vec<&'s MetricStatus>, Trouble> {
    let selections = [Some(&question.subject), question.base.as_ref()];
    let found = selections.into_iter().flatten().map(|selection| {
        let metric = known(status, &selection.metric)?;
        match metric.kind.as_str() {
            "gauge" => Err(Trouble::Answer(format!(
                "`{}` is a gauge: it stands at a value and counts nothing; expected a counter or a histogram",
                metric.name
            ))),
            _ => Ok(metric),
        }
    });
    found.collect()
}

/// A sentence for each log of the metrics that nobody reads, or nobody understands, while others may
/// well be read.
fn unseen(status: &StoreStatus, question: &Question) -> Result<Vec<String>, Trouble> {
    let metrics = metrics(status, question)?;
    let feeds = |log: &&LogStatus| metrics.iter().any(|metric| metric.logs.contains(&log.name));
    let mut problems = Vec::new();
    for log in status.logs.iter().filter(feeds) {
        let name = words::name(std::slice::from_ref(&log.name));
        let [parsed, unparsed, rejected] = log.lines;
        let lines = parsed + unparsed + rejected;
        let live = log.files.iter().any(|file| file.state == "live");
        if !live && !log.files.is_empty() {
            problems.push(format!(
                "log `{name}` has no file: it is gone and no other took its place"
            ));
        } else if !live && lines == 0 && question.limits.no_data != NoData::Ok {
            problems.push(format!("log `{name}` has no file, nor a line in 60 min"));
        } else if parsed == 0 && lines >= FEW {
            problems.push(format!(
                "none of the {lines} lines of log `{name}` in 60 min was understood"
            ));
        }
    }
    Ok(problems)
}

fn points(series: &SeriesValues, kind: &str) -> Minutes {
    let points = series.points.iter();
    points.map(|point| (point.at, point.value(kind))).collect()
}

impl<A: Answers> Source for Stored<A> {
    fn evidence(&mut self, question: &Question, now: i64) -> Result<Evidence, Trouble> {
        let mut status = self.answers.status(now)?;
        let closed = self.closed(&status.store, question)?;
        let unseen = unseen(&status.store, question)?;
        status.problems.extend(unseen);
        self.status = Some(status.store.clone());
        let end = closed.unwrap_or(minute(now));
        let back = i64::from(question.window) + judge::minutes_back(question);
        let span = (
            end - back * MINUTE,
            (minute(now) + MINUTE).clamp(end, end + AHEAD),
        );
        let mut by_labels: BTreeMap<Vec<String>, Series> = BTreeMap::new();
        let subject = self.series(&question.subject, &question.by, span, MINUTE)?;
        status.problems.extend(self.folded(question, end)?);
        for series in &subject.series {
            let entry = by_labels.entry(series.labels.clone()).or_default();
            entry.minutes = points(series, &subject.kind);
        }
        let mut lines = BTreeMap::new();
        add_lines(&mut lines, &subject);
        let mut complete_from = subject.complete_from;
        if let Some(base) = &question.base {
            let answer = self.series(base, &question.by, span, MINUTE)?;
            for series in &answer.series {
                let entry = by_labels.entry(series.labels.clone()).or_default();
                entry.base = points(series, &answer.kind);
            }
            complete_from = complete_from.max(answer.complete_from);
            if self.metric(&base.metric).map(|m| &m.logs)
                == self.metric(&question.subject.metric).map(|m| &m.logs)
            {
                add_flags(&mut lines, &answer);
            } else {
                add_lines(&mut lines, &answer);
            }
        }
        let incomplete_hours = self.hours(question, end, &mut by_labels)?;
        Ok(Evidence {
            closed,
            series: labelled(by_labels),
            lines: Some(lines),
            incomplete_hours,
            complete_from,
            near_misses: self.near_misses(question, span)?,
            queues: queues(&status.store),
            remarks: remarks(&status, closed, now),
            problems: status.problems,
        })
    }

    fn counts(
        &mut self,
        selection: &Selection,
        by: &[String],
        span: Span,
    ) -> Result<Option<Vec<Series>>, Trouble> {
        let Some(metric) = self.metric(&selection.metric) else {
            return Ok(None);
        };
        let looked_at = ask::matchers(selection)?.labels();
        let mut wanted = looked_at.iter().chain(by);
        if wanted.any(|label| !metric.labels.contains(label)) {
            return Ok(None);
        }
        let answer = self.series(selection, by, span, MINUTE)?;
        let series = answer.series.iter().map(|series| Series {
            labels: series.labels.clone(),
            minutes: points(series, &answer.kind),
            ..Series::default()
        });
        Ok(Some(series.collect()))
    }

    fn marks(&mut self, _: i64) -> Result<Vec<Mark>, Trouble> {
        Ok(self
            .status
            .as_ref()
            .map_or_else(Vec::new, |status| status.marks.clone()))
    }

    fn logs(&self, metric: &str) -> Vec<String> {
        let (Some(status), Some(metric)) = (&self.status, self.metric(metric)) else {
            return Vec::new();
        };
        let feeding = status
            .logs
            .iter()
            .filter(|log| metric.logs.contains(&log.name));
        let files = feeding.flat_map(|log| &log.files);
        let live = files.filter(|file| file.state == "live");
        let mut paths: Vec<String> = live.map(|file| file.path.clone()).collect();
        paths.dedup();
        paths
    }

    fn warnings(&self) -> &[String] {
        self.answers.warnings()
    }
}

impl<A: Answers> Stored<A> {
    /// Fills in the hours of each series, and gives those that are incomplete.
    fn hours(
        &mut self,
        question: &Question,
        end: i64,
        by_labels: &mut BTreeMap<Vec<String>, Series>,
    ) -> Result<BTreeSet<i64>, Trouble> {
        let back = judge::hours_back(question);
        if back == 0 {
            return Ok(BTreeSet::new());
        }
        let whole = end.div_euclid(HOUR) * HOUR;
        let span = (whole - back * HOUR, whole);
        let answer = self.series(&question.subject, &question.by, span, HOUR)?;
        for series in &answer.series {
            let entry = by_labels.entry(series.labels.clone()).or_default();
            entry.hours = points(series, &answer.kind);
        }
        let steps = answer.steps.iter().filter(|step| step.incomplete);
        Ok(steps.map(|step| step.at).collect())
    }
}

fn add_lines(lines: &mut BTreeMap<i64, Lines>, answer: &SeriesAnswer) {
    for step in &answer.steps {
        let known = lines.entry(step.at).or_default();
        known.read += step.lines;
        known.unparsed += step.unparsed;
        known.incomplete |= step.incomplete;
    }
}

fn add_flags(lines: &mut BTreeMap<i64, Lines>, answer: &SeriesAnswer) {
    for step in answer.steps.iter().filter(|step| step.incomplete) {
        lines.entry(step.at).or_default().incomplete = true;
    }
}

fn queues(status: &StoreStatus) -> Vec<(String, u64)> {
    let outputs = status.outputs.iter();
    outputs
        .map(|output| (output.name.clone(), output.queue_minutes))
        .collect()
}

/// That the agent is dead says nothing against what it counted before; that is soon too old anyway.
fn remarks(status: &Status, closed: Option<i64>, now: i64) -> Vec<String> {
    if !status.is_file || status.store.held {
        return Vec::new();
    }
    let last = status.store.committed_ms.div_euclid(1000);
    let until = closed.map_or("without data".to_owned(), |closed| {
        format!("data until {}", words::time(closed, now))
    });
    vec![format!(
        "no agent is running, the store was written last at {} ({} ago), {until}",
        words::time(last, now),
        words::length(now - last)
    )]
}
