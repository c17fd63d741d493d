//! `beacontail.toml`: its tables, and what must agree between them.
//!
//! Invariant: every key is asked for, present or not, so that the help of an unknown key names
//! all there are; all mistakes are reported, those between tables too.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use toml::de::DeTable;

use super::reading::Reading;
use super::values::{is_network, shown_duration, socket_address};
use super::{
    AgentConfig, Config, Environment, GeoConfig, HttpConfig, LimitsConfig, ProxyEntry,
    StatusConfig, StoreConfig,
};
use super::{logs, marks, outputs};
use crate::definition::At;
use crate::definition::toml_text::{Item, Table};
use crate::diagnostic::{Diagnostic, Place, SourceText};

/// Where HTTP listens when nothing is said.
const LISTEN: &str = "127.0.0.1:9577";
/// Where the status page is when nothing is said.
const STATUS: &str = "127.0.0.1:9578";
/// The store of a service.
pub(super) const STORE: &str = "/var/lib/beacontail/store.db";
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

impl Config {
    /// Reads a file. A relative path is relative to the environment's folder, and those in the
    /// file are relative to the file's folder.
    ///
    /// # Errors
    /// The file cannot be read or is not UTF-8, or every mistake in it.
    pub fn load(path: &Path, environment: &Environment) -> Result<Config, Vec<Diagnostic>> {
        let absolute = environment.folder.join(path);
        let name = path.to_string_lossy();
        let bytes = std::fs::read(&absolute)
            .map_err(|error| vec![Diagnostic::new(format!("cannot read `{name}`: {error}"))])?;
        let text = String::from_utf8(bytes).map_err(|error| vec![not_utf8(&name, &error)])?;
        let folder = absolute.parent().unwrap_or(Path::new("/"));
        let source = SourceText::new(name, text);
        let mut config = Config::parse(&source, folder, environment)?;
        config.path = Some(absolute);
        Ok(config)
    }

    /// Reads the text of a file that stands in `folder`.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(
        source: &Arc<SourceText>,
        folder: &Path,
        environment: &Environment,
    ) -> Result<Config, Vec<Diagnostic>> {
        let (table, errors) = DeTable::parse_recoverable(&source.text);
        let mut reading = Reading::new(source, &errors, folder, environment);
        let mut root = Table::root(&reading.reader, table.get_ref());
        let (agent, mut places) = agent(&mut root, &mut reading);
        let (store, retention) = store(&mut root, &mut reading);
        places.retention = retention;
        let config = Config {
            path: None,
            parsers: reading.paths(&mut root, "parsers"),
            http: http(&mut root, &mut reading),
            status: status(&mut root, &mut reading),
            geoip: geoip(&mut root, &mut reading),
            providers: reading.path_pairs(&mut root, "providers"),
            limits: limits(&mut root, &mut reading),
            vars: reading.var_pairs(&mut root, "vars"),
            logs: logs::logs(&mut root, &mut reading),
            outputs: outputs::outputs(&mut root, &mut reading, store.retention),
            marks: marks::marks(&mut root, &mut reading),
            agent,
            store,
            warnings: Vec::new(),
        };
        root.finish(&mut reading.reader);
        check_lateness(&config, &places, &mut reading);
        warn_of_open_doors(&config, &mut reading);
        let warnings = reading.warnings;
        let mut config = reading.reader.finish(Some(config))?;
        config.warnings = warnings;
        Ok(config)
    }
}

fn not_utf8(name: &str, error: &std::string::FromUtf8Error) -> Diagnostic {
    let mark = if error.as_bytes().starts_with("\u{feff}".as_bytes()) {
        "\u{feff}".len()
    } else {
        0
    };
    // The text is shown without its byte order mark.
    let at = error.utf8_error().valid_up_to().saturating_sub(mark);
    let source = SourceText::new(name, String::from_utf8_lossy(error.as_bytes()));
    Place::new(&source, at..at + 1)
        .error("the file is not UTF-8", "from here on")
        .help("save it as UTF-8")
}

/// A place for a value that nobody wrote.
pub(super) fn built_in(key: &str, value: &str) -> Place {
    let source = SourceText::new(format!("<default of {key}>"), value);
    Place::new(&source, 0..value.len())
}

/// Where durations were written that others are compared with.
#[derive(Default)]
struct Places {
    allowed_lateness: Option<Place>,
    max_lateness: Option<Place>,
    retention: Option<Place>,
}

fn agent(root: &mut Table<'_>, reading: &mut Reading<'_>) -> (AgentConfig, Places) {
    let mut table = reading.table(root, "agent");
    let default = AgentConfig::default();
    let allowed = reading.duration(&mut table, "allowed_lateness");
    let max = reading.duration(&mut table, "max_lateness");
    let agent = AgentConfig {
        flush: reading.pause(&mut table, "flush", default.flush),
        allowed_lateness: allowed
            .as_ref()
            .map_or(default.allowed_lateness, |found| found.value),
        max_lateness: max
            .as_ref()
            .map_or(default.max_lateness, |found| found.value),
        max_future: reading.duration_or(&mut table, "max_future", default.max_future),
        timezone: zone(&mut table, reading).unwrap_or(default.timezone),
        poll: reading.pause(&mut table, "poll", default.poll),
        idle: reading.duration_or(&mut table, "idle", default.idle),
        exclude_lag: reading.pause(&mut table, "exclude_lag", default.exclude_lag),
        rotate_wait: reading.duration_or(&mut table, "rotate_wait", default.rotate_wait),
        unparsed_share: share(&mut table, reading).unwrap_or(default.unparsed_share),
    };
    table.finish(&mut reading.reader);
    let places = Places {
        allowed_lateness: allowed.map(|found| found.place),
        max_lateness: max.map(|found| found.place),
        retention: None,
    };
    (agent, places)
}

impl Default for AgentConfig {
    fn default() -> AgentConfig {
        AgentConfig {
            flush: Duration::from_secs(1),
            allowed_lateness: MINUTE,
            max_lateness: 7 * DAY,
            max_future: DAY,
            timezone: At {
                value: TimeZone::UTC,
                place: built_in("agent.timezone", "UTC"),
            },
            poll: Duration::from_secs(1),
            idle: Duration::from_secs(2),
            exclude_lag: 15 * MINUTE,
            rotate_wait: Duration::from_secs(5),
            unparsed_share: 0.05,
        }
    }
}

fn zone(table: &mut Table<'_>, reading: &mut Reading<'_>) -> Option<At<TimeZone>> {
    const EXPECTED: &str = "a time zone such as `UTC` or `Europe/Berlin`";
    let text = reading.text(table, "timezone")?;
    reading.value(text, EXPECTED, |name| TimeZone::get(name).ok())
}

fn share(table: &mut Table<'_>, reading: &mut Reading<'_>) -> Option<f64> {
    const EXPECTED: &str = "a number from 0 to 1";
    let item = table.take("unparsed_share")?;
    let Some(number) = item.as_decimal(&reading.reader) else {
        item.not(&mut reading.reader, EXPECTED);
        return None;
    };
    let share = number
        .value
        .parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share));
    if share.is_none() {
        let message = format!("expected {EXPECTED}, found `{}`", number.value);
        reading.report(number.place.error(message, "out of range"));
    }
    share
}

fn store(root: &mut Table<'_>, reading: &mut Reading<'_>) -> (StoreConfig, Option<Place>) {
    let mut table = reading.table(root, "store");
    let default = StoreConfig::default();
    let retention = reading.pause_at(&mut table, "retention");
    let store = StoreConfig {
        path: reading.path(&mut table, "path").unwrap_or(default.path),
        retention: retention
            .as_ref()
            .map_or(default.retention, |found| found.value),
        rollups: reading.pause(&mut table, "rollups", default.rollups),
        max_bytes: reading.bytes(
            &mut table,
            "max_bytes",
            1 << 20..=i64::MAX.unsigned_abs(),
            default.max_bytes,
        ),
    };
    table.finish(&mut reading.reader);
    (store, retention.map(|found| found.place))
}

impl Default for StoreConfig {
    fn default() -> StoreConfig {
        StoreConfig {
            path: At {
                value: STORE.into(),
                place: built_in("store.path", STORE),
            },
            retention: 7 * DAY,
            rollups: 400 * DAY,
            max_bytes: 1 << 30,
        }
    }
}

fn http(root: &mut Table<'_>, reading: &mut Reading<'_>) -> HttpConfig {
    let mut table = reading.table(root, "http");
    let listen = match table.take("listen") {
        Some(item) => addresses(&item, reading),
        None => HttpConfig::default().listen,
    };
    let http = HttpConfig {
        listen,
        web_config: reading.path(&mut table, "web_config"),
    };
    table.finish(&mut reading.reader);
    http
}

impl Default for HttpConfig {
    fn default() -> HttpConfig {
        HttpConfig {
            listen: vec![built_in_address("http.listen", LISTEN)],
            web_config: None,
        }
    }
}

fn built_in_address(key: &str, text: &str) -> At<SocketAddr> {
    At {
        value: socket_address(text).expect("the constant is an address"),
        place: built_in(key, text),
    }
}

fn status(root: &mut Table<'_>, reading: &mut Reading<'_>) -> StatusConfig {
    let mut table = reading.table(root, "status");
    let listen = match table.take("listen") {
        Some(item) => addresses(&item, reading),
        None => StatusConfig::default().listen,
    };
    let names = reading.texts(&mut table, "hosts");
    let names = names.into_iter().filter_map(|text| {
        let name = reading.value(text, "a host name without a port", host_name)?;
        Some(name)
    });
    let status = StatusConfig {
        listen,
        hosts: names.collect(),
    };
    table.finish(&mut reading.reader);
    status
}

impl Default for StatusConfig {
    fn default() -> StatusConfig {
        StatusConfig {
            listen: vec![built_in_address("status.listen", STATUS)],
            hosts: Vec::new(),
        }
    }
}

/// A name as browsers send it.
fn host_name(text: &str) -> Option<String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let name = text.trim_end_matches('.');
    (!name.is_empty() && name.bytes().all(legal)).then(|| name.to_ascii_lowercase())
}

/// Addresses to listen on; the empty text alone stands for none.
fn addresses(item: &Item<'_>, reading: &mut Reading<'_>) -> Vec<At<SocketAddr>> {
    const EXPECTED: &str = "an address and a port such as `127.0.0.1:9577` or `[::1]:9577`";
    let is_off = |text: At<String>| text.value.is_empty();
    if item.as_text(&reading.reader).is_some_and(is_off) {
        return Vec::new();
    }
    let mut addresses: Vec<At<SocketAddr>> = Vec::new();
    for text in reading.texts_of(item) {
        let Some(address) = reading.value(text, EXPECTED, socket_address) else {
            continue;
        };
        let same =
            |other: &&At<SocketAddr>| other.value == address.value && address.value.port() != 0;
        if let Some(first) = addresses.iter().find(same) {
            let mistake = address.place.error("the same address twice", "");
            let mistake = mistake.note(&first.place, "the other is here");
            reading.report(mistake);
        }
        addresses.push(address);
    }
    addresses
}

fn geoip(root: &mut Table<'_>, reading: &mut Reading<'_>) -> GeoConfig {
    let mut table = reading.table(root, "geoip");
    let databases = reading.paths(&mut table, "database");
    let entries = reading.texts(&mut table, "trusted_proxies");
    let proxy = |text: At<super::Text>| {
        let value = if is_network(&text.value) {
            ProxyEntry::Network(text.value)
        } else {
            ProxyEntry::File(reading.absolute(&text).value)
        };
        let place = text.place;
        At { value, place }
    };
    let trusted_proxies = entries.into_iter().map(proxy).collect();
    table.finish(&mut reading.reader);
    GeoConfig {
        databases,
        trusted_proxies,
    }
}

fn limits(root: &mut Table<'_>, reading: &mut Reading<'_>) -> LimitsConfig {
    let mut table = reading.table(root, "limits");
    let default = LimitsConfig::default();
    let series = table
        .take("series_per_metric")
        .and_then(|item| item.integer::<u32>(&mut reading.reader, "a number of series"));
    if let Some(zero) = series.as_ref().filter(|series| series.value == 0) {
        let mistake = zero.place.error("`series_per_metric` is zero", "");
        reading.report(mistake.help("nothing could be counted; at least 1"));
    }
    let line_bytes = reading.bytes(&mut table, "line_bytes", 64..=1 << 28, 1 << 20);
    table.finish(&mut reading.reader);
    LimitsConfig {
        series_per_metric: series
            .and_then(|series| usize::try_from(series.value).ok())
            .unwrap_or(default.series_per_metric),
        line_bytes: usize::try_from(line_bytes).unwrap_or(default.line_bytes),
    }
}

impl Default for LimitsConfig {
    fn default() -> LimitsConfig {
        LimitsConfig {
            series_per_metric: 1000,
            line_bytes: 1 << 20,
        }
    }
}

/// Points at what was written; two built-in values never disagree.
fn check_lateness(config: &Config, places: &Places, reading: &mut Reading<'_>) {
    let (agent, retention) = (&config.agent, config.store.retention);
    let (allowed, max) = (agent.allowed_lateness, agent.max_lateness);
    if max > retention {
        let message = "`agent.max_lateness` is longer than `store.retention`";
        let why = "windows of older lines are gone from the store";
        let help = match places.max_lateness {
            Some(_) => format!("at most `{}`: {why}", shown_duration(retention)),
            None => format!("`max_lateness` is `{}`; {why}", shown_duration(max)),
        };
        compare(
            message,
            help,
            &places.max_lateness,
            &places.retention,
            reading,
        );
    }
    if allowed > max {
        let message = "`allowed_lateness` is longer than `max_lateness`";
        let help = match places.allowed_lateness {
            Some(_) => format!("at most `{}`", shown_duration(max)),
            None => format!("`allowed_lateness` is `{}`", shown_duration(allowed)),
        };
        let (long, short) = (&places.allowed_lateness, &places.max_lateness);
        compare(message, help, long, short, reading);
    }
}

/// Reports a mistake at the first place that was written, the other as a note.
fn compare(
    message: &str,
    help: String,
    long: &Option<Place>,
    short: &Option<Place>,
    reading: &mut Reading<'_>,
) {
    let mistake = Diagnostic::new(message).help(help);
    reading.report(match (long, short) {
        (Some(long), Some(short)) => mistake.at(long, "").note(short, "the shorter one"),
        (Some(place), None) | (None, Some(place)) => mistake.at(place, ""),
        (None, None) => mistake,
    });
}

/// Metrics tell a lot about visitors.
fn warn_of_open_doors(config: &Config, reading: &mut Reading<'_>) {
    if config.http.web_config.is_some() {
        return;
    }
    let doors = [
        ("http.listen", &config.http.listen),
        ("status.listen", &config.status.listen),
    ];
    for (key, addresses) in doors {
        for address in addresses {
            if !address.value.ip().to_canonical().is_loopback() {
                let message = format!("everyone in the network can read `{key}`");
                let warning = address.place.error(message, "not this host alone");
                let help = "`http.web_config` names a file with passwords or certificates";
                reading.warnings.push(warning.warning().help(help));
            }
        }
    }
}

/// Reports names that are given twice; `what` has them.
pub(super) fn check_names<'n>(
    names: impl Iterator<Item = &'n At<String>>,
    what: &str,
    reading: &mut Reading<'_>,
) {
    let mut first: BTreeMap<&str, &Place> = BTreeMap::new();
    for name in names {
        if let Some(other) = first.get(name.value.as_str()) {
            let message = format!("two {what}s of one name");
            let mistake = name.place.error(message, "");
            reading.report(mistake.note(other, "the other is here"));
        } else {
            first.insert(&name.value, &name.place);
        }
    }
}
