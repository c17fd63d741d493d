//! Housekeeping: windows become hours, hours end, and the file stays within its size.
//!
//! Minutes expire whole and in order. The first minute that may have windows, the floor, is kept: a
//! count for an earlier one goes to its hour, so no part of a minute is ever taken for all of it. A
//! window that an output has not taken by then is given up, and counted.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::cell;
use super::commit::{HOUR, add_cell, hour_of};
use super::known::Known;
use super::plan::Tidied;
use super::schema::set_meta;
use super::{Store, StoreError};
use crate::metrics::Kind;

/// Windows that one transaction expires, about.
const CHUNK: u64 = 20_000;

/// Seconds before the newest window that stay, however large the store: what is counted at this moment
/// can still be sent when something else fills the file.
const SPARED: i64 = 900;

/// Free pages given back to the file system at a time.
const VACUUM: u32 = 2_000;

impl Store {
    /// Does a bounded part of the housekeeping; [`Tidied::more`] says that there is more. The delta is to
    /// be applied like that of a commit.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn tidy(&mut self, now_ms: i64) -> Result<Tidied, StoreError> {
        let tidied = self.write("tidy the store", |transaction, known, options| {
            known.begin();
            let now = now_ms.div_euclid(1000);
            let mut tidying = Tidying {
                transaction,
                known,
                unsent: BTreeMap::new(),
                done: Tidied::default(),
            };
            tidying.expire(now.saturating_sub(options.retention).div_euclid(60) * 60)?;
            tidying.end_hours(now.saturating_sub(options.rollups))?;
            tidying.shrink(options.max_bytes)?;
            tidying.count_unsent(now_ms)
        })?;
        let freed = vacuum(self.reading()?);
        // The delta is lost with the error, so everybody has to read anew.
        self.stale = freed.is_err();
        freed.map_err(|source| StoreError::of(&self.path, "shrink the store", source))?;
        Ok(tidied)
    }
}

/// Gives free pages back. Outside of a transaction; a crash in between leaves them free.
fn vacuum(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({VACUUM})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

struct Tidying<'w, 't> {
    transaction: &'w Transaction<'t>,
    known: &'w mut Known,
    /// Windows given up, by row id of the output.
    unsent: BTreeMap<i64, u64>,
    done: Tidied,
}

impl Tidying<'_, '_> {
    /// Expires minutes before `cutoff`, as many as fit.
    fn expire(&mut self, cutoff: i64) -> rusqlite::Result<()> {
        while let Some(minute) = self.oldest()?.filter(|&minute| minute < cutoff) {
            if self.done.windows >= CHUNK {
                self.done.more = true;
                break;
            }
            self.end_minute(minute)?;
        }
        Ok(())
    }

    /// The oldest minute with a window, a mark or lines.
    fn oldest(&self) -> rusqlite::Result<Option<i64>> {
        let mut oldest: Option<i64> = None;
        for sql in [
            "SELECT min(minute) FROM window",
            "SELECT min(minute) FROM log_minute",
            "SELECT min(m) FROM (SELECT (SELECT min(minute) FROM pending WHERE output = o.id) AS m \
             FROM output o)",
        ] {
            let found: Option<i64> = self
                .transaction
                .prepare_cached(sql)?
                .query_row([], |row| row.get(0))?;
            oldest = [oldest, found].into_iter().flatten().min();
        }
        Ok(oldest)
    }

    /// Adds the windows of a minute to their hours, and gives up what was not taken.
    fn end_minute(&mut self, minute: i64) -> rusqlite::Result<()> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT w.n, w.cell, w.series, m.kind FROM window w JOIN series s ON s.id = w.series \
             JOIN metric m ON m.id = s.metric WHERE w.minute = ?1",
        )?;
        let mut rows = statement.query([minute])?;
        while let Some(row) = rows.next()? {
            let series: i64 = row.get(2)?;
            let kind = kind_of(self.known, series, &row.get::<_, String>(3)?);
            let cell = cell::from_row(row, &kind)?;
            add_cell(
                self.transaction,
                &HOUR,
                (hour_of(minute), series),
                &kind,
                &cell,
            )?;
            self.done.windows += 1;
        }
        self.transaction
            .prepare_cached("DELETE FROM window WHERE minute = ?1")?
            .execute([minute])?;
        self.transaction
            .prepare_cached("DELETE FROM log_minute WHERE minute = ?1")?
            .execute([minute])?;
        self.give_up(minute)?;
        self.raise_floor(minute)
    }

    fn give_up(&mut self, minute: i64) -> rusqlite::Result<()> {
        let outputs: Vec<i64> = self
            .transaction
            .prepare_cached("SELECT id FROM output")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for output in outputs {
            // What settles was taken; it only misses its repetitions.
            let lost: i64 = self
                .transaction
                .prepare_cached(
                    "SELECT count(*) FROM pending WHERE output = ?1 AND minute = ?2 AND state <> 2",
                )?
                .query_row([output, minute], |row| row.get(0))?;
            self.transaction
                .prepare_cached("DELETE FROM pending WHERE output = ?1 AND minute = ?2")?
                .execute([output, minute])?;
            if lost > 0 {
                *self.unsent.entry(output).or_default() += lost.unsigned_abs();
            }
        }
        Ok(())
    }

    /// The minute gone, not the time of expiry: a clock that ran ahead must not end minutes to come.
    fn raise_floor(&mut self, gone: i64) -> rusqlite::Result<()> {
        let floor = gone.saturating_add(60);
        if floor > self.known.floor {
            self.known.floor = floor;
            set_meta(self.transaction, "floor", floor)?;
        }
        Ok(())
    }

    fn end_hours(&mut self, before: i64) -> rusqlite::Result<()> {
        let hour = hour_of(before);
        let ended = self
            .transaction
            .prepare_cached("DELETE FROM hour WHERE hour < ?1")?
            .execute([hour])?;
        self.done.hours += u64::try_from(ended).unwrap_or_default();
        self.transaction
            .prepare_cached("DELETE FROM mark WHERE at_ms < ?1")?
            .execute([hour.saturating_mul(1000)])?;
        Ok(())
    }

    /// Expires the oldest minutes, and when only the newest are left the oldest hours, until the content
    /// fits.
    fn shrink(&mut self, max_bytes: u64) -> rusqlite::Result<()> {
        let start = self.done.windows;
        let newest: Option<i64> = self
            .transaction
            .prepare_cached("SELECT max(minute) FROM window")?
            .query_row([], |row| row.get(0))?;
        let spared = newest.map_or(i64::MAX, |newest| newest.saturating_sub(SPARED));
        while self.used()? > max_bytes {
            if self.done.windows >= start + CHUNK || self.done.hours >= CHUNK {
                self.done.more = true;
                break;
            }
            if let Some(minute) = self.oldest()?.filter(|&minute| minute < spared) {
                self.end_minute(minute)?;
                continue;
            }
            let oldest: Option<i64> = self
                .transaction
                .query_row("SELECT min(hour) FROM hour", [], |row| row.get(0))
                .optional()?
                .flatten();
            match oldest {
                Some(hour) => self.end_hours(hour + 3600)?,
                None => break,
            }
        }
        Ok(())
    }

    /// Bytes of pages in use.
    fn used(&self) -> rusqlite::Result<u64> {
        let number = |pragma: &str| -> rusqlite::Result<u64> {
            let sql = format!("PRAGMA {pragma}");
            let mut statement = self.transaction.prepare_cached(&sql)?;
            let value: i64 = statement.query_row([], |row| row.get(0))?;
            Ok(u64::try_from(value).unwrap_or_default())
        };
        let pages = number("page_count")?.saturating_sub(number("freelist_count")?);
        Ok(pages.saturating_mul(number("page_size")?))
    }

    fn count_unsent(mut self, now_ms: i64) -> rusqlite::Result<Tidied> {
        for (id, n) in std::mem::take(&mut self.unsent) {
            let Some(number) = self.known.outputs.iter().position(|output| output.id == id) else {
                continue;
            };
            let name: String = self.transaction.query_row(
                "SELECT name FROM output WHERE id = ?1",
                params![id],
                |row| row.get(0),
            )?;
            self.done.unsent.push((number, n));
            let metric = "beacontail_unsent_expired_total";
            self.known
                .count_own(self.transaction, metric, &name, n, now_ms)?;
        }
        self.done.delta = self.known.write_totals(self.transaction)?;
        Ok(self.done)
    }
}

/// The kind of a series' cells, also of one that is not in the plan.
fn kind_of(known: &Known, series: i64, text: &str) -> Kind {
    let planned = known
        .refs
        .get(&series)
        .and_then(|&series| known.kind(series));
    planned
        .cloned()
        .unwrap_or_else(|| cell::kind_from_text(text))
}
