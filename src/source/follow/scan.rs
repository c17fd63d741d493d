//! Which file holds which generation: the scan of a path and the rotated files beside it.
//!
//! The order of the questions: the same inode with the same content; the handle held open; any file with the
//! same content; and what is left over is lost, known, in the making, or new. Nothing is declared
//! lost before two scans in a row agreed on it while nothing moved.

use std::cmp::Reverse;
use std::io;
use std::path::{Path, PathBuf};

use super::folders::parent;
use super::follower::{Birth, Context, Follower, open_text};
use super::generation::{Generation, sight};
use super::names::{is_rotated, stem};
use super::position::{HEAD_LEN, Position, Verdict, as_u64};
use super::text::{Ending, Text};
use super::{Disk, Event, Kind, Stat, State};

use std::os::unix::ffi::OsStrExt as _;

/// Bytes at the end of a file that tell a copy.
const END_LEN: usize = 4096;

/// A file that may hold a generation.
pub(super) struct Found<D: Disk> {
    path: PathBuf,
    stat: Stat,
    live: bool,
    taken: bool,
    /// `None` before it was opened, and after its text was handed on.
    text: Option<Text<D>>,
    /// Too short to tell whether it is compressed.
    untold: bool,
}

impl<D: Disk> Found<D> {
    /// Opens the file once; false while it cannot be told what it is, or if another file took its place.
    fn open(&mut self, cx: &Context<'_, D>) -> io::Result<bool> {
        if self.text.is_some() {
            return Ok(true);
        }
        let Some(text) = open_text(cx.disk, &self.path, self.live, cx.options)? else {
            self.untold = true;
            return Ok(false);
        };
        let stat = cx.disk.fstat(&text.file)?;
        if (stat.dev, stat.ino) != (self.stat.dev, self.stat.ino) {
            return Err(io::Error::other(
                "another file took its place while it was looked at",
            ));
        }
        self.stat = stat;
        self.text = Some(text);
        Ok(true)
    }

    fn is_packed(&self) -> bool {
        self.text.as_ref().is_some_and(Text::is_packed)
    }
}

/// What kept a scan from seeing everything.
#[derive(Default)]
struct Sightings {
    /// Something moved, or could not be opened.
    blind: bool,
    /// A file without a generation may be one in the making.
    making: bool,
}

impl<D: Disk> Follower<D> {
    /// Finds a file for each generation and a generation for each file.
    pub(super) fn scan(&mut self, cx: &mut Context<'_, D>) {
        let mut seen = Sightings::default();
        let mut before = self.look_at_folders(cx, false);
        let mut found = self.collect(cx, &mut seen);
        for _ in 0..2 {
            let after = self.look_at_folders(cx, true);
            if after == before {
                break;
            }
            before = after;
            seen = Sightings::default();
            found = self.collect(cx, &mut seen);
        }
        self.rescan = false;
        self.generations
            .iter_mut()
            .for_each(|one| one.bound = false);
        if cx.folders.error(parent(&self.path)).is_some() {
            // What is held open is read on; nothing can be said about the rest.
            self.claim_held(cx);
            self.rescan = true;
            return;
        }
        self.claim_by_inode(cx, &mut found, &mut seen, Proof::Content);
        self.claim_held(cx);
        self.claim_by_content(cx, &mut found, &mut seen);
        self.claim_by_inode(cx, &mut found, &mut seen, Proof::Inode);
        let place = found.iter().find(|one| one.live).map(|one| one.stat);
        self.settle_states(cx, place.as_ref(), seen.blind);
        self.take_new(cx, &mut found, &mut seen);
        seen.blind |= self.look_at_folders(cx, true) != before;
        self.give_up(cx, &seen);
        self.rescan |= seen.blind || seen.making;
        let here = self.generations.iter().any(|one| one.state == State::Live);
        let gone = self.by_pattern && self.generations.is_empty() && !here && !seen.blind;
        self.gone = gone && !self.rescan && place.is_none();
        self.version += 1;
    }

    /// Looks at the folders that matter, and counts their changes.
    pub(super) fn look_at_folders(&self, cx: &mut Context<'_, D>, again: bool) -> u64 {
        let mut dirs = vec![parent(&self.path).to_path_buf()];
        for pattern in cx.options.rotated.iter().flatten() {
            cx.folders.expand(cx.disk, pattern, &mut dirs);
        }
        dirs.sort_unstable();
        dirs.dedup();
        let look = |dir: &PathBuf| match again {
            true => cx.folders.look_again(cx.disk, dir),
            false => cx.folders.look(cx.disk, dir),
        };
        dirs.iter().map(look).sum()
    }

    /// The rotated files of the path, by their names.
    pub(super) fn find_siblings(&self, cx: &mut Context<'_, D>) -> Vec<PathBuf> {
        let name = self.path.file_name().unwrap_or_default().as_bytes();
        if let Some(patterns) = &cx.options.rotated {
            let own = cx.options.patterns.len() == 1 && !self.by_pattern;
            let stem = name.split(|byte| *byte == b'.').next().unwrap_or(name);
            let mut paths = Vec::new();
            for pattern in patterns {
                paths.extend(cx.folders.expand(cx.disk, pattern, &mut Vec::new()));
            }
            paths.retain(|path| {
                let other = path.file_name().unwrap_or_default().as_bytes();
                *path != self.path && (own || other.starts_with(stem))
            });
            return paths;
        }
        let dir = parent(&self.path);
        let names = cx.folders.names(dir);
        let stem = stem(name);
        let from = names.partition_point(|name| name.as_bytes() < stem);
        let near = names
            .iter()
            .skip(from)
            .take_while(|name| name.as_bytes().starts_with(stem));
        let rotated = near.filter(|other| is_rotated(name, other.as_bytes()));
        rotated.map(|name| self.path.with_file_name(name)).collect()
    }

    fn collect(&mut self, cx: &mut Context<'_, D>, seen: &mut Sightings) -> Vec<Found<D>> {
        self.siblings = self.find_siblings(cx);
        let mut found: Vec<Found<D>> = Vec::new();
        let trouble = self.trouble.take();
        let live = self
            .look_at_path(cx)
            .map(|stat| (self.path.clone(), stat, true));
        seen.blind |= self.trouble.is_some() && !is_other_kind(cx.disk, &self.path);
        self.trouble = self.trouble.take().or(trouble);
        let mut rest = Vec::new();
        for path in &self.siblings {
            match cx.disk.stat(path) {
                Ok(stat) if stat.kind == Kind::Regular => rest.push((path.clone(), stat, false)),
                Ok(_) => {}
                Err(error) => seen.blind |= error.kind() != io::ErrorKind::NotFound,
            }
        }
        for (path, stat, live) in live.into_iter().chain(rest) {
            let same = |one: &Found<D>| (one.stat.dev, one.stat.ino) == (stat.dev, stat.ino);
            if !found.iter().any(same) {
                found.push(Found {
                    path,
                    stat,
                    live,
                    taken: false,
                    text: None,
                    untold: false,
                });
            }
        }
        found
    }

    /// The longest text first: what agrees with more is more surely the same.
    fn by_length(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.generations.len()).collect();
        order.sort_by_key(|index| {
            Reverse(self.generations.get(*index).map(|one| one.position.offset))
        });
        order
    }

    fn claim_by_inode(
        &mut self,
        cx: &mut Context<'_, D>,
        found: &mut [Found<D>],
        seen: &mut Sightings,
        proof: Proof,
    ) {
        for index in self.by_length() {
            let Some(one) = self.generations.get_mut(index) else {
                continue;
            };
            let weak = one.position.offset == 0 && one.text.is_none();
            if one.bound || weak != (proof == Proof::Inode) {
                continue;
            }
            let Some(file) = found
                .iter_mut()
                .find(|file| !file.taken && one.may_be(&file.stat))
            else {
                continue;
            };
            if weak && one.sight != Some(sight(&file.stat)) {
                // An archive is another file than the log it was made from.
                let copied = file.open(cx).is_ok()
                    && (file.is_packed()
                        || file.untold
                        || matches!(self.compare(cx, file), Ok(Likeness::Copy)));
                if copied {
                    continue;
                }
            }
            let Some(one) = self.generations.get_mut(index) else {
                continue;
            };
            match claim(cx, one, file) {
                Ok(true) => {
                    if one.resumed && one.state != State::Done {
                        let (path, offset) = (self.path.clone(), one.position.offset);
                        cx.events.push(Event::Resumed { path, offset });
                    }
                    accept(one, file);
                }
                Ok(false) => {
                    let shrunk = one.resumed && file.stat.size < one.position.offset;
                    one.lost = Some(if shrunk { "log_shrunk" } else { "truncated" });
                    one.close();
                }
                Err(error) => {
                    // Nobody can say whether it is the same: it is left as it is.
                    seen.blind = true;
                    self.trouble.get_or_insert_with(|| error.to_string());
                    (one.bound, file.taken) = (one.text.is_some(), true);
                }
            }
        }
    }

    /// What is held open stays readable, wherever it went.
    fn claim_held(&mut self, cx: &mut Context<'_, D>) {
        for one in &mut self.generations {
            let Some(text) = one.text.as_ref().filter(|_| !one.bound) else {
                continue;
            };
            if one.state == State::Done {
                continue;
            }
            let Ok(stat) = cx.disk.fstat(&text.file) else {
                continue;
            };
            let same = one.verified && one.sight == Some(sight(&stat));
            if same || matches!(one.check(cx.disk), Ok(Verdict::Same)) {
                if !same {
                    one.look(&stat);
                }
                (one.bound, one.path, one.absent) = (true, None, 0);
            } else {
                one.lost = Some("truncated");
                one.close();
            }
        }
    }

    /// A copy, or an archive, goes on where the file ended.
    fn claim_by_content(
        &mut self,
        cx: &mut Context<'_, D>,
        found: &mut [Found<D>],
        seen: &mut Sightings,
    ) {
        for index in self.by_length() {
            let Some(one) = self.generations.get_mut(index) else {
                continue;
            };
            if one.bound || one.position.offset == 0 {
                continue;
            }
            for file in found.iter_mut().filter(|file| !file.taken) {
                seen.blind |= file.open(cx).is_err();
            }
            found.sort_by_key(|file| (file.live, file.is_packed(), file.stat.mtime_ns));
            for file in found.iter_mut() {
                if file.taken || (file.live && one.state == State::Done) {
                    continue;
                }
                let Some(text) = file.text.as_mut() else {
                    continue;
                };
                if !matches!(one.position.check(cx.disk, text), Ok(Verdict::Same)) {
                    continue;
                }
                // There may be more in it than was there when it was done with.
                if one.state == State::Done && !one.is_head_only() {
                    one.state = State::Draining;
                }
                one.text = if one.state == State::Done {
                    None
                } else {
                    file.text.take()
                };
                accept(one, file);
                break;
            }
        }
    }

    /// Who is live, and who was.
    fn settle_states(&mut self, cx: &mut Context<'_, D>, place: Option<&Stat>, blind: bool) {
        for one in &mut self.generations {
            let here = one.bound && one.path.as_ref() == Some(&self.path);
            let path = || self.path.clone();
            match (one.state, here) {
                (State::Draining, true) => one.state = State::Live,
                // Another inode under the path, grown again: only a live file can do that.
                (State::Done, true) if one.position.offset < one.size => one.state = State::Live,
                (State::Live, false) if place.is_some() || !blind => {
                    one.state = State::Draining;
                    cx.events.push(match one.lost {
                        Some(_) if !one.bound => Event::Truncated { path: path() },
                        _ if one.lost.is_some() => Event::Truncated { path: path() },
                        _ => Event::Rotated { path: path() },
                    });
                }
                _ => {}
            }
            if one.bound {
                one.lost = None;
            }
        }
    }

    /// What is left over: known, a copy, in the making, or new.
    fn take_new(&mut self, cx: &mut Context<'_, D>, found: &mut [Found<D>], seen: &mut Sightings) {
        let first = self.birth == Birth::FirstStart;
        for file in found.iter_mut().filter(|file| !file.taken) {
            if let Err(error) = file.open(cx) {
                seen.blind = true;
                self.trouble.get_or_insert_with(|| error.to_string());
            }
        }
        found.sort_by_key(|file| (file.live, file.is_packed(), file.stat.mtime_ns));
        let mut new = Vec::new();
        for file in found.iter_mut().filter(|file| !file.taken) {
            let old = match &self.birth {
                Birth::FirstStart => !file.live,
                Birth::Appeared(before) => before.contains(&file.path),
                Birth::Known => false,
            };
            if old {
                new.push(known(cx, file));
                continue;
            }
            if file.text.is_none() && !file.untold {
                continue;
            }
            if !first && self.is_ignored(cx, file, seen) {
                continue;
            }
            let state = if file.live {
                State::Live
            } else {
                State::Draining
            };
            let position = match first && !cx.options.from_start {
                true => end_of(cx, file),
                false => Position::start(),
            };
            let mut one = Generation::new(take_id(cx), &file.stat, state, position);
            (one.path, one.text) = (Some(file.path.clone()), file.text.take());
            one.verified = true;
            if file.live && self.generations.is_empty() {
                cx.events.push(Event::Appeared {
                    path: self.path.clone(),
                });
            }
            // The next one may be its archive in the making.
            let live = self
                .generations
                .iter()
                .position(|one| one.state == State::Live);
            let at = live
                .filter(|_| !file.live)
                .unwrap_or(self.generations.len());
            self.generations.insert(at, one);
        }
        for one in new {
            self.generations.insert(0, one);
        }
        if !seen.blind {
            self.birth = Birth::Known;
        }
    }

    /// Whether a file without a generation holds nothing that is not read elsewhere, as far as it goes.
    fn is_ignored(
        &mut self,
        cx: &mut Context<'_, D>,
        file: &mut Found<D>,
        seen: &mut Sightings,
    ) -> bool {
        let key = (file.stat.dev, file.stat.ino);
        let now = sight(&file.stat);
        let since = match self.ignored.get(&key) {
            Some((before, since)) if *before == now => *since,
            _ => cx.now,
        };
        let waited = cx.now.saturating_sub(since) >= cx.options.rotate_wait;
        let verdict = self.compare(cx, file).unwrap_or(Likeness::Making);
        let ignored = match verdict {
            Likeness::Copy => true,
            Likeness::Making => !waited || file.text.is_none(),
            Likeness::New => false,
        };
        if ignored {
            self.ignored.insert(key, (now, since));
            seen.making |= !waited || file.live;
        } else {
            self.ignored.remove(&key);
        }
        ignored
    }

    fn compare(&mut self, cx: &Context<'_, D>, file: &mut Found<D>) -> io::Result<Likeness> {
        let live = file.live;
        let Some(text) = file.text.as_mut() else {
            return Ok(Likeness::Making);
        };
        let mut head = vec![0; HEAD_LEN];
        let got = text.read(cx.disk, 0, &mut head)?;
        head.truncate(got);
        if head.is_empty() {
            return Ok(if live {
                Likeness::New
            } else {
                Likeness::Making
            });
        }
        let (len, end) = text.measure(cx.disk, END_LEN)?;
        let cut = text.ending() == Ending::Cut;
        for one in self.generations.iter_mut().filter(|one| one.bound) {
            let mut other = match (&one.text, &one.path) {
                (Some(text), _) => text.reopened(),
                (None, Some(path)) => {
                    match open_text(cx.disk, path, one.state == State::Live, cx.options) {
                        Ok(Some(text)) => text,
                        _ => continue,
                    }
                }
                (None, None) => continue,
            };
            if holds(cx.disk, &mut other, 0, &head)?
                && holds(
                    cx.disk,
                    &mut other,
                    len.saturating_sub(as_u64(end.len())),
                    &end,
                )?
            {
                return Ok(Likeness::Copy);
            }
        }
        if !cut {
            return Ok(Likeness::New);
        }
        if head.len() < HEAD_LEN {
            return Ok(Likeness::Making);
        }
        for one in &self.generations {
            if one.position.offset > 0 && one.position.check_head(cx.disk, text)? {
                return Ok(Likeness::Copy);
            }
        }
        Ok(Likeness::New)
    }

    /// Ends what no file was found for.
    fn give_up(&mut self, cx: &mut Context<'_, D>, seen: &Sightings) {
        let newer = |id: u64, all: &[Generation<D>]| {
            all.iter()
                .any(|one| one.id > id && one.state != State::Live)
        };
        let mut index = 0;
        while let Some(one) = self.generations.get_mut(index) {
            index += 1;
            if one.bound {
                one.absent = 0;
                continue;
            }
            if seen.blind || seen.making {
                continue;
            }
            one.absent += 1;
            if one.absent < 2 {
                self.rescan = true;
                continue;
            }
            let (id, size, state) = (one.id, one.size, one.state);
            let (from, reason) = (one.position.offset, one.lost.unwrap_or("missing"));
            let replaced = from == 0 && (size == 0 || newer(id, &self.generations));
            if state != State::Done && !replaced {
                let bytes = size
                    .checked_sub(from)
                    .filter(|bytes| *bytes > 0 && reason == "missing");
                let path = self.path.clone();
                cx.events.push(Event::Gap {
                    path,
                    reason,
                    from,
                    bytes,
                });
            }
            index -= 1;
            let ended = self.generations.remove(index);
            self.retired.push(ended);
        }
    }
}

/// What speaks for a generation besides its inode.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// The text before its position, or a handle.
    Content,
    /// Nothing: none of it was read, and any new file may have got the inode.
    Inode,
}

/// What a file without a generation is.
enum Likeness {
    /// All of it is in a file that has a generation.
    Copy,
    /// Too little of it is there to tell.
    Making,
    /// Nothing known.
    New,
}

/// Whether a text has these bytes at a position.
fn holds<D: Disk>(disk: &D, text: &mut Text<D>, at: u64, bytes: &[u8]) -> io::Result<bool> {
    let mut own = vec![0; bytes.len()];
    let got = text.read(disk, at, &mut own)?;
    Ok(own.get(..got) == Some(bytes))
}

/// Whether the file with the inode of a generation holds its text.
fn claim<D: Disk>(
    cx: &Context<'_, D>,
    one: &mut Generation<D>,
    file: &mut Found<D>,
) -> io::Result<bool> {
    if one.sight == Some(sight(&file.stat)) {
        return Ok(true);
    }
    let done = one.state == State::Done;
    if one.text.is_none() {
        if done && one.position.offset == 0 && one.size == file.stat.size {
            return Ok(true);
        }
        if !file.open(cx)? {
            return Ok(false);
        }
        if done && file.is_packed() && one.size == file.stat.size {
            let Some(text) = file.text.as_mut() else {
                return Ok(false);
            };
            return one.position.check_head(cx.disk, text);
        }
        one.text = file.text.take();
    }
    let same = one.check(cx.disk)? == Verdict::Same;
    if same && done && !one.is_head_only() && file.stat.size > one.size {
        one.state = State::Draining;
    }
    if !same {
        file.text = one.text.take();
    }
    if let Some(stat) = one
        .text
        .as_ref()
        .and_then(|text| cx.disk.fstat(&text.file).ok())
    {
        file.stat = stat;
    }
    Ok(same)
}

/// The generation goes on in the file.
fn accept<D: Disk>(one: &mut Generation<D>, file: &mut Found<D>) {
    file.taken = true;
    one.path = Some(file.path.clone());
    if one.sight == Some(sight(&file.stat)) && one.ino == file.stat.ino {
        (one.bound, one.absent, one.resumed) = (true, 0, false);
    } else {
        one.bind(&file.stat);
    }
    if one.state == State::Done {
        one.close();
    }
}

/// A file that lay there before the log was followed: remembered to its end, or by its head if it is compressed.
fn known<D: Disk>(cx: &mut Context<'_, D>, file: &mut Found<D>) -> Generation<D> {
    let position = match file.text.as_mut() {
        Some(text) if text.is_packed() => {
            let mut head = vec![0; HEAD_LEN];
            let got = text.read(cx.disk, 0, &mut head).unwrap_or(0);
            Position::head_only(head.get(..got).unwrap_or_default())
        }
        Some(_) => end_of(cx, file),
        None => Position::start(),
    };
    file.taken = true;
    let mut one = Generation::new(take_id(cx), &file.stat, State::Done, position);
    one.path = Some(file.path.clone());
    one
}

/// The position behind the last line of a plain file.
fn end_of<D: Disk>(cx: &Context<'_, D>, file: &mut Found<D>) -> Position {
    let limit = cx.options.line_bytes;
    let position = file
        .text
        .as_mut()
        .map(|text| Position::at_end(cx.disk, text, limit));
    position
        .and_then(Result::ok)
        .unwrap_or_else(Position::start)
}

fn take_id<D: Disk>(cx: &mut Context<'_, D>) -> u64 {
    let id = *cx.next_id;
    *cx.next_id += 1;
    id
}

fn is_other_kind<D: Disk>(disk: &D, path: &Path) -> bool {
    disk.stat(path).is_ok_and(|stat| stat.kind != Kind::Regular)
}
