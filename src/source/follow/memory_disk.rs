//! A file system in memory for tests: inodes with handles that outlive their names, reused inodes, links,
//! folders that vanish and files that may not be opened. Each change moves its clock by one tick.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::super::Compression;
use super::super::samples::pack;
use super::{Disk, Kind, Stat};

#[derive(Debug)]
struct Node {
    ino: u64,
    born: i64,
    changed: i64,
    bytes: Vec<u8>,
    kind: Kind,
    denied: bool,
}

type Shared = Arc<Mutex<Node>>;

#[derive(Debug, Default)]
struct State {
    names: BTreeMap<PathBuf, Shared>,
    links: BTreeMap<PathBuf, PathBuf>,
    folders: BTreeMap<PathBuf, i64>,
    lost_folders: BTreeSet<PathBuf>,
    /// Folders that may be entered and not listed.
    unlisted: BTreeSet<PathBuf>,
    clock: i64,
    next_ino: u64,
    /// Given to the next files, oldest first.
    free: Vec<u64>,
    births: bool,
    /// Changes of files leave their times alone.
    frozen: bool,
    /// Opening fails, as with too many open files.
    full: bool,
}

/// The disk; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

/// An open file.
#[derive(Clone, Debug)]
pub(crate) struct MemoryFile(Shared);

impl State {
    fn touch_folder(&mut self, path: &Path) {
        self.clock += 1;
        let clock = self.clock;
        let dir = path.parent().unwrap().to_path_buf();
        self.folders.insert(dir, clock);
    }

    fn resolve(&self, path: &Path) -> io::Result<Shared> {
        let mut path = path.to_path_buf();
        for _ in 0..8 {
            if self.lost_folders.contains(path.parent().unwrap()) {
                return Err(ErrorKind::NotFound.into());
            }
            match self.links.get(&path) {
                Some(target) => path = target.clone(),
                None => {
                    return self
                        .names
                        .get(&path)
                        .cloned()
                        .ok_or(ErrorKind::NotFound.into());
                }
            }
        }
        Err(ErrorKind::InvalidInput.into())
    }
}

impl MemoryDisk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Makes inodes have birth times.
    pub(crate) fn keep_births(&self) {
        self.lock().births = true;
    }

    /// Replaces the name by a new file of a kind.
    pub(crate) fn make(&self, path: &str, kind: Kind, bytes: &[u8]) {
        let mut state = self.lock();
        state.touch_folder(Path::new(path));
        let clock = state.clock;
        let ino = match state.free.is_empty() {
            true => {
                state.next_ino += 1;
                state.next_ino
            }
            false => state.free.remove(0),
        };
        let node = Node {
            ino,
            born: clock,
            changed: clock,
            bytes: bytes.to_vec(),
            kind,
            denied: false,
        };
        state
            .names
            .insert(PathBuf::from(path), Arc::new(Mutex::new(node)));
    }

    pub(crate) fn create(&self, path: &str, bytes: &[u8]) {
        self.make(path, Kind::Regular, bytes);
    }

    /// Makes changes of files happen within one tick of the clock.
    pub(crate) fn freeze(&self, frozen: bool) {
        self.lock().frozen = frozen;
    }

    /// Makes opening fail, as with too many open files.
    pub(crate) fn refuse_opening(&self, full: bool) {
        self.lock().full = full;
    }

    fn change(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock();
        state.clock += 1;
        let (clock, frozen) = (state.clock, state.frozen);
        let node = state.resolve(Path::new(path)).unwrap();
        let mut node = node.lock().unwrap();
        change(&mut node.bytes);
        if !frozen {
            node.changed = clock;
        }
    }

    pub(crate) fn append(&self, path: &str, bytes: &[u8]) {
        self.change(path, |all| all.extend_from_slice(bytes));
    }

    pub(crate) fn truncate(&self, path: &str, len: usize) {
        self.change(path, |all| all.truncate(len));
    }

    pub(crate) fn overwrite(&self, path: &str, bytes: &[u8]) {
        self.change(path, |all| *all = bytes.to_vec());
    }

    /// The bytes under a name.
    pub(crate) fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        let node = self.lock().resolve(Path::new(path)).ok()?;
        Some(node.lock().unwrap().bytes.clone())
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.lock().resolve(Path::new(path)).is_ok()
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        let mut state = self.lock();
        let node = state.names.remove(Path::new(from)).unwrap();
        state.names.insert(PathBuf::from(to), node);
        state.touch_folder(Path::new(from));
        state.touch_folder(Path::new(to));
    }

    /// Removes a name; the inode may be given out again if nobody holds it open.
    pub(crate) fn unlink(&self, path: &str) {
        let mut state = self.lock();
        state.touch_folder(Path::new(path));
        state.links.remove(Path::new(path));
        if let Some(node) = state.names.remove(Path::new(path))
            && Arc::strong_count(&node) == 1
        {
            let ino = node.lock().unwrap().ino;
            state.free.push(ino);
        }
    }

    pub(crate) fn copy(&self, from: &str, to: &str) {
        let bytes = self.bytes(from).unwrap();
        self.create(to, &bytes);
    }

    /// What `gzip` does: the archive first, then the text goes.
    pub(crate) fn gzip(&self, path: &str) {
        let bytes = self.bytes(path).unwrap();
        self.create(&format!("{path}.gz"), &pack(Compression::Gzip, &bytes));
        self.unlink(path);
    }

    pub(crate) fn link(&self, path: &str, target: &str) {
        let mut state = self.lock();
        state
            .links
            .insert(PathBuf::from(path), PathBuf::from(target));
        state.touch_folder(Path::new(path));
    }

    pub(crate) fn deny(&self, path: &str, denied: bool) {
        let node = self.lock().resolve(Path::new(path)).unwrap();
        node.lock().unwrap().denied = denied;
    }

    /// A folder whose names cannot be read.
    pub(crate) fn hide_names(&self, path: &str, hidden: bool) {
        let mut state = self.lock();
        if hidden {
            state.unlisted.insert(PathBuf::from(path));
        } else {
            state.unlisted.remove(Path::new(path));
        }
    }

    /// Another name of a file.
    pub(crate) fn hard_link(&self, path: &str, of: &str) {
        let mut state = self.lock();
        let node = state.resolve(Path::new(of)).unwrap();
        state.names.insert(PathBuf::from(path), node);
        state.touch_folder(Path::new(path));
    }

    /// A folder that is not there for a while, with all that is in it.
    pub(crate) fn lose_folder(&self, path: &str, lost: bool) {
        let mut state = self.lock();
        if lost {
            state.lost_folders.insert(PathBuf::from(path));
        } else {
            state.lost_folders.remove(Path::new(path));
        }
    }
}

impl Disk for MemoryDisk {
    type File = MemoryFile;

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let state = self.lock();
        if state.lost_folders.contains(path) {
            return Err(ErrorKind::NotFound.into());
        }
        if let Some(changed) = state.folders.get(path) {
            return Ok(Stat {
                dev: 1,
                ino: 0,
                btime_ns: None,
                size: 0,
                mtime_ns: *changed,
                ctime_ns: *changed,
                kind: Kind::Folder,
                uid: 0,
            });
        }
        let node = state.resolve(path)?;
        drop(state);
        self.fstat(&MemoryFile(node))
    }

    fn open(&self, path: &Path) -> io::Result<MemoryFile> {
        let state = self.lock();
        if state.full {
            return Err(io::Error::other("too many open files"));
        }
        let shared = state.resolve(path)?;
        drop(state);
        let node = shared.lock().unwrap();
        match node.kind {
            _ if node.denied => Err(ErrorKind::PermissionDenied.into()),
            Kind::Regular => {
                drop(node);
                Ok(MemoryFile(shared))
            }
            other => Err(super::disk::not_regular(other)),
        }
    }

    fn fstat(&self, file: &MemoryFile) -> io::Result<Stat> {
        let births = self.lock().births;
        let node = file.0.lock().unwrap();
        Ok(Stat {
            dev: 1,
            ino: node.ino,
            btime_ns: births.then_some(node.born),
            size: node.bytes.len() as u64,
            mtime_ns: node.changed,
            ctime_ns: node.changed,
            kind: node.kind,
            uid: 0,
        })
    }

    fn read_at(&self, file: &MemoryFile, into: &mut [u8], at: u64) -> io::Result<usize> {
        let node = file.0.lock().unwrap();
        let at = usize::try_from(at).unwrap().min(node.bytes.len());
        let got = into.len().min(node.bytes.len() - at);
        into[..got].copy_from_slice(&node.bytes[at..at + got]);
        Ok(got)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        let state = self.lock();
        if state.lost_folders.contains(dir) || !state.folders.contains_key(dir) {
            return Err(ErrorKind::NotFound.into());
        }
        if state.unlisted.contains(dir) {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let names = state.names.keys().chain(state.links.keys());
        let here = names.filter(|path| path.parent() == Some(dir));
        Ok(here
            .map(|path| path.file_name().unwrap().to_owned())
            .collect())
    }
}
