//! HAProxy: `haproxy.cfg` and `conf.d`, as the configuration manual has it (sections 2.2, 4.2, 8).
//!
//! A `frontend` or `listen` section logs as its own lines say, or else those of the `defaults` before it. Invariant:
//! any text ends.

use super::found::{AccessLog, Destination, Layout, Server, Spot, Survey, standard_stream};
use super::rsyslog::{self, LISTEN};
use super::tree::Tree;
use crate::diagnostic::Untrusted;

const PLACES: [&str; 2] = [
    "/etc/haproxy/haproxy.cfg",
    "/usr/local/etc/haproxy/haproxy.cfg",
];

/// The same in a folder of a project, where the root is one.
const PROJECT_PLACES: [&str; 2] = ["/haproxy.cfg", "/haproxy/haproxy.cfg"];

/// Sections in which nothing of a log stands.
const OTHER_SECTIONS: [&str; 13] = [
    "backend",
    "peers",
    "resolvers",
    "userlist",
    "program",
    "cache",
    "mailers",
    "ring",
    "http-errors",
    "log-forward",
    "fcgi-app",
    "crt-store",
    "traces",
];

/// Levels beside which lines of requests, which are `info`, are left out.
const ABOVE_INFO: [&str; 6] = ["emerg", "alert", "crit", "err", "warning", "notice"];

/// Adds what HAProxy's configuration says.
pub(super) fn survey(tree: &Tree, survey: &mut Survey) {
    for place in survey.main_files(tree, Server::Haproxy, &PLACES, &PROJECT_PLACES) {
        let mut reading = Reading::default();
        let folder = super::found::folder(place);
        let mut files = vec![(*place).to_owned()];
        files.extend(tree.matching(&format!("{folder}/conf.d/*.cfg")));
        for file in files {
            match tree.read(&file) {
                Ok(text) => reading.file(&file, &text),
                Err(super::tree::Unread::Refused(why)) => {
                    survey.remark(format!("{file} was not read: {why}"))
                }
                Err(super::tree::Unread::Missing) => {}
            }
        }
        reading.finish(tree, survey);
    }
}

/// Where lines are sent: `log ADDRESS FACILITY [LEVEL]`.
#[derive(Clone, Debug)]
struct Target {
    address: String,
    facility: String,
    spot: Spot,
    source: String,
}

/// What the lines of a section say of its log.
#[derive(Clone, Debug, Default)]
struct Section {
    /// `frontend`, `listen`, `defaults`, `global`; empty outside.
    kind: String,
    name: String,
    spot: Option<Spot>,
    /// The section's own first line, and where additions to it belong.
    head: String,
    is_tcp: bool,
    /// The line that tells the format, and where it is.
    layout: Option<(String, Spot)>,
    captures: Vec<String>,
    targets: Vec<Target>,
    uses_global: bool,
    only_failures: bool,
}

#[derive(Default)]
struct Reading {
    global: Vec<Target>,
    defaults: Section,
    /// Defaults that others may name: `frontend x from y`.
    named: Vec<Section>,
    current: Section,
    finished: Vec<Section>,
}

impl Reading {
    fn file(&mut self, path: &str, text: &str) {
        for (number, line) in text.lines().enumerate() {
            let spot = Spot {
                file: path.to_owned(),
                line: number + 1,
            };
            let words = words(line);
            self.line(spot, line.trim(), &words);
        }
        self.close();
    }

    fn line(&mut self, spot: Spot, source: &str, words: &[String]) {
        let values: Vec<&str> = words.iter().map(String::as_str).collect();
        match values.as_slice() {
            [] => {}
            ["global" | "defaults" | "frontend" | "listen", ..] => {
                self.close();
                self.open(spot, source, &values);
            }
            [other, ..] if OTHER_SECTIONS.contains(other) => {
                self.close();
                self.current = Section::default();
            }
            _ if self.current.kind.is_empty() => {}
            ["log", "global", ..] => self.current.uses_global = true,
            ["log", address, rest @ ..] => self.target(spot, source, address, rest),
            ["no", "log", ..] => {
                self.current.uses_global = false;
                self.current.targets.clear();
            }
            ["mode", mode, ..] => self.current.is_tcp = *mode == "tcp",
            ["log-format", ..] | ["option", "httplog" | "httpslog" | "tcplog", ..] => {
                self.current.layout = Some((source.to_owned(), spot));
            }
            ["option", "dontlog-normal", ..] => self.current.only_failures = true,
            ["capture", ..] | ["http-request" | "declare", "capture", ..] => {
                self.current.captures.push(source.to_owned());
            }
            _ => {}
        }
    }

    fn open(&mut self, spot: Spot, source: &str, words: &[&str]) {
        let from = words
            .iter()
            .position(|word| *word == "from")
            .and_then(|at| words.get(at + 1));
        let inherited = match (words.first(), from) {
            (Some(&"global"), _) => Section::default(),
            (Some(&"defaults"), None) => Section::default(),
            (_, Some(name)) => {
                let named = self.named.iter().find(|section| section.name == **name);
                named.cloned().unwrap_or_default()
            }
            (_, None) => self.defaults.clone(),
        };
        self.current = Section {
            kind: words
                .first()
                .map_or_else(String::new, |kind| (*kind).to_owned()),
            name: words
                .get(1)
                .filter(|name| **name != "from")
                .map_or_else(String::new, |name| (*name).to_owned()),
            spot: Some(spot),
            head: source.to_owned(),
            ..inherited
        };
    }

    fn target(&mut self, spot: Spot, source: &str, address: &str, rest: &[&str]) {
        let mut rest: Vec<&str> = rest.to_vec();
        while let [option, _, ..] = rest.as_slice()
            && ["len", "format", "sample", "profile"].contains(option)
        {
            rest.drain(..2);
        }
        let (facility, level) = (rest.first(), rest.get(1));
        if level.is_some_and(|level| ABOVE_INFO.contains(level)) {
            return;
        }
        self.current.targets.push(Target {
            address: address.to_owned(),
            facility: facility.map_or_else(String::new, |name| (*name).to_owned()),
            spot,
            source: source.to_owned(),
        });
    }

    fn close(&mut self) {
        let section = std::mem::take(&mut self.current);
        match section.kind.as_str() {
            "global" => self.global.extend(section.targets),
            "defaults" => {
                self.named.push(section.clone());
                self.defaults = section;
            }
            "frontend" | "listen" => self.finished.push(section),
            _ => {}
        }
    }

    fn finish(mut self, tree: &Tree, survey: &mut Survey) {
        // Debian's file has no frontend yet: what it says for all is what the first one will do.
        if self.finished.is_empty() && self.defaults.spot.is_some() {
            self.finished.push(std::mem::take(&mut self.defaults));
        }
        let sections = std::mem::take(&mut self.finished);
        for section in sections.iter().take(500) {
            let own = section.targets.iter();
            let global = self.global.iter().filter(|_| section.uses_global);
            let mut none = true;
            for target in own.chain(global) {
                none = false;
                if let Some(log) = log(tree, section, target) {
                    survey.add(log);
                }
            }
            if none && let Some(spot) = &section.spot {
                survey.remark(format!(
                    "{spot} logs nothing: `log global` would make it do so"
                ));
            }
        }
    }
}

/// The log of a section's requests at one target.
fn log(tree: &Tree, section: &Section, target: &Target) -> Option<AccessLog> {
    let mut remarks = Vec::new();
    let is_tcp = match &section.layout {
        Some((line, _)) => line.contains("tcplog"),
        None => section.is_tcp,
    };
    if is_tcp {
        return None;
    }
    if section.only_failures {
        remarks
            .push("`option dontlog-normal`: only failures are in the log, and counted".to_owned());
    }
    let layout = layout(section);
    if layout.is_none() {
        remarks.push(
            "neither `option httplog` nor `log-format`: HAProxy logs connections, not requests"
                .to_owned(),
        );
    }
    Some(AccessLog {
        server: Server::Haproxy,
        spot: section.spot.clone().unwrap_or_else(|| target.spot.clone()),
        source: section.head.clone(),
        destination: destination(tree, target, &mut remarks),
        layout,
        remarks,
    })
}

/// What a parser file takes: HAProxy's own name where nothing is captured, else the lines.
fn layout(section: &Section) -> Option<Layout> {
    let (line, spot) = section.layout.clone()?;
    let own = words(&line);
    let name = match own
        .get(..2)
        .map(|words| words.iter().map(String::as_str).collect::<Vec<_>>())
        .as_deref()
    {
        Some(["option", name]) if own.len() == 2 => (*name).to_owned(),
        _ if section.name.is_empty() => "log".to_owned(),
        _ => section.name.clone(),
    };
    let is_own = own.len() == 2 && own.first().is_some_and(|word| word == "option");
    let pasted = if is_own && section.captures.is_empty() {
        name.clone()
    } else {
        let mut lines = vec![line.clone()];
        lines.extend(section.captures.iter().cloned());
        lines.join("\n")
    };
    let name = if is_own && !section.captures.is_empty() && !section.name.is_empty() {
        section.name.clone()
    } else {
        name
    };
    Some(Layout {
        name,
        pasted,
        spot: Some(spot),
        source: line,
    })
}

fn destination(tree: &Tree, target: &Target, remarks: &mut Vec<String>) -> Destination {
    let address = target.address.as_str();
    if let Some(stream) = standard_stream(address) {
        return stream;
    }
    let prefixes = ["ipv4@", "ipv6@", "udp4@", "udp6@"];
    let plain = prefixes
        .iter()
        .find_map(|prefix| address.strip_prefix(prefix));
    let found = rsyslog::target(tree, plain.unwrap_or(address), "haproxy", &target.facility);
    if matches!(found, Destination::Files(_))
        && let Some(rule) = rsyslog::rule_of(tree, "haproxy", &target.facility)
    {
        remarks.push(format!("rsyslog writes them there: {rule}"));
    }
    let Destination::Away { why, .. } = found else {
        return found;
    };
    // HAProxy logs to as many targets as it is told: the agent can be one of them.
    let facility = if target.facility.is_empty() {
        "local0"
    } else {
        &target.facility
    };
    remarks.push(format!(
        "{why}: the agent listens for them; add `log {LISTEN} {}` behind {} (`{}`)",
        Untrusted(facility.as_bytes()),
        target.spot,
        Untrusted(target.source.as_bytes()),
    ));
    Destination::Syslog(format!("udp://{LISTEN}"))
}

/// Words of a line (section 2.2): quotes may begin inside a word, a `#` outside of them a comment.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some('\''), letter) => word.get_or_insert_default().push(letter),
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (_, '\\') => word.get_or_insert_default().extend(letters.next()),
            (None, '#') => break,
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sections(text: &str) -> Reading {
        let mut reading = Reading::default();
        reading.file("/h.cfg", text);
        reading
    }

    #[test]
    fn words_are_those_of_the_manual() {
        assert_eq!(
            words(r#"log-format "%ci \"x\" y" # no"#),
            ["log-format", "%ci \"x\" y"]
        );
        assert_eq!(
            words(r"log-format %ci\ %r 'a\b'"),
            ["log-format", "%ci %r", r"a\b"]
        );
        assert_eq!(words("  # x"), Vec::<String>::new());
    }

    #[test]
    fn a_frontend_logs_as_the_defaults_before_it_unless_it_says_otherwise() {
        let reading = sections(
            "global\n log /dev/log local0\n log /dev/log local1 notice\ndefaults a\n mode http\n log global\n option httplog\n\
             frontend one\n capture request header X-CDN-Provider len 32\nfrontend two\n log-format \"%ci %r\"\n no log\n\
             backend b\n option tcplog\nlisten three from a\n mode tcp\n",
        );
        assert_eq!(reading.global.len(), 1);
        let all: Vec<_> = reading
            .finished
            .iter()
            .map(|one| (one.name.as_str(), one.uses_global, one.is_tcp))
            .collect();
        assert_eq!(
            all,
            [
                ("one", true, false),
                ("two", false, false),
                ("three", true, true)
            ]
        );
        let one = layout(&reading.finished[0]).unwrap();
        assert_eq!(
            one.pasted,
            "option httplog\ncapture request header X-CDN-Provider len 32"
        );
        assert_eq!(one.name, "one");
        assert_eq!(
            layout(&reading.finished[1]).unwrap().pasted,
            "log-format \"%ci %r\""
        );
        assert_eq!(layout(&reading.finished[2]).unwrap().pasted, "httplog");
    }
}
