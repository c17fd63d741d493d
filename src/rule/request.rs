//! Parts of a request line, as byte ranges.
//!
//! A request is `METHOD SP target SP protocol` (RFC 9112, section 3). Logs hold what clients sent,
//! so nothing here is required: a target may contain spaces, the protocol may be missing (HTTP/0.9),
//! the whole may be noise. The target may be absolute (`http://host/path`), as proxies log it.

use memchr::{memchr, memrchr};

pub(super) fn method(request: &[u8]) -> Option<(usize, usize)> {
    Some((0, memchr(b' ', request).unwrap_or(request.len())))
}

/// Position of the protocol: the last word of a request line, if it is one.
fn protocol_start(request: &[u8]) -> Option<usize> {
    let start = memrchr(b' ', request)? + 1;
    request.get(start..)?.starts_with(b"HTTP/").then_some(start)
}

pub(super) fn protocol(request: &[u8]) -> Option<(usize, usize)> {
    Some((protocol_start(request)?, request.len()))
}

pub(super) fn target(request: &[u8]) -> Option<(usize, usize)> {
    let start = memchr(b' ', request)? + 1;
    let end = protocol_start(request).map_or(request.len(), |protocol| protocol - 1);
    (start <= end).then_some((start, end))
}

/// Where the path of a target begins: behind `scheme://authority` of an absolute one.
fn path_start(target: &[u8]) -> Option<usize> {
    if target.first() == Some(&b'/') {
        return Some(0);
    }
    let colon = memchr(b':', target)?;
    let authority = colon + 3;
    let scheme = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    (colon > 0 && target.get(..colon)?.iter().all(scheme)).then_some(())?;
    (target.get(colon..authority)? == b"://").then_some(())?;
    let rest = target.get(authority..)?;
    Some(
        authority
            + rest
                .iter()
                .position(|b| matches!(b, b'/' | b'?'))
                .unwrap_or(rest.len()),
    )
}

pub(super) fn path(target: &[u8]) -> Option<(usize, usize)> {
    let start = path_start(target).unwrap_or(0);
    let rest = target.get(start..)?;
    Some((start, start + memchr(b'?', rest).unwrap_or(rest.len())))
}

pub(super) fn query(target: &[u8]) -> Option<(usize, usize)> {
    Some((memchr(b'?', target)? + 1, target.len()))
}

pub(super) fn authority(target: &[u8]) -> Option<(usize, usize)> {
    let end = path_start(target)?;
    let start = memchr(b':', target.get(..end)?)? + 3;
    Some((start, end))
}

/// A host without the port behind it.
pub(super) fn host(authority: &[u8]) -> Option<(usize, usize)> {
    let end = match memrchr(b':', authority) {
        Some(colon) if is_port(authority.get(colon + 1..)?) => {
            let host = authority.get(..colon)?;
            let bracketed = host.first() == Some(&b'[') && host.last() == Some(&b']');
            // Without its brackets an address of version 6 ends in a colon and digits, too.
            match bracketed || !host.contains(&b':') {
                true => colon,
                false => authority.len(),
            }
        }
        _ => authority.len(),
    };
    Some((0, end))
}

fn is_port(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

pub(super) fn cookie(header: &[u8], name: &[u8]) -> Option<(usize, usize)> {
    let mut start = 0;
    for pair in header.split(|&b| b == b';') {
        let blank = pair.iter().take_while(|&&b| b == b' ').count();
        let trimmed = pair.get(blank..)?;
        if trimmed.starts_with(name) && trimmed.get(name.len()) == Some(&b'=') {
            return Some((start + blank + name.len() + 1, start + pair.len()));
        }
        start += pair.len() + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_port_is_no_part_of_a_host() {
        for (authority, expected) in [
            ("www.example.com:80", "www.example.com"),
            ("www.example.com", "www.example.com"),
            ("www.example.com:", "www.example.com:"),
            ("[2001:db8::1]:443", "[2001:db8::1]"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("2001:db8::1", "2001:db8::1"),
            ("", ""),
        ] {
            let (start, end) = host(authority.as_bytes()).unwrap();
            assert_eq!(&authority[start..end], expected, "{authority}");
        }
    }

    proptest! {
        #[test]
        fn parts_lie_inside_any_request(request in "[A-Z]{0,4}[ /?:*a-c=&%+.HTP1\u{e9}-]{0,40}") {
            for find in [method, target, protocol, path, query, authority, host] {
                if let Some((start, end)) = find(request.as_bytes()) {
                    prop_assert!(start <= end && end <= request.len());
                }
            }
        }
    }
}
