//! What the directories hold, listed once for all followers and again only when they change.
//!
//! Invariant: a listing is trusted for longer than one poll only when the directory said the same time of
//! change at two looks that lie apart: a change within one tick of the file system's clock leaves no other trace.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::{Disk, Kind};

/// Longer than the tick of any file system's clock in use on Linux.
pub(super) const TICK: Duration = Duration::from_millis(20);

/// Folders below each other that `**` enters.
const DEPTH: usize = 32;

/// One directory.
#[derive(Default)]
struct Folder {
    /// Sorted; empty while it cannot be listed.
    names: Vec<OsString>,
    stamp: Option<(u64, u64, i64, i64)>,
    /// When the listing was made.
    listed: Duration,
    settled: bool,
    error: Option<io::ErrorKind>,
    looked: Option<u64>,
    /// The next look is one more within a poll: it asks for the time of change alone.
    again: bool,
    changes: u64,
}

/// The directories in use.
#[derive(Default)]
pub(super) struct Folders {
    all: HashMap<PathBuf, Folder>,
    round: u64,
    now: Duration,
}

impl Folders {
    /// Begins a poll: each directory is looked at again.
    pub(super) fn begin(&mut self, now: Duration) {
        self.round += 1;
        self.now = now;
    }

    /// Looks at a directory, at most once in a poll, and counts its changes; the number differs from an
    /// earlier one exactly if something may have changed.
    pub(super) fn look<D: Disk>(&mut self, disk: &D, dir: &Path) -> u64 {
        let (round, now) = (self.round, self.now);
        if !self.all.contains_key(dir) {
            self.all.insert(dir.to_path_buf(), Folder::default());
        }
        let Some(folder) = self.all.get_mut(dir) else {
            return 0;
        };
        if folder.looked.replace(round) != Some(round) {
            folder.look(disk, dir, now);
        }
        folder.changes
    }

    /// Looks again, within the same poll.
    pub(super) fn look_again<D: Disk>(&mut self, disk: &D, dir: &Path) -> u64 {
        if let Some(folder) = self.all.get_mut(dir) {
            folder.looked = None;
            folder.again = true;
        }
        self.look(disk, dir)
    }

    /// The sorted names of a directory that was looked at.
    pub(super) fn names(&self, dir: &Path) -> &[OsString] {
        self.all.get(dir).map_or(&[], |folder| &folder.names)
    }

    /// Why a directory cannot be listed.
    pub(super) fn error(&self, dir: &Path) -> Option<io::ErrorKind> {
        self.all.get(dir).and_then(|folder| folder.error)
    }

    /// The paths of a pattern, and the directories it was looked for in. Links to folders are not entered by `**`.
    pub(super) fn expand<D: Disk>(
        &mut self,
        disk: &D,
        pattern: &str,
        visited: &mut Vec<PathBuf>,
    ) -> Vec<PathBuf> {
        let mut bases = vec![PathBuf::new()];
        let parts: Vec<Component<'_>> = Path::new(pattern).components().collect();
        for (place, part) in parts.iter().enumerate() {
            let part = part.as_os_str();
            let text = part.to_string_lossy();
            if !is_pattern(&text) {
                bases.iter_mut().for_each(|base| base.push(part));
                continue;
            }
            let last = place + 1 == parts.len();
            bases = self.matches(disk, &bases, &text, last, visited);
        }
        bases.sort_unstable();
        bases.dedup();
        bases
    }

    fn matches<D: Disk>(
        &mut self,
        disk: &D,
        bases: &[PathBuf],
        part: &str,
        last: bool,
        visited: &mut Vec<PathBuf>,
    ) -> Vec<PathBuf> {
        if part == "**" {
            let mut all = bases.to_vec();
            let mut level = bases.to_vec();
            for _ in 0..DEPTH {
                level = self.matches(disk, &level, "*", false, visited);
                if level.is_empty() {
                    break;
                }
                all.extend_from_slice(&level);
            }
            return all;
        }
        let Ok(pattern) = glob::Pattern::new(part) else {
            return Vec::new();
        };
        let options = glob::MatchOptions {
            require_literal_leading_dot: true,
            ..glob::MatchOptions::new()
        };
        let mut found = Vec::new();
        for base in bases {
            let dir = shown_dir(base);
            self.look(disk, dir);
            visited.push(dir.to_path_buf());
            for name in self.names(dir) {
                let fits = pattern.matches_with(&name.to_string_lossy(), options);
                if fits {
                    found.push(base.join(name));
                }
            }
        }
        if !last {
            found.retain(|path| disk.stat(path).is_ok_and(|stat| stat.kind == Kind::Folder));
        }
        found
    }
}

impl Folder {
    fn look<D: Disk>(&mut self, disk: &D, dir: &Path, now: Duration) {
        let stat = match disk.stat(dir) {
            Ok(stat) => stat,
            Err(error) => return self.fail(error.kind()),
        };
        let stamp = (stat.dev, stat.ino, stat.mtime_ns, stat.ctime_ns);
        let enough = std::mem::take(&mut self.again) || self.settled;
        if self.stamp == Some(stamp) && enough && self.error.is_none() {
            return;
        }
        let apart = now.saturating_sub(self.listed) >= TICK;
        self.settled = self.stamp == Some(stamp) && self.error.is_none() && apart;
        match disk.list(dir) {
            Err(error) => self.fail(error.kind()),
            Ok(mut names) => {
                names.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
                if self.stamp != Some(stamp) || self.error.is_some() || self.names != names {
                    self.changes += 1;
                    self.listed = now;
                }
                (self.names, self.stamp, self.error) = (names, Some(stamp), None);
            }
        }
    }

    fn fail(&mut self, error: io::ErrorKind) {
        if self.error != Some(error) {
            self.changes += 1;
        }
        (self.error, self.stamp, self.settled) = (Some(error), None, false);
        self.names.clear();
    }
}

/// The directory that a path is in; the current one is called `.`.
pub(super) fn parent(path: &Path) -> &Path {
    shown_dir(path.parent().unwrap_or(Path::new("/")))
}

fn shown_dir(dir: &Path) -> &Path {
    if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    }
}

/// Whether a path has to be looked for.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}
