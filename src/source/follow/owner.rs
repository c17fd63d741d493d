//! One file, one follower: who reads an inode that several watched names lead to.
//!
//! Invariant: a generation is with one follower. It moves to another only with the file: when the path of
//! its follower does not lead to the file any more and the path of the other does, or when the other's path turns
//! out to be the log that the follower's path is a rotated file of.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::follower::{Context, Follower, open_text};
use super::followers::FollowOptions;
use super::generation::Generation;
use super::position::Verdict;
use super::{Disk, Stat, State};

/// The follower that has a file.
pub(super) struct Owner {
    index: usize,
    btime_ns: Option<i64>,
    /// Its follower knows where it is.
    placed: bool,
    /// Bytes in it at the last look, if it is done with.
    done: Option<u64>,
}

/// Which follower has which file, by device and inode.
#[derive(Default)]
pub(super) struct Owners {
    all: HashMap<(u64, u64), Owner>,
}

impl Owners {
    pub(super) fn clear(&mut self) {
        self.all.clear();
    }

    /// Notes the files of a follower; what is being read goes before what is known.
    pub(super) fn note<D: Disk>(&mut self, index: usize, follower: &Follower<D>) {
        for one in follower.generations.iter().filter(|one| one.ino != 0) {
            let done = (one.state == State::Done).then_some(one.size);
            let owner = Owner {
                index,
                btime_ns: one.btime_ns,
                placed: one.path.is_some(),
                done,
            };
            let known = self.all.entry((one.dev, one.ino));
            let known = known.or_insert_with(|| Owner { ..owner });
            if known.done.is_some() && owner.done.is_none() {
                *known = owner;
            }
        }
    }

    /// Another follower that has this file, as far as the system can say.
    fn other(&self, index: usize, stat: &Stat) -> Option<&Owner> {
        let owner = self.all.get(&(stat.dev, stat.ino));
        owner.filter(|owner| {
            let born = match (owner.btime_ns, stat.btime_ns) {
                (Some(own), Some(other)) => own == other,
                _ => true,
            };
            owner.index != index && born
        })
    }
}

/// A file at or beside the path of one follower that another has a generation of.
pub(super) struct Claimed {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) file: (u64, u64),
    path: PathBuf,
    /// What the generation is then.
    pub(super) state: State,
}

/// What stands in the way of a file at a watched path.
pub(super) enum Standing {
    /// Nothing.
    Free,
    /// Another follower reads it under its own path.
    Shadowed,
    /// Another follower had it, and its path leads elsewhere.
    Left,
}

impl<D: Disk> Follower<D> {
    fn has(&self, stat: &Stat) -> bool {
        let mut all = self.generations.iter();
        all.any(|one| (one.dev, one.ino) == (stat.dev, stat.ino))
    }

    /// Whose the file at the path is.
    pub(super) fn standing(&self, cx: &mut Context<'_, D>, stat: &Stat) -> Standing {
        let owner = cx.owners.other(self.index(), stat);
        let Some(owner) = owner.filter(|_| !self.has(stat)) else {
            return Standing::Free;
        };
        let path = cx.paths.get(owner.index);
        let there = path.and_then(|path| cx.disk.stat(path).ok());
        if there.is_some_and(|there| (there.dev, there.ino) == (stat.dev, stat.ino)) {
            return Standing::Shadowed;
        }
        cx.claimed.push(Claimed {
            from: owner.index,
            to: self.index(),
            file: (stat.dev, stat.ino),
            path: self.path.clone(),
            state: State::Live,
        });
        Standing::Left
    }

    /// Whether a file beside the path is with another follower. One that has lost sight of it gives it away.
    pub(super) fn is_of_another(&self, cx: &mut Context<'_, D>, path: &Path, stat: &Stat) -> bool {
        let owner = cx.owners.other(self.index(), stat);
        let Some(owner) = owner
            .filter(|owner| owner.done.is_none_or(|size| size == stat.size) && !self.has(stat))
        else {
            return false;
        };
        if !owner.placed {
            cx.claimed.push(Claimed {
                from: owner.index,
                to: self.index(),
                file: (stat.dev, stat.ino),
                path: path.to_path_buf(),
                state: State::Draining,
            });
        }
        true
    }

    /// Its place among the followers.
    fn index(&self) -> usize {
        usize::try_from(self.number).unwrap_or(usize::MAX)
    }

    /// Takes over generations that are at this path, or beside it.
    pub(super) fn inherit(&mut self, mut all: Vec<Generation<D>>, state: State) {
        if all.is_empty() {
            return;
        }
        for one in &mut all {
            if one.state != State::Done || state == State::Live {
                one.state = state;
            }
            (one.bound, one.first, one.sight) = (false, true, None);
            one.settled = false;
        }
        let live = self
            .generations
            .iter()
            .position(|one| one.state == State::Live);
        let at = live.filter(|_| state != State::Live);
        let at = at.unwrap_or(self.generations.len());
        self.generations.splice(at..at, all);
        self.version += 1;
        self.rescan = true;
    }

    /// Gives away the generation of a file, if the file claimed holds it. Another file that got its inode
    /// leaves the generation without one.
    pub(super) fn hand_over(
        &mut self,
        disk: &D,
        options: &FollowOptions,
        claimed: &Claimed,
    ) -> Option<Generation<D>> {
        let at = self
            .generations
            .iter()
            .position(|one| (one.dev, one.ino) == claimed.file)?;
        let one = self.generations.get_mut(at)?;
        // It was found since.
        if claimed.state == State::Draining && one.path.is_some() {
            return None;
        }
        let same = one.text.is_some() || {
            let mut text = open_text(disk, &claimed.path, true, options).ok()??;
            one.position.offset > 0 && one.position.check(disk, &mut text).ok()? == Verdict::Same
        };
        self.version += 1;
        self.rescan = true;
        if !same {
            (one.dev, one.ino) = (0, 0);
            return None;
        }
        Some(self.generations.remove(at))
    }
}

/// Paths of followers by their places.
pub(super) type Paths = Vec<PathBuf>;
