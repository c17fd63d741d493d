//! The files of a host below a root, which may be another host's, mounted or unpacked here.
//!
//! Invariant: nothing outside the root is opened: a path is followed name by name, a symbolic link in it
//! is resolved inside the root, and `..` ends at the root. Nothing but regular files is read, and of
//! those no more than [`Limits`] allow in all, so that no configuration makes this long or large.
//! Paths are those of the host: absolute, without the root.

use std::cell::Cell;
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// Symbolic links in one path, as the kernel has it (path_resolution(7)).
const MOST_LINKS: u32 = 40;

/// How much is read of one host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Files opened, and folders listed.
    pub(super) files: u32,
    /// Bytes of one configuration file.
    pub(super) file_bytes: u64,
    /// Names that one pattern may give.
    pub(super) names: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            files: 5000,
            file_bytes: 1 << 20,
            names: 2000,
        }
    }
}

/// Why a file was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// There is none.
    Missing,
    /// It is there; a few words on what is wrong with it.
    Refused(String),
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A device, a FIFO, a socket.
    Special,
}

/// The files below a root.
pub(super) struct Tree {
    root: PathBuf,
    limits: Limits,
    left: Cell<u32>,
}

impl Tree {
    /// The files below `root`.
    pub(super) fn new(root: &Path, limits: Limits) -> Tree {
        Tree {
            root: root.to_owned(),
            left: Cell::new(limits.files),
            limits,
        }
    }

    /// True when the root is this host's own.
    pub(super) fn is_this_host(&self) -> bool {
        self.root == Path::new("/")
    }

    /// What `path` leads to; `None` when there is nothing, or nothing inside the root.
    pub(super) fn kind(&self, path: &str) -> Option<Kind> {
        let metadata = fs::metadata(self.resolved(path)?).ok()?;
        Some(if metadata.is_file() {
            Kind::File
        } else if metadata.is_dir() {
            Kind::Folder
        } else {
            Kind::Special
        })
    }

    /// The target of `path` where that is a symbolic link.
    pub(super) fn link(&self, path: &str) -> Option<String> {
        let (folder, name) = path.rsplit_once('/')?;
        let folder = if folder.is_empty() { "/" } else { folder };
        let target = fs::read_link(self.resolved(folder)?.join(name)).ok()?;
        target.into_os_string().into_string().ok()
    }

    /// The text of a configuration file; bytes that are no UTF-8 are replaced.
    ///
    /// # Errors
    /// It is not there, no regular file, too large, not readable, or one too many.
    pub(super) fn read(&self, path: &str) -> Result<String, Unread> {
        let (mut file, length) = self.open(path)?;
        if length > self.limits.file_bytes {
            return Err(Unread::Refused(format!(
                "{length} bytes are too many for a configuration"
            )));
        }
        let mut bytes = Vec::new();
        (&mut file)
            .take(self.limits.file_bytes)
            .read_to_end(&mut bytes)
            .map_err(|error| Unread::Refused(error.to_string()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The last whole lines of a log, at most so many bytes of them.
    ///
    /// # Errors
    /// As [`Tree::read`], but for the size.
    pub(super) fn tail(&self, path: &str, most: u64) -> Result<Vec<u8>, Unread> {
        let (mut file, length) = self.open(path)?;
        let failed = |error: std::io::Error| Unread::Refused(error.to_string());
        let start = length.saturating_sub(most);
        file.seek(SeekFrom::Start(start)).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes).map_err(failed)?;
        if start > 0 {
            let first = memchr::memchr(b'\n', &bytes).map_or(bytes.len(), |at| at + 1);
            bytes.drain(..first);
        }
        // The writer may be in the middle of a line.
        let end = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
        bytes.truncate(end);
        Ok(bytes)
    }

    /// The files whose paths match a pattern, sorted as servers sort them: by bytes. `*`, `?` and `[…]` do not match
    /// `/`.
    pub(super) fn matching(&self, pattern: &str) -> Vec<String> {
        let mut found = vec![String::new()];
        for part in pattern.split('/').filter(|part| !part.is_empty()) {
            found = match glob::Pattern::new(part) {
                Ok(matcher) if part.contains(['*', '?', '[']) => {
                    self.named(&found, |name| matches(&matcher, part, name))
                }
                _ => {
                    let next = found.iter().map(|folder| format!("{folder}/{part}"));
                    next.filter(|path| self.kind(path).is_some()).collect()
                }
            };
            found.truncate(self.limits.names);
        }
        found.sort();
        found.retain(|path| self.kind(path).is_some_and(|kind| kind != Kind::Folder));
        found
    }

    /// The names below `folder`, sorted; none when it is not there.
    pub(super) fn list(&self, folder: &str) -> Vec<String> {
        if !self.counted() {
            return Vec::new();
        }
        let entries = self
            .resolved(folder)
            .and_then(|path| fs::read_dir(path).ok());
        let mut names: Vec<String> = entries
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .take(self.limits.names)
            .collect();
        names.sort();
        names
    }

    fn named(&self, folders: &[String], wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let mut found = Vec::new();
        for folder in folders {
            let at = if folder.is_empty() { "/" } else { folder };
            let names = self.list(at).into_iter().filter(|name| wanted(name));
            found.extend(names.map(|name| format!("{folder}/{name}")));
        }
        found
    }

    fn open(&self, path: &str) -> Result<(fs::File, u64), Unread> {
        let real = self.resolved(path).ok_or(Unread::Missing)?;
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => Unread::Missing,
            _ => Unread::Refused(error.to_string()),
        };
        // A FIFO would never be opened, so what it is comes first.
        if !fs::metadata(&real).map_err(failed)?.is_file() {
            return Err(Unread::Refused("it is not a regular file".to_owned()));
        }
        if !self.counted() {
            return Err(Unread::Refused(format!(
                "more than {} files",
                self.limits.files
            )));
        }
        let file = fs::File::open(&real).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        Ok((file, length))
    }

    fn counted(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }

    /// Where a path of the host is here, without any symbolic link left in it.
    fn resolved(&self, path: &str) -> Option<PathBuf> {
        let mut todo: Vec<String> = parts(path);
        let mut done: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if part == ".." {
                done.pop();
                continue;
            }
            done.push(part);
            let here = self.here(&done);
            let Ok(metadata) = fs::symlink_metadata(&here) else {
                return None;
            };
            if metadata.is_symlink() {
                links += 1;
                if links > MOST_LINKS {
                    return None;
                }
                let target = fs::read_link(&here).ok()?.into_os_string();
                let target = target.into_string().ok()?;
                done.pop();
                if target.starts_with('/') {
                    done.clear();
                }
                todo.extend(parts(&target));
            }
        }
        Some(self.here(&done))
    }

    fn here(&self, parts: &[String]) -> PathBuf {
        let mut path = self.root.clone();
        path.extend(parts);
        path
    }
}

/// The names of a path, the last one first; a name that cannot be one ends up matching nothing.
fn parts(path: &str) -> Vec<String> {
    let names = path.split('/').rev();
    let names = names.filter(|name| !matches!(*name, "" | "."));
    names.map(|name| name.replace('\0', "\u{fffd}")).collect()
}

/// As glob(3) does it: a name that begins with a dot is matched by a dot only.
fn matches(matcher: &glob::Pattern, pattern: &str, name: &str) -> bool {
    matcher.matches(name) && (!name.starts_with('.') || pattern.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree() -> (tempfile::TempDir, Tree) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("etc/conf.d")).unwrap();
        fs::write(folder.path().join("secret"), "outside").unwrap();
        fs::write(root.join("etc/a.conf"), "a").unwrap();
        fs::write(root.join("etc/conf.d/2.conf"), "2").unwrap();
        fs::write(root.join("etc/conf.d/1.conf"), "1").unwrap();
        fs::write(root.join("etc/conf.d/.hidden.conf"), "h").unwrap();
        let tree = Tree::new(&root, Limits::default());
        (folder, tree)
    }

    #[test]
    fn links_and_dots_never_lead_out_of_the_root() {
        let (folder, tree) = tree();
        let root = folder.path().join("root");
        symlink(folder.path().join("secret"), root.join("etc/absolute")).unwrap();
        symlink("../../../secret", root.join("etc/relative")).unwrap();
        symlink("/etc/a.conf", root.join("etc/inside")).unwrap();
        symlink("loop", root.join("etc/loop")).unwrap();
        symlink("..", root.join("etc/up")).unwrap();
        for path in [
            "/etc/absolute",
            "/etc/relative",
            "/../secret",
            "/etc/loop",
            "/etc/up/../../secret",
        ] {
            assert_eq!(tree.read(path), Err(Unread::Missing), "{path}");
            assert_eq!(tree.tail(path, 9), Err(Unread::Missing), "{path}");
        }
        assert_eq!(tree.read("/etc/inside").unwrap(), "a");
        assert_eq!(tree.read("/etc/up/etc/./a.conf").unwrap(), "a");
    }

    #[test]
    fn patterns_give_sorted_files_without_hidden_ones() {
        let (_folder, tree) = tree();
        assert_eq!(
            tree.matching("/etc/conf.d/*.conf"),
            ["/etc/conf.d/1.conf", "/etc/conf.d/2.conf"]
        );
        assert_eq!(tree.matching("/etc/*/1.conf"), ["/etc/conf.d/1.conf"]);
        assert_eq!(tree.matching("/etc/*"), ["/etc/a.conf"]);
        assert_eq!(tree.matching("/etc/[/*.conf"), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_file_too_large_or_too_much_is_refused() {
        let (folder, _) = tree();
        let limits = Limits {
            files: 2,
            file_bytes: 0,
            names: 9,
        };
        let tree = Tree::new(&folder.path().join("root"), limits);
        assert!(matches!(tree.read("/etc"), Err(Unread::Refused(_))));
        assert!(matches!(tree.read("/etc/a.conf"), Err(Unread::Refused(_))));
        assert_eq!(tree.tail("/etc/a.conf", 9), Ok(Vec::new()));
        assert_eq!(
            tree.tail("/etc/a.conf", 9),
            Err(Unread::Refused("more than 2 files".to_owned()))
        );
    }

    #[test]
    fn a_tail_is_whole_lines() {
        let (folder, tree) = tree();
        fs::write(folder.path().join("root/log"), "one\ntwo\nthree\nfou").unwrap();
        assert_eq!(tree.tail("/log", 100).unwrap(), b"one\ntwo\nthree\n");
        assert_eq!(tree.tail("/log", 11).unwrap(), b"three\n");
        assert_eq!(tree.tail("/log", 2).unwrap(), b"");
    }
}
