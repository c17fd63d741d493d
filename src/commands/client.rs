//! HTTP as a client: one server, one request at a time, on a plain thread.
//!
//! Invariant: nothing that a server does costs more than the time and the bytes that were allowed, and
//! no secret leaves for another server than the one that was named: redirects are followed on the same
//! scheme, host and port only, and proxies of the environment are not used. Secrets come from files.
//!
//! Answers are bytes of the network: whoever shows them escapes them. What this module puts into an
//! error is escaped already.

mod files;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ureq::http::Uri;
use ureq::tls::{RootCerts, TlsConfig};

use crate::diagnostic::Untrusted;

/// Most bytes of an answer.
pub(super) const MAX_BODY: u64 = 32 << 20;
/// Most bytes that are quoted of an answer.
const MAX_QUOTED: usize = 200;
/// Redirects that are followed on one server.
const MAX_REDIRECTS: usize = 3;

/// What proves who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Secret {
    /// A file with `user:password`.
    Basic(PathBuf),
    /// A file with a token.
    Bearer(PathBuf),
}

/// A server, and how it is asked.
#[derive(Clone, Debug)]
pub(super) struct Access<'a> {
    /// `http://host:port` or `https://host`, with a path where the server is below one.
    pub(super) url: &'a str,
    /// What it is, for messages: `the agent`, `Prometheus`.
    pub(super) who: &'static str,
    /// For one request, from looking up the name to the last byte.
    pub(super) timeout: Duration,
    pub(super) secret: Option<&'a Secret>,
    /// Certificates to believe in place of the system's.
    pub(super) cacert: Option<&'a Path>,
}

/// Asks one server.
#[derive(Debug)]
pub(super) struct Client {
    agent: ureq::Agent,
    who: &'static str,
    base: String,
    authorization: Option<String>,
    /// What the operator should put right though it works: a secret that others can read.
    pub(super) warnings: Vec<String>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// An address that is none.
    #[error(
        "`{}` is no address of a server; write http://host:port or https://host, without user and password",
        Untrusted(.0.as_bytes())
    )]
    Address(String),
    /// A file that was named, or should be there.
    #[error("cannot read {}: {source}", Untrusted(.path.as_os_str().as_encoded_bytes()))]
    File { path: PathBuf, source: io::Error },
    /// A file whose contents are not what they should be.
    #[error("{}: {expected}", Untrusted(.path.as_os_str().as_encoded_bytes()))]
    Contents {
        path: PathBuf,
        expected: &'static str,
    },
    /// No certificates to believe.
    #[error("no certificates of this system were found; name a file of them with --cacert")]
    NoBundle,
    /// Nothing listens there.
    #[error("{url} refused the connection: is {who} running?")]
    Refused { who: &'static str, url: String },
    /// The name means nothing.
    #[error("the host of {url} was not found: is the name right?")]
    NotFound { url: String },
    /// No answer in time.
    #[error("{who} at {url} did not answer within {seconds} s")]
    TimedOut {
        who: &'static str,
        url: String,
        seconds: f64,
    },
    /// TLS failed.
    #[error("no secure connection to {url}: {reason}")]
    Tls { url: String, reason: String },
    /// The connection broke, or what came is no HTTP.
    #[error("no answer of {who} at {url}: {reason}")]
    Broken {
        who: &'static str,
        url: String,
        reason: String,
    },
    /// More bytes than anybody reads.
    #[error("the answer of {who} at {url} is longer than {} MiB", MAX_BODY >> 20)]
    TooLong { who: &'static str, url: String },
    /// It wants to send us elsewhere.
    #[error("{url} redirects to `{to}`, which is another server; name that one")]
    Elsewhere { url: String, to: String },
    /// It said no.
    #[error("{who} at {url} answered {status}{hint}{}", quoted(.body))]
    Status {
        who: &'static str,
        url: String,
        status: u16,
        hint: &'static str,
        /// What it said, at most [`MAX_QUOTED`] bytes of one line, not yet escaped.
        body: String,
    },
}

fn quoted(body: &str) -> String {
    match body.is_empty() {
        true => String::new(),
        false => format!(": {}", Untrusted(body.as_bytes())),
    }
}

impl Client {
    /// Reads secrets and certificates; does not connect.
    ///
    /// # Errors
    /// For an address that is none and for files that cannot be used.
    pub(super) fn open(access: &Access<'_>) -> Result<Client, ClientError> {
        let wrong = || ClientError::Address(access.url.to_owned());
        let uri: Uri = access.url.parse().map_err(|_| wrong())?;
        let plain = uri.path_and_query().is_none_or(|p| p.query().is_none());
        let encrypted = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong()),
        };
        if !plain || uri.authority().is_none_or(|a| a.as_str().contains('@')) {
            return Err(wrong());
        }
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(match encrypted {
                true => RootCerts::from(files::certificates(access.cacert)?),
                false => RootCerts::from(Vec::new()),
            })
            .build();
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(access.timeout))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .proxy(None)
            .user_agent(concat!("beacontail/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        let mut warnings = Vec::new();
        let authorization = match access.secret {
            None => None,
            Some(secret) => Some(files::authorization(secret, &mut warnings)?),
        };
        Ok(Client {
            agent: config.new_agent(),
            who: access.who,
            base: access.url.trim_end_matches('/').to_owned(),
            authorization,
            warnings,
        })
    }

    /// The answer to GET below the server's address. `path` begins with a slash and is written as it
    /// goes over the wire; names and values of `query` are encoded here.
    ///
    /// # Errors
    /// Without an answer of the 200s.
    pub(super) fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, ClientError> {
        let mut url = format!("{}{path}{}", self.base, query_string(query));
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.agent.get(&url);
            if let Some(value) = &self.authorization {
                request = request.header("Authorization", value);
            }
            let answer = request.call().map_err(|error| self.failed(error))?;
            match self.elsewhere(&url, &answer)? {
                Some(next) => url = next,
                None => return self.body(answer),
            }
        }
        Err(self.broken("it redirects in a circle".to_owned()))
    }

    /// The answer to POST of a JSON text. Not redirected.
    ///
    /// # Errors
    /// Without an answer of the 200s.
    pub(super) fn post_json(&self, path: &str, body: &str) -> Result<Vec<u8>, ClientError> {
        let url = format!("{}{path}", self.base);
        let mut request = self
            .agent
            .post(&url)
            .header("Content-Type", "application/json");
        if let Some(value) = &self.authorization {
            request = request.header("Authorization", value);
        }
        let answer = request.send(body).map_err(|error| self.failed(error))?;
        self.body(answer)
    }

    /// Where an answer sends us, if that is on the same server.
    fn elsewhere(
        &self,
        url: &str,
        answer: &ureq::http::Response<ureq::Body>,
    ) -> Result<Option<String>, ClientError> {
        if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(None);
        }
        let to = answer
            .headers()
            .get("location")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let server = server_of(&self.base);
        let next = match to.starts_with('/') && !to.starts_with("//") {
            true => format!("{server}{to}"),
            false => to.to_owned(),
        };
        if is_at(&next, server) && next.len() <= url.len() + 1024 {
            return Ok(Some(next));
        }
        Err(ClientError::Elsewhere {
            url: self.base.clone(),
            to: Untrusted(to.as_bytes()).shortened(MAX_QUOTED).to_string(),
        })
    }

    fn body(&self, mut answer: ureq::http::Response<ureq::Body>) -> Result<Vec<u8>, ClientError> {
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(MAX_BODY);
        if (200..300).contains(&status) {
            return body.read_to_vec().map_err(|error| self.failed(error));
        }
        Err(ClientError::Status {
            who: self.who,
            url: self.base.clone(),
            status,
            hint: match status {
                401 => " (it wants another user, password or token)",
                403 => " (not for this user, password, token or host name)",
                404 => " (no such page there: is the address right?)",
                _ => "",
            },
            // An answer that breaks off is none the less a no.
            body: said(&body.read_to_vec().unwrap_or_default()),
        })
    }

    fn failed(&self, error: ureq::Error) -> ClientError {
        let (who, url) = (self.who, self.base.clone());
        match error {
            ureq::Error::Timeout(_) => self.timed_out(),
            ureq::Error::HostNotFound => ClientError::NotFound { url },
            ureq::Error::BodyExceedsLimit(_) => ClientError::TooLong { who, url },
            ureq::Error::Rustls(error) => ClientError::Tls {
                url,
                reason: tls_reason(&error),
            },
            ureq::Error::Io(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => ClientError::Refused { who, url },
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => self.timed_out(),
                _ => match error
                    .get_ref()
                    .and_then(|inner| inner.downcast_ref::<rustls::Error>())
                {
                    Some(error) => ClientError::Tls {
                        url,
                        reason: tls_reason(error),
                    },
                    None if error.to_string().contains("lookup") => ClientError::NotFound { url },
                    None => self.broken(error.to_string()),
                },
            },
            other => self.broken(other.to_string()),
        }
    }

    fn timed_out(&self) -> ClientError {
        let timeout = self.agent.config().timeouts().global;
        ClientError::TimedOut {
            who: self.who,
            url: self.base.clone(),
            seconds: timeout.unwrap_or_default().as_secs_f64(),
        }
    }

    fn broken(&self, reason: String) -> ClientError {
        ClientError::Broken {
            who: self.who,
            url: self.base.clone(),
            reason: Untrusted(reason.as_bytes()).to_string(),
        }
    }
}

fn tls_reason(error: &rustls::Error) -> String {
    let help = match error {
        rustls::Error::InvalidCertificate(_) => {
            "; if it is one of your own, name the file of its authority with --cacert"
        }
        _ => "",
    };
    format!("{}{help}", Untrusted(error.to_string().as_bytes()))
}

/// The error of a JSON answer, or else its first line; of HTML nothing, it says less than the status.
fn said(body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let text = match json.as_ref().and_then(|json| json.get("error")?.as_str()) {
        Some(error) => error.to_owned(),
        None => String::from_utf8_lossy(body).into_owned(),
    };
    let line = text.trim().lines().next().unwrap_or_default();
    match line.starts_with('<') {
        true => String::new(),
        false => line.chars().take(MAX_QUOTED).collect(),
    }
}

/// Scheme, host and port of a URL without a user.
fn server_of(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let rest = url.get(start..).unwrap_or_default();
    let length = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    url.get(..start + length).unwrap_or(url)
}

/// Whether a URL is one of this server. What stands behind its host and port must end them: in
/// `http://server@other/` the server's name is that of a user at another one.
fn is_at(url: &str, server: &str) -> bool {
    let rest = url.strip_prefix(server);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
}

/// `?name=value&…`, or nothing.
fn query_string(query: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in query {
        text.push(if text.is_empty() { '?' } else { '&' });
        encode(name, &mut text);
        text.push('=');
        encode(value, &mut text);
    }
    text
}

/// Percent-encoding of all but RFC 3986's unreserved characters.
fn encode(value: &str, out: &mut String) {
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_encoded() {
        let query = query_string(&[("match", "{a=\"b&c\"}"), ("x", "é 1~")]);
        assert_eq!(query, "?match=%7Ba%3D%22b%26c%22%7D&x=%C3%A9%201~");
        assert_eq!(query_string(&[]), "");
    }

    #[test]
    fn a_server_is_scheme_host_and_port() {
        assert_eq!(server_of("http://a:1/b?c"), "http://a:1");
        assert_eq!(server_of("https://a"), "https://a");
    }

    #[test]
    fn a_redirect_leads_to_the_same_server_or_nowhere() {
        for server in ["http://a", "http://a:1"] {
            for same in ["", "/", "/b?c", "?c"] {
                assert!(is_at(&format!("{server}{same}"), server), "{server}{same}");
            }
            for other in ["@evil/", ":2@evil/", ".evil/", "\\@evil/", "0/", "%40evil/"] {
                assert!(
                    !is_at(&format!("{server}{other}"), server),
                    "{server}{other}"
                );
            }
        }
        assert!(!is_at("https://a/", "http://a") && !is_at("", "http://a"));
    }

    #[test]
    fn addresses_that_are_none_are_refused() {
        for url in [
            "",
            "localhost:9577",
            "ftp://a/",
            "http://user:word@a/",
            "http:///x",
            "http://a/?x=1",
        ] {
            let access = Access {
                url,
                who: "the agent",
                timeout: Duration::from_secs(1),
                secret: None,
                cacert: None,
            };
            let error = Client::open(&access).expect_err(url);
            assert!(matches!(error, ClientError::Address(_)), "{url}: {error}");
        }
    }

    #[test]
    fn only_what_a_server_means_is_quoted() {
        assert_eq!(
            said(br#"{"status":"error","error":"bad query"}"#),
            "bad query"
        );
        assert_eq!(said(b"<html>no</html>"), "");
        assert_eq!(said(b"first\nsecond"), "first");
    }
}
