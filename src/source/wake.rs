//! Wakes the reader when something happens in a watched directory.
//!
//! Invariant: an event is a hint and nothing else: the callback is called once for each time the waker was armed,
//! whatever the events were and however many. Directories are watched, never files: a watch on a
//! file follows its inode and says nothing about the next file of that name. Without inotify there are no hints, and
//! polling alone finds everything, later.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::Shown;

/// Watches directories.
pub struct Waker {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    armed: Arc<AtomicBool>,
    warning: Option<String>,
}

impl Waker {
    /// A waker that calls `wake` from a thread of its own, once after each [`Waker::arm`]; it is armed already.
    /// If the system refuses, the waker is inactive, and [`Waker::warning`] says why.
    pub fn new(wake: impl Fn() + Send + 'static) -> Waker {
        let armed = Arc::new(AtomicBool::new(true));
        let flag = Arc::clone(&armed);
        // Errors and lost events wake as well: the reader looks at everything then.
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let read = event.is_ok_and(|event| event.kind.is_access() && !event.need_rescan());
            if !read && flag.swap(false, Ordering::AcqRel) {
                wake();
            }
        });
        let mut waker = Waker {
            watcher: None,
            watched: BTreeSet::new(),
            armed,
            warning: None,
        };
        match watcher {
            Ok(watcher) => waker.watcher = Some(watcher),
            Err(error) => waker.warning = Some(format!("files are polled: {error}")),
        }
        waker
    }

    /// Lets the next event wake again. To be called before looking, so that nothing falls in between.
    pub fn arm(&self) {
        self.armed.store(true, Ordering::Release);
    }

    /// Watches exactly these directories. One that is not there is left out, and tried again at the next call;
    /// a limit of the system ends all watching.
    pub fn watch<'a>(&mut self, dirs: impl IntoIterator<Item = &'a Path>) {
        let wanted: BTreeSet<PathBuf> = dirs.into_iter().map(Path::to_path_buf).collect();
        let Some(watcher) = self.watcher.as_mut() else {
            return;
        };
        for dir in self.watched.difference(&wanted) {
            // A directory that was removed has lost its watch already.
            watcher.unwatch(dir).unwrap_or_default();
        }
        self.watched.retain(|dir| wanted.contains(dir));
        for dir in wanted {
            if self.watched.contains(&dir) {
                continue;
            }
            match watcher.watch(&dir, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(dir);
                }
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    let warning = format!(
                        "{}: cannot be watched, files are polled: {error}",
                        Shown(&dir)
                    );
                    self.warning = Some(warning);
                    self.watcher = None;
                    self.watched.clear();
                    return;
                }
            }
        }
    }

    /// Events arrive.
    pub fn is_active(&self) -> bool {
        self.watcher.is_some()
    }

    /// Why no events arrive; given once.
    pub fn warning(&mut self) -> Option<String> {
        self.warning.take()
    }
}

/// The directory is not there, or closed to us: its followers say so themselves.
fn is_passing(error: &notify::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    match &error.kind {
        notify::ErrorKind::PathNotFound | notify::ErrorKind::WatchNotFound => true,
        notify::ErrorKind::Io(error) => {
            matches!(error.kind(), NotFound | PermissionDenied | NotADirectory)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_write_wakes_once_until_armed_again() {
        let dir = tempfile::tempdir().unwrap();
        let (send, wakes) = mpsc::channel();
        let mut waker = Waker::new(move || send.send(()).unwrap());
        if !waker.is_active() {
            return;
        }
        waker.watch([dir.path()]);
        fs::write(dir.path().join("a"), "1").unwrap();
        wakes.recv_timeout(LONG).unwrap();
        waker.arm();
        fs::write(dir.path().join("a"), "2").unwrap();
        wakes.recv_timeout(LONG).unwrap();
        assert_eq!(waker.warning(), None);
    }

    #[test]
    fn a_missing_directory_is_no_reason_to_stop() {
        let dir = tempfile::tempdir().unwrap();
        let mut waker = Waker::new(|| ());
        let active = waker.is_active();
        waker.watch([dir.path().join("missing").as_path(), dir.path()]);
        assert_eq!(waker.is_active(), active);
    }
}
