//! One log of the daemon: its lines on their way from a source through the pipeline.
//!
//! Counts made here are not committed yet. They are taken by [`LogReader::take`] for a batch, or
//! forgotten together with the positions they belong to.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::parse::{Envelopes, Reader};
use crate::pipeline::{Counter, LineCounts, Pipeline, Rejection, TimeRange};
use crate::record::{Kept, Mismatch, Span};
use crate::source::follow::{Disk, Followers, Saved, What};
use crate::source::stream::Stream;

use super::clock::Now;
use super::minutes::Minutes;
use super::prepare::{Prepared, PreparedLog};
use super::samples::{self, Aside};
use super::time::{LogTime, Standing, Stored};

/// Memory of a log's label values and counts; beyond it everything is handed over and forgotten.
const TABLE_BYTES: usize = 16 << 20;

/// Bits of a line's position that are its place in the file; those above tell files apart.
const POSITION_BITS: u32 = 44;

/// Where the lines come from.
pub(super) enum Source<D: Disk> {
    Files(Box<Followers<D>>),
    Stream(StreamSource),
}

/// A source without positions. Blocks that are counted and not committed are held: nobody else has
/// them.
pub(super) struct StreamSource {
    stream: Stream,
    held: Vec<Vec<u8>>,
    /// Blocks of `held` that must be counted again.
    again: usize,
    /// Messages lost before the last commit.
    dropped: u64,
    /// Messages over the limit before the last commit.
    too_long: u64,
    /// `dropped` and `too_long` as they were last taken.
    taken: (u64, u64),
    at_end_since: Option<Duration>,
}

impl StreamSource {
    pub(super) fn new(stream: Stream) -> StreamSource {
        StreamSource {
            stream,
            held: Vec::new(),
            again: 0,
            dropped: 0,
            too_long: 0,
            taken: (0, 0),
            at_end_since: None,
        }
    }
}

/// What was counted since the last commit.
pub(super) struct Taken {
    /// Sorted runs of the rules' metrics.
    pub(super) runs: Vec<Vec<u8>>,
    pub(super) counts: LineCounts,
    pub(super) late: u64,
    pub(super) bytes: u64,
    /// Parsed lines by minute.
    pub(super) minutes: BTreeMap<i64, u64>,
    /// New value errors: metric number and how many.
    pub(super) value_errors: Vec<(usize, u64)>,
    /// Messages that were lost because nobody took them.
    pub(super) dropped: u64,
    /// A few lines that did not count.
    pub(super) samples: Vec<Aside>,
}

/// One log.
pub(super) struct LogReader<D: Disk> {
    pub(super) name: String,
    pub(super) source: Source<D>,
    pub(super) time: LogTime,
    lines: Lines,
}

/// The log's way from lines to counts.
struct Lines {
    prepared: Arc<Prepared>,
    number: usize,
    pipeline: Pipeline<Minutes>,
    /// Some format reads a line by what lines before it said.
    stateful: bool,
    /// The generation and its readers by follower; only for stateful formats.
    kept: HashMap<u64, (u64, Vec<Reader>)>,
    /// The follower and generation whose readers are in the pipeline.
    current: Option<(u64, u64)>,
    /// The follower and generation whose lines were counted last.
    reading: Option<(u64, u64)>,
    /// What a stream's envelopes remembered at the last commit. Followers hand out no piece of a line
    /// before its last one, so that there is nothing to remember of files.
    begun: Envelopes,
    runs: Vec<Vec<u8>>,
    bytes: u64,
    value_errors: Vec<u64>,
    /// Lines that no format read, by the number of the one that came furthest.
    unparsed: Kept<(usize, Mismatch)>,
    /// When there is room again for lines to be put aside.
    room_due: Duration,
}

impl<D: Disk> LogReader<D> {
    /// The log of this number, with nothing counted.
    pub(super) fn new(
        prepared: &Arc<Prepared>,
        number: usize,
        source: Source<D>,
        time: LogTime,
    ) -> Option<LogReader<D>> {
        let name = prepared.logs.get(number)?.config.name.value.clone();
        let lines = Lines::new(prepared, number, time.closed)?;
        Some(LogReader {
            name,
            source,
            time,
            lines,
        })
    }

    /// Reads until everything there is was read, or `enough` says so. True when there is more.
    pub(super) fn read(
        &mut self,
        now: Now,
        buffer: &mut Vec<u8>,
        enough: &mut dyn FnMut() -> bool,
    ) -> bool {
        self.lines.begin(now, self.time.closed);
        loop {
            if enough() {
                return true;
            }
            let more = match &mut self.source {
                Source::Files(followers) => self.lines.of_files(followers, buffer, &mut self.time),
                Source::Stream(stream) => self.lines.of_stream(stream, now, &mut self.time),
            };
            if !more {
                return false;
            }
            self.lines.bound();
        }
    }

    /// Everything counted since the last call.
    pub(super) fn take(&mut self) -> Taken {
        let mut taken = self.lines.take();
        if let Source::Stream(source) = &mut self.source {
            let now = (source.stream.dropped(), source.stream.too_long());
            taken.dropped = now.0.saturating_sub(source.dropped);
            taken
                .counts
                .reject_many(Rejection::TooLong, now.1.saturating_sub(source.too_long));
            source.taken = now;
        }
        taken
    }

    /// What was taken is committed.
    pub(super) fn committed(&mut self) {
        match &mut self.source {
            Source::Files(followers) => followers.committed(),
            Source::Stream(source) => {
                source.held.clear();
                if let Some(envelopes) = self.lines.pipeline.envelopes() {
                    self.lines.begun.clone_from(envelopes);
                }
                (source.dropped, source.too_long) = source.taken;
            }
        }
    }

    /// Forgets what was counted and not committed; positions and time become the saved ones.
    pub(super) fn roll_back(&mut self, saved: Vec<Saved>, time: Stored, now: Now) {
        drop(self.lines.take());
        self.lines.kept.clear();
        (self.lines.current, self.lines.reading) = (None, None);
        self.time.restore(time, now);
        match &mut self.source {
            Source::Files(followers) => followers.roll_back(saved, now.monotonic),
            Source::Stream(source) => {
                source.again = source.held.len();
                if let Some(envelopes) = self.lines.pipeline.envelopes() {
                    envelopes.clone_from(&self.lines.begun);
                }
            }
        }
    }

    /// How followers stand.
    pub(super) fn standings(&self) -> Vec<Standing> {
        match &self.source {
            Source::Files(followers) => followers
                .followers()
                .map(|view| Standing {
                    follower: view.follower,
                    at_end_since: view.at_eof_since,
                    failing: view.failing,
                })
                .collect(),
            Source::Stream(source) => vec![Standing {
                follower: 0,
                at_end_since: source.at_end_since,
                failing: false,
            }],
        }
    }

    /// True when a stream has ended for good.
    pub(super) fn is_over(&self) -> bool {
        match &self.source {
            Source::Files(_) => false,
            Source::Stream(source) => source.again == 0 && source.stream.at_end(),
        }
    }
}

impl Lines {
    fn new(prepared: &Arc<Prepared>, number: usize, closed: i64) -> Option<Lines> {
        let log = prepared.logs.get(number)?;
        let counters = log.compiled.iter().zip(readers(prepared, log));
        let counters = counters.map(|(compiled, reader)| {
            let mut evaluator = compiled.evaluator(&prepared.trusted, &prepared.geo);
            if !log.labels.is_empty() {
                evaluator.file_labels(log.labels.clone());
            }
            Counter::new(reader, evaluator)
        });
        let nothing = TimeRange::believable(i64::MAX, i64::MAX);
        let windows = Minutes::new(closed);
        Some(Lines {
            pipeline: Pipeline::new(counters.collect(), nothing, windows, None)
                .with_envelopes(Envelopes::new(prepared.config.limits.line_bytes)),
            begun: Envelopes::new(prepared.config.limits.line_bytes),
            reading: None,
            stateful: log.compiled.iter().any(|one| one.format.is_stateful()),
            kept: HashMap::new(),
            current: None,
            runs: Vec::new(),
            bytes: 0,
            value_errors: vec![0; prepared.ruled],
            unparsed: Kept::default(),
            room_due: Duration::ZERO,
            prepared: Arc::clone(prepared),
            number,
        })
    }

    fn begin(&mut self, now: Now, closed: i64) {
        let agent = &self.prepared.config.agent;
        let range = now.believable(agent.max_lateness, agent.max_future);
        self.pipeline.set_range(range);
        self.pipeline.windows().closed = closed;
        if now.monotonic >= self.room_due {
            self.room_due = now.monotonic.saturating_add(samples::PAUSE);
            self.make_room();
        }
    }

    /// Lets a few lines be put aside that do not count.
    fn make_room(&mut self) {
        self.unparsed.make_room(samples::AT_A_TIME);
        self.pipeline.rejected.make_room(samples::AT_A_TIME);
        for counter in self.pipeline.counters() {
            let near = counter.evaluator().near_misses();
            near.make_room(samples::AT_A_TIME);
        }
    }

    /// Counts the next piece of the files; false when there is none.
    fn of_files<D: Disk>(
        &mut self,
        followers: &mut Followers<D>,
        buffer: &mut Vec<u8>,
        time: &mut LogTime,
    ) -> bool {
        let Some(piece) = followers.next(buffer) else {
            return false;
        };
        let (follower, generation) = (piece.follower, piece.generation);
        let text = match piece.what {
            What::Lines(text) => text,
            What::TooLong { bytes } => {
                self.pipeline.too_long();
                self.bytes += bytes + 1;
                return true;
            }
        };
        // Where one line's pieces are longer than the limit, what was begun is the file's own.
        if self.reading.replace((follower, generation)) != Some((follower, generation))
            || piece.first
        {
            self.forget_begun();
        }
        if self.stateful {
            let note = || followers.note(follower, generation).to_vec();
            self.switch(follower, generation, piece.first, note);
        }
        self.count(
            text,
            follower << POSITION_BITS | piece.offset,
            follower,
            time,
        );
        if self.stateful {
            let said = self.columns_line();
            if !said.is_empty() && said != followers.note(follower, generation) {
                let said = said.to_vec();
                followers.set_note(follower, generation, said);
            }
        }
        true
    }

    /// What the file last said of its columns, to the first of the formats that heard it.
    fn columns_line(&mut self) -> &[u8] {
        let counters = self.pipeline.counters().iter();
        let mut said = counters.map(|counter| counter.reader().columns_line());
        said.find(|line| !line.is_empty()).unwrap_or_default()
    }

    /// Counts the next block of a stream; false when there is none.
    fn of_stream(&mut self, source: &mut StreamSource, now: Now, time: &mut LogTime) -> bool {
        if source.again == 0 {
            let Some(block) = source.stream.try_next() else {
                source.at_end_since.get_or_insert(now.monotonic);
                return false;
            };
            source.held.push(block);
            source.again = 1;
            source.at_end_since = None;
        }
        let number = source.held.len() - source.again;
        source.again -= 1;
        if let Some(block) = source.held.get(number) {
            self.count(block, 0, 0, time);
        }
        true
    }

    fn count(&mut self, text: &[u8], position: u64, follower: u64, time: &mut LogTime) {
        self.pipeline.windows().newest = i64::MIN;
        let aside = &mut self.unparsed;
        let mut unparsed = |line: &[u8], _: u64, number: usize, mismatch: Mismatch| {
            aside.keep(line, || (number, mismatch));
        };
        self.pipeline.block(text, position, &mut unparsed);
        self.bytes += text.len() as u64;
        let newest = self.pipeline.windows().newest;
        if newest != i64::MIN {
            time.saw(follower, newest);
        }
    }

    fn forget_begun(&mut self) {
        if let Some(envelopes) = self.pipeline.envelopes() {
            envelopes.forget();
        }
    }

    /// Puts the readers of a generation into the pipeline.
    fn switch(&mut self, follower: u64, generation: u64, first: bool, note: impl Fn() -> Vec<u8>) {
        if self.current == Some((follower, generation)) && !first {
            return;
        }
        let known = self.kept.remove(&follower);
        let readers = known.filter(|(kept, _)| *kept == generation && !first);
        let readers = readers.map_or_else(|| self.fresh(&note()), |(_, readers)| readers);
        let counters = self.pipeline.counters().iter_mut().zip(readers);
        let before: Vec<Reader> = counters
            .map(|(counter, reader)| counter.restart(reader))
            .collect();
        if let Some((other, generation)) = self.current.replace((follower, generation))
            && other != follower
        {
            self.kept.insert(other, (generation, before));
        }
    }

    /// Readers that know what the note says.
    fn fresh(&self, note: &[u8]) -> Vec<Reader> {
        let Some(log) = self.prepared.logs.get(self.number) else {
            return Vec::new();
        };
        let mut readers = readers(&self.prepared, log);
        for reader in readers.iter_mut().filter(|_| !note.is_empty()) {
            let mut spans = vec![Span::ABSENT; reader.spans()];
            // A format that is no W3C log does not read the note, and need not.
            reader.read(note, &mut spans).ok();
        }
        readers
    }

    /// Hands counts over early when they need much memory.
    fn bound(&mut self) {
        if self.pipeline.bytes() < TABLE_BYTES {
            return;
        }
        for counter in self.pipeline.counters() {
            let mut run = Vec::new();
            counter
                .table
                .write_run(&mut run)
                .expect("writing to memory does not fail");
            counter.evaluator().forget();
            self.runs.push(run);
        }
    }

    fn take(&mut self) -> Taken {
        let mut runs = std::mem::take(&mut self.runs);
        let mut errors = vec![0; self.value_errors.len()];
        for counter in self.pipeline.counters() {
            let mut run = Vec::new();
            counter
                .table
                .take_run(&mut run)
                .expect("writing to memory does not fail");
            runs.push(run);
            for (sum, n) in errors.iter_mut().zip(counter.evaluator().value_errors()) {
                *sum += n;
            }
        }
        runs.retain(|run| !run.is_empty());
        let before = std::mem::replace(&mut self.value_errors, errors.clone());
        let new = errors.iter().zip(before).map(|(now, before)| now - before);
        let windows = self.pipeline.windows();
        let minutes = windows.take();
        let late = std::mem::take(&mut windows.late);
        Taken {
            runs,
            counts: std::mem::take(&mut self.pipeline.counts),
            late,
            bytes: std::mem::take(&mut self.bytes),
            minutes,
            value_errors: new.enumerate().filter(|(_, n)| *n > 0).collect(),
            dropped: 0,
            samples: self.aside(),
        }
    }

    /// What was put aside since the last call, with the reasons in words.
    fn aside(&mut self) -> Vec<Aside> {
        let log = self.prepared.logs.get(self.number);
        let reason = |number: usize, mismatch| {
            let format = log.and_then(|log| Some((log.compiled.get(number)?, log)));
            let name = log.and_then(|log| log.parsers.get(number));
            let (Some((one, _)), Some(name)) = (format, name) else {
                return String::new();
            };
            format!("{name}: {}", one.format.reason(mismatch))
        };
        let unparsed = self.unparsed.take().into_iter();
        let mut all: Vec<Aside> = unparsed
            .map(|((number, mismatch), line)| Aside::unparsed(reason(number, mismatch), line))
            .collect();
        let rejected = self.pipeline.rejected.take().into_iter();
        all.extend(rejected.map(|(why, line)| Aside::rejected(why, line)));
        for counter in self.pipeline.counters() {
            let near = counter.evaluator().near_misses().take().into_iter();
            all.extend(near.map(|(failed, line)| Aside::near_miss(failed, line)));
        }
        all
    }
}

fn readers(prepared: &Prepared, log: &PreparedLog) -> Vec<Reader> {
    let compiled = log.compiled.iter();
    let reader = |one: &crate::commands::engine::Compiled| {
        one.format.reader(&one.rules.wanted, &prepared.zone)
    };
    compiled.map(reader).collect()
}
