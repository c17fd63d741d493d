//! What a stretch of time counted, and how far that can be relied upon.

use std::collections::BTreeMap;

use super::words;
use crate::store::{SeriesAnswer, SeriesValues, StepState};

/// How a minute stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Minute {
    /// No log that feeds the metric had a line.
    NoData,
    /// Every line was read and understood.
    Whole,
    /// Lines are known to be missing.
    Incomplete,
    /// Lines may still come.
    Counting,
}

/// What a stretch of time counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell {
    /// No log that feeds the metric had a line.
    NoData,
    /// This much.
    Count(f64),
    /// At least this much: some minutes are incomplete.
    AtLeast(f64),
}

impl Cell {
    /// The number, 0 where there is none.
    pub(super) fn value(self) -> f64 {
        match self {
            Cell::NoData => 0.0,
            Cell::Count(value) | Cell::AtLeast(value) => value,
        }
    }

    /// Both together.
    pub(super) fn and(self, other: Cell) -> Cell {
        match (self, other) {
            (Cell::NoData, cell) | (cell, Cell::NoData) => cell,
            (Cell::Count(a), Cell::Count(b)) => Cell::Count(a + b),
            (a, b) => Cell::AtLeast(a.value() + b.value()),
        }
    }
}

/// An answer, ready to be asked about minutes.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) answer: &'a SeriesAnswer,
    steps: BTreeMap<i64, StepState>,
    /// End of the newest minute that is closed.
    pub(super) closed: i64,
}

impl<'a> View<'a> {
    pub(super) fn new(answer: &'a SeriesAnswer) -> View<'a> {
        let closed = answer.watermark.unwrap_or(answer.from);
        View {
            answer,
            steps: answer.steps.iter().map(|step| (step.at, *step)).collect(),
            closed: (closed.div_euclid(60) * 60).clamp(answer.from, answer.to),
        }
    }

    /// Starts of its minutes, oldest first.
    pub(super) fn minutes(&self) -> impl DoubleEndedIterator<Item = i64> + use<> {
        let (from, count) = (self.answer.from, (self.answer.to - self.answer.from) / 60);
        (0..count).map(move |n| from + n * 60)
    }

    pub(super) fn minute(&self, at: i64) -> Minute {
        let Some(step) = self.steps.get(&at) else {
            return Minute::NoData;
        };
        if step.incomplete || at < self.answer.complete_from {
            Minute::Incomplete
        } else if at >= self.closed {
            Minute::Counting
        } else {
            Minute::Whole
        }
    }

    /// What a series counted from `from` up to, not including, `to`.
    pub(super) fn cell(&self, series: &SeriesValues, from: i64, to: i64) -> Cell {
        let mut steps = self.steps.range(from..to).peekable();
        if steps.peek().is_none() {
            return Cell::NoData;
        }
        let incomplete = steps.any(|(at, _)| self.minute(*at) == Minute::Incomplete);
        let points = series.points.iter();
        let value: f64 = points
            .filter(|point| (from..to).contains(&point.at))
            .map(|point| point.value(&self.answer.kind))
            // The sum of nothing is -0.
            .fold(0.0, |sum, value| sum + value);
        if incomplete {
            Cell::AtLeast(value)
        } else {
            Cell::Count(value)
        }
    }

    /// What a series counted in so many closed minutes.
    pub(super) fn last(&self, series: &SeriesValues, minutes: i64) -> Cell {
        let from = self.closed - minutes * 60;
        self.cell(series, from.max(self.answer.from), self.closed)
    }

    /// What a series counted in minutes that are not closed.
    pub(super) fn counting(&self, series: &SeriesValues) -> Cell {
        self.cell(series, self.closed, self.answer.to)
    }

    /// All of them.
    pub(super) fn whole(&self, series: &SeriesValues) -> Cell {
        self.cell(series, self.answer.from, self.answer.to)
    }

    /// `13:05 UTC`, the end of the newest closed minute.
    pub(super) fn closed_clock(&self) -> String {
        format!("{} UTC", words::clock(self.closed))
    }
}

/// Labels added up by one of them, or by something made of it; in the order of names.
pub(super) fn grouped(answer: &SeriesAnswer, name: impl Fn(&[String]) -> String) -> SeriesAnswer {
    let mut groups: BTreeMap<String, BTreeMap<i64, crate::store::SeriesPoint>> = BTreeMap::new();
    for series in &answer.series {
        let group = groups.entry(name(&series.labels)).or_default();
        for point in &series.points {
            group
                .entry(point.at)
                .and_modify(|sum| {
                    sum.n += point.n;
                    sum.sum = sum.sum.zip(point.sum).map(|(a, b)| a + b);
                })
                .or_insert(*point);
        }
    }
    let series = groups.into_iter().map(|(name, points)| SeriesValues {
        labels: vec![name],
        points: points.into_values().collect(),
    });
    SeriesAnswer {
        series: series.collect(),
        ..answer.clone()
    }
}

/// `5xx` of `503`; what is no status stays.
pub(super) fn status_class(code: &str) -> String {
    match code.as_bytes() {
        [first @ b'1'..=b'5', _, _] => format!("{}xx", char::from(*first)),
        _ => code.to_owned(),
    }
}
