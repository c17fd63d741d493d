//! The file system as a follower sees it: five calls, so that a test can stand in for it.
//!
//! Invariant: what [`Disk::open`] returns is a regular file, and opening never waits. The
//! description of an open file comes from the handle, never from a path, because the path may lead
//! elsewhere by then.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use rustix::fs::{Mode, OFlags};

/// What lies at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The only kind that is followed.
    Regular,
    /// A directory.
    Folder,
    /// A fifo.
    Pipe,
    /// A unix socket.
    Socket,
    /// A character or block device.
    Device,
    /// A symbolic link, seen only where links are not followed.
    Link,
}

impl Kind {
    /// The noun for messages, as in "is a pipe".
    pub fn noun(self) -> &'static str {
        match self {
            Kind::Regular => "regular file",
            Kind::Folder => "folder",
            Kind::Pipe => "pipe",
            Kind::Socket => "socket",
            Kind::Device => "device",
            Kind::Link => "symbolic link",
        }
    }

    fn of(kind: fs::FileType) -> Kind {
        if kind.is_file() {
            Kind::Regular
        } else if kind.is_dir() {
            Kind::Folder
        } else if kind.is_fifo() {
            Kind::Pipe
        } else if kind.is_socket() {
            Kind::Socket
        } else if kind.is_symlink() {
            Kind::Link
        } else {
            Kind::Device
        }
    }
}

/// What the system says about a file. Times are nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The device.
    pub dev: u64,
    /// The inode.
    pub ino: u64,
    /// When the inode was made; `None` where the file system does not keep it.
    pub btime_ns: Option<i64>,
    /// Bytes in the file.
    pub size: u64,
    /// When the content last changed.
    pub mtime_ns: i64,
    /// When content or inode last changed.
    pub ctime_ns: i64,
    /// What it is.
    pub kind: Kind,
    /// The owner.
    pub uid: u32,
}

/// The calls a follower makes. Handles are cheap to clone and keep a deleted file readable.
pub trait Disk: Clone + Send + 'static {
    /// An open regular file.
    type File: Clone + Send + 'static;

    /// Describes what a path leads to.
    fn stat(&self, path: &Path) -> io::Result<Stat>;

    /// Opens a regular file for reading, never waiting.
    fn open(&self, path: &Path) -> io::Result<Self::File>;

    /// Describes an open file.
    fn fstat(&self, file: &Self::File) -> io::Result<Stat>;

    /// Reads at a position; 0 at the end.
    fn read_at(&self, file: &Self::File, into: &mut [u8], at: u64) -> io::Result<usize>;

    /// The names in a directory, in any order.
    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>>;
}

/// The file system of this machine.
///
/// A symbolic link is followed only where every directory on the way, and the link, belong to root or
/// to the owner of the file it leads to: otherwise whoever owns a log folder could have any file read.
#[derive(Clone, Copy, Debug)]
pub struct RealDisk {
    /// False refuses every symbolic link in the last place of a path.
    pub follow_symlinks: bool,
}

impl Disk for RealDisk {
    type File = Arc<File>;

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let metadata = if self.follow_symlinks {
            fs::metadata(path)
        } else {
            fs::symlink_metadata(path)
        };
        metadata.map(|metadata| described(&metadata))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<File>> {
        let target = self.target(path)?;
        let flags =
            OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = Arc::new(File::from(rustix::fs::open(&target, flags, Mode::empty())?));
        let stat = self.fstat(&file)?;
        match stat.kind {
            Kind::Regular => Ok(file),
            other => Err(not_regular(other)),
        }
    }

    fn fstat(&self, file: &Arc<File>) -> io::Result<Stat> {
        file.metadata().map(|metadata| described(&metadata))
    }

    fn read_at(&self, file: &Arc<File>, into: &mut [u8], at: u64) -> io::Result<usize> {
        loop {
            match file.read_at(into, at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(dir)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect()
    }
}

impl RealDisk {
    /// The path to open: without links, after the owners on the way were looked at.
    fn target(&self, path: &Path) -> io::Result<PathBuf> {
        if !self.follow_symlinks {
            return Ok(path.to_path_buf());
        }
        let target = fs::canonicalize(path)?;
        let written = std::path::absolute(path)?;
        if target == written {
            return Ok(target);
        }
        let owner = fs::symlink_metadata(&target)?.uid();
        let links = written.ancestors().chain(target.ancestors().skip(1));
        for place in links {
            let uid = fs::symlink_metadata(place)?.uid();
            if uid != 0 && uid != owner {
                return Err(io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    "a symbolic link leads to another user's file",
                ));
            }
        }
        Ok(target)
    }
}

/// The error for a path that leads to something else than a regular file.
pub(super) fn not_regular(kind: Kind) -> io::Error {
    let noun = kind.noun();
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("is a {noun}, not a regular file"),
    )
}

fn described(metadata: &Metadata) -> Stat {
    let ns = |seconds: i64, ns: i64| seconds.saturating_mul(1_000_000_000).saturating_add(ns);
    let btime = metadata.created().ok();
    let btime = btime.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Stat {
        dev: metadata.dev(),
        ino: metadata.ino(),
        btime_ns: btime.and_then(|since| i64::try_from(since.as_nanos()).ok()),
        size: metadata.size(),
        mtime_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
        ctime_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
        kind: Kind::of(metadata.file_type()),
        uid: metadata.uid(),
    }
}
