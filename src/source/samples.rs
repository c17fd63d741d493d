//! Compressed texts for the tests of this folder.

use std::io::{self, Read, Write as _};
use std::path::PathBuf;

use super::{Archive, ArchiveError, Compression, Limits};

pub(super) const PACKED: [Compression; 4] = [
    Compression::Gzip,
    Compression::Zstd,
    Compression::Bzip2,
    Compression::Xz,
];

/// One member, frame or stream.
pub(super) fn pack(compression: Compression, text: &[u8]) -> Vec<u8> {
    match compression {
        Compression::Plain => text.to_vec(),
        Compression::Gzip => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
            gzip.write_all(text).unwrap();
            gzip.finish().unwrap()
        }
        Compression::Zstd => {
            let mut zstd = zstd::Encoder::new(Vec::new(), 3).unwrap();
            zstd.include_checksum(true).unwrap();
            zstd.write_all(text).unwrap();
            zstd.finish().unwrap()
        }
        Compression::Bzip2 => {
            let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(1));
            bzip2.write_all(text).unwrap();
            bzip2.finish().unwrap()
        }
        Compression::Xz => {
            let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
            xz.write_all(text).unwrap();
            xz.finish().unwrap()
        }
    }
}

/// Lines that differ and compress well.
pub(super) fn log(lines: usize) -> Vec<u8> {
    let line = |n| {
        format!(
            "203.0.113.{} - - \"GET /beacon.gif?n={n} HTTP/1.1\" 200 43\n",
            n % 256
        )
    };
    (0..lines).map(line).collect::<String>().into_bytes()
}

/// Bytes that do not compress, the same each time.
pub(super) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| byte()).collect()
}

/// Delivers `bytes` in reads of at most `step` bytes, each after an interruption.
pub(super) struct Dripping {
    pub(super) bytes: io::Cursor<Vec<u8>>,
    pub(super) step: usize,
    pub(super) interrupted: bool,
}

impl Dripping {
    pub(super) fn new(bytes: Vec<u8>, step: usize) -> Dripping {
        Dripping {
            bytes: io::Cursor::new(bytes),
            step,
            interrupted: false,
        }
    }
}

impl Read for Dripping {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let len = into.len().min(self.step);
        self.bytes.read(&mut into[..len])
    }
}

pub(super) fn archive(bytes: &[u8], limits: Limits) -> Archive {
    let raw = Box::new(io::Cursor::new(bytes.to_vec()));
    Archive::over(PathBuf::from("logs/a"), raw, limits).unwrap()
}

/// All text that is delivered, and how it ended; `chunk` bytes are asked for at a time.
pub(super) fn drain(mut archive: Archive, chunk: usize) -> (Vec<u8>, Result<(), ArchiveError>) {
    let (mut text, mut buffer) = (Vec::new(), vec![0; chunk]);
    loop {
        match archive.read(&mut buffer) {
            Ok(0) => return (text, Ok(())),
            Ok(got) => text.extend_from_slice(&buffer[..got]),
            Err(error) => {
                assert_eq!(
                    archive.read(&mut buffer).unwrap(),
                    0,
                    "an error is returned once"
                );
                return (text, Err(error));
            }
        }
    }
}
