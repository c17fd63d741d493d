//! The cells of some series, minute by minute or hour by hour.
//!
//! Windows are keyed by minute first, so a range of time is read as one short range of rows for each
//! minute and for each cluster of the series; what other metrics counted is passed over unread.
//! Invariant: whoever may read a number of rows reads no more, however long the time and many the series.

use std::cell::Cell;

use rusqlite::{Connection, Row, params};

use super::Trouble;
use crate::store::StoreError;

/// Most clusters of series that are read one after another in each minute.
const CLUSTERS: usize = 16;
pub(super) const HOUR: i64 = 3600;

/// Reads cells of a store, no more than it may.
pub(super) struct Scan<'c> {
    connection: &'c Connection,
    /// Rows, those included that are of other metrics and passed over.
    left: Cell<usize>,
}

impl<'c> Scan<'c> {
    /// At most so many rows, `None` for any number.
    pub(super) fn new(connection: &'c Connection, most: Option<usize>) -> Scan<'c> {
        Scan {
            connection,
            left: Cell::new(most.unwrap_or(usize::MAX)),
        }
    }
}

/// Called with the start of a minute or hour, the row id of the series, and the row, whose first columns are
/// `n` and `cell`.
pub(super) type Each<'e> = dyn FnMut(i64, i64, &Row<'_>) -> Result<(), Trouble> + 'e;

/// Statements over one of the tables of cells.
struct Cells {
    bounds: &'static str,
    rows: &'static str,
    seconds: i64,
}

const WINDOWS: Cells = Cells {
    bounds: "SELECT min(minute), max(minute) FROM window",
    rows: "SELECT n, cell, series FROM window WHERE minute = ?1 AND series BETWEEN ?2 AND ?3",
    seconds: 60,
};

const HOURS: Cells = Cells {
    bounds: "SELECT min(hour), max(hour) FROM hour",
    rows: "SELECT n, cell, series FROM hour WHERE hour = ?1 AND series BETWEEN ?2 AND ?3",
    seconds: HOUR,
};

impl Scan<'_> {
    /// Hands windows of the series out, sorted by row id, oldest first.
    pub(super) fn windows(
        &self,
        ids: &[i64],
        from: i64,
        to: i64,
        each: &mut Each<'_>,
    ) -> Result<(), Trouble> {
        self.cells(&WINDOWS, ids, (from, to), each)
    }

    /// Hands hours out as [`Scan::windows`] does minutes.
    pub(super) fn hours(
        &self,
        ids: &[i64],
        from: i64,
        to: i64,
        each: &mut Each<'_>,
    ) -> Result<(), Trouble> {
        self.cells(&HOURS, ids, (from, to), each)
    }

    fn cells(
        &self,
        cells: &Cells,
        ids: &[i64],
        (from, to): (i64, i64),
        each: &mut Each<'_>,
    ) -> Result<(), Trouble> {
        let bounds: (Option<i64>, Option<i64>) = self
            .connection
            .prepare_cached(cells.bounds)?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (Some(first), Some(last)) = bounds else {
            return Ok(());
        };
        let unit = cells.seconds;
        // Starts are multiples of the unit, and `from` is one or lies between two.
        let first = first.max(
            from.saturating_add(unit - 1)
                .div_euclid(unit)
                .saturating_mul(unit),
        );
        let clusters = clusters(ids);
        let mut statement = self.connection.prepare_cached(cells.rows)?;
        let starts = std::iter::successors(Some(first), |at| at.checked_add(unit));
        for at in starts.take_while(|&at| at < to && at <= last) {
            for &(low, high) in &clusters {
                let mut rows = statement.query(params![at, low, high])?;
                while let Some(row) = rows.next()? {
                    self.read_one()?;
                    let id: i64 = row.get(2)?;
                    if ids.binary_search(&id).is_ok() {
                        each(at, id, row)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn read_one(&self) -> Result<(), Trouble> {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(Trouble::Question(StoreError::Question(
                "too many counts would have to be read: ask for a shorter time".to_owned(),
            ))),
        }
    }
}

/// Ranges that hold all of the sorted `ids`, cut at the widest gaps between them.
pub(in crate::store) fn clusters(ids: &[i64]) -> Vec<(i64, i64)> {
    let (Some(&low), Some(&high)) = (ids.first(), ids.last()) else {
        return Vec::new();
    };
    let pairs = ids.iter().zip(ids.iter().skip(1));
    let mut gaps: Vec<(i64, i64)> = pairs
        .map(|(&before, &after)| (before, after))
        .filter(|(before, after)| after - before > 1)
        .collect();
    gaps.sort_unstable_by_key(|(before, after)| std::cmp::Reverse(after - before));
    gaps.truncate(CLUSTERS - 1);
    gaps.sort_unstable();
    let lows = std::iter::once(low).chain(gaps.iter().map(|&(_, after)| after));
    let highs = gaps
        .iter()
        .map(|&(before, _)| before)
        .chain(std::iter::once(high));
    lows.zip(highs).collect()
}
