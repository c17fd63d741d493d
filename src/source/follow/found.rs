//! The files of one path: the one there, and the rotated ones beside it.
//!
//! Nothing is decided here; a file is opened at most once in a scan, and what kept it from being seen is kept.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::folders::parent;
use super::follower::{Context, Follower, open_text};
use super::names::{belongs, could_hold, is_rotated, stem};
use super::owner::Standing;
use super::text::Text;
use super::{Disk, Kind, Stat};

/// So many paths that they are told apart by the names of their rotated files alone.
const MANY: usize = 64;

/// A file that may hold a generation.
pub(super) struct Found<D: Disk> {
    pub(super) path: PathBuf,
    pub(super) stat: Stat,
    pub(super) live: bool,
    pub(super) taken: bool,
    /// `None` before it was opened, and after its text was handed on.
    pub(super) text: Option<Text<D>>,
    /// Too short to tell whether it is compressed.
    pub(super) untold: bool,
    /// All of it is the beginning of the log, which no generation has.
    pub(super) begins_log: bool,
}

impl<D: Disk> Found<D> {
    /// Opens the file once; false while it cannot be told what it is, or if another file took its place.
    pub(super) fn open(&mut self, cx: &Context<'_, D>) -> io::Result<bool> {
        if self.text.is_some() {
            return Ok(true);
        }
        let Some(text) = open_text(cx.disk, &self.path, self.live, cx.options)? else {
            self.untold = true;
            return Ok(false);
        };
        let stat = cx.disk.fstat(&text.file)?;
        if (stat.dev, stat.ino) != (self.stat.dev, self.stat.ino) {
            return Err(io::Error::other(
                "another file took its place while it was looked at",
            ));
        }
        self.stat = stat;
        self.text = Some(text);
        Ok(true)
    }

    pub(super) fn is_packed(&self) -> bool {
        self.text.as_ref().is_some_and(Text::is_packed)
    }
}

/// What kept a scan from seeing everything.
#[derive(Default)]
pub(super) struct Sightings {
    /// Something moved, or could not be opened.
    pub(super) blind: bool,
    /// A file without a generation may be one in the making.
    pub(super) making: bool,
}

impl<D: Disk> Follower<D> {
    /// Looks at the folders that matter, and counts their changes.
    pub(super) fn look_at_folders(&self, cx: &mut Context<'_, D>, again: bool) -> u64 {
        let mut dirs = vec![parent(&self.path).to_path_buf()];
        for pattern in cx.options.rotated.iter().flatten() {
            cx.folders.expand(cx.disk, pattern, &mut dirs);
        }
        dirs.sort_unstable();
        dirs.dedup();
        let look = |dir: &PathBuf| match again {
            true => cx.folders.look_again(cx.disk, dir),
            false => cx.folders.look(cx.disk, dir),
        };
        dirs.iter().map(look).sum()
    }

    /// Why a folder of rotated files cannot be listed; one that is not there has none.
    fn unlisted(&self, cx: &mut Context<'_, D>) -> Option<io::Error> {
        let mut dirs = Vec::new();
        for pattern in cx.options.rotated.iter().flatten() {
            cx.folders.expand(cx.disk, pattern, &mut dirs);
        }
        let mut errors = dirs.iter().filter_map(|dir| cx.folders.error(dir));
        errors
            .find(|kind| *kind != io::ErrorKind::NotFound)
            .map(io::Error::from)
    }

    /// The rotated files of the path, by their names.
    pub(super) fn find_siblings(&self, cx: &mut Context<'_, D>) -> Vec<PathBuf> {
        let name = self.path.file_name().unwrap_or_default().as_bytes();
        if let Some(patterns) = &cx.options.rotated {
            let mut paths = Vec::new();
            for pattern in patterns {
                let mut found = cx.folders.expand(cx.disk, pattern, &mut Vec::new());
                let own = self.is_only_log_of(cx, pattern);
                found.retain(|path| {
                    let other = path.file_name().unwrap_or_default().as_bytes();
                    !cx.by_path.contains_key(path) && (own || belongs(name, other))
                });
                paths.extend(found);
            }
            return paths;
        }
        let dir = parent(&self.path);
        let names = cx.folders.names(dir);
        let stem = stem(name);
        let from = names.partition_point(|name| name.as_bytes() < stem);
        let near = names
            .iter()
            .skip(from)
            .take_while(|name| name.as_bytes().starts_with(stem));
        let rotated = near.filter(|other| is_rotated(name, other.as_bytes()));
        rotated.map(|name| self.path.with_file_name(name)).collect()
    }

    /// No other path could have rotated files that a pattern holds.
    fn is_only_log_of(&self, cx: &Context<'_, D>, pattern: &str) -> bool {
        if cx.by_path.len() > MANY {
            return false;
        }
        let last = Path::new(pattern).file_name().unwrap_or_default();
        let Ok(last) = glob::Pattern::new(&last.to_string_lossy()) else {
            return false;
        };
        let others = cx.by_path.keys().filter(|path| **path != self.path);
        others
            .map(|path| name_of(path))
            .all(|name| !could_hold(&last, name))
    }

    pub(super) fn collect(
        &mut self,
        cx: &mut Context<'_, D>,
        seen: &mut Sightings,
    ) -> Vec<Found<D>> {
        self.siblings = self.find_siblings(cx);
        if let Some(error) = self.unlisted(cx) {
            seen.blind = true;
            self.trouble.get_or_insert_with(|| error.to_string());
        }
        let mut found: Vec<Found<D>> = Vec::new();
        let trouble = self.trouble.take();
        let live = self.look_at_path(cx).filter(|stat| {
            let standing = self.standing(cx, stat);
            self.shadowed = matches!(standing, Standing::Shadowed);
            seen.blind |= matches!(standing, Standing::Left);
            matches!(standing, Standing::Free)
        });
        let live = live.map(|stat| (self.path.clone(), stat, true));
        seen.blind |= self.trouble.is_some() && !is_other_kind(cx.disk, &self.path);
        self.trouble = self.trouble.take().or(trouble);
        let mut rest = Vec::new();
        for path in &self.siblings {
            match cx.disk.stat(path) {
                Ok(stat) if self.is_of_another(cx, path, &stat) => {}
                Ok(stat) if stat.kind == Kind::Regular => rest.push((path.clone(), stat, false)),
                Ok(_) => {}
                Err(error) => seen.blind |= error.kind() != io::ErrorKind::NotFound,
            }
        }
        for (path, stat, live) in live.into_iter().chain(rest) {
            let same = |one: &Found<D>| (one.stat.dev, one.stat.ino) == (stat.dev, stat.ino);
            if !found.iter().any(same) {
                found.push(Found {
                    path,
                    stat,
                    live,
                    taken: false,
                    text: None,
                    untold: false,
                    begins_log: false,
                });
            }
        }
        found
    }
}

fn name_of(path: &Path) -> &[u8] {
    path.file_name().unwrap_or_default().as_bytes()
}

fn is_other_kind<D: Disk>(disk: &D, path: &Path) -> bool {
    disk.stat(path).is_ok_and(|stat| stat.kind != Kind::Regular)
}
