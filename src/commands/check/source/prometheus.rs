//! Evidence from a Prometheus that scrapes the agents of a site.
//!
//! Counters are asked raw, at the ends of minutes, and differences are made here (see [`super::increase`]).
//! A counter grows when a line is read, so a minute here is the minute of reading; while an agent catches
//! up that is not the minute of the line, and what it counts then is left out.
//!
//! Nothing is complete by default: each instance that had the metric within the last hour must be scraped,
//! and up to date, and so must every other target of the same jobs. One that was taken out of the
//! configuration is a problem until an hour has passed: before, nobody can tell it from one that is gone.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::increase::{Instance, begins_late, increases};
use super::promql::{
    Answer, Found, Id, Labels, float, quoted, seconds, shown, values_of, whole, without_name,
};
use super::{Source, Span, Trouble, add, labelled, minute};
use crate::commands::check::ask;
use crate::commands::check::evidence::{Evidence, Lines, Minutes, Series};
use crate::commands::check::question::{Question, Selection};
use crate::commands::check::{judge, words};
use crate::commands::client::Client;
use crate::diagnostic::Untrusted;
use crate::rule::near_name;
use crate::store::Mark;

/// How far back instances are remembered.
const KNOWN: &str = "1h";
/// How far back a series that returns is looked for.
const LONG_AGO: &str = "14d";
/// A scrape that is older at the end of a minute says nothing of it.
const MAX_SCRAPE_AGE: f64 = 120.0;
/// An agent whose lines are further behind is catching up.
const MAX_BEHIND: f64 = 120.0;
/// Warnings of Prometheus that are repeated.
const MAX_WARNINGS: usize = 3;
/// How names of counters end, those of histograms included.
const COUNTERS: [&str; 4] = ["_total", "_count", "_sum", "_bucket"];
/// Most series of one answer.
const MAX_SERIES: usize = 50_000;

/// A Prometheus and what it said of its instances.
pub(super) struct Prometheus {
    client: Client,
    instances: BTreeMap<Id, Instance>,
    /// Matcher of their jobs, for questions about them.
    jobs: String,
    /// What Prometheus itself says is missing from its answers.
    partial: RefCell<BTreeSet<String>>,
}

/// Hours with samples at both ends.
#[derive(Default)]
struct Had {
    first: Option<i64>,
    /// After the first, those without.
    missing: BTreeSet<i64>,
}

impl Prometheus {
    pub(super) fn new(client: Client) -> Prometheus {
        Prometheus {
            client,
            instances: BTreeMap::new(),
            jobs: String::new(),
            partial: RefCell::default(),
        }
    }

    fn ask(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<Found>, Trouble> {
        let body = self.client.get(path, query)?;
        let strange = |reason: String| {
            Trouble::Answer(format!(
                "{path} did not answer as Prometheus does ({reason}): is --prometheus its address?"
            ))
        };
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|error| strange(Untrusted(error.to_string().as_bytes()).to_string()))?;
        self.partial.borrow_mut().extend(answer.warnings);
        let found = answer
            .data
            .ok_or_else(|| strange("no data".to_owned()))?
            .result;
        match found.len() {
            0..=MAX_SERIES => Ok(found),
            more => Err(Trouble::Answer(format!(
                "{more} series are too many to look at; expected matchers that select fewer"
            ))),
        }
    }

    fn instant(&self, query: &str, at: i64) -> Result<Vec<Found>, Trouble> {
        self.ask(
            "/api/v1/query",
            &[("query", query), ("time", &at.to_string())],
        )
    }

    /// Values at the ends of the steps of a span.
    fn range(&self, query: &str, span: Span, step: i64) -> Result<Vec<Found>, Trouble> {
        let (start, end) = (span.0.to_string(), span.1.to_string());
        self.ask(
            "/api/v1/query_range",
            &[
                ("query", query),
                ("start", &start),
                ("end", &end),
                ("step", &step.to_string()),
            ],
        )
    }

    /// Finds the instances that have the metric, and says what is wrong with them.
    fn meet(&mut self, question: &Question, span: Span, now: i64) -> Result<Vec<String>, Trouble> {
        let metric = &question.subject.metric;
        let known = self.instant(
            &format!(
                "last_over_time(up[{KNOWN}]) and on (job, instance) last_over_time({metric}[{KNOWN}])"
            ),
            now,
        )?;
        let targets = targets_of(&question.subject, &known)?;
        if targets.is_empty() {
            return Err(Trouble::Answer(format!(
                "Prometheus has scraped no `{}` within {KNOWN}: no data, which is not 0. Is the name right, and are the agents among its targets?",
                shown(&question.subject)
            )));
        }
        let jobs: BTreeSet<&str> = targets.iter().map(|(job, _)| job.as_str()).collect();
        let jobs: Vec<String> = jobs.into_iter().map(regex::escape).collect();
        self.jobs = format!("job=~{}", quoted(&jobs.join("|")));
        self.instances = targets
            .into_iter()
            .map(|id| (id, Instance::default()))
            .collect();
        self.see(span)?;
        let mut problems = self.missing(question, now);
        problems.extend(self.down(question, now)?);
        Ok(problems)
    }

    /// A sentence for each target of the same jobs that is down, and has been for so long that nobody
    /// remembers it among those that have the metric.
    fn down(&self, question: &Question, now: i64) -> Result<Vec<String>, Trouble> {
        let down = self.instant(&format!("up{{{}}} == 0", self.jobs), now)?;
        let down = targets_of(&question.subject, &down)?;
        let forgotten = down.iter().filter(|id| !self.instances.contains_key(*id));
        let said = forgotten.map(|(_, name)| {
            let name = words::name(std::slice::from_ref(name));
            format!("{name} is down for more than {KNOWN}: what it counts is missing")
        });
        Ok(said.collect())
    }

    /// What Prometheus says of its own answers.
    fn partial(&self) -> Vec<String> {
        let partial = self.partial.borrow();
        let said = partial.iter().take(MAX_WARNINGS).map(|warning| {
            format!(
                "Prometheus could not read all of it: {}",
                words::name(std::slice::from_ref(warning))
            )
        });
        said.collect()
    }

    /// When each instance was scraped, and when it was behind.
    fn see(&mut self, span: Span) -> Result<(), Trouble> {
        let jobs = &self.jobs;
        let scraped = self.range(
            &format!("timestamp(beacontail_catching_up{{{jobs}}})"),
            span,
            60,
        )?;
        let catching_up = self.range(&format!("beacontail_catching_up{{{jobs}}}"), span, 60)?;
        let behind = format!("max by (job, instance) (beacontail_watermark_lag_seconds{{{jobs}}})");
        let behind = self.range(&behind, span, 60)?;
        for found in &scraped {
            let Some(instance) = self.instances.get_mut(&found.id()) else {
                continue;
            };
            for (end, scraped) in found.samples() {
                if float(end) - scraped < MAX_SCRAPE_AGE {
                    instance.seen.insert(end);
                }
            }
        }
        for (all, limit) in [(&catching_up, 0.5), (&behind, MAX_BEHIND)] {
            for found in all {
                let Some(instance) = self.instances.get_mut(&found.id()) else {
                    continue;
                };
                let late = found
                    .samples()
                    .into_iter()
                    .filter(|(_, value)| *value > limit);
                // The minute after is when the last of it is counted.
                instance
                    .late
                    .extend(late.flat_map(|(end, _)| [end, end + 60]));
            }
        }
        Ok(())
    }

    /// A sentence for each instance of which something is missing in the window.
    fn missing(&self, question: &Question, now: i64) -> Vec<String> {
        let open = minute(now);
        let first = open - 60 * i64::from(question.window);
        let mut problems = Vec::new();
        for ((_, name), instance) in &self.instances {
            let name = words::name(std::slice::from_ref(name));
            let ends = || (first + 60..=open).step_by(60);
            let last = instance.seen.last().copied();
            if last.is_none_or(|last| last < open) {
                let since = last.map_or(format!("for {KNOWN} or less"), |last| {
                    format!("since {}", words::time(last, now))
                });
                problems.push(format!(
                    "{name} is not scraped {since}: what it counts is missing"
                ));
            } else if ends().any(|end| !instance.seen.contains(&end)) {
                problems.push(format!(
                    "{name} was not scraped in part of the window: what it counted then is missing"
                ));
            } else if ends().any(|end| instance.late.contains(&end)) {
                problems.push(format!(
                    "{name} is catching up with older lines: what it counts meanwhile is left out"
                ));
            }
        }
        problems
    }

    /// The time up to which everything was read by those that are scraped.
    fn closed(&self, now: i64) -> Result<Option<i64>, Trouble> {
        let lag = format!("beacontail_watermark_lag_seconds{{{}}}", self.jobs);
        let watermarks = format!("min by (job, instance) (timestamp({lag}) - {lag})");
        let found = self.instant(&watermarks, now)?;
        let known = found
            .iter()
            .filter(|f| self.instances.contains_key(&f.id()));
        let least = known.filter_map(Found::number).map(seconds).min();
        let last_seen = || {
            self.instances
                .values()
                .filter_map(|i| i.seen.last())
                .max()
                .copied()
        };
        Ok(least.or_else(last_seen).map(|at| minute(at.min(now))))
    }

    /// What each value of `by` counted in each minute; empty without any series.
    fn minutes(
        &self,
        selection: &Selection,
        by: &[String],
        span: Span,
    ) -> Result<BTreeMap<Vec<String>, Minutes>, Trouble> {
        let query = shown(selection);
        let found = self.range(&query, span, 60)?;
        let new = found.iter().any(|series| {
            let instance = self.instances.get(&series.id());
            instance.is_some_and(|instance| begins_late(&series.samples(), instance))
        });
        let mut before: BTreeMap<Labels, f64> = BTreeMap::new();
        if new {
            let query = format!("last_over_time({query}[{LONG_AGO}])");
            for series in self.instant(&query, span.0)? {
                if let Some(value) = series.number() {
                    before.insert(without_name(&series.metric), value);
                }
            }
        }
        let mut all: BTreeMap<Vec<String>, Minutes> = BTreeMap::new();
        for series in &found {
            let Some(instance) = self.instances.get(&series.id()) else {
                continue;
            };
            let before = before.get(&without_name(&series.metric)).copied();
            let sum = all.entry(values_of(&series.metric, by)).or_default();
            for (at, n) in increases(&series.samples(), instance, before) {
                add(sum, at, n);
            }
        }
        Ok(all)
    }

    /// Lines of all agents by minute, and which minutes are not whole.
    fn lines(&self, span: Span) -> Result<BTreeMap<i64, Lines>, Trouble> {
        let selection = Selection {
            metric: "beacontail_lines_total".to_owned(),
            matchers: self.jobs.clone(),
        };
        let mut lines: BTreeMap<i64, Lines> = BTreeMap::new();
        for (result, minutes) in self.minutes(&selection, &["result".to_owned()], span)? {
            let unparsed = result.first().is_some_and(|result| result == "unparsed");
            for (at, n) in minutes.into_iter().filter(|(_, n)| *n > 0.0) {
                let minute = lines.entry(at).or_default();
                minute.read += whole(n);
                minute.unparsed += if unparsed { whole(n) } else { 0 };
            }
        }
        for instance in self.instances.values() {
            let Some(&first) = instance.seen.first() else {
                continue;
            };
            let ends = (first + 60..=span.1 - 60).step_by(60);
            for end in ends.filter(|end| !instance.is_whole(*end)) {
                lines.entry(end - 60).or_default().incomplete = true;
            }
        }
        Ok(lines)
    }

    /// What each value of `by` counted in each hour, and which hours can be relied upon.
    fn hours(
        &self,
        question: &Question,
        end: i64,
    ) -> Result<(BTreeMap<Vec<String>, Minutes>, Had), Trouble> {
        let (mut all, mut had) = (BTreeMap::new(), BTreeSet::new());
        let back = judge::hours_back(question);
        if back == 0 {
            return Ok((all, Had::default()));
        }
        let whole = end.div_euclid(3600) * 3600;
        let span = (whole - back * 3600, whole);
        for series in self.range(&shown(&question.subject), span, 3600)? {
            let hours: &mut Minutes = all
                .entry(values_of(&series.metric, &question.by))
                .or_default();
            let samples = series.samples();
            for (&end, &value) in &samples {
                if let Some(&before) = samples.get(&(end - 3600)) {
                    let increase = if value >= before {
                        value - before
                    } else {
                        value
                    };
                    add(hours, end - 3600, increase);
                    had.insert(end - 3600);
                }
            }
        }
        let first = had.first().copied();
        let hours = (first.unwrap_or(whole)..whole).step_by(3600);
        let missing = hours.filter(|hour| !had.contains(hour)).collect();
        Ok((all, Had { first, missing }))
    }

    fn queues(&self, now: i64) -> Result<Vec<(String, u64)>, Trouble> {
        let found = self.instant(
            &format!("beacontail_output_queue_minutes{{{}}}", self.jobs),
            now,
        )?;
        let known = found
            .iter()
            .filter(|f| self.instances.contains_key(&f.id()));
        let queues = known.filter_map(|queue| {
            let output = queue.metric.get("output").map_or("", String::as_str);
            Some((
                format!("{output} at {}", queue.id().1),
                whole(queue.number()?.max(0.0)),
            ))
        });
        Ok(queues.collect())
    }
}

/// Only counters have increases: what falls and rises again would be taken for one that began again.
fn counters(question: &Question) -> Result<(), Trouble> {
    let names = [Some(&question.subject), question.base.as_ref()];
    let names = names
        .into_iter()
        .flatten()
        .map(|selection| &selection.metric);
    let is_counter = |name: &&String| COUNTERS.iter().any(|end| name.ends_with(end));
    match names.into_iter().find(|name| !is_counter(name)) {
        None => Ok(()),
        Some(name) => Err(Trouble::Answer(format!(
            "`{name}` is no counter by its name, and what is asked is how much was counted; expected a name that ends in `_total`, or `_count` of a histogram"
        ))),
    }
}

/// Instances that the selection means: its matchers on labels of targets hold for them.
fn targets_of(selection: &Selection, known: &[Found]) -> Result<BTreeSet<Id>, Trouble> {
    let selected = ask::matchers(selection)?;
    let labels: BTreeSet<&String> = known.iter().flat_map(|found| found.metric.keys()).collect();
    let mut of_target = selected.labels();
    of_target.retain(|label| labels.contains(label) && label != "__name__");
    let holds = |found: &&Found| {
        let value = |label: &str| found.metric.get(label).map_or("", String::as_str);
        let mut of_target = of_target.iter();
        of_target.all(|label| selected.keeps(label, value(label)))
    };
    Ok(known.iter().filter(holds).map(Found::id).collect())
}

impl Source for Prometheus {
    fn evidence(&mut self, question: &Question, now: i64) -> Result<Evidence, Trouble> {
        let back = i64::from(question.window) + judge::minutes_back(question);
        // Asked at the end of the open minute, Prometheus gives the newest sample.
        let end = minute(now) + 60;
        let span = (end - 60 * (back + 1 + question_lag(question)), end);
        counters(question)?;
        let mut problems = self.meet(question, span, now)?;
        let closed = self.closed(now)?;
        let mut by_labels: BTreeMap<Vec<String>, Series> = BTreeMap::new();
        for (labels, minutes) in self.minutes(&question.subject, &question.by, span)? {
            by_labels.entry(labels).or_default().minutes = minutes;
        }
        if let Some(base) = &question.base {
            for (labels, minutes) in self.minutes(base, &question.by, span)? {
                by_labels.entry(labels).or_default().base = minutes;
            }
        }
        let (hours, had) = self.hours(question, closed.unwrap_or(end))?;
        for (labels, hours) in hours {
            by_labels.entry(labels).or_default().hours = hours;
        }
        let began = self.instances.values().filter_map(|i| i.seen.first()).min();
        let began = began.copied().unwrap_or(end);
        if by_labels.is_empty() {
            return Err(Trouble::Answer(format!(
                "Prometheus has no series `{}`: no data, which is not 0",
                shown(&question.subject)
            )));
        }
        let near = Selection {
            metric: near_name(&question.subject.metric),
            matchers: self.jobs.clone(),
        };
        let near_misses = self.minutes(&near, &[], span)?.into_values().next();
        let (lines, queues) = (self.lines(span)?, self.queues(now)?);
        problems.extend(self.partial());
        Ok(Evidence {
            closed,
            series: labelled(by_labels),
            lines: Some(lines),
            incomplete_hours: had.missing,
            complete_from: had.first.unwrap_or(began).min(began),
            near_misses: near_misses.unwrap_or_default(),
            queues,
            problems,
            remarks: Vec::new(),
        })
    }

    fn counts(
        &mut self,
        selection: &Selection,
        by: &[String],
        span: Span,
    ) -> Result<Option<Vec<Series>>, Trouble> {
        let found = self.minutes(selection, by, span)?;
        // A label that is nowhere is none of the metric's.
        let has_labels = by.is_empty() || found.keys().any(|v| v.iter().any(|v| !v.is_empty()));
        let series = found.into_iter().map(|(labels, minutes)| Series {
            labels,
            minutes,
            ..Series::default()
        });
        let series: Vec<Series> = series.collect();
        Ok((has_labels && !series.is_empty()).then_some(series))
    }

    fn marks(&mut self, now: i64) -> Result<Vec<Mark>, Trouble> {
        let query = format!("beacontail_mark_timestamp_seconds{{{}}}", self.jobs);
        let mut marks: Vec<Mark> = Vec::new();
        for found in self.instant(&query, now)? {
            if let (Some(at), Some(text)) = (found.number(), found.metric.get("text")) {
                marks.push(Mark {
                    at_ms: seconds(at).saturating_mul(1000),
                    text: text.clone(),
                    tags: Vec::new(),
                });
            }
        }
        marks.sort_by_key(|mark| std::cmp::Reverse(mark.at_ms));
        Ok(marks)
    }

    fn logs(&self, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn warnings(&self) -> &[String] {
        &self.client.warnings
    }
}

/// Minutes by which the window may lie before the newest one.
fn question_lag(question: &Question) -> i64 {
    i64::try_from(question.limits.lag.as_secs() / 60)
        .unwrap_or(60)
        .min(1440)
}
