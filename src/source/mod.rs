//! Where replayed lines come from: files, folders, patterns and standard input, compressed or not.
//!
//! The path of the bytes is [`expand`] (arguments to inputs) → [`duplicates`] (the same content
//! twice) → [`Archive`] (decompressed bytes) → [`Blocks`] or [`RangeBlocks`] (whole lines).
//!
//! Invariant: nothing ends early in silence. What could be read is delivered, then the error says
//! where and why it stopped. Nothing here knows what a line means, follows a growing file or
//! decides whether a partial result counts.

mod archive;
mod compression;
mod decoder;
mod duplicates;
mod error;
pub mod follow;
mod inputs;
mod lines;
#[cfg(test)]
mod samples;
pub mod stream;
pub mod wake;

pub use archive::{Archive, Limits};
pub use compression::Compression;
pub use duplicates::duplicates;
pub use error::{ArchiveError, Cap, Place};
pub use inputs::{Input, InputError, InputKind, expand};
pub use lines::{BLOCK_LEN, Block, Blocks, MAX_LINE, RangeBlocks};

use std::fmt::{self, Write as _};
use std::fs::FileType;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

/// A path for messages: a file name may hold escape sequences, and those must not reach a terminal.
struct Shown<'a>(&'a Path);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.to_string_lossy().chars() {
            if letter.is_control() || is_invisible(letter) {
                write!(f, "{}", letter.escape_default())?;
            } else {
                f.write_char(letter)?;
            }
        }
        Ok(())
    }
}

/// Letters that take no room or reorder the text around them.
fn is_invisible(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{61c}' | '\u{feff}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

/// The noun for something that is not a regular file, as in "is a socket".
fn noun(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "folder"
    } else if kind.is_fifo() {
        "pipe"
    } else if kind.is_socket() {
        "socket"
    } else {
        "device"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_a_path_are_escaped() {
        let shown = Shown(Path::new("logs/\u{1b}[31m\n.gz")).to_string();
        assert_eq!(shown, "logs/\\u{1b}[31m\\n.gz");
        let shown = Shown(Path::new("gz.\u{202e}gol")).to_string();
        assert_eq!(shown, "gz.\\u{202e}gol");
    }

    #[test]
    fn other_letters_of_a_path_are_kept() {
        assert_eq!(
            Shown(Path::new("Zugriffe/März 'a'.gz")).to_string(),
            "Zugriffe/März 'a'.gz"
        );
    }
}
