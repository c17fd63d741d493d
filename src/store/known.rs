//! What the store keeps in memory of the registered plan: numbers, row ids, totals and slots.
//!
//! It is read once at registration and then changes with the transaction that is open. When that
//! transaction is not kept for certain, all of this is thrown away and read again.
//!
//! Slots: a metric has room for so many undeclared series at a time. A series takes a slot when it is
//! counted first, gives it back when nothing was counted for the retention, and needs a new one when it
//! returns. Without a slot undeclared labels become `_other`; such series need no slot themselves, since
//! there are no more of them than declared combinations.

use std::collections::{BTreeMap, HashMap, HashSet};

use rusqlite::{Transaction, params};

use super::cell;
use super::registry::{Delta, RegisteredSeries, Registry, SeriesRef};
use crate::metrics::series::{labels_of, metric_of};
use crate::metrics::{Kind, Metric, OTHER};

/// Slots are counted again at most so often.
const RECOUNT_MS: i64 = 1000;

/// A registered metric.
#[derive(Debug, Default)]
pub(super) struct KnownMetric {
    /// Row id.
    pub(super) id: i64,
    /// Minutes before were not wholly seen, by the metric itself or by one of its logs.
    pub(super) complete_from: i64,
    /// Numbers of its logs.
    pub(super) logs: Vec<usize>,
    pub(super) slots: Slots,
}

/// A registered output.
#[derive(Debug)]
pub(super) struct KnownOutput {
    /// Row id.
    pub(super) id: i64,
    /// First minute that goes there.
    pub(super) since: i64,
}

/// Undeclared series and label values that take part in limits.
#[derive(Debug, Default)]
pub(super) struct Slots {
    taken: usize,
    /// Undeclared values in use, for each entry of `Metric::label_limits`.
    values: Vec<HashSet<String>>,
    /// When a slot may have become free, Unix milliseconds.
    recount_at: i64,
}

/// Memory of the store.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) registry: Registry,
    pub(super) metrics: Vec<KnownMetric>,
    /// Row ids of logs, by number.
    pub(super) logs: Vec<i64>,
    pub(super) outputs: Vec<KnownOutput>,
    /// Row ids, by number of the series.
    pub(super) ids: Vec<i64>,
    pub(super) refs: HashMap<i64, SeriesRef>,
    /// Rows of the same series under earlier definitions, by metric and labels.
    pub(super) ancestors: HashMap<(usize, Vec<String>), Vec<i64>>,
    by_key: HashMap<Vec<u8>, SeriesRef>,
    /// First minute that may have windows: earlier ones have become hours.
    pub(super) floor: i64,
    /// The newest minute that was added to since the plan was read; a hint, 0 at first.
    pub(super) newest: i64,
    /// Series before the transaction began.
    settled: usize,
    changed: Vec<SeriesRef>,
    is_changed: Vec<bool>,
}

/// A series that was looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resolved {
    pub(super) series: SeriesRef,
    /// It is an `_other` series in place of the one that was asked for.
    pub(super) overflow: bool,
}

impl Known {
    /// The kind of a series' cells.
    pub(super) fn kind(&self, series: SeriesRef) -> Option<&Kind> {
        let metric = self.registry.series.get(series)?.metric;
        Some(&self.registry.metrics.get(metric)?.metric.kind)
    }

    /// The number of the metric with this name.
    pub(super) fn metric_named(&self, name: &str) -> Option<usize> {
        let metrics = &self.registry.metrics;
        metrics.iter().position(|known| known.metric.name == name)
    }

    /// Rows of earlier definitions, with the row of the same series under the present one.
    pub(super) fn heirs(&self) -> HashMap<i64, i64> {
        let mut heirs = HashMap::new();
        for ((metric, labels), rows) in &self.ancestors {
            let present = self.registry.find(*metric, labels);
            if let Some(&id) = present.and_then(|series| self.ids.get(series)) {
                heirs.extend(rows.iter().map(|&row| (row, id)));
            }
        }
        heirs
    }

    /// Adds a series that is in the database.
    pub(super) fn adopt(&mut self, id: i64, series: RegisteredSeries, now_ms: i64) -> SeriesRef {
        let counts = !series.is_silent(now_ms, self.registry.retention_ms);
        let number = self.registry.push(series);
        self.ids.push(id);
        self.is_changed.push(false);
        self.refs.insert(id, number);
        if counts {
            self.take_slot(number, now_ms);
        }
        number
    }

    /// The series to which a key counts at `now_ms`; made when there is none.
    pub(super) fn resolve(
        &mut self,
        transaction: &Transaction<'_>,
        key: &[u8],
        now_ms: i64,
    ) -> rusqlite::Result<Option<Resolved>> {
        if let Some(&series) = self.by_key.get(key)
            && !self.is_silent(series, now_ms)
        {
            return Ok(Some(Resolved {
                series,
                overflow: false,
            }));
        }
        let number = metric_of(key);
        let Some(known) = self.registry.metrics.get(number) else {
            return Ok(None);
        };
        let mut labels: Vec<String> = labels_of(key)
            .iter()
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .collect();
        labels.resize(known.metric.labels.len(), String::new());
        let resolved = self.admit(transaction, number, labels, now_ms)?;
        if !resolved.overflow {
            self.by_key.insert(key.to_vec(), resolved.series);
        }
        Ok(Some(resolved))
    }

    /// The series with these labels, or the `_other` one when there is no slot.
    fn admit(
        &mut self,
        transaction: &Transaction<'_>,
        number: usize,
        labels: Vec<String>,
        now_ms: i64,
    ) -> rusqlite::Result<Resolved> {
        let limited = self.limited(number, &labels, now_ms);
        let overflow = limited != labels;
        let series = self.find_or_insert(transaction, number, limited, now_ms)?;
        Ok(Resolved { series, overflow })
    }

    /// The labels under which a series is counted.
    fn limited(&mut self, number: usize, labels: &[String], now_ms: i64) -> Vec<String> {
        let live = |known: &Known, labels: &[String]| {
            let found = known.registry.find(number, labels);
            found.is_some_and(|series| !known.is_silent(series, now_ms))
        };
        let Some(known) = self.registry.metrics.get(number) else {
            return labels.to_vec();
        };
        if !needs_slot(&known.metric, labels) || live(self, labels) {
            return labels.to_vec();
        }
        if !self.has_room(number, labels) {
            self.recount(number, now_ms);
        }
        let labels = self.within_labels(number, labels);
        let (Some(known), Some(metric)) =
            (self.registry.metrics.get(number), self.metrics.get(number))
        else {
            return labels;
        };
        let free = metric.slots.taken < known.metric.limit;
        if free || !needs_slot(&known.metric, &labels) || live(self, &labels) {
            return labels;
        }
        collapsed(&known.metric, &labels, |_, _| true)
    }

    /// True when neither a label nor the metric is at its limit.
    fn has_room(&self, number: usize, labels: &[String]) -> bool {
        let limit = self.registry.metrics.get(number).map(|m| m.metric.limit);
        let taken = self.metrics.get(number).map(|m| m.slots.taken);
        taken < limit && self.within_labels(number, labels) == labels
    }

    /// The labels with values beyond a label's own limit replaced.
    fn within_labels(&self, number: usize, labels: &[String]) -> Vec<String> {
        let (Some(known), Some(own)) =
            (self.registry.metrics.get(number), self.metrics.get(number))
        else {
            return labels.to_vec();
        };
        collapsed(&known.metric, labels, |label, value| {
            let limits = known.metric.label_limits.iter().zip(&own.slots.values);
            limits
                .filter(|((at, _), _)| *at == label)
                .any(|((_, limit), values)| values.len() >= *limit && !values.contains(value))
        })
    }

    fn find_or_insert(
        &mut self,
        transaction: &Transaction<'_>,
        number: usize,
        labels: Vec<String>,
        now_ms: i64,
    ) -> rusqlite::Result<SeriesRef> {
        match self.registry.find(number, &labels) {
            Some(series) => {
                if self.is_silent(series, now_ms) {
                    self.take_slot(series, now_ms);
                }
                self.mark(series, now_ms);
                Ok(series)
            }
            None => self.insert(transaction, number, labels, now_ms),
        }
    }

    /// Makes a series with a total of 0.
    pub(super) fn insert(
        &mut self,
        transaction: &Transaction<'_>,
        number: usize,
        labels: Vec<String>,
        now_ms: i64,
    ) -> rusqlite::Result<SeriesRef> {
        let (Some(known), Some(own)) =
            (self.registry.metrics.get(number), self.metrics.get(number))
        else {
            return Err(rusqlite::Error::QueryReturnedNoRows);
        };
        let cell = vec![0; known.metric.kind.width()];
        let columns = cell::columns(&known.metric.kind, &cell);
        let text = cell::labels_text(&known.metric, &labels);
        let declared = is_declared_whole(&known.metric, &labels);
        transaction
            .prepare_cached(
                "INSERT INTO series (metric, labels, created_ms, n, sum, cell, changed_ms) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?3)",
            )?
            .execute(params![
                own.id,
                text,
                now_ms,
                columns.n,
                columns.sum,
                columns.cell
            ])?;
        let series = RegisteredSeries {
            metric: number,
            labels,
            cell,
            created_ms: now_ms,
            changed_ms: now_ms,
            declared,
        };
        Ok(self.adopt(transaction.last_insert_rowid(), series, now_ms))
    }

    fn is_silent(&self, series: SeriesRef, now_ms: i64) -> bool {
        let found = self.registry.series.get(series);
        found.is_some_and(|series| series.is_silent(now_ms, self.registry.retention_ms))
    }

    /// Gives a series its slot, if it needs one.
    fn take_slot(&mut self, series: SeriesRef, now_ms: i64) {
        let Some(series) = self.registry.series.get(series) else {
            return;
        };
        let (Some(known), Some(own)) = (
            self.registry.metrics.get(series.metric),
            self.metrics.get_mut(series.metric),
        ) else {
            return;
        };
        let since = series.changed_ms.min(now_ms);
        let free_at = since.saturating_add(self.registry.retention_ms);
        own.slots.take(&known.metric, &series.labels, free_at);
    }

    /// Counts slots again, when one may have become free.
    fn recount(&mut self, number: usize, now_ms: i64) {
        let (Some(known), Some(own)) = (
            self.registry.metrics.get(number),
            self.metrics.get_mut(number),
        ) else {
            return;
        };
        if now_ms <= own.slots.recount_at {
            return;
        }
        own.slots = Slots::new(&known.metric);
        for series in self.registry.shown(known, now_ms) {
            let free_at = series.changed_ms.saturating_add(self.registry.retention_ms);
            own.slots.take(&known.metric, &series.labels, free_at);
        }
        own.slots.recount_at = own.slots.recount_at.max(now_ms.saturating_add(RECOUNT_MS));
    }

    /// Starts to note changes.
    pub(super) fn begin(&mut self) {
        self.settled = self.registry.series.len();
        self.changed.clear();
        self.is_changed.fill(false);
    }

    fn mark(&mut self, series: SeriesRef, now_ms: i64) {
        if let Some(flag) = self.is_changed.get_mut(series)
            && !*flag
        {
            *flag = true;
            self.changed.push(series);
            if let Some(known) = self.registry.series.get_mut(series) {
                known.changed_ms = known.changed_ms.max(now_ms);
            }
        }
    }

    /// Adds a cell to the total of a series.
    pub(super) fn add_total(&mut self, series: SeriesRef, cell: &[u64], now_ms: i64) {
        self.mark(series, now_ms);
        let Some(known) = self.registry.series.get_mut(series) else {
            return;
        };
        if let Some(metric) = self.registry.metrics.get(known.metric) {
            metric.metric.kind.add(&mut known.cell, cell);
        }
    }

    /// Makes a cell the total, when it is as new as the total.
    pub(super) fn set_total(&mut self, series: SeriesRef, cell: &[u64], now_ms: i64) {
        if !matches!(self.kind(series), Some(Kind::Last)) {
            return;
        }
        self.mark(series, now_ms);
        if let Some(known) = self.registry.series.get_mut(series)
            && known.cell.get(..2) <= cell.get(..2)
            && known.cell.len() == cell.len()
        {
            known.cell.copy_from_slice(cell);
        }
    }

    /// Writes the totals that changed, and says what others have to know of it.
    pub(super) fn write_totals(&self, transaction: &Transaction<'_>) -> rusqlite::Result<Delta> {
        let mut statement = transaction.prepare_cached(
            "UPDATE series SET n = ?2, sum = ?3, cell = ?4, changed_ms = ?5 WHERE id = ?1",
        )?;
        let mut changed = self.changed.clone();
        changed.sort_unstable();
        let mut delta = Delta {
            new: self
                .registry
                .series
                .get(self.settled..)
                .unwrap_or_default()
                .to_vec(),
            changed: Vec::new(),
        };
        for number in changed {
            let (Some(series), Some(id), Some(kind)) = (
                self.registry.series.get(number),
                self.ids.get(number),
                self.kind(number),
            ) else {
                continue;
            };
            let columns = cell::columns(kind, &series.cell);
            statement.execute(params![
                id,
                columns.n,
                columns.sum,
                columns.cell,
                series.changed_ms
            ])?;
            if number < self.settled {
                let change = (number, series.cell.clone(), series.changed_ms);
                delta.changed.push(change);
            }
        }
        Ok(delta)
    }

    /// Adds to one series of an own metric with one label, such as
    /// `beacontail_overflow_total{metric}`, when it is in the plan.
    pub(super) fn count_own(
        &mut self,
        transaction: &Transaction<'_>,
        metric: &str,
        label: &str,
        n: u64,
        now_ms: i64,
    ) -> rusqlite::Result<()> {
        let Some(number) = self.metric_named(metric) else {
            return Ok(());
        };
        let fits = self.registry.metrics.get(number).is_some_and(|known| {
            known.metric.kind == Kind::Count && known.metric.labels.len() == 1
        });
        if fits && n > 0 {
            // Past the limits: there are no more of these than metrics and outputs.
            let labels = vec![label.to_owned()];
            let series = self.find_or_insert(transaction, number, labels, now_ms)?;
            self.add_total(series, &[n], now_ms);
        }
        Ok(())
    }

    /// Overflow of a batch, counted in the agent's own metric.
    pub(super) fn count_overflow(
        &mut self,
        transaction: &Transaction<'_>,
        overflow: &BTreeMap<usize, u64>,
        now_ms: i64,
    ) -> rusqlite::Result<()> {
        for (&number, &n) in overflow {
            let name = self.registry.metrics.get(number);
            let name = name.map(|known| known.metric.name.clone());
            if let Some(name) = name {
                self.count_own(transaction, "beacontail_overflow_total", &name, n, now_ms)?;
            }
        }
        Ok(())
    }
}

impl Slots {
    pub(super) fn new(metric: &Metric) -> Slots {
        Slots {
            taken: 0,
            values: vec![HashSet::new(); metric.label_limits.len()],
            recount_at: i64::MAX,
        }
    }

    fn take(&mut self, metric: &Metric, labels: &[String], free_at: i64) {
        if !needs_slot(metric, labels) {
            return;
        }
        self.taken += 1;
        self.recount_at = self.recount_at.min(free_at);
        for ((label, _), values) in metric.label_limits.iter().zip(&mut self.values) {
            let value = labels
                .get(*label)
                .filter(|value| value.as_str() != OTHER && !is_declared(metric, *label, value));
            if let Some(value) = value
                && !values.contains(value)
            {
                values.insert(value.clone());
            }
        }
    }
}

/// True when a label holds what was neither declared nor is `_other`.
fn needs_slot(metric: &Metric, labels: &[String]) -> bool {
    let mut labels = labels.iter().enumerate();
    labels.any(|(label, value)| value != OTHER && !is_declared(metric, label, value))
}

fn is_declared(metric: &Metric, label: usize, value: &str) -> bool {
    let declared = metric.declared.get(label).and_then(Option::as_ref);
    declared.is_some_and(|declared| declared.iter().any(|known| known == value))
}

/// True when every label value is declared.
pub(super) fn is_declared_whole(metric: &Metric, labels: &[String]) -> bool {
    let mut labels = labels.iter().enumerate();
    labels.all(|(label, value)| is_declared(metric, label, value))
}

/// The labels with those undeclared values replaced that `goes` names.
fn collapsed(
    metric: &Metric,
    labels: &[String],
    goes: impl Fn(usize, &str) -> bool,
) -> Vec<String> {
    let shown = |(label, value): (usize, &String)| {
        let stays = value == OTHER || is_declared(metric, label, value) || !goes(label, value);
        if stays {
            value.clone()
        } else {
            OTHER.to_owned()
        }
    };
    labels.iter().enumerate().map(shown).collect()
}
