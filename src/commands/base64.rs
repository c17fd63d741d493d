//! Base64 of RFC 4648, section 4, with its padding: for credentials (RFC 7617), and for hashes in a
//! Content-Security-Policy. Decoding is elsewhere, and strict about what it takes.

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes as letters, four for each three.
pub(super) fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let group = (0..3).fold(0usize, |group, n| {
            group << 8 | usize::from(three.get(n).copied().unwrap_or(0))
        });
        for n in 0..4 {
            let letter = LETTERS.get(group >> (18 - 6 * n) & 63).copied();
            text.push(match n <= three.len() {
                true => letter.map_or('=', char::from),
                false => '=',
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
            ("nagios:s3cr:t", "bmFnaW9zOnMzY3I6dA=="),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
