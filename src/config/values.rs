//! Values that TOML has no type for, from their texts.
//!
//! Invariant: pure functions; an error says what was expected, never what stood there, so that a
//! text from the environment cannot get into a message.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::SyslogAddress;

/// Longest duration: a thousand years fit into every type that time is kept in.
const LONGEST: Duration = Duration::from_secs(365_000 * 86_400);
/// Most characters of a name.
const LONGEST_NAME: usize = 64;

/// Units of durations in milliseconds.
const TIME_UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];
/// Units of sizes in bytes.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1000),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// A host, by name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Name or address; an IPv6 address without brackets.
    pub host: String,
    /// Never 0.
    pub port: u16,
}

impl Display for HostPort {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(out, "[{}]:{}", self.host, self.port)
        } else {
            write!(out, "{}:{}", self.host, self.port)
        }
    }
}

/// Digits and the letters behind them, repeated: `1h30m`.
fn amounts(text: &str) -> Option<Vec<(u64, &str)>> {
    let mut amounts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        amounts.push((number.parse().ok()?, unit));
        rest = after;
    }
    Some(amounts)
}

/// A duration: whole numbers with `ms`, `s`, `m`, `h` or `d`, the larger units first.
pub fn duration(text: &str) -> Option<Duration> {
    let mut milliseconds: u64 = 0;
    let mut smallest = u64::MAX;
    for (number, unit) in amounts(text)? {
        let (_, factor) = TIME_UNITS.iter().find(|(name, _)| *name == unit)?;
        if *factor >= smallest {
            return None;
        }
        smallest = *factor;
        milliseconds = milliseconds.checked_add(number.checked_mul(*factor)?)?;
    }
    let duration = Duration::from_millis(milliseconds);
    (smallest < u64::MAX && duration <= LONGEST).then_some(duration)
}

/// A duration as it would be written.
pub(super) fn shown_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, factor) in TIME_UNITS.iter().rev() {
        if rest >= *factor {
            text += &format!("{}{unit}", rest / factor);
            rest %= factor;
        }
    }
    text
}

/// A number of bytes, with or without a unit: `1048576`, `64KiB`. `None` for any other text.
pub fn bytes(text: &str) -> Option<u64> {
    if let Ok(number) = text.parse() {
        return text
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then_some(number);
    }
    let [(number, unit)] = amounts(text)?[..] else {
        return None;
    };
    let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor)
}

/// True for a name of a log or an output.
pub(super) fn is_name(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    !text.is_empty() && text.len() <= LONGEST_NAME && text.chars().all(legal)
}

/// A name made of any text: illegal characters become `_`.
pub(super) fn name_from(text: &str) -> String {
    let letters = text.chars().take(LONGEST_NAME).map(|c| {
        let mut buffer = [0; 4];
        if is_name(c.encode_utf8(&mut buffer)) {
            c
        } else {
            '_'
        }
    });
    let name: String = letters.collect();
    if name.is_empty() {
        "_".to_owned()
    } else {
        name
    }
}

/// True for a label name in Prometheus' data model; those with `__` in front are reserved there.
pub(super) fn is_label_name(text: &str) -> bool {
    !text.starts_with("__")
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// True for a metric name in Prometheus' data model.
pub(super) fn is_metric_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
}

/// `host:port`, `192.0.2.1:port` or `[2001:db8::1]:port`.
pub(super) fn host_port(text: &str) -> Option<HostPort> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(inside) => {
            let inside = inside.strip_suffix(']')?;
            inside.parse::<Ipv6Addr>().ok()?;
            inside
        }
        None => {
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            let is_host = !host.is_empty() && host.len() <= 253 && host.chars().all(legal);
            if !is_host {
                return None;
            }
            host
        }
    };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| digits && *port != 0)?;
    Some(HostPort {
        host: host.to_owned(),
        port,
    })
}

/// `udp://`, `tcp://` with an address and a port, or `unix://` with an absolute path.
pub(super) fn syslog_address(text: &str) -> Option<SyslogAddress> {
    let (scheme, rest) = text.split_once("://")?;
    match scheme {
        "udp" => Some(SyslogAddress::Udp(socket_address(rest)?)),
        "tcp" => Some(SyslogAddress::Tcp(socket_address(rest)?)),
        "unix" if rest.starts_with('/') && !rest.ends_with('/') && !rest.contains('\0') => {
            Some(SyslogAddress::Unix(PathBuf::from(rest)))
        }
        _ => None,
    }
}

/// An address and a port; names are not looked up.
pub(super) fn socket_address(text: &str) -> Option<SocketAddr> {
    text.parse().ok()
}

/// True for what can only be meant as an address, a network or `private`: whether it is one is
/// decided where networks are known.
pub(super) fn is_network(text: &str) -> bool {
    let (address, _) = text.split_once('/').unwrap_or((text, ""));
    text == "private" || address.parse::<IpAddr>().is_ok() || !text.contains(['/', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_sums_of_units_the_larger_first() {
        for (text, milliseconds) in [
            ("250ms", 250),
            ("1s", 1000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
            ("1h30m", 5_400_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("0s", 0),
            ("007s", 7000),
        ] {
            assert_eq!(
                duration(text),
                Some(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        for text in [
            "",
            "1",
            "s",
            "1 s",
            "-1s",
            "+1s",
            "1.5s",
            "30m1h",
            "1s1s",
            "1w",
            "1S",
            "1s ",
            "1µs",
            "99999999999999999999d",
            "18446744073709551615ms",
            "400000000d",
            "1s1",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_have_a_unit_or_none() {
        for (text, number) in [
            ("1048576", 1 << 20),
            ("1MiB", 1 << 20),
            ("64KiB", 1 << 16),
            ("1GB", 1_000_000_000),
            ("0B", 0),
        ] {
            assert_eq!(bytes(text), Some(number), "{text}");
        }
        for text in [
            "",
            "1 MiB",
            "1.5GiB",
            "+1",
            "-1",
            "MiB",
            "1M",
            "1MiB1KiB",
            "99999999999TiB",
        ] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn names_follow_their_rules() {
        assert!(is_name("a.b-c_9") && is_name(&"a".repeat(64)));
        for bad in ["", "a b", "é", "a/b", &"a".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
        assert!(is_label_name("_a9") && is_metric_name("a:b_total"));
        for bad in ["", "9a", "a-b", "__a", "a:b", "é"] {
            assert!(!is_label_name(bad), "{bad}");
        }
        assert!(!is_metric_name("9a") && !is_metric_name("") && !is_metric_name("a b"));
    }

    #[test]
    fn addresses_have_host_and_port() {
        for text in [
            "graphite.example.com:2003",
            "192.0.2.1:1",
            "[2001:db8::1]:2003",
            "a_b:9",
        ] {
            assert_eq!(host_port(text).unwrap().to_string(), text);
        }
        for bad in [
            "", "a", "a:", ":1", "a:0", "a:65536", "a:+1", "a b:1", "[a]:1", "::1:2003", "[::1:3",
        ] {
            assert_eq!(host_port(bad), None, "{bad}");
        }
    }

    #[test]
    fn syslog_addresses_are_urls() {
        let local: SocketAddr = "127.0.0.1:5140".parse().unwrap();
        assert_eq!(
            syslog_address("udp://127.0.0.1:5140"),
            Some(SyslogAddress::Udp(local))
        );
        assert_eq!(
            syslog_address("tcp://127.0.0.1:5140"),
            Some(SyslogAddress::Tcp(local))
        );
        let unix = SyslogAddress::Unix(PathBuf::from("/run/x.sock"));
        assert_eq!(syslog_address("unix:///run/x.sock"), Some(unix));
        for bad in [
            "",
            "udp://",
            "udp://a:1",
            "http://127.0.0.1:1",
            "unix://run/x",
            "unix:///",
            "UDP://127.0.0.1:1",
        ] {
            assert_eq!(syslog_address(bad), None, "{bad}");
        }
    }

    #[test]
    fn entries_of_trusted_proxies_are_networks_or_files() {
        for text in [
            "private",
            "10.0.0.1",
            "10.0.0.0/8",
            "10.0.0.0/99",
            "2001:db8::/32",
            "privat",
        ] {
            assert!(is_network(text), "{text}");
        }
        for text in ["/etc/proxies", "proxies.txt", "./proxies", "lists/a"] {
            assert!(!is_network(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn durations_are_read_as_they_are_shown(milliseconds in 0u64..=31_536_000_000_000) {
            let given = Duration::from_millis(milliseconds);
            prop_assert_eq!(duration(&shown_duration(given)), Some(given));
        }

        #[test]
        fn any_text_is_a_value_or_none(text in ".{0,20}") {
            let found = (duration(&text), bytes(&text), host_port(&text), syslog_address(&text));
            prop_assert!(found.0.is_none_or(|length| length <= LONGEST));
            prop_assert!(is_name(&name_from(&text)));
        }
    }
}
