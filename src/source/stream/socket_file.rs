//! The file of a Unix datagram socket: made, made writable for senders, and removed.
//!
//! Invariant: only a socket on which nobody listens is replaced, and only the file made here is
//! removed at the end.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use super::super::noun;
use super::{StreamError, SyslogAddress};

/// A socket file made by this process; removed when dropped.
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody else may have put another there since.
        if fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.identity)
        {
            fs::remove_file(&self.path).ok();
        }
    }
}

/// Binds a socket to a path. Everybody who reaches the path may send, as to `/dev/log`: servers log
/// as users of their own, so it is the folder that decides who reaches it.
pub(super) fn bind(path: &Path) -> Result<(UnixDatagram, SocketFile), StreamError> {
    let listen = |source| StreamError::Listen {
        address: SyslogAddress::Unix(path.to_path_buf()),
        source,
    };
    clear(path)?;
    let socket = UnixDatagram::bind(path).map_err(listen)?;
    let found = fs::symlink_metadata(path).map_err(listen)?;
    let file = SocketFile {
        path: path.to_path_buf(),
        identity: (found.dev(), found.ino()),
    };
    fs::set_permissions(path, Permissions::from_mode(0o666)).map_err(listen)?;
    Ok((socket, file))
}

/// Removes a socket that a process left behind; anything else in the way is an error.
fn clear(path: &Path) -> Result<(), StreamError> {
    let listen = |source| StreamError::Listen {
        address: SyslogAddress::Unix(path.to_path_buf()),
        source,
    };
    let kind = match fs::symlink_metadata(path) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(listen(error)),
    };
    if !kind.is_socket() {
        let kind = if kind.is_symlink() {
            "symbolic link"
        } else if kind.is_file() {
            "file"
        } else {
            noun(kind)
        };
        let path = path.to_path_buf();
        return Err(StreamError::NotSocket { path, kind });
    }
    // The kernel refuses a connection to a socket file that no open socket is bound to.
    match UnixDatagram::unbound().and_then(|probe| probe.connect(path)) {
        Ok(()) => Err(StreamError::InUse {
            path: path.to_path_buf(),
        }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(listen)
        }
        Err(error) => Err(listen(error)),
    }
}
