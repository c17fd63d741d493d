//! Collects lines of one producer into blocks and hands them over.
//!
//! Invariant: a block ends with a line. A line of a syslog message holds no LF and no CR inside:
//! both become spaces, so that a forged line break does not make two records out of one message. The
//! header of a message stays: what it is, formats know.

use std::sync::Arc;

use super::super::wake::Wake;
use super::queue::Queue;
use super::{BLOCK_LEN, StreamError};

/// What happens to a block that finds the queue full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhenFull {
    /// Its producer waits.
    Wait,
    /// Its lines are dropped and counted.
    Drop,
}

/// One producer's end of the queue. Cloning makes one for another producer.
pub(super) struct Outbox {
    queue: Arc<Queue>,
    wake: Wake,
    line_bytes: usize,
    full: WhenFull,
    block: Vec<u8>,
    /// Lines in the block.
    lines: u64,
}

impl Clone for Outbox {
    fn clone(&self) -> Outbox {
        Outbox::new(
            self.queue.clone(),
            self.wake.clone(),
            self.line_bytes,
            self.full,
        )
    }
}

impl Outbox {
    /// An empty outbox for lines of at most `line_bytes`.
    pub(super) fn new(queue: Arc<Queue>, wake: Wake, line_bytes: usize, full: WhenFull) -> Outbox {
        Outbox {
            queue,
            wake,
            line_bytes,
            full,
            block: Vec::new(),
            lines: 0,
        }
    }

    /// Bytes that a line may have without its LF.
    pub(super) fn line_bytes(&self) -> usize {
        self.line_bytes
    }

    /// Nothing waits to be handed over.
    pub(super) fn is_empty(&self) -> bool {
        self.block.is_empty()
    }

    /// Somebody still takes what is handed over.
    pub(super) fn is_wanted(&self) -> bool {
        !self.queue.is_closed()
    }

    /// Adds a line as it is, without its LF.
    pub(super) fn line(&mut self, line: &[u8]) {
        if line.len() > self.line_bytes {
            self.too_long();
            return;
        }
        self.make_room(line.len());
        self.block.extend_from_slice(line);
        self.finish_line();
    }

    /// Adds a syslog message; a frame of nothing but line ends is none.
    pub(super) fn message(&mut self, frame: &[u8]) {
        let line = without_ends(frame);
        if line.is_empty() {
            return;
        }
        if line.len() > self.line_bytes {
            self.too_long();
            return;
        }
        self.make_room(line.len());
        self.block.extend(line.iter().map(|byte| match byte {
            b'\n' | b'\r' => b' ',
            other => *other,
        }));
        self.finish_line();
    }

    /// Counts a line that was too long to be kept.
    pub(super) fn too_long(&mut self) {
        self.queue.too_long.add(1);
    }

    /// Counts something that was lost.
    pub(super) fn lost(&mut self) {
        self.queue.dropped.add(1);
    }

    fn make_room(&mut self, len: usize) {
        if self.block.len().saturating_add(len) >= BLOCK_LEN {
            self.hand_over();
        }
    }

    fn finish_line(&mut self) {
        self.block.push(b'\n');
        self.lines += 1;
    }

    /// Hands over what was collected, and wakes who takes it.
    pub(super) fn hand_over(&mut self) {
        if self.block.is_empty() {
            return;
        }
        let taken = match self.full {
            WhenFull::Wait => self.queue.put(&self.block),
            WhenFull::Drop => self.queue.try_put(&self.block),
        };
        if !taken {
            self.queue.dropped.add(self.lines);
        }
        // A block grown for a long line is not kept.
        self.block.clear();
        self.block.shrink_to(BLOCK_LEN);
        self.lines = 0;
        (self.wake)();
    }

    /// Hands over the rest; nothing follows.
    pub(super) fn end(mut self, error: Option<StreamError>) {
        self.hand_over();
        self.queue.end(error);
        (self.wake)();
    }
}

/// A frame without the NUL, LF and CR that its sender put behind the message.
fn without_ends(mut frame: &[u8]) -> &[u8] {
    while let Some((b'\n' | b'\r' | 0, before)) = frame.split_last() {
        frame = before;
    }
    frame
}
