//! What can go wrong with the store, in words for the operator.
//!
//! A store is damaged, held, foreign or newer for good: waiting does not help, and
//! [`StoreError::help`] says what does. Every other error may pass (a full disk, a busy file), so the
//! caller opens the store again and goes on from what it says.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why the store could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the lock.
    #[error("{}: held by another beacontail{}", Named(path), Pid(*pid))]
    Held {
        /// The store.
        path: PathBuf,
        /// The process that wrote itself into the lock file; `None` when it did not come that far.
        pid: Option<u32>,
    },
    /// The schema is one of a later version of the program.
    #[error(
        "{}: schema {found}, this version knows schemas up to {known}",
        Named(path)
    )]
    Newer {
        /// The store.
        path: PathBuf,
        /// The schema in the file.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// The content of the file cannot be trusted.
    #[error("{}: damaged: {detail}", Named(path))]
    Damaged {
        /// The store.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The file is an SQLite database of another program.
    #[error("{}: not a store of beacontail", Named(path))]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The directory of the store, or a file in it, is not safe to use.
    #[error("{}: {problem}", Named(path))]
    Unsafe {
        /// The directory or file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Two metrics, logs or outputs of one plan have the same name.
    #[error("`{name}` is registered twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// The store is not there, or not for this user.
    #[error("{}: cannot read the store", Named(path))]
    Unreadable {
        /// The store or its lock.
        path: PathBuf,
        /// The refusal.
        #[source]
        source: io::Error,
    },
    /// The store is not there, or this user may not write it.
    #[error("{}: cannot write the store", Named(path))]
    Unwritable {
        /// The store.
        path: PathBuf,
        /// The refusal.
        #[source]
        source: io::Error,
    },
    /// The schema is one of an earlier version of the program, which no agent of this one has opened yet.
    #[error("{}: schema {found} of an earlier version", Named(path))]
    Older {
        /// The store.
        path: PathBuf,
        /// The schema in the file.
        found: i64,
    },
    /// The question names what the store does not have.
    #[error("no {what}; there {}", listed(known))]
    Unknown {
        /// A metric, or a label of a metric, with its name as asked, escaped.
        what: String,
        /// What there is, most similar first.
        known: Vec<String>,
    },
    /// The question has no answer.
    #[error("{0}")]
    Question(String),
    /// What is read changed each time before it was read to its end.
    #[error("{}: it changed while it was read, several times", Named(path))]
    Restless {
        /// The store.
        path: PathBuf,
    },
    /// The file was removed, moved or replaced while it was open.
    #[error(
        "{}: the store was removed, moved away or replaced; nothing is read until it is back",
        Named(path)
    )]
    Gone {
        /// Where it was.
        path: PathBuf,
    },
    /// An earlier write failed, and nobody knows whether it was kept: the store must be opened
    /// again and registered.
    #[error("the store must be opened again after a failed write")]
    Stale,
    /// The file system refused.
    #[error("{}: cannot {action}", Named(path))]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The refusal.
        #[source]
        source: io::Error,
    },
    /// SQLite refused.
    #[error("{}: cannot {action}", Named(path))]
    Sqlite {
        /// The store.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The refusal.
        #[source]
        source: rusqlite::Error,
    },
}

impl StoreError {
    /// How to go on, where waiting does not help.
    pub fn help(&self) -> Option<String> {
        match self {
            StoreError::Damaged { path, .. } | StoreError::Foreign { path } => {
                let path = path.to_string_lossy();
                let path = path.escape_debug();
                Some(format!(
                    "stop the agent and put back a copy of the whole folder: that is exact. Without one \
                     move `{path}`, `{path}-wal` and `{path}-shm` aside: totals begin at 0 again, history \
                     and unsent minutes are lost, and logs are followed from their end"
                ))
            }
            StoreError::Held { .. } => Some(
                "one store is for one agent: stop the other, or give this one a store of its own, `path` in \
                 `[store]`"
                    .to_owned(),
            ),
            StoreError::Newer { .. } => Some(
                "install the newer version again, or give this one a store of its own".to_owned(),
            ),
            StoreError::Unreadable { source, .. } | StoreError::Unwritable { source, .. } if source.kind() == io::ErrorKind::NotFound => Some(
                "name the file that `path` in `[store]` of the agent's configuration names".to_owned(),
            ),
            StoreError::Unreadable { .. } => Some(
                "who reads has to be in the group of the store: `usermod -a -G beacontail nagios`, and \
                 restart what runs as that user"
                    .to_owned(),
            ),
            StoreError::Unwritable { .. } => Some(
                "be the user of the store: `sudo -u beacontail beacontail mark \"deploy 1234\"`".to_owned(),
            ),
            StoreError::Older { .. } => Some(
                "start the agent of this version once: it brings the store up to date".to_owned(),
            ),
            StoreError::Gone { .. } => Some(
                "put it, or a copy of it, back: that is exact. Or start the agent anew: totals begin at 0, and logs \
                 are followed from their end"
                    .to_owned(),
            ),
            StoreError::Unsafe { .. } => Some(
                "use a directory of the service's own: `install -d -m 0750 -o USER -g GROUP DIR`"
                    .to_owned(),
            ),
            StoreError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => Some(
                "start it as a user who may write there, or name another place: `path` in `[store]`"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    /// True when opening the store again cannot help.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            StoreError::Held { .. }
                | StoreError::Newer { .. }
                | StoreError::Damaged { .. }
                | StoreError::Foreign { .. }
                | StoreError::Unsafe { .. }
                | StoreError::Twice { .. }
                | StoreError::Older { .. }
                | StoreError::Unreadable { .. }
                | StoreError::Unwritable { .. }
        )
    }

    /// The error of SQLite while doing `action`; corruption becomes [`StoreError::Damaged`].
    pub(super) fn of(path: &Path, action: &'static str, source: rusqlite::Error) -> StoreError {
        if is_damage(&source) {
            return StoreError::Damaged {
                path: path.to_owned(),
                detail: source.to_string(),
            };
        }
        StoreError::Sqlite {
            path: path.to_owned(),
            action,
            source,
        }
    }
}

/// True when the error means that the bytes in the file are wrong.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::{Error, ErrorCode};
    match error {
        Error::SqliteFailure(failure, _) => matches!(
            failure.code,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase
        ),
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..)
        | Error::Utf8Error(..) => true,
        _ => false,
    }
}

/// Most names of what there is in a message.
const LISTED: usize = 12;

fn listed(known: &[String]) -> String {
    let names: Vec<String> = known
        .iter()
        .take(LISTED)
        .map(|n| format!("`{n}`"))
        .collect();
    let more = known.len().saturating_sub(LISTED);
    match (names.len(), more) {
        (0, _) => "is none".to_owned(),
        (1, _) => format!("is {}", names.concat()),
        (_, 0) => format!("are {}", names.join(", ")),
        _ => format!("are {} and {more} more", names.join(", ")),
    }
}

/// A path in a message, with nothing in it that could move a terminal.
struct Named<'p>(&'p Path);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.to_string_lossy().escape_debug())
    }
}

struct Pid(Option<u32>);

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(pid) => write!(f, " (process {pid})"),
            None => Ok(()),
        }
    }
}
