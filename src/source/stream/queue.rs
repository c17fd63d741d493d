//! What threads have read and the owner of the stream has not yet taken.
//!
//! Invariant: at most [`ROOM`] bytes wait, or a single block. A block that fits into the one before
//! it is appended to it, so that many small messages cost no more room than their bytes: a channel
//! of so many blocks would be full after as many single messages.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::{BLOCK_LEN, StreamError};

/// Bytes that may wait.
pub(super) const ROOM: usize = 64 * BLOCK_LEN;

/// A number that only grows.
#[derive(Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    /// Counts so many more.
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many there were.
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A bounded queue of blocks between the threads of a stream and its owner.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    room: Condvar,
    /// The owner is gone.
    closed: AtomicBool,
    /// See [`super::Stream::dropped`].
    pub(super) dropped: Count,
    /// See [`super::Stream::too_long`].
    pub(super) too_long: Count,
}

#[derive(Default)]
struct State {
    blocks: VecDeque<Vec<u8>>,
    /// The sum of their lengths.
    bytes: usize,
    /// No more blocks will come.
    ended: bool,
    error: Option<StreamError>,
}

impl State {
    fn has_room(&self, len: usize) -> bool {
        self.bytes == 0 || self.bytes.saturating_add(len) <= ROOM
    }

    fn push(&mut self, block: &[u8]) {
        self.bytes += block.len();
        match self.blocks.back_mut() {
            Some(last) if last.len().saturating_add(block.len()) <= BLOCK_LEN => {
                last.extend_from_slice(block);
            }
            _ => self.blocks.push_back(block.to_vec()),
        }
    }
}

impl Queue {
    /// Nothing is left half done while the lock is held, so a panic elsewhere spoils nothing.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a block in, waiting for room; `false` when the owner is gone.
    pub(super) fn put(&self, block: &[u8]) -> bool {
        let mut state = self.state();
        while !self.is_closed() && !state.has_room(block.len()) {
            state = self
                .room
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if self.is_closed() {
            return false;
        }
        state.push(block);
        true
    }

    /// Puts a block in if there is room; says whether there was.
    pub(super) fn try_put(&self, block: &[u8]) -> bool {
        let mut state = self.state();
        let fits = state.has_room(block.len());
        if fits {
            state.push(block);
        }
        fits
    }

    /// The oldest block.
    pub(super) fn take(&self) -> Option<Vec<u8>> {
        let mut state = self.state();
        let block = state.blocks.pop_front()?;
        state.bytes = state.bytes.saturating_sub(block.len());
        self.room.notify_all();
        Some(block)
    }

    /// No more blocks will come, perhaps because of an error.
    pub(super) fn end(&self, error: Option<StreamError>) {
        let mut state = self.state();
        state.ended = true;
        state.error = error;
    }

    /// Everything was taken and no more will come.
    pub(super) fn is_at_end(&self) -> bool {
        let state = self.state();
        state.ended && state.blocks.is_empty()
    }

    /// The error of [`Queue::end`], once.
    pub(super) fn take_error(&self) -> Option<StreamError> {
        self.state().error.take()
    }

    /// The owner takes no more; who waits for room is let go.
    pub(super) fn close(&self) {
        // Under the lock, or a thread between its look and its wait would miss the call.
        let _state = self.state();
        self.closed.store(true, Ordering::Release);
        self.room.notify_all();
    }

    /// The owner takes no more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

#[cfg(test)]
impl Queue {
    /// [`Queue::end`] was called.
    pub(super) fn state_has_ended(&self) -> bool {
        self.state().ended
    }

    /// A block of this length would have to wait.
    pub(super) fn is_full_for(&self, len: usize) -> bool {
        !self.state().has_room(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_blocks_share_room_and_order_is_kept() {
        let queue = Queue::default();
        let mut expected = Vec::new();
        for number in 0..20_000 {
            let line = format!("{number}\n");
            assert!(queue.try_put(line.as_bytes()));
            expected.extend_from_slice(line.as_bytes());
        }
        let mut taken = Vec::new();
        while let Some(block) = queue.take() {
            assert!(block.len() <= BLOCK_LEN);
            taken.extend(block);
        }
        assert!(taken == expected);
    }

    #[test]
    fn a_full_queue_refuses_until_something_was_taken() {
        let queue = Queue::default();
        let block = vec![b'x'; BLOCK_LEN];
        for _ in 0..64 {
            assert!(queue.try_put(&block));
        }
        assert!(!queue.try_put(b"x\n"));
        queue.take().unwrap();
        assert!(queue.try_put(b"x\n"));
    }

    #[test]
    fn a_block_larger_than_the_room_passes_alone() {
        let queue = Queue::default();
        let block = vec![b'x'; ROOM + 1];
        assert!(queue.try_put(&block));
        assert!(!queue.try_put(b"x\n"));
        assert_eq!(queue.take().unwrap().len(), ROOM + 1);
        assert!(queue.try_put(b"x\n"));
    }

    #[test]
    fn closing_lets_go_who_waits_for_room() {
        let queue = Queue::default();
        assert!(queue.put(&vec![b'x'; ROOM]));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.put(b"x\n"));
            queue.close();
            assert!(!waiting.join().unwrap());
        });
    }

    #[test]
    fn the_end_comes_after_the_last_block() {
        let queue = Queue::default();
        assert!(queue.put(b"x\n"));
        queue.end(None);
        assert!(!queue.is_at_end());
        queue.take().unwrap();
        assert!(queue.is_at_end());
    }
}
