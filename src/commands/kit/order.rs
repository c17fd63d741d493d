//! What a kit is to be: the command line, checked.
//!
//! Invariant: whatever an `Order` holds may stand in a URL, a configuration file of any server and a VCL
//! text as it is; only the site's name and the status page are escaped by those that write them. All
//! mistakes are told at once, each at its argument.

use crate::cli::KitArgs;
use crate::diagnostic::{Diagnostic, Place, is_printable};

use super::languages::{LANGUAGES, Language, language};

/// CDNs that the kit has steps for: those that the rules `beacon` and `origin` know by name.
pub(super) const KNOWN: [&str; 5] = ["akamai", "cloudflare", "cloudfront", "edgecast", "fastly"];
/// Longest name of a site, in characters: a heading, not a text.
const SITE_NAME: usize = 80;

/// What was ordered.
#[derive(Debug)]
pub(super) struct Order {
    /// One kit for each; never empty.
    pub(super) providers: Vec<String>,
    /// Whether each gets a folder of its own inside `--out`.
    pub(super) is_for_all: bool,
    /// Host, perhaps with a port.
    pub(super) pixel_host: String,
    /// Absolute path without a query.
    pub(super) beacon_path: String,
    /// As typed: to be escaped.
    pub(super) site_name: Option<String>,
    /// An https URL as typed: to be escaped.
    pub(super) status_url: Option<String>,
    /// Never empty, none twice.
    pub(super) languages: Vec<&'static Language>,
    /// Host, perhaps with a port.
    pub(super) report_host: Option<String>,
    /// Seconds.
    pub(super) retry_after: u32,
    /// Seconds; `None`: the page never loads itself.
    pub(super) auto_retry: Option<u32>,
}

impl Order {
    /// Reads the arguments, or tells all that is wrong with them.
    pub(super) fn read(args: &KitArgs) -> Result<Order, Vec<Diagnostic>> {
        let mut wrong = Vec::new();
        let order = Order {
            providers: taken(providers(&args.provider), &mut wrong),
            is_for_all: args.provider == "all",
            pixel_host: taken(host("--pixel-host", &args.pixel_host), &mut wrong),
            beacon_path: taken(path(&args.beacon_path), &mut wrong),
            site_name: optional(args.site_name.as_deref(), site_name, &mut wrong),
            status_url: optional(args.status_url.as_deref(), url, &mut wrong),
            languages: languages(&args.languages, &mut wrong),
            report_host: optional(
                args.report_host.as_deref(),
                |text| host("--report-host", text),
                &mut wrong,
            ),
            retry_after: args.retry_after,
            auto_retry: args.auto_retry,
        };
        if wrong.is_empty() {
            Ok(order)
        } else {
            Err(wrong)
        }
    }

    /// What is allowed but perhaps not meant.
    pub(super) fn doubts(&self) -> Vec<Diagnostic> {
        let unknown = self
            .providers
            .iter()
            .filter(|name| !KNOWN.contains(&name.as_str()));
        let doubt = |name: &String| {
            Place::argument("--provider", name)
                .error(
                    "the rules do not know this provider and count it as `other`",
                    "",
                )
                .warning()
                .help_from(name, "provider", KNOWN)
        };
        unknown.map(doubt).collect()
    }

    /// Address of the pixel on the page of a provider.
    pub(super) fn pixel(&self, provider: &str) -> String {
        format!(
            "https://{}{}?source={provider}",
            self.pixel_host, self.beacon_path
        )
    }
}

/// The value; when there is a mistake in its place, that is kept and anything will do.
fn taken<T: Default>(result: Result<T, Diagnostic>, wrong: &mut Vec<Diagnostic>) -> T {
    result.unwrap_or_else(|mistake| {
        wrong.push(mistake);
        T::default()
    })
}

fn optional(
    given: Option<&str>,
    read: impl Fn(&str) -> Result<String, Diagnostic>,
    wrong: &mut Vec<Diagnostic>,
) -> Option<String> {
    given.map(|text| taken(read(text), wrong))
}

fn providers(text: &str) -> Result<Vec<String>, Diagnostic> {
    let place = Place::argument("--provider", text);
    let is_name = !text.is_empty()
        && text.len() <= 32
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if text == "all" {
        Ok(KNOWN.map(str::to_owned).to_vec())
    } else if text == "other" || text == "direct" {
        Err(place.error(
            "this name means that no provider is known",
            "is a value of its own in metrics",
        ))
    } else if is_name {
        Ok(vec![text.to_owned()])
    } else {
        let lower = text.to_ascii_lowercase();
        Err(place
            .error(
                "a provider is named in lower case letters, digits and `-`",
                "not a name",
            )
            .help_from(&lower, "provider", KNOWN))
    }
}

/// A host name or an IPv4 address, perhaps with a port; in lower case.
fn host(flag: &str, text: &str) -> Result<String, Diagnostic> {
    let place = Place::argument(flag, text);
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if text.contains("//") {
        return Err(place
            .error("expected a host name, found a URL", "not a host name")
            .help(format!("{flag} {}", within(text))));
    }
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err(place
            .error("expected a host name", "not a host name")
            .help(format!("{flag} pixel.example.com")));
    }
    if port.is_some_and(|port| port.parse::<u16>().map_or(true, |port| port == 0)) {
        return Err(place.error("expected a port from 1 to 65535 behind `:`", "no such port"));
    }
    Ok(text.to_ascii_lowercase())
}

/// What looks like the host in a URL.
fn within(url: &str) -> &str {
    let behind = url.split_once("//").map_or(url, |(_, behind)| behind);
    behind.split(['/', '?', '#']).next().unwrap_or(behind)
}

fn path(text: &str) -> Result<String, Diagnostic> {
    let place = Place::argument("--beacon-path", text);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._~-".contains(&byte);
    let segments = text.strip_prefix('/').unwrap_or_default();
    if segments
        .split('/')
        .any(|part| ["", ".", ".."].contains(&part))
        || !text.bytes().all(is_plain)
    {
        return Err(place
            .error(
                "expected an absolute path of letters, digits, `.`, `_`, `~`, `-` and `/`",
                "not such a path",
            )
            .help("--beacon-path /status/images/beacon.gif"));
    }
    Ok(text.to_owned())
}

fn site_name(text: &str) -> Result<String, Diagnostic> {
    let place = Place::argument("--site-name", text);
    if text.trim().is_empty() {
        Err(place.error("the site's name is empty", "leave the option out"))
    } else if text.chars().count() > SITE_NAME {
        let message = format!("the site's name has more than {SITE_NAME} characters");
        Err(place.error(message, "too long"))
    } else if !text.chars().all(is_printable) {
        Err(place.error(
            "the site's name holds a character that cannot be seen",
            "has a control character",
        ))
    } else {
        Ok(text.trim().to_owned())
    }
}

fn url(text: &str) -> Result<String, Diagnostic> {
    let place = Place::argument("--status-url", text);
    let Some(behind) = text.strip_prefix("https://") else {
        return Err(place
            .error("expected an https URL", "does not begin with `https://`")
            .help("--status-url https://status.example.com/"));
    };
    let authority = behind.split(['/', '?', '#']).next().unwrap_or_default();
    host("--status-url", authority).map_err(|_| {
        place.error(
            "expected a host name behind `https://`",
            "no such host name",
        )
    })?;
    let is_url = |byte: u8| byte.is_ascii_graphic() && !b"\"'<>\\^`{|}".contains(&byte);
    if text.bytes().all(is_url) {
        Ok(text.to_owned())
    } else {
        Err(place
            .error(
                "this is no URL: a character in it has to be written as %HH",
                "no URL",
            )
            .help("--status-url https://status.example.com/"))
    }
}

fn languages(codes: &[String], wrong: &mut Vec<Diagnostic>) -> Vec<&'static Language> {
    if codes.is_empty() {
        return LANGUAGES.iter().collect();
    }
    let mut found: Vec<&'static Language> = Vec::new();
    for code in codes {
        let place = Place::argument("--languages", code);
        match language(code) {
            Some(language) if found.contains(&language) => {
                wrong.push(place.error("a language is named twice", "is there before"));
            }
            Some(language) => found.push(language),
            None => {
                let exist: Vec<&str> = LANGUAGES.iter().map(|language| language.code).collect();
                let help = format!("there is: {}", exist.join(","));
                wrong.push(
                    place
                        .error("the page has no such language", "no such language")
                        .help(help),
                );
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn args() -> KitArgs {
        KitArgs {
            provider: "fastly".to_owned(),
            pixel_host: "px.shop.example".to_owned(),
            site_name: None,
            status_url: None,
            languages: Vec::new(),
            beacon_path: "/status/images/beacon.gif".to_owned(),
            report_host: None,
            retry_after: 60,
            auto_retry: None,
            out: PathBuf::from("kit"),
            force: false,
        }
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let wrong = Order::read(&KitArgs {
            provider: "Fastly".to_owned(),
            pixel_host: "https://px.shop.example/x".to_owned(),
            site_name: Some("a\u{202e}b".to_owned()),
            status_url: Some("http://status.shop.example".to_owned()),
            languages: ["en", "xx", "EN"].map(str::to_owned).to_vec(),
            beacon_path: "beacon.gif".to_owned(),
            report_host: Some("-".to_owned()),
            ..args()
        })
        .unwrap_err();
        assert_eq!(wrong.len(), 8);
    }

    #[test]
    fn hosts_are_names_with_or_without_a_port() {
        for good in [
            "px.shop.example",
            "localhost:8443",
            "127.0.0.1",
            "PX.shop.example",
        ] {
            assert!(host("--pixel-host", good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a..b",
            "-a",
            "a_b",
            "a b",
            "a/b",
            "a:0",
            "a:65536",
            "a:",
            "a\"b",
            "ä.example",
        ] {
            assert!(host("--pixel-host", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_path_leaves_its_place_or_holds_a_sign_of_a_configuration() {
        for bad in [
            "", "/", "/a/../b", "//a", "/a/", "/a b", "/a\"", "/a;", "/a?b", "/a$", "/a{",
        ] {
            assert!(path(bad).is_err(), "{bad}");
        }
        assert!(path("/p/b-1_2.gif").is_ok());
    }

    #[test]
    fn status_pages_are_https_and_nothing_else() {
        for bad in [
            "javascript:alert(1)",
            "http://a.example/",
            "https://",
            "https://a b/",
            "https://a\"b/",
            "https://u@a/",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
        assert!(url("https://status.shop.example/now?a=b&c=%20#x").is_ok());
    }

    #[test]
    fn a_name_of_ones_own_is_taken_with_a_doubt() {
        let order = Order::read(&KitArgs {
            provider: "fasty".to_owned(),
            ..args()
        })
        .unwrap();
        let doubts = order.doubts();
        assert!(doubts[0].is_warning);
        assert_eq!(
            doubts[0].help.as_deref(),
            Some("a provider with a similar name exists: `fastly`")
        );
        assert!(Order::read(&args()).unwrap().doubts().is_empty());
    }

    #[test]
    fn the_known_providers_are_those_of_the_rules() {
        let quoted: Vec<String> = KNOWN.iter().map(|name| format!("\"{name}\"")).collect();
        let line = format!("providers = [{}]", quoted.join(", "));
        for rules in [
            include_str!("../../../parsers/rules/beacon.toml"),
            include_str!("../../../parsers/rules/origin.toml"),
        ] {
            assert!(rules.contains(&line), "{line}");
        }
    }
}
