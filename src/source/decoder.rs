//! One step of decompression, the same shape for every format.
//!
//! Invariant: whatever was decoded before a fault is in the output and counted in
//! [`Step::produced`]. A decoder knows one member at a time; where the next begins, or whether the
//! input ended, is the archive's business. No I/O here.

use std::io;

use liblzma::stream::{Action, Error as XzError, Status as XzStatus, Stream as Xz};
use zstd::stream::raw::{DParameter, Decoder as Zstd, Operation as _};
use zstd::zstd_safe::{InBuffer, OutBuffer};

use super::Compression;

/// Largest zstd window accepted, as a power of two: what `zstd -d` accepts without `--long`.
pub(super) const ZSTD_WINDOW_LOG: u32 = 27;

/// Most memory in bytes an xz decoder may use; `xz -9` needs 65 MiB.
pub(super) const XZ_MEMORY: u64 = 256 << 20;

/// Bytes of a zstd block header, RFC 8878 section 3.1.1.2.
const BLOCK_HEADER_LEN: usize = 3;

/// What libzstd says about a window past the limit. Its error numbers are not part of the safe
/// interface; a test holds the text.
const ZSTD_TOO_LARGE: &str = "Frame requires too much memory for decoding";

/// What one call did.
pub(super) struct Step {
    /// Bytes taken from the input.
    pub(super) consumed: usize,
    /// Bytes written to the output, also when the outcome is a fault.
    pub(super) produced: usize,
    pub(super) outcome: Outcome,
}

pub(super) enum Outcome {
    /// The member goes on; without progress it needs more input.
    More,
    /// The member ended and its checksum, if it has one, was right.
    End,
    /// The input is not what the format allows.
    Corrupt(io::Error),
    /// The member asks for more memory than is allowed.
    Memory(io::Error),
}

/// The state of decoding one member.
pub(super) enum Decoder {
    Gzip(flate2::Decompress),
    Zstd(ZstdFrame),
    Bzip2(bzip2::Decompress),
    Xz(Xz),
}

impl Decoder {
    /// A decoder at the beginning of a member; `None` for plain text, which needs none.
    pub(super) fn new(compression: Compression) -> io::Result<Option<Decoder>> {
        Ok(Some(match compression {
            Compression::Plain => return Ok(None),
            Compression::Gzip => Decoder::Gzip(flate2::Decompress::new_gzip(15)),
            Compression::Zstd => Decoder::Zstd(ZstdFrame::new()?),
            Compression::Bzip2 => Decoder::Bzip2(bzip2::Decompress::new(false)),
            Compression::Xz => Decoder::Xz(new_xz()?),
        }))
    }

    /// Gets ready for the next member.
    pub(super) fn restart(&mut self) -> io::Result<()> {
        match self {
            Decoder::Gzip(gzip) => gzip.reset(true),
            // A finished frame leaves libzstd ready for the next.
            Decoder::Zstd(_) => {}
            Decoder::Bzip2(bzip2) => *bzip2 = bzip2::Decompress::new(false),
            Decoder::Xz(xz) => *xz = new_xz()?,
        }
        Ok(())
    }

    /// Decodes from `input` to `output`, stopping at the end of the member.
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        match self {
            Decoder::Gzip(gzip) => step_gzip(gzip, input, output),
            Decoder::Zstd(frame) => frame.step(input, output),
            Decoder::Bzip2(bzip2) => step_bzip2(bzip2, input, output),
            Decoder::Xz(xz) => step_xz(xz, input, output),
        }
    }
}

fn new_xz() -> io::Result<Xz> {
    let flags = liblzma::stream::TELL_UNSUPPORTED_CHECK;
    Ok(Xz::new_stream_decoder(XZ_MEMORY, flags)?)
}

/// The growth of a 64-bit counter over one call. It cannot exceed the slice it counts in, so it
/// fits.
fn grown(after: u64, before: u64) -> usize {
    usize::try_from(after.saturating_sub(before)).unwrap_or(usize::MAX)
}

fn step_gzip(gzip: &mut flate2::Decompress, input: &[u8], output: &mut [u8]) -> Step {
    let (total_in, total_out) = (gzip.total_in(), gzip.total_out());
    let outcome = match gzip.decompress(input, output, flate2::FlushDecompress::None) {
        Ok(flate2::Status::StreamEnd) => Outcome::End,
        Ok(flate2::Status::Ok | flate2::Status::BufError) => Outcome::More,
        Err(error) => Outcome::Corrupt(io::Error::new(io::ErrorKind::InvalidData, error)),
    };
    Step {
        consumed: grown(gzip.total_in(), total_in),
        produced: grown(gzip.total_out(), total_out),
        outcome,
    }
}

fn step_bzip2(bzip2: &mut bzip2::Decompress, input: &[u8], output: &mut [u8]) -> Step {
    let (total_in, total_out) = (bzip2.total_in(), bzip2.total_out());
    let outcome = match bzip2.decompress(input, output) {
        Ok(bzip2::Status::StreamEnd) => Outcome::End,
        // The crate's name for a failed allocation; a decoder knows no other use of it.
        Ok(bzip2::Status::MemNeeded) => Outcome::Memory(io::ErrorKind::OutOfMemory.into()),
        Ok(_) => Outcome::More,
        Err(error) => Outcome::Corrupt(io::Error::new(io::ErrorKind::InvalidData, error)),
    };
    Step {
        consumed: grown(bzip2.total_in(), total_in),
        produced: grown(bzip2.total_out(), total_out),
        outcome,
    }
}

fn step_xz(xz: &mut Xz, input: &[u8], output: &mut [u8]) -> Step {
    let (total_in, total_out) = (xz.total_in(), xz.total_out());
    let outcome = match xz.process(input, output, Action::Run) {
        Ok(XzStatus::StreamEnd) => Outcome::End,
        Ok(_) => Outcome::More,
        Err(error @ (XzError::MemLimit | XzError::Mem)) => Outcome::Memory(error.into()),
        Err(error) => Outcome::Corrupt(error.into()),
    };
    Step {
        consumed: grown(xz.total_in(), total_in),
        produced: grown(xz.total_out(), total_out),
        outcome,
    }
}

/// A zstd decoder fed block by block.
///
/// libzstd drops the output of a call that fails. Fed more than one block at a time, it would lose
/// the text before the damaged one; so a call gets a block or a header, never both, and a block
/// that did not fit into the output is fetched before more is decoded. That is two or three calls
/// for 128 KiB of text.
pub(super) struct ZstdFrame {
    decoder: Zstd<'static>,
    /// Bytes libzstd asked for next.
    wanted: usize,
    /// The last output was filled: decoded text may be waiting.
    pending: bool,
}

impl ZstdFrame {
    fn new() -> io::Result<ZstdFrame> {
        let mut decoder = Zstd::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))?;
        Ok(ZstdFrame {
            decoder,
            wanted: 0,
            pending: false,
        })
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        if self.pending {
            let waiting = self.run(&[], output);
            if waiting.produced > 0 || !matches!(waiting.outcome, Outcome::More) {
                return waiting;
            }
        }
        // Inside a block, libzstd asks for the header of the next one as well.
        let wanted = match self.wanted.saturating_sub(BLOCK_HEADER_LEN) {
            0 => self.wanted.max(1),
            block => block,
        };
        self.run(input.get(..wanted).unwrap_or(input), output)
    }

    fn run(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let room = output.len();
        let mut source = InBuffer::around(input);
        let mut target = OutBuffer::around(output);
        let outcome = match self.decoder.run(&mut source, &mut target) {
            // Zero also answers a call that had nothing to do between two frames.
            Ok(0) => Outcome::End,
            Ok(wanted) => {
                self.wanted = wanted;
                Outcome::More
            }
            Err(error) if error.to_string() == ZSTD_TOO_LARGE => Outcome::Memory(error),
            Err(error) => Outcome::Corrupt(error),
        };
        let produced = target.pos();
        self.pending = produced == room;
        if matches!(outcome, Outcome::End) {
            (self.wanted, self.pending) = (0, false);
        }
        Step {
            consumed: source.pos,
            produced,
            outcome,
        }
    }
}
