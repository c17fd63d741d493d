//! Wakes whoever reads logs when something happens in their folders, through inotify.
//!
//! Invariant: a wake-up is a hint and never the truth. Events may be lost (network file systems, a
//! full queue, a folder that was replaced), so files are also looked at by the clock; without
//! inotify nothing but latency changes. However busy a folder is, its events cost one wake-up for
//! each time [`Waker::arm`] is called.
//!
//! Folders are watched, never files: a watch on a file follows it when it is renamed, and tells
//! nothing about the file that takes its place.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify::event::RemoveKind;
use notify::{Config, ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use rustix::io::Errno;

/// Called in another thread when there may be something to read. It must return soon, and must
/// not wait for the one it wakes.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// After a failure, inotify is tried again at each so many calls of [`Waker::watch`].
const PATIENCE: u32 = 60;

/// What inotify is asked for; tests put a failing one in its place.
type Open = Box<dyn Fn(Ear) -> notify::Result<Box<dyn Watcher + Send>> + Send>;

/// Watches folders and wakes.
pub struct Waker {
    open: Open,
    ear: Ear,
    watcher: Option<Box<dyn Watcher + Send>>,
    /// The folders watched, with the device and inode each path led to.
    watched: BTreeMap<PathBuf, (u64, u64)>,
    /// Calls to let pass before the next try; `None` while nothing failed.
    patience: Option<u32>,
}

/// The end of the events: the thread of notify calls it.
#[derive(Clone)]
struct Ear {
    wake: Wake,
    /// The next event wakes.
    armed: Arc<AtomicBool>,
    /// A folder was removed, perhaps a watched one, whose watch is gone then.
    removed: Arc<AtomicBool>,
}

impl Ear {
    fn hear(&self, event: &notify::Result<Event>) {
        // An error, or events that were lost, may hide any event.
        let kind = match event {
            Ok(event) if event.need_rescan() => None,
            Ok(event) => Some(event.kind),
            Err(_) => None,
        };
        match kind {
            // Opening and closing a file, as the reader does, changes nothing.
            Some(EventKind::Access(_)) => return,
            Some(EventKind::Remove(RemoveKind::File)) => {}
            None | Some(EventKind::Remove(_)) => self.removed.store(true, Ordering::Release),
            Some(_) => {}
        }
        if self.armed.swap(false, Ordering::AcqRel) {
            (self.wake)();
        }
    }
}

/// Why a folder is not watched.
enum Refusal {
    /// It is not there, or not for us; that may change, and is no reason for a message.
    Folder,
    /// There is no more inotify to be had.
    Exhausted(notify::Error),
}

impl Waker {
    /// Watches nothing yet, and is armed.
    pub fn new(wake: Wake) -> Waker {
        Waker::with(wake, Box::new(inotify))
    }

    fn with(wake: Wake, open: Open) -> Waker {
        Waker {
            open,
            ear: Ear {
                wake,
                armed: Arc::new(AtomicBool::new(true)),
                removed: Arc::new(AtomicBool::new(false)),
            },
            watcher: None,
            watched: BTreeMap::new(),
            patience: None,
        }
    }

    /// Watches exactly these folders, at the cost of one `stat` for each that is watched already.
    /// One that is missing or unreadable is tried again at the next call. What happened in a folder
    /// before it was watched wakes nobody: look at the files after this.
    ///
    /// Gives a warning when inotify fails, and none for later failures until it worked again.
    pub fn watch(&mut self, directories: &[PathBuf]) -> Option<String> {
        if let Some(left) = self.patience.as_mut().filter(|left| **left > 0) {
            *left -= 1;
            return None;
        }
        let failed_before = self.patience.is_some();
        match self.renew(directories) {
            Ok(()) => {
                self.patience = None;
                None
            }
            Err(error) => {
                self.watcher = None;
                self.watched.clear();
                self.patience = Some(PATIENCE);
                (!failed_before).then(|| warning(&error))
            }
        }
    }

    /// Whether changes wake. It is `false` before there is a folder to watch.
    pub fn is_active(&self) -> bool {
        self.watcher.is_some()
    }

    /// The next event wakes; those after it do not until this is called again.
    pub fn arm(&self) {
        self.ear.armed.store(true, Ordering::Release);
    }

    /// Makes the watched set these directories.
    fn renew(&mut self, directories: &[PathBuf]) -> notify::Result<()> {
        let mut watcher = match self.watcher.take() {
            Some(watcher) => watcher,
            None if directories.is_empty() => return Ok(()),
            None => (self.open)(self.ear.clone())?,
        };
        let watched = &mut self.watched;
        let wanted = |path: &PathBuf| directories.contains(path);
        let gone: Vec<_> = watched.extract_if(.., |path, _| !wanted(path)).collect();
        for (path, _) in &gone {
            watcher.unwatch(path).ok();
        }
        // Two paths of one folder share a watch, which may just have gone with the other path.
        if self.ear.removed.swap(false, Ordering::AcqRel) || !gone.is_empty() {
            watched.values_mut().for_each(|identity| *identity = (0, 0));
        }
        for path in directories {
            match attend(watcher.as_mut(), path, watched.get(path).copied()) {
                Ok(identity) => watched.insert(path.clone(), identity),
                Err(Refusal::Folder) => watched.remove(path),
                Err(Refusal::Exhausted(error)) => return Err(error),
            };
        }
        self.watcher = Some(watcher);
        Ok(())
    }
}

/// Watches one folder unless it is the same that was watched before; device and inode of it.
fn attend(
    watcher: &mut dyn Watcher,
    path: &Path,
    before: Option<(u64, u64)>,
) -> Result<(u64, u64), Refusal> {
    let found = fs::metadata(path).ok().filter(fs::Metadata::is_dir);
    let identity = found.map(|found| (found.dev(), found.ino()));
    if before.is_some() {
        if identity == before {
            return identity.ok_or(Refusal::Folder);
        }
        // Else the watch would stay with the folder that was renamed.
        watcher.unwatch(path).ok();
    }
    let identity = identity.ok_or(Refusal::Folder)?;
    match watcher.watch(path, RecursiveMode::NonRecursive) {
        Ok(()) => Ok(identity),
        Err(error) if is_exhausted(&error) => Err(Refusal::Exhausted(error)),
        Err(_) => Err(Refusal::Folder),
    }
}

/// A watcher whose events go to the ear.
fn inotify(ear: Ear) -> notify::Result<Box<dyn Watcher + Send>> {
    let hear = move |event| ear.hear(&event);
    let watcher = RecommendedWatcher::new(hear, Config::default())?;
    Ok(Box::new(watcher))
}

/// The failure is not about the one folder: a limit is reached.
fn is_exhausted(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::MaxFilesWatch | ErrorKind::Generic(_) => true,
        ErrorKind::Io(cause) => Errno::from_io_error(cause).is_some_and(|errno| {
            [Errno::NOSPC, Errno::MFILE, Errno::NFILE, Errno::NOMEM].contains(&errno)
        }),
        _ => false,
    }
}

/// What to tell the operator, with the limit to raise.
fn warning(error: &notify::Error) -> String {
    let (cause, limit) = match &error.kind {
        ErrorKind::MaxFilesWatch => ("no more watches".to_owned(), "max_user_watches"),
        ErrorKind::Io(cause) => (cause.to_string(), limit_of(cause)),
        _ => (error.to_string(), "max_user_instances"),
    };
    format!("inotify fails ({cause}): logs are polled (limit: `sysctl fs.inotify.{limit}`)")
}

fn limit_of(cause: &io::Error) -> &'static str {
    match Errno::from_io_error(cause) {
        Some(Errno::NOSPC) => "max_user_watches",
        _ => "max_user_instances",
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::mpsc::{Receiver, channel};
    use std::sync::{Mutex, PoisonError};
    use std::time::Duration;

    use notify::event::{AccessKind, AccessMode, CreateKind, Flag};
    use notify::{EventHandler, WatcherKind};

    use super::*;

    fn counted() -> (Wake, Receiver<()>) {
        let (sender, wakes) = channel();
        let wake: Wake = Arc::new(move || sender.send(()).unwrap_or_default());
        (wake, wakes)
    }

    /// Makes files in a folder until one of them wakes, which watches the folder each time.
    fn wakes_eventually(waker: &mut Waker, folder: &Path, wakes: &Receiver<()>) {
        for number in 0..1500 {
            assert_eq!(waker.watch(&[folder.to_path_buf()]), None);
            waker.arm();
            File::create(folder.join(format!("{number}.log"))).unwrap();
            if wakes.recv_timeout(Duration::from_millis(20)).is_ok() {
                return;
            }
        }
        panic!("nothing woke");
    }

    #[test]
    fn a_new_file_wakes() {
        let folder = tempfile::tempdir().unwrap();
        let (wake, wakes) = counted();
        let mut waker = Waker::new(wake);
        assert!(!waker.is_active());
        assert_eq!(waker.watch(&[folder.path().to_path_buf()]), None);
        assert!(waker.is_active());
        File::create(folder.path().join("access.log")).unwrap();
        wakes.recv_timeout(Duration::from_secs(30)).unwrap();
    }

    #[test]
    fn a_folder_that_comes_later_is_watched_then() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("nginx");
        let (wake, wakes) = counted();
        let mut waker = Waker::new(wake);
        assert_eq!(waker.watch(std::slice::from_ref(&folder)), None);
        assert!(waker.is_active());
        fs::create_dir(&folder).unwrap();
        wakes_eventually(&mut waker, &folder, &wakes);
    }

    #[test]
    fn a_folder_made_anew_is_watched_again() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("nginx");
        let (wake, wakes) = counted();
        let mut waker = Waker::new(wake);
        for _ in 0..20 {
            fs::create_dir(&folder).unwrap();
            wakes_eventually(&mut waker, &folder, &wakes);
            fs::remove_dir_all(&folder).unwrap();
        }
    }

    #[test]
    fn a_folder_that_takes_the_place_of_another_is_watched() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("nginx");
        let (wake, wakes) = counted();
        let mut waker = Waker::new(wake);
        fs::create_dir(&folder).unwrap();
        wakes_eventually(&mut waker, &folder, &wakes);
        fs::rename(&folder, parent.path().join("old")).unwrap();
        fs::create_dir(&folder).unwrap();
        wakes_eventually(&mut waker, &folder, &wakes);
    }

    #[test]
    fn a_folder_stays_watched_when_its_other_path_is_given_up() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("nginx");
        let link = parent.path().join("link");
        fs::create_dir(&folder).unwrap();
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        let (wake, wakes) = counted();
        let mut waker = Waker::new(wake);
        assert_eq!(waker.watch(&[folder.clone(), link.clone()]), None);
        assert_eq!(waker.watch(std::slice::from_ref(&link)), None);
        File::create(folder.join("access.log")).unwrap();
        wakes.recv_timeout(Duration::from_secs(30)).unwrap();
    }

    #[test]
    fn one_event_wakes_for_each_time_of_arming() {
        let (wake, wakes) = counted();
        let waker = Waker::new(wake);
        let event = Ok(Event::new(EventKind::Create(CreateKind::File)));
        for _ in 0..3 {
            waker.ear.hear(&event);
            waker.ear.hear(&event);
            assert_eq!(wakes.try_iter().count(), 1);
            waker.arm();
        }
    }

    #[test]
    fn reading_does_not_wake_and_lost_events_and_errors_do() {
        let (wake, wakes) = counted();
        let waker = Waker::new(wake);
        for kind in [
            AccessKind::Open(AccessMode::Any),
            AccessKind::Close(AccessMode::Read),
            AccessKind::Any,
        ] {
            waker.ear.hear(&Ok(Event::new(EventKind::Access(kind))));
        }
        assert_eq!(wakes.try_iter().count(), 0);
        let rescan = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        for event in [Ok(rescan), Err(notify::Error::generic("lost"))] {
            waker.arm();
            waker.ear.hear(&event);
            assert_eq!(wakes.try_iter().count(), 1);
        }
    }

    /// A watcher with as many watches left as the number says.
    #[derive(Debug)]
    struct Scarce(Arc<Mutex<u32>>);

    impl Watcher for Scarce {
        fn new<F: EventHandler>(_: F, _: Config) -> notify::Result<Scarce> {
            unreachable!("made by hand")
        }

        fn watch(&mut self, _: &Path, _: RecursiveMode) -> notify::Result<()> {
            let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *left = left
                .checked_sub(1)
                .ok_or(notify::Error::new(ErrorKind::MaxFilesWatch))?;
            Ok(())
        }

        fn unwatch(&mut self, _: &Path) -> notify::Result<()> {
            Ok(())
        }

        fn kind() -> WatcherKind {
            WatcherKind::NullWatcher
        }
    }

    #[test]
    fn a_lack_of_watches_is_told_once_and_heals_in_silence() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folders = [first.path().to_path_buf(), second.path().to_path_buf()];
        let left = Arc::new(Mutex::new(1));
        let scarce = left.clone();
        let open: Open = Box::new(move |_| Ok(Box::new(Scarce(scarce.clone()))));
        let mut waker = Waker::with(Arc::new(|| ()), open);
        let warning = waker.watch(&folders).unwrap();
        assert_eq!(
            warning,
            "inotify fails (no more watches): logs are polled (limit: `sysctl fs.inotify.max_user_watches`)"
        );
        for _ in 0..3 * PATIENCE {
            assert_eq!(waker.watch(&folders), None);
            assert!(!waker.is_active());
        }
        *left.lock().unwrap() = 2;
        for _ in 0..=PATIENCE {
            assert_eq!(waker.watch(&folders), None);
        }
        assert!(waker.is_active());
        let third = tempfile::tempdir().unwrap();
        let more = [&folders[..], &[third.path().to_path_buf()]].concat();
        assert!(
            waker.watch(&more).is_some(),
            "it is another change of state"
        );
        assert!(!waker.is_active());
    }

    #[test]
    fn inotify_that_cannot_be_had_is_told_with_its_limit() {
        let open: Open = Box::new(|_| Err(notify::Error::io(Errno::MFILE.into())));
        let mut waker = Waker::with(Arc::new(|| ()), open);
        assert_eq!(waker.watch(&[]), None, "nothing to watch, nothing to fail");
        let warning = waker.watch(&[PathBuf::from("/")]).unwrap();
        assert!(warning.contains("Too many open files"), "{warning}");
        assert!(warning.contains("max_user_instances"), "{warning}");
        assert_eq!(waker.watch(&[PathBuf::from("/")]), None);
    }
}
