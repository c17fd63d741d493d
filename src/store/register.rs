//! What the configuration names, matched with what the store has seen before.
//!
//! A metric is its name and the digest of its definition. One that was there goes on; another
//! definition counts from 0 beside the earlier one, whose windows still add to minutes on their way to
//! outputs. What is not named any more keeps its rows and is used no longer.
//!
//! Minutes that were not wholly seen never go to an output: those before a log was first followed,
//! before a metric was first counted (or counted again), before an output was first named.

use std::collections::{BTreeSet, HashMap, HashSet};

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::cell;
use super::known::{Known, KnownMetric, KnownOutput, Slots, is_declared_whole};
use super::plan::{
    FileRow, GenerationRow, GenerationState, LogPlan, MetricPlan, OutputPlan, StoreOptions,
};
use super::registry::{RegisteredMetric, RegisteredSeries, Registry};
use super::schema::set_meta;
use super::{Store, StoreError, delivery};
use crate::metrics::Metric;

/// Most declared series of a metric that are made in advance.
const MAX_DECLARED: usize = 10_000;

impl Store {
    /// Takes the plan as the one that batches and outputs number from now on, and gives the totals to
    /// start from. Claims under way are released: what they carry may arrive late. To be called after
    /// [`Store::open`], after [`Store::reopen`], and whenever the configuration changes.
    ///
    /// # Errors
    /// [`StoreError::Twice`] for equal names in a plan; else the store is stale as after a failed
    /// commit, and this may be tried again after [`Store::reopen`].
    pub fn register(
        &mut self,
        metrics: &[MetricPlan],
        logs: &[LogPlan],
        outputs: &[OutputPlan],
        now_ms: i64,
    ) -> Result<Registry, StoreError> {
        refuse_twice(metrics.iter().map(|plan| plan.metric.name.as_str()))?;
        refuse_twice(logs.iter().map(|plan| plan.name.as_str()))?;
        refuse_twice(outputs.iter().map(|plan| plan.name.as_str()))?;
        if self.connection.is_none() {
            return Err(StoreError::Stale);
        }
        self.stale = true;
        self.known = Known::default();
        self.flights = outputs.iter().map(|_| None).collect();
        let started_ms = *self.started_ms.get_or_insert(now_ms);
        let result = self.transact(|transaction, known, options| {
            set_meta(transaction, "started_ms", started_ms)?;
            set_meta(transaction, "committed_ms", now_ms)?;
            known.registry.retention_ms = options.retention.saturating_mul(1000);
            let registering = Registering {
                transaction,
                options,
                now_ms,
            };
            registering.run(known, metrics, logs, outputs)
        });
        result
            .map_err(|source| StoreError::of(&self.path, "register the configuration", source))?;
        self.stale = false;
        Ok(self.known.registry.clone())
    }

    /// Where the followers of a log were at the last commit, paths in byte order.
    ///
    /// # Errors
    /// Those of reading.
    pub fn files(&self, log: usize) -> Result<Vec<FileRow>, StoreError> {
        let of = |source| StoreError::of(&self.path, "read positions", source);
        let connection = self.reading()?;
        let Some(id) = self.known.logs.get(log) else {
            return Ok(Vec::new());
        };
        let mut statement = connection
            .prepare_cached("SELECT path FROM file WHERE log = ?1 ORDER BY path")
            .map_err(of)?;
        let paths = statement.query_map([id], |row| row.get(0)).map_err(of)?;
        let paths: Vec<Vec<u8>> = paths.collect::<Result<_, _>>().map_err(of)?;
        let mut statement = connection
            .prepare_cached(
                "SELECT path, id, dev, ino, btime_ns, head_len, head, tail_len, tail, \"offset\", \
                 skipping, state, size, trail, note FROM generation \
                 WHERE log = ?1 AND path = ?2 ORDER BY place",
            )
            .map_err(of)?;
        let mut files = Vec::new();
        for path in paths {
            let rows = statement
                .query_map(rusqlite::params![id, path], generation)
                .map_err(of)?;
            files.push(FileRow {
                log,
                generations: rows.collect::<Result<_, _>>().map_err(of)?,
                path,
                gone: false,
            });
        }
        Ok(files)
    }

    /// The watermark of a log at the last commit, Unix seconds.
    ///
    /// # Errors
    /// Those of reading.
    pub fn watermark(&self, log: usize) -> Result<Option<i64>, StoreError> {
        let connection = self.reading()?;
        let Some(id) = self.known.logs.get(log) else {
            return Ok(None);
        };
        connection
            .query_row("SELECT watermark FROM log WHERE id = ?1", [id], |row| {
                row.get(0)
            })
            .map_err(|source| StoreError::of(&self.path, "read a watermark", source))
    }
}

impl Store {
    /// The first minute that a log was followed in from its beginning.
    ///
    /// # Errors
    /// Those of reading.
    pub fn whole_from(&self, log: usize) -> Result<i64, StoreError> {
        let Some(id) = self.known.logs.get(log) else {
            return Ok(i64::MIN);
        };
        self.reading()?
            .query_row("SELECT complete_from FROM log WHERE id = ?1", [id], |row| {
                row.get(0)
            })
            .map_err(|source| StoreError::of(&self.path, "read a log", source))
    }

    /// Minutes from `since` on in which a series of a plain counter was counted, and how often.
    ///
    /// # Errors
    /// Those of reading.
    pub fn counts_since(
        &self,
        metric: &str,
        labels: &[&str],
        since: i64,
    ) -> Result<Vec<(i64, u64)>, StoreError> {
        let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
        let series = self.known.metric_named(metric);
        let series = series.and_then(|number| self.known.registry.find(number, &labels));
        let Some(id) = series.and_then(|series| self.known.ids.get(series)) else {
            return Ok(Vec::new());
        };
        let of = |source| StoreError::of(&self.path, "read minutes", source);
        let mut statement = self
            .reading()?
            .prepare_cached("SELECT minute, n FROM window WHERE minute >= ?1 AND series = ?2")
            .map_err(of)?;
        let rows = statement.query_map(params![since, id], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
        });
        rows.and_then(Iterator::collect).map_err(of)
    }
}

fn refuse_twice<'n>(names: impl Iterator<Item = &'n str>) -> Result<(), StoreError> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(StoreError::Twice {
                name: name.escape_debug().to_string(),
            });
        }
    }
    Ok(())
}

fn generation(row: &rusqlite::Row<'_>) -> rusqlite::Result<GenerationRow> {
    let bits = |column: usize| row.get::<_, i64>(column).map(i64::cast_unsigned);
    let state: String = row.get(11)?;
    let state = match state.as_str() {
        "live" => GenerationState::Live,
        "draining" => GenerationState::Draining,
        "done" => GenerationState::Done,
        _ => {
            let kind = rusqlite::types::Type::Text;
            return Err(rusqlite::Error::InvalidColumnType(
                11,
                "state".to_owned(),
                kind,
            ));
        }
    };
    Ok(GenerationRow {
        id: bits(1)?,
        dev: bits(2)?,
        ino: bits(3)?,
        btime_ns: row.get(4)?,
        head_len: bits(5)?,
        head: row.get(6)?,
        tail_len: bits(7)?,
        tail: row.get(8)?,
        offset: bits(9)?,
        skipping: bits(10)?,
        state,
        size: bits(12)?,
        trail: row.get(13)?,
        note: row.get(14)?,
    })
}

/// The first minute that lies wholly after a time.
fn next_minute(now_ms: i64) -> i64 {
    (now_ms.div_euclid(60_000) + 1) * 60
}

/// Name, kind and labels of a metric: what must agree for values of two definitions to add up.
type Family = (String, String, BTreeSet<String>);

fn label_set<'n>(names: impl Iterator<Item = &'n str>) -> BTreeSet<String> {
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// One registration.
struct Registering<'r, 't> {
    transaction: &'r Transaction<'t>,
    options: &'r StoreOptions,
    now_ms: i64,
}

/// A log as found or made.
struct Log {
    complete_from: i64,
    is_new: bool,
}

impl Registering<'_, '_> {
    fn run(
        &self,
        known: &mut Known,
        metrics: &[MetricPlan],
        logs: &[LogPlan],
        outputs: &[OutputPlan],
    ) -> rusqlite::Result<()> {
        known.floor = delivery::floor(self.transaction)?;
        let found = self.logs(known, logs)?;
        let earlier = self.current_names()?;
        self.drop_metrics(known, metrics)?;
        for plan in metrics {
            self.metric(known, plan, logs, &found, &earlier)?;
        }
        known.begin();
        for (number, plan) in metrics.iter().enumerate() {
            self.load_series(known, number, plan)?;
            self.declare(known, number, &plan.metric)?;
            self.load_ancestors(known, number, &plan.metric)?;
        }
        self.move_pending(known)?;
        self.transaction.execute(
            "UPDATE pending SET state = 0, suspect = 1, step = 0, due_ms = 0 WHERE state IN (1, 3)",
            [],
        )?;
        self.put_aside()?;
        self.describe(known, metrics)?;
        self.outputs(known, outputs)
    }

    /// What readers have to know of the plan: which logs feed a metric, and which values are declared.
    fn describe(&self, known: &Known, metrics: &[MetricPlan]) -> rusqlite::Result<()> {
        self.transaction
            .execute_batch("DELETE FROM metric_log; DELETE FROM declared;")?;
        let mut feed = self
            .transaction
            .prepare_cached("INSERT INTO metric_log VALUES (?1, ?2)")?;
        let mut declare = self
            .transaction
            .prepare_cached("INSERT OR IGNORE INTO declared VALUES (?1, ?2, ?3)")?;
        let kept = metrics.iter().zip(&known.metrics);
        for (plan, own) in kept.filter(|(plan, _)| plan.windows) {
            for (number, log) in known.logs.iter().enumerate() {
                if plan.logs.is_empty() || own.logs.contains(&number) {
                    feed.execute(params![own.id, log])?;
                }
            }
            let labels = plan.metric.labels.iter().zip(&plan.metric.declared);
            for (label, values) in labels {
                for value in values.iter().flatten() {
                    declare.execute(params![own.id, label, value])?;
                }
            }
        }
        Ok(())
    }

    /// Windows of metrics that are not in the plan wait for nobody: they must be neither looked
    /// through nor counted each time, and go on should the metric come back.
    fn put_aside(&self) -> rusqlite::Result<()> {
        const DROPPED: &str = "(SELECT s.id FROM series s JOIN metric m ON m.id = s.metric \
             WHERE m.dropped_ms IS NOT NULL)";
        for change in [
            format!("UPDATE pending SET state = 4 WHERE state <> 4 AND series IN {DROPPED}"),
            format!("UPDATE pending SET state = 0 WHERE state = 4 AND series NOT IN {DROPPED}"),
        ] {
            self.transaction.execute(&change, [])?;
        }
        Ok(())
    }

    fn logs(&self, known: &mut Known, logs: &[LogPlan]) -> rusqlite::Result<Vec<Log>> {
        let mut found = Vec::new();
        for plan in logs {
            let row: Option<(i64, i64)> = self
                .transaction
                .prepare_cached("SELECT id, complete_from FROM log WHERE name = ?1")?
                .query_row([&plan.name], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let is_new = row.is_none();
            let (id, complete_from) = match row {
                Some(row) => row,
                None => {
                    let from = self.first_minute(plan.backfill);
                    self.transaction.execute(
                        "INSERT INTO log (name, complete_from) VALUES (?1, ?2)",
                        params![plan.name, from],
                    )?;
                    (self.transaction.last_insert_rowid(), from)
                }
            };
            known.logs.push(id);
            found.push(Log {
                complete_from,
                is_new,
            });
        }
        Ok(found)
    }

    fn first_minute(&self, backfill: bool) -> i64 {
        if backfill {
            i64::MIN
        } else {
            next_minute(self.now_ms)
        }
    }

    /// Metrics of the registration before this one, with their first whole minute.
    fn current_names(&self) -> rusqlite::Result<HashMap<Family, i64>> {
        let mut statement = self.transaction.prepare(
            "SELECT name, kind, label_names, complete_from FROM metric WHERE dropped_ms IS NULL",
        )?;
        let rows = statement.query_map([], |row| {
            let labels: String = row.get(2)?;
            let family = (row.get(0)?, row.get(1)?, label_set(labels.split(',')));
            Ok((family, row.get(3)?))
        })?;
        rows.collect()
    }

    /// Marks metrics that are not in the plan in this form.
    fn drop_metrics(&self, known: &mut Known, metrics: &[MetricPlan]) -> rusqlite::Result<()> {
        let current: Vec<(i64, String, Vec<u8>)> = self
            .transaction
            .prepare("SELECT id, name, digest FROM metric WHERE dropped_ms IS NULL ORDER BY name")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<Result<_, _>>()?;
        for (id, name, digest) in current {
            let plan = metrics.iter().find(|plan| plan.metric.name == name);
            if plan.is_some_and(|plan| plan.digest.as_slice() == digest) {
                continue;
            }
            let sql = "UPDATE metric SET dropped_ms = ?2 WHERE id = ?1";
            self.transaction.execute(sql, params![id, self.now_ms])?;
            let name = name.escape_debug();
            known.registry.changes.push(match plan {
                Some(_) => format!("metric `{name}` changed: it counts from 0"),
                None => format!("metric `{name}` is dropped"),
            });
        }
        Ok(())
    }

    fn metric(
        &self,
        known: &mut Known,
        plan: &MetricPlan,
        logs: &[LogPlan],
        found: &[Log],
        earlier: &HashMap<Family, i64>,
    ) -> rusqlite::Result<()> {
        let fed: Vec<usize> = (0..logs.len())
            .filter(|&log| {
                logs.get(log)
                    .is_some_and(|log| plan.logs.contains(&log.name))
            })
            .collect();
        let kind = cell::kind_text(&plan.metric.kind);
        // What counted until this moment goes on without a gap under any definition. What did not may
        // have missed lines, unless none of its logs was read before.
        let labels = label_set(plan.metric.labels.iter().map(String::as_str));
        let family = (plan.metric.name.clone(), kind.clone(), labels);
        let before = earlier.get(&family).copied();
        let unread = fed
            .iter()
            .all(|&log| found.get(log).is_some_and(|log| log.is_new));
        let from = before.unwrap_or(if unread {
            i64::MIN
        } else {
            next_minute(self.now_ms)
        });
        let (id, created_ms, own_from) = self.metric_row(known, plan, &kind, from)?;
        let of_logs = fed
            .iter()
            .filter_map(|&log| found.get(log))
            .map(|log| log.complete_from);
        known.metrics.push(KnownMetric {
            id,
            complete_from: of_logs.fold(own_from, i64::max),
            logs: fed,
            slots: Slots::new(&plan.metric),
        });
        known.registry.metrics.push(RegisteredMetric {
            metric: plan.metric.clone(),
            created_ms,
            windows: plan.windows,
            order: Default::default(),
        });
        Ok(())
    }

    /// Row id, time of creation and first whole minute of a metric.
    fn metric_row(
        &self,
        known: &mut Known,
        plan: &MetricPlan,
        kind: &str,
        from: i64,
    ) -> rusqlite::Result<(i64, i64, i64)> {
        let names = plan.metric.labels.join(",");
        let row: Option<(i64, i64, i64, Option<i64>)> = self
            .transaction
            .prepare_cached(
                "SELECT id, created_ms, complete_from, dropped_ms FROM metric \
                 WHERE name = ?1 AND digest = ?2 AND kind = ?3 AND label_names = ?4",
            )?
            .query_row(
                params![plan.metric.name, plan.digest.as_slice(), kind, names],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
            .optional()?;
        match row {
            Some((id, created_ms, complete_from, None)) => Ok((id, created_ms, complete_from)),
            Some((id, created_ms, complete_from, Some(_))) => {
                let from = complete_from.max(from);
                let sql = "UPDATE metric SET dropped_ms = NULL, complete_from = ?2 WHERE id = ?1";
                self.transaction.execute(sql, params![id, from])?;
                let name = plan.metric.name.escape_debug();
                let change = format!("metric `{name}` is back: its total goes on");
                known.registry.changes.push(change);
                Ok((id, created_ms, from))
            }
            None => {
                self.transaction.execute(
                    "INSERT INTO metric \
                     (name, digest, kind, label_names, created_ms, complete_from) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![
                        plan.metric.name,
                        plan.digest.as_slice(),
                        kind,
                        names,
                        self.now_ms,
                        from
                    ],
                )?;
                Ok((self.transaction.last_insert_rowid(), self.now_ms, from))
            }
        }
    }

    fn load_series(
        &self,
        known: &mut Known,
        number: usize,
        plan: &MetricPlan,
    ) -> rusqlite::Result<()> {
        let metric = &plan.metric;
        let Some(id) = known.metrics.get(number).map(|own| own.id) else {
            return Ok(());
        };
        let mut statement = self.transaction.prepare_cached(
            "SELECT n, cell, id, labels, created_ms, changed_ms FROM series WHERE metric = ?1",
        )?;
        let mut rows = statement.query([id])?;
        while let Some(row) = rows.next()? {
            let text: String = row.get(3)?;
            let Some(labels) = cell::labels_from_text(metric, &text) else {
                let kind = rusqlite::types::Type::Text;
                return Err(rusqlite::Error::InvalidColumnType(
                    3,
                    "labels".to_owned(),
                    kind,
                ));
            };
            let series = RegisteredSeries {
                metric: number,
                declared: is_declared_whole(metric, &labels),
                labels,
                cell: cell::from_row(row, &metric.kind)?,
                created_ms: row.get(4)?,
                changed_ms: row.get(5)?,
            };
            known.adopt(row.get(2)?, series, self.now_ms);
        }
        Ok(())
    }

    /// Makes the series that are known in advance.
    fn declare(&self, known: &mut Known, number: usize, metric: &Metric) -> rusqlite::Result<()> {
        for labels in declared_series(metric) {
            if known.registry.find(number, &labels).is_none() {
                known.insert(self.transaction, number, labels, self.now_ms)?;
            }
        }
        Ok(())
    }

    /// Finds the rows of earlier definitions whose windows may still be wanted.
    fn load_ancestors(
        &self,
        known: &mut Known,
        number: usize,
        metric: &Metric,
    ) -> rusqlite::Result<()> {
        let Some(id) = known.metrics.get(number).map(|own| own.id) else {
            return Ok(());
        };
        // A window may be of a later minute than its count, by the clock of a log.
        let kept = self.options.retention.saturating_add(2 * 86_400);
        let since = self.now_ms.saturating_sub(kept.saturating_mul(1000));
        let mut statement = self.transaction.prepare_cached(
            "SELECT s.id, s.labels FROM metric m JOIN series s ON s.metric = m.id \
             WHERE m.name = ?1 AND m.kind = ?2 AND m.id <> ?3 AND s.changed_ms >= ?4 ORDER BY s.id",
        )?;
        let kind = cell::kind_text(&metric.kind);
        let mut rows = statement.query(params![metric.name, kind, id, since])?;
        while let Some(row) = rows.next()? {
            let text: String = row.get(1)?;
            if let Some(labels) = cell::labels_from_text(metric, &text) {
                let rows = known.ancestors.entry((number, labels)).or_default();
                rows.push(row.get(0)?);
            }
        }
        Ok(())
    }

    /// Windows of an earlier definition that are not delivered are delivered by the present one.
    fn move_pending(&self, known: &mut Known) -> rusqlite::Result<()> {
        let mut waiting = self
            .transaction
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM pending WHERE series = ?1)")?;
        let mut take_over = self.transaction.prepare_cached(
            "INSERT INTO pending SELECT output, minute, ?2, 0, suspect OR state IN (1, 3), 0, 0 \
             FROM pending WHERE series = ?1 \
             ON CONFLICT DO UPDATE SET state = 0, suspect = max(suspect, excluded.suspect)",
        )?;
        let mut delete = self
            .transaction
            .prepare_cached("DELETE FROM pending WHERE series = ?1")?;
        if known.ancestors.is_empty() {
            return Ok(());
        }
        let pending: BTreeSet<i64> = self
            .transaction
            .prepare("SELECT DISTINCT series FROM pending")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut ancestors: Vec<_> = known.ancestors.clone().into_iter().collect();
        ancestors.sort();
        for ((number, labels), rows) in ancestors {
            for row in rows.iter().filter(|row| pending.contains(row)) {
                if !waiting.query_row([row], |found| found.get::<_, bool>(0))? {
                    continue;
                }
                let series = match known.registry.find(number, &labels) {
                    Some(series) => series,
                    None => known.insert(self.transaction, number, labels.clone(), self.now_ms)?,
                };
                take_over.execute(params![row, known.ids.get(series)])?;
                delete.execute([row])?;
            }
        }
        Ok(())
    }

    fn outputs(&self, known: &mut Known, outputs: &[OutputPlan]) -> rusqlite::Result<()> {
        let mut returned = Vec::new();
        for plan in outputs {
            let row: Option<(i64, i64, bool)> = self
                .transaction
                .prepare_cached("SELECT id, since, active FROM output WHERE name = ?1")?
                .query_row([&plan.name], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .optional()?;
            let (id, since) = match row {
                Some((id, since, active)) => {
                    if !active {
                        returned.push(known.outputs.len());
                    }
                    (id, since)
                }
                None => {
                    let since = self.first_minute(plan.backfill);
                    self.transaction.execute(
                        "INSERT INTO output (name, since, active) VALUES (?1, ?2, 1)",
                        params![plan.name, since],
                    )?;
                    (self.transaction.last_insert_rowid(), since)
                }
            };
            known.outputs.push(KnownOutput { id, since });
        }
        self.transaction
            .execute("UPDATE output SET active = 0", [])?;
        for output in &known.outputs {
            self.transaction
                .execute("UPDATE output SET active = 1 WHERE id = ?1", [output.id])?;
        }
        self.transaction.execute(
            "DELETE FROM pending WHERE output IN (SELECT id FROM output WHERE active = 0)",
            [],
        )?;
        // Nobody noted what changed while an output was not named: it gets everything again.
        for output in returned {
            delivery::mark_since(self.transaction, known, output, i64::MIN)?;
        }
        Ok(())
    }
}

/// All series of a metric whose labels are all declared; none when they are too many.
fn declared_series(metric: &Metric) -> Vec<Vec<String>> {
    let declared: Option<Vec<&Vec<String>>> = (0..metric.labels.len())
        .map(|label| metric.declared.get(label).and_then(Option::as_ref))
        .collect();
    let Some(declared) = declared else {
        return Vec::new();
    };
    let many = declared
        .iter()
        .try_fold(1usize, |product, values| product.checked_mul(values.len()));
    if many.is_none_or(|many| many > MAX_DECLARED) {
        return Vec::new();
    }
    declared.iter().fold(vec![Vec::new()], |all, values| {
        let longer = all.iter().flat_map(|labels: &Vec<String>| {
            values.iter().map(move |value| {
                let mut labels = labels.clone();
                labels.push(value.clone());
                labels
            })
        });
        longer.collect()
    })
}
