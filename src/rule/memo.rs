//! Which number a short label input was given: a small, direct-mapped cache.
//!
//! An input of up to 32 bytes is a key of four words, read with loads that overlap, so that neither
//! finding nor comparing calls anything. Two inputs of one length with equal words are equal, which
//! is all that correctness rests on; where a key lands decides only how fast it is found. A hostile
//! log can empty the cache, not slow a look-up down.

const ENTRIES: usize = 1024;

/// An input as words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    words: [u64; 4],
    length: u32,
}

/// The cache.
#[derive(Debug)]
pub(super) struct Memo {
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: Key,
    id: u32,
}

/// No input is this long.
const EMPTY: Entry = Entry {
    key: Key {
        words: [0; 4],
        length: u32::MAX,
    },
    id: 0,
};

impl PartialEq for Key {
    /// Word by word: a wide load of words just written waits for the writes to finish.
    #[inline]
    fn eq(&self, other: &Key) -> bool {
        let ([a, b, c, d], [e, f, g, h]) = (self.words, other.words);
        self.length == other.length
            && (a ^ e) | (b ^ f) == 0
            && (self.length <= 16 || (c ^ g) | (d ^ h) == 0)
    }
}

impl Key {
    /// `None` for an input of more than 32 bytes.
    #[inline]
    pub(super) fn of(input: &[u8]) -> Option<Key> {
        let length = u32::try_from(input.len()).ok()?;
        let mut words = [0; 4];
        let [a, b, c, d] = &mut words;
        match input.len() {
            0..=3 => {
                *a = input
                    .iter()
                    .fold(0, |word, &byte| word << 8 | u64::from(byte))
            }
            4..=7 => {
                *a =
                    u64::from(four(input.first_chunk())) << 32 | u64::from(four(input.last_chunk()))
            }
            8..=16 => (*a, *b) = (eight(input.first_chunk()), eight(input.last_chunk())),
            17..=32 => {
                (*a, *b) = (
                    eight(input.first_chunk()),
                    eight(input.get(8..)?.first_chunk()),
                );
                (*c, *d) = (
                    eight(input.get(input.len() - 16..)?.first_chunk()),
                    eight(input.last_chunk()),
                );
            }
            _ => return None,
        }
        Some(Key { words, length })
    }

    #[inline]
    fn place(&self) -> usize {
        const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
        let [a, b, c, d] = self.words;
        let mixed = (a
            ^ b.rotate_left(23)
            ^ c.rotate_left(41)
            ^ d.rotate_left(11)
            ^ u64::from(self.length))
        .wrapping_mul(MIX);
        (mixed >> 54) as usize % ENTRIES
    }
}

#[inline]
fn four(bytes: Option<&[u8; 4]>) -> u32 {
    bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

#[inline]
fn eight(bytes: Option<&[u8; 8]>) -> u64 {
    bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

impl Memo {
    pub(super) fn new() -> Memo {
        Memo {
            entries: vec![EMPTY; ENTRIES],
        }
    }

    pub(super) fn clear(&mut self) {
        self.entries.fill(EMPTY);
    }

    #[inline]
    pub(super) fn find(&self, key: Key) -> Option<u32> {
        let entry = self.entries.get(key.place())?;
        (entry.key == key).then_some(entry.id)
    }

    pub(super) fn keep(&mut self, key: Key, id: u32) {
        if let Some(entry) = self.entries.get_mut(key.place()) {
            *entry = Entry { key, id };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_are_equal_exactly_when_inputs_are(
            a in prop::collection::vec(0u8..3, 0..34),
            b in prop::collection::vec(0u8..3, 0..34),
        ) {
            for (a, b) in [(&a, &b), (&a, &a)] {
                match (Key::of(a), Key::of(b)) {
                    (Some(x), Some(y)) => prop_assert_eq!(x == y, a == b),
                    (x, y) => prop_assert!((x.is_none() == (a.len() > 32)) && (y.is_none() == (b.len() > 32))),
                }
            }
        }
    }

    #[test]
    fn a_number_is_found_until_another_key_takes_its_place() {
        let mut memo = Memo::new();
        let keys: Vec<Key> = (0..3000u32)
            .filter_map(|n| Key::of(n.to_string().as_bytes()))
            .collect();
        for (id, &key) in (0..).zip(&keys) {
            memo.keep(key, id);
            assert_eq!(memo.find(key), Some(id));
        }
        let kept = (0..)
            .zip(&keys)
            .filter(|&(id, &key)| memo.find(key) == Some(id))
            .count();
        assert!(
            kept > 500
                && (0..)
                    .zip(&keys)
                    .all(|(id, &key)| memo.find(key).is_none_or(|found| found == id))
        );
    }
}
