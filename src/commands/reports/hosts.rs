//! The hosts that reports may be about.
//!
//! Anybody can post anything; a report about a host that is not ours is not even worth a line. A
//! report about one that is ours may still be made up: this is a filter, not a proof.

use crate::diagnostic::{Diagnostic, Place};

/// Letters of the longest name of the DNS.
const NAME_BYTES: usize = 253;

/// The hosts; without any, every host is taken.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    names: Vec<String>,
    /// With the dot in front: `.example.com`.
    endings: Vec<String>,
}

impl Hosts {
    /// Those of the command line; what is no host becomes a mistake.
    pub(super) fn new(given: &[String], mistakes: &mut Vec<Diagnostic>) -> Hosts {
        let mut hosts = Hosts::default();
        for text in given {
            let (list, name) = match text.strip_prefix("*.") {
                Some(name) => (&mut hosts.endings, name),
                None => (&mut hosts.names, text.as_str()),
            };
            match host(name) {
                Some(name) if text.starts_with("*.") => list.push(format!(".{name}")),
                Some(name) => list.push(name),
                None => mistakes.push(no_host(text)),
            }
        }
        hosts
    }

    /// Whether reports about this host are taken; `host` as [`host_of`] gives it.
    pub(super) fn take(&self, host: &str) -> bool {
        self.is_empty()
            || self.names.iter().any(|name| name == host)
            || self
                .endings
                .iter()
                .any(|ending| host.ends_with(ending.as_str()))
    }

    /// True when every host is taken.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.endings.is_empty()
    }

    /// How they were written, for people.
    pub(super) fn shown(&self) -> Vec<String> {
        let endings = self.endings.iter().map(|ending| format!("*{ending}"));
        self.names.iter().cloned().chain(endings).collect()
    }
}

fn no_host(text: &str) -> Diagnostic {
    Place::argument("--allow-origin-host", text)
        .error(
            format!("`{}` is no host", text.escape_debug()),
            "expected a name without scheme, port and path",
        )
        .help("--allow-origin-host www.example.com, or `*.example.com` for all below it")
}

/// A URL of the web in pieces: its host in lower case, without user and port, and what follows it.
pub(super) fn host_of(url: &str) -> Option<(String, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    if !["https", "http"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
    {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    let name = match authority.strip_prefix('[') {
        Some(address) => return bracketed(address).map(|host| (host, path)),
        None => match authority.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => authority,
        },
    };
    host(name).map(|host| (host, path))
}

/// An IPv6 address and what may follow it.
fn bracketed(rest: &str) -> Option<String> {
    let (address, port) = rest.split_once(']')?;
    let address: std::net::Ipv6Addr = address.parse().ok()?;
    let port = port.strip_prefix(':').unwrap_or(port);
    let good = port.bytes().all(|byte| byte.is_ascii_digit());
    good.then(|| address.to_string())
}

/// A name or an IPv4 address in lower case, when its letters are those of names.
fn host(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let good = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let whole = !name.is_empty() && name.len() <= NAME_BYTES && !name.starts_with('.');
    (good && whole).then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(given: &[&str]) -> Hosts {
        let mut mistakes = Vec::new();
        let given: Vec<_> = given.iter().map(ToString::to_string).collect();
        let hosts = Hosts::new(&given, &mut mistakes);
        assert!(mistakes.is_empty());
        hosts
    }

    #[test]
    fn hosts_are_taken_by_name_and_by_ending() {
        assert!(hosts(&[]).take("anything"));
        let some = hosts(&["WWW.Example.com", "*.shop.example"]);
        assert!(some.take("www.example.com") && some.take("a.b.shop.example"));
        for other in [
            "example.com",
            "shop.example",
            "evilshop.example",
            "www.example.com.evil.example",
        ] {
            assert!(!some.take(other), "{other}");
        }
    }

    #[test]
    fn what_is_no_host_is_a_mistake() {
        for wrong in [
            "https://x.example",
            "x.example:443",
            "x/y",
            "",
            "*",
            "*.",
            "*.*.x",
            "a b",
        ] {
            let mut mistakes = Vec::new();
            Hosts::new(&[wrong.to_owned()], &mut mistakes);
            assert_eq!(mistakes.len(), 1, "{wrong}");
        }
    }

    #[test]
    fn urls_give_their_host_and_the_rest() {
        for (url, host, rest) in [
            ("https://WWW.example.com/a?b#c", "www.example.com", "/a?b#c"),
            ("http://example.com:8443?x", "example.com", "?x"),
            ("https://[2001:DB8::1]:443/", "2001:db8::1", "/"),
            ("https://192.0.2.1", "192.0.2.1", ""),
            ("https://example.com./", "example.com", "/"),
        ] {
            assert_eq!(host_of(url), Some((host.to_owned(), rest)), "{url}");
        }
        for wrong in [
            "",
            "example.com",
            "file:///etc/passwd",
            "https://",
            "https:///x",
            "https://user@example.com/",
            "https://a\u{202e}b/",
            "https://[::1",
            "https://[x]/",
            "https://a b/",
            "javascript://x",
        ] {
            assert_eq!(host_of(wrong), None, "{wrong}");
        }
    }
}
