//! The store: positions, totals, minute windows and delivery marks, changed together or not at all.
//!
//! One SQLite file, one writer. A [`Batch`] holds where followers are and what the lines up to there
//! added; both become durable in one transaction, so whatever kills the process, what is read again is
//! exactly what was not counted. Restoring an old copy of the folder is exact for the same reason.
//!
//! Invariants:
//! * the sum of a series' windows and hours is what batches with minutes added to its total;
//! * a total never decreases, and a series keeps it for as long as the store exists;
//! * a minute is marked for an output only when all its lines could be seen;
//! * a mark leaves only when the value of that moment was acknowledged, and again after each
//!   repetition when a delivery was ever in doubt;
//! * after an error nobody knows whether the transaction was kept: nothing more is written or
//!   claimed until [`Store::reopen`] and [`Store::register`] have read what is there.
//!
//! Tables and their columns are described in `schema.sql`; anybody may read them with `sqlite3` while
//! the agent runs, in the views `minutes` and `hours` with names instead of numbers. Who decides what
//! is ready, where it goes and when is the caller; the store reads no clock.

mod answer;
mod cell;
mod commit;
mod delivery;
mod error;
mod known;
mod mark;
mod place;
mod plan;
mod register;
mod registry;
mod room;
mod schema;
mod snapshot;
mod tidy;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use answer::{
    AgentStatus, FileStatus, LogStatus, Mark, MetricStatus, OutputStatus, SeriesAnswer,
    SeriesPoint, SeriesQuestion, SeriesValues, StepState, StoreStatus,
};
pub use error::StoreError;
pub use mark::record;
pub use plan::{
    Batch, Claim, Committed, FileRow, GenerationRow, GenerationState, LogPlan, MetricPlan,
    OutputPlan, Point, Queue, StoreOptions, Tidied,
};
pub use registry::{Delta, RegisteredMetric, RegisteredSeries, Registry, SeriesRef};
pub use snapshot::Snapshot;

use delivery::Flight;
use known::Known;

/// An open store. Dropping it gives the lock up.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    options: StoreOptions,
    /// `None` after opening again failed.
    connection: Option<Connection>,
    /// Dropped after the connection, see [`room`].
    index_room: Option<File>,
    /// What is known of the plan; as the last commit left it unless `stale`.
    known: Known,
    /// Claims under way, by output.
    flights: Vec<Option<Flight>>,
    /// Of the last claim. Not given twice in the life of a process, so that an acknowledgement from
    /// before a failure cannot be taken for one of a later claim.
    claims: u64,
    /// When this process registered first, Unix milliseconds.
    started_ms: Option<i64>,
    /// A write failed, or nothing is registered yet.
    stale: bool,
    #[cfg(test)]
    fault: Option<Fault>,
    /// The file that was opened.
    opened: Option<place::Identity>,
    lock: place::Lock,
}

/// How the next transaction fails.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing was kept.
    Before,
    /// Everything was kept.
    After,
}

/// Bytes of a store and its write-ahead log on disk.
fn bytes(path: &Path) -> u64 {
    ["", "-wal"]
        .iter()
        .filter_map(|ending| std::fs::metadata(place::beside(path, ending)).ok())
        .map(|found| found.len())
        .sum()
}

impl Store {
    /// Opens the store at `path`, or makes it, and holds its lock from then on. The whole file is
    /// checked.
    ///
    /// # Errors
    /// [`StoreError::Held`], [`StoreError::Newer`], [`StoreError::Damaged`] and others for which
    /// waiting does not help ([`StoreError::is_final`]); those of the file system.
    pub fn open(path: impl AsRef<Path>, options: StoreOptions) -> Result<Store, StoreError> {
        let path = path.as_ref();
        let lock = place::prepare(path)?;
        room::check(path)?;
        let connection = schema::open(path, options.busy)?;
        schema::check(&connection, path)?;
        let index = room::reserve(path)?;
        Ok(Store {
            path: path.to_owned(),
            options,
            connection: Some(connection),
            index_room: index,
            known: Known::default(),
            flights: Vec::new(),
            claims: 0,
            started_ms: None,
            stale: true,
            #[cfg(test)]
            fault: None,
            opened: place::identity(path),
            lock,
        })
    }

    /// Forgets everything in memory and opens the file again, under the same lock. Must be followed by
    /// [`Store::register`]. May be tried again after it failed.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn reopen(&mut self) -> Result<(), StoreError> {
        self.stale = true;
        self.flights.clear();
        self.known = Known::default();
        self.connection = None;
        self.index_room = None;
        place::keep(&mut self.lock, &self.path)?;
        room::check(&self.path)?;
        let connection = schema::reopen(&self.path, self.options.busy)?;
        self.opened = place::identity(&self.path);
        self.index_room = room::reserve(&self.path)?;
        self.connection = Some(connection);
        Ok(())
    }

    /// Where the store lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the store and its write-ahead log on disk.
    pub fn bytes(&self) -> u64 {
        bytes(&self.path)
    }

    /// Other settings, from now on; which series are silent is decided anew by [`Store::register`].
    pub fn set_options(&mut self, options: StoreOptions) {
        self.options = options;
    }

    /// Makes the next transaction fail.
    #[cfg(test)]
    pub(crate) fn fail_next_commit(&mut self, how: Fault) {
        self.fault = Some(how);
    }

    /// The connection, for reading what the last commit left.
    fn reading(&self) -> Result<&Connection, StoreError> {
        self.connection.as_ref().ok_or(StoreError::Stale)
    }

    /// Runs `body` in a transaction; unless it is kept for certain, the store is stale.
    fn write<T>(
        &mut self,
        action: &'static str,
        body: impl FnOnce(&Transaction<'_>, &mut Known, &StoreOptions) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        if self.stale {
            return Err(StoreError::Stale);
        }
        self.stale = true;
        // What is written to a file without a name is lost with the process.
        if place::identity(&self.path) != self.opened {
            return Err(StoreError::Gone {
                path: self.path.clone(),
            });
        }
        let result = self.transact(body);
        self.stale = result.is_err();
        result.map_err(|source| StoreError::of(&self.path, action, source))
    }

    /// Runs `body` in a transaction, stale or not.
    fn transact<T>(
        &mut self,
        body: impl FnOnce(&Transaction<'_>, &mut Known, &StoreOptions) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let Some(connection) = self.connection.as_mut() else {
            return Err(rusqlite::Error::InvalidQuery);
        };
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = body(&transaction, &mut self.known, &self.options)?;
        #[cfg(test)]
        if let Some(fault) = self.fault.take() {
            match fault {
                Fault::Before => transaction.rollback()?,
                Fault::After => transaction.commit()?,
            }
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
            return Err(rusqlite::Error::SqliteFailure(code, None));
        }
        transaction.commit()?;
        Ok(result)
    }
}
