//! The scan of a path and the rotated files beside it: which file holds which generation.
//!
//! The order of the questions: the same inode with the same content; the handle held open; any file with the
//! same content; and what is left over is lost, known, in the making, or new. Nothing is declared
//! lost before two scans in a row agreed on it while nothing moved.

use super::claim::Proof;
use super::folders::parent;
use super::follower::{Context, Follower};
use super::found::Sightings;
use super::generation::Generation;
use super::{Disk, Event, Stat, State};

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
        self.claim_copies_cut_short(cx, &mut found, &mut seen);
        self.claim_shrunk(cx, &mut found, &mut seen);
        self.claim_by_inode(cx, &mut found, &mut seen, Proof::Sight);
        self.mark_copies_of_log(cx, &mut found);
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
        // One that another follower reads for is looked at each time, and nothing is new.
        if !self.shadowed || !self.generations.is_empty() || self.version == 0 {
            self.version += 1;
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
