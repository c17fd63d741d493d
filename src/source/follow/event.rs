//! What followers tell: pieces of text, events, and how each of them stands.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// One piece of work.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece<'b> {
    /// The number of the path among the followers of its log, stable while the process lives.
    pub follower: u64,
    /// The generation the text is from; unique among the generations of its log that are known.
    pub generation: u64,
    /// The first piece of this generation since it was opened by this process, or rolled back: what a
    /// parser knows about it is in its note.
    pub first: bool,
    /// Where the text begins, in decompressed bytes from the beginning of the generation.
    pub offset: u64,
    /// The text.
    pub what: What<'b>,
}

/// The text of a piece.
#[derive(Debug, PartialEq, Eq)]
pub enum What<'b> {
    /// One or more lines, each with its LF.
    Lines(&'b [u8]),
    /// A line over the limit was passed over.
    TooLong {
        /// Its length without LF.
        bytes: u64,
    },
}

/// A change of state worth a line for the operator, or a loss to be counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A file is there that was not known, and is read.
    Appeared {
        /// The watched path.
        path: PathBuf,
    },
    /// Reading went on where an earlier process had stopped.
    Resumed {
        /// The watched path.
        path: PathBuf,
        /// The position in the text.
        offset: u64,
    },
    /// Another file stands at the path, or none.
    Rotated {
        /// The watched path.
        path: PathBuf,
    },
    /// The file was cut in place.
    Truncated {
        /// The watched path.
        path: PathBuf,
    },
    /// Text was lost.
    Gap {
        /// The watched path.
        path: PathBuf,
        /// `missing`, `truncated`, `log_shrunk`, `damaged` or `torn`.
        reason: &'static str,
        /// The first byte that was not read, in decompressed bytes.
        from: u64,
        /// How many; `None` where nobody can know.
        bytes: Option<u64>,
    },
    /// The path cannot be read; said once, until it is [`Event::Healed`].
    Failing {
        /// The watched path.
        path: PathBuf,
        /// What the system said.
        error: String,
    },
    /// The path can be read again.
    Healed {
        /// The watched path.
        path: PathBuf,
    },
}

/// How one follower stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerView<'a> {
    /// The number that its pieces have.
    pub follower: u64,
    /// The watched path.
    pub path: &'a Path,
    /// Since when everything there is was read; `None` while there is more.
    pub at_eof_since: Option<Duration>,
    /// It cannot be read.
    pub failing: bool,
    /// Bytes that were seen and not read.
    pub lag_bytes: u64,
}
