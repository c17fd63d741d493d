//! What a store says, for those who only read it: the agent's own pages, `check` and `mark`'s readers.
//!
//! Each answer is of one commit: one read transaction. Nothing is ever made or left beside the store,
//! whoever asks and in whatever state an agent left it; how that is done is in [`reach`]. One question may
//! be answered by several attempts when the store changes under a reader who cannot hold it still.
//!
//! Not here: judging. Whether the values are old or incomplete is told, not decided.

mod reach;
mod scan;
mod series;
mod status;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::answer::{Mark, SeriesAnswer, SeriesQuestion, StoreStatus};
use super::{StoreError, mark, place};
use reach::{Reached, Reader};
#[cfg(test)]
pub(super) use scan::clusters;

/// How often an answer is tried while the store changes.
const ATTEMPTS: usize = 5;

/// A store that is only read.
///
/// A process should have one of these for a file at a time, and none for a file that it writes, but for
/// [`Snapshot::within`]: locks of POSIX belong to a process, and end when it closes the file anywhere.
#[derive(Debug)]
pub struct Snapshot {
    path: PathBuf,
    reader: Reader,
    reached: RefCell<Option<Reached>>,
}

impl Snapshot {
    /// Opens the store at `path`, whether or not an agent runs, as anybody who may read it.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it is not there or may not be read; [`StoreError::Older`],
    /// [`StoreError::Newer`], [`StoreError::Foreign`], [`StoreError::Damaged`].
    pub fn open(path: impl AsRef<Path>) -> Result<Snapshot, StoreError> {
        Snapshot::new(path.as_ref(), Reader::Stranger)
    }

    /// Opens the store that this process writes.
    ///
    /// # Errors
    /// As [`Snapshot::open`].
    pub fn within(path: impl AsRef<Path>) -> Result<Snapshot, StoreError> {
        Snapshot::new(path.as_ref(), Reader::Agent)
    }

    fn new(path: &Path, reader: Reader) -> Result<Snapshot, StoreError> {
        let snapshot = Snapshot {
            path: path.to_owned(),
            reader,
            reached: RefCell::new(None),
        };
        snapshot.answer("open the store", &|_| Ok(()))?;
        Ok(snapshot)
    }

    /// Where the store lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// One metric over time. `keep` says whether a label of [`SeriesQuestion::matched`] may have a value;
    /// series of which one may not are left out.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] for a metric or label that does not exist, [`StoreError::Question`] for
    /// times that make no steps and for too many points; those of reading.
    pub fn series(
        &self,
        question: &SeriesQuestion,
        keep: &dyn Fn(&str, &str) -> bool,
    ) -> Result<SeriesAnswer, StoreError> {
        self.answer("read series", &|connection| {
            series::answer(connection, question, keep)
        })
    }

    /// How the agent and the store stand. `now_ms` decides what is recent.
    ///
    /// # Errors
    /// Those of reading.
    pub fn status(&self, now_ms: i64) -> Result<StoreStatus, StoreError> {
        let mut status = self.answer("read the status", &|connection| {
            status::answer(connection, now_ms)
        })?;
        status.held = match self.reader {
            Reader::Agent => true,
            Reader::Stranger => place::is_held(&self.path)?,
        };
        status.bytes = super::bytes(&self.path);
        Ok(status)
    }

    /// At most `most` marks from `since_ms` on, newest first.
    ///
    /// # Errors
    /// Those of reading.
    pub fn marks(&self, since_ms: i64, most: usize) -> Result<Vec<Mark>, StoreError> {
        self.answer("read marks", &|connection| {
            Ok(mark::newest(connection, since_ms, most)?)
        })
    }

    /// Asks within one transaction, again as long as what was read changed meanwhile.
    fn answer<T>(
        &self,
        action: &'static str,
        ask: &dyn Fn(&Connection) -> Result<T, Trouble>,
    ) -> Result<T, StoreError> {
        let mut reached = self.reached.borrow_mut();
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let found = match reached.take() {
                Some(found) => found,
                None => match reach::reach(&self.path, self.reader) {
                    Ok(found) => found,
                    Err(error) if error.is_final() => return Err(error),
                    Err(error) => {
                        last = Some(error);
                        continue;
                    }
                },
            };
            let answer = found.ask(ask);
            if !found.is_unchanged(&self.path) {
                continue;
            }
            match answer {
                Ok(answer) => {
                    *reached = Some(found);
                    return Ok(answer);
                }
                Err(Trouble::Question(error)) => {
                    *reached = Some(found);
                    return Err(error);
                }
                Err(Trouble::Sqlite(error)) => {
                    last = Some(StoreError::of(&self.path, action, error));
                }
            }
        }
        Err(last.unwrap_or_else(|| StoreError::Restless {
            path: self.path.clone(),
        }))
    }
}

/// Why there is no answer.
#[derive(Debug)]
enum Trouble {
    /// It lies with the question.
    Question(StoreError),
    /// It lies with the store.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Trouble {
        Trouble::Sqlite(error)
    }
}
