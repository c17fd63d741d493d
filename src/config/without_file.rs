//! What `beacontail run FILE…` uses without a configuration file.
//!
//! Invariant: each path is a log with a name of its own; nothing is sent anywhere; the store is
//! where this user may write.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::load::{STORE, built_in};
use super::values::name_from;
use super::{
    AgentConfig, Config, Environment, GeoConfig, HttpConfig, LimitsConfig, LogConfig, LogInput,
    MarksConfig, Start, StatusConfig, StoreConfig,
};
use crate::definition::At;
use crate::diagnostic::Place;

impl Config {
    /// A log for each path of the command line, named after its file's stem; everything else as
    /// in an empty file. `-` is standard input. An existing file is meant by its name, whatever
    /// characters it has; else the path is a pattern.
    pub fn for_paths(paths: &[String], environment: &Environment) -> Config {
        let mut names = BTreeSet::new();
        let mut given = BTreeSet::new();
        let logs = paths
            .iter()
            .filter(|path| given.insert(path.as_str()))
            .map(|path| log(path, unique(stem(path), &mut names), environment))
            .collect();
        let mut store = StoreConfig::default();
        let path = store_path(environment);
        store.path = At {
            place: built_in("store.path", &path.to_string_lossy()),
            value: path,
        };
        Config {
            path: None,
            parsers: Vec::new(),
            agent: AgentConfig::default(),
            store,
            http: HttpConfig::default(),
            status: StatusConfig::default(),
            geoip: GeoConfig {
                databases: Vec::new(),
                trusted_proxies: Vec::new(),
            },
            providers: Vec::new(),
            limits: LimitsConfig::default(),
            vars: Vec::new(),
            logs,
            outputs: Vec::new(),
            marks: MarksConfig::default(),
            warnings: Vec::new(),
        }
    }
}

/// `$XDG_STATE_HOME/beacontail/store.db` (XDG Base Directory Specification: a relative one does
/// not count), else in `~/.local/state`; the service's for root and for a user without a home.
fn store_path(environment: &Environment) -> PathBuf {
    if environment.is_root {
        return PathBuf::from(STORE);
    }
    let folder = |name: &str| {
        let folder = environment.variables.get(name).map(PathBuf::from);
        folder.filter(|folder| folder.is_absolute())
    };
    let state =
        folder("XDG_STATE_HOME").or_else(|| folder("HOME").map(|home| home.join(".local/state")));
    state.map_or_else(
        || PathBuf::from(STORE),
        |state| state.join("beacontail/store.db"),
    )
}

fn log(path: &str, name: String, environment: &Environment) -> LogConfig {
    let place = Place::argument("", path);
    let input = if path == "-" {
        LogInput::StandardInput(place.clone())
    } else {
        LogInput::Files {
            paths: vec![At {
                value: pattern(path, &environment.folder),
                place: place.clone(),
            }],
            rotated: Vec::new(),
        }
    };
    LogConfig {
        name: At { value: name, place },
        input,
        parsers: Vec::new(),
        rules: Vec::new(),
        labels: Vec::new(),
        from: Start::End,
        follow_symlinks: true,
    }
}

fn pattern(path: &str, folder: &Path) -> PathBuf {
    let escaped = |path: &Path| PathBuf::from(glob::Pattern::escape(&path.to_string_lossy()));
    let whole = folder.join(path);
    if whole.exists() || glob::Pattern::new(path).is_err() {
        return escaped(&whole);
    }
    escaped(folder).join(path)
}

/// The name that a path gives to its log.
fn stem(path: &str) -> String {
    if path == "-" {
        return "stdin".to_owned();
    }
    let stem = Path::new(path).file_stem().unwrap_or_default();
    name_from(&stem.to_string_lossy())
}

/// The name, or the name with a number that makes it another than those before.
fn unique(name: String, names: &mut BTreeSet<String>) -> String {
    let numbered = (2u64..).map(|number| {
        let number = format!("-{number}");
        // Names are ASCII.
        let room = 64usize.saturating_sub(number.len());
        format!("{}{number}", name.get(..room).unwrap_or(&name))
    });
    let free = std::iter::once(name.clone())
        .chain(numbered)
        .find(|name| !names.contains(name))
        .expect("numbers do not end");
    names.insert(free.clone());
    free
}
