//! All followers of one log.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::Limits;
use super::{Disk, Event, FollowerView, Piece, Saved};

/// How the paths of one log are followed.
#[derive(Clone, Debug)]
pub struct FollowOptions {
    /// Paths or patterns.
    pub patterns: Vec<String>,
    /// Patterns for rotated files, instead of the usual names.
    pub rotated: Option<Vec<String>>,
    /// Most bytes of a line, its LF not counted.
    pub line_bytes: usize,
    /// Where the first start begins: at the start of a log, or else at its end.
    pub from_start: bool,
    /// How long the writer of a rotated file may be silent before the file is let go.
    pub rotate_wait: Duration,
    /// Most open files; deleted ones with unread text are kept beyond it.
    pub max_open: usize,
    /// How far a compressed file may swell.
    pub limits: Limits,
}

/// All followers of one log.
pub struct Followers<D: Disk> {
    disk: D,
    options: FollowOptions,
    saved: Vec<Saved>,
}

impl<D: Disk> Followers<D> {
    /// Followers that go on from a saved state; none of the disk is touched yet.
    pub fn new(disk: D, options: FollowOptions, saved: Vec<Saved>) -> Followers<D> {
        Followers {
            disk,
            options,
            saved,
        }
    }

    /// Looks at the disk: expands patterns, finds what grew and what was rotated.
    pub fn poll(&mut self, now: Duration) {
        let _unused = (now, &self.disk, &self.options);
    }

    /// The next piece over all followers; `None` when all of them are at their ends as of the last poll.
    pub fn next<'b>(&mut self, buffer: &'b mut Vec<u8>) -> Option<Piece<'b>> {
        buffer.clear();
        None
    }

    /// The whole state of each path that changed since it was last committed.
    pub fn changed(&mut self) -> Vec<Saved> {
        self.saved.clone()
    }

    /// What [`Followers::changed`] returned is durable.
    pub fn committed(&mut self) {}

    /// The commit failed, and this is what is durable: `saved` replaces the state of all paths.
    pub fn roll_back(&mut self, saved: Vec<Saved>, now: Duration) {
        let _unused = now;
        self.saved = saved;
    }

    /// Attaches up to [`super::NOTE_LEN`] bytes to a generation; more are refused.
    pub fn set_note(&mut self, follower: u64, generation: u64, note: Vec<u8>) -> bool {
        let _unused = (follower, generation, note);
        false
    }

    /// What was attached to a generation.
    pub fn note(&self, follower: u64, generation: u64) -> &[u8] {
        let _unused = (follower, generation);
        &[]
    }

    /// What happened since the last call. After a roll-back, what was not committed happens again.
    pub fn events(&mut self) -> Vec<Event> {
        Vec::new()
    }

    /// Bytes that were seen and not read.
    pub fn lag_bytes(&self) -> u64 {
        0
    }

    /// How many paths are followed.
    pub fn len(&self) -> usize {
        self.saved.len()
    }

    /// No path is followed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The directories to watch for changes.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        self.saved.iter().filter_map(|saved| saved.path.parent())
    }

    /// How each follower stands.
    pub fn followers(&self) -> impl Iterator<Item = FollowerView<'_>> {
        self.saved.iter().map(|saved| FollowerView {
            follower: 0,
            path: &saved.path,
            at_eof_since: None,
            failing: false,
            lag_bytes: 0,
        })
    }

    /// The watched path with this number.
    pub fn path(&self, follower: u64) -> Option<&Path> {
        let index = usize::try_from(follower).ok()?;
        self.saved
            .get(index)
            .map(|saved: &Saved| -> &PathBuf { &saved.path })
            .map(PathBuf::as_path)
    }
}
