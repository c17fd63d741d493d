//! All followers of one log: which paths, in which turn, and what is durable.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use std::os::unix::ffi::OsStrExt as _;

use super::super::Limits;
use super::folders::{Folders, is_pattern, parent};
use super::follower::{Birth, Context, Follower};
use super::generation::{Step, TURN};
use super::names::{belongs, is_rotated, stem};
use super::owner::{Claimed, Owners, Paths};
use super::position::as_u64;
use super::{Disk, Event, FollowerView, Kind, NOTE_LEN, Piece, Saved, State, What};

/// How the paths of one log are followed.
#[derive(Clone, Debug)]
pub struct FollowOptions {
    /// Paths or patterns.
    pub patterns: Vec<String>,
    /// Patterns for rotated files, instead of the usual names.
    pub rotated: Option<Vec<String>>,
    /// Most bytes of a line, its LF not counted.
    pub line_bytes: usize,
    /// How many bytes of a text of whole lines can be handed out for good: the rest, whole lines too, waits for
    /// a line that it belongs to, unless it is longer than a line may be.
    pub whole: fn(&[u8]) -> usize,
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
    all: Vec<Follower<D>>,
    by_path: HashMap<PathBuf, usize>,
    /// The paths of all, by their places.
    paths: Paths,
    owners: Owners,
    folders: Folders,
    /// Directories that patterns were looked for in, and the changes they had counted.
    visited: Vec<PathBuf>,
    seen_changes: Option<u64>,
    /// Names beside the paths when the patterns were last expanded.
    beside: HashMap<PathBuf, Vec<std::ffi::OsString>>,
    /// Patterns that a saved path fits, or that were expanded: what appears there later is new.
    known_patterns: Vec<bool>,
    next_id: u64,
    events: Vec<Event>,
    now: Duration,
    /// Indices of followers with something to read, in turn.
    queue: VecDeque<usize>,
    /// Bytes read in this turn.
    spent: u64,
    open: usize,
}

impl<D: Disk> Followers<D> {
    /// Followers that go on from a saved state; nothing of the disk is touched yet.
    pub fn new(disk: D, options: FollowOptions, saved: Vec<Saved>) -> Followers<D> {
        let fits = |pattern: &String, path: &Path| {
            let options = glob::MatchOptions {
                require_literal_separator: true,
                ..glob::MatchOptions::new()
            };
            Path::new(pattern) == path
                || (is_pattern(pattern)
                    && glob::Pattern::new(pattern)
                        .is_ok_and(|one| one.matches_path_with(path, options)))
        };
        let known = |pattern: &String| saved.iter().any(|saved| fits(pattern, &saved.path));
        let known_patterns = options.patterns.iter().map(known).collect();
        let ids = saved
            .iter()
            .flat_map(|saved| &saved.generations)
            .map(|one| one.id);
        let mut followers = Followers {
            next_id: ids.max().map_or(1, |id| id + 1),
            disk,
            all: Vec::new(),
            by_path: HashMap::new(),
            paths: Paths::new(),
            owners: Owners::default(),
            folders: Folders::default(),
            visited: Vec::new(),
            seen_changes: None,
            beside: HashMap::new(),
            known_patterns,
            events: Vec::new(),
            now: Duration::ZERO,
            queue: VecDeque::new(),
            spent: 0,
            open: 0,
            options,
        };
        for saved in saved.iter().filter(|saved| !saved.gone) {
            let pattern = followers
                .options
                .patterns
                .iter()
                .find(|one| fits(one, &saved.path));
            let Some(by_pattern) = pattern.map(|pattern| Path::new(pattern) != saved.path) else {
                continue;
            };
            followers.follow(saved.path.clone(), by_pattern, Birth::Known);
            if let Some(follower) = followers.all.last_mut() {
                follower.restore(saved);
            }
        }
        followers
    }

    /// Looks at the disk: expands patterns, finds what grew and what was rotated.
    pub fn poll(&mut self, now: Duration) {
        self.now = now;
        self.folders.begin(now);
        self.expand();
        self.queue.clear();
        self.owners.clear();
        let shared = self.all.len() > 1;
        for (index, follower) in self.all.iter().enumerate().filter(|_| shared) {
            self.owners.note(index, follower);
        }
        let mut claimed = Vec::new();
        self.poll_each(0..self.all.len(), &mut claimed);
        for one in std::mem::take(&mut claimed) {
            let giver = self.all.get_mut(one.from);
            let moved = giver.and_then(|giver| giver.hand_over(&self.disk, &self.options, &one));
            if let (Some(moved), Some(taker)) = (moved, self.all.get_mut(one.to)) {
                taker.inherit(vec![moved], one.state);
            }
            self.queue.retain(|index| *index != one.to);
            self.poll_each(one.to..one.to + 1, &mut claimed);
        }
        self.open = self.all.iter().map(Follower::open_files).sum();
        self.spent = 0;
    }

    fn poll_each(&mut self, range: std::ops::Range<usize>, claimed: &mut Vec<Claimed>) {
        let (now, shared) = (self.now, self.all.len() > 1);
        for index in range {
            let Some(follower) = self.all.get_mut(index) else {
                break;
            };
            if follower.absorbed {
                continue;
            }
            if follower.gone && self.disk.stat(&follower.path).is_err() {
                continue;
            }
            let before = follower.open_files();
            let version = follower.version;
            let mut cx = Context {
                disk: &self.disk,
                options: &self.options,
                folders: &mut self.folders,
                next_id: &mut self.next_id,
                events: &mut self.events,
                now,
                owners: &self.owners,
                paths: &self.paths,
                by_path: &self.by_path,
                claimed: &mut *claimed,
            };
            follower.poll(&mut cx);
            if shared && follower.version != version {
                self.owners.note(index, follower);
            }
            if follower.is_waiting() {
                self.queue.push_back(index);
            }
            self.count_open(index, before);
        }
    }

    /// The next piece over all followers; `None` when all of them are at their ends as of the last poll.
    pub fn next<'b>(&mut self, buffer: &'b mut Vec<u8>) -> Option<Piece<'b>> {
        loop {
            let index = *self.queue.front()?;
            let follower = self.all.get_mut(index)?;
            let before = follower.open_files();
            let read = follower.read(&self.disk, &self.options, self.now, buffer);
            let number = follower.number;
            self.count_open(index, before);
            let Some((generation, first, step)) = read else {
                self.queue.pop_front();
                self.spent = 0;
                continue;
            };
            let (offset, lines, bytes) = match step {
                Step::Lines(from, to, offset) => {
                    self.spend(as_u64(to - from));
                    (offset, Some(from..to), 0)
                }
                Step::TooLong(offset, bytes) => {
                    self.spend(bytes);
                    (offset, None, bytes)
                }
                _ => {
                    self.spend(TURN);
                    continue;
                }
            };
            let what = match lines {
                Some(range) => What::Lines(buffer.get(range).unwrap_or_default()),
                None => What::TooLong { bytes },
            };
            return Some(Piece {
                follower: number,
                generation,
                first,
                offset,
                what,
            });
        }
    }

    /// The whole state of each path that changed since it was last committed.
    pub fn changed(&mut self) -> Vec<Saved> {
        self.all.iter_mut().filter_map(Follower::changed).collect()
    }

    /// What [`Followers::changed`] returned is durable.
    pub fn committed(&mut self) {
        self.all.iter_mut().for_each(Follower::committed);
        self.open = self.all.iter().map(Follower::open_files).sum();
    }

    /// The commit failed, and this is what is durable: `saved` replaces the state of all paths. Files that are
    /// open stay open. The next poll finds out where reading goes on.
    pub fn roll_back(&mut self, saved: Vec<Saved>, now: Duration) {
        self.now = now;
        let by_path: HashMap<&Path, &Saved> = saved
            .iter()
            .map(|saved| (saved.path.as_path(), saved))
            .collect();
        for follower in &mut self.all {
            follower.roll_back(by_path.get(follower.path.as_path()).copied());
        }
        // What was absorbed has its generations again, until the next poll.
        self.seen_changes = None;
        self.queue.clear();
        self.events
            .retain(|event| matches!(event, Event::Failing { .. } | Event::Healed { .. }));
    }

    /// Attaches bytes to a generation; false if it is not known, or for more than [`NOTE_LEN`].
    pub fn set_note(&mut self, follower: u64, generation: u64, note: Vec<u8>) -> bool {
        let index = usize::try_from(follower).ok();
        let follower = index.and_then(|index| self.all.get_mut(index));
        let Some(follower) = follower.filter(|_| note.len() <= NOTE_LEN) else {
            return false;
        };
        let Some(one) = follower.find(generation) else {
            return false;
        };
        if one.note != note {
            one.note = note;
            follower.version += 1;
        }
        true
    }

    /// What was attached to a generation.
    pub fn note(&self, follower: u64, generation: u64) -> &[u8] {
        let index = usize::try_from(follower).ok();
        let follower = index.and_then(|index| self.all.get(index));
        let mut all = follower.iter().flat_map(|follower| &follower.generations);
        all.find(|one| one.id == generation)
            .map_or(&[], |one| &one.note)
    }

    /// What happened since the last call. What was not committed happens again after a roll-back.
    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Bytes that were seen and not read.
    pub fn lag_bytes(&self) -> u64 {
        self.all.iter().map(Follower::lag).sum()
    }

    /// How many paths are followed.
    pub fn len(&self) -> usize {
        self.all.iter().filter(|follower| !follower.gone).count()
    }

    /// No path is followed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The directories to watch for changes, as of the last poll.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        let mut all: Vec<&Path> = self.visited.iter().map(PathBuf::as_path).collect();
        all.extend(self.all.iter().map(|follower| parent(&follower.path)));
        all.sort_unstable();
        all.dedup();
        all.into_iter()
    }

    /// How each follower stands.
    pub fn followers(&self) -> impl Iterator<Item = FollowerView<'_>> {
        let here = self.all.iter().filter(|follower| !follower.gone);
        here.map(|follower| FollowerView {
            follower: follower.number,
            path: &follower.path,
            at_eof_since: follower.at_eof_since,
            failing: follower.failing.is_some(),
            lag_bytes: follower.lag(),
        })
    }

    /// The watched path with this number.
    pub fn path(&self, follower: u64) -> Option<&Path> {
        let index = usize::try_from(follower).ok()?;
        self.all.get(index).map(|follower| follower.path.as_path())
    }

    /// A follower whose path is a rotated file of another one's gives its generations to that one, and rests.
    fn absorb(&mut self) {
        for index in 0..self.all.len() {
            let Some(follower) = self.all.get(index) else {
                break;
            };
            // What is named as it is, is a log.
            if !follower.by_pattern || (follower.absorbed && follower.generations.is_empty()) {
                continue;
            }
            let Some(log) = self.log_of(&follower.path).filter(|log| *log != index) else {
                continue;
            };
            self.by_path.retain(|_, place| *place != index);
            let Some(follower) = self.all.get_mut(index) else {
                break;
            };
            (follower.absorbed, follower.gone) = (true, true);
            follower.version += 1;
            let all = std::mem::take(&mut follower.generations);
            if let Some(log) = self.all.get_mut(log) {
                log.inherit(all, State::Draining);
            }
        }
    }

    /// The follower of the log that a path is a rotated file of.
    fn log_of(&self, path: &Path) -> Option<usize> {
        let name = path.file_name().unwrap_or_default().as_bytes();
        let pattern = self.is_rotated_by_option(path);
        if self.options.rotated.is_some() && !pattern {
            return None;
        }
        (1..name.len()).rev().find_map(|len| {
            let log = name.get(..len)?;
            let fits = is_rotated(log, name) || (pattern && belongs(log, name));
            let log = path.with_file_name(std::ffi::OsStr::from_bytes(log));
            self.by_path.get(&log).copied().filter(|_| fits)
        })
    }

    fn follow(&mut self, path: PathBuf, by_pattern: bool, birth: Birth) {
        let index = self.all.len();
        self.by_path.insert(path.clone(), index);
        self.paths.push(path.clone());
        self.all
            .push(Follower::new(as_u64(index), path, by_pattern, birth));
    }

    /// Follows what patterns find, if a directory changed.
    fn expand(&mut self) {
        let (disk, folders) = (&self.disk, &mut self.folders);
        let changes: u64 = self.visited.iter().map(|dir| folders.look(disk, dir)).sum();
        if self.seen_changes == Some(changes) {
            return;
        }
        let mut visited = Vec::new();
        for place in 0..self.options.patterns.len() {
            let Some(pattern) = self.options.patterns.get(place).cloned() else {
                break;
            };
            let known = self.known_patterns.get(place).copied().unwrap_or(false);
            if !is_pattern(&pattern) {
                let path = PathBuf::from(pattern);
                if !self.by_path.contains_key(&path) {
                    self.follow(path, false, Birth::FirstStart);
                }
                continue;
            }
            let found = self.folders.expand(&self.disk, &pattern, &mut visited);
            self.follow_found(&pattern, &found, known);
            if let Some(known) = self.known_patterns.get_mut(place) {
                *known = true;
            }
        }
        for pattern in self.options.rotated.iter().flatten() {
            self.folders.expand(&self.disk, pattern, &mut visited);
        }
        self.absorb();
        visited.sort_unstable();
        visited.dedup();
        let (disk, folders) = (&self.disk, &mut self.folders);
        self.seen_changes = Some(visited.iter().map(|dir| folders.look(disk, dir)).sum());
        let names = |dir: &PathBuf| (dir.clone(), folders.names(dir).to_vec());
        self.beside = visited.iter().map(names).collect();
        self.visited = visited;
    }

    fn follow_found(&mut self, pattern: &str, found: &[PathBuf], known: bool) {
        // By folder and by what the names of their rotated files begin with.
        let mut logs: HashMap<(&Path, &[u8]), Vec<&[u8]>> = HashMap::new();
        let followed: Vec<PathBuf> = self.by_path.keys().cloned().collect();
        for path in found.iter().chain(&followed) {
            let name = path.file_name().unwrap_or_default().as_bytes();
            logs.entry((parent(path), stem(name)))
                .or_default()
                .push(name);
        }
        for path in found {
            let name = path.file_name().unwrap_or_default().as_bytes();
            let near =
                (0..=name.len()).filter_map(|len| logs.get(&(parent(path), name.get(..len)?)));
            let near: Vec<&[u8]> = near.flatten().copied().collect();
            let rotated = has_log(name, &near)
                || self.is_rotated_by_option(path)
                    && (!self.option_holds_all(pattern)
                        || near.iter().any(|log| *log != name && belongs(log, name)));
            let regular = |path| {
                self.disk
                    .stat(path)
                    .is_ok_and(|stat| stat.kind == Kind::Regular)
            };
            if self.by_path.contains_key(path) || rotated || !regular(path) {
                continue;
            }
            let birth = match known {
                false => Birth::FirstStart,
                true => Birth::Appeared(self.older_siblings(path)),
            };
            self.follow(path.clone(), true, birth);
        }
    }

    /// What lay beside a path before it appeared; all of it after a start.
    fn older_siblings(&self, path: &Path) -> Vec<PathBuf> {
        let dir = parent(path);
        let names = self
            .beside
            .get(dir)
            .map_or(self.folders.names(dir), Vec::as_slice);
        let name = path.file_name().unwrap_or_default().as_bytes();
        let old = names
            .iter()
            .filter(|other| is_rotated(name, other.as_bytes()));
        old.map(|name| path.with_file_name(name)).collect()
    }

    fn is_rotated_by_option(&self, path: &Path) -> bool {
        let mut patterns = self.options.rotated.iter().flatten();
        patterns.any(|one| glob::Pattern::new(one).is_ok_and(|one| one.matches_path(path)))
    }

    /// Whether a pattern for rotated files holds whatever a pattern for logs finds: then only names tell.
    fn option_holds_all(&self, pattern: &str) -> bool {
        let sample = PathBuf::from(pattern.replace("**", "x").replace(['*', '?'], "x"));
        self.is_rotated_by_option(&sample)
    }

    fn spend(&mut self, bytes: u64) {
        self.spent += bytes;
        if self.spent >= TURN {
            self.spent = 0;
            self.queue.rotate_left(1);
        }
    }

    /// Keeps the number of open files, and closes some where there are too many.
    fn count_open(&mut self, index: usize, before: usize) {
        let Some(follower) = self.all.get_mut(index) else {
            return;
        };
        let mut after = follower.open_files();
        if (self.open + after).saturating_sub(before) > self.options.max_open {
            follower.close_idle(&self.disk);
            after = follower.open_files();
        }
        self.open = (self.open + after).saturating_sub(before);
    }
}

/// Whether one of the logs has `name` as a rotated file.
fn has_log(name: &[u8], logs: &[&[u8]]) -> bool {
    logs.iter().any(|log| *log != name && is_rotated(log, name))
}
