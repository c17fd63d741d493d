//! Lines of a log made fit for a file that others will read.
//!
//! Every address becomes one of the documentation ranges (RFC 5737, RFC 3849), the same address the same
//! one; values of query parameters, JSON keys and cookies whose names say that they are secret, tokens and
//! mail addresses become words that stand for them. What a person typed into a path stays: no rule can
//! tell it from a path.

use std::collections::HashMap;
use std::net::IpAddr;

use regex::bytes::{Captures, Regex};

use crate::geo::replace_addresses;
use crate::record::{Span, compile_pattern};

/// What is replaced, in this order; the first group stays.
const SECRETS: [(&str, &str); 11] = [
    // A JSON value, or a list of them, of a key that says so.
    (
        r#"(?i)("[^"]*(?:cookie|authorization|token|secret|passw|session|api-?_?key|signature|credential)[^"]*"\s*:\s*\[?\s*")(?:[^"\\]|\\.)+"#,
        "hidden",
    ),
    (
        r"(?i)\b((?:bearer|basic)\s+)[A-Za-z0-9+/=._~-]{6,}",
        "hidden",
    ),
    // A parameter or cookie of a name that says so.
    (
        r#"(?i)([A-Za-z0-9_.-]*(?:token|secret|passw|pwd|session|sess|auth|sid|apikey|api_key|signature|sig|credential|email|jwt)[A-Za-z0-9_.-]*=)[^&;|\s"',}\\]+"#,
        "hidden",
    ),
    // A parameter or key that holds a person's name, or a parameter with a code that lets somebody in.
    (
        r#"(?i)([?&;|\s](?:user|username|user_?id|login|name|first_?name|last_?name|full_?name|phone|tel)=)(?:-?[^-&;|\s"',}\\])[^&;|\s"',}\\]*"#,
        "hidden",
    ),
    (
        r#"(?i)([?&](?:key|code|otp|pin|ticket|nonce|state)=)[^&;|\s"',}\\]+"#,
        "hidden",
    ),
    // Cookies, whatever they are called.
    (
        r#"("[A-Za-z0-9_.-]+=|;\s?[A-Za-z0-9_.-]+=)[^;"&\s\\]+"#,
        "hidden",
    ),
    (
        r#"(?i)("(?:user|username|user_?id|login|e?mail|first_?name|last_?name|full_?name|phone)"\s*:\s*")(?:[^"\\-]|\\.)(?:[^"\\]|\\.)*"#,
        "hidden",
    ),
    // Keys that a service gives out, by their prefixes; what is long and random in a path.
    (
        r"()\b(?:(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]+|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20,}|xox[abprs]-[A-Za-z0-9-]+)",
        "hidden",
    ),
    (
        r"(/)(?:[0-9A-Fa-f]{24,}|[A-Za-z0-9_]{32,}|[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12})\b",
        "hidden",
    ),
    (r"()\beyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]+)*", "hidden"),
    (
        r"()\b[A-Za-z0-9._+-]+(?:@|%40)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+",
        "user@example.com",
    ),
];

/// Fields that are secret as a whole.
pub(super) const SECRET_FIELDS: [&str; 5] = [
    "remote_user",
    "http_cookie",
    "http_authorization",
    "http_proxy_authorization",
    "sent_http_set_cookie",
];

/// True for a field that its name says is secret as a whole.
pub(super) fn is_secret(name: &str) -> bool {
    const WORDS: [&str; 12] = [
        "cookie",
        "authorization",
        "token",
        "secret",
        "passw",
        "session",
        "apikey",
        "api_key",
        "signature",
        "credential",
        "email",
        "jwt",
    ];
    // nginx's `ssl_session_reused` says how, not who.
    let named = !name.starts_with("ssl_") && WORDS.iter().any(|word| name.contains(word));
    named || SECRET_FIELDS.contains(&name)
}

/// Replaces the same thing by the same thing, over all lines.
pub(super) struct Anonymous {
    addresses: HashMap<IpAddr, usize>,
    patterns: Vec<(Regex, &'static str)>,
}

impl Anonymous {
    pub(super) fn new() -> Anonymous {
        let compiled =
            |(pattern, word): (&str, &'static str)| Some((compile_pattern(pattern, 8).ok()?, word));
        Anonymous {
            addresses: HashMap::new(),
            patterns: SECRETS.into_iter().filter_map(compiled).collect(),
        }
    }

    /// The line without what tells people apart. `secret` are the parts that hold users and cookies.
    pub(super) fn line(&mut self, line: &[u8], secret: &[Span]) -> Vec<u8> {
        let mut text = without(line, secret);
        for (pattern, word) in &self.patterns {
            let replaced = pattern.replace_all(&text, |found: &Captures<'_>| {
                let mut kept = found
                    .get(1)
                    .map_or(b"".as_slice(), |m| m.as_bytes())
                    .to_vec();
                kept.extend_from_slice(word.as_bytes());
                kept
            });
            text = replaced.into_owned();
        }
        let mut out = Vec::new();
        let addresses = &mut self.addresses;
        replace_addresses(&text, &mut out, &mut |address, out| {
            // HTTP/2 is 2.0.0.0 to Azure.
            if let IpAddr::V4(version) = address
                && matches!(version.octets(), [1..=3, 0 | 1, 0, 0])
            {
                out.extend_from_slice(version.to_string().as_bytes());
                return;
            }
            let next = addresses.len() + 1;
            let number = *addresses.entry(address.to_canonical()).or_insert(next);
            out.extend_from_slice(documentation(address, number).as_bytes());
        });
        out
    }
}

/// The address of that number in the range for examples.
fn documentation(address: IpAddr, number: usize) -> String {
    match address {
        IpAddr::V4(_) => format!("203.0.113.{}", (number - 1) % 254 + 1),
        IpAddr::V6(_) => format!("2001:db8::{:x}", (number - 1) % 0xffff + 1),
    }
}

/// The line with other words in place of these parts; `-` and empty parts stay.
fn without(line: &[u8], secret: &[Span]) -> Vec<u8> {
    let mut parts: Vec<&Span> = secret
        .iter()
        .filter(|span| span.of(line).is_some())
        .collect();
    parts.sort_by_key(|span| span.start());
    let (mut out, mut at) = (Vec::new(), 0);
    for span in parts {
        let value = span.of(line).unwrap_or_default();
        if span.start() < at || matches!(value, b"" | b"-") {
            continue;
        }
        out.extend_from_slice(line.get(at..span.start()).unwrap_or_default());
        out.extend_from_slice(b"hidden");
        at = span.end();
    }
    out.extend_from_slice(line.get(at..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(line: &str) -> String {
        String::from_utf8(Anonymous::new().line(line.as_bytes(), &[])).unwrap()
    }

    #[test]
    fn the_same_address_becomes_the_same_one() {
        assert_eq!(
            shown("81.2.69.142, 172.16.4.9:80 81.2.69.142 2a00:1450::5 Chrome/120.0.0.0"),
            "203.0.113.1, 203.0.113.2:80 203.0.113.1 2001:db8::3 Chrome/120.0.0.0"
        );
    }

    #[test]
    fn secrets_become_words() {
        assert_eq!(
            shown(r#"GET /a?x=1&access_token=abc.def&y=2 "sid=77; theme=dark""#),
            r#"GET /a?x=1&access_token=hidden&y=2 "sid=hidden; theme=hidden""#
        );
        assert_eq!(shown("Bearer abcdef0123"), "Bearer hidden");
        assert_eq!(
            shown(r#"{"Authorization":["Basic QWxh"],"Cookie":["a=\"b\"; c"],"n":1}"#),
            r#"{"Authorization":["hidden"],"Cookie":["hidden"],"n":1}"#
        );
        assert_eq!(shown("/u/jane.doe@mail.test/x"), "/u/user@example.com/x");
        assert_eq!(
            shown("GET /r/5f4dcc3b5aa765d61d8327deb882cf99/x?key=AIzaSy&q=shoes&name=Anna+Schmidt"),
            "GET /r/hidden/x?key=hidden&q=shoes&name=hidden"
        );
        assert_eq!(
            shown(r#"{"user":"alice","user":"-","httpVersion":"2.0.0.0","a":"sk_live_51Habc"}"#),
            r#"{"user":"hidden","user":"-","httpVersion":"2.0.0.0","a":"hidden"}"#
        );
        assert_eq!(
            shown("/u/8601b555-6a83-4c12-8269-97c8e32cdb22?a"),
            "/u/hidden?a"
        );
        assert_eq!(
            shown("/c?sid=77|200|12|user=-|name=Anna|\"_ga=GA1.2; t=5\""),
            "/c?sid=hidden|200|12|user=-|name=hidden|\"_ga=hidden; t=hidden\""
        );
        let line = b"203.0.113.9 - frank [";
        let hidden = Anonymous::new().line(line, &[Span::new(14, 19)]);
        assert_eq!(hidden, b"203.0.113.1 - hidden [");
    }

    proptest! {
        #[test]
        fn no_address_survives(a: [u8; 4], before in "[ ,\"\\[]", after in "[ ,:\"\\]]") {
            let address = std::net::Ipv4Addr::from(a);
            let line = format!("x{before}{address}{after}y");
            let out = shown(&line);
            prop_assert!(out.contains("203.0.113.1"), "{}", out);
            prop_assert!(a[..3] == [203, 0, 113] || !out.contains(&address.to_string()));
        }
    }
}
