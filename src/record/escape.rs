//! How servers write bytes that would break their log line, and back.
//!
//! Invariant: decoding never fails and never loses a byte it does not understand: a malformed
//! escape is copied through as it stands. Which dialect a field is in is known from the format; it
//! is not guessed from the value. Query parameters live here because their names and values are
//! escaped too.
//!
//! It does not find where a field ends, and it does not check that decoded bytes are UTF-8.

use memchr::{memchr, memchr2};

/// The dialect a field was escaped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Escape {
    /// The bytes are the value.
    None,
    /// nginx `escape=default`: `\xHH`; `\"` and `\\` are understood too.
    Nginx,
    /// Apache: `\"`, `\\`, `\n`, `\t`, `\r`, `\b`, `\f`, `\v`, `\a` and `\xhh`.
    Apache,
    /// JSON strings (RFC 8259, section 7), also nginx `escape=json`. A lone surrogate becomes
    /// U+FFFD.
    Json,
    /// `%HH`.
    Percent,
    /// `%HH` twice over, as older CloudFront logs are: `%2520` is a space. A value encoded once
    /// decodes as by `Percent`, unless it holds an encoded `%` before two hex digits.
    PercentTwice,
    /// `%HH`, and `+` for a space: forms, and query parameters.
    PlusPercent,
    /// `+` for a space and nothing else: IIS.
    Plus,
    /// A `%` before two hex digits is written `%25`: what was encoded already was encoded again, as
    /// CloudFront does with a query. The value is what the client sent, still encoded.
    EncodedPercent,
    /// This byte is written twice: quotes in CSV (RFC 4180, section 2).
    Doubled(u8),
    /// HAProxy: `#HH`, also for `#` itself.
    Haproxy,
    /// HAProxy with `%{+E}`: `#HH`, and a backslash before `"`, `\` and `]`.
    HaproxyEscaped,
    /// A backslash before `"`, `\` and `]`: HAProxy's `%{+E}[…]`.
    Backslash,
    /// A backslash before `"` and before nothing else, not even a backslash: Traefik.
    Quote,
}

impl Escape {
    /// False when `raw` is its own decoded value, so that it can be used in place.
    #[inline]
    pub fn needs_decoding(self, raw: &[u8]) -> bool {
        self.next_special(raw).is_some()
    }

    /// Appends the decoded value of `raw` to `out`.
    pub fn decode_into(self, raw: &[u8], out: &mut Vec<u8>) {
        let mut rest = raw;
        while let Some((plain, special)) = self
            .next_special(rest)
            .and_then(|at| rest.split_at_checked(at))
        {
            out.extend_from_slice(plain);
            rest = match self {
                Escape::Json => decode_json(special, out),
                _ => self.decode_byte(special, out),
            };
        }
        out.extend_from_slice(rest);
    }

    /// True when a writer of this dialect may write `byte` in an escaped form, so that a search for
    /// it in the raw text could miss it.
    pub fn may_write_escaped(self, byte: u8) -> bool {
        match self {
            Escape::None => false,
            Escape::Nginx | Escape::Apache => {
                matches!(byte, b'"' | b'\\') || !(0x20..=0x7e).contains(&byte)
            }
            Escape::Haproxy => may_be_hash(byte),
            Escape::HaproxyEscaped => may_be_hash(byte) || matches!(byte, b'\\' | b']'),
            Escape::Backslash => matches!(byte, b'"' | b'\\' | b']'),
            Escape::Quote => byte == b'"',
            Escape::Json | Escape::Percent | Escape::PercentTwice | Escape::PlusPercent => true,
            Escape::Plus => byte == b' ',
            Escape::EncodedPercent => byte == b'%',
            Escape::Doubled(doubled) => byte == doubled,
        }
    }

    /// Position of the first byte that may begin an escape.
    #[inline]
    fn next_special(self, raw: &[u8]) -> Option<usize> {
        match self {
            Escape::None => None,
            Escape::Nginx | Escape::Apache | Escape::Json => super::find_near(b'\\', raw),
            Escape::Percent | Escape::PercentTwice | Escape::EncodedPercent => {
                super::find_near(b'%', raw)
            }
            Escape::Plus => super::find_near(b'+', raw),
            Escape::Doubled(byte) => super::find_near(byte, raw),
            Escape::PlusPercent => memchr2(b'%', b'+', raw),
            Escape::Haproxy => super::find_near(b'#', raw),
            Escape::HaproxyEscaped => memchr2(b'#', b'\\', raw),
            Escape::Backslash | Escape::Quote => super::find_near(b'\\', raw),
        }
    }

    /// Decodes the escape `special` begins with, or copies its first byte; returns what follows.
    fn decode_byte<'r>(self, special: &'r [u8], out: &mut Vec<u8>) -> &'r [u8] {
        let decoded = match self {
            Escape::Nginx => nginx_escape(special),
            Escape::Apache => apache_escape(special),
            Escape::PlusPercent => next_plus_percent(special),
            Escape::PercentTwice => next_percent_twice(special),
            Escape::Percent => next_percent(special),
            Escape::Plus => special.get(1..).map(|rest| (b' ', rest)),
            Escape::EncodedPercent => encoded_percent(special),
            Escape::Doubled(byte) => match special {
                [_, second, rest @ ..] if *second == byte => Some((byte, rest)),
                _ => None,
            },
            Escape::Haproxy => hash_escape(special),
            Escape::HaproxyEscaped => hash_escape(special).or_else(|| backslash_escape(special)),
            Escape::Backslash => backslash_escape(special),
            Escape::Quote => special.strip_prefix(b"\\\"").map(|rest| (b'"', rest)),
            Escape::None | Escape::Json => None,
        };
        match decoded.or_else(|| special.split_first().map(|(byte, rest)| (*byte, rest))) {
            Some((byte, rest)) => {
                out.push(byte);
                rest
            }
            None => &[],
        }
    }
}

/// The raw value of the first parameter called `name`; empty when it has no `=` or nothing after
/// it. `query` is what follows the `?`. Pairs are split at `&` only; a name in the query is compared
/// decoded when it holds `%` or `+`.
pub fn query_parameter<'q>(query: &'q [u8], name: &[u8]) -> Option<&'q [u8]> {
    query_pairs(query)
        .find(|(raw, _)| names_equal(raw, name))
        .map(|(_, value)| value)
}

/// All parameters of a query in their order, undecoded; empty pieces (`a&&b`) are left out.
pub fn query_pairs(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = Some(query);
    std::iter::from_fn(move || {
        let (piece, after) = split_at_byte(rest?, b'&');
        rest = after;
        Some(piece)
    })
    .filter(|piece| !piece.is_empty())
    .map(|piece| {
        let (name, value) = split_at_byte(piece, b'=');
        (name, value.unwrap_or_default())
    })
}

fn split_at_byte(text: &[u8], byte: u8) -> (&[u8], Option<&[u8]>) {
    match memchr(byte, text).and_then(|at| text.split_at_checked(at)) {
        Some((before, after)) => (before, after.get(1..)),
        None => (text, None),
    }
}

fn names_equal(raw: &[u8], name: &[u8]) -> bool {
    if raw == name && !Escape::PlusPercent.needs_decoding(name) {
        return true;
    }
    // Decoding never lengthens, so most names are told apart without it.
    if raw.len() < name.len() || !Escape::PlusPercent.needs_decoding(raw) {
        return false;
    }
    let mut rest = raw;
    let same = name.iter().all(|expected| match next_plus_percent(rest) {
        Some((byte, after)) => {
            rest = after;
            byte == *expected
        }
        None => false,
    });
    same && rest.is_empty()
}

fn nginx_escape(special: &[u8]) -> Option<(u8, &[u8])> {
    match special {
        [b'\\', b'x', high, low, rest @ ..] => Some((hex_byte(*high, *low)?, rest)),
        [b'\\', byte @ (b'"' | b'\\'), rest @ ..] => Some((*byte, rest)),
        _ => None,
    }
}

fn apache_escape(special: &[u8]) -> Option<(u8, &[u8])> {
    let [b'\\', letter, rest @ ..] = special else {
        return None;
    };
    let byte = match letter {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 0x08,
        b'f' => 0x0c,
        b'v' => 0x0b,
        b'a' => 0x07,
        _ => return nginx_escape(special),
    };
    Some((byte, rest))
}

/// What HAProxy's maps of headers and requests name (`log.c`, `init_log`).
fn may_be_hash(byte: u8) -> bool {
    matches!(byte, b'"' | b'#' | b'{' | b'|' | b'}') || !(0x20..=0x7e).contains(&byte)
}

fn hash_escape(special: &[u8]) -> Option<(u8, &[u8])> {
    match special {
        [b'#', high, low, rest @ ..] => Some((hex_byte(*high, *low)?, rest)),
        _ => None,
    }
}

fn backslash_escape(special: &[u8]) -> Option<(u8, &[u8])> {
    match special {
        [b'\\', byte @ (b'"' | b'\\' | b']'), rest @ ..] => Some((*byte, rest)),
        _ => None,
    }
}

/// The first byte of a percent-encoded text, decoded, and what follows it.
fn next_percent(text: &[u8]) -> Option<(u8, &[u8])> {
    if let [b'%', high, low, rest @ ..] = text
        && let Some(byte) = hex_byte(*high, *low)
    {
        return Some((byte, rest));
    }
    text.split_first().map(|(byte, rest)| (*byte, rest))
}

fn next_plus_percent(text: &[u8]) -> Option<(u8, &[u8])> {
    match text {
        [b'+', rest @ ..] => Some((b' ', rest)),
        _ => next_percent(text),
    }
}

/// A `%25` before two hex digits is a `%`.
fn encoded_percent(special: &[u8]) -> Option<(u8, &[u8])> {
    match special {
        [b'%', b'2', b'5', rest @ ..] => {
            let (high, low) = (rest.first()?, rest.get(1)?);
            hex_byte(*high, *low).map(|_| (b'%', rest))
        }
        _ => None,
    }
}

/// As decoding the whole text once, then the result again: the second `%` and its digits may each
/// have been encoded in the first.
fn next_percent_twice(text: &[u8]) -> Option<(u8, &[u8])> {
    let (byte, after) = next_percent(text)?;
    if byte == b'%'
        && let Some((high, rest)) = next_percent(after)
        && let Some((low, rest)) = next_percent(rest)
        && let Some(byte) = hex_byte(high, low)
    {
        return Some((byte, rest));
    }
    Some((byte, after))
}

/// Decodes the JSON escape `special` begins with; a malformed one keeps its backslash.
fn decode_json<'r>(special: &'r [u8], out: &mut Vec<u8>) -> &'r [u8] {
    match json_escape(special) {
        Some((character, rest)) => {
            let mut utf8 = [0; 4];
            out.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
            rest
        }
        None => {
            out.extend(special.first());
            special.get(1..).unwrap_or_default()
        }
    }
}

fn json_escape(special: &[u8]) -> Option<(char, &[u8])> {
    let [b'\\', letter, rest @ ..] = special else {
        return None;
    };
    let character = match letter {
        b'"' | b'\\' | b'/' => char::from(*letter),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode_escape(special),
        _ => return None,
    };
    Some((character, rest))
}

/// `\uXXXX`, or two of them that make a surrogate pair.
fn unicode_escape(special: &[u8]) -> Option<(char, &[u8])> {
    let (first, rest) = utf16_unit(special)?;
    if let 0xd800..=0xdbff = first
        && let Some((second @ 0xdc00..=0xdfff, rest)) = utf16_unit(rest)
    {
        let pair = 0x1_0000 + (((first - 0xd800) << 10) | (second - 0xdc00));
        return Some((char::from_u32(pair)?, rest));
    }
    Some((
        char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER),
        rest,
    ))
}

fn utf16_unit(text: &[u8]) -> Option<(u32, &[u8])> {
    let [b'\\', b'u', a, b, c, d, rest @ ..] = text else {
        return None;
    };
    let (high, low) = (hex_byte(*a, *b)?, hex_byte(*c, *d)?);
    Some((u32::from(high) << 8 | u32::from(low), rest))
}

fn hex_byte(high: u8, low: u8) -> Option<u8> {
    Some(hex_digit(high)? << 4 | hex_digit(low)?)
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Escape; 14] = [
        Escape::None,
        Escape::Nginx,
        Escape::Apache,
        Escape::Json,
        Escape::Percent,
        Escape::PercentTwice,
        Escape::PlusPercent,
        Escape::Plus,
        Escape::EncodedPercent,
        Escape::Doubled(b'"'),
        Escape::Haproxy,
        Escape::HaproxyEscaped,
        Escape::Backslash,
        Escape::Quote,
    ];

    fn decode(escape: Escape, raw: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        escape.decode_into(raw, &mut out);
        out
    }

    #[test]
    fn nginx_hex_is_decoded() {
        let raw = br"U\x22A\x5Cx \xC3\xa9";
        assert_eq!(decode(Escape::Nginx, raw), "U\"A\\x é".as_bytes());
        assert_eq!(decode(Escape::Nginx, br#"\"\\x41\n\x4"#), br#""\x41\n\x4"#);
    }

    #[test]
    fn apache_letters_are_decoded() {
        assert_eq!(
            decode(Escape::Apache, br#"U\"A\\x \xc3\xa9"#),
            "U\"A\\x é".as_bytes()
        );
        assert_eq!(
            decode(Escape::Apache, br"\n\t\r\b\f\v\a\q"),
            b"\n\t\r\x08\x0c\x0b\x07\\q"
        );
    }

    #[test]
    fn json_strings_are_decoded() {
        assert_eq!(decode(Escape::Json, br"a\u0026b\/\n"), b"a&b/\n");
        assert_eq!(decode(Escape::Json, br"\ud83d\ude00"), "😀".as_bytes());
        assert_eq!(
            decode(Escape::Json, br"\ud83d\u0041\udc00"),
            "\u{fffd}A\u{fffd}".as_bytes()
        );
        assert_eq!(decode(Escape::Json, br"\u00g0\q\u12"), br"\u00g0\q\u12");
    }

    #[test]
    fn malformed_percent_is_kept() {
        assert_eq!(decode(Escape::Percent, b"100%+%zz%2%41%"), b"100%+%zz%2A%");
        assert_eq!(decode(Escape::PlusPercent, b"a+b%2Bc%"), b"a b+c%");
    }

    #[test]
    fn haproxys_hashes_and_backslashes_are_decoded() {
        let raw = br"U#22A\x #C3#A9#2322 #4 #zz #";
        assert_eq!(
            decode(Escape::Haproxy, raw),
            "U\"A\\x é#22 #4 #zz #".as_bytes()
        );
        let raw = br#"edge\"c\\a\]st|#22\x"#;
        assert_eq!(decode(Escape::Backslash, raw), br#"edge"c\a]st|#22\x"#);
        assert_eq!(decode(Escape::HaproxyEscaped, raw), br#"edge"c\a]st|"\x"#);
        assert_eq!(decode(Escape::Haproxy, b"#7C#7D#7B#23"), b"|}{#");
    }

    #[test]
    fn doubly_encoded_cloudfront_values_are_decoded() {
        assert_eq!(decode(Escape::PercentTwice, b"a%2520b%20c%25"), b"a b c%");
        assert_eq!(decode(Escape::PercentTwice, b"%25%32%30"), b" ");
    }

    #[test]
    fn values_of_columns_are_decoded() {
        assert_eq!(
            decode(Escape::Plus, b"Mozilla/5.0+(X11)%20x"),
            b"Mozilla/5.0 (X11)%20x"
        );
        assert_eq!(
            decode(Escape::EncodedPercent, b"q=a%2526b%20c%25"),
            b"q=a%26b%20c%25"
        );
        assert_eq!(
            decode(Escape::Doubled(b'"'), br#"a ""b"" c"#),
            br#"a "b" c"#
        );
    }

    #[test]
    fn bytes_a_writer_may_escape_are_known() {
        for byte in [b'"', b'\\', b'\n', 0x7f, 0xc3] {
            assert!(Escape::Nginx.may_write_escaped(byte));
            assert!(Escape::Apache.may_write_escaped(byte));
            assert!(!Escape::None.may_write_escaped(byte));
        }
        for byte in [b'"', b'#', b'{', b'|', b'}', b'\n', 0x7f, 0xc3] {
            assert!(Escape::Haproxy.may_write_escaped(byte));
            assert!(Escape::HaproxyEscaped.may_write_escaped(byte));
        }
        assert!(
            Escape::Backslash.may_write_escaped(b']') && !Escape::Haproxy.may_write_escaped(b']')
        );
        assert!(!Escape::Nginx.may_write_escaped(b'a'));
        assert!(Escape::Json.may_write_escaped(b'a') && Escape::Percent.may_write_escaped(b'a'));
    }

    #[test]
    fn query_parameter_is_the_first_of_its_name() {
        let query = b"source=edgecast&server_identity=cache-ny57-NYC&source=b&flag&e=&x=a=b;y=1";
        for (name, value) in [
            ("source", Some("edgecast")),
            ("server_identity", Some("cache-ny57-NYC")),
            ("flag", Some("")),
            ("e", Some("")),
            ("x", Some("a=b;y=1")),
            ("y", None),
            ("sourc", None),
        ] {
            let found = query_parameter(query, name.as_bytes());
            assert_eq!(found, value.map(str::as_bytes), "{name}");
        }
    }

    #[test]
    fn query_names_are_compared_decoded() {
        assert_eq!(query_parameter(b"s%6Furce=a", b"source"), Some(&b"a"[..]));
        assert_eq!(query_parameter(b"a+b=1", b"a b"), Some(&b"1"[..]));
        assert_eq!(query_parameter(b"a%2Bb=1", b"a+b"), Some(&b"1"[..]));
        assert_eq!(query_parameter(b"a+b=1", b"a+b"), None);
        assert_eq!(query_parameter(b"&&=1&", b""), Some(&b"1"[..]));
        assert_eq!(query_parameter(b"", b""), None);
    }

    /// Decodes by looking at every position, with no search ahead.
    fn naive_decode(escape: Escape, raw: &[u8]) -> Vec<u8> {
        match escape {
            Escape::None => raw.to_vec(),
            Escape::PercentTwice => {
                naive_decode(Escape::Percent, &naive_decode(Escape::Percent, raw))
            }
            Escape::Percent => naive_percent(raw),
            Escape::PlusPercent => {
                let spaced: Vec<u8> = raw
                    .iter()
                    .map(|b| if *b == b'+' { b' ' } else { *b })
                    .collect();
                naive_percent(&spaced)
            }
            Escape::Nginx => naive_backslash(raw, &[(b'"', b'"'), (b'\\', b'\\')]),
            Escape::Apache => naive_backslash(
                raw,
                &[
                    (b'"', b'"'),
                    (b'\\', b'\\'),
                    (b'n', 10),
                    (b't', 9),
                    (b'r', 13),
                    (b'b', 8),
                    (b'f', 12),
                    (b'v', 11),
                    (b'a', 7),
                ],
            ),
            Escape::Plus => raw
                .iter()
                .map(|b| if *b == b'+' { b' ' } else { *b })
                .collect(),
            Escape::EncodedPercent => {
                let hex = |at: usize| raw.get(at..at + 2).and_then(naive_hex).is_some();
                let (mut out, mut at) = (Vec::new(), 0);
                while at < raw.len() {
                    out.push(raw[at]);
                    at += if raw[at..].starts_with(b"%25") && hex(at + 3) {
                        3
                    } else {
                        1
                    };
                }
                out
            }
            Escape::Doubled(byte) => {
                let (mut out, mut at) = (Vec::new(), 0);
                while at < raw.len() {
                    out.push(raw[at]);
                    at += if raw[at..].starts_with(&[byte, byte]) {
                        2
                    } else {
                        1
                    };
                }
                out
            }
            Escape::Haproxy => naive_hash(raw),
            Escape::Backslash => naive_backslash_only(raw, false),
            Escape::HaproxyEscaped => naive_backslash_only(raw, true),
            Escape::Quote => naive_quote(raw),
            Escape::Json => unreachable!("compared with serde_json"),
        }
    }

    fn naive_hex(raw: &[u8]) -> Option<u8> {
        let digits = std::str::from_utf8(raw).ok()?;
        let hex = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        hex.then(|| u8::from_str_radix(digits, 16).unwrap())
    }

    fn naive_percent(raw: &[u8]) -> Vec<u8> {
        let (mut out, mut at) = (Vec::new(), 0);
        while at < raw.len() {
            match raw
                .get(at + 1..at + 3)
                .filter(|_| raw[at] == b'%')
                .and_then(naive_hex)
            {
                Some(byte) => (out.push(byte), at += 3),
                None => (out.push(raw[at]), at += 1),
            };
        }
        out
    }

    fn naive_hash(raw: &[u8]) -> Vec<u8> {
        let (mut out, mut at) = (Vec::new(), 0);
        while at < raw.len() {
            let hex = raw.get(at + 1..at + 3).filter(|_| raw[at] == b'#');
            match hex.and_then(naive_hex) {
                Some(byte) => (out.push(byte), at += 3),
                None => (out.push(raw[at]), at += 1),
            };
        }
        out
    }

    fn naive_backslash_only(raw: &[u8], hashes: bool) -> Vec<u8> {
        let (mut out, mut at) = (Vec::new(), 0);
        while at < raw.len() {
            let hex = raw
                .get(at + 1..at + 3)
                .filter(|_| hashes && raw[at] == b'#');
            let letter = raw.get(at + 1).filter(|_| raw[at] == b'\\');
            match (hex.and_then(naive_hex), letter) {
                (Some(byte), _) => (out.push(byte), at += 3),
                (None, Some(b'"' | b'\\' | b']')) => (out.push(raw[at + 1]), at += 2),
                (None, _) => (out.push(raw[at]), at += 1),
            };
        }
        out
    }

    fn naive_quote(raw: &[u8]) -> Vec<u8> {
        let quotes = |at: usize| raw[at] == b'\\' && raw.get(at + 1) == Some(&b'"');
        let kept = (0..raw.len()).filter(|at| !quotes(*at));
        kept.map(|at| raw[at]).collect()
    }

    fn naive_backslash(raw: &[u8], letters: &[(u8, u8)]) -> Vec<u8> {
        let (mut out, mut at) = (Vec::new(), 0);
        while at < raw.len() {
            let escape = raw.get(at + 1).filter(|_| raw[at] == b'\\');
            let letter = letters.iter().find(|(letter, _)| Some(letter) == escape);
            let hex = raw
                .get(at + 2..at + 4)
                .filter(|_| escape == Some(&b'x'))
                .and_then(naive_hex);
            match (letter, hex) {
                (Some((_, byte)), _) => (out.push(*byte), at += 2),
                (None, Some(byte)) => (out.push(byte), at += 4),
                (None, None) => (out.push(raw[at]), at += 1),
            };
        }
        out
    }

    fn escaped_text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            "[\\\\x25%+\"nu0dD8cCa=&#\\]]{0,40}".prop_map(String::into_bytes),
            "(%25|%|25|20|%41|\\+){0,12}".prop_map(String::into_bytes),
        ]
    }

    proptest! {
        #[test]
        fn decoding_agrees_with_its_naive_twin(raw in escaped_text()) {
            for escape in ALL.into_iter().filter(|escape| *escape != Escape::Json) {
                prop_assert_eq!(decode(escape, &raw), naive_decode(escape, &raw), "{:?}", escape);
            }
        }

        #[test]
        fn json_decoding_agrees_with_serde_json(text: String, ascii: bool) {
            let written = serde_json::to_string(&text).unwrap();
            let quoted = match ascii {
                true => text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
                false => written[1..written.len() - 1].to_owned(),
            };
            prop_assert_eq!(decode(Escape::Json, quoted.as_bytes()), text.as_bytes());
        }

        #[test]
        fn value_without_need_decodes_to_itself(raw in escaped_text()) {
            for escape in ALL.into_iter().filter(|escape| !escape.needs_decoding(&raw)) {
                prop_assert_eq!(decode(escape, &raw), &raw[..]);
            }
        }

        #[test]
        fn query_parameter_agrees_with_its_naive_twin(
            query in "([ab+%61&=]{0,3}[&=]){0,8}", name in "[ab +%]{0,3}",
        ) {
            let naive = query.split('&').filter(|piece| !piece.is_empty()).find_map(|piece| {
                let (raw, value) = piece.split_once('=').unwrap_or((piece, ""));
                (decode(Escape::PlusPercent, raw.as_bytes()) == name.as_bytes()).then_some(value)
            });
            let found = query_parameter(query.as_bytes(), name.as_bytes());
            prop_assert_eq!(found, naive.map(str::as_bytes));
        }
    }
}
