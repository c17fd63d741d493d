//! Room for SQLite's shared memory on a disk that is full.
//!
//! The index of the write-ahead log is a file that SQLite maps and of which it writes one byte in each
//! 4 KiB. Where blocks are smaller (small ext4 file systems have 1 KiB), the rest of a page has no block
//! yet, and a full disk answers the first store to it with SIGBUS, which ends the process. So a connection
//! is opened only where there is room, and blocks are reserved for the index as soon as it exists.
//!
//! The reserved file stays open for as long as the connection: closing it would release the locks that
//! SQLite holds on the same file, because POSIX locks belong to the process.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;

use super::error::StoreError;
use super::place::{beside, io_error};

/// Bytes that opening may need: the index, a page or two of the log.
const LEAST: u64 = 256 << 10;

/// Bytes of the index: enough for a log of 64 MiB, at which it is cut.
const INDEX: u64 = 160 << 10;

/// Refuses a file system that is as good as full.
pub(super) fn check(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let full = |source: Errno| io_error(path, "find room for the store", source.into());
    let found = statvfs(folder).map_err(full)?;
    let free = if rustix::process::geteuid().is_root() {
        found.f_bfree
    } else {
        found.f_bavail
    };
    if free.saturating_mul(found.f_frsize) < LEAST {
        return Err(full(Errno::NOSPC));
    }
    Ok(())
}

/// Reserves blocks for the index of an open store; `None` where the file system cannot.
pub(super) fn reserve(path: &Path) -> Result<Option<File>, StoreError> {
    let index = beside(path, "-shm");
    let failed = |source: io::Error| io_error(path, "reserve room for the store", source);
    let file = match File::options().read(true).write(true).open(&index) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    match fallocate(&file, FallocateFlags::KEEP_SIZE, 0, INDEX) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(Some(file)),
        Err(error) => {
            // The connection goes with this error, and its locks may.
            drop(file);
            Err(failed(error.into()))
        }
    }
}
