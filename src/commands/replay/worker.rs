//! One thread's share of a replay: tasks from the queue, lines through pipelines, counts into runs.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::job::{Job, Task};
use super::tally::{FileTally, Sampler};
use crate::commands::inputs::resumed;
use crate::commands::times::Steps;
use crate::parse::Envelopes;
use crate::pipeline::{Counter, Pipeline};
use crate::source::{Archive, ArchiveError, BLOCK_LEN, Block, Blocks, RangeBlocks};

/// Blocks that a decompressing thread may be ahead.
const AHEAD: usize = 8;

/// Why a worker stopped early.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkerError {
    /// A run could not be written.
    #[error("cannot write counts to the temporary folder (TMPDIR names another one)")]
    Spill(#[source] io::Error),
}

/// Works through the job's queue; returns what became of the lines of each input.
pub(super) fn work(
    job: &Job,
    next: &AtomicUsize,
) -> Result<HashMap<usize, FileTally>, WorkerError> {
    let mut worker = Worker {
        job,
        pipelines: HashMap::new(),
        tallies: HashMap::new(),
    };
    while let Some(task) = job.tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
        worker.task(task)?;
    }
    worker.finish()
}

struct Worker<'j> {
    job: &'j Job,
    /// By the parsers tried, in order, and whether lines come in pieces.
    pipelines: HashMap<(Vec<usize>, bool), Pipeline<Steps>>,
    tallies: HashMap<usize, FileTally>,
}

impl Worker<'_> {
    fn task(&mut self, task: &Task) -> Result<(), WorkerError> {
        let job = self.job;
        let Some(input) = job.inputs.get(task.input) else {
            return Ok(());
        };
        let mut lines = self.lines(task.input);
        let result = match &task.range {
            Some(range) => lines.ranges(&input.path, range.clone()),
            None => lines.archive(task.input),
        };
        let (error, spilled) = (result.err(), lines.spill_error.take());
        lines.close();
        if let Some(error) = error {
            self.tally(task.input).error = Some(error.to_string());
        }
        spilled.map_or(Ok(()), |error| Err(WorkerError::Spill(error)))
    }

    fn tally(&mut self, input: usize) -> &mut FileTally {
        self.tallies.entry(input).or_default()
    }

    /// The pipeline for an input, ready for its lines.
    fn lines(&mut self, input: usize) -> Lines<'_> {
        let job = self.job;
        let parsers = job.parsers_of(input);
        let pipeline = self
            .pipelines
            .entry((parsers.to_vec(), job.is_in_pieces(input)))
            .or_insert_with_key(|(parsers, in_pieces)| pipeline(job, parsers, *in_pieces));
        if let Some(envelopes) = pipeline.envelopes() {
            envelopes.forget();
        }
        pipeline.counts = crate::pipeline::LineCounts::default();
        if let Some(labels) = job.labels.get(input).filter(|labels| !labels.is_empty()) {
            for counter in pipeline.counters() {
                counter.evaluator().file_labels(labels.clone());
            }
        }
        for (counter, &number) in pipeline.counters().iter_mut().zip(parsers) {
            drop(counter.restart(job.reader(number)));
        }
        let tally = self.tallies.entry(input).or_default();
        Lines {
            job,
            pipeline,
            tally,
            spill_error: None,
            consumed: 0,
            input: input as u64,
        }
    }

    /// Hands all counts over.
    fn finish(self) -> Result<HashMap<usize, FileTally>, WorkerError> {
        let job = self.job;
        for (_, mut pipeline) in self.pipelines {
            for counter in pipeline.counters() {
                job.add_value_errors(counter.evaluator().value_errors());
                job.runs
                    .keep(&mut counter.table)
                    .map_err(WorkerError::Spill)?;
            }
        }
        Ok(self.tallies)
    }
}

fn pipeline(job: &Job, parsers: &[usize], in_pieces: bool) -> Pipeline<Steps> {
    let counters = parsers.iter().filter_map(|&number| {
        let compiled = job.compiled.get(number)?;
        let evaluator = compiled.evaluator(&job.trusted, &job.geo);
        Some(Counter::new(job.reader(number), evaluator))
    });
    let pipeline = Pipeline::new(
        counters.collect(),
        job.range,
        job.steps.clone(),
        job.literal(parsers),
    );
    if in_pieces {
        pipeline.with_envelopes(Envelopes::new(job.line_bytes))
    } else {
        pipeline
    }
}

/// The lines of one task on their way through a pipeline.
struct Lines<'w> {
    job: &'w Job,
    pipeline: &'w mut Pipeline<Steps>,
    tally: &'w mut FileTally,
    spill_error: Option<io::Error>,
    consumed: u64,
    input: u64,
}

impl Lines<'_> {
    fn ranges(&mut self, path: &Path, range: std::ops::Range<u64>) -> Result<(), ArchiveError> {
        let length = range.end.min(self.job.size(self.input)) - range.start;
        let mut blocks = RangeBlocks::open(path, range, self.job.line_bytes)?;
        let mut read = 0;
        while let Some(block) = blocks.next_block()? {
            read += self.block(block);
            self.progress(read.min(length));
        }
        self.progress(length);
        Ok(())
    }

    fn archive(&mut self, input: usize) -> Result<(), ArchiveError> {
        let (archive, head) = self.job.open(input)?;
        self.tally.compression = archive.compression().to_string();
        if self.job.overlap && archive.compression() != crate::source::Compression::Plain {
            return self.overlapped(archive, head);
        }
        let progress = archive.progress();
        self.blocks(resumed(head, archive), &progress)
    }

    /// Counts all blocks of a stream.
    fn blocks(
        &mut self,
        read: impl FnMut(&mut [u8]) -> Result<usize, ArchiveError>,
        progress: &AtomicU64,
    ) -> Result<(), ArchiveError> {
        let mut blocks = Blocks::new(read, self.job.line_bytes);
        while let Some(block) = blocks.next_block()? {
            self.block(block);
            self.progress(progress.load(Ordering::Relaxed));
        }
        self.progress(self.job.size(self.input));
        Ok(())
    }

    /// Decompresses on a thread of its own while this one counts; `head` is text that was read of
    /// the archive before.
    fn overlapped(&mut self, mut archive: Archive, head: Vec<u8>) -> Result<(), ArchiveError> {
        let progress = archive.progress();
        std::thread::scope(|scope| {
            let (full, filled) = sync_channel::<Result<Vec<u8>, ArchiveError>>(AHEAD);
            let (empty, emptied) = sync_channel::<Vec<u8>>(AHEAD + 2);
            scope.spawn(move || decompress(&mut archive, &full, &emptied));
            let mut current = io::Cursor::new(head);
            let read = |buffer: &mut [u8]| loop {
                let ready = io::Read::read(&mut current, buffer).unwrap_or_default();
                if ready > 0 {
                    return Ok(ready);
                }
                match filled.recv() {
                    Err(_) => return Ok(0),
                    Ok(Err(error)) => return Err(error),
                    Ok(Ok(next)) => {
                        let used = std::mem::replace(&mut current, io::Cursor::new(next));
                        // A full channel only means that the buffer is not used again.
                        drop(empty.try_send(used.into_inner()));
                    }
                }
            };
            self.blocks(read, &progress)
        })
    }

    /// Counts a block; returns how many bytes of text it was.
    fn block(&mut self, block: Block<'_>) -> u64 {
        let taken = match block {
            Block::Lines { bytes, offset } => {
                let (tally, job, input) = (&mut *self.tally, self.job, self.input);
                let sampler: &mut Sampler = &mut tally.sampler;
                let position = input << 44 | offset;
                self.pipeline
                    .block(bytes, position, &mut |line, position, number, mismatch| {
                        sampler.take(
                            line,
                            position & ((1 << 44) - 1),
                            || job.explain(input, number, mismatch),
                            mismatch.at,
                        );
                    });
                bytes.len() as u64
            }
            Block::TooLong { bytes, .. } => {
                self.pipeline.too_long();
                bytes + 1
            }
            Block::Torn { .. } => 0,
        };
        self.tally.bytes += taken;
        self.spill_when_large();
        taken
    }

    fn spill_when_large(&mut self) {
        if self.pipeline.bytes() < self.job.memory_per_worker {
            return;
        }
        for counter in self.pipeline.counters() {
            if let Err(error) = self.job.runs.spill(&mut counter.table) {
                self.spill_error.get_or_insert(error);
            }
            counter.evaluator().forget();
        }
    }

    fn progress(&mut self, consumed: u64) {
        self.job
            .progress
            .inc(consumed.saturating_sub(self.consumed));
        self.consumed = self.consumed.max(consumed);
    }

    fn close(self) {
        self.tally.counts.add(&self.pipeline.counts);
    }
}

/// Fills buffers until the archive ends or nobody wants them.
fn decompress(
    archive: &mut Archive,
    full: &SyncSender<Result<Vec<u8>, ArchiveError>>,
    emptied: &Receiver<Vec<u8>>,
) {
    loop {
        let mut buffer = emptied.try_recv().unwrap_or_default();
        buffer.resize(BLOCK_LEN, 0);
        let sent = match archive.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => {
                buffer.truncate(length);
                full.send(Ok(buffer))
            }
            Err(error) => full.send(Err(error)),
        };
        if sent.is_err() {
            return;
        }
    }
}
