//! What a server's configuration says of its logs: the nouns that the readers of nginx, Apache, HAProxy
//! and Varnish hand over.
//!
//! Invariant: paths are the host's own, and every statement has the place where it stands. Whether a
//! format can be read, and what it lacks, is asked elsewhere.

use std::fmt::{self, Display, Formatter};

use super::tree::{Kind, Tree};
use crate::diagnostic::Untrusted;

/// The servers that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Server {
    /// nginx and what is made of it.
    Nginx,
    /// Apache httpd.
    Apache,
    /// HAProxy.
    Haproxy,
    /// varnishncsa, the logger of Varnish.
    Varnish,
}

impl Server {
    /// The key below `format`, and the beginning of names.
    pub(super) fn key(self) -> &'static str {
        match self {
            Server::Nginx => "nginx",
            Server::Apache => "apache",
            Server::Haproxy => "haproxy",
            Server::Varnish => "varnishncsa",
        }
    }

    /// Its name in sentences.
    pub(super) fn name(self) -> &'static str {
        match self {
            Server::Nginx => "nginx",
            Server::Apache => "Apache",
            Server::Haproxy => "HAProxy",
            Server::Varnish => "Varnish",
        }
    }
}

/// A line of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    /// The file, as the host names it.
    pub(super) file: String,
    /// From 1.
    pub(super) line: usize,
}

impl Display for Spot {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", Untrusted(self.file.as_bytes()), self.line)
    }
}

/// Where the lines of a log end up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// Files of this pattern.
    Files(String),
    /// A datagram to this address, where the agent can listen: `udp://127.0.0.1:5140`.
    Syslog(String),
    /// Where no agent of this host can take them: why, and what to do.
    Away {
        /// A clause: `it is compressed while it is written`.
        why: String,
        /// What to change.
        repair: String,
    },
}

/// A log format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Its nickname, or a word for it.
    pub(super) name: String,
    /// What a parser file takes: the directive as it stands, or the text.
    pub(super) pasted: String,
    /// Where it is defined; `None` for one that the server brings along.
    pub(super) spot: Option<Spot>,
    /// The lines as they stand there, for showing a change to them.
    pub(super) source: String,
}

/// A log of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AccessLog {
    pub(super) server: Server,
    /// Where the log is asked for.
    pub(super) spot: Spot,
    /// The line there, for showing a change to it.
    pub(super) source: String,
    pub(super) destination: Destination,
    /// `None` with what is missing in `remarks`.
    pub(super) layout: Option<Layout>,
    /// Sentences that the operator should know.
    pub(super) remarks: Vec<String>,
}

/// A log of errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ErrorLog {
    pub(super) server: Server,
    pub(super) spot: Spot,
    /// A pattern.
    pub(super) path: String,
}

/// All that was found on a host.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Files that were looked for, in order.
    pub(super) looked: Vec<String>,
    /// The servers that have a configuration.
    pub(super) servers: Vec<Server>,
    pub(super) logs: Vec<AccessLog>,
    pub(super) errors: Vec<ErrorLog>,
    /// Sentences about files that could not be read and statements that were not understood.
    pub(super) remarks: Vec<String>,
}

impl Survey {
    /// Adds a log; the same one from several places of a configuration is one.
    pub(super) fn add(&mut self, log: AccessLog) {
        let known = self.logs.iter().any(|other| {
            other.server == log.server
                && other.destination == log.destination
                && other.layout == log.layout
        });
        if !known || matches!(log.destination, Destination::Away { .. }) && self.logs.len() < 500 {
            self.logs.push(log);
        }
    }

    /// Adds a log of errors, once.
    pub(super) fn add_error(&mut self, log: ErrorLog) {
        let known = self.errors.iter().any(|other| other.path == log.path);
        if !known {
            self.errors.push(log);
        }
    }

    /// The main files of a server that are there, of the usual places and, where the root is a project's
    /// folder, of those of projects.
    pub(super) fn main_files<'p>(
        &mut self,
        tree: &Tree,
        server: Server,
        usual: &[&'p str],
        of_projects: &[&'p str],
    ) -> Vec<&'p str> {
        let of_projects = of_projects.iter().filter(|_| !tree.is_this_host());
        let places: Vec<&str> = usual.iter().chain(of_projects).copied().collect();
        self.looked.extend(places.iter().map(ToString::to_string));
        let is_there = |place: &&str| tree.kind(place) == Some(Kind::File);
        let found: Vec<&str> = places.into_iter().filter(is_there).collect();
        if !found.is_empty() {
            self.has(server);
        }
        found
    }

    /// Notes a server once.
    pub(super) fn has(&mut self, server: Server) {
        if !self.servers.contains(&server) {
            self.servers.push(server);
        }
    }

    /// Adds a remark, once.
    pub(super) fn remark(&mut self, text: String) {
        if !self.remarks.contains(&text) && self.remarks.len() < 100 {
            self.remarks.push(text);
        }
    }
}

/// A path as a pattern that matches it alone. A brace would begin `{host}` or `${NAME}`.
pub(super) fn literal(path: &str) -> String {
    let mut pattern = String::new();
    for letter in path.chars() {
        match letter {
            '*' | '?' | '[' | ']' | '{' => pattern.extend(['[', letter, ']']),
            other => pattern.push(other),
        }
    }
    pattern
}

/// An absolute path without `.`, `..` and doubled slashes, as text.
pub(super) fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    format!("/{}", parts.join("/"))
}

/// `path`, or `path` below `folder` when it is relative.
pub(super) fn below(folder: &str, path: &str) -> String {
    if path.starts_with('/') {
        normal(path)
    } else {
        normal(&format!("{folder}/{path}"))
    }
}

/// The folder of a path.
pub(super) fn folder(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((folder, _)) => folder,
    }
}

/// Where the standard output of a container's process goes, if that is what a path means.
pub(super) fn standard_stream(path: &str) -> Option<Destination> {
    let streams = [
        "/dev/stdout",
        "/dev/stderr",
        "/proc/self/fd/1",
        "/proc/self/fd/2",
        "stdout",
        "stderr",
    ];
    streams.contains(&path).then(|| Destination::Away {
        why: format!("`{path}` is the process' own stream, which the container's runtime or the journal keeps"),
        repair: "log to a file in a volume that this host sees, or follow the runtime's file: \
                 path = \"/var/lib/docker/containers/*/*-json.log\""
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_absolute_and_patterns_literal() {
        assert_eq!(below("/etc/nginx", "conf.d/../a.conf"), "/etc/nginx/a.conf");
        assert_eq!(below("/etc", "//var/./log/x"), "/var/log/x");
        assert_eq!(normal("/../../x"), "/x");
        assert_eq!(literal("/a*[b]{host}"), "/a[*][[]b[]][{]host}");
        assert_eq!(
            (folder("/a/b"), folder("/a"), folder("a")),
            ("/a", "/", "/")
        );
        let pattern = glob::Pattern::new(&literal("/a*[b]{host}?")).unwrap();
        assert!(pattern.matches("/a*[b]{host}?"));
    }
}
