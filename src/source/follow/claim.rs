//! Which file goes on with which generation: by its inode, by a handle held open, by its content.

use std::cmp::Reverse;
use std::io;

use super::follower::{Context, Follower};
use super::found::{Found, Sightings};
use super::fresh::{Likeness, begins, behind_last_line};
use super::generation::{Generation, sight};
use super::position::{Position, Verdict};
use super::text::Ending;
use super::{Disk, Event, State};

/// What speaks for a generation besides its inode.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// The text before its position, or a handle.
    Content,
    /// Size and times: none of it was read, and it was not touched since it was seen.
    Sight,
    /// Nothing: none of it was read, and any new file may have got the inode.
    Inode,
}

impl<D: Disk> Follower<D> {
    /// The longest text first: what agrees with more is more surely the same. Then what this process has seen.
    pub(super) fn by_length(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.generations.len()).collect();
        order.sort_by_key(|index| {
            let one = self.generations.get(*index);
            one.map(|one| (Reverse(one.position.offset), one.resumed))
        });
        order
    }

    pub(super) fn claim_by_inode(
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
            if one.bound || weak == (proof == Proof::Content) {
                continue;
            }
            let Some(file) = found
                .iter_mut()
                .find(|file| !file.taken && one.may_be(&file.stat))
            else {
                continue;
            };
            let untouched = one.sight == Some(sight(&file.stat));
            if proof == Proof::Sight && !untouched {
                continue;
            }
            if weak && !untouched {
                // An archive is another file than the log it was made from.
                let copied = file.open(cx).is_ok()
                    && (file.is_packed()
                        || file.begins_log
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

    /// Marks the copies of a log that has no generation yet.
    pub(super) fn mark_copies_of_log(&self, cx: &Context<'_, D>, found: &mut [Found<D>]) {
        let weak = |one: &Generation<D>| !one.bound && one.position.offset == 0;
        if !self.generations.iter().any(weak) {
            return;
        }
        found.sort_by_key(|file| !file.live);
        let Some((log, rest)) = found.split_first_mut() else {
            return;
        };
        if !log.live || log.taken || !log.open(cx).is_ok_and(|open| open) {
            return;
        }
        let Some(text) = log.text.as_mut() else {
            return;
        };
        for file in rest.iter_mut().filter(|file| !file.taken) {
            let opened = file.open(cx).is_ok_and(|open| open);
            if let Some(own) = file.text.as_mut().filter(|_| opened) {
                file.begins_log = begins(cx.disk, own, text).unwrap_or(false);
            }
        }
    }

    /// What is held open stays readable, wherever it went.
    pub(super) fn claim_held(&mut self, cx: &mut Context<'_, D>) {
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
    pub(super) fn claim_by_content(
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

    /// A copy that ends before the position: the rest was written, and read, between the copy and the cut.
    /// All of it was handed out.
    pub(super) fn claim_copies_cut_short(
        &mut self,
        cx: &mut Context<'_, D>,
        found: &mut [Found<D>],
        seen: &mut Sightings,
    ) {
        for index in self.by_length() {
            let Some(one) = self.generations.get_mut(index) else {
                continue;
            };
            if one.bound || one.position.offset == 0 || one.state == State::Done {
                continue;
            }
            for file in found.iter_mut().filter(|file| !file.taken && !file.live) {
                // What has its inode is no copy: it was cut, has grown again, and was renamed.
                let Some(text) = file.text.as_mut().filter(|_| !one.may_be(&file.stat)) else {
                    continue;
                };
                // Seen as a copy before the log was cut.
                let seen_before = self.ignored.get(&(file.stat.dev, file.stat.ino));
                let was_copy = seen_before.is_some_and(|(then, _)| *then == sight(&file.stat));
                let short = text.measure(cx.disk, 0).and_then(|(len, _)| {
                    let whole = text.ending() == Ending::Clean && len < one.position.offset;
                    Ok(whole
                        && len > 0
                        && (was_copy || one.position.begins_with(cx.disk, text, len)?))
                });
                match short {
                    Ok(false) => continue,
                    Ok(true) => {}
                    Err(_) => {
                        seen.blind = true;
                        continue;
                    }
                }
                if one.state == State::Live {
                    let path = self.path.clone();
                    cx.events.push(Event::Truncated { path });
                }
                one.position = behind_last_line(cx, file);
                one.state = State::Done;
                accept(one, file);
                break;
            }
        }
    }

    /// The log itself, without its end: after a power cut, what is left of it was handed out; it may have grown
    /// again. Where this process saw the end itself, the log was cut.
    pub(super) fn claim_shrunk(
        &mut self,
        cx: &mut Context<'_, D>,
        found: &mut [Found<D>],
        seen: &mut Sightings,
    ) {
        let mut unbound = self.generations.iter_mut().filter(|one| !one.bound);
        let live = unbound.find(|one| one.state == State::Live && one.position.offset > 0);
        let here = found.iter_mut().find(|file| file.live && !file.taken);
        let (Some(one), Some(file)) = (live, here) else {
            return;
        };
        if !one.may_be(&file.stat) || one.position.was_reached_here() {
            return;
        }
        let shrunk = file.open(cx).and_then(|open| {
            let Some(text) = file.text.as_mut().filter(|_| open) else {
                return Ok(None);
            };
            let (len, _) = text.measure(cx.disk, 0)?;
            let Some((known, end)) = one.position.common(cx.disk, text, len)? else {
                return Ok(None);
            };
            let limit = cx.options.line_bytes;
            Ok(Some(if end == len {
                let position = Position::at_end(cx.disk, text, limit)?;
                (position.offset, position)
            } else {
                (known, Position::at_line(cx.disk, text, end, limit)?)
            }))
        });
        match shrunk {
            Ok(None) => {}
            Err(_) => seen.blind = true,
            Ok(Some((from, position))) => {
                one.position = position;
                one.text = file.text.take();
                let path = self.path.clone();
                cx.events.push(Event::Gap {
                    path,
                    reason: "log_shrunk",
                    from,
                    bytes: None,
                });
                accept(one, file);
            }
        }
    }
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
