//! An archived log as a stream of decompressed bytes.
//!
//! Invariant: an archive never ends early in silence. All text before a fault is delivered by
//! [`Archive::read`], then the fault is returned once, with its place in the text and in the file.
//! Every member, frame and stream is read, and what follows the last one must be nothing, or the
//! padding its format knows.
//!
//! Own decoding loops rather than the crates' readers: those stop at the first member, or pass
//! over garbage, or cannot say how far they came. A compressed file inside a compressed file stays
//! what it is: bytes.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::compression::{Fit, LONGEST_MAGIC};
use super::decoder::{Decoder, Outcome};
use super::{ArchiveError, Cap, Compression, Place, noun};

/// Compressed bytes fetched by one read.
const INPUT_LEN: usize = 64 * 1024;

/// How far an archive may swell. Plain text is never limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most decompressed bytes for each compressed byte.
    pub ratio: u64,
    /// Decompressed bytes before the ratio counts: small archives of equal lines are harmless.
    pub ratio_after: u64,
    /// Most decompressed bytes of one archive; `None` for no such limit.
    pub text: Option<u64>,
}

impl Default for Limits {
    /// 200:1, asked once there is 1 GiB of text. Real logs stay under 30:1.
    fn default() -> Limits {
        Limits {
            ratio: 200,
            ratio_after: 1 << 30,
            text: None,
        }
    }
}

/// Where in the sequence of members the input stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before a magic, padding, or the end.
    Between,
    /// After a magic.
    Inside,
    /// Everything has been delivered, or a fault was returned.
    Done,
}

/// One input, open, delivering its decompressed bytes in order.
pub struct Archive {
    place: Place,
    limits: Limits,
    raw: Box<dyn Read + Send>,
    /// The same as `raw`, when it was opened by a path.
    file: Option<Arc<File>>,
    /// `input[start..end]` was read from `raw` and not yet decoded.
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// `raw` has said that it ends.
    drained: bool,
    /// `None` for plain text.
    decoder: Option<Decoder>,
    state: State,
    /// Found together with text that had to be delivered first.
    fault: Option<Box<ArchiveError>>,
    progress: Arc<AtomicU64>,
}

impl Archive {
    /// Opens a regular file and tells its compression by its first bytes.
    pub fn open(path: &Path, limits: Limits) -> Result<Archive, ArchiveError> {
        let failed = |source| ArchiveError::Open {
            path: path.to_path_buf(),
            source,
        };
        let kind = fs::metadata(path).map_err(failed)?.file_type();
        if !kind.is_file() {
            return Err(ArchiveError::NotRegular {
                path: path.to_path_buf(),
                kind: noun(kind),
            });
        }
        let file = Arc::new(File::open(path).map_err(failed)?);
        let raw = Box::new(Arc::clone(&file));
        let archive = Archive::over(path.to_path_buf(), raw, limits)?;
        Ok(Archive {
            file: Some(file),
            ..archive
        })
    }

    /// Standard input, whatever it is connected to; waits for its first bytes.
    pub fn stdin(limits: Limits) -> Result<Archive, ArchiveError> {
        let path = PathBuf::from("-");
        // The descriptor itself: the standard library's handle would copy through a small buffer.
        match io::stdin().as_fd().try_clone_to_owned() {
            Ok(owned) => Archive::over(path, Box::new(File::from(owned)), limits),
            Err(source) => Err(ArchiveError::Open { path, source }),
        }
    }

    /// Any stream of bytes under the name that messages shall show.
    pub fn over(
        path: PathBuf,
        raw: Box<dyn Read + Send>,
        limits: Limits,
    ) -> Result<Archive, ArchiveError> {
        let place = Place {
            path,
            compression: Compression::Plain,
            text: 0,
            consumed: 0,
        };
        let mut archive = Archive {
            place,
            limits,
            raw,
            file: None,
            input: vec![0; LONGEST_MAGIC],
            start: 0,
            end: 0,
            drained: false,
            decoder: None,
            state: State::Between,
            fault: None,
            progress: Arc::default(),
        };
        archive.detect()?;
        Ok(archive)
    }

    /// How the input is compressed, told by its first bytes.
    pub fn compression(&self) -> Compression {
        self.place.compression
    }

    /// The file that was opened; `None` for standard input and other streams. Ranges of a plain
    /// one are read from here, because its path may lead to another file after a rotation.
    pub fn file(&self) -> Option<Arc<File>> {
        self.file.clone()
    }

    /// Bytes of the file itself consumed so far.
    pub fn consumed(&self) -> u64 {
        self.place.consumed
    }

    /// [`Archive::consumed`] for another thread to watch; it lags by one read at most.
    pub fn progress(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.progress)
    }

    /// Fills the beginning of `text` with the next decompressed bytes and says how many; 0 at the
    /// end, or for an empty `text`. An error is returned once, after all text that came before it.
    pub fn read(&mut self, text: &mut [u8]) -> Result<usize, ArchiveError> {
        let read = match self.fault.take() {
            Some(fault) => Err(*fault),
            None if text.is_empty() || self.state == State::Done => Ok(0),
            None if self.decoder.is_none() => self.read_plain(text),
            None => self.read_members(text),
        };
        if read.is_err() {
            self.state = State::Done;
        }
        self.progress.store(self.place.consumed, Ordering::Relaxed);
        read
    }

    /// Reads no more than needed: a person typing lines gets an answer to the first.
    fn detect(&mut self) -> Result<(), ArchiveError> {
        let compression = loop {
            match Compression::of_head(self.buffered()) {
                Some(compression) => break compression,
                None if self.drained => break Compression::Plain,
                None => self.fetch()?,
            }
        };
        self.place.compression = compression;
        let decoder = Decoder::new(compression);
        self.decoder = decoder.map_err(|source| self.memory(source))?;
        if self.decoder.is_some() {
            self.input.resize(INPUT_LEN, 0);
        }
        Ok(())
    }

    fn read_plain(&mut self, text: &mut [u8]) -> Result<usize, ArchiveError> {
        let head = self.buffered();
        let got = if head.is_empty() {
            self.read_raw(text)?
        } else {
            let got = head.len().min(text.len());
            text.iter_mut().zip(head).for_each(|(to, from)| *to = *from);
            self.start += got;
            got
        };
        self.place.text += as_u64(got);
        self.place.consumed += as_u64(got);
        Ok(got)
    }

    fn read_members(&mut self, text: &mut [u8]) -> Result<usize, ArchiveError> {
        loop {
            match self.state {
                State::Done => return Ok(0),
                State::Between => self.begin_member()?,
                State::Inside => match self.decode(text)? {
                    0 => {}
                    got => return Ok(got),
                },
            }
        }
    }

    /// Enters the next member, or finds the end, or something that is neither.
    fn begin_member(&mut self) -> Result<(), ArchiveError> {
        let padding = self.skip_padding()?;
        self.look_ahead()?;
        self.state = match self.compression().member(self.buffered()) {
            _ if self.buffered().is_empty() => self.end_of_members(padding)?,
            Fit::Whole if self.may_follow(padding) => State::Inside,
            Fit::Begun if self.may_follow(padding) => return Err(self.cut()),
            _ => return Err(self.garbage()),
        };
        self.restart()
    }

    fn end_of_members(&self, padding: u64) -> Result<State, ArchiveError> {
        match self.compression() {
            Compression::Xz if !padding.is_multiple_of(4) => Err(self.garbage()),
            _ => Ok(State::Done),
        }
    }

    /// Zeros after a gzip member are what tapes and block devices leave, and end the file. Zeros
    /// between xz streams are part of the format, in fours (section 2.2, Stream Padding).
    fn may_follow(&self, padding: u64) -> bool {
        match self.compression() {
            Compression::Xz => padding.is_multiple_of(4),
            _ => padding == 0,
        }
    }

    /// The number of zero bytes passed over, in the formats that allow some.
    fn skip_padding(&mut self) -> Result<u64, ArchiveError> {
        let mut padding = 0;
        if !matches!(self.compression(), Compression::Gzip | Compression::Xz) {
            return Ok(padding);
        }
        loop {
            let zeros = self
                .buffered()
                .iter()
                .take_while(|byte| **byte == 0)
                .count();
            self.consume(zeros);
            padding += as_u64(zeros);
            if !self.buffered().is_empty() || self.drained {
                return Ok(padding);
            }
            self.fetch()?;
        }
    }

    fn restart(&mut self) -> Result<(), ArchiveError> {
        // The decoder of the first member is still as it was made.
        let used = self.state == State::Inside && self.place.consumed > 0;
        match self.decoder.as_mut().filter(|_| used).map(Decoder::restart) {
            Some(Err(source)) => Err(self.memory(source)),
            _ => Ok(()),
        }
    }

    /// One step of the decoder; 0 when it delivered nothing yet.
    fn decode(&mut self, text: &mut [u8]) -> Result<usize, ArchiveError> {
        if self.buffered().is_empty() {
            self.fetch()?;
        }
        let input = self.input.get(self.start..self.end).unwrap_or_default();
        let Some(decoder) = self.decoder.as_mut() else {
            return Ok(0);
        };
        let step = decoder.step(input, text);
        self.consume(step.consumed);
        let got = self.deliver(step.produced);
        let stuck = step.consumed == 0 && step.produced == 0;
        let fault = match step.outcome {
            Outcome::End => {
                self.state = State::Between;
                None
            }
            Outcome::More if stuck => Some(self.stuck()),
            Outcome::More => None,
            Outcome::Corrupt(source) => Some(ArchiveError::Corrupt {
                at: self.place.clone(),
                source,
            }),
            Outcome::Memory(source) => Some(self.memory(source)),
        };
        self.after_text(got, self.bomb(got < step.produced).or(fault))
    }

    /// Holds a fault back until the text before it is out.
    fn after_text(
        &mut self,
        got: usize,
        fault: Option<ArchiveError>,
    ) -> Result<usize, ArchiveError> {
        match fault {
            Some(fault) if got == 0 => Err(fault),
            fault => {
                self.fault = fault.map(Box::new);
                Ok(got)
            }
        }
    }

    /// Counts text as delivered, up to the absolute limit.
    fn deliver(&mut self, produced: usize) -> usize {
        let room = self
            .limits
            .text
            .map_or(u64::MAX, |most| most.saturating_sub(self.place.text));
        let got = produced.min(usize::try_from(room).unwrap_or(usize::MAX));
        self.place.text += as_u64(got);
        got
    }

    fn bomb(&self, clipped: bool) -> Option<ArchiveError> {
        let Place { text, consumed, .. } = self.place;
        let swollen = text > self.limits.ratio_after
            && text > consumed.max(1).saturating_mul(self.limits.ratio);
        let cap = match self.limits.text {
            Some(most) if clipped => Cap::Text(most),
            _ if swollen => Cap::Ratio(self.limits.ratio),
            _ => return None,
        };
        Some(ArchiveError::Bomb {
            at: self.place.clone(),
            cap,
        })
    }

    /// No progress is the end of the file, or else a decoder that would loop for ever.
    fn stuck(&self) -> ArchiveError {
        if self.drained && self.buffered().is_empty() {
            return self.cut();
        }
        let source = io::Error::new(io::ErrorKind::InvalidData, "the decoder makes no progress");
        ArchiveError::Corrupt {
            at: self.place.clone(),
            source,
        }
    }

    fn cut(&self) -> ArchiveError {
        let mut at = self.place.clone();
        at.consumed += as_u64(self.buffered().len());
        ArchiveError::Cut { at }
    }

    fn garbage(&self) -> ArchiveError {
        ArchiveError::Garbage {
            at: self.place.clone(),
        }
    }

    fn memory(&self, source: io::Error) -> ArchiveError {
        ArchiveError::Memory {
            at: self.place.clone(),
            source,
        }
    }

    fn buffered(&self) -> &[u8] {
        self.input.get(self.start..self.end).unwrap_or_default()
    }

    fn consume(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.end);
        self.place.consumed += as_u64(bytes);
    }

    /// Makes sure that a whole magic is in sight, or the end.
    fn look_ahead(&mut self) -> Result<(), ArchiveError> {
        while self.buffered().len() < LONGEST_MAGIC && !self.drained {
            self.fetch()?;
        }
        Ok(())
    }

    /// One read behind what is buffered.
    fn fetch(&mut self) -> Result<(), ArchiveError> {
        self.input.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let mut input = std::mem::take(&mut self.input);
        let read = self.read_raw(input.get_mut(self.end..).unwrap_or_default());
        self.input = input;
        self.end += read?;
        Ok(())
    }

    fn read_raw(&mut self, into: &mut [u8]) -> Result<usize, ArchiveError> {
        loop {
            match self.raw.read(into) {
                Ok(got) => {
                    self.drained |= got == 0;
                    return Ok(got.min(into.len()));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(ArchiveError::Read {
                        at: self.place.clone(),
                        source,
                    });
                }
            }
        }
    }
}

/// Lossless on every platform Rust runs on.
fn as_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::os::unix::net::UnixListener;

    use liblzma::stream::Stream as Xz;
    use proptest::prelude::*;

    use super::super::samples::{Dripping, PACKED, archive, drain, log, noise, pack};
    use super::*;

    const CHUNK: usize = 4096;

    fn read(bytes: &[u8]) -> (Vec<u8>, Result<(), ArchiveError>) {
        drain(archive(bytes, Limits::default()), CHUNK)
    }

    /// The position of each error that has one.
    fn at(error: &ArchiveError) -> &Place {
        match error {
            ArchiveError::Read { at, .. }
            | ArchiveError::Cut { at }
            | ArchiveError::Corrupt { at, .. }
            | ArchiveError::Garbage { at }
            | ArchiveError::Memory { at, .. }
            | ArchiveError::Bomb { at, .. } => at,
            ArchiveError::Open { .. } | ArchiveError::NotRegular { .. } => panic!("{error}"),
        }
    }

    #[test]
    fn every_member_of_every_compression_is_read() {
        let text = log(5000);
        for compression in PACKED {
            let mut packed = pack(compression, &text);
            packed.extend(pack(compression, b""));
            packed.extend(pack(compression, &text));
            let opened = archive(&packed, Limits::default());
            assert_eq!(opened.compression(), compression);
            let (read, end) = drain(opened, CHUNK);
            assert!(read == text.repeat(2), "{compression}");
            end.unwrap();
        }
    }

    #[test]
    fn empty_archive_is_an_empty_text() {
        for compression in PACKED.into_iter().chain([Compression::Plain]) {
            let packed = pack(compression, b"");
            let opened = archive(&packed, Limits::default());
            assert_eq!(opened.compression(), compression);
            assert!(matches!(drain(opened, 1), (text, Ok(())) if text.is_empty()));
        }
    }

    #[test]
    fn plain_text_is_delivered_as_it_is() {
        for text in [
            b"".as_slice(),
            b"B",
            b"BZh",
            b"\x1f",
            b"(\xb5 no magic\n",
            b"a\r\n\0b",
        ] {
            let (read, end) = read(text);
            assert_eq!(read, text);
            end.unwrap();
        }
    }

    #[test]
    fn archive_within_an_archive_is_not_opened() {
        let inner = pack(Compression::Zstd, b"secret");
        let (text, end) = read(&pack(Compression::Gzip, &inner));
        assert_eq!(text, inner);
        end.unwrap();
    }

    #[test]
    fn truncated_gzip_names_file_and_offset() {
        let packed = pack(Compression::Gzip, &noise(100_000));
        let (text, end) = read(&packed[..50_000]);
        let expected = format!(
            "logs/a: cut gzip archive: ends inside a member after 50000 compressed bytes (at byte {} of the text)",
            text.len()
        );
        assert_eq!(end.unwrap_err().to_string(), expected);
        assert!(text.len() > 49_000);
    }

    #[test]
    fn truncated_second_member_keeps_the_first() {
        for compression in PACKED {
            let mut packed = pack(compression, b"first\n");
            let first = packed.len();
            packed.extend(pack(compression, b"second\n"));
            for len in first + 1..packed.len() {
                let (text, end) = read(&packed[..len]);
                assert!(text.starts_with(b"first\n"), "{compression} {len}");
                let error = end.unwrap_err();
                assert!(matches!(error, ArchiveError::Cut { .. }), "{error}");
                assert_eq!(at(&error).consumed, len as u64);
                assert_eq!(at(&error).text, text.len() as u64);
            }
        }
    }

    #[test]
    fn wrong_checksum_is_corrupt_after_the_whole_text() {
        let text = log(20_000);
        // Distance of a checksum's byte from the end of the file; bzip2 ends with one of the stream,
        // xz has one at the end of the block, before index and footer.
        for (compression, back) in [
            (Compression::Gzip, 8),
            (Compression::Zstd, 1),
            (Compression::Bzip2, 3),
        ] {
            let mut packed = pack(compression, &text);
            let byte = packed.len() - back;
            packed[byte] ^= 0xff;
            let (read, end) = read(&packed);
            let error = end.unwrap_err();
            assert!(
                read == text,
                "{compression}: {} of {}",
                read.len(),
                text.len()
            );
            assert!(matches!(error, ArchiveError::Corrupt { .. }), "{error}");
            assert!(error.source().is_some());
        }
    }

    #[test]
    fn zstd_blocks_before_the_damaged_one_are_delivered() {
        // Blocks of 128 KiB, stored because noise does not compress, then an empty last block and
        // the checksum. The last with text is damaged by a block type that does not exist.
        let text = noise(1 << 20);
        let mut packed = pack(Compression::Zstd, &text);
        let last = packed.len() - 4 - 3 - (128 * 1024) - 3;
        packed[last] |= 0b110;
        for chunk in [1000, 128 * 1024, 200_000, 1 << 21] {
            let (read, end) = drain(archive(&packed, Limits::default()), chunk);
            assert!(matches!(end, Err(ArchiveError::Corrupt { .. })));
            assert_eq!(read.len(), text.len() - 128 * 1024, "reads of {chunk}");
            assert!(text.starts_with(&read));
        }
    }

    #[test]
    fn garbage_after_the_last_member_is_told_with_its_offset() {
        for compression in PACKED {
            let mut packed = pack(compression, b"line\n");
            let len = packed.len();
            packed.extend(b"# rotated by hand");
            let (text, end) = read(&packed);
            assert_eq!(text, b"line\n");
            let error = end.unwrap_err();
            assert!(matches!(error, ArchiveError::Garbage { .. }), "{error}");
            assert_eq!(at(&error).consumed, len as u64);
        }
    }

    #[test]
    fn zeros_after_gzip_are_padding_unless_something_follows() {
        let mut packed = pack(Compression::Gzip, b"line\n");
        packed.extend(vec![0; 200_000]);
        let (text, end) = read(&packed);
        assert_eq!(text, b"line\n");
        end.unwrap();
        packed.extend(pack(Compression::Gzip, b"more\n"));
        assert!(matches!(read(&packed).1, Err(ArchiveError::Garbage { .. })));
    }

    #[test]
    fn zeros_between_xz_streams_come_in_fours() {
        let stream = pack(Compression::Xz, b"line\n");
        for (zeros, whole) in [
            (0, true),
            (3, false),
            (4, true),
            (70_000, true),
            (70_001, false),
        ] {
            for packed in [
                [stream.clone(), vec![0; zeros], stream.clone()].concat(),
                [stream.clone(), vec![0; zeros]].concat(),
            ] {
                assert_eq!(read(&packed).1.is_ok(), whole, "{zeros}");
            }
        }
    }

    #[test]
    fn zeros_after_zstd_and_bzip2_are_garbage() {
        for compression in [Compression::Zstd, Compression::Bzip2] {
            let packed = [pack(compression, b"line\n"), vec![0; 4]].concat();
            assert!(matches!(read(&packed).1, Err(ArchiveError::Garbage { .. })));
        }
    }

    #[test]
    fn skippable_zstd_frames_are_skipped_wherever_they_stand() {
        let skippable = [b"\x53\x2a\x4d\x18\x05\0\0\0".as_slice(), b"notes"].concat();
        let frame = pack(Compression::Zstd, b"line\n");
        let packed = [
            skippable.clone(),
            frame.clone(),
            skippable.clone(),
            frame,
            skippable,
        ]
        .concat();
        let (text, end) = read(&packed);
        assert_eq!(text, b"line\nline\n");
        end.unwrap();
        assert!(matches!(
            read(&packed[..packed.len() - 1]).1,
            Err(ArchiveError::Cut { .. })
        ));
    }

    #[test]
    fn zstd_window_past_the_limit_is_refused() {
        // A frame header alone, RFC 8878 section 3.1.1.1: no content size, window 2^31.
        let header = b"\x28\xb5\x2f\xfd\x00\xa8\x01\0\0";
        let error = read(header).1.unwrap_err();
        assert!(
            matches!(error, ArchiveError::Memory { .. }),
            "{error} {:?}",
            error.source()
        );
        assert!(
            error.to_string().contains("window of more than 128 MiB"),
            "{error}"
        );
        // 2^27 is accepted, and the file is cut.
        let error = read(b"\x28\xb5\x2f\xfd\x00\x88").1.unwrap_err();
        assert!(matches!(error, ArchiveError::Cut { .. }), "{error}");
    }

    #[test]
    fn xz_dictionary_past_the_limit_is_refused() {
        let mut options = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
        options.dict_size(1 << 30);
        let mut filters = liblzma::stream::Filters::new();
        filters.lzma2(&options);
        let check = liblzma::stream::Check::Crc32;
        let mut encoder = Xz::new_stream_encoder(&filters, check).unwrap();
        let mut packed = Vec::with_capacity(1000);
        encoder
            .process_vec(b"line\n", &mut packed, liblzma::stream::Action::Finish)
            .unwrap();
        let error = read(&packed).1.unwrap_err();
        assert!(matches!(error, ArchiveError::Memory { .. }), "{error}");
    }

    #[test]
    fn ratio_counts_only_after_so_much_text() {
        let text = vec![b'\n'; 1 << 20];
        let packed = pack(Compression::Gzip, &text);
        let lenient = Limits {
            ratio_after: 1 << 20,
            ..Limits::default()
        };
        assert!(drain(archive(&packed, lenient), CHUNK).1.is_ok());
        let strict = Limits {
            ratio_after: 1 << 19,
            ..Limits::default()
        };
        let (read, end) = drain(archive(&packed, strict), CHUNK);
        let error = end.unwrap_err();
        assert!(
            error
                .to_string()
                .contains("swells to more than 200 times its size"),
            "{error}"
        );
        assert_eq!(at(&error).text, read.len() as u64);
        assert!(read.len() <= (1 << 19) + CHUNK);
    }

    #[test]
    fn text_limit_delivers_exactly_so_much() {
        let text = log(1000);
        for compression in PACKED {
            let packed = pack(compression, &text);
            let len = text.len() as u64;
            let limits = |most| Limits {
                text: Some(most),
                ..Limits::default()
            };
            let (read, end) = drain(archive(&packed, limits(len - 1)), CHUNK);
            assert!(read == text[..text.len() - 1]);
            assert!(matches!(
                end,
                Err(ArchiveError::Bomb {
                    cap: Cap::Text(_),
                    ..
                })
            ));
            let (read, end) = drain(archive(&packed, limits(len)), CHUNK);
            assert!(read == text);
            end.unwrap();
        }
    }

    #[test]
    fn plain_text_is_not_limited() {
        let limits = Limits {
            ratio: 0,
            ratio_after: 0,
            text: Some(1),
        };
        assert!(drain(archive(b"line\n", limits), 2).1.is_ok());
    }

    #[test]
    fn progress_ends_at_the_size_of_the_file() {
        for compression in PACKED.into_iter().chain([Compression::Plain]) {
            let packed = pack(compression, &log(100));
            let opened = archive(&packed, Limits::default());
            let progress = opened.progress();
            drain(opened, CHUNK).1.unwrap();
            assert_eq!(progress.load(Ordering::Relaxed), packed.len() as u64);
        }
    }

    #[test]
    fn read_error_comes_after_the_text_before_it() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("disk on fire"))
            }
        }
        for compression in PACKED.into_iter().chain([Compression::Plain]) {
            let packed = pack(compression, b"a line of text\n");
            let raw = Box::new(io::Cursor::new(packed).chain(Failing));
            let opened = Archive::over(PathBuf::from("x"), raw, Limits::default()).unwrap();
            let (text, end) = drain(opened, CHUNK);
            assert_eq!(text, b"a line of text\n");
            let error = end.unwrap_err();
            assert!(matches!(error, ArchiveError::Read { .. }), "{error}");
            assert_eq!(error.source().unwrap().to_string(), "disk on fire");
        }
    }

    #[test]
    fn sockets_folders_and_missing_files_are_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        let open = |path: &Path| Archive::open(path, Limits::default()).err().unwrap();
        assert!(matches!(
            open(&socket),
            ArchiveError::NotRegular { kind: "socket", .. }
        ));
        assert!(matches!(
            open(folder.path()),
            ArchiveError::NotRegular { kind: "folder", .. }
        ));
        assert!(matches!(
            open(&folder.path().join("none")),
            ArchiveError::Open { .. }
        ));
    }

    #[test]
    fn file_is_opened_by_its_magic_not_its_name() {
        let file = tempfile::Builder::new().suffix(".bz2").tempfile().unwrap();
        fs::write(file.path(), pack(Compression::Xz, b"line\n")).unwrap();
        let opened = Archive::open(file.path(), Limits::default()).unwrap();
        assert_eq!(opened.compression(), Compression::Xz);
        assert_eq!(drain(opened, CHUNK).0, b"line\n");
    }

    fn any_compression() -> impl Strategy<Value = Compression> {
        prop::sample::select(PACKED.to_vec())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn any_sizes_of_reads_deliver_the_same_text(
            compression in any_compression(),
            members in prop::collection::vec((0..3000usize, 0..300_000usize), 1..4),
            step in prop_oneof![1..20usize, 1000..200_000usize],
            chunk in prop_oneof![50..3000usize, 1000..400_000usize],
        ) {
            let texts: Vec<_> =
                members.iter().map(|(lines, len)| [log(*lines), noise(*len / 4)].concat()).collect();
            let packed = texts.iter().flat_map(|text| pack(compression, text)).collect();
            let raw = Box::new(Dripping::new(packed, step));
            let opened = Archive::over(PathBuf::from("x"), raw, Limits::default()).unwrap();
            let (text, end) = drain(opened, chunk);
            end.unwrap();
            prop_assert!(text == texts.concat());
        }

        #[test]
        fn a_cut_archive_delivers_a_beginning_of_its_text_and_an_error(
            compression in any_compression(),
            lines in 0..5000usize,
            cut in any::<prop::sample::Index>(),
        ) {
            let text = log(lines);
            let packed = pack(compression, &text);
            let len = LONGEST_MAGIC + cut.index(packed.len() - LONGEST_MAGIC);
            let (read, end) = read(&packed[..len]);
            prop_assert!(text.starts_with(&read));
            prop_assert!(matches!(end, Err(ArchiveError::Cut { .. })), "{end:?}");
        }

        #[test]
        fn a_changed_byte_never_adds_text_in_silence(
            compression in any_compression(),
            place in any::<prop::sample::Index>(),
            change in 1..=255u8,
        ) {
            let text = log(2000);
            let mut packed = pack(compression, &text);
            let place = LONGEST_MAGIC + place.index(packed.len() - LONGEST_MAGIC);
            packed[place] ^= change;
            let (read, end) = read(&packed);
            // Some bytes of a header carry no text: only then is it no error.
            prop_assert!(end.is_err() || read == text);
        }

        #[test]
        fn any_bytes_after_a_magic_end_without_a_panic(
            compression in any_compression(),
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let magic = pack(compression, b"x")[..LONGEST_MAGIC].to_vec();
            read(&[magic, bytes].concat()).1.ok();
        }
    }
}
