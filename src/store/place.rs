//! Where the store lies: a directory nobody else can write to, and a lock that dies with its holder.
//!
//! Whoever can write to the directory could plant links or swap the file, so such a directory is
//! refused, and so are links in place of the directory, the store or the lock. Who may name the
//! directory's parents is the operator's business. The lock is `flock` on a file beside the store: its
//! existence says nothing, so a killed process leaves nothing to clean up. The number written into it is
//! for messages only.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};

use super::error::StoreError;

/// Rights of directories made here.
const DIRECTORY_MODE: u32 = 0o750;
/// Rights of files made here.
const FILE_MODE: u32 = 0o640;
/// Rights to write that a directory must not give to its group and others.
const WRITE_BITS: u32 = 0o022;
/// How often the lock is tried while others look at it.
const LOOKS: usize = 1000;

/// Held for as long as the value lives.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

/// Which file it is, whatever its name: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

/// The file that has this name at present; `None` when none has.
pub(super) fn identity(path: &Path) -> Option<Identity> {
    let found = fs::metadata(path).ok()?;
    Some(Identity(found.dev(), found.ino()))
}

/// Makes or checks the directory of the store and takes the lock.
pub(super) fn prepare(path: &Path) -> Result<Lock, StoreError> {
    let directory = directory_of(path);
    if fs::symlink_metadata(&directory).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    {
        create(&directory)?;
    }
    check_directory(&directory)?;
    refuse_link(path)?;
    lock(path)
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn create(directory: &Path) -> Result<(), StoreError> {
    let made = DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(directory);
    made.map_err(|source| io_error(directory, "create the directory", source))?;
    sync(&directory_of(directory))
}

/// Makes names in a directory survive a power cut.
pub(super) fn sync(directory: &Path) -> Result<(), StoreError> {
    File::open(directory)
        .and_then(|file| file.sync_all())
        .map_err(|source| io_error(directory, "sync the directory", source))
}

/// Makes the name of `path` survive a power cut.
pub(super) fn sync_name(path: &Path) -> Result<(), StoreError> {
    sync(&directory_of(path))
}

fn check_directory(directory: &Path) -> Result<(), StoreError> {
    let found = fs::symlink_metadata(directory)
        .map_err(|source| io_error(directory, "look at the directory", source))?;
    let user = rustix::process::geteuid().as_raw();
    let problem = if found.is_symlink() {
        "the directory of the store must not be a symbolic link"
    } else if !found.is_dir() {
        "not a directory"
    } else if found.uid() != user && found.uid() != 0 {
        "the directory of the store belongs to another user"
    } else if found.mode() & WRITE_BITS != 0 {
        "the directory of the store can be written to by its group or by others"
    } else {
        return Ok(());
    };
    Err(StoreError::Unsafe {
        path: directory.to_owned(),
        problem,
    })
}

/// Refuses anything but a regular file, or nothing.
fn refuse_link(path: &Path) -> Result<(), StoreError> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => Err(StoreError::Unsafe {
            path: path.to_owned(),
            problem: "not a regular file",
        }),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(io_error(path, "look at the store", source)),
    }
}

/// The store's path with an ending behind its whole name.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn lock(path: &Path) -> Result<Lock, StoreError> {
    let at = beside(path, ".lock");
    refuse_link(&at)?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .custom_flags(flags(OFlags::NOFOLLOW))
        .open(&at)
        .map_err(|source| io_error(&at, "open the lock", source))?;
    match take(&file) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            return Err(StoreError::Held {
                path: path.to_owned(),
                pid: read_pid(&mut file),
            });
        }
        Err(error) => return Err(io_error(&at, "lock the store", error.into())),
    }
    // The lock holds without the number: a full disk must not keep the agent from starting.
    let written = file
        .set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    drop(written);
    Ok(Lock { file })
}

/// Takes the lock again where its file was removed: another agent could have made a new one.
pub(super) fn keep(held: &mut Lock, path: &Path) -> Result<(), StoreError> {
    let ours = held.file.metadata().ok();
    let ours = ours.map(|found| Identity(found.dev(), found.ino()));
    if ours.is_none() || identity(&beside(path, ".lock")) != ours {
        *held = lock(path)?;
    }
    Ok(())
}

/// Takes the lock. Who only looks whether it is held ([`is_held`]) shares it for a moment, and must not keep
/// an agent from starting: while it can be shared, nobody has it.
fn take(file: &File) -> rustix::io::Result<()> {
    for _ in 0..LOOKS {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => {
                flock(file, FlockOperation::NonBlockingLockShared)?;
                std::thread::yield_now();
            }
            other => return other,
        }
    }
    Err(rustix::io::Errno::WOULDBLOCK)
}

/// Whether an agent holds the store; not to be asked by the process that does.
pub(super) fn is_held(path: &Path) -> Result<bool, StoreError> {
    let at = beside(path, ".lock");
    let file = match File::open(&at) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(StoreError::Unreadable { path: at, source }),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(io_error(&at, "look at the lock", error.into())),
    }
}

fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Makes an empty file that nobody else may read, where there is none.
pub(super) fn create_file(path: &Path) -> Result<(), StoreError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .custom_flags(flags(OFlags::NOFOLLOW))
        .open(path)
        .and_then(|file| file.sync_all())
        .map_err(|source| io_error(path, "create the store", source))
}

/// Removes a file that may not be there.
pub(super) fn remove_file(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io_error(path, "remove an unfinished store", error))
        }
        _ => Ok(()),
    }
}

pub(super) fn io_error(path: &Path, action: &'static str, source: io::Error) -> StoreError {
    StoreError::Io {
        path: path.to_owned(),
        action,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn problem(path: &Path) -> &'static str {
        match prepare(path) {
            Err(StoreError::Unsafe { problem, .. }) => problem,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_missing_directory_is_made_for_the_service_alone() {
        let folder = tempfile::tempdir().unwrap();
        let lock = prepare(&folder.path().join("a/b/store.db")).unwrap();
        let made = fs::metadata(folder.path().join("a/b")).unwrap();
        assert_eq!(made.mode() & 0o777 & !DIRECTORY_MODE, 0);
        drop(lock);
    }

    #[test]
    fn a_directory_that_others_can_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o770, 0o757, 0o1777] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert!(problem(&folder.path().join("store.db")).contains("written to"));
        }
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o750)).unwrap();
        prepare(&folder.path().join("store.db")).unwrap();
    }

    #[test]
    fn links_in_place_of_directory_store_and_lock_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("real");
        DirBuilder::new().mode(0o750).create(&real).unwrap();
        symlink(&real, folder.path().join("link")).unwrap();
        assert!(problem(&folder.path().join("link/store.db")).contains("symbolic link"));
        symlink("/etc/passwd", real.join("store.db")).unwrap();
        assert_eq!(problem(&real.join("store.db")), "not a regular file");
        symlink("/etc/passwd", real.join("other.db.lock")).unwrap();
        assert_eq!(problem(&real.join("other.db")), "not a regular file");
    }

    #[test]
    fn a_second_holder_is_told_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/store.db");
        let first = prepare(&path).unwrap();
        match prepare(&path) {
            Err(StoreError::Held { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        drop(first);
        prepare(&path).unwrap();
    }
}
