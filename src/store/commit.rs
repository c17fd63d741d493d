//! One transaction: what was read since the last one, and up to where.

use std::collections::BTreeMap;
use std::io;

use rusqlite::{CachedStatement, OptionalExtension as _, Transaction, params};

use super::cell;
use super::known::{Known, Resolved};
use super::plan::{Batch, Committed, FileRow, GenerationState};
use super::registry::SeriesRef;
use super::schema::set_meta;
use super::{Store, StoreError};
use crate::metrics::run::Merge;
use crate::metrics::{Kind, Metric};

impl Store {
    /// Adds a batch, or nothing of it. The result is to be applied to the registry that others see.
    ///
    /// # Errors
    /// After any error the batch may or may not be in the store: call [`Store::reopen`] and
    /// [`Store::register`], and read on from [`Store::files`].
    pub fn commit(&mut self, batch: &Batch<'_>) -> Result<Committed, StoreError> {
        self.write("commit a batch", |transaction, known, _| {
            let mut writing = Writing::new(transaction, known, batch.now_ms);
            writing.add_runs(batch.runs)?;
            writing.add_windows()?;
            writing.add_totals(batch.totals)?;
            writing.set_windows(batch.windows_set)?;
            let (overflow, windows) = (writing.overflow, writing.windows);
            known.count_overflow(transaction, &overflow, batch.now_ms)?;
            let delta = known.write_totals(transaction)?;
            write_files(transaction, known, batch.files)?;
            write_minutes(transaction, known, batch.minutes)?;
            write_watermarks(transaction, known, batch.watermarks)?;
            set_meta(transaction, "committed_ms", batch.now_ms)?;
            Ok(Committed {
                delta,
                overflow: overflow.into_iter().collect(),
                windows,
            })
        })
    }
}

/// The counting half of a commit.
struct Writing<'w, 't> {
    transaction: &'w Transaction<'t>,
    known: &'w mut Known,
    now_ms: i64,
    /// Records by metric that went to an `_other` series.
    overflow: BTreeMap<usize, u64>,
    windows: u64,
    /// What minutes add: written in the order of the table, which is several times faster.
    added: Vec<(i64, SeriesRef, Vec<u64>)>,
}

impl<'w, 't> Writing<'w, 't> {
    fn new(transaction: &'w Transaction<'t>, known: &'w mut Known, now_ms: i64) -> Self {
        known.begin();
        Writing {
            transaction,
            known,
            now_ms,
            overflow: BTreeMap::new(),
            windows: 0,
            added: Vec::new(),
        }
    }

    fn add_runs(&mut self, runs: &[Vec<u8>]) -> rusqlite::Result<()> {
        let metrics: Vec<Metric> = self
            .known
            .registry
            .metrics
            .iter()
            .map(|known| known.metric.clone())
            .collect();
        let runs = runs.iter().map(Vec::as_slice);
        let mut merge = Merge::new(runs, &metrics).map_err(unreadable)?;
        let mut cell = Vec::new();
        while let Some((key, _)) = merge.next_series().map_err(unreadable)? {
            let resolved = self.known.resolve(self.transaction, key, self.now_ms)?;
            while let Some(minute) = merge.next_point(&mut cell).map_err(unreadable)? {
                if let Some(resolved) = resolved {
                    self.add_total(resolved, &cell);
                    let minute = minute.div_euclid(60) * 60;
                    self.added.push((minute, resolved.series, cell.clone()));
                }
            }
        }
        Ok(())
    }

    fn add_totals(&mut self, totals: &[(Vec<u8>, Vec<u64>)]) -> rusqlite::Result<()> {
        for (key, cell) in totals {
            let resolved = self.known.resolve(self.transaction, key, self.now_ms)?;
            if let Some(resolved) = resolved {
                self.add_total(resolved, cell);
            }
        }
        Ok(())
    }

    fn add_total(&mut self, resolved: Resolved, cell: &[u64]) {
        self.known.add_total(resolved.series, cell, self.now_ms);
        if resolved.overflow {
            self.note_overflow(resolved.series, cell);
        }
    }

    fn note_overflow(&mut self, series: SeriesRef, cell: &[u64]) {
        let records = self
            .known
            .kind(series)
            .map(|kind| cell::records(kind, cell));
        if let (Some(records), Some(series)) = (records, self.known.registry.series.get(series)) {
            *self.overflow.entry(series.metric).or_default() += records;
        }
    }

    fn set_windows(&mut self, windows: &[(Vec<u8>, i64, Vec<u64>)]) -> rusqlite::Result<()> {
        for (key, minute, cell) in windows {
            let resolved = self.known.resolve(self.transaction, key, self.now_ms)?;
            let Some(resolved) = resolved else { continue };
            self.known.set_total(resolved.series, cell, self.now_ms);
            if resolved.overflow {
                self.note_overflow(resolved.series, cell);
            }
            let minute = minute.div_euclid(60) * 60;
            let mut writer = WindowWriter::new(self.transaction)?;
            self.windows += writer.write(self.known, resolved.series, minute, cell, true)?;
        }
        Ok(())
    }

    /// Adds to the windows what the runs held.
    fn add_windows(&mut self) -> rusqlite::Result<()> {
        let mut added = std::mem::take(&mut self.added);
        added.sort_unstable_by_key(|&(minute, series, _)| (minute, series));
        let newest = added.last().map_or(i64::MIN, |&(minute, ..)| minute);
        let mut writer = WindowWriter::new(self.transaction)?;
        for (minute, series, cell) in added {
            self.windows += writer.write(self.known, series, minute, &cell, false)?;
        }
        self.known.newest = self.known.newest.max(newest);
        Ok(())
    }
}

/// Statements that every window needs.
struct WindowWriter<'w> {
    transaction: &'w Transaction<'w>,
    insert: CachedStatement<'w>,
    select: CachedStatement<'w>,
    upsert: CachedStatement<'w>,
    mark: CachedStatement<'w>,
}

impl<'w> WindowWriter<'w> {
    fn new(transaction: &'w Transaction<'_>) -> rusqlite::Result<WindowWriter<'w>> {
        Ok(WindowWriter {
            transaction,
            insert: transaction.prepare_cached(INSERT)?,
            select: transaction.prepare_cached(WINDOW.select)?,
            upsert: transaction.prepare_cached(WINDOW.upsert)?,
            mark: transaction.prepare_cached(MARK)?,
        })
    }

    /// Adds to a window or sets it, and gives the number of windows changed. A minute that has expired
    /// adds to its hour instead, and goes to no output, where it would replace the whole value.
    fn write(
        &mut self,
        known: &Known,
        number: SeriesRef,
        minute: i64,
        cell: &[u64],
        set: bool,
    ) -> rusqlite::Result<u64> {
        let (Some(series), Some(&id), Some(kind)) = (
            known.registry.series.get(number),
            known.ids.get(number),
            known.kind(number),
        ) else {
            return Ok(0);
        };
        let keeps = known.registry.metrics.get(series.metric);
        if !keeps.is_some_and(|metric| metric.windows) {
            return Ok(0);
        }
        if minute < known.floor {
            add_cell(self.transaction, &HOUR, (hour_of(minute), id), kind, cell)?;
            return Ok(0);
        }
        if set {
            put(&mut self.upsert, (minute, id), &cell::columns(kind, cell))?;
        } else {
            self.add(known, (minute, id), kind, cell)?;
        }
        for output in known.outputs_for(series.metric, minute) {
            self.mark.execute(params![output, minute, id])?;
        }
        Ok(1)
    }

    /// Adds to a window. That of a minute later than all of earlier commits is most likely new, and
    /// inserted without a look; when it is there all the same, nothing was inserted.
    fn add(
        &mut self,
        known: &Known,
        at: (i64, i64),
        kind: &Kind,
        cell: &[u64],
    ) -> rusqlite::Result<()> {
        let mut columns = cell::columns(kind, cell);
        if at.0 > known.newest && put(&mut self.insert, at, &columns)? > 0 {
            return Ok(());
        }
        let before = self
            .select
            .query_row(at, |row| cell::from_row(row, kind))
            .optional()?;
        if let Some(mut sum) = before {
            kind.add(&mut sum, cell);
            columns = cell::columns(kind, &sum);
        }
        put(&mut self.upsert, at, &columns)?;
        Ok(())
    }
}

/// Makes a window where there is none.
const INSERT: &str = "INSERT INTO window VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";

/// Runs a statement that writes a cell; the number of rows changed.
fn put(
    statement: &mut CachedStatement<'_>,
    at: (i64, i64),
    columns: &cell::Columns,
) -> rusqlite::Result<usize> {
    statement.execute(params![at.0, at.1, columns.n, columns.sum, columns.cell])
}

/// To be sent; when it is being sent, then once more.
const MARK: &str = "INSERT INTO pending VALUES (?1, ?2, ?3, 0, 0, 0, 0) \
     ON CONFLICT DO UPDATE SET state = CASE state WHEN 1 THEN 3 ELSE 0 END \
     WHERE state IN (1, 2)";

impl Known {
    /// Row ids of the outputs to which a minute of a metric goes.
    fn outputs_for(&self, metric: usize, minute: i64) -> impl Iterator<Item = i64> {
        let from = self
            .metrics
            .get(metric)
            .map_or(i64::MAX, |m| m.complete_from);
        self.outputs
            .iter()
            .filter(move |output| minute >= from && minute >= output.since)
            .map(|output| output.id)
    }
}

/// Statements over one of the tables of cells.
pub(super) struct CellTable {
    select: &'static str,
    upsert: &'static str,
}

pub(super) const WINDOW: CellTable = CellTable {
    select: "SELECT n, cell FROM window WHERE minute = ?1 AND series = ?2",
    upsert: "INSERT INTO window VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE \
             SET n = excluded.n, sum = excluded.sum, cell = excluded.cell",
};

pub(super) const HOUR: CellTable = CellTable {
    select: "SELECT n, cell FROM hour WHERE hour = ?1 AND series = ?2",
    upsert: "INSERT INTO hour VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE \
             SET n = excluded.n, sum = excluded.sum, cell = excluded.cell",
};

/// The start of the hour of a minute.
pub(super) fn hour_of(minute: i64) -> i64 {
    minute.div_euclid(3600) * 3600
}

/// The cell at a time and series row.
pub(super) fn read_cell(
    transaction: &Transaction<'_>,
    table: &CellTable,
    at: (i64, i64),
    kind: &Kind,
) -> rusqlite::Result<Option<Vec<u64>>> {
    transaction
        .prepare_cached(table.select)?
        .query_row(at, |row| cell::from_row(row, kind))
        .optional()
}

fn put_cell(
    transaction: &Transaction<'_>,
    table: &CellTable,
    at: (i64, i64),
    kind: &Kind,
    cell: &[u64],
) -> rusqlite::Result<()> {
    let columns = cell::columns(kind, cell);
    let mut statement = transaction.prepare_cached(table.upsert)?;
    statement.execute(params![at.0, at.1, columns.n, columns.sum, columns.cell])?;
    Ok(())
}

/// Adds to the cell at a time and series row.
pub(super) fn add_cell(
    transaction: &Transaction<'_>,
    table: &CellTable,
    at: (i64, i64),
    kind: &Kind,
    cell: &[u64],
) -> rusqlite::Result<()> {
    match read_cell(transaction, table, at, kind)? {
        Some(mut sum) => {
            kind.add(&mut sum, cell);
            put_cell(transaction, table, at, kind, &sum)
        }
        None => put_cell(transaction, table, at, kind, cell),
    }
}

fn write_files(
    transaction: &Transaction<'_>,
    known: &Known,
    files: &[FileRow],
) -> rusqlite::Result<()> {
    let mut delete =
        transaction.prepare_cached("DELETE FROM generation WHERE log = ?1 AND path = ?2")?;
    let mut forget = transaction.prepare_cached("DELETE FROM file WHERE log = ?1 AND path = ?2")?;
    let mut looked = transaction.prepare_cached("INSERT OR IGNORE INTO file VALUES (?1, ?2)")?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO generation VALUES \
         (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    )?;
    for file in files {
        let Some(log) = known.logs.get(file.log) else {
            continue;
        };
        delete.execute(params![log, file.path])?;
        if file.gone {
            forget.execute(params![log, file.path])?;
            continue;
        }
        looked.execute(params![log, file.path])?;
        for (place, row) in (0i64..).zip(&file.generations) {
            insert.execute(params![
                log,
                file.path,
                place,
                row.id.cast_signed(),
                row.dev.cast_signed(),
                row.ino.cast_signed(),
                row.btime_ns,
                row.head_len.cast_signed(),
                row.head,
                row.tail_len.cast_signed(),
                row.tail,
                row.offset.cast_signed(),
                row.skipping.cast_signed(),
                state_text(row.state),
                row.size.cast_signed(),
                row.trail,
                row.note,
            ])?;
        }
    }
    Ok(())
}

fn state_text(state: GenerationState) -> &'static str {
    match state {
        GenerationState::Live => "live",
        GenerationState::Draining => "draining",
        GenerationState::Done => "done",
    }
}

/// The first time that a minute of a log had lines, the declared series of its metrics are 0 in it.
fn write_minutes(
    transaction: &Transaction<'_>,
    known: &Known,
    minutes: &[(usize, i64)],
) -> rusqlite::Result<()> {
    let mut seen =
        transaction.prepare_cached("INSERT OR IGNORE INTO log_minute VALUES (?1, ?2)")?;
    let mut mark = transaction
        .prepare_cached("INSERT OR IGNORE INTO pending VALUES (?1, ?2, ?3, 0, 0, 0, 0)")?;
    for &(log, minute) in minutes {
        let minute = minute.div_euclid(60) * 60;
        let Some(row) = known.logs.get(log).filter(|_| minute >= known.floor) else {
            continue;
        };
        if seen.execute(params![minute, row])? == 0 {
            continue;
        }
        for (output, series) in known.zeros(log, minute) {
            mark.execute(params![output, minute, series])?;
        }
    }
    Ok(())
}

impl Known {
    /// Row ids of outputs and of declared series that are 0 in a minute in which a log had lines.
    pub(super) fn zeros(&self, log: usize, minute: i64) -> Vec<(i64, i64)> {
        let mut zeros = Vec::new();
        let metrics = self.metrics.iter().zip(&self.registry.metrics);
        for (number, (own, metric)) in metrics.enumerate() {
            if !metric.windows || !own.logs.contains(&log) {
                continue;
            }
            for output in self.outputs_for(number, minute) {
                let declared = metric.order.values().filter(|&&series| {
                    let series = self.registry.series.get(series);
                    series.is_some_and(|series| series.declared)
                });
                let rows = declared.filter_map(|&series| self.ids.get(series));
                zeros.extend(rows.map(|&series| (output, series)));
            }
        }
        zeros
    }
}

fn write_watermarks(
    transaction: &Transaction<'_>,
    known: &Known,
    watermarks: &[(usize, i64)],
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "UPDATE log SET watermark = ?2 WHERE id = ?1 AND (watermark IS NULL OR watermark < ?2)",
    )?;
    for (log, watermark) in watermarks {
        if let Some(row) = known.logs.get(*log) {
            statement.execute(params![row, watermark])?;
        }
    }
    Ok(())
}

/// A run that the caller made cannot be read: our own mistake, refused without a panic.
fn unreadable(error: io::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}
