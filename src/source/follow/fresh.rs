//! What no generation was found for: known from before, a copy, in the making, or new.

use std::io;

use super::follower::{Birth, Context, Follower, open_text};
use super::found::{Found, Sightings};
use super::generation::{Generation, sight};
use super::position::{HEAD_LEN, Position, as_u64};
use super::text::{Ending, Text};
use super::{Disk, Event, State};

/// Bytes at the end of a file that tell a copy.
const END_LEN: usize = 4096;

/// What a file without a generation is.
pub(super) enum Likeness {
    /// All of it is in a file that has a generation.
    Copy,
    /// Too little of it is there to tell.
    Making,
    /// Nothing known.
    New,
}

/// Whether all of a text is the beginning of another, as far as its own beginning and end tell.
pub(super) fn begins<D: Disk>(
    disk: &D,
    text: &mut Text<D>,
    other: &mut Text<D>,
) -> io::Result<bool> {
    let mut head = vec![0; HEAD_LEN];
    let got = text.read(disk, 0, &mut head)?;
    head.truncate(got);
    let (len, end) = text.measure(disk, END_LEN)?;
    let at = len.saturating_sub(as_u64(end.len()));
    Ok(got > 0 && holds(disk, other, 0, &head)? && holds(disk, other, at, &end)?)
}

/// Whether a text has these bytes at a position.
fn holds<D: Disk>(disk: &D, text: &mut Text<D>, at: u64, bytes: &[u8]) -> io::Result<bool> {
    let mut own = vec![0; bytes.len()];
    let got = text.read(disk, at, &mut own)?;
    Ok(own.get(..got) == Some(bytes))
}

impl<D: Disk> Follower<D> {
    /// What is left over: known, a copy, in the making, or new.
    pub(super) fn take_new(
        &mut self,
        cx: &mut Context<'_, D>,
        found: &mut [Found<D>],
        seen: &mut Sightings,
    ) {
        let any = self.generations.iter().any(|one| one.state != State::Done);
        // The log that was there at the first start is known, even where something hid the rest.
        let first = self.birth == Birth::FirstStart && !any;
        for file in found.iter_mut().filter(|file| !file.taken) {
            if let Err(error) = file.open(cx) {
                seen.blind = true;
                self.trouble.get_or_insert_with(|| error.to_string());
            }
        }
        // The log comes first: a copy of it may end before it does, and then the copy is the one to leave out.
        found.sort_by_key(|file| (!file.live, file.is_packed(), file.stat.mtime_ns));
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
        let verdict = match self.compare(cx, file) {
            Ok(verdict) => verdict,
            Err(error) => {
                seen.blind = true;
                self.trouble.get_or_insert_with(|| error.to_string());
                return true;
            }
        };
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

    pub(super) fn compare(
        &mut self,
        cx: &Context<'_, D>,
        file: &mut Found<D>,
    ) -> io::Result<Likeness> {
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
                        Ok(None) => continue,
                        // It stays closed to us; the next file shall not wait for it.
                        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => continue,
                        Err(error) => return Err(error),
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
}

/// A file that lay there before the log was followed: remembered to its end, or by its head if it is compressed.
fn known<D: Disk>(cx: &mut Context<'_, D>, file: &mut Found<D>) -> Generation<D> {
    let position = behind_last_line(cx, file);
    file.taken = true;
    let mut one = Generation::new(take_id(cx), &file.stat, State::Done, position);
    one.path = Some(file.path.clone());
    one
}

/// The position that a file is done with at: its end, or its head if it is compressed.
pub(super) fn behind_last_line<D: Disk>(cx: &Context<'_, D>, file: &mut Found<D>) -> Position {
    match file.text.as_mut() {
        Some(text) if text.is_packed() => {
            let mut head = vec![0; HEAD_LEN];
            let got = text.read(cx.disk, 0, &mut head).unwrap_or(0);
            Position::head_only(head.get(..got).unwrap_or_default())
        }
        Some(_) => end_of(cx, file),
        None => Position::start(),
    }
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
