//! Databases where installers put them, for people who named none.
//!
//! `geoipupdate` and distribution packages use `/usr/share/GeoIP` and `/var/lib/GeoIP`. Files are
//! known by name; of each only the end is read, for its age. Whether a file is sound is found out
//! when it is opened.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

const FOLDERS: [&str; 2] = ["/usr/share/GeoIP", "/var/lib/GeoIP"];

/// The specification lets metadata begin at most this far before the end.
const METADATA_LIMIT: u64 = 128 * 1024;

const METADATA_MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";

/// The databases to use when none is named: the newest City file, without one the newest Country
/// file, then the newest ASN file. Empty when nothing is installed.
pub fn standard_places() -> Vec<PathBuf> {
    standard_places_in(&FOLDERS.map(Path::new))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    City,
    Country,
    Asn,
}

fn standard_places_in(folders: &[&Path]) -> Vec<PathBuf> {
    let mut candidates: Vec<(Kind, u64, PathBuf)> = Vec::new();
    for entry in folders
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
    {
        let Ok(path) = entry.map(|entry| entry.path()) else {
            continue;
        };
        let kind = path
            .file_name()
            .and_then(|name| kind_of(&name.to_str()?.to_ascii_lowercase()));
        if let Some(kind) = kind.filter(|_| path.is_file()) {
            candidates.push((kind, build_epoch(&path).unwrap_or(0), path));
        }
    }
    let newest = |kind: Kind| {
        let of_kind = candidates.iter().filter(|(found, ..)| *found == kind);
        of_kind
            .max_by_key(|(_, epoch, path)| (*epoch, path))
            .map(|(.., path)| path.clone())
    };
    let place = newest(Kind::City).or_else(|| newest(Kind::Country));
    place.into_iter().chain(newest(Kind::Asn)).collect()
}

/// The kind of database that a file name in lower case stands for.
fn kind_of(name: &str) -> Option<Kind> {
    let stem = name.strip_suffix(".mmdb")?;
    let rest = ["geolite2-", "geoip2-", "dbip-"]
        .iter()
        .find_map(|maker| stem.strip_prefix(maker))?;
    let kinds = [
        ("city", Kind::City),
        ("country", Kind::Country),
        ("asn", Kind::Asn),
    ];
    kinds
        .into_iter()
        .find_map(|(word, kind)| rest.starts_with(word).then_some(kind))
}

/// The build time that the end of a file tells, in seconds since 1970.
fn build_epoch(path: &Path) -> Option<u64> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(METADATA_LIMIT)))
        .ok()?;
    let mut tail = Vec::new();
    file.take(METADATA_LIMIT).read_to_end(&mut tail).ok()?;
    build_epoch_in(&tail)
}

/// The `uint64` after the key `build_epoch` of the last metadata. Files that store the key
/// elsewhere and point to it are of unknown age.
fn build_epoch_in(tail: &[u8]) -> Option<u64> {
    let key = b"\x4bbuild_epoch";
    let metadata = tail
        .windows(METADATA_MARKER.len())
        .rposition(|bytes| bytes == METADATA_MARKER)?;
    let metadata = tail.get(metadata..)?;
    let at = metadata.windows(key.len()).position(|bytes| bytes == key)?;
    // Control byte: extended type (0) and length; then the type less 7 (2 is `uint64`).
    let (&[length @ 0..=8, 2], number) = metadata.get(at + key.len()..)?.split_first_chunk()?
    else {
        return None;
    };
    let number = number.get(..usize::from(length))?;
    Some(
        number
            .iter()
            .fold(0, |value, &byte| value << 8 | u64::from(byte)),
    )
}

#[cfg(test)]
mod tests {
    use super::super::made;
    use super::*;
    use proptest::prelude::*;

    fn place(folder: &Path, name: &str, epoch: u64) {
        let maker = made::Maker {
            build_epoch: epoch,
            ..made::Maker::new("x")
        };
        std::fs::write(folder.join(name), maker.make(&[])).unwrap();
    }

    fn names(folders: &[&Path]) -> Vec<String> {
        let name = |path: PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        standard_places_in(folders).into_iter().map(name).collect()
    }

    #[test]
    fn the_newest_city_file_is_preferred_and_asn_is_added() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        place(a.path(), "GeoLite2-Country.mmdb", 1_900_000_000);
        place(a.path(), "GeoLite2-City.mmdb", 1_600_000_000);
        place(b.path(), "dbip-city-lite-2024-05.mmdb", 1_700_000_000);
        place(b.path(), "GeoLite2-ASN.mmdb", 5);
        place(b.path(), "GeoIP2-Domain.mmdb", 9);
        std::fs::write(b.path().join("GeoIP2-City.mmdb"), "damaged").unwrap();
        std::fs::create_dir(b.path().join("GeoLite2-ASN-old.mmdb")).unwrap();
        let found = names(&[a.path(), Path::new("/no/such/folder"), b.path()]);
        assert_eq!(found, ["dbip-city-lite-2024-05.mmdb", "GeoLite2-ASN.mmdb"]);
        assert_eq!(names(&[a.path()]), ["GeoLite2-City.mmdb"]);
    }

    #[test]
    fn without_a_city_file_country_is_used() {
        let folder = tempfile::tempdir().unwrap();
        assert!(names(&[folder.path()]).is_empty());
        place(folder.path(), "GeoLite2-Country.mmdb", 0);
        assert_eq!(names(&[folder.path()]), ["GeoLite2-Country.mmdb"]);
    }

    proptest! {
        #[test]
        fn any_file_end_is_read_without_panic(bytes: Vec<u8>) {
            let mut tail = METADATA_MARKER.to_vec();
            tail.extend_from_slice(b"\x4bbuild_epoch");
            tail.extend_from_slice(&bytes);
            let _epoch = build_epoch_in(&tail);
        }
    }
}
