//! One generation: a position, and the file that holds its text at the moment.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use memchr::memchr;

use super::super::lines::{BLOCK_LEN, whole_lines};
use super::position::{Position, Verdict, as_u64};
use super::text::{Ending, Text};
use super::{Disk, FollowOptions, SavedGeneration, Stat, State};

/// Bytes that one follower may be read for before the others have their turn.
pub(super) const TURN: u64 = 1024 * 1024;

/// What changes when a file is written: size, time of content, time of inode.
pub(super) type Sight = (u64, i64, i64);

/// The sight of a file.
pub(super) fn sight(stat: &Stat) -> Sight {
    (stat.size, stat.mtime_ns, stat.ctime_ns)
}

/// One generation.
pub(super) struct Generation<D: Disk> {
    pub(super) id: u64,
    pub(super) dev: u64,
    pub(super) ino: u64,
    pub(super) btime_ns: Option<i64>,
    pub(super) state: State,
    pub(super) position: Position,
    /// Where it began, until that is durable.
    pub(super) origin: Option<Box<(Position, State)>>,
    pub(super) note: Vec<u8>,
    /// Bytes in the file at the last look.
    pub(super) size: u64,
    /// The file when it was last found to hold this generation, in this process.
    pub(super) sight: Option<Sight>,
    /// Where the file was at the last scan; `None` for one that is only held open.
    pub(super) path: Option<PathBuf>,
    /// The open file.
    pub(super) text: Option<Text<D>>,
    /// The open file agreed after its last change.
    pub(super) verified: bool,
    pub(super) first: bool,
    /// Everything there was read.
    pub(super) at_end: bool,
    pub(super) quiet_since: Option<Duration>,
    /// The content was asked again when the sight was older than a tick: the sight stands for it.
    pub(super) settled: bool,
    /// A file was found for it by the scan at hand.
    pub(super) bound: bool,
    /// Stable scans in a row that found no file.
    pub(super) absent: u8,
    /// Why no file was found, if not because it is missing.
    pub(super) lost: Option<&'static str>,
    /// Its unterminated end was reported when it stood here.
    pub(super) torn_at: Option<u64>,
    /// Restored, and not found yet.
    pub(super) resumed: bool,
}

/// What reading came to.
pub(super) enum Step {
    /// Whole lines are in `buffer[from..to]`; their text begins at the offset.
    Lines(usize, usize, u64),
    /// A line over the limit ended.
    TooLong(u64, u64),
    /// The turn is over inside a long line.
    Turn,
    /// Everything there is was read.
    End,
    /// The file does not hold the text before the position any more.
    Changed,
}

impl<D: Disk> Generation<D> {
    /// At the beginning of a file.
    pub(super) fn new(id: u64, stat: &Stat, state: State, position: Position) -> Generation<D> {
        Generation {
            dev: stat.dev,
            ino: stat.ino,
            btime_ns: stat.btime_ns,
            origin: Some(Box::new((position.clone(), state))),
            size: stat.size,
            sight: Some(sight(stat)),
            bound: true,
            ..Generation::unseen(id, state, position)
        }
    }

    /// As it was saved.
    pub(super) fn restored(saved: &SavedGeneration) -> Generation<D> {
        Generation {
            dev: saved.dev,
            ino: saved.ino,
            btime_ns: Some(saved.btime_ns).filter(|ns| *ns != 0),
            note: saved.note.clone(),
            size: saved.size,
            resumed: true,
            ..Generation::unseen(saved.id, saved.state, Position::restored(saved))
        }
    }

    /// One whose file this process has not looked at.
    fn unseen(id: u64, state: State, position: Position) -> Generation<D> {
        Generation {
            id,
            dev: 0,
            ino: 0,
            btime_ns: None,
            state,
            origin: None,
            position,
            note: Vec::new(),
            size: 0,
            sight: None,
            path: None,
            text: None,
            verified: false,
            first: true,
            at_end: false,
            quiet_since: None,
            settled: false,
            bound: false,
            absent: 0,
            lost: None,
            torn_at: None,
            resumed: false,
        }
    }

    pub(super) fn saved(&self) -> SavedGeneration {
        let (head_len, head) = self.position.head();
        let (tail_len, tail) = self.position.tail();
        SavedGeneration {
            id: self.id,
            dev: self.dev,
            ino: self.ino,
            btime_ns: self.btime_ns.unwrap_or(0),
            head_len,
            head,
            tail_len,
            tail,
            offset: self.position.offset,
            skipping: self.position.skipped,
            state: self.state,
            size: self.size,
            trail: self.position.trail(),
            note: self.note.clone(),
        }
    }

    /// Goes back to what is durable. The file at hand stays: it is at least as near to the truth.
    pub(super) fn roll_back(&mut self, saved: Option<&SavedGeneration>) {
        match saved {
            Some(saved) => {
                self.position = self.position.back_to(saved);
                self.state = saved.state;
                self.size = saved.size;
                self.note.clone_from(&saved.note);
                self.origin = None;
                if self.text.is_none() {
                    self.btime_ns = Some(saved.btime_ns).filter(|ns| *ns != 0);
                    (self.dev, self.ino) = (saved.dev, saved.ino);
                }
            }
            None => {
                if let Some((position, state)) = self.origin.as_deref() {
                    self.position = position.clone();
                    if *state != State::Done && self.state == State::Done {
                        self.state = State::Draining;
                    }
                }
                self.note.clear();
            }
        }
        (self.sight, self.verified, self.first) = (None, false, true);
        (self.at_end, self.quiet_since, self.torn_at) = (false, None, None);
        (self.absent, self.lost) = (0, None);
    }

    /// Known by its head alone: it lay there compressed at the first start, and is never read.
    pub(super) fn is_head_only(&self) -> bool {
        self.position.offset > 0 && self.position.tail().0 == 0
    }

    /// Whether the file may be the one seen last, as far as the system can say.
    pub(super) fn may_be(&self, stat: &Stat) -> bool {
        let born = match (self.btime_ns, stat.btime_ns) {
            (Some(own), Some(other)) => own == other,
            _ => true,
        };
        (self.dev, self.ino) == (stat.dev, stat.ino) && (self.text.is_some() || born)
    }

    /// Its text is in this file from here on.
    pub(super) fn bind(&mut self, stat: &Stat) {
        (self.dev, self.ino, self.btime_ns) = (stat.dev, stat.ino, stat.btime_ns);
        self.look(stat);
        (self.bound, self.absent, self.lost, self.resumed) = (true, 0, None, false);
        self.verified = self.text.is_some();
    }

    /// Remembers how the file looks; there may be more to read.
    pub(super) fn look(&mut self, stat: &Stat) {
        self.size = stat.size;
        self.sight = Some(sight(stat));
        (self.at_end, self.quiet_since, self.settled) = (false, None, false);
    }

    /// Asks the open file whether it holds the text before the position.
    pub(super) fn check(&mut self, disk: &D) -> io::Result<Verdict> {
        let Some(text) = self.text.as_mut() else {
            return Ok(Verdict::Other);
        };
        text.refresh();
        let verdict = self.position.check(disk, text)?;
        self.verified = verdict == Verdict::Same;
        Ok(verdict)
    }

    /// Closes the file; it is opened and checked again before it is read again.
    pub(super) fn close(&mut self) {
        self.text = None;
        self.verified = false;
    }

    /// May be closed: its path leads to it. A compressed file would have to be read from its beginning again.
    pub(super) fn is_closable(&self) -> bool {
        let packed = self.text.as_ref().is_some_and(Text::is_packed);
        let rested = self.at_end || self.state == State::Done;
        self.text.is_some() && self.path.is_some() && (rested || !packed)
    }

    /// There may be something to read.
    pub(super) fn is_waiting(&self) -> bool {
        self.state != State::Done && !self.at_end && self.bound
    }

    /// Bytes that were seen and not read; of a compressed file, its size until it was read to its end.
    pub(super) fn lag(&self) -> u64 {
        if self.at_end || self.state == State::Done {
            return 0;
        }
        match &self.text {
            Some(text) if text.is_packed() => self.size.max(1),
            _ => self.size.saturating_sub(self.position.offset),
        }
    }

    /// The next of the text. Each read begins with the bytes before the position.
    pub(super) fn step(
        &mut self,
        disk: &D,
        buffer: &mut Vec<u8>,
        options: &FollowOptions,
    ) -> io::Result<Step> {
        let limit = options.line_bytes;
        let (mut want, mut spent) = (BLOCK_LEN, 0);
        let Some(text) = self.text.as_mut() else {
            return Ok(Step::Changed);
        };
        loop {
            let offset = self.position.offset;
            let before = self.position.before().len();
            let full = before + want;
            if buffer.len() < full {
                buffer.resize(full, 0);
            }
            let into = buffer.get_mut(..full).unwrap_or_default();
            let got = text.read(disk, offset.saturating_sub(as_u64(before)), into)?;
            let read = into.get(..got).unwrap_or_default();
            let Some(data) = read.strip_prefix(self.position.before()) else {
                self.verified = false;
                return Ok(Step::Changed);
            };
            if self.position.skipped == 0 {
                let lines = whole_lines(data, 0, limit);
                let whole = match (options.whole)(data.get(..lines).unwrap_or_default()) {
                    0 if data.len() > limit => lines,
                    whole => whole,
                };
                if whole > 0 {
                    self.position.advance(data.get(..whole).unwrap_or_default());
                    return Ok(Step::Lines(before, before + whole, offset));
                }
                if data.len() <= limit {
                    if got < full {
                        return Ok(Step::End);
                    }
                    want = (want * 2).min(limit.saturating_add(1)).max(want + 1);
                    continue;
                }
            }
            if let Some(long) = pass_over(&mut self.position, data) {
                return Ok(long);
            }
            spent += as_u64(data.len());
            if got < full {
                return Ok(Step::End);
            }
            if spent >= TURN {
                return Ok(Step::Turn);
            }
            want = BLOCK_LEN;
        }
    }

    /// How the open text ends.
    pub(super) fn ending(&self) -> Ending {
        self.text.as_ref().map_or(Ending::Clean, Text::ending)
    }

    /// The beginning and length of what stands behind the last line.
    pub(super) fn torn(&mut self, disk: &D) -> io::Result<(u64, u64)> {
        let start = self.position.offset.saturating_sub(self.position.skipped);
        let mut end = self.position.offset;
        let Some(text) = self.text.as_mut() else {
            return Ok((start, self.size.max(end).saturating_sub(start)));
        };
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let got = text.read(disk, end, &mut chunk)?;
            end += as_u64(got);
            if got < chunk.len() {
                return Ok((start, end.saturating_sub(start)));
            }
        }
    }
}

/// Passes over a line that is too long, as far as it is there.
fn pass_over(position: &mut Position, data: &[u8]) -> Option<Step> {
    let start = position.offset.saturating_sub(position.skipped);
    match memchr(b'\n', data) {
        Some(at) => {
            position.advance(data.get(..=at).unwrap_or_default());
            let bytes = position.skipped + as_u64(at);
            position.skipped = 0;
            Some(Step::TooLong(start, bytes))
        }
        None => {
            position.advance(data);
            position.skipped += as_u64(data.len());
            None
        }
    }
}
