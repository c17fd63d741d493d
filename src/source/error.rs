//! Why an input could not be read to its end, and where that was.
//!
//! Positions are kept twice: in the text, for who wants to know which lines are there, and in the
//! file, for who wants to look at the damage. Messages show paths escaped, and never the bytes
//! that were read.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::{Compression, Shown};

/// Where in which input something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The input as shown to people; `-` for standard input.
    pub path: PathBuf,
    /// How the input is compressed.
    pub compression: Compression,
    /// Decompressed bytes delivered before.
    pub text: u64,
    /// Bytes of the file itself consumed before.
    pub consumed: u64,
}

impl Place {
    /// "gzip archive" or "file".
    fn what(&self) -> impl fmt::Display {
        fmt::from_fn(|f| match self.compression {
            Compression::Plain => f.write_str("file"),
            other => write!(f, "{other} archive"),
        })
    }

    /// What was refused to a decoder, with a way out where there is one.
    fn demand(&self) -> &'static str {
        match self.compression {
            Compression::Zstd => {
                "needs a window of more than 128 MiB (`zstd -dc --long=31` can pipe its text to `-`)"
            }
            Compression::Xz => {
                "needs more than 256 MiB of memory (`xz -dc` can pipe its text to `-`)"
            }
            _ => "needs more memory than there is",
        }
    }
}

/// The position alone: "1234 compressed bytes (at byte 5678 of the text)".
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.compression {
            Compression::Plain => write!(f, "{} bytes", self.consumed),
            _ => write!(
                f,
                "{} compressed bytes (at byte {} of the text)",
                self.consumed, self.text
            ),
        }
    }
}

/// The limit an archive went past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cap {
    /// [`super::Limits::ratio`].
    Ratio(u64),
    /// [`super::Limits::text`].
    Text(u64),
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cap::Ratio(ratio) => write!(f, "{ratio} times its size"),
            Cap::Text(bytes) => write!(f, "{bytes} bytes of text"),
        }
    }
}

/// Why an input could not be opened, or where its text stops and why.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The path does not lead to something readable.
    #[error("{}: cannot be opened", Shown(path))]
    Open {
        /// The path that was asked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Only regular files are opened by path: opening a pipe could wait for ever.
    #[error("{}: is a {kind}, not a regular file", Shown(path))]
    NotRegular {
        /// The path that was asked for.
        path: PathBuf,
        /// The noun for what is there.
        kind: &'static str,
    },
    /// The system failed to deliver more bytes of the file.
    #[error("{}: cannot be read after {at}", Shown(&at.path))]
    Read {
        /// Where reading stopped.
        at: Place,
        /// What the system said.
        source: io::Error,
    },
    /// The file ends, its last member does not.
    #[error("{}: cut {}: ends inside a {} after {at}", Shown(&at.path), at.what(), at.compression.part())]
    Cut {
        /// The end of the file.
        at: Place,
    },
    /// The bytes are not what the format allows, or a checksum is wrong.
    #[error("{}: corrupt {}: damage in a {} found after {at}", Shown(&at.path), at.what(), at.compression.part())]
    Corrupt {
        /// Where the decoder gave up; the damage lies at or before it.
        at: Place,
        /// What the decoder said.
        source: io::Error,
    },
    /// The last member is whole and something that is not a member follows.
    #[error(
        "{}: trailing garbage in {}: no {} begins after {at}",
        Shown(&at.path),
        at.what(),
        at.compression.part()
    )]
    Garbage {
        /// Where the garbage begins.
        at: Place,
    },
    /// Decompression would need a larger window or dictionary than is allowed.
    #[error("{}: {} {} after {at}", Shown(&at.path), at.what(), at.demand())]
    Memory {
        /// The member that asks for it begins here or shortly before.
        at: Place,
        /// What the decoder said.
        source: io::Error,
    },
    /// The text is so much larger than the file that it is no log.
    #[error("{}: {} swells to more than {cap} after {at}", Shown(&at.path), at.what())]
    Bomb {
        /// Where decompression was stopped.
        at: Place,
        /// The limit that was passed.
        cap: Cap,
    },
}
