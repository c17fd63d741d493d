//! An open file as text, plain or decompressed, read by position.
//!
//! Invariant: a read is full, or the text ends there, for now or for good; [`Text::ending`] says which.
//! A compressed text is read forwards; going back means beginning again.

use std::io::{self, Read};
use std::path::PathBuf;

use super::super::compression::LONGEST_MAGIC;
use super::super::{Archive, ArchiveError, Compression, Limits};
use super::Disk;
use super::position::as_u64;

/// Decompressed bytes fetched at a time.
const STEP: usize = 64 * 1024;

/// How a text ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// At the end of the file.
    Clean,
    /// Inside a member: it may be in the making.
    Cut,
    /// At a damage, with what the decoder says.
    Damaged,
}

/// An open file as text.
pub(super) struct Text<D: Disk> {
    /// The handle.
    pub(super) file: D::File,
    packed: Option<Packed>,
    limits: Limits,
}

struct Packed {
    archive: Option<Archive>,
    /// Decompressed bytes from `base` on.
    window: Vec<u8>,
    base: u64,
    ending: Option<Ending>,
}

impl Packed {
    fn new() -> Packed {
        Packed {
            archive: None,
            window: Vec::new(),
            base: 0,
            ending: None,
        }
    }
}

/// A handle read from its beginning.
struct Forward<D: Disk> {
    disk: D,
    file: D::File,
    at: u64,
}

impl<D: Disk> Read for Forward<D> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.disk.read_at(&self.file, into, self.at)?;
        self.at += as_u64(got);
        Ok(got)
    }
}

impl<D: Disk> Text<D> {
    /// A text that is never compressed: what a server writes.
    pub(super) fn plain(file: D::File, limits: Limits) -> Text<D> {
        Text {
            file,
            packed: None,
            limits,
        }
    }

    /// A text whose first bytes tell whether it is compressed; `None` while there are too few.
    pub(super) fn told(disk: &D, file: D::File, limits: Limits) -> io::Result<Option<Text<D>>> {
        let mut text = Text::plain(file, limits);
        let mut head = [0; LONGEST_MAGIC];
        let got = text.read(disk, 0, &mut head)?;
        Ok(
            match Compression::of_head(head.get(..got).unwrap_or_default()) {
                Some(Compression::Plain) => Some(text),
                Some(_) => {
                    text.packed = Some(Packed::new());
                    Some(text)
                }
                None if got == 0 => Some(text),
                None => None,
            },
        )
    }

    /// It is compressed.
    pub(super) fn is_packed(&self) -> bool {
        self.packed.is_some()
    }

    /// Forgets what was decompressed: the file has changed.
    pub(super) fn refresh(&mut self) {
        if let Some(packed) = self
            .packed
            .as_mut()
            .filter(|packed| packed.ending.is_some())
        {
            *packed = Packed::new();
        }
    }

    /// Fills `into` from a position on, as far as the text goes.
    pub(super) fn read(&mut self, disk: &D, at: u64, into: &mut [u8]) -> io::Result<usize> {
        if self.packed.is_some() {
            return self.read_packed(disk, at, into);
        }
        let mut filled = 0;
        while let Some(room) = into.get_mut(filled..).filter(|room| !room.is_empty()) {
            match disk.read_at(&self.file, room, at + as_u64(filled))? {
                0 => break,
                got => filled += got,
            }
        }
        Ok(filled)
    }

    /// How the text ends, as of the last read that was not full.
    pub(super) fn ending(&self) -> Ending {
        let packed = self.packed.as_ref();
        packed
            .and_then(|packed| packed.ending.clone())
            .unwrap_or(Ending::Clean)
    }

    /// The length of the text, by reading it whole if it is compressed, and its last bytes.
    pub(super) fn measure(&mut self, disk: &D, last: usize) -> io::Result<(u64, Vec<u8>)> {
        let mut end = vec![0; last];
        if self.packed.is_none() {
            let len = disk.fstat(&self.file)?.size;
            let from = len.saturating_sub(as_u64(last));
            let got = self.read(disk, from, &mut end)?;
            end.truncate(got);
            return Ok((from + as_u64(got), end));
        }
        let (mut at, mut chunk, mut kept) = (0, vec![0; STEP], Vec::new());
        loop {
            let got = self.read(disk, at, &mut chunk)?;
            at += as_u64(got);
            kept.extend_from_slice(chunk.get(..got).unwrap_or_default());
            kept.drain(..kept.len().saturating_sub(last));
            if got < chunk.len() {
                return Ok((at, kept));
            }
        }
    }

    fn read_packed(&mut self, disk: &D, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let Some(packed) = self.packed.as_mut() else {
            return Ok(0);
        };
        if at < packed.base {
            *packed = Packed::new();
        }
        let wanted = at + as_u64(into.len());
        while packed.base + as_u64(packed.window.len()) < wanted && packed.ending.is_none() {
            let have = packed.base + as_u64(packed.window.len());
            let surplus = usize::try_from(at.min(have).saturating_sub(packed.base));
            packed.window.drain(..surplus.unwrap_or(0));
            packed.base = at.min(have);
            let file = &self.file;
            packed.fetch(self.limits, || Forward {
                disk: disk.clone(),
                file: file.clone(),
                at: 0,
            })?;
        }
        let from = usize::try_from(at.saturating_sub(packed.base)).unwrap_or(usize::MAX);
        let there = packed.window.get(from..).unwrap_or_default();
        let got = there.len().min(into.len());
        into.iter_mut()
            .zip(there)
            .for_each(|(to, from)| *to = *from);
        Ok(got)
    }
}

impl Packed {
    fn fetch<R: Read + Send + 'static>(
        &mut self,
        limits: Limits,
        open: impl FnOnce() -> R,
    ) -> io::Result<()> {
        let mut archive = match self.archive.take() {
            Some(archive) => archive,
            None => match Archive::over(PathBuf::new(), Box::new(open()), limits) {
                Ok(archive) => archive,
                Err(error) => return self.end(error),
            },
        };
        let filled = self.window.len();
        self.window.resize(filled + STEP, 0);
        let read = archive.read(self.window.get_mut(filled..).unwrap_or_default());
        self.window
            .truncate(filled + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(0) => self.ending = Some(Ending::Clean),
            Ok(_) => self.archive = Some(archive),
            Err(error) => return self.end(error),
        }
        Ok(())
    }

    fn end(&mut self, error: ArchiveError) -> io::Result<()> {
        self.ending = Some(match error {
            ArchiveError::Read { source, .. } | ArchiveError::Open { source, .. } => {
                *self = Packed::new();
                return Err(source);
            }
            ArchiveError::Cut { .. } => Ending::Cut,
            _ => Ending::Damaged,
        });
        Ok(())
    }
}

impl<D: Disk> Text<D> {
    /// The same file, read from its beginning.
    pub(super) fn reopened(&self) -> Text<D> {
        Text {
            file: self.file.clone(),
            packed: self.packed.as_ref().map(|_| Packed::new()),
            limits: self.limits,
        }
    }
}
