//! Ways to read a store without writing beside it.
//!
//! SQLite needs the index of the write-ahead log (`-shm`) to read beside a writer, and makes it, or the
//! log itself, where it is missing and the folder allows. So which way is taken depends on what is there:
//!
//! * log and index: read beside the agent. After a kill the index is no longer held by anybody; SQLite
//!   then reads the log into an index in memory.
//! * no log, or an empty one: a clean stop left everything in the file itself. Nobody writes, so it is read
//!   as immutable, and the answer counts when afterwards there still is no log and the file is the same.
//! * a log without its index: both are copied into a private folder, and the copy counts when neither
//!   changed meanwhile.
//!
//! A file with lines in its log is never read as immutable: the newest commits would be missing.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tempfile::TempDir;

use super::Trouble;
use crate::store::{StoreError, place, schema};

/// How long a reader waits for a writer who has everything locked, as during recovery.
const BUSY: Duration = Duration::from_secs(2);

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// The process that writes the store: closing any file of it would end its locks.
    Agent,
    /// Anybody else.
    Stranger,
}

/// A connection, and what must stay as it is for its answers to count.
#[derive(Debug)]
pub(super) struct Reached {
    connection: Connection,
    /// The file that was read as immutable.
    still: Option<Identity>,
    _copy: Option<TempDir>,
}

/// What changes with the content of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    dev: u64,
    ino: u64,
    size: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Reached {
    /// Asks within one transaction.
    pub(super) fn ask<T>(
        &self,
        ask: &dyn Fn(&Connection) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let transaction = self.connection.unchecked_transaction()?;
        let answer = ask(&transaction)?;
        transaction.finish()?;
        Ok(answer)
    }

    /// False when something was written to what had to stay as it is.
    pub(super) fn is_unchanged(&self, path: &Path) -> bool {
        let Some(still) = self.still else {
            return true;
        };
        let log = length(&place::beside(path, "-wal"));
        matches!(log, Ok(None | Some(0))) && identity(path).is_ok_and(|now| now == still)
    }
}

/// Opens the store in the way that its files allow.
pub(super) fn reach(path: &Path, reader: Reader) -> Result<Reached, StoreError> {
    let stranger = reader == Reader::Stranger;
    if stranger {
        may_read(path)?;
    }
    let io = |source| place::io_error(path, "look at the store", source);
    let log = length(&place::beside(path, "-wal")).map_err(io)?;
    let index = length(&place::beside(path, "-shm")).map_err(io)?;
    match (log, index) {
        (Some(_), Some(_)) => match opened(path, path, "mode=ro&readonly_shm=1", None) {
            Err(error) if stranger && log > Some(0) && is_unusable(&error) => copied(path),
            other => other,
        },
        (None | Some(0), _) => {
            let still = identity(path).map_err(io)?;
            opened(path, path, "mode=ro&immutable=1", Some(still))
        }
        (Some(_), None) if stranger => copied(path),
        (Some(_), None) => Err(StoreError::Restless {
            path: path.to_owned(),
        }),
    }
}

fn may_read(path: &Path) -> Result<(), StoreError> {
    let access = rustix::fs::Access::READ_OK;
    rustix::fs::access(path, access).map_err(|error| StoreError::Unreadable {
        path: path.to_owned(),
        source: error.into(),
    })
}

/// True when the index of the log is there and cannot be used.
fn is_unusable(error: &StoreError) -> bool {
    let StoreError::Sqlite { source, .. } = error else {
        return false;
    };
    matches!(
        source.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::FileLockingProtocolFailed)
    )
}

fn opened(
    path: &Path,
    file: &Path,
    parameters: &str,
    still: Option<Identity>,
) -> Result<Reached, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    connected(path, &address(file, parameters), flags, still, None)
}

/// Reads a copy of the file and its log. Opened for writing, since the index has to be made.
fn copied(path: &Path) -> Result<Reached, StoreError> {
    let io = |source| place::io_error(path, "copy the store aside", source);
    let log = place::beside(path, "-wal");
    let folder = tempfile::Builder::new()
        .prefix("beacontail-")
        .tempdir()
        .map_err(io)?;
    let copy = folder.path().join("store.db");
    let before = (identity(path).map_err(io)?, identity(&log).map_err(io)?);
    fs::copy(path, &copy).map_err(io)?;
    fs::copy(&log, place::beside(&copy, "-wal")).map_err(io)?;
    let after = (identity(path).map_err(io)?, identity(&log).map_err(io)?);
    if before != after {
        return Err(StoreError::Restless {
            path: path.to_owned(),
        });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    connected(path, &address(&copy, "mode=rw"), flags, None, Some(folder))
}

fn connected(
    path: &Path,
    address: &str,
    flags: OpenFlags,
    still: Option<Identity>,
    copy: Option<TempDir>,
) -> Result<Reached, StoreError> {
    let of = |source| StoreError::of(path, "open the store", source);
    let connection = Connection::open_with_flags(address, flags).map_err(of)?;
    connection.busy_timeout(BUSY).map_err(of)?;
    connection
        .execute_batch("PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8192;")
        .map_err(of)?;
    schema::is_present(&connection, path)?;
    Ok(Reached {
        connection,
        still,
        _copy: copy,
    })
}

/// A path as SQLite's URI; every byte but plain ones is written by its number.
fn address(path: &Path, parameters: &str) -> String {
    let mut address = "file:".to_owned();
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
                address.push(char::from(byte));
            }
            other => address.push_str(&format!("%{other:02X}")),
        }
    }
    address + "?" + parameters
}

/// The length of a file; `None` when there is none.
fn length(path: &Path) -> io::Result<Option<u64>> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    fs::metadata(path).map(|found: Metadata| Identity {
        dev: found.dev(),
        ino: found.ino(),
        size: found.size(),
        written: (found.mtime(), found.mtime_nsec()),
        changed: (found.ctime(), found.ctime_nsec()),
    })
}
