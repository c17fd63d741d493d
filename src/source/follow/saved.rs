//! What survives a process: the state of each generation, with enough of its content to find it again.

use std::path::PathBuf;

/// The most bytes a caller may attach to a generation.
pub const NOTE_LEN: usize = 16 * 1024;

/// The most bytes of a trail.
pub const TRAIL_BYTES: usize = 12 * 24;

/// The first half of a SHA-256.
pub type Digest = [u8; 16];

/// Everything known about one watched path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The watched path.
    pub path: PathBuf,
    /// Its generations, oldest first. An empty list is worth keeping: it says that the path was looked
    /// at, so that a file which appears there is read from its start.
    pub generations: Vec<SavedGeneration>,
    /// A pattern found the path, and nothing is left of it: it may be forgotten.
    pub gone: bool,
}

/// How far a generation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is at the watched path.
    Live,
    /// It left the path and is read to its end.
    Draining,
    /// It was read to its end, or lay there at the first start; known, so that it is not read again.
    Done,
}

/// One generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedGeneration {
    /// Unique among the generations of the log.
    pub id: u64,
    /// The device its file was last seen on.
    pub dev: u64,
    /// The inode of that file.
    pub ino: u64,
    /// When the inode was made; 0 if the file system does not say.
    pub btime_ns: i64,
    /// How many bytes at the beginning of the text `head` is the hash of.
    pub head_len: u32,
    /// The hash of the beginning of the text, at most 1 KiB and never past `offset`.
    pub head: Digest,
    /// How many bytes before `offset` `tail` is the hash of.
    pub tail_len: u32,
    /// The hash of the text before `offset`, at most 256 bytes.
    pub tail: Digest,
    /// Decompressed bytes that were handed out.
    pub offset: u64,
    /// Bytes of a line over the limit passed over so far; 0 at the beginning of a line.
    pub skipping: u64,
    /// How far it is.
    pub state: State,
    /// Bytes in the file at the last look.
    pub size: u64,
    /// Earlier positions with hashes of the text before them, at most [`TRAIL_BYTES`].
    pub trail: Vec<u8>,
    /// What the caller attached.
    pub note: Vec<u8>,
}
