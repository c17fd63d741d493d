//! The log that reports are written into: appended to, renamed when it is full, never rewritten.
//!
//! A follower reads along, so the file only grows, and leaves by a rename, as any log does. A body's
//! lines are one write at the end of the file (`O_APPEND`), after the room for them was reserved: on
//! a full disk nothing is written, rather than a part. Where a file system cannot reserve and a
//! write comes out short, the torn line is ended before the next one; it is counted as a line that is
//! no report, and none is lost with it.
//!
//! Nothing is synced: what the machine loses with its power are reports, not counts.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock};
use rustix::io::Errno;

/// Readable by the owner and the group: there are addresses in it.
const MODE: u32 = 0o640;

/// The open log.
#[derive(Debug)]
pub(super) struct Book {
    path: PathBuf,
    file: File,
    /// Bytes of the file.
    size: u64,
    /// The last line has no end.
    torn: bool,
    /// Bytes at which the file is renamed.
    largest: u64,
    /// Renamed files that are kept; at least 1.
    keep: u32,
}

/// Why the log cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum BookError {
    /// It cannot be opened or made.
    #[error("cannot open it for appending")]
    Open(#[source] io::Error),
    /// A folder, a pipe, a device.
    #[error("it is no file")]
    NoFile,
    /// Another collector appends to it.
    #[error("another collector writes it")]
    Held,
}

/// What a write did beside writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// Nothing.
    Plainly,
    /// The file before was renamed.
    Renamed,
}

impl Book {
    /// Opens or makes the log.
    ///
    /// # Errors
    /// See [`BookError`].
    pub(super) fn open(path: &Path, largest: u64, keep: u32) -> Result<Book, BookError> {
        let (file, size, torn) = opened(path)?;
        Ok(Book {
            path: path.to_owned(),
            file,
            size,
            torn,
            largest,
            keep,
        })
    }

    /// Opens the path again: after somebody else has renamed the file.
    ///
    /// # Errors
    /// See [`BookError`]; the file before stays in use.
    pub(super) fn reopen(&mut self) -> Result<(), BookError> {
        // Our own lock is on the same file where nobody renamed it.
        flock(&self.file, FlockOperation::Unlock).ok();
        let again = opened(&self.path);
        if again.is_err() {
            flock(&self.file, FlockOperation::NonBlockingLockExclusive).ok();
        }
        (self.file, self.size, self.torn) = again?;
        Ok(())
    }

    /// Appends lines in one write, all of them or, but for what the module says, none.
    ///
    /// # Errors
    /// When they cannot be kept.
    pub(super) fn append(&mut self, lines: &[String]) -> io::Result<Written> {
        let mut bytes = Vec::new();
        for line in lines {
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
        if bytes.is_empty() {
            return Ok(Written::Plainly);
        }
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let mut written = Written::Plainly;
        if self.size > 0 && self.size.saturating_add(length) > self.largest {
            self.rename()?;
            written = Written::Renamed;
        }
        if self.torn {
            bytes.insert(0, b'\n');
        }
        self.reserve(bytes.len())?;
        self.write(&bytes)?;
        Ok(written)
    }

    /// Takes the room for so many bytes behind the end, where the file system can.
    fn reserve(&self, bytes: usize) -> io::Result<()> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.size, bytes) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    rest = rest.get(count..).unwrap_or_default();
                    self.size += u64::try_from(count).unwrap_or_default();
                    self.torn = !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// FILE becomes FILE.1, that one FILE.2 and so on; the last one goes. Whenever this is cut short,
    /// the next time goes on with the names that are there.
    fn rename(&mut self) -> io::Result<()> {
        if !self.path.exists() {
            return self.begin();
        }
        // A number that is free ends the row: what stands behind it keeps its name.
        let free = (1..self.keep).find(|number| !self.numbered(*number).exists());
        let last = free.unwrap_or(self.keep);
        for number in (1..last).rev() {
            fs::rename(self.numbered(number), self.numbered(number + 1))?;
        }
        fs::rename(&self.path, self.numbered(1))?;
        self.begin()
    }

    /// Opens the path anew.
    fn begin(&mut self) -> io::Result<()> {
        let again = opened(&self.path).map_err(|error| match error {
            BookError::Open(error) => error,
            other => io::Error::other(other),
        });
        (self.file, self.size, self.torn) = again?;
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

/// The file, its size, and whether its last line has no end.
fn opened(path: &Path) -> Result<(File, u64, bool), BookError> {
    // Opening a pipe for writing would wait for a reader.
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(BookError::NoFile);
    }
    let mut options = OpenOptions::new();
    let options = options.read(true).append(true).create(true).mode(MODE);
    let file = options.open(path).map_err(BookError::Open)?;
    let found = file.metadata().map_err(BookError::Open)?;
    if !found.is_file() {
        return Err(BookError::NoFile);
    }
    // Other errors are those of a file system without locks.
    if flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
        return Err(BookError::Held);
    }
    let mut last = [b'\n'];
    if let Some(at) = found.len().checked_sub(1) {
        file.read_exact_at(&mut last, at).map_err(BookError::Open)?;
    }
    Ok((file, found.len(), last != [b'\n']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn lines_are_appended_and_the_file_is_renamed_when_full() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nel.log");
        let mut book = Book::open(&path, 10, 2).unwrap();
        let line = lines(&["1234"]);
        let written: Vec<_> = (0..7).map(|_| book.append(&line).unwrap()).collect();
        let renamed = written
            .iter()
            .filter(|one| **one == Written::Renamed)
            .count();
        assert_eq!(renamed, 3);
        assert_eq!(names(folder.path()), ["nel.log", "nel.log.1", "nel.log.2"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1234\n");
        for number in ["1", "2"] {
            let text = fs::read_to_string(path.with_extension(format!("log.{number}"))).unwrap();
            assert_eq!(text, "1234\n1234\n");
        }
        assert_eq!(book.append(&[]).unwrap(), Written::Plainly);
    }

    #[test]
    fn a_gap_in_the_numbers_ends_the_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nel.log");
        fs::write(path.with_extension("log.1"), "a\n").unwrap();
        fs::write(path.with_extension("log.3"), "c\n").unwrap();
        let mut book = Book::open(&path, 1, 5).unwrap();
        for text in ["x", "y"] {
            book.append(&lines(&[text])).unwrap();
        }
        let read = |n: &str| fs::read_to_string(path.with_extension(format!("log.{n}"))).unwrap();
        assert_eq!(
            (read("1"), read("2"), read("3")),
            ("x\n".into(), "a\n".into(), "c\n".into())
        );
    }

    #[test]
    fn a_torn_line_is_ended_before_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nel.log");
        fs::write(&path, "whole\ntor").unwrap();
        let mut book = Book::open(&path, 1000, 1).unwrap();
        book.append(&lines(&["a", "b"])).unwrap();
        book.append(&lines(&["c"])).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole\ntor\na\nb\nc\n");
    }

    #[test]
    fn one_collector_writes_and_files_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nel.log");
        let mut book = Book::open(&path, 1000, 1).unwrap();
        assert!(matches!(Book::open(&path, 1000, 1), Err(BookError::Held)));
        book.reopen().unwrap();
        assert!(matches!(Book::open(&path, 1000, 1), Err(BookError::Held)));
        assert!(matches!(
            Book::open(folder.path(), 9, 1),
            Err(BookError::NoFile)
        ));
        assert!(matches!(
            Book::open(Path::new("/dev/null"), 9, 1),
            Err(BookError::NoFile)
        ));
        let nowhere = folder.path().join("none/nel.log");
        assert!(matches!(
            Book::open(&nowhere, 9, 1),
            Err(BookError::Open(_))
        ));
    }

    #[test]
    fn after_a_reopen_the_new_file_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nel.log");
        let mut book = Book::open(&path, 1000, 1).unwrap();
        book.append(&lines(&["a"])).unwrap();
        fs::rename(&path, folder.path().join("elsewhere")).unwrap();
        book.append(&lines(&["b"])).unwrap();
        book.reopen().unwrap();
        book.append(&lines(&["c"])).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "c\n");
        assert_eq!(
            fs::read_to_string(folder.path().join("elsewhere")).unwrap(),
            "a\nb\n"
        );
    }
}
