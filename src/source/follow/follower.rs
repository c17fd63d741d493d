//! One watched path: its generations, and what is done for them at each poll.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::disk::not_regular;
use super::folders::{Folders, TICK, parent};
use super::generation::{Generation, Sight, Step, sight};
use super::owner::{Claimed, Owners, Paths};
use super::position::Verdict;
use super::text::{Ending, Text};
use super::{Disk, Event, FollowOptions, Kind, Saved, Stat, State};

/// What a follower needs from the others around it.
pub(super) struct Context<'a, D: Disk> {
    pub(super) disk: &'a D,
    pub(super) options: &'a FollowOptions,
    pub(super) folders: &'a mut Folders,
    pub(super) next_id: &'a mut u64,
    pub(super) events: &'a mut Vec<Event>,
    pub(super) now: Duration,
    pub(super) owners: &'a Owners,
    pub(super) paths: &'a Paths,
    pub(super) by_path: &'a HashMap<PathBuf, usize>,
    pub(super) claimed: &'a mut Vec<Claimed>,
}

/// What the first scan does with what it finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Birth {
    /// The log is followed for the first time: its past is known, and not read.
    FirstStart,
    /// A pattern found the path while running; these files beside it were there before.
    Appeared(Vec<PathBuf>),
    /// It was scanned.
    Known,
}

/// One watched path.
pub(super) struct Follower<D: Disk> {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    /// Found by a pattern: it may be forgotten when nothing is left of it.
    pub(super) by_pattern: bool,
    /// Oldest first.
    pub(super) generations: Vec<Generation<D>>,
    /// Ended, but not durably so.
    pub(super) retired: Vec<Generation<D>>,
    pub(super) birth: Birth,
    pub(super) rescan: bool,
    pub(super) siblings: Vec<PathBuf>,
    /// Which files the siblings were at the last change of a folder.
    inodes: Vec<Option<(u64, u64)>>,
    folder_changes: Option<u64>,
    /// Files that are copies of what is known, or in the making, and since when.
    pub(super) ignored: HashMap<(u64, u64), (Sight, Duration)>,
    pub(super) failing: Option<String>,
    pub(super) trouble: Option<String>,
    read_trouble: Option<String>,
    pub(super) version: u64,
    offered: u64,
    durable: u64,
    pub(super) gone: bool,
    /// The path is a rotated file of another one: that one reads it.
    pub(super) absorbed: bool,
    /// Another follower reads the file at the path.
    pub(super) shadowed: bool,
    pub(super) at_eof_since: Option<Duration>,
}

impl<D: Disk> Follower<D> {
    pub(super) fn new(number: u64, path: PathBuf, by_pattern: bool, birth: Birth) -> Follower<D> {
        Follower {
            number,
            path,
            by_pattern,
            generations: Vec::new(),
            retired: Vec::new(),
            birth,
            rescan: true,
            siblings: Vec::new(),
            inodes: Vec::new(),
            folder_changes: None,
            ignored: HashMap::new(),
            failing: None,
            trouble: None,
            read_trouble: None,
            version: 0,
            offered: 0,
            durable: 0,
            gone: false,
            absorbed: false,
            shadowed: false,
            at_eof_since: None,
        }
    }

    pub(super) fn restore(&mut self, saved: &Saved) {
        self.generations = saved.generations.iter().map(Generation::restored).collect();
        self.birth = Birth::Known;
    }

    /// Looks at the path, and scans its folder when there is a reason.
    pub(super) fn poll(&mut self, cx: &mut Context<'_, D>) {
        self.trouble = None;
        self.notice_folders(cx);
        let there = self.look_at_path(cx);
        if !self.rescan && !self.has_moved(there.as_ref()) {
            self.glance(cx, there.as_ref());
        }
        if self.rescan || self.has_moved(there.as_ref()) {
            self.scan(cx);
        }
        self.retire(cx);
        self.tell_trouble(cx);
        self.note_end(cx.now);
    }

    /// A scan is due when the rotated files beside the path changed.
    fn notice_folders(&mut self, cx: &mut Context<'_, D>) {
        let changes = self.look_at_folders(cx, false);
        if self.folder_changes != Some(changes) {
            self.folder_changes = Some(changes);
            let siblings = self.find_siblings(cx);
            // Another file may have got the name of one that was deleted.
            let inode = |path: &PathBuf| cx.disk.stat(path).ok().map(|stat| (stat.dev, stat.ino));
            let inodes: Vec<_> = siblings.iter().map(inode).collect();
            if siblings != self.siblings || inodes != self.inodes {
                (self.siblings, self.inodes) = (siblings, inodes);
                self.rescan = true;
            }
        }
    }

    /// What is at the path, if it can be followed.
    pub(super) fn look_at_path(&mut self, cx: &mut Context<'_, D>) -> Option<Stat> {
        match cx.disk.stat(&self.path) {
            Ok(stat) if stat.kind == Kind::Regular => Some(stat),
            Ok(stat) => {
                self.trouble = Some(not_regular(stat.kind).to_string());
                None
            }
            Err(error) => {
                let dir = cx.folders.error(parent(&self.path));
                if error.kind() != io::ErrorKind::NotFound || dir.is_some() {
                    self.trouble = Some(error.to_string());
                }
                None
            }
        }
    }

    fn has_moved(&self, there: Option<&Stat>) -> bool {
        let live = self.generations.iter().find(|one| one.state == State::Live);
        match (live, there) {
            (None, None) => false,
            (Some(live), Some(there)) => {
                !live.bound || (live.dev, live.ino) != (there.dev, there.ino)
            }
            _ => true,
        }
    }

    /// The cheap look: nothing moved, as far as the path can tell.
    fn glance(&mut self, cx: &mut Context<'_, D>, there: Option<&Stat>) {
        let newest = self
            .generations
            .iter()
            .rposition(|one| one.state == State::Done);
        for (index, one) in self.generations.iter_mut().enumerate() {
            let stat = match (one.state, &one.text, &one.path) {
                (State::Live, _, _) => there.copied(),
                (State::Done, None, Some(path)) if newest == Some(index) => {
                    let stat = cx.disk.stat(path).ok();
                    self.rescan |=
                        stat.is_some_and(|stat| one.may_be(&stat) && stat.size != one.size);
                    continue;
                }
                (State::Done, _, _) => continue,
                (State::Draining, Some(text), _) => cx.disk.fstat(&text.file).ok(),
                (State::Draining, None, Some(path)) => cx.disk.stat(path).ok(),
                (State::Draining, None, None) => None,
            };
            let Some(stat) = stat.filter(|stat| one.may_be(stat)) else {
                self.rescan = true;
                continue;
            };
            if one.sight == Some(sight(&stat)) {
                self.rescan |= !settle(one, cx);
                continue;
            }
            // It counts as seen only when its content was asked.
            one.look(&stat);
            (one.verified, one.sight) = (false, None);
            if one.text.is_some() {
                match one.check(cx.disk) {
                    Ok(Verdict::Same) => one.sight = Some(sight(&stat)),
                    _ => self.rescan = true,
                }
            }
        }
    }

    /// Lets go of rotated files whose writers have fallen silent.
    fn retire(&mut self, cx: &mut Context<'_, D>) {
        let has_live = self.generations.iter().any(|one| one.state == State::Live);
        for one in &mut self.generations {
            if one.state != State::Draining || !one.at_end {
                continue;
            }
            let quiet = one.quiet_since.map(|since| cx.now.saturating_sub(since));
            let damaged = one.ending() == Ending::Damaged;
            let silent = quiet.is_some_and(|quiet| quiet >= cx.options.rotate_wait);
            // Without a new log, the writer of a deleted one may well go on.
            if !damaged && (!silent || (one.path.is_none() && !has_live)) {
                continue;
            }
            one.state = State::Done;
            self.version += 1;
            let Ok((from, bytes)) = one.torn(cx.disk) else {
                continue;
            };
            let (reason, bytes) = match one.ending() {
                Ending::Clean => ("torn", Some(bytes)),
                _ => ("damaged", None),
            };
            if bytes != Some(0) && one.torn_at != Some(from) {
                one.torn_at = Some(from);
                let path = self.path.clone();
                cx.events.push(Event::Gap {
                    path,
                    reason,
                    from,
                    bytes,
                });
            }
        }
    }

    fn tell_trouble(&mut self, cx: &mut Context<'_, D>) {
        let trouble = self.trouble.take().or_else(|| self.read_trouble.clone());
        let path = || self.path.clone();
        match (&self.failing, &trouble) {
            (None, Some(error)) => cx.events.push(Event::Failing {
                path: path(),
                error: error.clone(),
            }),
            (Some(_), None) => cx.events.push(Event::Healed { path: path() }),
            _ => {}
        }
        self.failing = trouble;
    }

    fn note_end(&mut self, now: Duration) {
        let at_end = self.failing.is_none()
            && !self.rescan
            && !self
                .generations
                .iter()
                .any(|one| one.state != State::Done && !one.at_end);
        self.at_eof_since = match self.at_eof_since {
            _ if !at_end => None,
            None => Some(now),
            since => since,
        };
    }

    /// The next of what there is to read: which generation, its first piece or not, and the step.
    pub(super) fn read(
        &mut self,
        disk: &D,
        options: &FollowOptions,
        now: Duration,
        buffer: &mut Vec<u8>,
    ) -> Option<(u64, bool, Step)> {
        for one in &mut self.generations {
            if !one.is_waiting() {
                continue;
            }
            let step = open_again(one, disk, options).and_then(|ready| match ready {
                true => one.step(disk, buffer, options),
                false => Ok(Step::Changed),
            });
            match step {
                Ok(Step::End) => {
                    (one.at_end, one.quiet_since) = (true, Some(now));
                    self.read_trouble = None;
                }
                Ok(Step::Changed) => {
                    (self.rescan, one.sight, one.bound) = (true, None, false);
                }
                Ok(step) => {
                    self.version += 1;
                    self.read_trouble = None;
                    let first = match step {
                        Step::Turn => false,
                        _ => std::mem::take(&mut one.first),
                    };
                    return Some((one.id, first, step));
                }
                Err(error) => {
                    self.read_trouble = Some(error.to_string());
                    (self.rescan, one.bound, one.sight) = (true, false, None);
                    // A deleted file can not be opened again.
                    if one.path.is_some() {
                        one.close();
                    }
                }
            }
        }
        self.note_end(now);
        None
    }

    /// The whole state, if it differs from the durable one.
    pub(super) fn changed(&mut self) -> Option<Saved> {
        (self.version != self.durable).then(|| {
            self.offered = self.version;
            Saved {
                path: self.path.clone(),
                generations: self.generations.iter().map(Generation::saved).collect(),
                gone: self.gone,
            }
        })
    }

    /// What was offered is durable; what is done with can be closed.
    pub(super) fn committed(&mut self) {
        if self.offered == self.durable {
            return;
        }
        self.durable = self.offered;
        // What was ended since the offer waits for the next commit.
        if self.durable == self.version {
            self.retired.clear();
            for one in &mut self.generations {
                one.origin = None;
                if one.state == State::Done {
                    one.close();
                }
            }
        }
    }

    pub(super) fn roll_back(&mut self, saved: Option<&Saved>) {
        let mut all = std::mem::take(&mut self.retired);
        all.append(&mut self.generations);
        let known = saved.map_or(&[][..], |saved| &saved.generations);
        for saved in known {
            match all.iter().position(|one| one.id == saved.id) {
                Some(index) => {
                    let mut one = all.remove(index);
                    one.roll_back(Some(saved));
                    self.generations.push(one);
                }
                None => self.generations.push(Generation::restored(saved)),
            }
        }
        // What is not durable is kept at its beginning; what has ended since then had no text.
        for mut one in all {
            if one.origin.is_some() {
                one.roll_back(None);
                self.generations.push(one);
            }
        }
        for one in &mut self.generations {
            one.bound = false;
        }
        self.ignored.clear();
        self.version += 1;
        (self.rescan, self.gone, self.at_eof_since) = (true, self.absorbed, None);
        self.offered = self.durable;
    }

    /// How many files are open.
    pub(super) fn open_files(&self) -> usize {
        let all = self.generations.iter().chain(&self.retired);
        all.filter(|one| one.text.is_some()).count()
    }

    /// Closes what can be opened again.
    pub(super) fn close_idle(&mut self, disk: &D) {
        for one in self.generations.iter_mut().filter(|one| one.is_closable()) {
            let there = one.path.as_deref().and_then(|path| disk.stat(path).ok());
            if there.is_some_and(|stat| one.may_be(&stat)) {
                one.close();
            }
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.generations.iter().any(Generation::is_waiting)
    }

    pub(super) fn lag(&self) -> u64 {
        self.generations.iter().map(Generation::lag).sum()
    }

    pub(super) fn find(&mut self, id: u64) -> Option<&mut Generation<D>> {
        self.generations.iter_mut().find(|one| one.id == id)
    }
}

/// Asks the content once more, a tick after everything was read: a log that was cut and has grown to the same
/// size within a tick of the file system's clock looks as it did before. False if it is another text.
fn settle<D: Disk>(one: &mut Generation<D>, cx: &Context<'_, D>) -> bool {
    let quiet = one.quiet_since.filter(|_| one.at_end && !one.settled);
    if quiet.is_none_or(|since| cx.now.saturating_sub(since) < TICK) {
        return true;
    }
    one.settled = true;
    if one.text.is_some() {
        let same = matches!(one.check(cx.disk), Ok(Verdict::Same));
        if !same {
            one.sight = None;
        }
        return same;
    }
    // It is opened, and asked, before it is read on.
    (one.verified, one.at_end) = (false, false);
    true
}

/// Makes sure that the file is open and holds the text; false if it does not.
fn open_again<D: Disk>(
    one: &mut Generation<D>,
    disk: &D,
    options: &FollowOptions,
) -> io::Result<bool> {
    if one.verified {
        return Ok(true);
    }
    if one.text.is_none() {
        let Some(path) = one.path.as_deref() else {
            return Ok(false);
        };
        one.text = open_text(disk, path, one.state == State::Live, options)?;
    }
    let Some(text) = one.text.as_ref() else {
        return Ok(false);
    };
    let stat = disk.fstat(&text.file)?;
    if !one.may_be(&stat) {
        one.close();
        return Ok(false);
    }
    let same = one.check(disk)? == Verdict::Same;
    if same {
        one.sight = Some(sight(&stat));
    }
    Ok(same)
}

/// Opens a file; what a server writes is never compressed, a rotated file may be. `None` while its first
/// bytes are too few to tell.
pub(super) fn open_text<D: Disk>(
    disk: &D,
    path: &Path,
    live: bool,
    options: &FollowOptions,
) -> io::Result<Option<Text<D>>> {
    let file = disk.open(path)?;
    if live {
        return Ok(Some(Text::plain(file, options.limits)));
    }
    Text::told(disk, file, options.limits)
}
