//! One address as logs write it: read, classified, masked for people.
//!
//! Reading is strict: what is not plainly an address is `None`, so that a garbled hop never
//! becomes somebody's country. Every address that leaves this file is canonical: IPv4 carried in
//! IPv6 (`::ffff:203.0.113.9`) is IPv4.
//!
//! Masking a whole line is a heuristic and errs on the side of masking: a version number that
//! stands alone like an address is masked too. Addresses spelled with escapes inside
//! (`2001%3Adb8…`) or as parts of host names are not found.

use std::fmt;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest text of an IPv6 address, with an IPv4 tail (RFC 4291, section 2.2).
const LONGEST_V6: usize = 45;

/// The address in one hop of a log field.
///
/// Reads `203.0.113.9`, `203.0.113.9:4711`, `2001:db8::1`, `[2001:db8::1]`,
/// `[2001:db8::1]:443` and `fe80::1%eth0` (the zone is dropped), with spaces around. Octets have
/// no leading zeros: `010` is 8 to some programs and 10 to others. `None` for anything else.
pub fn parse_address(text: &[u8]) -> Option<IpAddr> {
    let text = text.trim_ascii();
    match parse_v4(text) {
        Some(address) => Some(IpAddr::V4(address)),
        None => parse_decorated(text),
    }
}

/// An address alone, without port, brackets, zone or spaces, not yet canonical.
pub(super) fn parse_plain(text: &[u8]) -> Option<IpAddr> {
    match parse_v4(text) {
        Some(address) => Some(IpAddr::V4(address)),
        None => parse_v6(text).map(IpAddr::V6),
    }
}

/// Four decimal octets. By hand because it runs once per line: 12 ns where the standard
/// parser needs 25, and the bytes need no UTF-8 check first.
fn parse_v4(text: &[u8]) -> Option<Ipv4Addr> {
    if text.len() > 15 {
        return None;
    }
    let (mut address, mut octet, mut digits, mut dots) = (0u32, 0u32, 0u32, 0u32);
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            let leading_zero = digits > 0 && octet == 0;
            octet = octet * 10 + u32::from(digit);
            if leading_zero || octet > 255 {
                return None;
            }
            digits += 1;
        } else if byte == b'.' && digits > 0 {
            address = address << 8 | octet;
            (octet, digits, dots) = (0, 0, dots + 1);
        } else {
            return None;
        }
    }
    (dots == 3 && digits > 0).then(|| Ipv4Addr::from_bits(address << 8 | octet))
}

fn parse_v6(text: &[u8]) -> Option<Ipv6Addr> {
    if text.len() > LONGEST_V6 {
        return None;
    }
    if text.contains(&b'.') {
        return std::str::from_utf8(text).ok()?.parse().ok();
    }
    let (mut groups, mut count, mut gap) = ([0; 8], 0, None);
    let mut rest = text;
    if let Some(after) = text.strip_prefix(b"::") {
        (rest, gap) = (after, Some(0));
    }
    while !(rest.is_empty() && gap == Some(count)) {
        let (group, after) = hex_group(rest)?;
        *groups.get_mut(count)? = group;
        count += 1;
        rest = match after {
            [] => break,
            [b':', b':', after @ ..] if gap.is_none() => {
                gap = Some(count);
                after
            }
            [b':', after @ ..] => after,
            _ => return None,
        };
    }
    expand(groups, count, gap).map(Ipv6Addr::from)
}

/// One to four hexadecimal digits and what follows them.
#[inline]
fn hex_group(text: &[u8]) -> Option<(u16, &[u8])> {
    let (mut group, mut digits) = (0u16, 0);
    for &byte in text.iter().take(5) {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            _ => break,
        };
        group = group << 4 | u16::from(digit);
        digits += 1;
    }
    Some((group, text.get(digits..)?)).filter(|_| (1..=4).contains(&digits))
}

/// Eight groups from `count`, with zeros at the gap that `::` left.
fn expand(groups: [u16; 8], count: usize, gap: Option<usize>) -> Option<[u16; 8]> {
    let Some(gap) = gap else {
        return (count == 8).then_some(groups);
    };
    let tail = groups.get(gap..count).filter(|_| count < 8)?;
    let mut expanded = [0; 8];
    expanded.get_mut(..gap)?.copy_from_slice(groups.get(..gap)?);
    expanded.get_mut(8 - tail.len()..)?.copy_from_slice(tail);
    Some(expanded)
}

/// The forms with brackets, port or zone.
fn parse_decorated(text: &[u8]) -> Option<IpAddr> {
    if let Some(inside) = text.strip_prefix(b"[") {
        let end = inside.iter().position(|&byte| byte == b']')?;
        let (address, rest) = inside.split_at_checked(end)?;
        let port_is_fine = match rest.strip_prefix(b"]")? {
            b"" => true,
            after => is_port(after.strip_prefix(b":")?),
        };
        return port_is_fine.then(|| parse_v6_with_zone(address))?;
    }
    let colon = text.iter().position(|&byte| byte == b':')?;
    let (before, after) = text.split_at_checked(colon)?;
    match parse_v4(before) {
        Some(address) => is_port(after.strip_prefix(b":")?).then_some(IpAddr::V4(address)),
        None => parse_v6_with_zone(text),
    }
}

fn parse_v6_with_zone(text: &[u8]) -> Option<IpAddr> {
    let address = match text.iter().position(|&byte| byte == b'%') {
        Some(percent) if percent + 1 < text.len() => text.get(..percent)?,
        Some(_) => return None,
        None => text,
    };
    parse_v6(address).map(|address| address.to_canonical())
}

fn is_port(text: &[u8]) -> bool {
    let value = text.iter().try_fold(0u32, |value, &byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| value.saturating_mul(10).saturating_add(u32::from(digit)))
    });
    !text.is_empty() && text.len() <= 5 && value.is_some_and(|port| port <= 65_535)
}

/// The name of the special range an address is in; `None` for addresses of the public internet.
///
/// After the IANA special-purpose registries (RFC 6890 and its updates): `unspecified`,
/// `loopback`, `private`, `shared` (RFC 6598), `link-local`, `documentation`, `multicast` and
/// `reserved`, which is everything else that nobody can come from.
pub fn special(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        [0, 0, 0, 0] => Some("unspecified"),
        [127, ..] => Some("loopback"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some("private"),
        [100, 64..=127, ..] => Some("shared"),
        [169, 254, ..] => Some("link-local"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Some("documentation"),
        [224..=239, ..] => Some("multicast"),
        [0, ..] | [192, 0, 0, _] | [198, 18..=19, ..] | [240..=255, ..] => Some("reserved"),
        _ => None,
    }
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("loopback"),
        [0xfc00..=0xfdff, ..] => Some("private"),
        [0xfe80..=0xfebf, ..] => Some("link-local"),
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Some("documentation"),
        [0xff00..=0xffff, ..] => Some("multicast"),
        // IPv4-compatible (RFC 4291 2.5.5.1), discard-only (RFC 6666), benchmarking (RFC 5180),
        // site-local (RFC 3879).
        [0, 0, 0, 0, 0, 0, ..]
        | [0x0100, 0, 0, 0, ..]
        | [0x2001, 2, 0, ..]
        | [0xfec0..=0xfeff, ..] => Some("reserved"),
        _ => None,
    }
}

/// An address as people are shown it: see [`mask`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Masked(IpAddr);

/// The address without the part that names one subscriber: IPv4 keeps its /24 (`203.0.113.x`),
/// IPv6 its /48 (`2001:db8:1::x`), about the size of one site.
pub fn mask(address: IpAddr) -> Masked {
    Masked(address.to_canonical())
}

impl fmt::Display for Masked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                write!(out, "{a}.{b}.{c}.x")
            }
            IpAddr::V6(address) => {
                let [a, b, c, ..] = address.segments();
                write!(out, "{a:x}:{b:x}:{c:x}::x")
            }
        }
    }
}

/// Appends `line` to `out` with every address in it masked, ports and brackets kept.
///
/// What counts as an address is decided by its surroundings: a run of hexadecimal digits, dots
/// and colons that does not continue a word, path or version (`Chrome/120.0.0.0`,
/// `Bot4.1.2.3`). Linear in the line's length.
pub fn mask_addresses(line: &[u8], out: &mut Vec<u8>) {
    replace_addresses(line, out, &mut write_masked);
}

/// What is written in place of an address.
type Replace<'r> = &'r mut dyn FnMut(IpAddr, &mut Vec<u8>);

/// [`mask_addresses`] with another mask: `replace` writes what stands in place of each address.
pub fn replace_addresses(line: &[u8], out: &mut Vec<u8>, replace: Replace<'_>) {
    let mut at = 0;
    // The byte before `at`, or a space where an escape ended: `\x22` and `%22` are quotes, so the
    // digits after them begin a word.
    let mut before = b' ';
    while let Some(&byte) = line.get(at) {
        let rest = line.get(at..).unwrap_or_default();
        let escape = escape_length(rest);
        let length = if escape > 0 {
            out.extend_from_slice(rest.get(..escape).unwrap_or_default());
            escape
        } else if in_run(byte) {
            mask_run(rest, before, out, replace)
        } else {
            copy_word(rest, out)
        };
        let last = rest.get(length - 1).copied().unwrap_or(b' ');
        before = if escape > 0 { b' ' } else { last };
        at += length;
    }
}

/// Length of `%22`, `#22` or `\x22` at the beginning of `text`, else 0.
fn escape_length(text: &[u8]) -> usize {
    match text {
        [b'%' | b'#', a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => 3,
        [b'\\', b'x', a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => 4,
        _ => 0,
    }
}

fn in_run(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || byte == b':' || byte == b'.'
}

fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Copies one byte, or the rest of a word that cannot be an address. Returns how many bytes.
fn copy_word(text: &[u8], out: &mut Vec<u8>) -> usize {
    let word = text.iter().take_while(|&&byte| in_word(byte)).count();
    let length = word.max(1);
    out.extend_from_slice(text.get(..length).unwrap_or_default());
    length
}

/// Copies the run of address characters at the beginning of `text`, masked if it holds an
/// address. Returns its length.
fn mask_run(text: &[u8], before: u8, out: &mut Vec<u8>, replace: Replace<'_>) -> usize {
    let length = text.iter().take_while(|&&byte| in_run(byte)).count();
    let (run, after) = text.split_at_checked(length).unwrap_or((text, b""));
    let continues_after = after.first().is_some_and(|&byte| in_word(byte));
    let continues_before = in_word(before) || before == b'/';
    if continues_after || !mask_v6(run, continues_before, out, replace) {
        mask_v4_pieces(run, continues_before, continues_after, out, replace);
    }
    length
}

/// Masks a run that is one IPv6 address, with a separator left and right of it perhaps. False,
/// with nothing written, when it is not.
fn mask_v6(run: &[u8], continues_before: bool, out: &mut Vec<u8>, replace: Replace<'_>) -> bool {
    let whole = (!continues_before).then_some((0, run.len()));
    let inner_end = run.len().saturating_sub(1);
    let candidates = [
        whole,
        whole.map(|_| (0, inner_end)),
        Some((1, run.len())),
        Some((1, inner_end)),
    ];
    for (start, end) in candidates.into_iter().flatten() {
        // Only a separator may be cut off, never a digit; and `::` alone is punctuation.
        let cut_is_separator = (start == 0 || run.first() == Some(&b':'))
            && (end == run.len() || matches!(run.last(), Some(b':' | b'.')));
        let Some(text) = run
            .get(start..end)
            .filter(|text| cut_is_separator && text.len() > 2)
        else {
            continue;
        };
        if let Some(address) = parse_v6(text) {
            out.extend_from_slice(run.get(..start).unwrap_or_default());
            replace(IpAddr::V6(address), out);
            out.extend_from_slice(run.get(end..).unwrap_or_default());
            return true;
        }
    }
    false
}

/// Copies a run with the dotted quads between its colons masked.
fn mask_v4_pieces(
    run: &[u8],
    continues_before: bool,
    continues_after: bool,
    out: &mut Vec<u8>,
    replace: Replace<'_>,
) {
    let last = run.iter().filter(|&&byte| byte == b':').count();
    for (index, piece) in run.split(|&byte| byte == b':').enumerate() {
        if index > 0 {
            out.push(b':');
        }
        let part_of_word = (index == 0 && continues_before) || (index == last && continues_after);
        let quad = piece.strip_suffix(b".").unwrap_or(piece);
        match parse_v4(quad).filter(|_| !part_of_word) {
            Some(address) => {
                replace(IpAddr::V4(address), out);
                out.extend_from_slice(piece.get(quad.len()..).unwrap_or_default());
            }
            None => out.extend_from_slice(piece),
        }
    }
}

fn write_masked(address: IpAddr, out: &mut Vec<u8>) {
    write!(out, "{}", mask(address)).expect("writing to a vector cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Option<String> {
        parse_address(text.as_bytes()).map(|address| address.to_string())
    }

    fn masked(line: &str) -> String {
        let mut out = Vec::new();
        mask_addresses(line.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn hops_are_read_in_every_shape_logs_have() {
        for (text, expected) in [
            ("203.0.113.9", "203.0.113.9"),
            (" 203.0.113.9\t", "203.0.113.9"),
            ("203.0.113.9:4711", "203.0.113.9"),
            ("0.0.0.0", "0.0.0.0"),
            ("255.255.255.255", "255.255.255.255"),
            ("2001:DB8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%25eth0]:80", "fe80::1"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("[::ffff:cb00:7109]:1", "203.0.113.9"),
        ] {
            assert_eq!(parsed(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_plainly_an_address_is_none() {
        for text in [
            "",
            "-",
            "unknown",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.256",
            "01.2.3.4",
            "1.2.3.00",
            "1..3.4",
            ".1.2.3.4",
            "1.2.3.4.",
            "1.2.3.4:",
            "1.2.3.4:65536",
            "1.2.3.4:000080",
            "1.2.3.4:8a",
            "1.2.3.4%eth0",
            "[1.2.3.4]",
            "[2001:db8::1",
            "[2001:db8::1]443",
            "[2001:db8::1]:",
            "2001:db8::1]",
            "fe80::1%",
            "1 .2.3.4",
            "+1.2.3.4",
            "١.2.3.4",
            "localhost",
            "203.0.113.9, 10.0.0.1",
            "_hidden",
            ":::1",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn special_ranges_have_their_registry_names() {
        for (text, expected) in [
            ("10.1.2.3", Some("private")),
            ("172.31.0.1", Some("private")),
            ("172.32.0.1", None),
            ("192.168.1.1", Some("private")),
            ("fd00::1", Some("private")),
            ("127.0.0.53", Some("loopback")),
            ("::1", Some("loopback")),
            ("169.254.1.1", Some("link-local")),
            ("fe80::1", Some("link-local")),
            ("100.64.0.1", Some("shared")),
            ("100.128.0.1", None),
            ("192.0.2.1", Some("documentation")),
            ("198.51.100.1", Some("documentation")),
            ("203.0.113.1", Some("documentation")),
            ("2001:db8::1", Some("documentation")),
            ("3fff:fff::1", Some("documentation")),
            ("3fff:1000::1", None),
            ("224.0.0.1", Some("multicast")),
            ("ff02::1", Some("multicast")),
            ("0.1.2.3", Some("reserved")),
            ("198.19.0.1", Some("reserved")),
            ("255.255.255.255", Some("reserved")),
            ("100::1", Some("reserved")),
            ("0.0.0.0", Some("unspecified")),
            ("::", Some("unspecified")),
            ("::ffff:10.0.0.1", Some("private")),
            ("81.2.69.142", None),
            ("2001:218::1", None),
        ] {
            assert_eq!(special(text.parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn masks_keep_the_network_only() {
        let shown = |text: &str| mask(text.parse().unwrap()).to_string();
        assert_eq!(shown("203.0.113.9"), "203.0.113.x");
        assert_eq!(shown("2001:db8:1:2::3"), "2001:db8:1::x");
        assert_eq!(shown("::ffff:203.0.113.9"), "203.0.113.x");
    }

    #[test]
    fn addresses_in_lines_are_masked() {
        for (line, expected) in [
            ("203.0.113.9 - - \"GET /\"", "203.0.113.x - - \"GET /\""),
            ("203.0.113.9", "203.0.113.x"),
            (
                "203.0.113.9, 198.51.100.7:80 x",
                "203.0.113.x, 198.51.100.x:80 x",
            ),
            (r#"{"ip":"203.0.113.9"}"#, r#"{"ip":"203.0.113.x"}"#),
            (r#""\x22203.0.113.9\x22""#, r#""\x22203.0.113.x\x22""#),
            ("/b?ip=203.0.113.9&a", "/b?ip=203.0.113.x&a"),
            ("/b?ip%3D203.0.113.9&a", "/b?ip%3D203.0.113.x&a"),
            ("[2001:db8:1::9]:443 -", "[2001:db8:1::x]:443 -"),
            ("2001:db8:1::9 - -", "2001:db8:1::x - -"),
            ("fe80::1%eth0 -", "fe80:0:0::x%eth0 -"),
            ("client:2001:db8:1::9, y", "client:2001:db8:1::x, y"),
            ("client: 203.0.113.9.", "client: 203.0.113.x."),
            ("addr:203.0.113.9;", "addr:203.0.113.x;"),
            ("from ::ffff:203.0.113.9:", "from 203.0.113.x:"),
            ("upstream 10.0.0.0/8", "upstream 10.0.0.x/8"),
        ] {
            assert_eq!(masked(line), expected);
        }
    }

    #[test]
    fn times_versions_and_words_are_not_masked() {
        for line in [
            "[07/Mar/2004:07:06:42 +0100]",
            "07:06:42",
            "2004-03-07T07:06:42.123Z",
            "Chrome/120.0.0.0 Safari/537.36",
            "Bot4.1.2.3 v1.2.3.4",
            "1.2.3.4.5 1.2.3 1.2.3.4x",
            "a :: b std::vec Dead::Beefy",
            "aa:bb:cc:dd:ee:ff 100% 5%",
            "",
        ] {
            assert_eq!(masked(line), line);
        }
    }

    proptest! {
        #[test]
        fn plain_addresses_agree_with_the_standard_parser(text in "[0-9a-f:.%]{0,24}") {
            let ours = parse_address(text.as_bytes());
            match text.parse::<IpAddr>() {
                Ok(address) => prop_assert_eq!(ours, Some(address.to_canonical())),
                Err(_) => prop_assert!(
                    ours.is_none() || text.contains('%') || text.parse::<std::net::SocketAddrV4>().is_ok(),
                    "{} became {:?}", text, ours
                ),
            }
        }

        #[test]
        fn dotted_text_agrees_with_the_standard_parser(text in r"[0-9]{1,3}(\.[0-9]{1,3}){2,4}") {
            let expected = text.parse::<IpAddr>().ok();
            prop_assert_eq!(parse_address(text.as_bytes()), expected);
        }

        #[test]
        fn every_address_is_read_back(bits: u128, v4: u32) {
            for address in [IpAddr::V6(Ipv6Addr::from_bits(bits)), IpAddr::V4(Ipv4Addr::from_bits(v4))] {
                let canonical = Some(address.to_canonical());
                prop_assert_eq!(parse_address(address.to_string().as_bytes()), canonical);
                let with_port = std::net::SocketAddr::new(address, 4711).to_string();
                prop_assert_eq!(parse_address(with_port.as_bytes()), canonical);
            }
        }

        #[test]
        fn an_address_in_a_line_never_survives(v4: u32, bits: u128, left in "[ ,\"\\[=]", right in "[ ,\"\\]&]") {
            for address in [IpAddr::V4(Ipv4Addr::from_bits(v4)), IpAddr::V6(Ipv6Addr::from_bits(bits | 1 << 127))] {
                let line = format!("x{left}{address}{right}y");
                prop_assert_eq!(masked(&line), format!("x{left}{}{right}y", mask(address)));
            }
        }

        #[test]
        fn any_bytes_are_read_and_masked_without_panic(bytes: Vec<u8>) {
            let _address = parse_address(&bytes);
            mask_addresses(&bytes, &mut Vec::new());
        }

        #[test]
        fn address_like_text_is_masked_without_panic(text in r"[0-9a-fg:./%\\x\[\] ]{0,60}") {
            let once = masked(&text);
            prop_assert_eq!(masked(&once), once);
        }
    }
}
