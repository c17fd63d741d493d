//! Windows on their way to outputs.
//!
//! An output takes whole values of minutes, and may acknowledge them. A claim reads values and notes in
//! the same transaction that they are under way, so that after a crash they are known to be in doubt:
//! bytes that were handed to a socket can be read long after, and overwrite a newer value. A window in
//! doubt is therefore *suspect*, and is sent again some times, later and later, each time with its
//! present value. The first values of a series are suspect too, since carbon may drop them when many
//! series are new.
//!
//! One claim per output is under way at a time; a release or an acknowledgement of another one does
//! nothing.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::commit::{WINDOW, read_cell};
use super::known::Known;
use super::plan::{Claim, Point, Queue};
use super::registry::SeriesRef;
use super::{Store, StoreError};

/// Rows marked for a claim.
#[derive(Debug)]
pub(super) struct Flight {
    claim: u64,
    /// Minute and row id of the series.
    rows: Vec<(i64, i64)>,
}

impl Store {
    /// Takes at most about `limit` windows for an output, oldest minute first: those that are dirty, and
    /// those to be sent again whose time has come. `ready` gives for a metric the first minute that is
    /// not ready. `together` gives the series whose values make one path with that of a series; their
    /// values for the minute come along, and none of them goes before all are ready. `None` when nothing
    /// is to be sent, or a claim is under way.
    ///
    /// # Errors
    /// As [`Store::commit`]: the store is stale.
    pub fn claim<'s>(
        &mut self,
        output: usize,
        ready: &dyn Fn(usize) -> i64,
        together: &dyn Fn(SeriesRef) -> &'s [SeriesRef],
        limit: usize,
        now_ms: i64,
    ) -> Result<Option<Claim>, StoreError> {
        if self.stale {
            return Err(StoreError::Stale);
        }
        if limit == 0 || !matches!(self.flights.get(output), Some(None)) {
            return Ok(None);
        }
        // Looking costs no transaction; most looks find nothing.
        if self.candidates(output, ready, 1, now_ms)?.is_empty() {
            return Ok(None);
        }
        let id = self.claims + 1;
        let claimed = self.write("claim windows", |transaction, known, _| {
            let Some(row) = known.outputs.get(output).map(|output| output.id) else {
                return Ok(None);
            };
            let mut claiming = Claiming {
                transaction,
                known,
                output: row,
                ready,
                together,
                rows: BTreeSet::new(),
                points: BTreeMap::new(),
            };
            let more = claiming.run(limit, now_ms)?;
            let (rows, points) = (claiming.rows, claiming.points);
            Ok((!rows.is_empty()).then_some((rows, points, more)))
        })?;
        let Some((rows, points, more)) = claimed else {
            return Ok(None);
        };
        self.claims = id;
        if let Some(flight) = self.flights.get_mut(output) {
            *flight = Some(Flight {
                claim: id,
                rows: rows.into_iter().collect(),
            });
        }
        let points = points.into_iter().map(|((minute, series), cell)| Point {
            series,
            minute,
            cell,
        });
        Ok(Some(Claim {
            id,
            points: points.collect(),
            more,
        }))
    }

    fn candidates(
        &self,
        output: usize,
        ready: &dyn Fn(usize) -> i64,
        limit: usize,
        now_ms: i64,
    ) -> Result<Vec<(i64, i64)>, StoreError> {
        let Some(row) = self.known.outputs.get(output).map(|output| output.id) else {
            return Ok(Vec::new());
        };
        let of = |source| StoreError::of(&self.path, "look for windows", source);
        candidates(self.reading()?, &self.known, row, ready, limit, now_ms).map_err(of)
    }

    /// The output has taken the values of a claim. Windows that changed since stay dirty; suspect ones
    /// are sent again `settle_ms[step]` later, the others are done.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn acknowledge(
        &mut self,
        output: usize,
        claim: u64,
        settle_ms: &[i64],
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let Some(flight) = self.land(output, claim)? else {
            return Ok(());
        };
        self.write("acknowledge windows", |transaction, known, _| {
            let Some(output) = known.outputs.get(output).map(|output| output.id) else {
                return Ok(());
            };
            let mut young = Young::new(transaction, output, settle_ms, now_ms);
            for &(minute, series) in &flight.rows {
                let doubt = young.is_young(series)?;
                land_row(
                    transaction,
                    (output, minute, series),
                    doubt,
                    settle_ms,
                    now_ms,
                )?;
            }
            Ok(())
        })
    }

    /// Whether the output took the values of a claim is not known: its windows are to be sent again, and
    /// suspect.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn release(&mut self, output: usize, claim: u64) -> Result<(), StoreError> {
        let Some(flight) = self.land(output, claim)? else {
            return Ok(());
        };
        self.write("release windows", |transaction, known, _| {
            let mut statement = transaction.prepare_cached(
                "UPDATE pending SET state = 0, suspect = 1, step = 0, due_ms = 0 \
                 WHERE output = ?1 AND minute = ?2 AND series = ?3",
            )?;
            let row = known.outputs.get(output).map(|output| output.id);
            for (minute, series) in &flight.rows {
                statement.execute(params![row, minute, series])?;
            }
            Ok(())
        })
    }

    /// The claim under way, if it is this one.
    fn land(&mut self, output: usize, claim: u64) -> Result<Option<Flight>, StoreError> {
        if self.stale {
            return Err(StoreError::Stale);
        }
        let flight = self.flights.get_mut(output);
        Ok(flight.and_then(|flight| flight.take_if(|flight| flight.claim == claim)))
    }

    /// Makes all windows of an output from a minute on dirty, as after a loss at its side.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn doubt_since(&mut self, output: usize, minute: i64) -> Result<(), StoreError> {
        self.write("mark windows", |transaction, known, _| {
            mark_since(transaction, known, output, minute)
        })
    }

    /// What waits for an output, by the last commit.
    ///
    /// # Errors
    /// Those of reading.
    pub fn queue(&self, output: usize) -> Result<Queue, StoreError> {
        let Some(row) = self.known.outputs.get(output).map(|output| output.id) else {
            return Ok(Queue::default());
        };
        let count = |value: i64| u64::try_from(value).unwrap_or_default();
        self.reading()?
            .prepare_cached(
                "SELECT count(DISTINCT minute) FILTER (WHERE state <> 2), \
                 count(*) FILTER (WHERE state <> 2), count(*) FILTER (WHERE suspect), \
                 min(minute) FILTER (WHERE state <> 2) \
                 FROM pending WHERE output = ?1 AND state <> 4",
            )
            .and_then(|mut statement| {
                statement.query_row([row], |row| {
                    Ok(Queue {
                        minutes: count(row.get(0)?),
                        windows: count(row.get(1)?),
                        suspect: count(row.get(2)?),
                        oldest: row.get(3)?,
                    })
                })
            })
            .map_err(|source| StoreError::of(&self.path, "read the queue", source))
    }
}

/// The first minute that may have windows.
pub(super) fn floor(transaction: &Transaction<'_>) -> rusqlite::Result<i64> {
    let found = transaction
        .query_row("SELECT value FROM meta WHERE name = 'floor'", [], |row| {
            row.get(0)
        })
        .optional()?;
    Ok(found.unwrap_or(i64::MIN))
}

/// Makes windows and zeros of an output from a minute on dirty, as far as the output takes them.
pub(super) fn mark_since(
    transaction: &Transaction<'_>,
    known: &Known,
    output: usize,
    minute: i64,
) -> rusqlite::Result<()> {
    let Some(output) = known.outputs.get(output) else {
        return Ok(());
    };
    let first = minute.max(output.since).max(known.floor);
    let mut mark = transaction.prepare_cached(
        "INSERT INTO pending VALUES (?1, ?2, ?3, 0, 0, 0, 0) ON CONFLICT DO UPDATE \
         SET state = CASE state WHEN 1 THEN 3 WHEN 3 THEN 3 ELSE 0 END",
    )?;
    let mut windows =
        transaction.prepare_cached("SELECT minute, series FROM window WHERE minute >= ?1")?;
    let heirs = known.heirs();
    let mut rows = windows.query([first])?;
    while let Some(row) = rows.next()? {
        let (minute, id): (i64, i64) = (row.get(0)?, row.get(1)?);
        let id = heirs.get(&id).copied().unwrap_or(id);
        let metric = known
            .refs
            .get(&id)
            .and_then(|&series| known.registry.series.get(series));
        let own = metric.and_then(|series| known.metrics.get(series.metric));
        if own.is_some_and(|own| minute >= own.complete_from) {
            mark.execute(params![output.id, minute, id])?;
        }
    }
    let mut minutes =
        transaction.prepare_cached("SELECT minute, log FROM log_minute WHERE minute >= ?1")?;
    let mut rows = minutes.query([first])?;
    while let Some(row) = rows.next()? {
        let (minute, id): (i64, i64) = (row.get(0)?, row.get(1)?);
        let Some(log) = known.logs.iter().position(|&log| log == id) else {
            continue;
        };
        for (to, series) in known.zeros(log, minute) {
            if to == output.id {
                mark.execute(params![to, minute, series])?;
            }
        }
    }
    Ok(())
}

/// Windows that may be sent, oldest minute first: minute and row id of the series.
fn candidates(
    connection: &rusqlite::Connection,
    known: &Known,
    output: i64,
    ready: &dyn Fn(usize) -> i64,
    limit: usize,
    now_ms: i64,
) -> rusqlite::Result<Vec<(i64, i64)>> {
    let ready: Vec<i64> = (0..known.metrics.len()).map(ready).collect();
    let Some(&last) = ready.iter().max() else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for sql in [
        "SELECT minute, series FROM pending INDEXED BY pending_dirty \
         WHERE output = ?1 AND state = 0 AND minute < ?2 AND ?3 = ?3 ORDER BY minute",
        "SELECT minute, series FROM pending INDEXED BY pending_due \
         WHERE output = ?1 AND state = 2 AND minute < ?2 AND due_ms <= ?3 ORDER BY due_ms",
    ] {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![output, last, now_ms])?;
        let mut taken = 0;
        while let Some(row) = rows.next()? {
            let (minute, id): (i64, i64) = (row.get(0)?, row.get(1)?);
            let series = known
                .refs
                .get(&id)
                .and_then(|&n| known.registry.series.get(n));
            let ready = series.and_then(|series| ready.get(series.metric));
            if ready.is_some_and(|&ready| minute < ready) {
                found.push((minute, id));
                taken += 1;
            }
            if taken >= limit {
                break;
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// One claim in the making.
struct Claiming<'c, 't, 's> {
    transaction: &'c Transaction<'t>,
    known: &'c Known,
    output: i64,
    ready: &'c dyn Fn(usize) -> i64,
    together: &'c dyn Fn(SeriesRef) -> &'s [SeriesRef],
    /// Rows under way: minute and row id.
    rows: BTreeSet<(i64, i64)>,
    points: BTreeMap<(i64, SeriesRef), Vec<u64>>,
}

impl Claiming<'_, '_, '_> {
    /// True when there is more than the limit allows.
    fn run(&mut self, limit: usize, now_ms: i64) -> rusqlite::Result<bool> {
        let found = candidates(
            self.transaction,
            self.known,
            self.output,
            self.ready,
            limit.saturating_add(1),
            now_ms,
        )?;
        for (minute, id) in found {
            if self.rows.len() >= limit && !self.rows.contains(&(minute, id)) {
                return Ok(true);
            }
            if let Some(&series) = self.known.refs.get(&id) {
                self.take(minute, series)?;
            }
        }
        Ok(false)
    }

    /// Takes a window and those that share a path with it, unless one is not ready.
    fn take(&mut self, minute: i64, series: SeriesRef) -> rusqlite::Result<()> {
        let others = (self.together)(series);
        if !others.iter().all(|&other| self.is_ready(other, minute)) {
            return Ok(());
        }
        for &one in std::iter::once(&series).chain(others) {
            if !self.points.contains_key(&(minute, one)) {
                self.take_one(minute, one, one == series)?;
            }
        }
        Ok(())
    }

    fn is_ready(&self, series: SeriesRef, minute: i64) -> bool {
        let found = self.known.registry.series.get(series);
        found.is_none_or(|series| minute < (self.ready)(series.metric))
    }

    fn take_one(&mut self, minute: i64, series: SeriesRef, wanted: bool) -> rusqlite::Result<()> {
        let Some(&id) = self.known.ids.get(series) else {
            return Ok(());
        };
        let marked = self
            .transaction
            .prepare_cached(
                "UPDATE pending SET state = 1 WHERE output = ?1 AND minute = ?2 AND series = ?3",
            )?
            .execute(params![self.output, minute, id])?;
        let value = value(self.transaction, self.known, series, minute)?;
        if marked > 0 {
            self.rows.insert((minute, id));
        }
        let width = self
            .known
            .kind(series)
            .map_or(0, crate::metrics::Kind::width);
        if wanted || marked > 0 || value.is_some() {
            let cell = value.unwrap_or_else(|| vec![0; width]);
            self.points.insert((minute, series), cell);
        }
        Ok(())
    }
}

/// What a minute added to a series, under this and earlier definitions.
fn value(
    transaction: &Transaction<'_>,
    known: &Known,
    series: SeriesRef,
    minute: i64,
) -> rusqlite::Result<Option<Vec<u64>>> {
    let (Some(found), Some(&id), Some(kind)) = (
        known.registry.series.get(series),
        known.ids.get(series),
        known.kind(series),
    ) else {
        return Ok(None);
    };
    let earlier = known.ancestors.get(&(found.metric, found.labels.clone()));
    let mut sum: Option<Vec<u64>> = None;
    for &row in std::iter::once(&id).chain(earlier.into_iter().flatten()) {
        let Some(cell) = read_cell(transaction, &WINDOW, (minute, row), kind)? else {
            continue;
        };
        match &mut sum {
            Some(sum) => kind.add(sum, &cell),
            None => sum = Some(cell),
        }
    }
    Ok(sum)
}

/// Which series an output has not known for long.
struct Young<'y, 't> {
    transaction: &'y Transaction<'t>,
    output: i64,
    /// How long a series is young; `None` when nothing is ever sent again.
    span: Option<i64>,
    now_ms: i64,
    seen: BTreeMap<i64, bool>,
}

impl<'y, 't> Young<'y, 't> {
    fn new(transaction: &'y Transaction<'t>, output: i64, settle: &[i64], now_ms: i64) -> Self {
        Young {
            transaction,
            output,
            span: settle.last().copied(),
            now_ms,
            seen: BTreeMap::new(),
        }
    }

    /// Notes the first acknowledgement of a series, and says whether it was short ago.
    fn is_young(&mut self, series: i64) -> rusqlite::Result<bool> {
        let Some(span) = self.span else {
            return Ok(false);
        };
        if let Some(&young) = self.seen.get(&series) {
            return Ok(young);
        }
        self.transaction
            .prepare_cached("INSERT OR IGNORE INTO path_state VALUES (?1, ?2, ?3)")?
            .execute(params![self.output, series, self.now_ms])?;
        let first: i64 = self
            .transaction
            .prepare_cached("SELECT acked_ms FROM path_state WHERE output = ?1 AND series = ?2")?
            .query_row([self.output, series], |row| row.get(0))?;
        let young = self.now_ms < first.saturating_add(span);
        self.seen.insert(series, young);
        Ok(young)
    }
}

/// What becomes of a row whose value was acknowledged.
fn land_row(
    transaction: &Transaction<'_>,
    at: (i64, i64, i64),
    doubt: bool,
    settle_ms: &[i64],
    now_ms: i64,
) -> rusqlite::Result<()> {
    let found: Option<(i64, bool, i64, i64)> = transaction
        .prepare_cached(
            "SELECT state, suspect, step, due_ms FROM pending \
             WHERE output = ?1 AND minute = ?2 AND series = ?3",
        )?
        .query_row(at, |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let Some((state, suspect, step, due_ms)) = found else {
        return Ok(());
    };
    let suspect = suspect || doubt;
    let pause = usize::try_from(step)
        .ok()
        .and_then(|step| settle_ms.get(step));
    let (state, step, due_ms) = match pause {
        // Changed while it was under way: what is acknowledged is not the present value.
        _ if state != 1 => (0, step, due_ms),
        // A correction between two repetitions does not bring the next one forward.
        _ if suspect && due_ms > now_ms => (2, step, due_ms),
        Some(pause) if suspect => (2, step + 1, now_ms.saturating_add(*pause)),
        _ => {
            transaction
                .prepare_cached(
                    "DELETE FROM pending WHERE output = ?1 AND minute = ?2 AND series = ?3",
                )?
                .execute(at)?;
            return Ok(());
        }
    };
    transaction
        .prepare_cached(
            "UPDATE pending SET state = ?4, suspect = ?5, step = ?6, due_ms = ?7 \
             WHERE output = ?1 AND minute = ?2 AND series = ?3",
        )?
        .execute(params![at.0, at.1, at.2, state, suspect, step, due_ms])?;
    Ok(())
}
