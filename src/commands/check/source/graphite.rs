//! Evidence from Graphite's render API: what the agents of a site have delivered.
//!
//! A point is a minute of which all lines were read, so the newest point says how far the data goes; a
//! minute without a point is no data, and not 0. A series is told by its target's name: `alias(…)` or
//! `aliasByNode(…)` give it one for people.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Source, Span, Trouble, add, minute};
use crate::commands::check::evidence::{Evidence, Lines, Minutes, Series};
use crate::commands::check::judge;
use crate::commands::check::question::{Question, Selection};
use crate::commands::check::words;
use crate::commands::client::Client;
use crate::diagnostic::Untrusted;
use crate::store::Mark;

/// A Graphite and what is asked of it.
pub(super) struct Graphite {
    client: Client,
    targets: Vec<String>,
    incomplete: Vec<String>,
}

#[derive(Deserialize)]
struct Rendered {
    target: String,
    datapoints: Vec<(Option<f64>, i64)>,
}

impl Rendered {
    /// Seconds between points.
    fn step(&self) -> Option<i64> {
        let times = self.datapoints.windows(2);
        let steps = times.filter_map(|pair| match pair {
            [(_, a), (_, b)] => Some(b - a),
            _ => None,
        });
        steps.min()
    }

    /// Values by minute, finer steps added up; a minute without any value is not there.
    fn minutes(&self) -> Result<Minutes, Trouble> {
        let mut minutes = Minutes::new();
        if let Some(step) = self.step()
            && (step <= 0 || step > 60)
        {
            return Err(Trouble::Answer(format!(
                "Graphite has a point of `{}` each {} there, not each minute: its retention begins with longer steps, or does not keep minutes for as long as is looked back; expected `60s` first in storage-schemas.conf, and a shorter --window",
                words::name(std::slice::from_ref(&self.target)),
                words::length(step)
            )));
        }
        for (value, at) in &self.datapoints {
            if let Some(value) = value.filter(|value| value.is_finite()) {
                add(&mut minutes, minute(*at), value);
            }
        }
        Ok(minutes)
    }
}

impl Graphite {
    pub(super) fn new(client: Client, targets: Vec<String>, incomplete: Vec<String>) -> Graphite {
        Graphite {
            client,
            targets,
            incomplete,
        }
    }

    /// Targets over a span; Graphite's `from` is exclusive.
    fn render(&self, targets: &[String], span: Span) -> Result<Vec<Rendered>, Trouble> {
        let (from, until) = ((span.0 - 1).to_string(), span.1.to_string());
        let mut query = vec![
            ("format", "json"),
            ("from", from.as_str()),
            ("until", until.as_str()),
            // Answers that it remembers would be as old as it likes.
            ("noCache", "1"),
        ];
        query.extend(targets.iter().map(|target| ("target", target.as_str())));
        let body = self.client.get("/render", &query)?;
        serde_json::from_slice(&body).map_err(|error| {
            Trouble::Answer(format!(
                "/render did not answer as Graphite does ({}): is --graphite its address?",
                Untrusted(error.to_string().as_bytes())
            ))
        })
    }

    /// Minutes that an agent flagged.
    fn flagged(&self, span: Span) -> Result<Minutes, Trouble> {
        let mut flagged = Minutes::new();
        if self.incomplete.is_empty() {
            return Ok(flagged);
        }
        let rendered = self.render(&self.incomplete, span)?;
        if rendered.is_empty() {
            return Err(Trouble::Answer(format!(
                "Graphite has no series for --incomplete-target `{}`",
                Untrusted(self.incomplete.join(", ").as_bytes())
            )));
        }
        for series in &rendered {
            for (at, value) in series.minutes()? {
                add(&mut flagged, at, value);
            }
        }
        Ok(flagged)
    }

    /// Each target by itself: one that gives nothing is a mistake, and nothing is said of the others without it.
    fn all(&self, span: Span) -> Result<Vec<Rendered>, Trouble> {
        let mut all = Vec::new();
        for target in &self.targets {
            let rendered = self.render(std::slice::from_ref(target), span)?;
            if rendered.is_empty() {
                return Err(Trouble::Answer(format!(
                    "Graphite has no series for `{}`: no data, which is not 0. Is the target right?",
                    Untrusted(target.as_bytes())
                )));
            }
            all.extend(rendered);
        }
        Ok(all)
    }
}

/// Series without a point in minutes of the window in which others have one: 0, or not delivered? Series
/// of one name are added up, and each of them has to be there.
fn gaps(series: &[(String, Minutes)], closed: Option<i64>, window: u32) -> Vec<String> {
    let Some(closed) = closed else {
        return Vec::new();
    };
    let window = closed - 60 * i64::from(window)..closed;
    let in_window = |minutes: &Minutes| -> BTreeSet<i64> {
        minutes.range(window.clone()).map(|(at, _)| *at).collect()
    };
    let had: BTreeSet<i64> = series.iter().flat_map(|(_, m)| in_window(m)).collect();
    let missing = series.iter().filter_map(|(name, minutes)| {
        let missing = had.len() - in_window(minutes).len();
        let same = series.iter().filter(|(other, _)| other == name).count();
        let which = match same {
            1 => String::new(),
            more => format!(", one of {more} of that name,"),
        };
        let name = words::name(std::slice::from_ref(name));
        (missing > 0).then(|| {
            format!(
                "`{name}`{which} has no point in {missing} of {} minutes in which others have (if that means 0, say so: transformNull)",
                had.len()
            )
        })
    });
    missing.collect()
}

impl Source for Graphite {
    fn evidence(&mut self, question: &Question, now: i64) -> Result<Evidence, Trouble> {
        let lag = i64::try_from(question.limits.lag.as_secs())
            .unwrap_or(3600)
            .min(86_400);
        let back = i64::from(question.window) + judge::minutes_back(question);
        let span = (minute(now - lag) - 60 * back, minute(now));
        let mut rendered: Vec<(String, Minutes)> = Vec::new();
        for series in self.all(span)? {
            rendered.push((series.target.clone(), series.minutes()?));
        }
        let mut by_name: BTreeMap<String, Minutes> = BTreeMap::new();
        for (name, minutes) in &rendered {
            let sum = by_name.entry(name.clone()).or_default();
            for (at, value) in minutes {
                add(sum, *at, *value);
            }
        }
        let flagged = self.flagged(span)?;
        // Of these, the ones with a point; Graphite knows no lines.
        let mut lines: BTreeMap<i64, Lines> = BTreeMap::new();
        for at in by_name.values().flat_map(BTreeMap::keys) {
            lines.entry(*at).or_default().read = 1;
        }
        for (at, _) in flagged.iter().filter(|(_, value)| **value > 0.0) {
            lines.entry(*at).or_default().incomplete = true;
        }
        let newest = by_name
            .values()
            .filter_map(|m| m.last_key_value())
            .map(|(at, _)| *at)
            .max();
        let problems = gaps(&rendered, newest.map(|at| at + 60), question.window);
        let series = by_name.into_iter().map(|(name, minutes)| Series {
            labels: vec![name],
            minutes,
            ..Series::default()
        });
        Ok(Evidence {
            closed: newest.map(|at| at + 60),
            series: series.collect(),
            lines: Some(lines),
            incomplete_hours: BTreeSet::new(),
            complete_from: span.0,
            near_misses: Minutes::new(),
            queues: Vec::new(),
            problems,
            remarks: Vec::new(),
        })
    }

    fn counts(
        &mut self,
        _: &Selection,
        _: &[String],
        _: Span,
    ) -> Result<Option<Vec<Series>>, Trouble> {
        Ok(None)
    }

    fn marks(&mut self, _: i64) -> Result<Vec<Mark>, Trouble> {
        Ok(Vec::new())
    }

    fn logs(&self, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn warnings(&self) -> &[String] {
        &self.client.warnings
    }
}
