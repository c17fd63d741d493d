//! Which parser reads a log format: the shipped one that says the same, or a file made of the pasted directive.
//!
//! Invariant: a parser file is proposed only if it loads and compiles; the name of a shipped parser is never
//! taken.

use std::fmt::Write as _;

use super::found::{Layout, Server};
use crate::commands::engine::Engine;
use crate::definition::quoted::string;
use crate::definition::{Dialect, FormatDefinition, LayoutDefinition, Origin};
use crate::diagnostic::{Untrusted, is_printable};
use crate::parse::Format;

/// A parser file to be written.
#[derive(Clone, Debug)]
pub(super) struct ParserFile {
    /// Without `.toml`.
    pub(super) name: String,
    pub(super) text: String,
    server: Server,
    pasted: String,
}

/// What the lines of a format tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// The request line, or its target.
    pub(super) request: bool,
    /// The header `X-CDN-Provider`.
    pub(super) provider: bool,
    /// The header `X-Forwarded-For`.
    pub(super) forwarded: bool,
    /// How long the request took.
    pub(super) duration: bool,
}

impl Facts {
    fn of(format: &Format) -> Facts {
        let names = format.names();
        let has = |wanted: &[&str]| names.iter().any(|name| wanted.contains(&name.as_str()));
        Facts {
            request: has(&["request", "request_uri", "uri"]),
            provider: has(&["http_x_cdn_provider", "http_*"]),
            forwarded: has(&["http_x_forwarded_for", "http_*"]),
            duration: has(&["request_time"]),
        }
    }

    /// The rule sets that have what they need: without the CDN's header every request of `origin` would be
    /// `direct`.
    pub(super) fn rules(self) -> Vec<&'static str> {
        match (self.request, self.provider) {
            (true, true) => vec!["beacon", "origin"],
            (true, false) => vec!["beacon"],
            (false, _) => Vec::new(),
        }
    }

    /// What is wanted and not there, as people call it.
    pub(super) fn missing(self) -> Vec<&'static str> {
        let wanted = [
            (self.provider, "X-CDN-Provider"),
            (self.forwarded, "X-Forwarded-For"),
            (self.duration, "request time"),
        ];
        let missing = wanted.into_iter().filter(|(is_there, _)| !is_there);
        missing.map(|(_, name)| name).collect()
    }
}

/// The parser of a format.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) name: String,
    /// It is one of the program's own.
    pub(super) is_shipped: bool,
    pub(super) facts: Facts,
}

/// Finds parsers for formats, and keeps the files that are needed for it.
pub(super) struct Chooser {
    pub(super) engine: Engine,
    pub(super) files: Vec<ParserFile>,
}

impl Chooser {
    pub(super) fn new(engine: Engine) -> Chooser {
        Chooser {
            engine,
            files: Vec::new(),
        }
    }

    /// The parser for a format of that server.
    ///
    /// # Errors
    /// Why no parser can read it, as a clause.
    pub(super) fn choose(&mut self, server: Server, layout: &Layout) -> Result<Chosen, String> {
        let pasted = layout.pasted.replace("\r\n", "\n");
        let known = self
            .files
            .iter()
            .find(|file| file.server == server && file.pasted == pasted);
        if let Some(name) = known.map(|file| file.name.clone()) {
            return self.chosen(name, false);
        }
        let name = self.free_name(server, &layout.name);
        let text = text(server, layout, &pasted, &[]);
        self.add(&name, &text)?;
        let shipped = self.definition(&name).and_then(|own| self.shipped(own));
        if let Some(shipped) = shipped {
            return self.chosen(shipped, true);
        }
        let chosen = self.chosen(name.clone(), false)?;
        // Once more, with what is known of its fields.
        let text = self::text(server, layout, &pasted, &chosen.facts.rules());
        self.files.push(ParserFile {
            name,
            text,
            server,
            pasted,
        });
        Ok(chosen)
    }

    /// The format that a parser's name stands for.
    pub(super) fn format(&self, name: &str) -> Option<Format> {
        self.engine.format(name).ok()
    }

    fn add(&mut self, name: &str, text: &str) -> Result<(), String> {
        let shown = format!("parsers/{name}.toml");
        let added = self.engine.catalog.add_text(name, &shown, text);
        added.map_err(|mistakes| first(&mistakes))
    }

    fn definition(&self, name: &str) -> Option<&FormatDefinition> {
        let entry = self.engine.catalog.format(name).ok()?;
        Some(&entry.definition)
    }

    fn chosen(&self, name: String, is_shipped: bool) -> Result<Chosen, String> {
        let format = self
            .engine
            .format(&name)
            .map_err(|mistakes| first(&mistakes))?;
        Ok(Chosen {
            facts: Facts::of(&format),
            name,
            is_shipped,
        })
    }

    /// The shipped format with the same layout, the first in the order of detection.
    fn shipped(&self, own: &FormatDefinition) -> Option<String> {
        let (dialect, text) = canonical(own)?;
        let catalog = &self.engine.catalog;
        let by_name = catalog.formats();
        let mut same = catalog
            .detection_order()
            .into_iter()
            .chain(by_name)
            .filter(|entry| {
                matches!(entry.origin, Origin::Shipped)
                    && canonical(&entry.definition)
                        .is_some_and(|(other, theirs)| other == dialect && theirs == text)
            });
        same.next().map(|entry| entry.definition.name.clone())
    }

    /// `nginx-main`, or with something behind it where that is taken.
    fn free_name(&self, server: Server, nickname: &str) -> String {
        let plain = |letter: char| {
            if letter.is_ascii_alphanumeric() {
                letter.to_ascii_lowercase()
            } else {
                '-'
            }
        };
        let nickname: String = nickname.chars().take(40).map(plain).collect();
        let nickname = nickname.trim_matches('-');
        let nickname = if nickname.is_empty() { "log" } else { nickname };
        let first = format!("{}-{nickname}", server.key());
        let mut name = first.clone();
        let mut number = 1;
        while self.is_taken(&name) {
            number += 1;
            name = match number {
                2 => format!("{first}-mine"),
                more => format!("{first}-mine-{more}"),
            };
        }
        name
    }

    fn is_taken(&self, name: &str) -> bool {
        let entry = self.engine.catalog.format(name);
        entry.is_ok_and(|entry| matches!(entry.origin, Origin::Shipped))
            || self.files.iter().any(|file| file.name == name)
    }
}

fn first(mistakes: &[crate::diagnostic::Diagnostic]) -> String {
    let message = mistakes
        .first()
        .map_or("it cannot be read", |mistake| mistake.message.as_str());
    Untrusted(message.as_bytes()).to_string()
}

/// What two layouts have in common when they read the same lines to the same counts: `%O` is `%b` with the
/// headers, `%>s` differs from `%s` for internal redirects, and names of headers have no case.
fn canonical(definition: &FormatDefinition) -> Option<(Dialect, String)> {
    let LayoutDefinition::Server { dialect, text } = &definition.layout.value else {
        return None;
    };
    let text = text.value.trim().to_owned();
    let text = match dialect {
        Dialect::Apache => text
            .replace("%>s", "%s")
            .replace("%O", "%b")
            .replace("%B", "%b")
            .replace("%{User-agent}i", "%{User-Agent}i"),
        Dialect::Varnishncsa if text == "%{Varnish:default_format}x" => {
            super::varnish::USUAL.to_owned()
        }
        Dialect::Varnishncsa => text.replace("%{User-Agent}i", "%{User-agent}i"),
        _ => text,
    };
    Some((*dialect, text))
}

/// The file for a pasted layout.
fn text(server: Server, layout: &Layout, pasted: &str, rules: &[&str]) -> String {
    let mut out = String::new();
    let place = layout
        .spot
        .as_ref()
        .map_or_else(String::new, |spot| format!(" at {spot}"));
    let nickname = Untrusted(layout.name.as_bytes()).to_string();
    writeln!(
        out,
        "# Pasted by `beacontail init` from {}'s configuration{place}.",
        server.name()
    )
    .ok();
    let description = format!("{} `{nickname}` of this host", server.name());
    writeln!(out, "description = {}", string(&description)).ok();
    let rules: Vec<String> = rules.iter().map(|name| string(name)).collect();
    writeln!(out, "rules = [{}]", rules.join(", ")).ok();
    if has_status(server, pasted) {
        writeln!(out, "require = [\"status\"]").ok();
    }
    writeln!(out, "format.{} = {}", server.key(), quoted(pasted)).ok();
    out
}

/// A status is the first thing that a line of something else lacks.
fn has_status(server: Server, pasted: &str) -> bool {
    match server {
        Server::Nginx => pasted.contains("$status") || pasted.contains("${status}"),
        Server::Haproxy => {
            pasted.contains("%ST") || pasted.contains("httplog") || pasted.contains("httpslog")
        }
        Server::Apache | Server::Varnish => false,
    }
}

/// A pasted text as people would write it: in three quotes, as it stands.
fn quoted(text: &str) -> String {
    let is_plain = text
        .chars()
        .all(|letter| matches!(letter, '\n' | '\t') || is_printable(letter));
    if is_plain && text.contains(['\n', '\'']) && !text.contains("'''") && !text.ends_with('\'') {
        return format!("'''\n{text}'''");
    }
    string(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ParserArgs;

    fn chooser() -> Chooser {
        let args = ParserArgs {
            timezone: "UTC".to_owned(),
            ..ParserArgs::default()
        };
        Chooser::new(Engine::open(&args).unwrap())
    }

    fn layout(name: &str, pasted: &str) -> Layout {
        Layout {
            name: name.to_owned(),
            pasted: pasted.to_owned(),
            spot: None,
            source: String::new(),
        }
    }

    #[track_caller]
    fn chosen(server: Server, pasted: &str) -> Chosen {
        chooser().choose(server, &layout("main", pasted)).unwrap()
    }

    #[test]
    fn a_format_that_is_shipped_needs_no_file() {
        for (server, pasted, name) in [
            (
                Server::Nginx,
                super::super::nginx::COMBINED,
                "nginx-combined",
            ),
            (
                Server::Nginx,
                "log_format x '$remote_addr - $remote_user [$time_local] \"$request\" '\n '$status $body_bytes_sent \"$http_referer\" \"$http_user_agent\"'\n ' \"$http_x_cdn_provider\" $request_time';",
                "nginx-cdn",
            ),
            (
                Server::Apache,
                r#"LogFormat "%h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\"""#,
                "apache-combined",
            ),
            (
                Server::Apache,
                r#"LogFormat "%h %l %u %t \"%r\" %>s %b""#,
                "apache-common",
            ),
            (Server::Haproxy, "httplog", "haproxy-http"),
            (Server::Haproxy, "option httpslog", "haproxy-https"),
            (Server::Varnish, super::super::varnish::USUAL, "varnishncsa"),
        ] {
            let chosen = chosen(server, pasted);
            assert_eq!(
                (chosen.name.as_str(), chosen.is_shipped),
                (name, true),
                "{pasted}"
            );
        }
    }

    #[test]
    fn another_format_gets_a_file_with_the_rules_that_it_feeds() {
        let mut chooser = chooser();
        let pasted = "log_format main '$remote_addr [$time_local] \"$request\" $status'\n  ' \"$http_x_cdn_provider\"';";
        let first = chooser
            .choose(Server::Nginx, &layout("main", pasted))
            .unwrap();
        assert_eq!(
            (first.name.as_str(), first.is_shipped),
            ("nginx-main", false)
        );
        assert_eq!(first.facts.missing(), ["X-Forwarded-For", "request time"]);
        let again = chooser
            .choose(Server::Nginx, &layout("main", pasted))
            .unwrap();
        assert_eq!(again.name, "nginx-main");
        let other = layout(
            "main",
            "log_format main '$remote_addr [$time_local] \"$request\"';",
        );
        assert_eq!(
            chooser.choose(Server::Nginx, &other).unwrap().name,
            "nginx-main-mine"
        );
        let texts: Vec<&str> = chooser
            .files
            .iter()
            .map(|file| file.text.as_str())
            .collect();
        let [first, second] = texts.as_slice() else {
            panic!("{texts:?}")
        };
        assert!(
            first.contains("rules = [\"beacon\", \"origin\"]\nrequire = [\"status\"]\n"),
            "{first}"
        );
        assert!(
            first.contains("format.nginx = '''\nlog_format main"),
            "{first}"
        );
        assert!(second.contains("rules = [\"beacon\"]\nformat"), "{second}");
    }

    #[test]
    fn a_format_without_a_time_is_no_parser() {
        let refused = chooser().choose(
            Server::Apache,
            &layout("referer", r#"LogFormat "%{Referer}i -> %U""#),
        );
        assert!(refused.is_err());
    }
}
