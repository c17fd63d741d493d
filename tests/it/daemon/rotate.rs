//! The ways in which logs are rotated: by logrotate, by hand, by servers themselves.
//!
//! These act on names and files only. Whether the writer goes on in the old file or reopens is the
//! test's to say, with [`Writer::reopen`](super::writer::Writer::reopen).

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

/// `PATH.N`.
pub(crate) fn numbered(log: &Path, n: u32) -> PathBuf {
    with_ending(log, &format!(".{n}"))
}

/// `PATH` and something behind it.
pub(crate) fn with_ending(log: &Path, ending: &str) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Moves each `PATH.N` and `PATH.N.gz` to N+1, so that `PATH.1` is free.
pub(crate) fn shift(log: &Path) {
    let taken =
        |n: u32| numbered(log, n).exists() || with_ending(log, &format!(".{n}.gz")).exists();
    let last = (1..).find(|n| !taken(*n)).expect("numbers do not end");
    for n in (1..last).rev() {
        for ending in ["", ".gz"] {
            let from = with_ending(log, &format!(".{n}{ending}"));
            if from.exists() {
                let to = with_ending(log, &format!(".{}{ending}", n + 1));
                fs::rename(from, to).unwrap();
            }
        }
    }
}

/// logrotate's `nocreate`: the log is renamed to `PATH.1`, nothing takes its place.
pub(crate) fn rename(log: &Path) {
    shift(log);
    fs::rename(log, numbered(log, 1)).unwrap();
}

/// logrotate's `create`: renamed, and an empty log in its place.
pub(crate) fn rename_and_create(log: &Path) {
    rename(log);
    fs::File::create_new(log).unwrap();
}

/// logrotate's `dateext`: renamed to `PATH-YYYYMMDD-N`.
pub(crate) fn rename_dated(log: &Path, n: u64) {
    fs::rename(log, dated(log, n)).unwrap();
}

fn dated(log: &Path, n: u64) -> PathBuf {
    with_ending(log, &format!("-20261122-{n:06}"))
}

/// logrotate's `copytruncate`.
pub(crate) fn copytruncate(log: &Path) {
    shift(log);
    fs::copy(log, numbered(log, 1)).unwrap();
    truncate(log);
}

/// The file is cut to nothing where it stands.
pub(crate) fn truncate(log: &Path) {
    fs::OpenOptions::new()
        .write(true)
        .open(log)
        .unwrap()
        .set_len(0)
        .unwrap();
}

/// `gzip PATH`: the archive grows beside the file, then the file goes.
pub(crate) fn compress(path: &Path) {
    let half = compress_in_part(path);
    half.finish();
}

/// A gzip that has written a part of its archive.
pub(crate) struct HalfCompressed {
    path: PathBuf,
    archive: fs::File,
    rest: Vec<u8>,
}

/// Begins `gzip PATH`; half of the archive is there.
pub(crate) fn compress_in_part(path: &Path) -> HalfCompressed {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&fs::read(path).unwrap()).unwrap();
    let mut bytes = encoder.finish().unwrap();
    let rest = bytes.split_off(bytes.len() / 2);
    let mut archive = fs::File::create(with_ending(path, ".gz")).unwrap();
    archive.write_all(&bytes).unwrap();
    HalfCompressed {
        path: path.to_owned(),
        archive,
        rest,
    }
}

impl HalfCompressed {
    /// Writes the rest and removes the plain file.
    pub(crate) fn finish(mut self) {
        self.archive.write_all(&self.rest).unwrap();
        fs::remove_file(&self.path).unwrap();
    }
}

/// Lets the symbolic link `log` point at `target`, by renaming a new link over it.
pub(crate) fn swap_symlink(log: &Path, target: &Path) {
    let fresh = with_ending(log, ".link");
    symlink(target, &fresh).unwrap();
    fs::rename(fresh, log).unwrap();
}

/// A way to rotate, for tests that choose one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    /// Renamed and created; the server reopens at once.
    Create,
    /// Renamed; the log's name is missing until the server writes again.
    Gap,
    /// Renamed and created; the server writes to the old file for a while.
    Linger,
    /// Copied and truncated under a server that never reopens.
    CopyTruncate,
    /// Renamed and compressed at once.
    Compress,
    /// Renamed; the generation before is compressed.
    DelayCompress,
    /// Renamed to a name with the date.
    Dated,
}

/// All ways.
pub(crate) const WAYS: [Way; 7] = [
    Way::Create,
    Way::Gap,
    Way::Linger,
    Way::CopyTruncate,
    Way::Compress,
    Way::DelayCompress,
    Way::Dated,
];

/// Rotates the writer's log this way. `linger` lines go to the old file where the way has that.
pub(crate) fn rotate(writer: &mut super::writer::Writer, way: Way, linger: usize) {
    let log = writer.path().to_owned();
    if !log.exists() {
        writer.reopen();
        return writer.lines(1);
    }
    match way {
        Way::CopyTruncate => {
            writer.mend();
            return copytruncate(&log);
        }
        Way::Create => rename_and_create(&log),
        Way::Gap => rename(&log),
        Way::Linger => {
            rename_and_create(&log);
            writer.lines(linger);
        }
        Way::Compress => {
            writer.mend();
            rename_and_create(&log);
            compress(&numbered(&log, 1));
        }
        Way::DelayCompress => {
            rename_and_create(&log);
            let before = numbered(&log, 2);
            if before.exists() {
                compress(&before);
            }
        }
        Way::Dated => {
            // A log that got a begun line only has the number of the one before it.
            let n = u64::try_from(writer.written.len()).unwrap();
            let free = |n: &u64| !dated(&log, *n).exists();
            rename_dated(&log, (n..).find(free).expect("numbers do not end"));
        }
    }
    writer.reopen();
}

#[cfg(test)]
mod tests {
    use super::super::writer::Writer;
    use super::*;
    use crate::program::{Folder, replay};

    #[test]
    fn no_way_loses_a_line() {
        for way in WAYS {
            let folder = Folder::new();
            let mut writer = Writer::new(folder.path("access.log"));
            for round in 0..5 {
                writer.lines(10 + round);
                if round == 2 {
                    writer.tear(30);
                }
                rotate(&mut writer, way, 3);
            }
            writer.lines(1);
            let document = replay(&[folder.path("")]);
            let inputs = document["inputs"].as_array().unwrap();
            let lines: u64 = inputs
                .iter()
                .map(|input| input["lines"].as_u64().unwrap())
                .sum();
            assert_eq!(lines, writer.truth.lines, "{way:?}: {document}");
        }
    }

    #[test]
    fn no_way_takes_the_name_of_a_log_with_lines() {
        for way in WAYS {
            let folder = Folder::new();
            let mut writer = Writer::new(folder.path("access.log"));
            writer.lines(7);
            rotate(&mut writer, way, 3);
            writer.tear(30);
            rotate(&mut writer, way, 3);
            writer.lines(1);
            let document = replay(&[folder.path("")]);
            let inputs = document["inputs"].as_array().unwrap();
            let lines: u64 = inputs
                .iter()
                .map(|input| input["lines"].as_u64().unwrap())
                .sum();
            assert_eq!(lines, writer.truth.lines, "{way:?}: {document}");
        }
    }

    #[test]
    fn a_half_written_archive_stands_beside_its_file() {
        let folder = Folder::new();
        let path = PathBuf::from(folder.file("a.log.1", "x\n".repeat(5000)));
        let half = compress_in_part(&path);
        assert!(path.exists() && with_ending(&path, ".gz").exists());
        half.finish();
        assert!(!path.exists());
    }

    #[test]
    fn a_swapped_link_points_at_its_new_target() {
        let folder = Folder::new();
        let (old, new) = (folder.file("a", "a"), folder.file("b", "b"));
        let log = PathBuf::from(folder.path("access.log"));
        swap_symlink(&log, Path::new(&old));
        swap_symlink(&log, Path::new(&new));
        assert_eq!(fs::read(&log).unwrap(), b"b");
    }
}
