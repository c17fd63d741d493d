//! A few lines put aside as they were, for people who ask why they did not count.
//!
//! Invariant: nothing is kept unless there was made room for it, and no more than that; of a line no
//! more than [`LINE_BYTES`]. Whoever makes no room pays one comparison for a line that is not counted.

/// Most bytes that are kept of a line.
pub const LINE_BYTES: usize = 2 << 10;

/// Lines put aside, each with what was said of it.
#[derive(Clone, Debug)]
pub struct Kept<R> {
    room: usize,
    lines: Vec<(R, Vec<u8>)>,
}

/// Without room.
impl<R> Default for Kept<R> {
    fn default() -> Kept<R> {
        Kept {
            room: 0,
            lines: Vec::new(),
        }
    }
}

impl<R> Kept<R> {
    /// From now on so many more lines are kept.
    pub fn make_room(&mut self, lines: usize) {
        self.room = lines;
    }

    /// Puts a line aside if there is room.
    #[inline]
    pub fn keep(&mut self, line: &[u8], why: impl FnOnce() -> R) {
        if self.room > 0 {
            self.room -= 1;
            let line = line.get(..LINE_BYTES).unwrap_or(line);
            self.lines.push((why(), line.to_vec()));
        }
    }

    /// The lines kept since the last call.
    pub fn take(&mut self) -> Vec<(R, Vec<u8>)> {
        std::mem::take(&mut self.lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let mut kept = Kept::default();
        kept.keep(b"before", || 0);
        assert!(kept.take().is_empty());
        kept.make_room(2);
        for number in 0..5 {
            kept.keep(&[b'x'; 2 * LINE_BYTES], || number);
        }
        let lines = kept.take();
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|(_, line)| line.len() == LINE_BYTES));
        assert_eq!((lines[0].0, lines[1].0), (0, 1));
        kept.keep(b"after", || 6);
        assert!(kept.take().is_empty());
    }
}
