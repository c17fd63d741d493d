//! One metric over time, out of windows and hours.
//!
//! A minute belongs to a metric as outputs see it: definitions of one name, kind and set of labels add up.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::Trouble;
use super::scan::{Each, HOUR, Scan};
use super::status::{label_names, type_name};
use crate::metrics::{Decimal, Kind};
use crate::store::StoreError;
use crate::store::answer::{SeriesAnswer, SeriesPoint, SeriesQuestion, SeriesValues, StepState};
use crate::store::cell;

/// Where lines are counted by log and result.
pub(super) const LINES: &str = "beacontail_lines_total";
/// Which minutes of a log are known to be incomplete.
const INCOMPLETE: &str = "beacontail_incomplete";

/// Most series that are there for being declared.
const MAX_DECLARED: usize = 10_000;
/// A window may be of a later minute than its count, by the clock of a log.
const AHEAD: i64 = 2 * 86_400;
/// Rows that may be read for each point that an answer may have: labels that are not kept add up.
const ROWS: usize = 25;

/// Label values by name.
pub(super) type Labels = BTreeMap<String, String>;

/// A metric of the configuration.
struct Found {
    id: i64,
    kind: Kind,
    labels: Vec<String>,
    complete_from: i64,
    /// Row ids and names.
    logs: Vec<(i64, String)>,
}

/// Answers within the transaction that is open.
pub(super) fn answer(
    connection: &Connection,
    question: &SeriesQuestion,
    keep: &dyn Fn(&str, &str) -> bool,
) -> Result<SeriesAnswer, Trouble> {
    let metric = find(connection, question)?;
    let grid = Grid::new(question)?;
    let passes = |labels: &Labels| {
        let mut matched = question.matched.iter();
        matched.all(|name| labels.get(name).is_some_and(|value| keep(name, value)))
    };
    let members = Members::of_labels(connection, question, &metric, grid.from, &passes)?;
    let declared = declared(connection, question, metric.id, keep)?;
    let mut sums = Sums::new(&metric.kind, question);
    let ids = members.ids();
    let mut add = |at: i64, id: i64, row: &Row<'_>| {
        members
            .labels(id)
            .map_or(Ok(()), |labels| sums.add(grid.step_of(at), id, labels, row))
    };
    let scan = Scan::new(
        connection,
        question.most.map(|most| most.saturating_mul(ROWS)),
    );
    scan_all(&scan, &ids, &grid, &mut add)?;
    let complete_from = metric.complete_from.max(0);
    Ok(SeriesAnswer {
        metric: question.metric.clone(),
        kind: type_name(metric.kind.metric_type()).to_owned(),
        by: question.by.clone(),
        from: grid.from,
        to: grid.to,
        step: grid.step,
        complete_from,
        watermark: watermark(connection, metric.id)?,
        steps: steps(connection, &scan, &metric, &grid)?,
        series: sums.series(declared),
    })
}

/// The steps of an answer.
#[derive(Clone, Copy, Debug)]
struct Grid {
    from: i64,
    to: i64,
    step: i64,
}

impl Grid {
    fn new(question: &SeriesQuestion) -> Result<Grid, Trouble> {
        let refuse =
            |problem: &str| Err(Trouble::Question(StoreError::Question(problem.to_owned())));
        let step = question.step;
        let unit = if step >= HOUR { HOUR } else { 60 };
        if step <= 0 || step % unit != 0 {
            return refuse(
                "a step is a multiple of 60 seconds, and of 3600 when it is longer than an hour",
            );
        }
        let from = question.from.div_euclid(unit).saturating_mul(unit);
        if question.to <= from {
            return refuse("`to` is not after `from`");
        }
        let length = question.to.saturating_sub(from);
        let steps = length.saturating_sub(1).div_euclid(step).saturating_add(1);
        let to = from.saturating_add(steps.saturating_mul(step));
        Ok(Grid { from, to, step })
    }

    /// Start of the step that holds a time.
    fn step_of(&self, at: i64) -> i64 {
        at.saturating_sub(at.saturating_sub(self.from).rem_euclid(self.step))
    }
}

fn find(connection: &Connection, question: &SeriesQuestion) -> Result<Found, Trouble> {
    let found = connection
        .prepare_cached(
            "SELECT id, kind, label_names, complete_from FROM metric \
             WHERE name = ?1 AND dropped_ms IS NULL",
        )?
        .query_row([&question.metric], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, i64>(3)?,
            ))
        })
        .optional()?;
    let Some((id, kind, labels, own)) = found else {
        return Err(no_metric(connection, &question.metric)?);
    };
    let labels = label_names(&labels);
    let asked = question.by.iter().chain(&question.matched);
    if let Some(name) = asked.into_iter().find(|name| !labels.contains(name)) {
        let what = format!("label `{}` of `{}`", name.escape_debug(), question.metric);
        return Err(unknown(what, name, labels));
    }
    let mut statement = connection.prepare_cached(
        "SELECT l.id, l.name, l.complete_from FROM metric_log f JOIN log l ON l.id = f.log \
         WHERE f.metric = ?1",
    )?;
    let mut rows = statement.query([id])?;
    let (mut logs, mut complete_from) = (Vec::new(), own);
    while let Some(row) = rows.next()? {
        logs.push((row.get(0)?, row.get(1)?));
        complete_from = complete_from.max(row.get(2)?);
    }
    if logs.is_empty() {
        let name = question.metric.escape_debug();
        let problem = format!("`{name}` keeps no minutes; its total is on /metrics");
        return Err(Trouble::Question(StoreError::Question(problem)));
    }
    Ok(Found {
        id,
        kind: cell::kind_from_text(&kind),
        labels,
        complete_from,
        logs,
    })
}

fn no_metric(connection: &Connection, name: &str) -> rusqlite::Result<Trouble> {
    let mut statement = connection.prepare_cached(
        "SELECT name FROM metric WHERE dropped_ms IS NULL AND id IN (SELECT metric FROM metric_log)",
    )?;
    let names = statement.query_map([], |row| row.get(0))?;
    let names: Vec<String> = names.collect::<Result<_, _>>()?;
    let what = format!("metric `{}`", name.escape_debug());
    Ok(unknown(what, name, names))
}

fn unknown(what: String, name: &str, mut known: Vec<String>) -> Trouble {
    known.sort_by_cached_key(|other| (std::cmp::Reverse(likeness(name, other)), other.clone()));
    Trouble::Question(StoreError::Unknown { what, known })
}

/// How many of the pairs of neighbouring bytes of two names both have, in thousandths.
fn likeness(a: &str, b: &str) -> usize {
    let pairs =
        |name: &str| -> BTreeSet<(u8, u8)> { name.bytes().zip(name.bytes().skip(1)).collect() };
    let (a, b) = (pairs(a), pairs(b));
    2000 * a.intersection(&b).count() / (a.len() + b.len()).max(1)
}

/// The smallest watermark of the logs that feed a metric; `None` while one of them had no line.
fn watermark(connection: &Connection, metric: i64) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT CASE WHEN count(*) = count(l.watermark) THEN min(l.watermark) END \
         FROM metric_log f JOIN log l ON l.id = f.log WHERE f.metric = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row([metric], |row| row.get(0))
}

/// Rows of series that an answer is about.
pub(super) struct Members {
    by_id: HashMap<i64, Labels>,
}

impl Members {
    /// Series of a metric of the configuration that may have counted something from a time on.
    pub(super) fn of(
        connection: &Connection,
        metric: &str,
        from: i64,
        keep: &dyn Fn(&Labels) -> bool,
    ) -> Result<Members, Trouble> {
        let since = from.saturating_sub(AHEAD).saturating_mul(1000);
        let mut statement = connection.prepare_cached(
            "SELECT s.id, s.labels FROM metric p \
             JOIN metric m ON m.name = p.name AND m.kind = p.kind \
             JOIN series s ON s.metric = m.id \
             WHERE p.name = ?1 AND p.dropped_ms IS NULL AND s.changed_ms >= ?2",
        )?;
        let mut rows = statement.query(params![metric, since])?;
        let mut by_id = HashMap::new();
        while let Some(row) = rows.next()? {
            let labels = read_labels(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)?;
            if keep(&labels) {
                by_id.insert(row.get(0)?, labels);
            }
        }
        Ok(Members { by_id })
    }

    fn of_labels(
        connection: &Connection,
        question: &SeriesQuestion,
        metric: &Found,
        from: i64,
        passes: &dyn Fn(&Labels) -> bool,
    ) -> Result<Members, Trouble> {
        let same = |labels: &Labels| {
            labels.len() == metric.labels.len()
                && metric.labels.iter().all(|name| labels.contains_key(name))
        };
        let keep = |labels: &Labels| same(labels) && passes(labels);
        Members::of(connection, &question.metric, from, &keep)
    }

    /// In their order.
    pub(super) fn ids(&self) -> Vec<i64> {
        let mut ids: Vec<i64> = self.by_id.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    pub(super) fn labels(&self, id: i64) -> Option<&Labels> {
        self.by_id.get(&id)
    }
}

fn read_labels(text: &str) -> rusqlite::Result<Labels> {
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(error))
    })
}

/// Label values that are there though nothing was counted. A label that is not kept cannot exclude them:
/// of a declared provider nothing was counted at this POP, either.
fn declared(
    connection: &Connection,
    question: &SeriesQuestion,
    metric: i64,
    keep: &dyn Fn(&str, &str) -> bool,
) -> Result<BTreeSet<Vec<String>>, Trouble> {
    let mut statement = connection.prepare_cached(
        "SELECT value FROM declared WHERE metric = ?1 AND label = ?2 ORDER BY value",
    )?;
    let mut all = BTreeSet::from([Vec::new()]);
    for label in &question.by {
        let values = statement.query_map(params![metric, label], |row| row.get(0))?;
        let mut values: Vec<String> = values.collect::<Result<_, _>>()?;
        values.retain(|value| !question.matched.contains(label) || keep(label, value));
        if all.len().saturating_mul(values.len()) > MAX_DECLARED {
            return Ok(BTreeSet::new());
        }
        let longer = all.iter().flat_map(|labels| {
            let with = |value: &String| [labels.as_slice(), std::slice::from_ref(value)].concat();
            values.iter().map(with)
        });
        all = longer.collect();
    }
    Ok(all)
}

/// What a step of a series counted.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    n: u64,
    amount: Decimal,
    /// Where the newest value of a gauge stood.
    newest: (u64, u64),
}

impl Sum {
    fn add(&mut self, kind: &Kind, cell: &[u64]) {
        let word = |at: usize| cell.get(at).copied().unwrap_or_default();
        match kind {
            Kind::Last if (word(0), word(1)) < self.newest => {}
            Kind::Last => {
                *self = Sum {
                    n: 1,
                    amount: kind.amount(cell),
                    newest: (word(0), word(1)),
                };
            }
            Kind::Buckets(_) => self.join(kind.observations(cell), kind.observed_sum(cell)),
            Kind::Count => self.join(word(0), Decimal::ZERO),
            Kind::Sum => self.join(word(0), kind.amount(cell)),
        }
    }

    fn join(&mut self, n: u64, amount: Decimal) {
        self.n = self.n.saturating_add(n);
        self.amount = Decimal(self.amount.0.saturating_add(amount.0));
    }
}

/// Steps of one row of the answer, in their order.
type Steps = Vec<(i64, Sum)>;

/// What rows add up to, by the labels that are kept. Of a gauge the newest value of each series counts, so
/// its series are added up when all rows are read.
struct Sums<'q> {
    kind: &'q Kind,
    question: &'q SeriesQuestion,
    places: HashMap<i64, usize>,
    rows: Vec<(Vec<String>, Steps)>,
    by_labels: HashMap<Vec<String>, usize>,
    points: usize,
}

impl<'q> Sums<'q> {
    fn new(kind: &'q Kind, question: &'q SeriesQuestion) -> Sums<'q> {
        Sums {
            kind,
            question,
            places: HashMap::new(),
            rows: Vec::new(),
            by_labels: HashMap::new(),
            points: 0,
        }
    }

    /// Adds columns `n` and `cell`.
    fn add(&mut self, at: i64, id: i64, labels: &Labels, row: &Row<'_>) -> Result<(), Trouble> {
        let place = self.place(id, labels);
        let cell = cell::from_row(row, self.kind)?;
        let Some((_, steps)) = self.rows.get_mut(place) else {
            return Ok(());
        };
        let found = match steps.last() {
            Some(&(last, _)) if last == at => Ok(steps.len() - 1),
            Some(&(last, _)) if last < at => Err(steps.len()),
            _ => steps.binary_search_by_key(&at, |&(at, _)| at),
        };
        let place = found.unwrap_or_else(|place| {
            steps.insert(place, (at, Sum::default()));
            place
        });
        if let Some((_, sum)) = steps.get_mut(place) {
            sum.add(self.kind, &cell);
        }
        self.points += usize::from(found.is_err());
        match self.question.most.filter(|&most| self.points > most) {
            Some(most) => Err(Trouble::Question(StoreError::Question(format!(
                "more than {most} points: ask for a shorter time, a longer step, fewer labels or \
                 fewer series"
            )))),
            None => Ok(()),
        }
    }

    fn place(&mut self, id: i64, labels: &Labels) -> usize {
        if let Some(&place) = self.places.get(&id) {
            return place;
        }
        let by = self.question.by.iter();
        let kept: Vec<String> = by.filter_map(|name| labels.get(name).cloned()).collect();
        let known = match self.kind {
            Kind::Last => None,
            _ => self.by_labels.get(&kept).copied(),
        };
        let place = known.unwrap_or_else(|| {
            self.by_labels.insert(kept.clone(), self.rows.len());
            self.rows.push((kept, Vec::new()));
            self.rows.len() - 1
        });
        self.places.insert(id, place);
        place
    }

    /// The rows of the answer, by label values.
    fn series(self, declared: BTreeSet<Vec<String>>) -> Vec<SeriesValues> {
        let mut all: BTreeMap<Vec<String>, BTreeMap<i64, Sum>> = declared
            .into_iter()
            .map(|labels| (labels, BTreeMap::new()))
            .collect();
        for (labels, steps) in self.rows {
            let into = all.entry(labels).or_default();
            for (at, sum) in steps {
                into.entry(at).or_default().join(sum.n, sum.amount);
            }
        }
        let point = |(at, sum): (i64, Sum)| SeriesPoint {
            at,
            n: sum.n,
            sum: (!matches!(self.kind, Kind::Count)).then(|| cell::float(sum.amount)),
        };
        all.into_iter()
            .map(|(labels, steps)| SeriesValues {
                labels,
                points: steps.into_iter().map(point).collect(),
            })
            .collect()
    }
}

/// Steps in which the logs of a metric had lines.
fn steps(
    connection: &Connection,
    scan: &Scan<'_>,
    metric: &Found,
    grid: &Grid,
) -> Result<Vec<StepState>, Trouble> {
    let feeds = |labels: &Labels| {
        let log = labels.get("log");
        log.is_some_and(|log| metric.logs.iter().any(|(_, name)| name == log))
    };
    let mut steps: BTreeMap<i64, StepState> = BTreeMap::new();
    let lines = Members::of(connection, LINES, grid.from, &feeds)?;
    let mut count = |at: i64, id: i64, row: &Row<'_>| {
        let n = row.get::<_, i64>(0)?.cast_unsigned();
        let result = lines.labels(id).and_then(|labels| labels.get("result"));
        let unparsed = result.is_some_and(|result| result == "unparsed");
        let at = grid.step_of(at);
        let step = steps.entry(at).or_insert(StepState {
            at,
            lines: 0,
            unparsed: 0,
            incomplete: at < metric.complete_from,
        });
        step.lines = step.lines.saturating_add(n);
        step.unparsed = step.unparsed.saturating_add(if unparsed { n } else { 0 });
        Ok(())
    };
    scan_all(scan, &lines.ids(), grid, &mut count)?;
    let flags = Members::of(connection, INCOMPLETE, grid.from, &feeds)?;
    let mut flag = |at: i64, _: i64, row: &Row<'_>| {
        let cell = cell::from_row(row, &Kind::Last)?;
        let step = steps.get_mut(&grid.step_of(at));
        if let Some(step) = step.filter(|_| Kind::Last.amount(&cell) > Decimal::ZERO) {
            step.incomplete = true;
        }
        Ok(())
    };
    scan_all(scan, &flags.ids(), grid, &mut flag)?;
    Ok(steps.into_values().filter(|step| step.lines > 0).collect())
}

/// Reads hours where steps are that long, and windows.
fn scan_all(scan: &Scan<'_>, ids: &[i64], grid: &Grid, each: &mut Each<'_>) -> Result<(), Trouble> {
    if grid.step >= HOUR {
        scan.hours(ids, grid.from, grid.to, each)?;
    }
    scan.windows(ids, grid.from, grid.to, each)
}
