//! MaxMind databases: opened whole into memory, checked, asked for four kinds of place.
//!
//! Invariant: a database that opened answers every look-up with a value or `None`, in bounded
//! time. Files are read, never mapped: a mapped file that is overwritten in place kills the
//! process. Several files are one `GeoDatabases`; the first that knows the answer wins, so the
//! order is the caller's preference.
//!
//! Layouts: MaxMind's own (`country.iso_code`) and the flat one of the ip-location-db family
//! (`country_code`). Accuracy, time zones, coordinates and operators are not read.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use maxminddb::{LookupResult, MaxMindDbError, PathElement, Reader};
use thiserror::Error;

use super::address::special;
use super::tree::Tree;

/// Largest database that is read, in bytes: some other huge file named by mistake must not fill
/// the memory.
pub const SIZE_LIMIT: u64 = 1 << 30;

/// Records read at load to learn what a database holds and that they can be read.
const PROBES: usize = 1024;

/// Longest answer, in bytes; a longer one counts as absent. Real names are far shorter.
const LONGEST_ANSWER: usize = 256;

/// The answer for an address that can only belong to somebody's own network.
pub(super) const PRIVATE: &str = "private";

/// What is asked about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// ISO 3166-1 alpha-2 code, `GB`.
    Country,
    /// Two letters, `EU`.
    Continent,
    /// English name, `London`.
    City,
    /// The network's number, `AS1221`.
    Asn,
}

impl Place {
    /// Every kind, in the order of their indexes.
    pub const ALL: [Place; 4] = [Place::Country, Place::Continent, Place::City, Place::Asn];

    /// The word for it in messages and definitions.
    pub fn name(self) -> &'static str {
        match self {
            Place::Country => "country",
            Place::Continent => "continent",
            Place::City => "city",
            Place::Asn => "asn",
        }
    }

    /// Whether a `database_type` such as `GeoLite2-City` promises answers of this kind.
    fn promised_by(self, database_type: &str) -> bool {
        let promises: &[&str] = match self {
            Place::Country => &["country", "city", "enterprise"],
            // Only some makers of such files tell it.
            Place::Continent => &[],
            Place::City => &["city", "enterprise"],
            Place::Asn => &["asn", "-isp", "enterprise"],
        };
        let database_type = database_type.to_ascii_lowercase();
        promises.iter().any(|word| database_type.contains(word))
    }
}

/// Why a database was refused.
#[derive(Debug, Error)]
pub enum GeoError {
    /// The file could not be read.
    #[error("{}: cannot be read; check that it exists and that this user may read it", path.display())]
    Read {
        /// The database.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A directory, pipe or device.
    #[error("{}: not a regular file; name the .mmdb file itself", path.display())]
    NotAFile {
        /// What was named.
        path: PathBuf,
    },
    /// Larger than [`SIZE_LIMIT`].
    #[error("{}: larger than {} MiB; use a country or city database", path.display(), SIZE_LIMIT >> 20)]
    TooLarge {
        /// The database.
        path: PathBuf,
    },
    /// Not a MaxMind database, or a damaged one.
    #[error("{}: not a sound MaxMind database: {reason}; download it again, and unpack it if it is compressed", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What is wrong with it, escaped.
        reason: String,
    },
    /// A sound database about something else.
    #[error("{}: a database of type `{database_type}` holds no country, city or ASN; use a Country, City or ASN database", path.display())]
    NoPlaces {
        /// The database.
        path: PathBuf,
        /// What it says it is, escaped.
        database_type: String,
    },
}

/// One database in memory, checked.
pub struct GeoDatabase {
    path: PathBuf,
    reader: Reader<Vec<u8>>,
    /// By index of `Place::ALL`.
    serves: [bool; 4],
}

/// What a record says, by index of `Place::ALL`.
pub(super) type Record<'a> = [Option<Cow<'a, str>>; 4];

impl GeoDatabase {
    /// Reads and checks the file at `path`, which takes about 0.8 s for a City database of
    /// 57 MB and 20 ms for a country database of 5 MB.
    ///
    /// # Errors
    /// The file cannot be read, is too large, damaged, or about something else.
    pub fn open(path: &Path) -> Result<GeoDatabase, GeoError> {
        let failed = |source| GeoError::Read {
            path: path.to_owned(),
            source,
        };
        // Asked before opening: opening a pipe waits for its writer.
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Err(GeoError::NotAFile {
                path: path.to_owned(),
            });
        }
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(failed)?;
        let read = file
            .take(SIZE_LIMIT + 1)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        if u64::try_from(read).is_ok_and(|length| length > SIZE_LIMIT) {
            return Err(GeoError::TooLarge {
                path: path.to_owned(),
            });
        }
        GeoDatabase::from_bytes(path, bytes)
    }

    /// Checks the bytes of a database; `path` is only remembered and named in messages.
    ///
    /// # Errors
    /// The bytes are damaged or about something else.
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<GeoDatabase, GeoError> {
        let damaged = |reason: String| GeoError::Damaged {
            path: path.to_owned(),
            reason: reason.chars().flat_map(escape_control).collect(),
        };
        let serves = check(&bytes).map_err(damaged)?;
        let reader = Reader::from_source(bytes).map_err(|error| damaged(error.to_string()))?;
        if serves.contains(&true) {
            return Ok(GeoDatabase {
                path: path.to_owned(),
                reader,
                serves,
            });
        }
        let database_type = reader.metadata().database_type.escape_debug().to_string();
        Err(GeoError::NoPlaces {
            path: path.to_owned(),
            database_type,
        })
    }

    /// Where it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the database says it is, `GeoLite2-City`. Text from the file: escape it.
    pub fn database_type(&self) -> &str {
        &self.reader.metadata().database_type
    }

    /// When it was made, in seconds since 1970; whatever the file says, so possibly absurd.
    pub fn build_epoch(&self) -> u64 {
        self.reader.metadata().build_epoch
    }

    /// Whether its type promises or its records showed places of this kind.
    pub fn serves(&self, place: Place) -> bool {
        self.serves.get(place as usize).copied().unwrap_or(false)
    }

    /// The record for a canonical address. An IPv6 address is not in an IPv4 database.
    pub(super) fn find(
        &self,
        address: IpAddr,
    ) -> Result<Option<LookupResult<'_, Vec<u8>>>, MaxMindDbError> {
        if address.is_ipv6() && self.reader.metadata().ip_version == 4 {
            return Ok(None);
        }
        self.reader
            .lookup(address)
            .map(|found| found.has_data().then_some(found))
    }
}

impl std::fmt::Debug for GeoDatabase {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("GeoDatabase")
            .field("path", &self.path)
            .field("serves", &self.serves)
            .finish_non_exhaustive()
    }
}

/// Checks tree and data and learns which places the database serves. The error is a reason.
fn check(bytes: &[u8]) -> Result<[bool; 4], String> {
    let reader = Reader::from_source(bytes).map_err(|error| error.to_string())?;
    let metadata = reader.metadata();
    let sample = Tree::new(bytes, metadata)
        .check(PROBES)
        .map_err(|fault| fault.to_string())?;
    // The format wants a type and a description; some makers leave them out, and `verify` refuses
    // such files before it has seen their data. The sample below is then the whole check of it.
    if !metadata.database_type.is_empty() && !metadata.description.is_empty() {
        reader.verify().map_err(|error| error.to_string())?;
    }
    let mut serves = Place::ALL.map(|place| place.promised_by(&metadata.database_type));
    for address in sample {
        let record = reader.lookup(address).and_then(|found| read_record(&found));
        let record = record.map_err(|error| error.to_string())?;
        for (serves, answer) in serves.iter_mut().zip(record) {
            *serves |= answer.is_some();
        }
    }
    Ok(serves)
}

/// Text from a file, on its way into a message.
fn escape_control(c: char) -> impl Iterator<Item = char> {
    let escaped = c.is_control().then(|| c.escape_debug());
    let plain = escaped.is_none().then_some(c);
    escaped.into_iter().flatten().chain(plain)
}

/// All four places of a record. Fields of another type than expected are absent, since layouts
/// differ; an error means that the record's bytes make no sense.
pub(super) fn read_record<'a, S: AsRef<[u8]>>(
    found: &LookupResult<'a, S>,
) -> Result<Record<'a>, MaxMindDbError> {
    let country = first_text(
        found,
        &[
            &["country", "iso_code"],
            &["registered_country", "iso_code"],
            &["country_code"],
        ],
    )?;
    let continent = first_text(
        found,
        &[&["continent", "code"], &["continent_code"], &["continent"]],
    )?;
    let city = first_text(found, &[&["city", "names", "en"], &["city"]])?;
    Ok([country, continent, city, read_asn(found)?])
}

/// The network's number, which makers store as an integer of any width or as text.
fn read_asn<'a, S: AsRef<[u8]>>(
    found: &LookupResult<'a, S>,
) -> Result<Option<Cow<'a, str>>, MaxMindDbError> {
    for key in ["autonomous_system_number", "as_number", "asn"] {
        let path = [PathElement::Key(key)];
        let mut number = absent_if_other_type(found.decode_path::<u32>(&path))?.map(u64::from);
        if number.is_none() {
            number = absent_if_other_type(found.decode_path::<u64>(&path))?;
        }
        if number.is_none() {
            number = absent_if_other_type(found.decode_path::<u16>(&path))?.map(u64::from);
        }
        if number.is_none() {
            number = first_text(found, &[&[key]])?.and_then(|text| asn_of_text(&text));
        }
        if let Some(number) = number.and_then(|number| u32::try_from(number).ok()) {
            return Ok(Some(Cow::Owned(format!("AS{number}"))));
        }
    }
    Ok(None)
}

/// `1221` or `AS1221`.
fn asn_of_text(text: &str) -> Option<u64> {
    text.strip_prefix("AS").unwrap_or(text).parse().ok()
}

/// The text at the first of the paths that leads to one.
fn first_text<'a, S: AsRef<[u8]>>(
    found: &LookupResult<'a, S>,
    paths: &[&[&str]],
) -> Result<Option<Cow<'a, str>>, MaxMindDbError> {
    for keys in paths {
        let path: Vec<_> = keys.iter().map(|key| PathElement::Key(key)).collect();
        let text = absent_if_other_type(found.decode_path::<&str>(&path))?;
        if let Some(text) = text.filter(|text| (1..=LONGEST_ANSWER).contains(&text.len())) {
            return Ok(Some(Cow::Borrowed(text)));
        }
    }
    Ok(None)
}

fn absent_if_other_type<T>(
    decoded: Result<Option<T>, MaxMindDbError>,
) -> Result<Option<T>, MaxMindDbError> {
    match decoded {
        Err(MaxMindDbError::Decoding { .. }) => Ok(None),
        other => other,
    }
}

/// What is said about an address without any database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Classified {
    Private,
    /// Special, so nobody's: databases that name a country for it are wrong.
    Nobody,
    Public,
}

pub(super) fn classify(address: IpAddr) -> Classified {
    match special(address) {
        Some("private" | "shared" | "loopback" | "link-local") => Classified::Private,
        Some(_) => Classified::Nobody,
        None => Classified::Public,
    }
}

/// The databases in use, in order of preference. Immutable and shared by the workers; each has
/// its own [`GeoCache`](super::GeoCache).
#[derive(Debug, Default)]
pub struct GeoDatabases {
    databases: Vec<Arc<GeoDatabase>>,
}

impl GeoDatabases {
    /// Opens every file. No path at all is fine: then every public address is unknown.
    ///
    /// # Errors
    /// Every file that was refused, when there is one.
    pub fn open(paths: &[PathBuf]) -> Result<GeoDatabases, Vec<GeoError>> {
        let mut databases = Vec::new();
        let mut errors = Vec::new();
        for path in paths {
            match GeoDatabase::open(path) {
                Ok(database) => databases.push(Arc::new(database)),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            Ok(GeoDatabases { databases })
        } else {
            Err(errors)
        }
    }

    /// Databases that are open already.
    pub fn new(databases: Vec<GeoDatabase>) -> GeoDatabases {
        GeoDatabases::shared(databases.into_iter().map(Arc::new).collect())
    }

    /// Databases that are open already, and may be in use elsewhere.
    pub fn shared(databases: Vec<Arc<GeoDatabase>>) -> GeoDatabases {
        GeoDatabases { databases }
    }

    /// The database that was read from this path.
    pub fn at(&self, path: &Path) -> Option<Arc<GeoDatabase>> {
        let found = self.databases.iter().find(|one| one.path() == path);
        found.map(Arc::clone)
    }

    /// The databases in order of preference.
    pub fn iter(&self) -> impl Iterator<Item = &GeoDatabase> {
        self.databases.iter().map(Arc::as_ref)
    }

    /// True when there is no database.
    pub fn is_empty(&self) -> bool {
        self.databases.is_empty()
    }

    /// Whether any database serves places of this kind.
    pub fn serves(&self, place: Place) -> bool {
        self.databases.iter().any(|database| database.serves(place))
    }

    /// When the oldest of them was made, in seconds since 1970; `None` without a database.
    pub fn build_epoch(&self) -> Option<u64> {
        self.iter().map(GeoDatabase::build_epoch).min()
    }

    /// One look-up without a cache, for explanations. Private addresses are `private`; unknown
    /// places, other special ranges and unreadable records are `None`.
    pub fn lookup(&self, address: IpAddr, place: Place) -> Option<String> {
        let address = address.to_canonical();
        match classify(address) {
            Classified::Private => Some(PRIVATE.to_owned()),
            Classified::Nobody => None,
            Classified::Public => self.databases.iter().find_map(|database| {
                let record = read_record(&database.find(address).ok()??).ok()?;
                record.into_iter().nth(place as usize)?.map(Cow::into_owned)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::made::{self, Value, fixtures};
    use super::*;
    use proptest::prelude::*;

    fn opened(bytes: Vec<u8>) -> GeoDatabases {
        GeoDatabases::new(vec![
            GeoDatabase::from_bytes(Path::new("made.mmdb"), bytes).unwrap(),
        ])
    }

    fn answer(databases: &GeoDatabases, address: &str, place: Place) -> Option<String> {
        databases.lookup(address.parse().unwrap(), place)
    }

    fn country(code: &'static str) -> Value {
        Value::map([("country", Value::map([("iso_code", Value::Text(code))]))])
    }

    #[test]
    fn both_layouts_are_read() {
        let flat = Value::map([
            ("country_code", Value::Text("FR")),
            ("continent", Value::Text("EU")),
            ("city", Value::Text("Lyon")),
            ("as_number", Value::Number(3215)),
        ]);
        let named = Value::map([("names", Value::map([("en", Value::Text("London"))]))]);
        let registered = Value::map([("iso_code", Value::Text("GB"))]);
        let nested = Value::map([
            ("registered_country", registered),
            ("city", named),
            ("asn", Value::Text("AS64500")),
        ]);
        let databases = opened(made::database(
            "x",
            &[("81.0.0.0/8", flat), ("82.0.0.0/8", nested)],
        ));
        let all = |address| {
            Place::ALL.map(|place| answer(&databases, address, place).unwrap_or_default())
        };
        assert_eq!(all("81.1.1.1"), ["FR", "EU", "Lyon", "AS3215"]);
        assert_eq!(all("82.1.1.1"), ["GB", "", "London", "AS64500"]);
        assert_eq!(all("::ffff:81.1.1.1"), ["FR", "EU", "Lyon", "AS3215"]);
        assert_eq!(all("83.1.1.1"), [""; 4]);
    }

    #[test]
    fn the_first_database_that_knows_wins() {
        let first = made::database("a-Country", &[("81.0.0.0/8", country("GB"))]);
        let second = made::database("b-Country", &[("80.0.0.0/4", country("FR"))]);
        let open = |bytes| GeoDatabase::from_bytes(Path::new("made.mmdb"), bytes).unwrap();
        let databases = GeoDatabases::new(vec![open(first), open(second)]);
        assert_eq!(
            answer(&databases, "81.1.1.1", Place::Country).as_deref(),
            Some("GB")
        );
        assert_eq!(
            answer(&databases, "82.1.1.1", Place::Country).as_deref(),
            Some("FR")
        );
    }

    #[test]
    fn special_ranges_are_never_looked_up() {
        let databases = opened(made::database("x", &[("0.0.0.0/0", country("AU"))]));
        for private in [
            "192.168.1.1",
            "127.0.0.1",
            "100.64.0.1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert_eq!(
                answer(&databases, private, Place::Asn).as_deref(),
                Some("private")
            );
        }
        for nobody in ["203.0.113.7", "224.0.0.1", "0.0.0.0", "2001:db8::1"] {
            assert_eq!(answer(&databases, nobody, Place::Country), None);
        }
        assert_eq!(
            answer(&databases, "8.8.8.8", Place::Country).as_deref(),
            Some("AU")
        );
    }

    #[test]
    fn a_file_without_description_is_checked_by_its_records() {
        let sound = made::Maker {
            description: false,
            ..made::Maker::new("")
        };
        let networks = [("81.0.0.0/8", country("GB"))];
        let databases = opened(sound.make(&networks));
        assert_eq!(
            answer(&databases, "81.1.1.1", Place::Country).as_deref(),
            Some("GB")
        );
        let mut bytes = sound.make(&networks);
        let code = bytes
            .windows(3)
            .position(|window| window == b"\x42GB")
            .unwrap();
        bytes[code + 1] = 0xff;
        assert!(GeoDatabase::from_bytes(Path::new("made.mmdb"), bytes).is_err());
    }

    #[test]
    fn ipv6_is_unknown_to_an_ipv4_database() {
        let maker = made::Maker {
            ip_version: 4,
            ..made::Maker::new("x")
        };
        let databases = opened(maker.make(&[("81.0.0.0/8", country("GB"))]));
        assert_eq!(answer(&databases, "2a02:d300::1", Place::Country), None);
        assert_eq!(
            answer(&databases, "81.1.1.1", Place::Country).as_deref(),
            Some("GB")
        );
    }

    #[test]
    fn errors_name_the_path_the_reason_and_a_repair() {
        let path = Path::new("/var/lib/GeoIP/x.mmdb");
        let error = GeoDatabase::from_bytes(path, b"\x1f\x8b".to_vec())
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("/var/lib/GeoIP/x.mmdb: ") && error.contains("unpack"),
            "{error}"
        );
        let other = made::database(
            "Domain\u{7}",
            &[("81.0.0.0/8", Value::map([("domain", Value::Text("x"))]))],
        );
        let error = GeoDatabase::from_bytes(path, other)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("type `Domain\\u{7}` holds no country"),
            "{error}"
        );
        let directory = std::env::temp_dir();
        assert!(matches!(
            GeoDatabase::open(&directory),
            Err(GeoError::NotAFile { .. })
        ));
        let missing =
            GeoDatabases::open(&[directory.join("no-such-a"), directory.join("no-such-b")]);
        assert_eq!(missing.unwrap_err().len(), 2);
    }

    #[test]
    fn every_expected_row_is_answered() {
        let Some(folder) = fixtures() else { return };
        let text = std::fs::read(folder.join("lookup-expected.json")).unwrap();
        let expected: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let rows = expected["rows"].as_array().unwrap();
        assert!(rows.len() > 100);
        for row in rows {
            let file = format!("test-data/{}.mmdb", row["db"].as_str().unwrap());
            let databases = GeoDatabases::open(&[folder.join(file)]).unwrap();
            let ask = |place| answer(&databases, row["ip"].as_str().unwrap(), place);
            let told = |key: &str| row[key].as_str().map(str::to_owned);
            assert_eq!(
                ask(Place::Country),
                told("country").or_else(|| told("registered_country")),
                "{row}"
            );
            assert_eq!(ask(Place::Continent), told("continent"), "{row}");
            assert_eq!(ask(Place::City), told("city_en"), "{row}");
            assert_eq!(
                ask(Place::Asn),
                row["asn"].as_u64().map(|number| format!("AS{number}")),
                "{row}"
            );
        }
    }

    #[test]
    fn known_addresses_have_their_places() {
        let Some(folder) = fixtures() else { return };
        let file = |name: &str| folder.join("test-data").join(name);
        let both = [
            file("GeoIP2-City-Test.mmdb"),
            file("GeoLite2-ASN-Test.mmdb"),
        ];
        let databases = GeoDatabases::open(&both).unwrap();
        assert!(Place::ALL.iter().all(|&place| databases.serves(place)));
        for (address, expected) in [
            ("81.2.69.142", "GB"),
            ("216.160.83.56", "US"),
            ("89.160.20.112", "SE"),
            ("175.16.199.1", "CN"),
            ("2.125.160.216", "GB"),
            ("67.43.156.1", "BT"),
            ("202.196.224.1", "PH"),
            ("2001:218::1", "JP"),
            ("2a02:d300::1", "UA"),
        ] {
            assert_eq!(
                answer(&databases, address, Place::Country).as_deref(),
                Some(expected)
            );
        }
        assert_eq!(
            answer(&databases, "81.2.69.142", Place::City).as_deref(),
            Some("London")
        );
        assert_eq!(answer(&databases, "1.128.0.1", Place::Country), None);
        assert_eq!(
            answer(&databases, "1.128.0.1", Place::Asn).as_deref(),
            Some("AS1221")
        );
    }

    #[test]
    fn sound_test_databases_with_places_open() {
        let Some(folder) = fixtures() else { return };
        for entry in std::fs::read_dir(folder.join("test-data")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let has_places = ["City", "Country", "ASN", "ISP", "Enterprise"]
                .iter()
                .any(|word| name.contains(word));
            if has_places && name.ends_with("-Test.mmdb") {
                GeoDatabase::open(&path).unwrap();
            }
        }
    }

    /// Refused with a message, or safe to ask.
    fn check_broken(path: &Path) {
        match GeoDatabase::open(path) {
            Err(error) => assert!(error.to_string().starts_with(&path.display().to_string())),
            Ok(database) => {
                let databases = GeoDatabases::new(vec![database]);
                for step in 0..2000u32 {
                    let bits = step.wrapping_mul(2_654_435_761);
                    let v6 = u128::from(bits) << 96;
                    for address in [
                        IpAddr::from(bits.to_be_bytes()),
                        IpAddr::from(v6.to_be_bytes()),
                    ] {
                        let _answer = databases.lookup(address, Place::City);
                    }
                }
            }
        }
    }

    #[test]
    fn broken_files_are_refused_or_answer_unknown() {
        let Some(folder) = fixtures() else { return };
        let text = std::fs::read(folder.join("broken-behaviour.json")).unwrap();
        let listed: serde_json::Value = serde_json::from_slice(&text).unwrap();
        for file in listed.as_object().unwrap().keys() {
            check_broken(&folder.join(file));
        }
        for family in std::fs::read_dir(folder.join("bad-data")).unwrap() {
            for file in std::fs::read_dir(family.unwrap().path())
                .into_iter()
                .flatten()
            {
                check_broken(&file.unwrap().path());
            }
        }
    }

    proptest! {
        #[test]
        fn damaged_databases_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>(), whole: bool) {
            let mut bytes = made::database("x-Country", &[("81.0.0.0/8", country("GB")), ("2a00::/16", country("FR"))]);
            for (index, byte) in changes {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            if !whole {
                bytes.truncate(cut.index(bytes.len()));
            }
            if let Ok(database) = GeoDatabase::from_bytes(Path::new("made.mmdb"), bytes) {
                let databases = GeoDatabases::new(vec![database]);
                for address in ["81.1.1.1", "2a00::1", "9.9.9.9"] {
                    let _answer = answer(&databases, address, Place::Country);
                }
            }
        }
    }
}
