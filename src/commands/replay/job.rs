//! What all workers of a replay share, fixed before the first line is read, but for the counts they
//! hand over.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::ProgressBar;

use super::runs::Runs;
use crate::commands::detect::Fit;
use crate::commands::engine::Compiled;
use crate::commands::times::Steps;
use crate::geo::{GeoDatabases, Trust};
use crate::metrics::Metric;
use crate::parse::{Reader, Zone};
use crate::pipeline::TimeRange;
use crate::record::Mismatch;
use crate::source::{Archive, ArchiveError, InputKind, Limits};

/// A file, or standard input, and what reads it.
pub(super) struct ReplayInput {
    pub(super) path: PathBuf,
    pub(super) kind: InputKind,
    pub(super) size: u64,
    /// Numbers of the compiled formats to try.
    pub(super) parsers: Vec<usize>,
    /// How the parser was found, when it was detected.
    pub(super) detected: Option<Fit>,
    /// The input that this one repeats.
    pub(super) duplicate_of: Option<usize>,
    /// It is plain text.
    pub(super) plain: bool,
    /// Its lines are in envelopes that cut or escape them.
    pub(super) in_pieces: bool,
    /// No parser reads it, and nobody asked for it by name.
    pub(super) left_out: bool,
}

impl ReplayInput {
    /// False for what was counted already and for what is no log.
    pub(super) fn is_read(&self) -> bool {
        self.duplicate_of.is_none() && !self.left_out
    }
}

/// A piece of work for one worker.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) input: usize,
    /// Bytes of a plain file; the whole input when none.
    pub(super) range: Option<std::ops::Range<u64>>,
}

/// See the file's head.
pub(super) struct Job {
    pub(super) inputs: Vec<ReplayInput>,
    pub(super) tasks: Vec<Task>,
    pub(super) compiled: Vec<Compiled>,
    pub(super) metrics: Arc<Vec<Metric>>,
    pub(super) geo: Arc<GeoDatabases>,
    pub(super) trusted: Arc<Trust>,
    pub(super) zone: Zone,
    pub(super) range: TimeRange,
    pub(super) steps: Steps,
    /// Label values of each input; empty without `--label`.
    pub(super) labels: Vec<Vec<Vec<u8>>>,
    /// Lines may be passed over unread when they lack a literal that every wanted rule needs.
    pub(super) may_skip: bool,
    pub(super) limits: Limits,
    pub(super) line_bytes: usize,
    pub(super) memory_per_worker: usize,
    /// Archives are decompressed on a thread of their own.
    pub(super) overlap: bool,
    pub(super) runs: Runs,
    pub(super) progress: ProgressBar,
    /// Standard input and what detection has read of it.
    pub(super) stdin: Mutex<Option<(Archive, Vec<u8>)>>,
    pub(super) value_errors: Mutex<Vec<u64>>,
}

impl Job {
    /// Numbers of the formats to try on an input's lines.
    pub(super) fn parsers_of(&self, input: usize) -> &[usize] {
        self.inputs.get(input).map_or(&[], |input| &input.parsers)
    }

    /// Whether an input's lines are in envelopes that cut or escape them.
    pub(super) fn is_in_pieces(&self, input: usize) -> bool {
        self.inputs.get(input).is_some_and(|input| input.in_pieces)
    }

    /// A reader for the fields that a format's rules want.
    pub(super) fn reader(&self, number: usize) -> Reader {
        let compiled = self
            .compiled
            .get(number)
            .expect("parser numbers come from the job");
        compiled.format.reader(&compiled.rules.wanted, &self.zone)
    }

    /// What every line holds that any of the formats' rules can take; `None` when lines must not
    /// be skipped.
    pub(super) fn literal(&self, parsers: &[usize]) -> Option<&[u8]> {
        let mut literals = parsers
            .iter()
            .map(|&number| self.compiled.get(number)?.rules.literal.as_deref());
        let first = literals.next()??;
        (self.may_skip && literals.all(|other| other == Some(first))).then_some(first)
    }

    /// An input's archive and what was read of it before.
    pub(super) fn open(&self, input: usize) -> Result<(Archive, Vec<u8>), ArchiveError> {
        let input = self
            .inputs
            .get(input)
            .expect("tasks name inputs of the job");
        if input.kind == InputKind::Stdin {
            let taken = self
                .stdin
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some(opened) = taken {
                return Ok(opened);
            }
        }
        Ok((Archive::open(&input.path, self.limits)?, Vec::new()))
    }

    /// Size of an input's file.
    pub(super) fn size(&self, input: u64) -> u64 {
        usize::try_from(input)
            .ok()
            .and_then(|input| self.inputs.get(input))
            .map_or(0, |input| input.size)
    }

    /// Why a format did not read a line, in words.
    pub(super) fn explain(&self, input: u64, number: usize, mismatch: Mismatch) -> String {
        let parsers = usize::try_from(input).map_or(&[][..], |input| self.parsers_of(input));
        let compiled = parsers
            .get(number)
            .and_then(|&number| self.compiled.get(number));
        compiled.map_or_else(String::new, |compiled| compiled.format.explain(mismatch))
    }

    /// Adds a worker's values that were no numbers.
    pub(super) fn add_value_errors(&self, errors: &[u64]) {
        let mut all = self
            .value_errors
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if all.len() < errors.len() {
            all.resize(errors.len(), 0);
        }
        for (sum, more) in all.iter_mut().zip(errors) {
            *sum += more;
        }
    }
}
