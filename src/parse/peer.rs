//! An address without the port that some logs write behind it.
//!
//! `remote_addr` is an address in every format, so that a label, a count of clients or a look-up never
//! sees the port. Only spelling is looked at: what is no address stays as it is written.

use crate::record::Span;

/// The fields that hold the peer's address.
pub(super) const FIELDS: [&str; 2] = ["remote_addr", "realip_remote_addr"];

/// The part of a field that is the address: `10.0.0.12` of `10.0.0.12:59292`, `2001:db8::1` of
/// `[2001:db8::1]:443`.
pub(super) fn without_port(line: &[u8], span: Span) -> Span {
    let Some(text) = span.of(line) else {
        return span;
    };
    let (start, length) = match text {
        [b'[', inside @ ..] => match inside.iter().position(|&byte| byte == b']') {
            Some(end) if is_port(inside.get(end + 1..).unwrap_or_default()) => (1, end),
            _ => return span,
        },
        _ => match memchr::memchr(b':', text) {
            // Of an address of version 6 the first colon is not the last.
            Some(end) if is_port(text.get(end..).unwrap_or_default()) => (0, end),
            _ => return span,
        },
    };
    Span::new(span.start() + start, span.start() + start + length)
}

/// Nothing, or a colon and digits.
fn is_port(rest: &[u8]) -> bool {
    match rest {
        [] => true,
        [b':', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Format, Line, Zone};
    use super::*;
    use crate::definition::Catalog;
    use crate::record::Fields as _;
    use proptest::prelude::*;
    use std::net::{IpAddr, SocketAddr};

    fn bare(text: &str) -> &str {
        let span = without_port(text.as_bytes(), Span::new(0, text.len()));
        &text[span.start()..span.end()]
    }

    #[test]
    fn a_port_and_brackets_are_no_part_of_an_address() {
        for (text, expected) in [
            ("10.0.0.12:59292", "10.0.0.12"),
            ("10.0.0.12", "10.0.0.12"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("2001:db8::443", "2001:db8::443"),
            ("::1", "::1"),
            ("client.example:80", "client.example"),
            ("10.0.0.12:", "10.0.0.12:"),
            ("10.0.0.12:http", "10.0.0.12:http"),
            ("[2001:db8::1]x", "[2001:db8::1]x"),
            ("[2001:db8::1", "[2001:db8::1"),
            ("unix:", "unix:"),
            ("-", "-"),
            ("", ""),
        ] {
            assert_eq!(bare(text), expected, "{text}");
        }
        assert!(without_port(b"x", Span::ABSENT).is_absent());
    }

    #[test]
    fn every_shipped_parser_gives_an_address_alone() {
        let (catalog, _) = Catalog::open(&[]);
        let mut addresses = 0;
        for entry in catalog.formats() {
            let format = Format::compile(&entry.definition).unwrap();
            if format.field("remote_addr").is_none() {
                continue;
            }
            let mut reader = format.reader(&["remote_addr".to_owned()], &Zone::utc());
            let mut spans = vec![Span::ABSENT; reader.spans()];
            for example in &entry.definition.examples {
                for line in example.line.value.lines().map(str::as_bytes) {
                    let read = reader.read(line, &mut spans);
                    let found = spans.first().and_then(|span| span.of(line));
                    let (Ok(Line::Record(_)), Some(found)) = (read, found) else {
                        continue;
                    };
                    let text = std::str::from_utf8(found).unwrap();
                    if text != "-" && !text.is_empty() {
                        let name = &entry.definition.name;
                        assert!(text.parse::<IpAddr>().is_ok(), "{name}: {text}");
                        addresses += 1;
                    }
                }
            }
        }
        assert!(addresses > 40, "{addresses}");
    }

    proptest! {
        #[test]
        fn every_address_is_found_with_and_without_a_port(address: IpAddr, port: u16) {
            let text = address.to_string();
            prop_assert_eq!(bare(&text), &text);
            let with_port = SocketAddr::new(address, port).to_string();
            prop_assert_eq!(bare(&with_port), &text);
        }
    }
}
