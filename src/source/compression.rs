//! Telling a compression by its magic bytes.
//!
//! A rotated log may be called anything, so names are never asked. Bytes that begin like no known
//! format are plain text; so is a file too short to hold a whole magic.

use std::fmt;

/// How an input is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not compressed.
    Plain,
    /// RFC 1952, one or more members.
    Gzip,
    /// RFC 8878, one or more frames, skippable ones included.
    Zstd,
    /// One or more streams of the `bzip2` program.
    Bzip2,
    /// One or more streams of the .xz file format.
    Xz,
}

/// How the bytes at hand relate to a magic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// The whole magic is there.
    Whole,
    /// All bytes there are fit, more are needed.
    Begun,
    /// Something else.
    Not,
}

/// One magic: for each position the lowest and the highest byte allowed there.
type Magic = &'static [(u8, u8)];

/// Only complete magics decide: text may well begin with `BZh9` or `(`.
const MAGICS: &[(Compression, Magic)] = &[
    (Compression::Gzip, &[(0x1f, 0x1f), (0x8b, 0x8b)]),
    (
        Compression::Zstd,
        &[(0x28, 0x28), (0xb5, 0xb5), (0x2f, 0x2f), (0xfd, 0xfd)],
    ),
    // Skippable frames, RFC 8878 section 3.1.2; pzstd begins its files with one.
    (
        Compression::Zstd,
        &[(0x50, 0x5f), (0x2a, 0x2a), (0x4d, 0x4d), (0x18, 0x18)],
    ),
    // The header with its level, then the magic of a first block: the digits of pi.
    (
        Compression::Bzip2,
        &[
            (b'B', b'B'),
            (b'Z', b'Z'),
            (b'h', b'h'),
            (b'1', b'9'),
            (0x31, 0x31),
            (0x41, 0x41),
            (0x59, 0x59),
            (0x26, 0x26),
            (0x53, 0x53),
            (0x59, 0x59),
        ],
    ),
    // An empty stream: its end mark, the digits of the square root of pi, comes first.
    (
        Compression::Bzip2,
        &[
            (b'B', b'B'),
            (b'Z', b'Z'),
            (b'h', b'h'),
            (b'1', b'9'),
            (0x17, 0x17),
            (0x72, 0x72),
            (0x45, 0x45),
            (0x38, 0x38),
            (0x50, 0x50),
            (0x90, 0x90),
        ],
    ),
    (
        Compression::Xz,
        &[
            (0xfd, 0xfd),
            (b'7', b'7'),
            (b'z', b'z'),
            (b'X', b'X'),
            (b'Z', b'Z'),
            (0, 0),
        ],
    ),
];

/// Bytes that are enough to tell any compression.
pub(super) const LONGEST_MAGIC: usize = 10;

impl Compression {
    /// The compression whose magic `head` begins with; `None` while `head` is too short to tell.
    pub(super) fn of_head(head: &[u8]) -> Option<Compression> {
        let mut begun = false;
        for (compression, magic) in MAGICS {
            match fit(magic, head) {
                Fit::Whole => return Some(*compression),
                Fit::Begun => begun = true,
                Fit::Not => {}
            }
        }
        if begun {
            None
        } else {
            Some(Compression::Plain)
        }
    }

    /// Whether `head` begins another member of this compression.
    pub(super) fn member(self, head: &[u8]) -> Fit {
        let own = MAGICS
            .iter()
            .filter(|(compression, _)| *compression == self);
        let fits = own.map(|(_, magic)| fit(magic, head));
        fits.fold(Fit::Not, |best, fit| match (best, fit) {
            (Fit::Whole, _) | (_, Fit::Whole) => Fit::Whole,
            (Fit::Begun, _) | (_, Fit::Begun) => Fit::Begun,
            _ => Fit::Not,
        })
    }

    /// What the format's own documents call one of the parts an archive may be made of.
    pub(super) fn part(self) -> &'static str {
        match self {
            Compression::Plain => "file",
            Compression::Gzip => "member",
            Compression::Zstd => "frame",
            Compression::Bzip2 | Compression::Xz => "stream",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Compression::Plain => "plain",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
            Compression::Bzip2 => "bzip2",
            Compression::Xz => "xz",
        })
    }
}

fn fit(magic: Magic, head: &[u8]) -> Fit {
    let agrees = magic
        .iter()
        .zip(head)
        .all(|((low, high), byte)| (low..=high).contains(&byte));
    match (agrees, head.len() >= magic.len()) {
        (true, true) => Fit::Whole,
        (true, false) => Fit::Begun,
        (false, _) => Fit::Not,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_magic_is_longer_than_the_longest() {
        assert_eq!(
            MAGICS.iter().map(|(_, magic)| magic.len()).max(),
            Some(LONGEST_MAGIC)
        );
    }

    #[test]
    fn text_is_told_by_its_first_unfitting_byte() {
        assert_eq!(Compression::of_head(b"1"), Some(Compression::Plain));
        assert_eq!(Compression::of_head(b"BZ"), None);
        assert_eq!(
            Compression::of_head(b"BZh9 is a line"),
            Some(Compression::Plain)
        );
        assert_eq!(Compression::of_head(b""), None);
    }

    #[test]
    fn every_magic_is_told() {
        let heads: [(&[u8], Compression); 5] = [
            (b"\x1f\x8b\x08", Compression::Gzip),
            (b"\x28\xb5\x2f\xfd\0", Compression::Zstd),
            (b"\x5a\x2a\x4d\x18", Compression::Zstd),
            (b"BZh31AY&SY", Compression::Bzip2),
            (b"\xfd7zXZ\0", Compression::Xz),
        ];
        for (head, compression) in heads {
            assert_eq!(Compression::of_head(head), Some(compression));
            assert_eq!(compression.member(head), Fit::Whole);
            assert_eq!(compression.member(&head[..1]), Fit::Begun);
            assert_eq!(compression.member(b"\n"), Fit::Not);
        }
    }
}
