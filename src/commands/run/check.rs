//! `check-config`: everything that a start would need, and what it will cost, without starting.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::Path;

use crate::cli::{CheckConfigArgs, FollowArgs};
use crate::commands::{Done, Failure, print, say_all};
use crate::config::{Config, LogInput, OutputKind, ProxyEntry};
use crate::definition::At;
use crate::diagnostic::{Diagnostic, Place, Untrusted};
use crate::http::WebConfig;
use crate::metrics::Metric;
use crate::source::expand;

use super::journal::chain;
use super::load;
use super::permissions::{Access, Person};
use super::prepare::{Prepared, PreparedLog};

/// Says what is wrong, or what a start will do.
pub(in crate::commands) fn check_config(args: &CheckConfigArgs) -> Result<Done, Failure> {
    let mut config = load(&FollowArgs {
        config: Some(args.config.clone()),
        ..FollowArgs::default()
    })?;
    let mut findings = Findings::default();
    if args.offline {
        findings.leave_out(&mut config);
    }
    let prepared = Prepared::new(config)?;
    if !args.offline {
        let person = args.user.as_deref().map(person).transpose()?;
        findings.surroundings(&prepared, person.as_ref());
    }
    let mut warnings = prepared.config.warnings.clone();
    warnings.append(&mut findings.warnings);
    if !warnings.is_empty() {
        say_all(&warnings);
    }
    if !findings.mistakes.is_empty() {
        return Err(Failure::Mistakes(findings.mistakes));
    }
    print(summary(&prepared, &findings.files).as_bytes())?;
    Ok(Done::Complete)
}

fn person(name: &str) -> Result<Person, Vec<Diagnostic>> {
    let place = Place::argument("--as", name);
    match Person::named(name) {
        Ok(Some(person)) => Ok(person),
        Ok(None) => Err(vec![place.error(
            format!("no user `{name}` in /etc/passwd"),
            "not a user here",
        )]),
        Err(error) => Err(vec![place.error(
            format!("cannot read the users of this host: {error}"),
            "not looked up",
        )]),
    }
}

/// What was found beside the file itself.
#[derive(Default)]
struct Findings {
    mistakes: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    /// Files of each log.
    files: Vec<Option<usize>>,
}

impl Findings {
    /// Databases, address lists and ranges are where the agent runs, not where its configuration is checked.
    fn leave_out(&mut self, config: &mut Config) {
        let mut is_here = |path: &Path, place: &Place| {
            let here = path.exists();
            if !here {
                let message = format!("{} is not here", escaped(&path.to_string_lossy()));
                self.warnings
                    .push(place.error(message, "not checked").warning());
            }
            here
        };
        let geo = &mut config.geoip;
        geo.databases.retain(|at| is_here(&at.value, &at.place));
        geo.trusted_proxies.retain(|entry| match &entry.value {
            ProxyEntry::File(path) => is_here(path, &entry.place),
            ProxyEntry::Network(_) => true,
        });
        for (_, files) in &mut config.providers {
            files.retain(|at| is_here(&at.value, &at.place));
        }
        if config.providers.iter().all(|(_, files)| files.is_empty()) {
            let all = |entry: &ProxyEntry| matches!(entry, ProxyEntry::Network(text) if text.as_str() == "providers");
            geo.trusted_proxies.retain(|entry| !all(&entry.value));
        }
    }

    fn surroundings(&mut self, prepared: &Prepared, person: Option<&Person>) {
        for log in &prepared.logs {
            let files = self.log(log, person);
            self.files.push(files);
        }
        self.read_at_the_start(prepared, person);
        self.store(prepared, person);
        self.http(prepared);
        self.outputs(prepared);
    }

    /// What was read here is not yet what somebody else may read.
    fn read_at_the_start(&mut self, prepared: &Prepared, person: Option<&Person>) {
        let config = &prepared.config;
        let geo = config.geoip.databases.iter();
        let proxies = config.geoip.trusted_proxies.iter();
        let proxies = proxies.filter_map(|entry| match &entry.value {
            ProxyEntry::File(path) => Some((path, &entry.place)),
            ProxyEntry::Network(_) => None,
        });
        let web = config.http.web_config.iter();
        let paths = geo
            .chain(&config.parsers)
            .chain(config.providers.iter().flat_map(|(_, files)| files))
            .chain(web)
            .map(|at| (&at.value, &at.place))
            .chain(proxies);
        for (path, place) in paths.filter(|(path, _)| path.exists()) {
            self.allowed(place, person, path, Access::Read);
        }
        if let Some(path) = &config.path {
            let place = Place::argument("--config", &path.to_string_lossy());
            self.allowed(&place, person, path, Access::Read);
        }
    }

    /// The number of files that a log has; `None` for a stream.
    fn log(&mut self, log: &PreparedLog, person: Option<&Person>) -> Option<usize> {
        let LogInput::Files { paths, .. } = &log.config.input else {
            return None;
        };
        let mut count = 0;
        for path in paths {
            let found = expand(&[OsString::from(&path.value)]);
            let found = found.map_err(|errors| errors.first().map(chain_of));
            match found {
                Ok(inputs) => {
                    count += inputs.len();
                    for input in inputs {
                        self.allowed(&path.place, person, &input.path, Access::Read);
                    }
                }
                Err(error) => self.warnings.push(
                    path.place
                        .error(error.unwrap_or_default(), "nothing to read yet")
                        .warning()
                        .help("it is followed as soon as it is there and readable"),
                ),
            }
        }
        Some(count)
    }

    fn allowed(&mut self, place: &Place, person: Option<&Person>, path: &Path, access: Access) {
        let Some(person) = person else {
            return;
        };
        let (message, label) = match person.hindrance(path, access) {
            Ok(None) => return,
            Ok(Some(hindrance)) => (format!("the user {}", escaped(&hindrance)), "not allowed"),
            Err(error) => (format!("cannot look at it: {error}"), "not looked at"),
        };
        self.mistakes.push(
            place.error(message, label).help(
                "add the user to the group of the file, or grant it: setfacl -m u:USER:r FILE",
            ),
        );
    }

    fn store(&mut self, prepared: &Prepared, person: Option<&Person>) {
        let path = &prepared.config.store.path;
        let there = path
            .value
            .ancestors()
            .skip(1)
            .find(|folder| folder.exists());
        let Some(folder) = there else {
            return;
        };
        if !folder.is_dir() {
            let message = format!("{} is no folder", escaped(&folder.to_string_lossy()));
            self.mistakes
                .push(path.place.error(message, "no place for a store"));
        }
        self.allowed(&path.place, person, folder, Access::Write);
    }

    fn http(&mut self, prepared: &Prepared) {
        let http = &prepared.config.http;
        if let Some(web) = &http.web_config
            && let Err(error) = WebConfig::open(&web.value)
        {
            self.mistakes
                .push(web.place.error(chain(&error), "cannot be used"));
        }
        let page = &prepared.config.status.listen;
        let page = page.iter().filter(|at| {
            let same = |other: &&At<SocketAddr>| other.value == at.value;
            http.listen.iter().find(same).is_none()
        });
        let metrics = http.listen.iter().map(|at| ("http", at));
        for (table, address) in metrics.chain(page.map(|at| ("status", at))) {
            match std::net::TcpListener::bind(address.value) {
                Ok(_) => {}
                // Most likely by the agent that runs with this very configuration.
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => self.warnings.push(
                    address
                        .place
                        .error("somebody listens there already", "in use")
                        .warning()
                        .help(format!(
                            "fine if it is the agent with this configuration; else give \
                                another address in `[{table}]`"
                        )),
                ),
                Err(error) => self.mistakes.push(
                    address
                        .place
                        .error(format!("cannot listen there: {error}"), "not to be had"),
                ),
            }
        }
    }

    fn outputs(&mut self, prepared: &Prepared) {
        for output in &prepared.config.outputs {
            let OutputKind::Graphite(graphite) = &output.kind;
            let address = &graphite.address;
            if let Err(error) = address.value.to_string().to_socket_addrs() {
                let message = format!("cannot find this host: {error}");
                self.warnings.push(
                    address
                        .place
                        .error(message, "not resolved")
                        .warning()
                        .help("minutes are kept and sent once it can be found"),
                );
            }
        }
    }
}

fn chain_of(error: &crate::source::InputError) -> String {
    chain(error)
}

fn escaped(text: &str) -> String {
    Untrusted(text.as_bytes()).to_string()
}

/// What a start will follow, count and send.
fn summary(prepared: &Prepared, files: &[Option<usize>]) -> String {
    let mut text = String::new();
    for (number, log) in prepared.logs.iter().enumerate() {
        let files = match files.get(number) {
            Some(Some(1)) => ", 1 file".to_owned(),
            Some(Some(files)) => format!(", {files} files"),
            _ => String::new(),
        };
        let name = &log.config.name.value;
        writeln!(text, "log {name}: {}{files}", log.parsers.join(", ")).ok();
    }
    for output in &prepared.config.outputs {
        let OutputKind::Graphite(graphite) = &output.kind;
        let (name, address) = (&output.name.value, &graphite.address.value);
        writeln!(text, "output {name}: graphite at {address}").ok();
    }
    writeln!(text, "series, declared and at most:").ok();
    let (mut declared, mut most) = (0, 0);
    for plan in prepared.metrics.iter().take(prepared.ruled) {
        let (known, limit) = series(&plan.metric);
        declared += known;
        most += limit;
        writeln!(text, "{known:>8} {limit:>8}  {}", plan.metric.name).ok();
    }
    writeln!(text, "{declared:>8} {most:>8}  in all").ok();
    text
}

/// Series that exist from the start, and the most there can be.
fn series(metric: &Metric) -> (usize, usize) {
    let all: Option<Vec<usize>> = metric
        .declared
        .iter()
        .map(|values| values.as_ref().map(Vec::len))
        .collect();
    match all {
        Some(sizes) => {
            let product = sizes.iter().fold(1usize, |a, b| a.saturating_mul(*b));
            (product, product)
        }
        // Beyond the limit the undeclared labels are `_other`, once for each declared value.
        None => {
            let declared = metric.declared.iter().flatten().map(Vec::len);
            let others = declared.fold(1usize, usize::saturating_mul);
            (0, metric.limit.saturating_add(others))
        }
    }
}
