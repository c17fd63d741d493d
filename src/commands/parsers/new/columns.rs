//! A line as columns, and what each column holds as far as its values show.
//!
//! Nothing here knows names. A column is what stands between blanks, quotes or brackets; what a
//! `key=` or a bracket puts before the value belongs to the text in front of it.

use crate::geo::parse_address;
use crate::parse::{TimeFormat, Zone};

/// One value of a line and the text between the value before and this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'l> {
    pub(super) before: &'l [u8],
    pub(super) value: &'l [u8],
    /// Closes the value: `"`, `]` or nothing.
    pub(super) close: &'static str,
}

/// What parts the columns of a log: a tab, comma, semicolon or bar when these give every line the same
/// number of columns, else blanks.
pub(super) fn separator(lines: &[&[u8]]) -> u8 {
    let agrees = |separator: u8| {
        let mut counts = lines.iter().take(100).map(|line| {
            let outside = tokens(line, separator);
            outside.len()
        });
        let first = counts.next().unwrap_or_default();
        first >= 4 && counts.all(|count| count == first)
    };
    let candidates = [b'\t', b',', b';', b'|'];
    candidates.into_iter().find(|&s| agrees(s)).unwrap_or(b' ')
}

/// The columns of a line.
pub(super) fn tokens(line: &[u8], separator: u8) -> Vec<Token<'_>> {
    let parts = |byte: &u8| *byte == separator || (separator == b' ' && *byte == b'\t');
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < line.len() {
        let start = at;
        let rest = line.get(at..).unwrap_or_default();
        at += separator_length(rest, separator);
        let key = key_length(line.get(at..).unwrap_or_default());
        at += key;
        let rest = line.get(at..).unwrap_or_default();
        let (open, length, close) = match rest.first() {
            None if separator == b' ' && key == 0 => break,
            Some(b'"') => match quoted_length(rest) {
                Some(length) => (1, length, "\""),
                None => (0, rest.len(), ""),
            },
            Some(b'[') => match memchr::memchr(b']', rest) {
                Some(end) => (1, end - 1, "]"),
                None => (0, bare_length(rest, parts), ""),
            },
            _ => (0, bare_length(rest, parts), ""),
        };
        let value = at + open;
        let length = match line.get(value..value + length) {
            // Blanks before a bar or comma are the separator's.
            Some(text) if separator != b' ' && open == 0 && value + length < line.len() => text
                .iter()
                .rposition(|byte| *byte != b' ')
                .map_or(0, |last| last + 1),
            _ => length,
        };
        tokens.push(Token {
            before: line.get(start..value).unwrap_or_default(),
            value: line.get(value..value + length).unwrap_or_default(),
            close,
        });
        at = value + length + close.len();
        if at == start {
            break;
        }
    }
    tokens
}

/// Length of what parts two values: blanks, or one separator, which ends a value that may be empty,
/// with the blanks around it.
fn separator_length(rest: &[u8], separator: u8) -> usize {
    let blanks = |text: &[u8]| text.iter().take_while(|byte| **byte == b' ').count();
    if separator == b' ' {
        let is_blank = |byte: &&u8| matches!(**byte, b' ' | b'\t');
        return rest.iter().take_while(is_blank).count();
    }
    let before = blanks(rest);
    match rest.get(before..) {
        Some([first, behind @ ..]) if *first == separator => before + 1 + blanks(behind),
        _ => before,
    }
}

/// Length of `key=` at the beginning.
fn key_length(rest: &[u8]) -> usize {
    let is_key = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let key = rest.iter().take_while(|byte| is_key(byte)).count();
    let begins = rest.first().is_some_and(u8::is_ascii_alphabetic);
    let holds = rest.get(key) == Some(&b'=') && rest.get(key + 1) != Some(&b'=');
    if begins && holds { key + 1 } else { 0 }
}

/// Length of what stands between the quote at the beginning and the one that ends it.
fn quoted_length(rest: &[u8]) -> Option<usize> {
    let mut escaped = false;
    for (at, &byte) in rest.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at - 1),
            _ => {}
        }
    }
    None
}

/// Length of a word; a blank behind a comma does not end a list of addresses.
fn bare_length(rest: &[u8], parts: impl Fn(&u8) -> bool) -> usize {
    let mut last = 0;
    for (at, byte) in rest.iter().enumerate() {
        if parts(byte) {
            let next = rest.get(at + 1).copied().unwrap_or_default();
            let is_list = last == b',' && *byte == b' ';
            if !is_list || !(next.is_ascii_hexdigit() || matches!(next, b':' | b'u' | b'[')) {
                return at;
            }
        }
        last = *byte;
    }
    rest.len()
}

/// What the values of a column have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Nothing but `-` and empty values.
    Empty,
    /// `31/Oct/2013:07:06:42 +0000`.
    Clf,
    /// RFC 3339, also with a blank or without a zone.
    Iso,
    /// Seconds since 1970, or a finer count.
    Epoch,
    /// Another time, as strftime writes it.
    Time(&'static str),
    /// A day alone, and a time of day alone.
    Date,
    Clock,
    Address,
    AddressPort,
    AddressList,
    Request,
    Method,
    Protocol,
    Status,
    Integer,
    Decimal,
    /// A number with a unit behind it.
    Suffixed(&'static str),
    /// A unit alone, behind the column of its number.
    Unit(&'static str),
    Agent,
    Url,
    Path,
    Host,
    Scheme,
    Tls,
    Cache,
    Provider,
    Text,
}

/// Times that no other class holds, as servers and people write them.
const STRFTIME: [&str; 12] = [
    "%d/%b/%Y:%H:%M:%S%.f",
    "%Y/%m/%d %H:%M:%S%.f",
    "%d/%b/%Y %H:%M:%S%.f",
    "%d.%m.%Y %H:%M:%S%.f",
    "%a %b %d %H:%M:%S%.f %Y",
    "%a, %d %b %Y %H:%M:%S %Z",
    "%d/%m/%Y:%H:%M:%S",
    "%Y%m%d%H%M%S",
    "%B %d, %YT%H:%M:%S %z",
    "%Y-%m-%d %H:%M:%S,%f",
    "%Y-%m-%d %H:%M:%S %z",
    "%Y-%m-%dT%H:%M:%S,%f",
];

const CACHE: [&str; 16] = [
    "HIT",
    "MISS",
    "BYPASS",
    "EXPIRED",
    "STALE",
    "UPDATING",
    "REVALIDATED",
    "PASS",
    "SYNTH",
    "ERROR",
    "PIPE",
    "NONE",
    "TCP_HIT",
    "TCP_MISS",
    "REFRESHHIT",
    "DYNAMIC",
];

const PROVIDERS: [&str; 6] = [
    "akamai",
    "cloudflare",
    "cloudfront",
    "edgecast",
    "fastly",
    "direct",
];

/// Whether a value is of some kind, and the share of values that are, in percent.
type Test<'t> = &'t dyn Fn(&[u8]) -> bool;
type Share<'t> = &'t dyn Fn(Test<'_>) -> usize;

/// The class of these values.
pub(super) fn class(values: &[&[u8]]) -> Class {
    let values: Vec<&[u8]> = values
        .iter()
        .copied()
        .filter(|value| !matches!(*value, b"" | b"-"))
        .collect();
    if values.is_empty() {
        return Class::Empty;
    }
    let share =
        |test: Test<'_>| values.iter().filter(|value| test(value)).count() * 100 / values.len();
    if let Some(class) = time_class(&share) {
        return class;
    }
    let tests: [(Class, usize, Test<'_>); 22] = [
        (Class::Date, 95, &|v| is_date(v)),
        (Class::Clock, 95, &|v| is_clock(v)),
        (Class::Address, 95, &|v| is_address(v)),
        (Class::AddressPort, 95, &|v| is_address_port(v)),
        (Class::AddressList, 80, &|v| is_list(v)),
        (Class::Request, 50, &|v| is_request(v)),
        (Class::Method, 95, &|v| is_method(v)),
        (Class::Protocol, 95, &|v| v.starts_with(b"HTTP/")),
        (Class::Status, 95, &|v| is_status(v)),
        (Class::Integer, 95, &|v| v.iter().all(u8::is_ascii_digit)),
        (Class::Decimal, 95, &|v| is_decimal(v)),
        (Class::Suffixed("ms"), 95, &|v| is_suffixed(v, b"ms")),
        (Class::Suffixed("us"), 95, &|v| is_suffixed(v, b"us")),
        (Class::Suffixed("s"), 95, &|v| is_suffixed(v, b"s")),
        (Class::Unit("ms"), 100, &|v| v == b"ms"),
        (Class::Unit("us"), 100, &|v| v == b"us"),
        (Class::Url, 80, &|v| {
            v.starts_with(b"http://") || v.starts_with(b"https://")
        }),
        (Class::Path, 80, &|v| v.starts_with(b"/")),
        (Class::Scheme, 95, &|v| is_one_of(v, &["http", "https"])),
        (Class::Tls, 95, &|v| v.starts_with(b"TLSv")),
        (Class::Cache, 95, &|v| is_one_of(v, &CACHE)),
        (Class::Provider, 60, &|v| is_one_of(v, &PROVIDERS)),
    ];
    let found = tests
        .into_iter()
        .find(|(_, least, test)| share(*test) >= *least);
    match found {
        Some((class, ..)) => class,
        None if share(&is_agent) >= 50 => Class::Agent,
        None if share(&is_host) >= 95 => Class::Host,
        None => Class::Text,
    }
}

fn time_class(share: Share<'_>) -> Option<Class> {
    let zone = Zone::utc();
    let is = |format: &str| {
        let format = TimeFormat::compile(format).ok();
        let reads = |v: &[u8]| format.as_ref().is_some_and(|f| f.parse(v, &zone).is_ok());
        share(&reads) >= 90
    };
    if is("clf") {
        return Some(Class::Clf);
    }
    if is("rfc3339") {
        return Some(Class::Iso);
    }
    if share(&is_epoch) >= 95 {
        return Some(Class::Epoch);
    }
    STRFTIME.into_iter().find(|f| is(f)).map(Class::Time)
}

/// Seconds, or a finer count, between the years 2001 and 2065.
fn is_epoch(value: &[u8]) -> bool {
    let whole = value.split(|&b| b == b'.').next().unwrap_or_default();
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let plausible = matches!(whole.first(), Some(b'1' | b'2'));
    plausible && matches!(whole.len(), 10 | 13 | 16 | 19) && value.split(|&b| b == b'.').all(digits)
}

fn is_date(value: &[u8]) -> bool {
    outline(value, b"0000-00-00") || outline(value, b"0000/00/00") || outline(value, b"00.00.0000")
}

fn is_clock(value: &[u8]) -> bool {
    let rest = value.get(8..).unwrap_or_default();
    let fraction = matches!(rest.first(), None | Some(b'.' | b',' | b'Z' | b'+'));
    fraction
        && value
            .get(..8)
            .is_some_and(|clock| outline(clock, b"00:00:00"))
}

/// Digits where the outline has `0`, the same bytes elsewhere.
fn outline(value: &[u8], outline: &[u8]) -> bool {
    let same = |(byte, shape): (&u8, &u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        other => byte == other,
    };
    value.len() == outline.len() && value.iter().zip(outline).all(same)
}

pub(super) fn is_address(value: &[u8]) -> bool {
    let plain = value
        .iter()
        .all(|b| b.is_ascii_hexdigit() || matches!(b, b'.' | b':'));
    plain && std::str::from_utf8(value).is_ok_and(|v| v.parse::<std::net::IpAddr>().is_ok())
}

/// An address with a port, or a list of them, as of servers that were asked in turn.
pub(super) fn is_address_port(value: &[u8]) -> bool {
    let mut parts = value.split(|&b| b == b',').map(<[u8]>::trim_ascii);
    parts.all(is_one_address_port)
}

fn is_one_address_port(value: &[u8]) -> bool {
    let Some(colon) = value.iter().rposition(|&b| b == b':') else {
        return false;
    };
    let (address, port) = value.split_at(colon);
    let port = port.get(1..).unwrap_or_default();
    !port.is_empty() && port.iter().all(u8::is_ascii_digit) && parse_address(address).is_some()
}

fn is_list(value: &[u8]) -> bool {
    let mut parts = value.split(|&b| b == b',').map(<[u8]>::trim_ascii);
    parts.all(|part| parse_address(part).is_some() || part == b"unknown")
}

/// A request line, of which an application may leave the protocol out.
fn is_request(value: &[u8]) -> bool {
    let mut words = value.split(|&b| b == b' ');
    let method = words.next().is_some_and(is_method);
    let protocol = |last: &[u8]| last.starts_with(b"HTTP/");
    let target = |rest: &[u8]| rest.starts_with(b"/") && !rest.contains(&b' ');
    let behind = memchr::memchr(b' ', value).and_then(|blank| value.get(blank + 1..));
    method && (words.next_back().is_some_and(protocol) || behind.is_some_and(target))
}

pub(super) fn is_method(value: &[u8]) -> bool {
    let known: [&[u8]; 10] = [
        b"GET",
        b"HEAD",
        b"POST",
        b"PUT",
        b"DELETE",
        b"OPTIONS",
        b"PATCH",
        b"CONNECT",
        b"TRACE",
        b"PROPFIND",
    ];
    known.contains(&value)
}

/// A status that servers and CDNs are known to give: 390 is a count.
pub(super) fn is_status(value: &[u8]) -> bool {
    let number = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
    outline(value, b"000")
        && matches!(
            number.unwrap_or(u16::MAX),
            0 | 100..=103 | 200..=208 | 226 | 300..=308 | 400..=451 | 460..=464 | 494..=499
                | 500..=511 | 520..=530 | 561 | 598..=599
        )
}

pub(super) fn is_decimal(value: &[u8]) -> bool {
    let value = value.strip_prefix(b"-").unwrap_or(value);
    let dots = value.iter().filter(|&&b| b == b'.').count();
    let digits = value.iter().all(|b| b.is_ascii_digit() || *b == b'.');
    digits && dots <= 1 && value.first().is_some_and(u8::is_ascii_digit)
}

fn is_suffixed(value: &[u8], unit: &[u8]) -> bool {
    value.strip_suffix(unit).is_some_and(is_decimal)
}

fn is_one_of(value: &[u8], words: &[&str]) -> bool {
    words
        .iter()
        .any(|word| word.as_bytes().eq_ignore_ascii_case(value))
}

/// `name/version`, as agents begin.
fn is_agent(value: &[u8]) -> bool {
    let Some(slash) = memchr::memchr(b'/', value) else {
        return false;
    };
    let name = value.get(..slash).unwrap_or_default();
    let version = value.get(slash + 1).is_some_and(u8::is_ascii_digit);
    version && !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
}

fn is_host(value: &[u8]) -> bool {
    let name = value.split(|&b| b == b':').next().unwrap_or_default();
    let letters = name.iter().any(u8::is_ascii_alphabetic);
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    letters && name.contains(&b'.') && name.iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(line: &str, separator: u8) -> Vec<String> {
        let found = tokens(line.as_bytes(), separator);
        let text = |t: Token<'_>| String::from_utf8_lossy(t.value).into_owned();
        found.into_iter().map(text).collect()
    }

    #[test]
    fn columns_end_at_blanks_quotes_and_brackets() {
        let line =
            r#"h 1.2.3.4, 5.6.7.8 - [22/Nov/2026:02:23:56 +0000] "GET /\"a HTTP/1.1" k="v w" 12ms"#;
        let expected = [
            "h",
            "1.2.3.4, 5.6.7.8",
            "-",
            "22/Nov/2026:02:23:56 +0000",
            r#"GET /\"a HTTP/1.1"#,
            "v w",
            "12ms",
        ];
        assert_eq!(values(line, b' '), expected);
        assert_eq!(values("a\t\tb c\td", b'\t'), ["a", "", "b c", "d"]);
        assert_eq!(separator(&[b"a,b,c,d".as_slice(), b"1,\"2,3\",4,5"]), b',');
        assert_eq!(separator(&[b"a b, c".as_slice()]), b' ');
    }

    #[test]
    fn classes_are_told_by_values() {
        let class_of = |values: &[&str]| {
            let bytes: Vec<&[u8]> = values.iter().map(|v| v.as_bytes()).collect();
            class(&bytes)
        };
        assert_eq!(class_of(&["-", ""]), Class::Empty);
        assert_eq!(class_of(&["22/Nov/2026:02:23:56 +0000"]), Class::Clf);
        assert_eq!(class_of(&["2026-11-22T02:23:56.5Z"]), Class::Iso);
        assert_eq!(class_of(&["2026-11-22 02:23:56"]), Class::Iso);
        assert_eq!(class_of(&["1795314112.14"]), Class::Epoch);
        assert_eq!(
            class_of(&["06/Feb/2009:12:14:14.655"]),
            Class::Time(STRFTIME[0])
        );
        assert_eq!(class_of(&["::1", "-", "203.0.113.9"]), Class::Address);
        assert_eq!(class_of(&["203.0.113.9:80"]), Class::AddressPort);
        assert_eq!(class_of(&["unknown, 203.0.113.9"]), Class::AddressList);
        assert_eq!(class_of(&["GET / HTTP/2.0", "\\x16"]), Class::Request);
        assert_eq!(class_of(&["200", "503"]), Class::Status);
        assert_eq!(class_of(&["0.25", "1"]), Class::Decimal);
        assert_eq!(class_of(&["12ms"]), Class::Suffixed("ms"));
        assert_eq!(class_of(&["Mozilla/5.0 (X11)", "-"]), Class::Agent);
        assert_eq!(class_of(&["www.example.com:80"]), Class::Host);
        assert_eq!(class_of(&["Fastly", "akamai"]), Class::Provider);
    }

    #[test]
    fn a_key_without_value_at_the_end_is_a_column() {
        let keys = tokens(b"1  a=", b' ');
        let last = keys.last().map(|token| (token.before, token.value));
        assert_eq!(last, Some((b"  a=".as_slice(), b"".as_slice())));
    }

    proptest! {
        #[test]
        fn tokens_are_the_line(line in prop::collection::vec(prop::sample::select(b" \t\"[]\\a=,.1".to_vec()), 0..40), separator in prop::sample::select(b" \t,".to_vec())) {
            let mut again = Vec::new();
            for token in tokens(&line, separator) {
                again.extend_from_slice(token.before);
                again.extend_from_slice(token.value);
                again.extend_from_slice(token.close.as_bytes());
            }
            prop_assert!(line.starts_with(&again));
            prop_assert!(line[again.len()..].trim_ascii().is_empty() || separator != b' ' && again.len() == line.len());
        }
    }
}
